package decode_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gctap/decode"
)

func codesOf(m *decode.Message) string {
	var list []string
	for _, f := range m.Findings {
		list = append(list, strings.TrimSpace(f.Code+" "+f.Field))
	}
	return strings.Join(list, ", ")
}

// A body over the limit is kept, and of text the name and the agent are read.
func TestTooLarge(t *testing.T) {
	big := strings.Repeat("x", 1<<20+1)
	tests := []struct {
		name                  string
		in                    decode.Input
		protocol, kind, title string
		agent                 string
		findings              string
	}{
		{"command", command(" Login #1001", big+",3001"), decode.GCText, decode.KindCommand, "Login", "1001", "whitespace name, too-large"},
		{"Hello", command("Hello#desk", big), decode.GCText, decode.KindCommand, "Hello", "", "too-large"},
		{"command without an id", command("Login", big), decode.GCText, decode.KindCommand, "Login", "", "missing-field agent, too-large"},
		{"event", event("1001 # state#" + big), decode.GCText, decode.KindEvent, "State", "1001", "too-large"},
		{"headless event", event("Phonebooks#name:" + big), decode.GCText, decode.KindEvent, "Phonebooks", "", "too-large"},
		{"event of an unknown name", event("1001#Dance#" + big), decode.GCText, decode.KindEvent, "Dance", "1001", "too-large"},
		{"one token", event(big + "xx"), decode.Unknown, decode.Unknown, "", "", "too-large"},
		{"not UTF-8", event("1001#State#\xff" + big), decode.GCText, decode.KindEvent, "State", "1001", "too-large"},
		{"JSON", event(`{"type":"State","x":"` + big + `"}`), decode.Unknown, decode.Unknown, "", "", "too-large"},
		{"exactly the limit", event(("1001#State#READY#" + big)[:1<<20]), decode.GCText, decode.KindEvent, "State", "1001", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decode.Decode(test.in, decode.Options{})
			if m.Protocol != test.protocol || m.Kind != test.kind || m.Name != test.title || m.Agent != test.agent || codesOf(&m) != test.findings {
				t.Errorf("%s %s %q agent %q findings %q", m.Protocol, m.Kind, m.Name, m.Agent, codesOf(&m))
			}
			if len(test.in.Body) > 1<<20 && (len(m.Fields) > 0 || m.Variant != "") {
				t.Errorf("%d fields, variant %q", len(m.Fields), m.Variant)
			}
			checkSame(t, test.in, &m)
			wide := decode.Decode(test.in, decode.Options{Limit: 4 << 20})
			if wide.Has(decode.TooLarge) {
				t.Error("too large for a limit of 4 MiB")
			}
		})
	}
}

// Input of every bad kind is decoded as far as it goes.
func TestBadInput(t *testing.T) {
	tests := []struct {
		name     string
		in       decode.Input
		fields   int
		findings string
	}{
		{"NUL bytes", event("1#State#READY#\x00\x00"), 2, ""},
		{"invalid UTF-8", event("1#State#READY#\xff\xfe"), 2, "bad-encoding"},
		{"half a JSON document", event(`{"type":"State","state":"REA`), 0, "bad-json"},
		{"100,000 tokens", event("1#Error#DOWN" + strings.Repeat("#", 100_000)), 2, "extra-field extra"},
		{"100,000 arguments", command("Login#1", strings.Repeat(",", 100_000)), 3, "extra-field extra"},
		{"100,000 bars", event("1#NewOutboundCall#42#" + strings.Repeat("|", 100_000) + "#DialogID:7"), 3, "bad-key callVariables."},
		{"100,000 colons", event("1#Phonebooks#" + strings.Repeat(":", 100_000)), 1, "extra-field phonebooks[0].extra, missing-field phonebooks[0].name, missing-field phonebooks[0].type, missing-field phonebooks[0].id"},
		{"10 MiB", event("1#State#READY#" + strings.Repeat("é", 5<<20)), 2, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decode.Decode(test.in, decode.Options{Limit: 16 << 20})
			if len(m.Fields) != test.fields || codesOf(&m) != test.findings {
				t.Errorf("%d fields, findings %q", len(m.Fields), codesOf(&m))
			}
			checkSame(t, test.in, &m)
		})
	}
}

