package decode_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gctap/decode"
)

// object is what a message says, as decode-json has it.
func object(t testing.TB, m *decode.Message) map[string]any {
	t.Helper()
	var got map[string]any
	line := m.AppendJSON(nil, decode.JSONOptions{ShowSecrets: true})
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, line)
	}
	return got
}

// Every message without findings is written from its object so that it is read
// as the same object again.
func TestEncodeFromObject(t *testing.T) {
	for _, file := range corpusFiles(t) {
		for _, c := range readCorpus(t, file) {
			m := decode.Decode(c.input(), decode.Options{})
			if slices.ContainsFunc(m.Findings, func(f decode.Finding) bool { return f.Code != decode.SecretField }) {
				continue
			}
			t.Run(c.ID, func(t *testing.T) { reencode(t, &m) })
		}
	}
}

func reencode(t *testing.T, m *decode.Message) {
	want := object(t, m)
	built, err := decode.FromJSON(m.AppendJSON(nil, decode.JSONOptions{ShowSecrets: true}))
	if err != nil {
		t.Fatal(err)
	}
	in, err := decode.Encode(&built)
	if err != nil {
		t.Fatalf("%v: %v", want, err)
	}
	again := decode.Decode(in, decode.Options{})
	got := object(t, &again)
	delete(got, "findings")
	delete(want, "findings")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written as %q %q (-want +got)\n%s", text(in.Type), in.Body, diff)
	}
}

// Every form of the table has an example that is read as it was meant and
// without findings.
func TestExamples(t *testing.T) {
	check := func(s *decode.Spec, f *decode.Form, variant string) {
		m := s.Example(f)
		in, err := decode.Encode(&m)
		if err != nil {
			t.Errorf("%s %s: %v", s.Name, variant, err)
			return
		}
		got := decode.Decode(in, decode.Options{})
		if got.Name != s.Name || got.Variant != variant {
			t.Errorf("%s %s is written as %q, which is read as %s %s", s.Name, variant, in.Body, got.Name, got.Variant)
		}
		for _, f := range got.Findings {
			if f.Code != decode.SecretField && !(f.Code == decode.Alias && variant == "codes-key") {
				t.Errorf("%s %s is written as %q: finding %s on %s", s.Name, variant, in.Body, f.Code, f.Field)
			}
		}
	}
	for _, s := range append(decode.Commands(), decode.Events()...) {
		for i := range s.Forms {
			check(s, &s.Forms[i], s.Forms[i].Variant)
		}
	}
	for _, s := range decode.JSONEvents() {
		check(s, nil, s.Variant)
	}
}

