package decode

import (
	"fmt"
	"strconv"
	"strings"

	"gctap/decode/xuc"
)

// A FieldError says which field of a message cannot be written, and why.
type FieldError struct {
	Message string // name of the message
	Field   string // path of the field; "" for the message as a whole
	Reason  string
}

func (e *FieldError) Error() string {
	switch {
	case e.Message == "":
		return e.Field + ": " + e.Reason
	case e.Field == "":
		return e.Message + ": " + e.Reason
	}
	return e.Message + "." + e.Field + ": " + e.Reason
}

// Encode returns the bytes of a message that Decode made, whatever they were
// and whatever its Fields say now: to change values see [Rewrite].
//
// A message that was built from names and fields is written as the table says:
// words and keys as they are to be sent, fields in their order. Protocol and
// Kind may be left empty where the name leaves no doubt, Variant where one form
// takes the fields; the newest that does is written. What could not be read
// back is refused with a *FieldError.
func Encode(m *Message) (Input, error) {
	if m.input&decoded != 0 {
		return m.wire(), nil
	}
	w := *m
	if err := w.resolve(); err != nil {
		return Input{}, err
	}
	switch w.Protocol {
	case GCText:
		if w.Kind == KindCommand {
			return w.encodeCommand()
		}
		return w.encodeEvent()
	case GCREST:
		return w.encodeREST()
	case GCJSON:
		return w.encodeJSON()
	}
	return w.encodeXUC()
}

// wire returns the bytes that Decode read.
func (m *Message) wire() Input {
	in := Input{Direction: m.dir}
	if m.input&hasType != 0 {
		t := m.jmsType
		in.Type = &t
	}
	if m.input&hasBody != 0 {
		in.Body = []byte(m.raw)
	}
	return in
}

func (m *Message) fault(field, format string, args ...any) error {
	return &FieldError{m.Name, field, fmt.Sprintf(format, args...)}
}

// resolve fills in the protocol, the kind and the row of a message.
func (m *Message) resolve() error {
	if m.Name == "" {
		return &FieldError{Field: "name", Reason: "missing"}
	}
	type candidate struct{ protocol, kind string }
	all := []candidate{{GCText, KindCommand}, {GCText, KindEvent}, {GCJSON, KindEvent}, {GCREST, KindCommand}, {XUC, KindCommand}, {XUC, KindEvent}}
	var fit []candidate
	for _, c := range all {
		if m.Protocol != "" && m.Protocol != c.protocol || m.Kind != "" && m.Kind != c.kind {
			continue
		}
		if m.knows(c.protocol, c.kind) && (len(fit) == 0 || fit[0].protocol == c.protocol) {
			fit = append(fit, c)
		}
	}
	switch {
	case len(fit) > 1:
		return m.fault("kind", "missing: %s is the name of a command and of an event", m.Name)
	case len(fit) == 1:
		m.Protocol, m.Kind = fit[0].protocol, fit[0].kind
		m.spec = lookupSpec(m.Protocol, m.Kind, m.Name)
		if m.spec != nil {
			m.Name = m.spec.Name
		}
		return nil
	case m.Protocol != "" && m.Protocol != Unknown && m.Kind != "" && m.Kind != Unknown:
		for _, c := range all { // a name that is not in the table
			if c.protocol == m.Protocol && c.kind == m.Kind {
				return nil
			}
		}
		return m.fault("protocol", "there is no %s %s", m.Protocol, m.Kind)
	}
	return &FieldError{Field: "name", Reason: fmt.Sprintf("%q is not in the protocol; give protocol and kind to write it all the same", m.Name)}
}

func (m *Message) knows(protocol, kind string) bool {
	if protocol == XUC {
		if kind == KindCommand {
			return xuc.LookupCommand(m.Name) != nil
		}
		return xuc.LookupEvent(m.Name) != nil
	}
	return lookupSpec(protocol, kind, m.Name) != nil
}

// encodeCommand writes a text command.
func (m *Message) encodeCommand() (Input, error) {
	word, body, rest, _, err := m.command(false)
	if err == nil && len(rest) > 0 {
		err = m.unknownField(rest[0].Name)
	}
	if err != nil {
		return Input{}, err
	}
	return m.checked(Input{Type: &word, Body: []byte(body), Direction: ToGC})
}