// Findings beyond what is kept are counted.
func TestFindingsAreBounded(t *testing.T) {
	m := decode.Decode(event("1#Control"+"#"+strings.Repeat("x|", 50_000)), decode.Options{})
	if len(m.Findings) != decode.MaxFindings || m.Omitted != 50_000-decode.MaxFindings {
		t.Errorf("%d findings, %d more; 50000 pieces lack a part", len(m.Findings), m.Omitted)
	}
	if line := m.AppendJSON(nil, decode.JSONOptions{}); !bytes.Contains(line, []byte(`"findingsOmitted":40000`)) {
		t.Error("the JSON does not say that findings were left out")
	}
}

func TestGet(t *testing.T) {
	text := decode.Decode(event("1#NewOutboundCall#42#ani=1|user.a.b=2|a=3|a.b=4#DialogID:7"), decode.Options{})
	lists := decode.Decode(event("1#InboundCall#ACTIVE#DialogID:7#42##t#CallType:X#ParticipantsCount:2#participants:1,HELD,D,,t|2,ACTIVE,D,,u"), decode.Options{})
	js := decode.Decode(event(`{"type":"X","n":7,"b":true,"z":null,"o":{"a":[{"b":"\u0041"},2]},"e":""}`), decode.Options{})
	tests := []struct {
		m    *decode.Message
		path string
		want string
		ok   bool
	}{
		{&text, "dialogId", "7", true},
		{&text, "callVariables.ani", "1", true},
		{&text, "callVariables.user.a.b", "2", true},
		{&text, "callVariables.a", "3", true},
		{&text, "callVariables.a.b", "4", true},
		{&text, "callVariables", "", true},
		{&text, "callVariables.", "", false},
		{&text, "callVariable", "", false},
		{&text, "dialogId.x", "", false},
		{&text, "dialogId[0]", "", false},
		{&text, "", "", false},
		{&lists, "participants[0].state", "HELD", true},
		{&lists, "participants[1].time", "u", true},
		{&lists, "participants[2].time", "", false},
		{&lists, "participants[01]", "", true},
		{&lists, "participants[", "", false},
		{&lists, "participants[x]", "", false},
		{&lists, "participants[99999999999999999999]", "", false},
		{&js, "n", "7", true},
		{&js, "b", "true", true},
		{&js, "z", "", true},
		{&js, "o.a[0].b", "A", true},
		{&js, "o.a[1]", "2", true},
		{&js, "o.a[1].b", "", false},
		{&js, "e", "", true},
	}
	for _, test := range tests {
		v, ok := test.m.Get(test.path)
		if got := test.m.Text(test.path); got != test.want || ok != test.ok {
			t.Errorf("%q is %q (%v, %+v), want %q (%v)", test.path, got, ok, v, test.want, test.ok)
		}
	}
}

// Places lead to the bytes of each field, through every encoding on the way.
func TestPlaces(t *testing.T) {
	tests := []struct {
		name string
		in   decode.Input
		want map[string]string
	}{
		{"command", command(" MakeCall # 1001", " 42 "), map[string]string{"name": "MakeCall", "agent": "1001", "toAddress": "42"}},
		{"event", event("1#ReasonCodes#Category: LOGOUT #7, 8#Labels:a,b#Ana"), map[string]string{"category": "LOGOUT", "codes": "7, 8", "codes[1]": "8", "labels[0]": "a"}},
		{"record", event("2#QueueList#QueueName:a,Type:<SnapShot>:WaitingCalls: 5"), map[string]string{"queue[0].queueName": "a", "queue[0].snapShot.waitingCalls": "5"}},
		{"Windows-1252", event("1#State#READY#\x80 \xe9"), map[string]string{"state": "READY", "fullName": "\x80 \xe9"}},
		{"escape", event("1#State#READY#a00100011b"), map[string]string{"fullName": "a00100011b"}},
		{"JSON", event(`{"type":"State","state":"R\u0045","agentId":12}`), map[string]string{"name": "State", "state": `R\u0045`, "agentId": "12", "agent": "12"}},
		{"REST", event(`{"data":{"type":"Mak\u0065Call#1\u0030","body":" \"4\" "}}`), map[string]string{"name": `Mak\u0065Call`, "agent": `1\u0030`, "toAddress": `\"4\"`}},
		{"REST in Windows-1252", event("{\"x\":\"\xe9\",\"data\":{\"type\":\"MakeCall#1\",\"body\":\"\xe9\\u0041\"}}"), map[string]string{"agent": "1", "toAddress": "\xe9\\u0041"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decode.Decode(test.in, decode.Options{})
			got := map[string]string{}
			for _, p := range m.Places() {
				text := string(test.in.Body)
				if p.InType {
					text = *test.in.Type
				}
				got[p.Path] = text[p.Start:p.End]
			}
			for path, want := range test.want {
				if got[path] != want {
					t.Errorf("%s stands at %q, want %q", path, got[path], want)
				}
			}
		})
	}
	m := decode.Decode(event("1#State#READY#Ana"), decode.Options{})
	for offset, want := range map[int]string{0: "agent", 1: "", 2: "name", 8: "state", 14: "fullName", 99: ""} {
		if got := m.FieldAt(offset, false); got != want {
			t.Errorf("byte %d is in %q, want %q", offset, got, want)
		}
	}
}

