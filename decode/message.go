// Package decode holds the grammar of the GC protocol and nothing else: it
// does no I/O, knows no clock, keeps no state and never panics on input.
package decode

// Direction is what the caller knows of a message's way.
type Direction uint8

const (
	AnyDirection Direction = iota
	ToGC                   // a command
	FromGC                 // an event, or GC-to-GC traffic
)

// Input is a message as it stands on the wire.
type Input struct {
	Type      *string // JMSType; nil: absent
	Body      []byte
	Direction Direction
}

// Options are the settings of a site. The zero value is the default.
type Options struct {
	HashToken string // exact spelling of an escaped '#'; "none" turns unescaping off
	Limit     int    // bytes of a body that are decoded; 0: 1 MiB
}

// Message is what Decode makes of an Input.
type Message struct {
	Protocol string // gc-text, gc-json, gc-rest, xuc, unknown
	Kind     string // command, event, unknown
	Name     string
	Variant  string
	Agent    string
	Fields   []Field // in wire order
	Findings []Finding
}

// A Field is one named value of a message or record.
type Field struct {
	Name  string
	Value Value
}

// A Finding is what is wrong or notable in a message.
type Finding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Field    string `json:"field,omitempty"`
	Offset   int    `json:"offset"`
	Text     string `json:"text"`
}

// A Value is what a field holds: a text, a list, a record, or a JSON value as
// its source spelt it.
type Value struct {
	Text string
}

// Decode reads one message. It never fails.
func Decode(in Input, o Options) Message {
	return Message{Protocol: "unknown", Kind: "unknown"}
}
