package decode_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gctap/decode"
)

func rest(body string) decode.Input { return decode.Input{Body: []byte(body), Direction: decode.ToGC} }

var maskCases = []struct {
	name string
	in   decode.Input
	body string
	mask []decode.Mask
}{
	{"login", command("Login#1", "hunter2,3001"), "***,3001", []decode.Mask{{Field: "password", Start: 0, End: 3}}},
	{"another case, blanks", command(" LOGIN #1", "hunter2,3001"), "***,3001", []decode.Mask{{Field: "password", Start: 0, End: 3}}},
	{"a comma in the password", command("Login#1", "hun,ter2,3001"), "***,3001", []decode.Mask{{Field: "password", Start: 0, End: 3}}},
	{"no extension", command("Login#1", "hunter2"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"empty password", command("Login#1", ",3001"), ",3001", nil},
	{"no body", command("Login#1", ""), "", nil},
	{"masked before", command("Login#1", "***,3001"), "***,3001", []decode.Mask{{Field: "password", Start: 0, End: 3}}},
	{"mobile", command("MobileAgentLogin#1", "p,w,3001,0123,true"), "***,3001,0123,true", []decode.Mask{{Field: "password", Start: 0, End: 3}}},
	{"mobile, too few", command("MOBILEAGENTLOGIN#1", "pw,3001,0123"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"connect", command("Connect#1", "desk,hunter2"), "desk,***", []decode.Mask{{Field: "password", Start: 5, End: 8}}},
	{"connect with single sign-on", command("Connect#1", "desk,hun,ter2,SSO"), "desk,***", []decode.Mask{{Field: "password", Start: 5, End: 8}}},
	{"connect, too few", command("Connect#1", "hunter2"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"misspelt", command("Logn#1", "hunter2,3001"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"contains the word", command("AgentConnect2#1", "desk,hunter2"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"another word", command("MakeCoffee#1", "2,sugar"), "2,sugar", nil},
	{"a command without secret", command("Logout#1", "x"), "x", nil},
	{"GC to GC", event("AgentState#1001#hunter2#3001#2026-11-21 08:59:59"), "AgentState#1001#***#3001#2026-11-21 08:59:59", []decode.Mask{{Field: "password", Start: 16, End: 19}}},
	{"GC to GC, # in the password", event("agentstate #1001#hun#ter2#3001#2026"), "agentstate #1001#***#3001#2026", []decode.Mask{{Field: "password", Start: 17, End: 20}}},
	{"GC to GC with an id in front", event("9#AgentState#1001#hunter2#3001#2026"), "9#AgentState#1001#***#3001#2026", []decode.Mask{{Field: "password", Start: 18, End: 21}}},
	{"GC to GC, too few", event("AgentState#1001#hunter2#3001"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"GC to GC, the word alone", event("AgentState"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"State is another event", event("1001#State#READY#Ana"), "1001#State#READY#Ana", nil},
	{"REST", rest(`{"data":{"type":"Login#1","body":"hunter2,3001"}}`), `{"data":{"type":"Login#1","body":"***,3001"}}`, []decode.Mask{{Field: "password", Start: 34, End: 37}}},
	{"REST, escapes", rest(`{"data":{"type":"Login#1","body":"hu\"n,ter2,3001"}}`), `{"data":{"type":"Login#1","body":"***,3001"}}`, []decode.Mask{{Field: "password", Start: 34, End: 37}}},
	{"REST, too few", rest(`{"data":{"type":"Login#1","body":"hunter2"}}`), `{"data":{"type":"Login#1","body":"***"}}`, []decode.Mask{{Start: 34, End: 37}}},
	{"REST, a number", rest(`{"data":{"type":"Login#1","body":123456}}`), `{"data":{"type":"Login#1","body":"***"}}`, []decode.Mask{{Start: 34, End: 37}}},
	{"REST, keys twice", rest(`{"data":{"type":"X#1","body":"hunter2,1","type":"Login#1","body":"hunter3,2"}}`), `{"data":{"type":"X#1","body":"***,1","type":"Login#1","body":"***,2"}}`, []decode.Mask{{Field: "password", Start: 30, End: 33}, {Field: "password", Start: 62, End: 65}}},
	{"xuc", rest(`{"claz":"web","command":"x","Password" : "hun\"ter2","n":{"token":7}}`), `{"claz":"web","command":"x","Password" : "***","n":{"token":"***"}}`, []decode.Mask{{Field: "Password", Start: 42, End: 45}, {Field: "n", Start: 61, End: 64}}},
	{"null is no secret", rest(`{"claz":"web","token":null,"secret":""}`), `{"claz":"web","token":null,"secret":""}`, nil},
	{"cut JSON with such a word", rest(`{"data":{"type":"Login#1","body":"hunt`), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"cut JSON without", event(`{"type":"State","state":"RE`), `{"type":"State","state":"RE`, nil},
	{"REST, an object with a secret key", rest(`{"data":{"type":"Login#1","body":{"password":"hunter2"}}}`), `{"data":{"type":"Login#1","body":"***"}}`, []decode.Mask{{Start: 34, End: 37}}},
	{"REST, a list with an address", rest(`{"data":{"type":"Login#1","body":["/x?token=hunter2"]}}`), `{"data":{"type":"Login#1","body":"***"}}`, []decode.Mask{{Start: 34, End: 37}}},
	{"REST, secret words twice", rest(`{"data":{"type":"Login#1","body":"hunter2,1","type":"Connect#1"}}`), `{"data":{"type":"Login#1","body":"***","type":"Connect#1"}}`, []decode.Mask{{Start: 34, End: 37}}},
	{"REST, an address beside", rest(`{"data":{"type":"Login#1","body":"hunter2,3001","sessionUrl":"http://h/s?token=hunter3"}}`), `{"data":{"type":"Login#1","body":"***,3001","sessionUrl":"http://h/s?token=***"}}`, []decode.Mask{{Field: "password", Start: 34, End: 37}, {Field: "sessionUrl", Start: 75, End: 78}}},
	{"xuc, an address beside", rest(`{"claz":"web","command":"x","password":"hunter2","url":"wss://h/a?token=hunter3"}`), `{"claz":"web","command":"x","password":"***","url":"wss://h/a?token=***"}`, []decode.Mask{{Field: "password", Start: 40, End: 43}, {Field: "url", Start: 68, End: 71}}},
	{"connect with an address", command("Connect#1", "ws://h?token=hunter2,hunter3"), "ws://h?token=***,***", []decode.Mask{{Field: "clientDestination", Start: 13, End: 16}, {Field: "password", Start: 17, End: 20}}},
	{"REST connect with an address", rest(`{"data":{"type":"Connect#1","body":"ws://h?token=hunter2\u002chunter3"}}`), `{"data":{"type":"Connect#1","body":"ws://h?token=***\u002c***"}}`, []decode.Mask{{Field: "clientDestination", Start: 49, End: 52}, {Field: "password", Start: 58, End: 61}}},
	{"an address with escapes", event(`{"type":"X","u":"https:\/\/h\/a?a=1\u0026token=hunter2","v":"ws:\/\/u:hunter3@h"}`), `{"type":"X","u":"https:\/\/h\/a?a=1\u0026token=***","v":"ws:\/\/u:***@h"}`, []decode.Mask{{Field: "u", Start: 47, End: 50}, {Field: "v", Start: 66, End: 69}}},
	{"an address without host", event(`{"type":"X","u":"/gc/events?token=hunter2"}`), `{"type":"X","u":"/gc/events?token=***"}`, []decode.Mask{{Field: "u", Start: 34, End: 37}}},
	{"a comma in an address", event(`{"type":"X","u":"/a?password=hun,ter2&b=1"}`), `{"type":"X","u":"/a?password=***&b=1"}`, []decode.Mask{{Field: "u", Start: 29, End: 32}}},
	{"cut JSON with an address", event(`{"type":"X","u":"ws:\/\/u:hunter2@h`), `{"type":"X","u":"ws:\/\/u:***@h`, []decode.Mask{{Field: "body", Start: 26, End: 29}}},
	{"a long word", command(strings.Repeat("x", 300)+"login#1", "hunter2,3001"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"two letters off, not ASCII", command("Löğin#1", "hunter2,3001"), "***", []decode.Mask{{Start: 0, End: 3}}},
	{"address in a call variable", event("1#NewInboundCall#2#url=wss://u:hunter2@x/cti?a=1&token=hunter3|b=c#DialogID:1"), "1#NewInboundCall#2#url=wss://u:***@x/cti?a=1&token=***|b=c#DialogID:1", []decode.Mask{{Field: "callVariables.url", Start: 31, End: 34}, {Field: "callVariables.url", Start: 51, End: 54}}},
}

func TestMask(t *testing.T) {
	for _, c := range maskCases {
		t.Run(c.name, func(t *testing.T) {
			before := bytes.Clone(c.in.Body)
			out, masks := decode.NewMasker().Mask(c.in)
			if string(out.Body) != c.body {
				t.Errorf("%q, want %q", out.Body, c.body)
			}
			if diff := cmp.Diff(c.mask, masks); diff != "" {
				t.Errorf("masks (-want +got)\n%s", diff)
			}
			for _, m := range masks {
				if m.Start > m.End || m.End > len(out.Body) || string(out.Body[m.Start:m.End]) != "***" {
					t.Errorf("mask %v is not over *** in %q", m, out.Body)
				}
			}
			if !bytes.Equal(before, c.in.Body) {
				t.Errorf("the input was changed to %q", c.in.Body)
			}
			again, _ := decode.NewMasker().Mask(out)
			if !bytes.Equal(again.Body, out.Body) {
				t.Errorf("masked again: %q", again.Body)
			}
		})
	}
}

// What decode prints holds no secret unless asked, and its places are those of
// the bytes that were given.
func TestOutputIsMasked(t *testing.T) {
	for _, c := range maskCases {
		m := decode.Decode(c.in, decode.Options{})
		line := m.AppendJSON(nil, decode.JSONOptions{Spans: true})
		for _, secret := range []string{"hunter2", "hunter3", "hun", "ter2"} {
			if bytes.Contains(line, []byte(secret)) {
				t.Errorf("%s: %q is in %s", c.name, secret, line)
			}
		}
		var got struct {
			Wire map[string][2]int
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		for path, at := range got.Wire {
			if at[0] > at[1] || !strings.HasPrefix(path, "type:") && at[1] > len(c.in.Body) {
				t.Errorf("%s: %s stands at %v of %d", c.name, path, at, len(c.in.Body))
			}
		}
		if at, ok := got.Wire["extension"]; ok {
			if s := string(c.in.Body[at[0]:at[1]]); s != "3001" && s != "1" && s != "2" {
				t.Errorf("%s: extension is %q", c.name, s)
			}
		}
	}
}

// Masking changes what the fields hold, not what the message is nor what was
// found in it.
func TestMaskedKeepsFindings(t *testing.T) {
	check := func(name string, in decode.Input, o decode.Options) {
		m := decode.Decode(in, o)
		h := m.Masked()
		if h.Protocol != m.Protocol || h.Kind != m.Kind || h.Name != m.Name || h.Variant != m.Variant {
			t.Errorf("%s: %s %s %s %s became %s %s %s %s", name, m.Protocol, m.Kind, m.Name, m.Variant, h.Protocol, h.Kind, h.Name, h.Variant)
		}
		if diff := cmp.Diff(m.Findings, h.Findings); diff != "" {
			t.Errorf("%s: findings (-want +got)\n%s", name, diff)
		}
		if len(m.Fields) == 0 && len(h.Fields) > 0 {
			t.Errorf("%s: fields out of nothing", name)
		}
	}
	for _, c := range maskCases {
		check(c.name, c.in, decode.Options{})
		check(c.name+", too large", c.in, decode.Options{Limit: max(len(c.in.Body)-1, 1)})
	}
	for _, file := range corpusFiles(t) {
		for _, c := range readCorpus(t, file) {
			check(c.ID, c.input(), decode.Options{})
		}
	}
}

// A secret in a name that is in no table is not printed with it.
func TestMaskedName(t *testing.T) {
	m := decode.Decode(event(`{"type":"/x?token=hunter2"}`), decode.Options{})
	if line := m.AppendJSON(nil, decode.JSONOptions{Spans: true}); bytes.Contains(line, []byte("hunter2")) {
		t.Errorf("%s", line)
	}
}

// A secret that was seen is masked wherever it turns up later.
func TestMaskerRemembers(t *testing.T) {
	k := decode.NewMasker()
	k.Mask(command("Login#1001", "hun,ter2,3001"))
	k.Mask(command("Login#1001", "abc,3001"))
	k.Mask(rest(`{"data":{"type":"Connect#1","body":"desk,pa\"ss1,SSO"}}`))
	out, masks := k.Mask(event("1001#Control#PrintStatusBar#you typed hun,ter2 and abc"))
	if string(out.Body) != "1001#Control#PrintStatusBar#you typed *** and abc" {
		t.Errorf("%q", out.Body)
	}
	if want := []decode.Mask{{Field: "message", Start: 38, End: 41}}; !cmp.Equal(want, masks) {
		t.Errorf("masks %v, want %v", masks, want)
	}
	out, masks = k.Mask(command("MakeCall#hun,ter2", "3001"))
	if *out.Type != "MakeCall#***" || len(masks) != 1 || masks[0] != (decode.Mask{Field: "type:agent", Start: 9, End: 12}) {
		t.Errorf("%q %v", *out.Type, masks)
	}
	if out, _ := k.Mask(event(`{"type":"X","a":"pa\"ss1"}`)); string(out.Body) != `{"type":"X","a":"***"}` {
		t.Errorf("%q", out.Body)
	}
	k.Learn("brokerpass")
	if got := k.Text("login brokerpass at tcp://x"); got != "login *** at tcp://x" {
		t.Errorf("%q", got)
	}
}

func TestMaskText(t *testing.T) {
	tests := []struct{ in, want string }{
		{"ws://h/cti?username=a&password=hunter2&x=1", "ws://h/cti?username=a&password=***&x=1"},
		{"wss://h/xuc/api/2.0/cti?token=abc.def-1", "wss://h/xuc/api/2.0/cti?token=***"},
		{"stomp://admin:hunter2@h:61613", "stomp://admin:***@h:61613"},
		{"passcode:hunter2", "passcode:***"},
		{`{"password": "hunter2"}`, `{"password": "***"}`},
		{"PASSWORD = hunter2", "PASSWORD = ***"},
		{"no secret here: really", "no secret here: really"},
		{"failover:(stomp://a:b1@h,stomp://c:d1@i)", "failover:(stomp://a:***@h,stomp://c:***@i)"},
	}
	for _, test := range tests {
		if got := decode.NewMasker().Text(test.in); got != test.want {
			t.Errorf("%q is %q, want %q", test.in, got, test.want)
		}
	}
}

// Numbers are secrets too, and a secret is found in any spelling that JSON has
// for it.
func TestMaskerSpellings(t *testing.T) {
	k := decode.NewMasker()
	k.Mask(rest(`{"claz":"web","command":"x","password":12345678}`))
	k.Mask(rest(`{"claz":"web","command":"x","password":"pa/ss"}`))
	tests := []struct{ in, want string }{
		{`{"type":"X","a":"is 12345678"}`, `{"type":"X","a":"is ***"}`},
		{`{"type":"X","a":"a pa\/ss, p\u0061/ss, pa/ss"}`, `{"type":"X","a":"a ***, ***, ***"}`},
		{`{"type":"X","a":"\"","b":"pa/ss"}`, `{"type":"X","a":"\"","b":"***"}`},
	}
	for _, test := range tests {
		if out, _ := k.Mask(event(test.in)); string(out.Body) != test.want {
			t.Errorf("%s is masked %s, want %s", test.in, out.Body, test.want)
		}
	}
}

// Of secrets that begin alike the longest is found, and of very many the oldest
// are forgotten.
func TestMaskerManySecrets(t *testing.T) {
	k := decode.NewMasker()
	for _, s := range []string{"eyJh", "eyJhbGci.b", "eyJhbGci.bcd", "eyJhbGci.a"} {
		k.Learn(s)
	}
	if got := k.Text("x eyJhbGci.bc eyJhbGci.bcd eyJhz"); got != "x ***c *** ***z" {
		t.Errorf("%q", got)
	}
	for i := range 10_000 {
		k.Learn("eyJhbGci-" + strconv.Itoa(i) + ".")
	}
	if got := k.Text("eyJhbGci.a eyJhbGci-0. eyJhbGci-9999."); got != "eyJhbGci.a *** ***" {
		t.Errorf("%q", got)
	}
}
