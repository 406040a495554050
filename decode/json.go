package decode

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gctap/decode/xuc"
)

// Messages that are JSON: events (names.md section 4), REST commands (5) and
// xuc frames (6). What is inside a member's value stays as it is.

// A member is one key of an object.
type member struct {
	key   string
	value span
}

// json reads a body that begins like JSON.
func (d *decoder) json(body source, large bool) {
	if large {
		d.unknown(true)
		return
	}
	d.src = body
	text := body.text
	start := int(skipBlanks(text, 0, int32(len(text))))
	var room [24]member
	list, end, ok := readMembers(text, start, room[:0])
	if ok {
		if end = skipSpace(text, end); end != len(text) {
			ok = false
		}
	}
	if !ok {
		d.m.Protocol, d.m.Kind = Unknown, Unknown
		d.note(BadJSON, "", "not JSON from here on", int32(end))
		return
	}
	d.dispatch(list)
}

// dispatch finds what the object is; the first rule that fits counts.
func (d *decoder) dispatch(list []member) {
	if claz, ok := d.lastString(list, "claz"); ok {
		d.xucCommand(list, claz)
		return
	}
	if msgType, ok := d.lastString(list, "msgType"); ok {
		d.xucEvent(list, msgType)
		return
	}
	if data, ok := last(list, "data"); ok && d.src.text[data.value.start] == '{' {
		inner, _, _ := readMembers(d.src.text, int(data.value.start), nil)
		if word, ok := d.lastString(inner, "type"); ok {
			d.restCommand(inner, word)
			return
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		if !equalFold(list[i].key, "type") {
			continue
		}
		if d.src.text[list[i].value.start] == '"' {
			d.jsonEvent(list, list[i].value)
			return
		}
		break
	}
	d.unknown(false)
}

// last returns the member of a key; of a key that comes again the last counts.
func last(list []member, key string) (member, bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].key == key {
			return list[i], true
		}
	}
	return member{}, false
}

func (d *decoder) lastString(list []member, key string) (span, bool) {
	m, ok := last(list, key)
	if !ok || d.src.text[m.value.start] != '"' {
		return span{}, false
	}
	return m.value, true
}

// inside is a string's span without its quotes.
func inside(s span) span { return span{s.start + 1, s.end - 1} }

// jsonValue fills in the value of a member: strings become texts, all else
// stays.
func (d *decoder) jsonValue(v *Value, s span) {
	if d.src.text[s.start] == '"' {
		in := inside(s)
		v.Text, v.at, v.flags = unquote(in.of(d.src.text)), d.src.at(in), valueQuoted
		return
	}
	v.Kind, v.Text, v.at = KindJSON, s.of(d.src.text), d.src.at(s)
}

// putAll adds members, but for those that leave says.
func (d *decoder) putAll(set *nameSet, list []member, leave func(key string) bool) {
	for _, m := range list {
		if leave == nil || !leave(m.key) {
			v, _ := set.put(m.key)
			d.jsonValue(v, m.value)
		}
	}
}

func (d *decoder) setName(value span) {
	d.m.Name = unquote(inside(value).of(d.src.text))
	d.m.nameAt = d.src.at(inside(value))
}

// jsonEvent reads an event whose type is the given string.
func (d *decoder) jsonEvent(list []member, typeAt span) {
	m := &d.m
	m.Protocol, m.Kind = GCJSON, KindEvent
	d.setName(typeAt)
	if e, ok := jsonWords.find(m.Name); ok {
		if m.Name != e.spec.Word {
			d.note(Alias, "name", "the type in another case", typeAt.start)
		}
		m.spec, m.Name, m.Variant = e.spec, e.spec.Name, e.spec.Variant
	} else {
		d.note(UnknownName, "name", "not an event of the protocol", typeAt.start)
	}
	set := nameSet{fields: make([]Field, 0, len(list)), expect: len(list)}
	for _, mem := range list {
		if !equalFold(mem.key, "type") {
			v, _ := set.put(canonicalKey(m.spec, mem.key))
			d.jsonValue(v, mem.value)
		}
	}
	m.Fields = set.fields
	d.jsonAgent()
	if m.spec != nil {
		d.checkKeys(m.spec)
	}
}

// canonicalKey renames a key of the outer object (inventory ).
func canonicalKey(s *Spec, key string) string {
	if s != nil {
		for i := range s.Keys {
			k := &s.Keys[i]
			if equalFold(key, k.Name) {
				return k.Name
			}
			for _, name := range k.Keys {
				if equalFold(key, name) {
					return k.Name
				}
			}
		}
	}
	if equalFold(key, "agentId") {
		return "agentId"
	}
	return key
}

