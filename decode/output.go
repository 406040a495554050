package decode

import (
	"strconv"
	"unicode/utf8"
)

// JSONOptions say what AppendJSON writes.
type JSONOptions struct {
	Spans       bool // add the key wire: where each field stands
	ShowSecrets bool // passwords in clear
}

// AppendJSON appends the message as one JSON object on one line: the object
// that `gctap decode --json` prints. Unless ShowSecrets is set, passwords are
// masked as a recording masks them ([Masker]); places are those in the
// message's own bytes all the same.
func (m *Message) AppendJSON(dst []byte, o JSONOptions) []byte {
	if !o.ShowSecrets {
		m = m.Masked()
	}
	dst = append(dst, `{"protocol":`...)
	dst = appendString(dst, m.Protocol)
	dst = append(dst, `,"kind":`...)
	dst = appendString(dst, m.Kind)
	dst = append(dst, `,"name":`...)
	dst = appendString(dst, m.Name)
	if m.Variant != "" {
		dst = append(dst, `,"variant":`...)
		dst = appendString(dst, m.Variant)
	}
	if m.Agent != "" {
		dst = append(dst, `,"agent":`...)
		dst = appendString(dst, m.Agent)
	}
	dst = append(dst, `,"fields":`...)
	dst = appendRecord(dst, m.Fields)
	dst = append(dst, `,"findings":`...)
	dst = appendFindings(dst, m.Findings)
	if m.Omitted > 0 {
		dst = append(dst, `,"findingsOmitted":`...)
		dst = strconv.AppendInt(dst, int64(m.Omitted), 10)
	}
	if o.Spans {
		dst = append(dst, `,"wire":`...)
		dst = m.appendWire(dst)
	}
	return append(dst, '}')
}

// MarshalJSON is AppendJSON without secrets and places.
func (m *Message) MarshalJSON() ([]byte, error) { return m.AppendJSON(nil, JSONOptions{}), nil }

// AppendJSON appends the value as JSON, passwords in clear.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Kind {
	case KindText:
		return appendString(dst, v.Text)
	case KindList:
		dst = append(dst, '[')
		for i := range v.Parts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.Parts[i].Value.AppendJSON(dst)
		}
		return append(dst, ']')
	case KindRecord:
		return appendRecord(dst, v.Parts)
	}
	return appendCompact(dst, v.Text)
}

func appendRecord(dst []byte, fields []Field) []byte {
	dst = append(dst, '{')
	for i := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, fields[i].Name)
		dst = append(dst, ':')
		dst = fields[i].Value.AppendJSON(dst)
	}
	return append(dst, '}')
}

func appendFindings(dst []byte, list []Finding) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = list[i].appendJSON(dst)
	}
	return append(dst, ']')
}

func (f *Finding) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"code":`...)
	dst = appendString(dst, f.Code)
	dst = append(dst, `,"severity":`...)
	dst = appendString(dst, f.Severity)
	if f.Field != "" {
		dst = append(dst, `,"field":`...)
		dst = appendString(dst, f.Field)
	}
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, int64(f.Offset), 10)
	if f.InType {
		dst = append(dst, `,"in":"type"`...)
	}
	dst = append(dst, `,"text":`...)
	dst = appendString(dst, f.Text)
	return append(dst, '}')
}

// MarshalJSON writes the keys of the decoded message's findings.
func (f Finding) MarshalJSON() ([]byte, error) { return f.appendJSON(nil), nil }

// appendCompact appends a JSON text without the blanks between its tokens.
func appendCompact(dst []byte, text string) []byte {
	if text == "" {
		return append(dst, "null"...)
	}
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '\\' && i+1 < len(text):
			dst = append(dst, c)
			i++
			c = text[i]
		case c == '"':
			quoted = !quoted
		case !quoted && blank(c):
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	case c >= utf8.RuneSelf:
		return append(dst, `\ufffd`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// A Place is where a field stands in the bytes of a message.
type Place struct {
	Path       string // as for Message.Get
	Start, End int
	InType     bool // in the JMSType, not in the body
	Head       bool // the message's own name or agent, not a field
}

// Places returns where each field stands, in the order of Fields, parts after
// the list or record that holds them. Values of JSON are not looked into.
func (m *Message) Places() []Place {
	if m.input&decoded == 0 {
		return nil
	}
	var list []Place
	add := func(path string, s span, inType, head bool) {
		list = append(list, Place{path, int(s.start), int(s.end), inType, head})
	}
	if m.Name != "" {
		add("name", m.nameAt, m.inType, true)
	}
	if m.Agent != "" {
		add("agent", m.agentAt, m.inType, true)
	}
	var walk func(path string, v *Value)
	walk = func(path string, v *Value) {
		if v.flags&valueBuilt == 0 {
			add(path, v.at, v.flags&valueInType != 0, false)
		}
		for i := range v.Parts {
			if v.Kind == KindList {
				walk(path+"["+strconv.Itoa(i)+"]", &v.Parts[i].Value)
			} else {
				walk(path+"."+v.Parts[i].Name, &v.Parts[i].Value)
			}
		}
	}
	for i := range m.Fields {
		walk(m.Fields[i].Name, &m.Fields[i].Value)
	}
	return list
}

// FieldAt returns the path of the innermost field that holds the byte at an
// offset, "" where there is none.
func (m *Message) FieldAt(offset int, inType bool) string {
	best, size := "", -1
	for _, p := range m.Places() {
		if p.InType == inType && p.Start <= offset && offset < p.End && (size < 0 || p.End-p.Start <= size) {
			best, size = p.Path, p.End-p.Start
		}
	}
	return best
}

// appendWire appends the places as an object. A field that is called name or
// agent takes the key of the message's own.
func (m *Message) appendWire(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for _, p := range m.Places() {
		if p.Head && !p.InType {
			if _, taken := direct(m.Fields, p.Path); taken {
				continue
			}
		}
		if p.InType {
			p.Path = "type:" + p.Path
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(dst, p.Path)
		dst = append(dst, ':', '[')
		dst = strconv.AppendInt(dst, int64(p.Start), 10)
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(p.End), 10)
		dst = append(dst, ']')
	}
	return append(dst, '}')
}
