// Package capture holds what every source, reader and player of traffic
// shares: the Record of one message as it was seen, the Link to a broker as its
// users see it, and the Recorder that brings records to a store without ever
// holding up whoever reads them.
//
// It knows nothing of STOMP, of SQLite or of the protocol inside a body: the
// mask for secrets and the like are functions handed to it.
package capture

import (
	"encoding/json"
	"strings"
	"time"
)

// Direction says what a Record is.
type Direction string

const (
	Command Direction = "command" // client to GC
	Event   Direction = "event"   // GC to client
	Peer    Direction = "peer"    // GC to GC, on the topic ConnectorSync
	GapRow  Direction = "gap"     // something may be missing here: see Gap
	Note    Direction = "note"    // what the source saw beside messages
)

// BodyKind is the JMS kind of a body. STOMP cannot tell a null body from an
// empty one; such a body is Unknown.
type BodyKind string

const (
	Text    BodyKind = "text"
	Bytes   BodyKind = "bytes"
	Map     BodyKind = "map"
	Null    BodyKind = "null"
	None    BodyKind = "none"
	Unknown BodyKind = "unknown"
)

// A Header is one header or property of a message, as it came.
type Header struct{ Name, Value string }

// A Mask marks bytes that were replaced because they held a secret. Start and
// End are byte offsets into the masked text, which is the body, or for a Field
// "type:…" or "header:NAME" that text. A Mask of the whole body has no Field.
type Mask struct {
	Field      string `json:"field"`
	Start, End int
}

// Whole reports whether the mask covers a whole body whose secret could not be
// told from the rest. Such a record is never sent by a replay.
func (m Mask) Whole() bool { return m.Field == "" }

// MarshalJSON writes the keys of `show --json`.
func (m Mask) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Field string `json:"field"`
		Start int    `json:"start"`
		End   int    `json:"end"`
	}{m.Field, m.Start, m.End})
}

// A Record is one message as it was seen, secrets masked. It is written once
// and never changed; all else the tool shows is worked out from it again.
//
// Destinations are written queue://NAME, topic://NAME or temp-topic://NAME.
type Record struct {
	Seq        int64         // 1, 2, … in the session; the only order there is
	CapturedAt time.Time     // the tap's wall clock
	Mono       time.Duration // since the recording began, never running back
	SentAt     *time.Time    // the producer's clock; nil where unknown
	Direction  Direction
	Source     string // stomp, pcap, proxy, rest, xuc, import
	Via        string // mode, file or listener
	Conn       string // connection it was seen on, or its producer's
	From       string // sending endpoint, where the source knows it
	To         string // where its sender sent it; a mirrored command: its queue
	OriginalTo string // the broker's own word for To, where it gives one
	ReplyTo    string
	MessageID  string // the same on every copy of one message; empty: no key

	CorrelationID string
	JMSType       *string // nil: absent, which is not the same as empty
	BodyKind      BodyKind
	Body          []byte
	Headers       []Header // in order, repeated names kept; those above left out
	Masked        []Mask
	Truncated     int64 // bytes of the body that were not kept
}

// Type returns the JMSType, empty where there is none.
func (r *Record) Type() string {
	if r.JMSType == nil {
		return ""
	}
	return *r.JMSType
}

// Header returns the first value of the named header, empty where absent.
func (r *Record) Header(name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// MaskedWhole reports whether the whole body was masked.
func (r *Record) MaskedWhole() bool {
	for _, m := range r.Masked {
		if m.Whole() {
			return true
		}
	}
	return false
}

// Reasons of a Gap.
const (
	GapReconnect = "reconnect" // the connection was down
	GapOverflow  = "overflow"  // the tap could not keep up and dropped
	GapDiscarded = "discarded" // the broker says that it discarded
	GapStopped   = "stopped"   // the recording stood still
	GapCrash     = "crash"     // the recorder died

	GapMissing    = "missing"    // bytes of a connection that a capture does not hold
	GapUnreadable = "unreadable" // bytes of a connection that are no frame of its protocol
)

// GapReasons are all of them.
var GapReasons = []string{GapReconnect, GapOverflow, GapDiscarded, GapStopped, GapCrash, GapMissing, GapUnreadable}

// A Gap is a stretch of time in which messages may be missing.
type Gap struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
	Lost   *int64    `json:"lost"` // nil where not known
}

// Record returns the row that stands for the gap, captured at its end.
func (g Gap) Record() Record {
	body, err := json.Marshal(g)
	if err != nil { // only a time outside years 0 to 9999
		body = []byte(`{"reason":"` + g.Reason + `"}`)
	}
	return Record{CapturedAt: g.To, Direction: GapRow, BodyKind: Text, Body: body}
}

// Gap returns the gap that a row of Direction GapRow stands for.
func (r *Record) Gap() (Gap, bool) {
	var g Gap
	if r.Direction != GapRow || json.Unmarshal(r.Body, &g) != nil {
		return Gap{}, false
	}
	return g, true
}

// GapPlace says for people where on the wire a gap row is, what is missing
// there and why: the headers that a source gave the row; empty where there are
// none.
func (r *Record) GapPlace() string {
	text := ""
	add := func(before, header, after string) {
		if v := r.Header(header); v != "" {
			text += before + v + after
		}
	}
	add("", "tcp.missing", " bytes not captured")
	if text != "" && r.Header("tcp.unread") != "" {
		text += ", "
	}
	add("", "tcp.unread", " bytes not readable")
	add(" from ", "tcp.from", "")
	add(" to ", "tcp.to", "")
	add(" at byte ", "tcp.offset", "")
	add(": ", "tcp.why", "")
	return strings.TrimPrefix(text, ": ")
}
