package decode

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Rewrite returns the bytes of a message that Decode made, with new values at
// some places and nothing else changed: the field at each path (as for
// Message.Get) gets the text given. The path "agent" is the id in the JMSType
// or in the head of an event, "type:agent" only that in the JMSType.
//
// A value that could not be read back at its place is refused with a
// *FieldError: the protocol has no escape for its separators. A '#' is written
// as GC does where it may be. A password is written as it is, whatever it
// holds, since that is what clients do. A JSON number or boolean stays one
// when the new value is one.
func Rewrite(m *Message, changes map[string]string) (Input, error) {
	if m.input&decoded == 0 {
		return Input{}, m.fault("", "not read from bytes: write it with Encode")
	}
	var edits []edit
	strict := true
	for path, value := range changes {
		e, secret, err := m.edit(path, value)
		if err != nil {
			return Input{}, err
		}
		edits = append(edits, e)
		if secret && strings.ContainsAny(value, ",#") {
			strict = false // it reads otherwise, as it does for GC
		}
	}
	slices.SortFunc(edits, func(a, b edit) int {
		if a.at.start != b.at.start {
			return int(a.at.start - b.at.start)
		}
		return strings.Compare(a.path, b.path)
	})
	out := m.wire()
	if out.Type != nil {
		text, err := m.splice(m.jmsType, edits, true)
		if err != nil {
			return Input{}, err
		}
		out.Type = &text
	}
	body, err := m.splice(m.raw, edits, false)
	if err != nil {
		return Input{}, err
	}
	if out.Body != nil {
		out.Body = []byte(body)
	}
	if strict {
		if err := m.verify(out, changes); err != nil {
			return Input{}, err
		}
	}
	return out, nil
}

// An edit is a text to be put at a place.
type edit struct {
	path   string
	at     span
	inType bool
	with   string
}

// edit works out what a change does to the bytes.
func (m *Message) edit(path, value string) (e edit, secret bool, err error) {
	name := strings.TrimPrefix(path, "type:")
	v, ok := m.placeOf(name)
	if !ok {
		return edit{}, false, m.fault(path, "the message has no such field")
	}
	inType := v.flags&valueInType != 0
	if name != path && !inType {
		return edit{}, false, m.fault(path, "not in the JMSType")
	}
	if v.flags&valueBuilt != 0 || v.Kind == KindList || v.Kind == KindRecord {
		return edit{}, false, m.fault(path, "not a single value with a place of its own")
	}
	e = edit{path: path, at: v.at, inType: inType, with: m.escaped(name, value)}
	switch {
	case v.Kind == KindJSON:
		e.with = jsonLike(v.Text, value)
	case v.flags&valueQuoted != 0:
		quoted := appendString(nil, e.with)
		e.with = string(quoted[1 : len(quoted)-1])
	}
	if !inType && !utf8.ValidString(m.raw) {
		if e.with, ok = toWindows1252(e.with); !ok {
			return edit{}, false, m.fault(path, "%q cannot be written: the body is Windows-1252", value)
		}
	}
	return e, v.Secret(), nil
}

// placeOf returns the value at a path, agent and the JMSType's among them.
func (m *Message) placeOf(path string) (Value, bool) {
	if path != "agent" || m.Agent == "" {
		return m.Get(path)
	}
	if m.Protocol == GCJSON {
		return m.Get("agentId")
	}
	v := Value{Text: m.Agent, at: m.agentAt}
	if m.inType {
		v.flags = valueInType
	} else if m.Protocol == GCREST {
		v.flags = valueQuoted
	}
	return v, true
}

// escaped replaces '#' as GC does, where the field may hold it.
func (m *Message) escaped(path, value string) string {
	if m.Kind != KindEvent || m.Protocol != GCText || m.form == nil || strings.IndexByte(value, tokenSep) < 0 {
		return value
	}
	arg := findArg(m.form.Args, path)
	if arg == nil || arg.Hash != HashText {
		return value
	}
	if token := hashSetting(m.opts.HashToken).restore; token != "" {
		return strings.ReplaceAll(value, string(tokenSep), token)
	}
	return value
}