// jsonAgent takes the agent from the field agentId, a number or a string.
func (d *decoder) jsonAgent() {
	for i := range d.m.Fields {
		f := &d.m.Fields[i]
		if f.Name != "agentId" {
			continue
		}
		text := f.Value.Text
		if f.Value.Kind == KindText && text != "" || f.Value.Kind == KindJSON && (text[0] == '-' || digit(text[0])) {
			d.m.Agent, d.m.agentAt = text, f.Value.at
		}
	}
}

// checkKeys checks the strings that have a closed list.
func (d *decoder) checkKeys(s *Spec) {
	for i := range s.Keys {
		k := &s.Keys[i]
		if k.Values == nil {
			continue
		}
		for j := range d.m.Fields {
			f := &d.m.Fields[j]
			if f.Name != k.Name || f.Value.Kind != KindText || f.Value.Text == "" {
				continue
			}
			d.checkPlaced(k.Values, f)
		}
	}
}

// checkPlaced is check for a value whose place in the bytes is known already.
func (d *decoder) checkPlaced(list *ValueList, f *Field) {
	code, text := BadValue, list.fault
	switch list.check(f.Value.Text) {
	case inList:
		return
	case isAlias:
		code, text = Alias, "another spelling of the value"
	case notInList:
		if list.open {
			code = UnknownErrorCode
		}
	}
	d.notes.add(code, []byte(f.Name), text, f.Value.at.start, false)
}

// restCommand reads a REST command: the two strings of a text command in an
// envelope.
func (d *decoder) restCommand(list []member, word span) {
	m := &d.m
	m.Protocol, m.Kind = GCREST, KindCommand
	outer := d.src
	d.src = outer.quotedSource(word)
	head, _, _ := d.readType(true)
	body := source{base: outer.place(0)}
	if b, ok := last(list, "body"); ok {
		body = outer.restBody(b.value)
	}
	d.arguments(head, body)
	d.src = outer
	if len(list) <= 2 {
		return
	}
	args := nameSet{fields: m.Fields}
	more := nameSet{}
	d.putAll(&more, list, func(key string) bool {
		_, taken := args.find(key)
		return taken || key == "type" || key == "body"
	})
	m.Fields = append(m.Fields, more.fields...)
}

// restBody returns the text of a REST command's body. The string null, as the
// documents print it, stands for none.
func (s *source) restBody(value span) source {
	raw := value.of(s.text)
	switch {
	case raw == "null" || raw == `"null"`:
		return source{base: s.place(value.start)}
	case raw[0] == '"':
		body := s.quotedSource(value)
		if body.text == "null" {
			body.text = ""
		}
		return body
	}
	return s.sub(value)
}

// sub is the source of a part of s.
func (s *source) sub(part span) source {
	if s.table != nil {
		return source{text: part.of(s.text), table: s.table[part.start : part.end+1]}
	}
	return source{text: part.of(s.text), base: s.base + part.start}
}

// quotedSource is the source of a string's content.
func (s *source) quotedSource(value span) source {
	in := inside(value)
	raw := in.of(s.text)
	src := s.sub(in)
	src.flags = valueQuoted
	if strings.IndexByte(raw, '\\') < 0 {
		return src
	}
	text, places := unquotePlaces(raw)
	for i := range places {
		places[i] = s.place(in.start + places[i])
	}
	return source{text: text, table: places, flags: valueQuoted}
}

// xucCommand reads a frame with claz.
func (d *decoder) xucCommand(list []member, claz span) {
	m := &d.m
	m.Protocol, m.Kind = XUC, KindCommand
	class := unquote(inside(claz).of(d.src.text))
	command, named := d.lastString(list, "command")
	switch {
	case class == "ping":
		d.setName(claz)
		named = false
	case named:
		d.setName(command)
	default:
		m.nameAt = span{d.src.place(claz.start), d.src.place(claz.start)}
	}
	if class != "ping" && (class != "web" || m.Name == "ping" || xuc.LookupCommand(m.Name) == nil) {
		d.note(UnknownName, "name", "not a command of xuc", claz.start)
	}
	set := nameSet{fields: make([]Field, 0, len(list)), expect: len(list)}
	d.putAll(&set, list, func(key string) bool { return key == "claz" || named && key == "command" })
	m.Fields = set.fields
}