func TestEncode(t *testing.T) {
	list := func(s ...string) decode.Value {
		var v []decode.Value
		for _, e := range s {
			v = append(v, decode.TextOf(e))
		}
		return decode.ListOf(v...)
	}
	tests := []struct {
		name string
		m    decode.Message
		typ  string
		body string
		err  string
	}{
		{name: "command by its name alone", m: decode.Message{Name: "Logout", Agent: "1001"}, typ: "Logout#1001"},
		{name: "name in another case", m: decode.Message{Name: "logout", Agent: "1001"}, typ: "Logout#1001"},
		{name: "field in the JMSType", m: decode.Message{Name: "Hello", Fields: []decode.Field{decode.F("clientDestination", "desk")}}, typ: "Hello#desk"},
		{name: "the word to send", m: decode.Message{Name: "ScheduleCallback", Agent: "1", Fields: []decode.Field{decode.F("callbackNumber", "4"), decode.F("targetMediaAddress", "1"), decode.F("dialogId", "2"), decode.F("callbackTime", "3")}}, typ: "SHCEDULECALLBACK#1", body: "1,2,3,4"},
		{name: "optional left out", m: decode.Message{Name: "GetTeamUsers", Agent: "1", Fields: []decode.Field{decode.F("teamId", "5")}}, typ: "getteamusers#1", body: "5"},
		{name: "number as JSON", m: decode.Message{Name: "LogoutWithReason", Agent: "1", Fields: []decode.Field{{Name: "reasonCode", Value: decode.JSONOf("12")}}}, typ: "logoutwithreason#1", body: "12"},
		{name: "newest form that fits", m: decode.Message{Name: "State", Agent: "1001", Fields: []decode.Field{decode.F("state", "RE_LOGIN")}}, body: "1001#State#RE_LOGIN"},
		{name: "# in data", m: decode.Message{Name: "State", Agent: "1", Variant: "old", Fields: []decode.Field{decode.F("state", "READY"), decode.F("fullName", "Desk #2")}}, body: "1#State#READY#Desk 001000112"},
		{name: "no queue", m: decode.Message{Kind: "event", Name: "QueueList", Agent: "1", Fields: []decode.Field{{Name: "queue", Value: decode.ListOf()}}}, body: "1#QueueList#"},
		{name: "no phonebook", m: decode.Message{Name: "Phonebooks", Agent: "1", Variant: "none"}, body: "1#Phonebooks#NoPhoneBookFound"},
		{name: "administrator", m: decode.Message{Name: "Phonebooks", Fields: []decode.Field{{Name: "phonebooks", Value: decode.ListOf(decode.RecordOf(decode.F("id", "1"), decode.F("type", "TEAM"), decode.F("name", "A")))}}}, body: "Phonebooks#name:A,id:1,type:TEAM"},
		{name: "REST without arguments", m: decode.Message{Protocol: "gc-rest", Name: "GetState", Agent: "1"}, body: `{"data":{"type":"GetState#1","body":"null"}}`},
		{name: "JSON event", m: decode.Message{Protocol: "gc-json", Name: "ConsultCall", Agent: "1", Fields: []decode.Field{decode.F("associatedDialogId", "7")}}, body: `{"type":"ConsultCall","assDialogId":"7","agentId":"1"}`},
		{name: "unknown name", m: decode.Message{Protocol: "gc-text", Kind: "command", Name: "MakeCoffee", Agent: "1", Fields: []decode.Field{{Name: "args", Value: list("2", "sugar")}}}, typ: "MakeCoffee#1", body: "2,sugar"},
		{name: "xuc ping", m: decode.Message{Name: "ping"}, body: `{"claz":"ping"}`},

		{name: "name of both", m: decode.Message{Name: "ConsultCall", Agent: "1"}, err: "ConsultCall.kind: missing: ConsultCall is the name of a command and of an event"},
		{name: "no name", err: "name: missing"},
		{name: "unknown name without protocol", m: decode.Message{Name: "MakeCoffee"}, err: `name: "MakeCoffee" is not in the protocol; give protocol and kind to write it all the same`},
		{name: "no agent", m: decode.Message{Name: "Logout"}, err: "Logout.agent: missing"},
		{name: "no destination", m: decode.Message{Name: "Beat"}, err: "Beat.clientDestination: missing"},
		{name: "argument missing", m: decode.Message{Name: "Login", Agent: "1", Fields: []decode.Field{decode.F("password", "x")}}, err: "Login.extension: missing"},
		{name: "one of three", m: decode.Message{Name: "GetSkillGroup", Agent: "1", Fields: []decode.Field{decode.F("mode", "ALL")}}, err: "GetSkillGroup.startIndex: missing: all 3 arguments or none"},
		{name: "field of another message", m: decode.Message{Name: "Logout", Agent: "1", Fields: []decode.Field{decode.F("reasonCode", "1")}}, err: "Logout.reasonCode: not a field of this message"},
		{name: "comma in an argument", m: decode.Message{Name: "MakeCall", Agent: "1", Fields: []decode.Field{decode.F("toAddress", "1,2")}}, err: `MakeCall.toAddress: "1,2" cannot be written here: it would be read otherwise`},
		{name: "# in an event", m: decode.Message{Name: "Callback", Fields: []decode.Field{decode.F("callback", "line #2")}}, err: `Callback.callback: "line #2" cannot be written here: it would be read otherwise`},
		{name: "comma in an element", m: decode.Message{Kind: "event", Name: "ConferenceParticipants", Agent: "1", Fields: []decode.Field{{Name: "extensions", Value: list("1,2")}}}, err: `ConferenceParticipants.extensions: ["1,2"] cannot be written here: it would be read otherwise`},
		{name: "# in the id", m: decode.Message{Name: "Logout", Agent: " 1"}, err: `Logout.agent: " 1" cannot be written: it is read as "1"`},
		{name: "no such variant", m: decode.Message{Name: "State", Agent: "1", Variant: "new"}, err: `State.variant: "new" is none of normal, old, re-login`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in, err := decode.Encode(&test.m)
			if err != nil || test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("error %v, want %s", err, test.err)
				}
				return
			}
			typ := ""
			if in.Type != nil {
				typ = *in.Type
			}
			if typ != test.typ || string(in.Body) != test.body {
				t.Errorf("%q %q, want %q %q", typ, in.Body, test.typ, test.body)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	type set = map[string]string
	call := "1001#InboundCall#ACTIVE#DialogID: 16804378 #42512#ani=42512|user.ref=a.b#2026-11-21 09:02:00#CallType:OUT#ParticipantsCount:1#participants:3001,ACTIVE,AGENT_DEVICE,,2026-11-21 09:02:01"
	tests := []struct {
		name    string
		in      decode.Input
		changes set
		typ     string
		body    string
		err     string
	}{
		{"the id of a command", command("MakeReady# 1001", ""), set{"agent": "2001"}, "MakeReady# 2001", "", ""},
		{"the same, said so", command("MakeReady#1001", ""), set{"type:agent": "2001"}, "MakeReady#2001", "", ""},
		{"a topic in the JMSType", command("Hello#a", ""), set{"clientDestination": "b"}, "Hello#b", "", ""},
		{"two arguments", command("ConsultCall#1001", "3002, 16804378"), set{"dialogId": "9", "toAddress": "3003"}, "ConsultCall#1001", "3003, 9", ""},
		{"a longer value", command("AnswerCall#1001", "1"), set{"dialogId": "16804378"}, "AnswerCall#1001", "16804378", ""},
		{"a masked password", command("Login#1001", "***,3001"), set{"password": "hunter2"}, "Login#1001", "hunter2,3001", ""},
		{"a password with a comma", command("Login#1001", "***,3001"), set{"password": "hun,ter2", "extension": "3002"}, "Login#1001", "hun,ter2,3002", ""},
		{"inside an event", event(call), set{"dialogId": "7", "callVariables.user.ref": "c|d", "participants[0].address": "3009", "agent": "1002"}, "",
			"1002#InboundCall#ACTIVE#DialogID: 7 #42512#ani=42512|user.ref=c|d#2026-11-21 09:02:00#CallType:OUT#ParticipantsCount:1#participants:3009,ACTIVE,AGENT_DEVICE,,2026-11-21 09:02:01", ""},
		{"# in data", event("1#State#READY#Ana"), set{"fullName": "Ana #2"}, "", "1#State#READY#Ana 001000112", ""},
		{"Windows-1252", event("1#State#READY#Jos\xe9"), set{"fullName": "Zoë –"}, "", "1#State#READY#Zo\xeb \x96", ""},
		{"JSON string", event(`{"type":"State", "agentId":"1", "state":"READY"}`), set{"agent": "2", "state": `a"b`}, "", `{"type":"State", "agentId":"2", "state":"a\"b"}`, ""},
		{"JSON number", event(`{"type":"State","agentId":1,"team":{"id":5}}`), set{"agentId": "2", "team.id": "6"}, "", `{"type":"State","agentId":2,"team":{"id":6}}`, ""},
		{"JSON number made a text", event(`{"type":"X","agentId":1}`), set{"agentId": "a"}, "", `{"type":"X","agentId":"a"}`, ""},
		{"REST", decode.Input{Body: []byte(`{"data":{"type":"Login#1001","body":"a\"b,3001"}}`)}, set{"password": `c"d`, "agent": "2", "extension": "9"}, "", `{"data":{"type":"Login#2","body":"c\"d,9"}}`, ""},
		{"xuc", decode.Input{Body: []byte(`{"claz":"web","command":"agentLogin","agentid":19}`)}, set{"agentid": "20"}, "", `{"claz":"web","command":"agentLogin","agentid":20}`, ""},

		{"comma in an argument", command("AnswerCall#1001", "1"), set{"dialogId": "1,2"}, "", "", `AnswerCall.dialogId: "1,2" cannot be written here: it would be read as "1"`},
		{"# in an id", event(call), set{"dialogId": "1#2"}, "", "", `InboundCall.dialogId: "1#2" cannot be written here: it would be read as "1"`},
		{"a field that is not there", command("AnswerCall#1001", "1"), set{"extension": "2"}, "", "", "AnswerCall.extension: the message has no such field"},
		{"a whole list", event("1#ConferenceParticipants#1,2"), set{"extensions": "3"}, "", "", "ConferenceParticipants.extensions: not a single value with a place of its own"},
		{"not in Windows-1252", event("1#State#READY#Jos\xe9"), set{"fullName": "Łukasz"}, "", "", `State.fullName: "Łukasz" cannot be written: the body is Windows-1252`},
		{"an id in the body", event(call), set{"type:agent": "1"}, "", "", "InboundCall.type:agent: not in the JMSType"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decode.Decode(test.in, decode.Options{})
			out, err := decode.Rewrite(&m, test.changes)
			if err != nil || test.err != "" {
				var field *decode.FieldError
				if err == nil || err.Error() != test.err || !errors.As(err, &field) {
					t.Fatalf("error %v, want %s", err, test.err)
				}
				return
			}
			typ := ""
			if out.Type != nil {
				typ = *out.Type
			}
			if typ != test.typ || string(out.Body) != test.body {
				t.Errorf("%q %q, want %q %q", typ, out.Body, test.typ, test.body)
			}
		})
	}
	if _, err := decode.Rewrite(&decode.Message{Name: "Login"}, nil); err == nil || !strings.Contains(err.Error(), "not read from bytes") {
		t.Errorf("a message that was not read: %v", err)
	}
}