// command returns the JMSType and the body of a command, and the fields that it
// does not have. With loose set those that need not be arguments, and could not
// be written as such, are among them.
func (m *Message) command(loose bool) (jmsType, body string, rest []Field, n int, err error) {
	word, id, name := m.Name, m.Agent, "agent"
	var form *Form
	used := map[string]bool{}
	if m.spec != nil {
		word, form = m.spec.Word, &m.spec.Forms[0]
		if m.spec.Head != nil {
			name = m.spec.Head.Name
			id, used[name] = m.Text(name), true
		}
	}
	if id == "" {
		return "", "", nil, 0, m.fault(name, "missing")
	}
	var args []string
	if form != nil {
		if loose {
			form = m.sure(form)
		}
		if args, err = m.arguments(form, used); err != nil {
			return "", "", nil, 0, err
		}
	}
	if !loose {
		if args, err = m.more(args, used); err != nil {
			return "", "", nil, 0, err
		}
	}
	for _, f := range m.Fields {
		if !used[f.Name] {
			rest = append(rest, f)
		}
	}
	return word + string(tokenSep) + id, strings.Join(args, string(argSep)), rest, len(args), nil
}

// sure returns a form without the optional arguments from the first on that
// is not there or cannot be written.
func (m *Message) sure(form *Form) *Form {
	f := *form
	for i := range f.Args {
		a := &f.Args[i]
		if !a.Optional {
			continue
		}
		v, ok := m.Get(a.Name)
		if ok {
			_, err := m.write(a, v, map[string]bool{})
			ok = err == nil
		}
		if !ok {
			f.Args = f.Args[:i:i]
			break
		}
	}
	if f.AllOr > len(f.Args) {
		f.Args = nil
	}
	return &f
}

// arguments writes the fields of a form, in its order.
func (m *Message) arguments(form *Form, used map[string]bool) ([]string, error) {
	var out []string
	gap := ""
	for i := range form.Args {
		arg := &form.Args[i]
		if arg.Shape == Literal {
			out = append(out, arg.Word)
			continue
		}
		v, ok := m.Get(arg.Name)
		if !ok {
			if !arg.Optional {
				return nil, m.fault(arg.Name, "missing")
			}
			if gap == "" {
				gap = arg.Name
			}
			continue
		}
		if gap != "" {
			return nil, m.fault(gap, "missing, and %s comes after it", arg.Name)
		}
		used[arg.Name] = true
		text, err := m.write(arg, v, used)
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
	}
	if form.AllOr > 0 && len(out) > 0 && len(out) < form.AllOr {
		return nil, m.fault(gap, "missing: all %d arguments or none", form.AllOr)
	}
	return out, nil
}

// more appends the fields args and extra, which hold what no form has.
func (m *Message) more(args []string, used map[string]bool) ([]string, error) {
	for _, name := range []string{"args", "extra"} {
		v, ok := m.Get(name)
		if !ok {
			continue
		}
		used[name] = true
		for i, e := range v.Expand().Parts {
			text, ok := e.Value.Scalar()
			if !ok {
				return nil, m.fault(fmt.Sprintf("%s[%d]", name, i), "not a text")
			}
			args = append(args, text)
		}
	}
	return args, nil
}

// encodeEvent writes a text event.
func (m *Message) encodeEvent() (Input, error) {
	if m.spec == nil {
		return m.event(nil)
	}
	if m.Variant != "" {
		form := m.spec.form(m.Variant)
		if form == nil {
			return Input{}, m.fault("variant", "%q is none of %s", m.Variant, m.spec.variants())
		}
		return m.event(form)
	}
	var first error
	for i := range m.spec.Forms {
		in, err := m.event(&m.spec.Forms[i])
		if err == nil {
			return in, nil
		}
		if first == nil {
			first = err
		}
	}
	return Input{}, first
}

func (s *Spec) variants() string {
	var names []string
	for i := range s.Forms {
		names = append(names, s.Forms[i].Variant)
	}
	return strings.Join(names, ", ")
}

// event writes a text event by a form, nil for a name not in the table.
func (m *Message) event(form *Form) (Input, error) {
	word := m.Name
	var tokens []string
	used := map[string]bool{}
	if m.spec != nil {
		word = m.spec.Word
	}
	if m.Agent != "" {
		tokens = append(tokens, m.Agent)
	} else if m.spec == nil || !m.spec.Headless {
		return Input{}, m.fault("agent", "missing")
	}
	if form != nil && form.Lead != nil {
		used[form.Lead.Name] = true
		tokens = append(tokens, m.Text(form.Lead.Name))
	}
	tokens = append(tokens, word)
	if form != nil && !form.Opaque {
		args, err := m.arguments(form, used)
		if err != nil {
			return Input{}, err
		}
		tokens = append(tokens, args...)
	}
	tokens, err := m.more(tokens, used)
	if err != nil {
		return Input{}, err
	}
	for _, f := range m.Fields {
		if !used[f.Name] {
			return Input{}, m.unknownField(f.Name)
		}
	}
	w := *m
	if form != nil {
		w.Variant = form.Variant
	}
	return w.checked(Input{Body: []byte(strings.Join(tokens, string(tokenSep))), Direction: FromGC})
}

