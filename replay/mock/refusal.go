package mock

import (
	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// Refusal is the Error event that answers a command which the recording cannot:
// text, with the code GENERAL_ERROR of the protocol's list. False where the
// command names no agent who could be told, or the agent has no topic yet.
func (p *Player) Refusal(rec *capture.Record) (capture.Outgoing, bool) {
	msg := flow.Decode(rec, decode.Options{})
	topic := msg.Text("clientDestination")
	if part, ok := p.names.parts[msg.Agent]; ok && topic == "" {
		topic = p.names.desks[part]
	}
	if topic == "" {
		topic = flow.Bare(rec.ReplyTo)
	}
	if msg.Agent == "" || topic == "" {
		return capture.Outgoing{}, false
	}
	in, err := decode.Encode(&decode.Message{Protocol: decode.GCText, Kind: decode.KindEvent, Name: "Error", Agent: msg.Agent,
		Fields: []decode.Field{{Name: "errorCode", Value: decode.TextOf("GENERAL_ERROR")}}})
	return capture.Outgoing{To: "topic://" + topic, Body: in.Body}, err == nil
}