// xucEvent reads a frame with msgType.
func (d *decoder) xucEvent(list []member, msgType span) {
	m := &d.m
	m.Protocol, m.Kind = XUC, KindEvent
	d.setName(msgType)
	if xuc.LookupEvent(m.Name) == nil {
		d.note(UnknownName, "name", "not an event of xuc", msgType.start)
	}
	content, ok := last(list, "ctiMessage")
	if !ok {
		return
	}
	switch d.src.text[content.value.start] {
	case 'n':
	case '{':
		inner, _, _ := readMembers(d.src.text, int(content.value.start), nil)
		set := nameSet{fields: make([]Field, 0, len(inner)), expect: len(inner)}
		d.putAll(&set, inner, nil)
		m.Fields = set.fields
	case '[':
		m.Fields = []Field{{Name: "items"}}
		d.jsonValue(&m.Fields[0].Value, content.value)
	default:
		m.Fields = []Field{{Name: "value"}}
		d.jsonValue(&m.Fields[0].Value, content.value)
	}
}

// Expand makes a list or record of a JSON array or object, one level deep;
// strings become texts. Any other value is returned as it is.
func (v Value) Expand() Value {
	if v.Kind != KindJSON || v.Text == "" || v.Text[0] != '{' && v.Text[0] != '[' {
		return v
	}
	d := decoder{src: source{text: v.Text, base: v.at.start}}
	placed := v.at.len() == len(v.Text) && v.flags&valueBuilt == 0
	list, _, ok := readMembers(v.Text, 0, nil)
	if !ok {
		return v
	}
	out := Value{Kind: KindList, at: v.at, flags: v.flags, Parts: make([]Field, len(list))}
	if v.Text[0] == '{' {
		out.Kind = KindRecord
	}
	for i, mem := range list {
		out.Parts[i].Name = mem.key
		d.jsonValue(&out.Parts[i].Value, mem.value)
		if !placed {
			out.Parts[i].Value.flags |= valueBuilt
		}
	}
	return out
}

// readMembers reads the JSON value at s[i:] by RFC 8259 and appends its
// members, if it is an object, or its elements, if an array. end is where it
// ends, or where it stops being JSON.
func readMembers(s string, i int, dst []member) (list []member, end int, ok bool) {
	if i == len(s) || s[i] != '{' && s[i] != '[' {
		end, ok = skipValue(s, i)
		return dst, end, ok
	}
	object := s[i] == '{'
	closing := s[i] + 2
	if i = skipSpace(s, i+1); i < len(s) && s[i] == closing {
		return dst, i + 1, true
	}
	for {
		var m member
		if object {
			start := i
			if i, ok = skipKey(s, i); !ok {
				return dst, i, false
			}
			m.key = keyText(s, start)
		}
		start := i
		if i, ok = skipValue(s, i); !ok {
			return dst, i, false
		}
		m.value = span{int32(start), int32(i)}
		dst = append(dst, m)
		if i = skipSpace(s, i); i == len(s) {
			return dst, i, false
		}
		switch s[i] {
		case closing:
			return dst, i + 1, true
		case ',':
			i = skipSpace(s, i+1)
		default:
			return dst, i, false
		}
	}
}

// keyText returns the key whose opening quote is s[i].
func keyText(s string, i int) string {
	end, _ := skipString(s, i)
	return unquote(s[i+1 : end-1])
}

func skipSpace(s string, i int) int {
	for i < len(s) && blank(s[i]) {
		i++
	}
	return i
}

// skipKey skips a key, its colon and the blanks around it.
func skipKey(s string, i int) (end int, ok bool) {
	if i == len(s) || s[i] != '"' {
		return i, false
	}
	if i, ok = skipString(s, i); !ok {
		return i, false
	}
	if i = skipSpace(s, i); i == len(s) || s[i] != ':' {
		return i, false
	}
	return skipSpace(s, i+1), true
}

// skipValue skips a value of any depth. It keeps its own stack, since a
// hostile body may nest as deep as it is long.
func skipValue(s string, i int) (end int, ok bool) {
	var room [64]byte
	stack := room[:0]
	for {
		if i == len(s) {
			return i, false
		}
		switch c := s[i]; {
		case c == '{' || c == '[':
			at := skipSpace(s, i+1)
			if at < len(s) && s[at] == c+2 { // ] and } stand two behind [ and {
				i, ok = at+1, true
				break
			}
			stack, i = append(stack, c+2), at
			if c == '{' {
				if i, ok = skipKey(s, i); !ok {
					return i, false
				}
			}
			continue
		case c == '"':
			i, ok = skipString(s, i)
		case c == '-' || digit(c):
			i, ok = skipNumber(s, i)
		default:
			i, ok = skipWord(s, i)
		}
		if !ok || len(stack) == 0 {
			return i, ok
		}
		if i, stack, ok = skipClosed(s, i, stack); !ok || len(stack) == 0 {
			return i, ok
		}
	}
}