func (m *Message) unknownField(name string) error {
	return m.fault(name, "not a field of this message")
}

// write returns the tokens of an argument: one, but for records.
func (m *Message) write(arg *Arg, v Value, used map[string]bool) ([]string, error) {
	w := writer{m: m}
	v = v.Expand()
	switch arg.Shape {
	case List:
		return w.one(arg, w.list(arg.Name, arg, v))
	case Pairs:
		if arg.First != nil && v.Kind == KindList {
			if first, ok := m.Get(arg.First.Name); ok {
				used[arg.First.Name] = true
				v.Parts = append([]Field{{Value: first}}, v.Parts...)
			}
		}
		return w.one(arg, w.pairs(arg, v))
	case Pieces:
		return w.one(arg, w.pieces(arg, v))
	case Users:
		return w.one(arg, strings.Join(w.records(arg, v, assignSep), string(pieceSep)))
	case Records:
		list := w.records(arg, v, keySep)
		if w.err == nil && len(list) == 0 && m.spec.Name == "QueueList" {
			list = []string{""} // the event is never without the '#'
		}
		return list, w.err
	}
	return w.one(arg, w.scalar(arg.Name, arg, v))
}

// A writer builds tokens; err is the first fault.
type writer struct {
	m   *Message
	err error
}

func (w *writer) fail(field, format string, args ...any) {
	if w.err == nil {
		w.err = w.m.fault(field, format, args...)
	}
}

// one returns a token with its key in front.
func (w *writer) one(arg *Arg, text string) ([]string, error) {
	if arg.Key != "" {
		text = arg.Key + string(keySep) + text
	}
	return []string{text}, w.err
}

// scalar writes a single value; a '#' in data is replaced as GC does.
func (w *writer) scalar(path string, arg *Arg, v Value) string {
	text, ok := v.Scalar()
	if !ok {
		w.fail(path, "not a text")
	}
	if arg.Hash != HashText || w.m.Kind == KindCommand {
		return text
	}
	token := hashSetting(w.m.opts.HashToken).restore
	if token == "" {
		return text
	}
	return strings.ReplaceAll(text, "#", token)
}

func (w *writer) list(path string, arg *Arg, v Value) string {
	if v.Kind != KindList {
		w.fail(path, "not a list")
	}
	var out []string
	for i := range v.Parts {
		out = append(out, w.scalar(path+"["+strconv.Itoa(i)+"]", arg, v.Parts[i].Value))
	}
	return strings.Join(out, string(argSep))
}

func (w *writer) pairs(arg *Arg, v Value) string {
	if v.Kind != KindRecord {
		return w.list(arg.Name, arg, v)
	}
	var out []string
	for i := range v.Parts {
		f := &v.Parts[i]
		a := Arg{Hash: arg.Hash}
		if hashOf(f.Name) == HashNumber {
			a.Hash = HashNone
		}
		out = append(out, f.Name+string(assignSep)+w.scalar(arg.Name+"."+f.Name, &a, f.Value))
	}
	return strings.Join(out, string(pieceSep))
}

func (w *writer) pieces(arg *Arg, v Value) string {
	if v.Kind != KindList {
		w.fail(arg.Name, "not a list")
	}
	var out []string
	for i := range v.Parts {
		path := arg.Name + "[" + strconv.Itoa(i) + "]"
		piece := v.Parts[i].Value.Expand()
		var texts []string
		for j := range arg.Parts {
			part := &arg.Parts[j]
			if e, ok := piece.Get(part.Name); ok {
				texts = append(texts, w.scalar(path+"."+part.Name, part, e))
			}
		}
		texts = w.extra(path, piece, texts)
		w.only(path, piece, arg.Parts)
		out = append(out, strings.Join(texts, string(argSep)))
	}
	text := strings.Join(out, string(pieceSep))
	if n := len(out); n > 0 && out[n-1] == "" {
		text += string(pieceSep) // else it would be taken for none
	}
	return text
}

func (w *writer) extra(path string, record Value, texts []string) []string {
	if v, ok := record.Get("extra"); ok {
		for i, e := range v.Expand().Parts {
			texts = append(texts, w.scalar(path+".extra["+strconv.Itoa(i)+"]", &Arg{}, e.Value))
		}
	}
	return texts
}

