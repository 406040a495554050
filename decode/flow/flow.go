// Package flow says what messages mean together: whose conversation a message
// belongs to, which events answer a command, how a call and an agent's state
// go on, where an id was born and where it is used. It reads messages once, in
// the order of Record.Seq, in memory that is bounded by what is open and not by
// the length of the session.
//
// What the protocol says comes from decode's table; what is worked out over
// several messages is worked out here and nowhere else: stats, checks, the
// audit, replay's gates, the comparison and the viewer's ladder read it.
package flow

import (
	"strings"

	"gctap/capture"
	"gctap/decode"
)

// Decode reads the message of a record with the direction the record knows.
// Gap rows and notes hold no message: they give kind "unknown".
func Decode(rec *capture.Record, o decode.Options) decode.Message {
	in := decode.Input{Type: rec.JMSType, Body: rec.Body}
	switch rec.Direction {
	case capture.Command:
		in.Direction = decode.ToGC
	case capture.Event, capture.Peer:
		in.Direction = decode.FromGC
	case capture.GapRow, capture.Note:
		return decode.Message{Protocol: "unknown", Kind: "unknown"}
	}
	return decode.Decode(in, o)
}

// Bare returns the name of a destination without queue://, topic:// or
// temp-topic://: what clients write into Hello, Beat and Connect.
func Bare(destination string) string {
	if _, name, ok := strings.Cut(destination, "://"); ok {
		return name
	}
	return destination
}
