package decode

import "strconv"

// Direction is what the caller knows of a message's way.
type Direction uint8

// The ways of a message.
const (
	AnyDirection Direction = iota
	ToGC                   // a command
	FromGC                 // an event, or GC-to-GC traffic
)

// Input is a message as it stands on the wire.
type Input struct {
	Type      *string // JMSType; nil: absent
	Body      []byte  // nil: the message had none, which is not the same as empty
	Direction Direction
}

// Options are the settings of a site. The zero value is the default.
type Options struct {
	HashToken string // exact spelling of an escaped '#'; "none" turns unescaping off
	Limit     int    // bytes of a body that are decoded; 0: 1 MiB
}

// The protocols and kinds of a Message.
const (
	GCText  = "gc-text" // JMSType and delimited body
	GCJSON  = "gc-json" // an event as a JSON object
	GCREST  = "gc-rest" // the data envelope of a REST command
	XUC     = "xuc"     // a frame of the XiVO CTI web socket
	Unknown = "unknown" // protocol and kind of what is none of these

	KindCommand = "command"
	KindEvent   = "event"
)

// Message is what Decode makes of an Input. A Message that Decode made keeps
// its bytes, and [Encode] gives them back; one that is built from Protocol,
// Kind, Name, Variant, Agent and Fields alone is written by the grammar.
type Message struct {
	Protocol string // GCText, GCJSON, GCREST, XUC or Unknown
	Kind     string // KindCommand, KindEvent or Unknown
	Name     string // canonical; of an unknown message the word on the wire
	Variant  string // which of the documented forms; "" where there is one only
	Agent    string // id in the JMSType or head; "" where there is none
	Fields   []Field
	Findings []Finding // in the order of their places; at most MaxFindings
	Omitted  int       // findings beyond MaxFindings, counted only

	spec    *Spec
	form    *Form
	raw     string // the body's bytes
	jmsType string
	opts    Options
	nameAt  span
	agentAt span
	input   inputKind
	dir     Direction
	inType  bool // name and agent stand in the JMSType, not in the body
}

// MaxFindings bounds what is kept for one message: a hostile body can hold as
// many faults as bytes.
const MaxFindings = 10_000

// inputKind remembers what Input was nil.
type inputKind uint8

const (
	decoded inputKind = 1 << iota // made by Decode
	hasType
	hasBody
)

// A span is a place [start,end) in the body or the JMSType, in bytes.
type span struct{ start, end int32 }

func (s span) of(text string) string { return text[s.start:s.end] }
func (s span) len() int              { return int(s.end - s.start) }

// A Field is one named value of a message or record.
type Field struct {
	Name  string
	Value Value
}

// ValueKind says what a Value holds.
type ValueKind uint8

// The kinds of a Value. The zero value is an empty text.
const (
	KindText   ValueKind = iota // Text
	KindList                    // Parts, their names empty
	KindRecord                  // Parts, in wire order
	KindJSON                    // Text, a number, true, false, null, array or object as its source spelt it
)

// A Value is what a field holds.
type Value struct {
	Text  string // of KindText the text after unescaping; of KindJSON the JSON text
	Parts []Field
	at    span
	Kind  ValueKind
	flags valueFlags
}

type valueFlags uint8

const (
	valueInType valueFlags = 1 << iota // at is a place in the JMSType
	valueSecret                        // a password
	valueQuoted                        // at is the inside of a JSON string
	valueBuilt                         // not read from bytes: at means nothing
)

// TextOf returns a text.
func TextOf(s string) Value { return Value{Text: s} }

// ListOf returns a list of values.
func ListOf(values ...Value) Value {
	parts := make([]Field, len(values))
	for i, v := range values {
		parts[i].Value = v
	}
	return Value{Kind: KindList, Parts: parts}
}

// RecordOf returns a record with fields in the given order.
func RecordOf(fields ...Field) Value { return Value{Kind: KindRecord, Parts: fields} }

// JSONOf returns a value that is written as the given JSON text.
func JSONOf(text string) Value { return Value{Kind: KindJSON, Text: text} }

// F is short for a field that holds a text.
func F(name, text string) Field { return Field{Name: name, Value: TextOf(text)} }