// only refuses fields that a record does not have.
func (w *writer) only(path string, record Value, parts []Arg) {
	if record.Kind != KindRecord {
		w.fail(path, "not a record")
	}
	for i := range record.Parts {
		if name := record.Parts[i].Name; name != "extra" && findArg(parts, name) == nil {
			w.fail(path+"."+name, "not a field of this record")
		}
	}
}

// records writes a list of records, one text each.
func (w *writer) records(arg *Arg, v Value, sep byte) []string {
	if v.Kind != KindList {
		w.fail(arg.Name, "not a list")
	}
	var out []string
	for i := range v.Parts {
		path := arg.Name + "[" + strconv.Itoa(i) + "]"
		record := v.Parts[i].Value.Expand()
		w.only(path, record, arg.Parts)
		texts := w.record(path, arg.Parts, record, sep)
		out = append(out, strings.Join(w.extra(path, record, texts), string(argSep)))
	}
	return out
}

// record writes the fields of a record: the first key first, since it begins
// the record, the others in their order.
func (w *writer) record(path string, parts []Arg, record Value, sep byte) []string {
	var texts []string
	groups := 0
	add := func(f *Field) {
		part := findArg(parts, f.Name)
		at := path + "." + f.Name
		switch {
		case part == nil:
		case part.Shape == Group:
			inner := f.Value.Expand()
			w.only(at, inner, part.Parts)
			text := groupKey + string(keySep) + part.Key + string(keySep) + strings.Join(w.extra(at, inner, w.record(at, part.Parts, inner, sep)), string(argSep))
			if groups++; groups > 1 {
				texts[len(texts)-1] += string(pieceSep) + text
			} else {
				texts = append(texts, text)
			}
		default:
			texts = append(texts, part.Key+string(sep)+w.scalar(at, part, f.Value))
		}
	}
	first := parts[0].Name
	for i := range record.Parts {
		if record.Parts[i].Name == first {
			add(&record.Parts[i])
		}
	}
	for i := range record.Parts {
		if record.Parts[i].Name != first {
			add(&record.Parts[i])
		}
	}
	return texts
}

// encodeREST writes a REST command. A field that has the name of an argument may
// be a further key of the envelope none the less.
func (m *Message) encodeREST() (Input, error) {
	in, err := m.envelope(false)
	if err == nil {
		return in, nil
	}
	if in, again := m.envelope(true); again == nil {
		return in, nil
	}
	return Input{}, err
}

func (m *Message) envelope(loose bool) (Input, error) {
	word, body, rest, n, err := m.command(loose)
	if err != nil {
		return Input{}, err
	}
	if n == 0 {
		body = "null" // as the documents print it
	}
	out := appendString([]byte(`{"data":{"type":`), word)
	out = appendString(append(out, `,"body":`...), body)
	out = appendMembers(out, rest)
	return m.checked(Input{Body: append(out, "}}"...), Direction: ToGC})
}

// appendMembers appends fields to an object that has members already.
func appendMembers(dst []byte, fields []Field) []byte {
	for i := range fields {
		dst = appendString(append(dst, ','), fields[i].Name)
		dst = fields[i].Value.AppendJSON(append(dst, ':'))
	}
	return dst
}

// encodeJSON writes a JSON event.
func (m *Message) encodeJSON() (Input, error) {
	word := m.Name
	if m.spec != nil {
		if m.spec.Variant != "" {
			if m.spec = jsonVariant(m.Name, m.Variant); m.spec == nil {
				return Input{}, m.fault("variant", "%q is none of %s", m.Variant, "status, control")
			}
		}
		word = m.spec.Word
	}
	out := appendString([]byte(`{"type":`), word)
	fields := m.Fields
	if _, ok := m.Get("agentId"); !ok && m.Agent != "" {
		fields = append(fields[:len(fields):len(fields)], F("agentId", m.Agent))
	}
	for i := range fields {
		out = appendString(append(out, ','), sourceKey(m.spec, fields[i].Name))
		out = fields[i].Value.AppendJSON(append(out, ':'))
	}
	w := *m
	w.Fields = fields
	return w.checked(Input{Body: append(out, '}'), Direction: FromGC})
}

func jsonVariant(name, variant string) *Spec {
	for _, s := range jsonRows {
		if s.Name == name && s.Variant == variant {
			return s
		}
	}
	return nil
}

// sourceKey returns the key that the documents print for a field.
func sourceKey(s *Spec, name string) string {
	if s != nil {
		for i := range s.Keys {
			if s.Keys[i].Name == name {
				return s.Keys[i].Keys[0]
			}
		}
	}
	return name
}