// What decode must not do often: allocate.
func TestAllocations(t *testing.T) {
	for _, in := range []decode.Input{benchCommand, benchState, benchRinging, command("Login#1001", "hunter2,3001"), event("1001#Error#DOWN"), event("System#IN_SERVICE")} {
		if n := testing.AllocsPerRun(100, func() { message = decode.Decode(in, decode.Options{}) }); n > 4 {
			t.Errorf("%q: %v allocations", in.Body, n)
		}
	}
}

// The rows of the table agree with each other and with the lists they name.
func TestTableIsSound(t *testing.T) {
	events := map[string]bool{}
	for _, s := range append(decode.Events(), decode.JSONEvents()...) {
		events[s.Name] = true
	}
	seen := map[string]bool{}
	for _, s := range append(append(decode.Commands(), decode.Events()...), decode.JSONEvents()...) {
		id := s.Protocol + " " + s.Kind + " " + s.Name + " " + s.Variant
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		if s.Doc == "" || s.Word == "" || s.Sources == "" || s.Group == "" {
			t.Errorf("%s says too little", id)
		}
		for _, code := range s.Errors {
			if e := decode.LookupError(code); e == nil || e.Code != code {
				t.Errorf("%s: error %s is not in the table", id, code)
			}
		}
		for _, q := range s.Expects {
			for _, e := range q.Events {
				if !events[e.Event] {
					t.Errorf("%s expects %s, which is no event", id, e.Event)
				}
				checkExpect(t, id, e)
			}
		}
		for _, name := range s.Answers {
			if c := decode.LookupCommand(name); c == nil || c.Name != name {
				t.Errorf("%s answers %s, which is no command", id, name)
			}
		}
		for _, a := range s.Disagree {
			if _, ok := decode.LookupAmbiguity(a); !ok {
				t.Errorf("%s: %s is not in the list of ambiguities", id, a)
			}
		}
		checkForms(t, id, s)
	}
	if n := len(decode.Commands()); n != 52 {
		t.Errorf("%d commands: 51 of the documents and force_logout have a JMSType", n)
	}
	if n := len(decode.Events()); n != 26 {
		t.Errorf("%d text events, the documents have 26", n)
	}
	if n := len(decode.JSONEvents()); n != 23 {
		t.Errorf("%d types of JSON events, the documents have 23", n)
	}
}

// checkExpect checks that the value expected is one that the field may have.
func checkExpect(t *testing.T, id string, e decode.Expect) {
	t.Helper()
	if e.Value == "" {
		return
	}
	a := decode.LookupEvent(e.Event).Arg(e.Field)
	if a == nil || a.Values == nil {
		t.Errorf("%s expects %s with field %q, which it does not have", id, e.Event, e.Field)
	} else if v, ok := a.Values.Canonical(e.Value); !ok || v != e.Value {
		t.Errorf("%s expects %s %s %q, which is not in the list", id, e.Event, e.Field, e.Value)
	}
}