// What has no findings can be written from its object, whatever the names of
// its further keys.
func TestEncodeFurtherKeys(t *testing.T) {
	bodies := []string{
		`{"data":{"type":"MakeCall#1","body":"3001","args":"x","extra":7}}`,
		`{"data":{"type":"MakeCall#1","body":"3001","args":["x"],"extra":{"a":[]}}}`,
		`{"data":{"type":"Logout#1","body":null,"extra":["x","y"]}}`,
		`{"data":{"type":"GetTeamUsers#1","body":"5","subscribe":{"a":1}}}`,
		`{"data":{"type":"GetTeamUsers#1","body":"5","subscribe":"true"}}`,
		`{"data":{"type":"Connect#1","body":"d,p","sso":[1]}}`,
		`{"data":{"type":"GETSKILLGROUP#1","body":null,"startIndex":"5"}}`,
		`{"data":{"type":"GETSKILLGROUP#1","body":"","mode":"ALL","pageSize":"5"}}`,
		`{"type":"State","agentId":1,"list":[{"k":1,"k":2},{"k":[{"k":"a","k":"b","l":1}]}],"o":{"k":1,"k":2}}`,
	}
	for _, body := range bodies {
		m := decode.Decode(decode.Input{Body: []byte(body)}, decode.Options{})
		for _, f := range m.Findings {
			if f.Code != decode.SecretField {
				t.Errorf("%s: finding %s on %s", body, f.Code, f.Field)
			}
		}
		t.Run(body, func(t *testing.T) { reencode(t, &m) })
	}
}