// jsonLike writes a value as JSON: as a number, boolean or null where one was
// and is, else as a string.
func jsonLike(old, value string) string {
	end, ok := skipValue(value, 0)
	if ok && end == len(value) && value[0] != '"' && value[0] != '{' && value[0] != '[' && kindOfJSON(old) == kindOfJSON(value) {
		return value
	}
	return string(appendString(nil, value))
}

// kindOfJSON tells numbers, booleans and null apart.
func kindOfJSON(text string) byte {
	switch c := text[0]; {
	case c == '-' || digit(c):
		return '0'
	case c == 'f':
		return 't'
	default:
		return c
	}
}

func toWindows1252(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		switch at := slices.Index(windows1252[:], r); {
		case at >= 0:
			out = append(out, byte(0x80+at))
		case r < 0x80 || r >= 0xA0 && r <= 0xFF:
			out = append(out, byte(r))
		default:
			return "", false
		}
	}
	return string(out), true
}

// splice puts the edits of one text into it.
func (m *Message) splice(text string, edits []edit, inType bool) (string, error) {
	var b strings.Builder
	at := int32(0)
	for _, e := range edits {
		if e.inType != inType {
			continue
		}
		if e.at.start < at {
			return "", m.fault(e.path, "changed twice")
		}
		b.WriteString(text[at:e.at.start])
		b.WriteString(e.with)
		at = e.at.end
	}
	b.WriteString(text[at:])
	return b.String(), nil
}

// verify reads the new bytes: what was changed must read as asked, and all
// else as before.
func (m *Message) verify(out Input, changes map[string]string) error {
	n := Decode(out, m.opts)
	for path, value := range changes {
		name := strings.TrimPrefix(path, "type:")
		v, ok := n.placeOf(name)
		if text, _ := v.Scalar(); (!ok || text != value) && !(name == "agent" && value == "" && n.Agent == "") {
			return m.fault(path, "%q cannot be written here: it would be read as %q", value, text)
		}
	}
	if n.Name != m.Name || n.Protocol != m.Protocol {
		return m.fault("", "the new values would change its name to %q", n.Name)
	}
	changed := func(path string) bool {
		_, ok := changes[path]
		return ok || path == "agentId" && m.Protocol == GCJSON
	}
	if path := unlike("", m.Fields, n.Fields, changed); path != "" {
		return m.fault(path, "the new values would change it too")
	}
	return nil
}

// unlike returns the path of the first field that differs and was not changed.
func unlike(prefix string, a, b []Field, changed func(string) bool) string {
	if len(a) != len(b) {
		return orSelf(prefix)
	}
	for i := range a {
		path := below(prefix, a[i].Name)
		if changed(path) || changed("type:"+path) {
			continue
		}
		if a[i].Name != b[i].Name {
			return path
		}
		if p := unlikeValue(path, a[i].Value, b[i].Value, changed); p != "" {
			return p
		}
	}
	return ""
}

func orSelf(path string) string {
	if path == "" {
		return "fields"
	}
	return path
}

func unlikeValue(path string, a, b Value, changed func(string) bool) string {
	a, b = a.Expand(), b.Expand()
	if a.Kind != b.Kind {
		return path
	}
	switch a.Kind {
	case KindRecord:
		return unlike(path, a.Parts, b.Parts, changed)
	case KindList:
		if len(a.Parts) != len(b.Parts) {
			return path
		}
		for i := range a.Parts {
			at := fmt.Sprintf("%s[%d]", path, i)
			if changed(at) {
				continue
			}
			if p := unlikeValue(at, a.Parts[i].Value, b.Parts[i].Value, changed); p != "" {
				return p
			}
		}
		return ""
	}
	if a.Text != b.Text {
		return path
	}
	return ""
}
