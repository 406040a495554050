package decode_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gctap/decode"
)

// The floor of each benchmark is a plain split of the same bytes at every
// separator that the message holds: tokens, record parts, key and value; for
// JSON it is encoding/json into a map.

func command(word, body string) decode.Input {
	return decode.Input{Type: &word, Body: []byte(body), Direction: decode.ToGC}
}

func event(body string) decode.Input {
	return decode.Input{Body: []byte(body), Direction: decode.FromGC}
}

var (
	benchCommand = command("ConsultCall#1001", "3002,16804378")
	benchState   = event("1001#State#NOT_READY#22#2026-11-21T09:04:11##2026-11-21 10:00:00#José Müller#1001#3001#Pause café#José Müller#jmuller")
	benchRinging = event("1001#NewInboundCall#+442071234567#ani=+442071234567|callVariable1=VIP|callVariable4=null#DialogID:16804378#CallType:PREROUTE_ACD_IN#2026-11-21 09:01:58")
	benchCall    = event("5000#InboundCall#ACTIVE#DialogID:17672721#42512#ani=42512|associatedDialogId=17672718|callVariable1=|callVariable2=null|callVariable3=https://crm.example.org/open?id=77&t=a:b|user.cvp=10.0.0.5:8000#2022-07-22 18:16:47#CallType:CONSULT_IN#ParticipantsCount:2#participants:42053,ACTIVE,AGENT_DEVICE,,2022-07-22 18:16:47|42512,ACTIVE,AGENT_DEVICE,,2022-07-22 18:16:47")
	benchQueues  = event("2001#QueueList#" + strings.Repeat("QueueName:Sales_FR,AgentsNotReady:3,AgentsReady:5,AgentsTalkingInbound:2,AgentsTalkingInternal:0,AgentsTalkingOutbound:1,AgentsWrapUpNotReady:0,AgentsWrapUpReady:1,CallsInQueue:4,StartTimeOfLongestCallInQueue:2026-11-21 09:03:17#", 19) + "QueueName:Support,AgentsNotReady:0,AgentsReady:0,AgentsTalkingInbound:0,AgentsTalkingInternal:0,AgentsTalkingOutbound:0,AgentsWrapUpNotReady:0,AgentsWrapUpReady:0,CallsInQueue:0,StartTimeOfLongestCallInQueue:")
	benchJSON    = event(`{"type":"InboundCall","dialogID":"16804378","state":"ACTIVE","startTime":"2026-11-21 09:02:00","associatedDialogId":null,"fromAddress":"42512","callVariables":{"callVariable1":"Gold","callVariable2":null},"participants":[{"extension":"3001","state":"ACTIVE"}],"callType":"ACD_IN","agentId":"1001","queueName":"Sales_FR"}`)
)

var message decode.Message

func benchDecode(b *testing.B, in decode.Input) {
	b.SetBytes(int64(len(in.Body)))
	b.ReportAllocs()
	for b.Loop() {
		message = decode.Decode(in, decode.Options{})
	}
}

func BenchmarkDecodeCommand(b *testing.B)   { benchDecode(b, benchCommand) }
func BenchmarkDecodeEvent(b *testing.B)     { benchDecode(b, benchState) }
func BenchmarkDecodeRinging(b *testing.B)   { benchDecode(b, benchRinging) }
func BenchmarkDecodeCall(b *testing.B)      { benchDecode(b, benchCall) }
func BenchmarkDecodeQueueList(b *testing.B) { benchDecode(b, benchQueues) }
func BenchmarkDecodeJSON(b *testing.B)      { benchDecode(b, benchJSON) }

var parts int

// splitAt splits text at the first separator, and what that gives at the next.
func splitAt(text string, seps ...string) {
	if len(seps) == 0 {
		return
	}
	for _, part := range strings.Split(text, seps[0]) {
		parts++
		if len(seps) > 1 && strings.Contains(part, seps[1]) {
			splitAt(part, seps[1:]...)
		}
	}
}

func benchSplit(b *testing.B, split func()) {
	b.ReportAllocs()
	for b.Loop() {
		split()
	}
}

func BenchmarkSplitCommand(b *testing.B) {
	benchSplit(b, func() {
		splitAt(*benchCommand.Type, "#")
		splitAt(string(benchCommand.Body), ",")
	})
}

func BenchmarkSplitEvent(b *testing.B) {
	benchSplit(b, func() { splitAt(string(benchState.Body), "#") })
}

func BenchmarkSplitRinging(b *testing.B) {
	benchSplit(b, func() { splitCall(string(benchRinging.Body), 3, 0) })
}

func BenchmarkSplitCall(b *testing.B) {
	benchSplit(b, func() { splitCall(string(benchCall.Body), 5, 9) })
}

// splitCall splits a call event: keyed tokens, the variables at token vars and
// the participants, which are the last.
func splitCall(body string, vars, participants int) {
	for i, token := range strings.Split(body, "#") {
		switch {
		case i == vars:
			splitAt(token, "|", "=")
		case i == participants && i > 0:
			splitAt(strings.SplitN(token, ":", 2)[1], "|", ",")
		case strings.Contains(token, ":"):
			parts += len(strings.SplitN(token, ":", 2))
		}
	}
}

func BenchmarkSplitQueueList(b *testing.B) {
	benchSplit(b, func() { splitAt(string(benchQueues.Body), "#", ",", ":") })
}

func BenchmarkSplitJSON(b *testing.B) {
	benchSplit(b, func() {
		var m map[string]any
		if err := json.Unmarshal(benchJSON.Body, &m); err != nil {
			b.Fatal(err)
		}
		parts += len(m)
	})
}

// The recorder masks every message before it keeps it.
func BenchmarkMask(b *testing.B) {
	k := decode.NewMasker()
	for i := range 1000 {
		k.Learn("secret number " + string(rune('a'+i%26)) + strings.Repeat("x", i%7))
	}
	b.SetBytes(int64(len(benchCall.Body)))
	b.ReportAllocs()
	for b.Loop() {
		k.Mask(benchCall)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	m := decode.Decode(benchCall, decode.Options{})
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = m.AppendJSON(line[:0], decode.JSONOptions{})
	}
}

func BenchmarkEncode(b *testing.B) {
	m := decode.Decode(benchCall, decode.Options{})
	built := decode.Message{Kind: m.Kind, Name: m.Name, Variant: m.Variant, Agent: m.Agent, Fields: m.Fields}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode.Encode(&built); err != nil {
			b.Fatal(err)
		}
	}
}
