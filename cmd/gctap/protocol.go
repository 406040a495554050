package main

import (
	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// What the tap and the recorder know of the protocol they are told here.

// handshakeTopics returns the client topic that a Hello, Beat or Connect
// names.
func handshakeTopics(rec *capture.Record) []string {
	m := flow.Decode(rec, decode.Options{})
	if topic := m.Text("clientDestination"); m.Kind == "command" && topic != "" {
		return []string{topic}
	}
	return nil
}

// isEvent reports whether a message on a topic that nobody has named is GC's:
// an event of the protocol that decodes without an error. Other applications
// use JSON with a "type" too, so a JSON event must also name its agent.
func isEvent(rec *capture.Record) bool {
	m := flow.Decode(rec, decode.Options{})
	if m.Kind != "event" || m.Spec() == nil || !wellFormed(&m) {
		return false
	}
	return m.Protocol == "gc-text" || m.Protocol == "gc-json" && m.Agent != ""
}

// wellFormed reports whether a message has a name and values of the protocol.
func wellFormed(m *decode.Message) bool {
	for _, f := range m.Findings {
		if f.Severity == "error" || f.Code == "unknown-name" || f.Code == "bad-value" {
			return false
		}
	}
	return m.Kind != decode.Unknown
}

// maskRecord returns what a recorder does to every record before it keeps it:
// the secrets of its body are masked, and wherever in the record a secret turns
// up that was seen before.
func maskRecord(k *decode.Masker) func(*capture.Record) {
	return func(rec *capture.Record) {
		defer func() {
			// A mistake of ours must cost neither the recording nor a secret: the
			// message is kept without its body, and says so.
			if recover() != nil {
				rec.Body = []byte("***")
				rec.Headers = nil
				rec.Masked = []capture.Mask{{End: len(rec.Body)}}
			}
		}()
		if rec.Direction == capture.Note && rec.Source != "rest" { // in the tap's own words
			rec.Body = []byte(k.Text(string(rec.Body)))
			maskHeaders(k, rec)
			return
		}
		in := decode.Input{Type: rec.JMSType, Body: rec.Body, Direction: decode.FromGC}
		if rec.Direction == capture.Command {
			in.Direction = decode.ToGC
		}
		out, masks := k.Mask(in)
		rec.JMSType, rec.Body = out.Type, out.Body
		for _, m := range masks {
			rec.Masked = append(rec.Masked, capture.Mask{Field: m.Field, Start: m.Start, End: m.End})
		}
		maskHeaders(k, rec)
		for _, text := range []*string{&rec.ReplyTo, &rec.CorrelationID, &rec.To, &rec.OriginalTo} {
			*text = k.Text(*text)
		}
	}
}

// maskHeaders masks the secrets in a record's headers that were seen before, and
// those that say what they are.
func maskHeaders(k *decode.Masker, rec *capture.Record) {
	for i := range rec.Headers {
		h := &rec.Headers[i]
		if masked := k.Text(h.Value); masked != h.Value {
			h.Value = masked
			rec.Masked = append(rec.Masked, capture.Mask{Field: "header:" + h.Name, End: len(masked)})
		}
	}
}