// encodeXUC writes a frame.
func (m *Message) encodeXUC() (Input, error) {
	if m.Kind == KindCommand {
		out := []byte(`{"claz":"ping"`)
		if m.Name != "ping" {
			out = appendString([]byte(`{"claz":"web","command":`), m.Name)
		}
		return m.checked(Input{Body: append(appendMembers(out, m.Fields), '}'), Direction: ToGC})
	}
	out := appendString([]byte(`{"msgType":`), m.Name)
	out = append(out, `,"ctiMessage":`...)
	bare, isBare := m.bareContent()
	switch {
	case len(m.Fields) == 0:
		out = append(out, "null"...)
	case isBare:
		out = bare.AppendJSON(out)
	default:
		out = appendRecord(out, m.Fields)
	}
	return m.checked(Input{Body: append(out, '}'), Direction: FromGC})
}

// bareContent returns what stands for ctiMessage by itself: items alone with
// an array, value alone with a scalar.
func (m *Message) bareContent() (Value, bool) {
	if len(m.Fields) != 1 {
		return Value{}, false
	}
	f := &m.Fields[0]
	v := f.Value.Expand()
	switch f.Name {
	case "items":
		return f.Value, v.Kind == KindList
	case "value":
		_, ok := v.Scalar()
		return f.Value, ok
	}
	return Value{}, false
}

// checked reads what was written and refuses it when it says something else.
func (m *Message) checked(in Input) (Input, error) {
	got := Decode(in, Options{HashToken: m.opts.HashToken, Limit: max(len(in.Body), 1)})
	switch {
	case got.Name != m.Name:
		return Input{}, m.fault("name", "cannot be written: it is read as %q", got.Name)
	case got.Protocol != m.Protocol || got.Kind != m.Kind:
		return Input{}, m.fault("", "cannot be written: it is read as %s %s", got.Protocol, got.Kind)
	case got.Agent != m.Agent && m.Agent != "":
		return Input{}, m.fault("agent", "%q cannot be written: it is read as %q", m.Agent, got.Agent)
	}
	if path, differ := difference("", m.Fields, got.Fields); differ {
		want, _ := m.Get(path)
		return Input{}, m.fault(path, "%s cannot be written here: it would be read otherwise", want.AppendJSON(nil))
	}
	if got.Variant != m.Variant && m.Variant != "" {
		return Input{}, m.fault("variant", "with these fields it is read as %s", got.Variant)
	}
	return in, nil
}

// difference returns the path of the first field that differs. The order of
// fields counts for nothing; a number is the same as its text.
func difference(prefix string, want, got []Field) (path string, differ bool) {
	wanted, read := finder{fields: want}, finder{fields: got}
	for i := range want {
		w := &want[i]
		at := below(prefix, w.Name)
		g := read.find(w.Name, i)
		if g < 0 {
			return at, true
		}
		if p, differ := differValue(at, w.Value, got[g].Value); differ {
			return p, true
		}
	}
	for i := range got {
		if wanted.find(got[i].Name, i) < 0 {
			return below(prefix, got[i].Name), true
		}
	}
	return "", false
}

// A finder finds fields by name: at the index where they are expected, or in a
// map that is made when one is not there.
type finder struct {
	fields []Field
	index  map[string]int
}

// find returns where the field is, -1 when there is none.
func (f *finder) find(name string, expected int) int {
	if expected < len(f.fields) && f.fields[expected].Name == name {
		return expected
	}
	if f.index == nil {
		f.index = make(map[string]int, len(f.fields))
		for i := range f.fields {
			f.index[f.fields[i].Name] = i
		}
	}
	if i, ok := f.index[name]; ok {
		return i
	}
	return -1
}

func below(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

func direct(fields []Field, name string) (Value, bool) {
	for i := range fields {
		if fields[i].Name == name {
			return fields[i].Value, true
		}
	}
	return Value{}, false
}

func differValue(at string, want, got Value) (path string, differ bool) {
	want, got = want.Expand(), got.Expand()
	if w, ok := want.Scalar(); ok {
		g, ok := got.Scalar()
		return at, !ok || w != g
	}
	if want.Kind == KindJSON || got.Kind == KindJSON {
		return at, want.Kind != got.Kind || want.Text != got.Text
	}
	if want.Kind == KindRecord && got.Kind == KindRecord {
		return difference(at, want.Parts, got.Parts)
	}
	if want.Kind != got.Kind || len(want.Parts) != len(got.Parts) {
		return at, true
	}
	for i := range want.Parts {
		if p, differ := differValue(at+"["+strconv.Itoa(i)+"]", want.Parts[i].Value, got.Parts[i].Value); differ {
			return p, true
		}
	}
	return "", false
}