// skipClosed goes on behind a value inside arrays and objects: over what they
// close, to where the next value begins.
func skipClosed(s string, i int, stack []byte) (at int, rest []byte, ok bool) {
	for {
		if i = skipSpace(s, i); i == len(s) {
			return i, stack, false
		}
		closing := stack[len(stack)-1]
		if s[i] == closing {
			i++
			if stack = stack[:len(stack)-1]; len(stack) == 0 {
				return i, stack, true
			}
			continue
		}
		if s[i] != ',' {
			return i, stack, false
		}
		i = skipSpace(s, i+1)
		if closing == '}' {
			i, ok = skipKey(s, i)
			return i, stack, ok
		}
		return i, stack, true
	}
}

// skipString skips a string that begins at s[i]; on failure end is the fault.
func skipString(s string, i int) (end int, ok bool) {
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, true
		case c < 0x20:
			return i, false
		case c == '\\':
			i++
			if i == len(s) {
				return i, false
			}
			if s[i] == 'u' {
				for range 4 {
					if i++; i == len(s) || !hexDigit(s[i]) {
						return i, false
					}
				}
			} else if strings.IndexByte(`"\/bfnrt`, s[i]) < 0 {
				return i, false
			}
		}
	}
	return i, false
}

func hexDigit(c byte) bool { c = lower(c); return digit(c) || 'a' <= c && c <= 'f' }

func skipNumber(s string, i int) (end int, ok bool) {
	if s[i] == '-' {
		i++
	}
	start := i
	if i = skipDigits(s, i); i == start || s[start] == '0' && i > start+1 {
		return min(i, start+1), false
	}
	if i < len(s) && s[i] == '.' {
		start = i + 1
		if i = skipDigits(s, start); i == start {
			return i, false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		start = i
		if i = skipDigits(s, i); i == start {
			return i, false
		}
	}
	return i, true
}

func skipDigits(s string, i int) int {
	for i < len(s) && digit(s[i]) {
		i++
	}
	return i
}

func skipWord(s string, i int) (end int, ok bool) {
	for _, w := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s[i:], w) {
			return i + len(w), true
		}
	}
	return i, false
}

// unquote returns the text of a valid JSON string's content. Half a surrogate
// pair becomes U+FFFD.
func unquote(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	text, _ := unquoteTo(raw, nil)
	return text
}

// unquotePlaces also says where in raw each byte of the text comes from, and
// where the text ends.
func unquotePlaces(raw string) (text string, places []int32) {
	return unquoteTo(raw, make([]int32, 0, len(raw)+1))
}

func unquoteTo(raw string, places []int32) (string, []int32) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		start, n := i, len(out)
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
		} else {
			out, i = unescape(out, raw, i+1)
		}
		if places != nil {
			for range len(out) - n {
				places = append(places, int32(start))
			}
		}
	}
	if places != nil {
		places = append(places, int32(len(raw)))
	}
	return string(out), places
}

// unescape appends what the escape at raw[i], behind its backslash, stands for.
func unescape(out []byte, raw string, i int) ([]byte, int) {
	switch raw[i] {
	case 'b':
		return append(out, '\b'), i + 1
	case 'f':
		return append(out, '\f'), i + 1
	case 'n':
		return append(out, '\n'), i + 1
	case 'r':
		return append(out, '\r'), i + 1
	case 't':
		return append(out, '\t'), i + 1
	case 'u':
		r := hexRune(raw[i+1 : i+5])
		i += 5
		if utf16.IsSurrogate(r) {
			if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				if pair := utf16.DecodeRune(r, hexRune(raw[i+2:i+6])); pair != utf8.RuneError {
					return utf8.AppendRune(out, pair), i + 6
				}
			}
			r = utf8.RuneError
		}
		return utf8.AppendRune(out, r), i
	}
	return append(out, raw[i]), i + 1 // " \ /
}

func hexRune(s string) rune {
	var r rune
	for i := 0; i < len(s); i++ {
		c := lower(s[i])
		if digit(c) {
			r = r<<4 | rune(c-'0')
		} else {
			r = r<<4 | rune(c-'a'+10)
		}
	}
	return r
}