func checkForms(t *testing.T, id string, s *decode.Spec) {
	t.Helper()
	if s.Protocol != decode.GCJSON && len(s.Forms) == 0 {
		t.Errorf("%s has no form", id)
	}
	var variants []string
	for i := range s.Forms {
		f := &s.Forms[i]
		if slices.Contains(variants, f.Variant) {
			t.Errorf("%s has variant %q twice", id, f.Variant)
		}
		variants = append(variants, f.Variant)
		if len(s.Forms) > 1 && f.Variant == "" {
			t.Errorf("%s has a form without a name", id)
		}
		names := map[string]bool{}
		for _, a := range f.Args {
			if a.Name != "" && names[a.Name] {
				t.Errorf("%s %s has %s twice", id, f.Variant, a.Name)
			}
			names[a.Name] = true
		}
	}
	for _, c := range s.Choice {
		if !slices.Contains(variants, c.Variant) {
			t.Errorf("%s chooses %q, which is no form", id, c.Variant)
		}
	}
}

// The documents' table of agent states has 33 rows, all of listed states.
func TestTransitions(t *testing.T) {
	list := decode.Transitions()
	if len(list) != 33 {
		t.Errorf("%d transitions, the table has 33", len(list))
	}
	for _, tr := range list {
		for _, s := range []string{tr.From, tr.To} {
			if c, ok := decode.CanonicalAgentState(s); s != decode.AnyState && (!ok || c != s) {
				t.Errorf("%v: %s is no state", tr, s)
			}
		}
	}
	tests := []struct {
		from, to string
		ok       bool
	}{
		{"not_ready", "LOGOUT", true}, {"READY", "LOGOUT", false}, {"READY", "UNKNOWN", true}, {"RESERVED", "TALKING", true}, {"RESERVED", "NOT_READY", false},
	}
	for _, test := range tests {
		if _, ok := decode.FindTransition(test.from, test.to); ok != test.ok {
			t.Errorf("%s to %s: %v", test.from, test.to, ok)
		}
	}
}