// Spec returns the row of the table for the message; nil when its name is not
// in the protocol, and for xuc, whose rows are those of decode/xuc.
func (m *Message) Spec() *Spec {
	if m.spec == nil && m.input&decoded == 0 {
		return lookupSpec(m.Protocol, m.Kind, m.Name)
	}
	return m.spec
}

// Form returns the form of Spec that the message was read by; nil when there
// is none.
func (m *Message) Form() *Form { return m.form }

// Get returns the value at a path: "dialogId", "participants[0].state",
// "callVariables.ani". Elements count from 0. A path also leads into JSON
// values; where names hold dots the longest name wins.
func (m *Message) Get(path string) (Value, bool) { return lookupPath(m.Fields, path) }

// Text returns the value at a path as a text: a text as it is, a JSON number
// or boolean as spelt; "" when it is absent, null, a list or a record.
func (m *Message) Text(path string) string {
	v, ok := m.Get(path)
	if !ok {
		return ""
	}
	s, _ := v.Scalar()
	return s
}

// Has reports whether the message has a finding of the code.
func (m *Message) Has(code string) bool {
	for i := range m.Findings {
		if m.Findings[i].Code == code {
			return true
		}
	}
	return false
}

// Scalar returns a text, number or boolean as a text; false for null, lists
// and records.
func (v Value) Scalar() (string, bool) {
	switch v.Kind {
	case KindText:
		return v.Text, true
	case KindJSON:
		if len(v.Text) > 0 && v.Text[0] != '{' && v.Text[0] != '[' && v.Text[0] != 'n' {
			return v.Text, true
		}
	}
	return "", false
}

// Secret reports whether the value is a password.
func (v Value) Secret() bool { return v.flags&valueSecret != 0 }

// Get returns the value at a path below v, as Message.Get does.
func (v Value) Get(path string) (Value, bool) {
	if path == "" {
		return v, true
	}
	v = v.Expand()
	if path[0] == '[' {
		return lookupElement(v, path)
	}
	if v.Kind == KindRecord {
		return lookupPath(v.Parts, path)
	}
	return Value{}, false
}

func lookupPath(fields []Field, path string) (Value, bool) {
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Name == path {
			return fields[i].Value, true
		}
	}
	for i := len(fields) - 1; i >= 0; i-- {
		if v, ok := lookupBelow(&fields[i], path); ok {
			return v, true
		}
	}
	return Value{}, false
}

// lookupBelow follows a path that begins with the field's name.
func lookupBelow(f *Field, path string) (Value, bool) {
	n := len(f.Name)
	if n >= len(path) || path[:n] != f.Name {
		return Value{}, false
	}
	switch path[n] {
	case '.':
		if v := f.Value.Expand(); v.Kind == KindRecord {
			return lookupPath(v.Parts, path[n+1:])
		}
	case '[':
		return lookupElement(f.Value.Expand(), path[n:])
	}
	return Value{}, false
}

// lookupElement follows a path that begins with an index in brackets.
func lookupElement(v Value, path string) (Value, bool) {
	end := 1
	for end < len(path) && path[end] >= '0' && path[end] <= '9' {
		end++
	}
	if end == len(path) || path[end] != ']' || v.Kind != KindList {
		return Value{}, false
	}
	i, err := strconv.Atoi(path[1:end])
	if err != nil || i >= len(v.Parts) {
		return Value{}, false
	}
	rest := path[end+1:]
	if rest != "" && rest[0] == '.' {
		rest = rest[1:]
	}
	return v.Parts[i].Value.Get(rest)
}

// Equal reports whether two values are the same text, list, record or JSON
// text. Records are compared in order; places do not count.
func (v Value) Equal(w Value) bool {
	if v.Kind != w.Kind || v.Text != w.Text || len(v.Parts) != len(w.Parts) {
		return false
	}
	for i := range v.Parts {
		if v.Parts[i].Name != w.Parts[i].Name || !v.Parts[i].Value.Equal(w.Parts[i].Value) {
			return false
		}
	}
	return true
}

// Span returns where the value stands in the body, or with inType in the
// JMSType, as byte offsets; ok is false for a value that was not read.
func (v Value) Span() (start, end int, inType, ok bool) {
	return int(v.at.start), int(v.at.end), v.flags&valueInType != 0, v.flags&valueBuilt == 0
}