func TestExpectMatches(t *testing.T) {
	dropped := decode.Expect{Event: "InboundCall", Field: "state", Value: "DROPPED"}
	for body, want := range map[string]bool{
		"1#InboundCall#DROP#DialogID:7#Ana":    true,
		"1#InboundCall#dropped#DialogID:7#Ana": true,
		"1#InboundCall#ACTIVE#DialogID:7#Ana":  false,
		"1#ConsultCall#DROP#AssDialogID:7":     false,
	} {
		m := decode.Decode(event(body), decode.Options{})
		if got := dropped.Matches(&m); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestLookups(t *testing.T) {
	if s := decode.LookupCommand(" transfer_SST "); s == nil || s.Name != "BlindTransfer" {
		t.Errorf("transfer_SST is %v", s)
	}
	if s := decode.LookupEvent("teamphonebooks"); s == nil || s.Word != "TeamPhoneBooks" {
		t.Errorf("teamphonebooks is %v", s)
	}
	if s := decode.LookupJSONEvent("Team agents"); s == nil || s.Name != "TeamUsersList" {
		t.Errorf("Team agents is %v", s)
	}
	if e := decode.LookupError("e_cti_invalid_call_id"); e == nil || e.Code != "E_CTI_INVALID_CALLID" {
		t.Errorf("e_cti_invalid_call_id is %v", e)
	}
	m := decode.Decode(event("1#InboundCall#ACTIVE#DialogID:7#42##t#CallType:X#ParticipantsCount:0#participants:"), decode.Options{})
	for path, want := range map[string]decode.Class{"dialogId": decode.ClassDialog, "participants.address": decode.ClassExt, "participants[3].time": decode.ClassTime, "callVariables.x": decode.ClassText} {
		if a := m.Spec().Arg(path); a == nil || a.Class != want {
			t.Errorf("%s is %v, want %v", path, a, want)
		}
	}
	if a := m.Spec().Arg("nothing.at.all"); a != nil {
		t.Errorf("nothing is %v", a)
	}
	if got := fmt.Sprint(decode.ClassDest, decode.ClassText.ID(), decode.ClassExt.ID()); got != "dest false true" {
		t.Error(got)
	}
}

// In a record that a '#' cut, the empty tokens go before an escaped '#' is
// restored.
func TestHashesInRecords(t *testing.T) {
	tests := []struct{ body, want string }{
		{"1#Phonebooks#name:a00100011#b,type:GLOBAL,id:1", "a##b"},
		{"1#Phonebooks#name:a#00100011b,type:GLOBAL,id:1", "a##b"},
		{"1#Phonebooks#name:a# #b,type:GLOBAL,id:1", "a#b"},
	}
	for _, test := range tests {
		m := decode.Decode(event(test.body), decode.Options{})
		v, _ := m.Get(m.Fields[0].Name + "[0].name")
		if v.Text != test.want || !m.Has(decode.UnescapedHash) {
			t.Errorf("%s: %q, want %q; findings %v", test.body, v.Text, test.want, m.Findings)
		}
	}
}

// Too large and not UTF-8: name and agent are read as Windows-1252.
func TestLargeAndNotUTF8(t *testing.T) {
	in := event("\xe41\x80#Gr\xfc\xdfe#x#" + strings.Repeat("y", 100) + "\xff")
	m := decode.Decode(in, decode.Options{Limit: 50})
	if m.Agent != "ä1€" || m.Name != "Grüße" || !m.Has(decode.TooLarge) || len(m.Fields) > 0 {
		t.Errorf("agent %q, name %q, findings %v", m.Agent, m.Name, m.Findings)
	}
	checkSame(t, in, &m)
	checkPlaces(t, in, &m)
}

// Fields outside of a form's ordinary arguments are in the table too.
func TestEveryFieldIsKnown(t *testing.T) {
	tests := []struct {
		in    decode.Input
		path  string
		class decode.Class
	}{
		{event("1#InboundCall#DialogState#ACTIVE#7#Ana"), "dialogType", decode.ClassWord},
		{event("1#NewInboundCall#3001,a,b#DialogID:7"), "ani", decode.ClassExt},
	}
	for _, test := range tests {
		m := decode.Decode(test.in, decode.Options{})
		_, ok := m.Get(test.path)
		if a := m.Spec().Arg(test.path); !ok || a == nil || a.Name != test.path || a.Class != test.class {
			t.Errorf("%s of %q: %v, %v", test.path, test.in.Body, a, m.Fields)
		}
		if !slices.ContainsFunc(m.Spec().Fields(), func(row [2]string) bool { return row[0] == test.path }) {
			t.Errorf("%s does not describe %s", m.Name, test.path)
		}
	}
	for _, name := range []string{"sessionUrl", "callbackFqdn", "callbackEndpoint"} {
		s := decode.LookupCommand("Connect")
		if !slices.ContainsFunc(s.Fields(), func(row [2]string) bool { return row[0] == name }) {
			t.Errorf("Connect does not describe %s", name)
		}
		if !slices.ContainsFunc(s.Keys, func(k decode.Key) bool { return k.Name == name && k.Volatile }) {
			t.Errorf("Connect has no key %s", name)
		}
	}
}

// TestTrait: a field's class comes from wherever the table has it.
func TestTrait(t *testing.T) {
	for _, c := range []struct {
		in       decode.Input
		path     string
		class    decode.Class
		volatile bool
		closed   bool
	}{
		{decode.Input{Type: new("Hello#desk"), Direction: decode.ToGC}, "clientDestination", decode.ClassDest, true, false},
		{decode.Input{Type: new("AnswerCall#1001"), Body: []byte("700"), Direction: decode.ToGC}, "dialogId", decode.ClassDialog, true, false},
		{decode.Input{Body: []byte("1001#State#READY##t1##t2#A B#1001#3001#Ready#A B#ab"), Direction: decode.FromGC}, "state", decode.ClassWord, false, true},
		{decode.Input{Body: []byte("1001#State#READY##t1##t2#A B#1001#3001#Ready#A B#ab"), Direction: decode.FromGC}, "nothing", decode.ClassText, false, false},
		{decode.Input{Body: []byte("what?"), Direction: decode.FromGC}, "state", decode.ClassText, false, false},
	} {
		m := decode.Decode(c.in, decode.Options{})
		if got := m.Trait(c.path); got.Class != c.class || got.Volatile != c.volatile || (got.Values != nil) != c.closed {
			t.Errorf("%s of %s: %+v", c.path, m.Name, got)
		}
	}
}
