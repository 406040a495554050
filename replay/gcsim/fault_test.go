package gcsim

import (
	"strings"
	"testing"
	"time"
)

func TestParseFaultErrors(t *testing.T) {
	cases := []struct{ text, want string }{
		{"", "begin with"},
		{"lose:State", "begin with"},
		{"missing:Stat", "no event"},
		{"missing:HoldCall", "no event"},
		{"error:State=X", "no command"},
		{"error:HoldCall", "behind ="},
		{"change:State.label", "behind ="},
		{"change:State=x", "no field"},
		{"change:State.lable=x", "no field"},
		{"missing:State=x", "takes nothing"},
		{"missing:State.label", "only change"},
		{"missing:Error:ACTIVE", "no state"},
		{"late:State", "say by how much"},
		{"late:State:soon", "not a duration"},
		{"late:State:-1s", "not a duration"},
	}
	for _, c := range cases {
		if _, err := ParseFault(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want an error with %q", c.text, err, c.want)
		}
	}
}

func TestParseFault(t *testing.T) {
	cases := []struct {
		text string
		want Fault
	}{
		{"missing:InboundCall:ACTIVE@2", Fault{Kind: Missing, Name: "InboundCall", State: "ACTIVE", Nth: 2, Any: true}},
		{"change:State.label=Lunch@3", Fault{Kind: Change, Name: "State", Field: "label", Value: "Lunch", Nth: 3, Any: true}},
		{"change:state.reasonCode=-1=>0", Fault{Kind: Change, Name: "State", Field: "reasonCode", Old: "-1", Value: "0"}},
		{"change:InboundCall:HELD.participants[1].time=@1", Fault{Kind: Change, Name: "InboundCall", State: "HELD", Field: "participants[1].time", Nth: 1, Any: true}},
		{"change:NewInboundCall.callVariables.callVariable1=http://x/a.b:1", Fault{Kind: Change, Name: "NewInboundCall", Field: "callVariables.callVariable1", Value: "http://x/a.b:1", Any: true}},
		{"late:1003/InboundCall@1:3s", Fault{Kind: Late, Agent: "1003", Name: "InboundCall", Nth: 1, Delay: 3 * time.Second}},
		{"late:InboundCall:HELD:3s", Fault{Kind: Late, Name: "InboundCall", State: "HELD", Delay: 3 * time.Second}},
		{"double:State@2", Fault{Kind: Double, Name: "State", Nth: 2, Any: true}},
		{"extra:InboundCall:ACTIVE=ALERTING@1", Fault{Kind: Extra, Name: "InboundCall", State: "ACTIVE", Value: "ALERTING", Nth: 1, Any: true}},
		{"error:HoldCall=CF_RESOURCE_BUSY@1", Fault{Kind: Fail, Name: "HoldCall", Value: "CF_RESOURCE_BUSY", Nth: 1, Any: true}},
		{"ignore:getstate", Fault{Kind: Ignore, Name: "GetState", Any: true}},
	}
	for _, c := range cases {
		got, err := ParseFault(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		c.want.text = c.text
		if *got != c.want {
			t.Errorf("%q:\ngot  %+v\nwant %+v", c.text, *got, c.want)
		}
	}
}

// Each fault does what it says, and no more, and is booked as planted.
func TestFaults(t *testing.T) {
	const hold = "1001 HoldCall d1"
	const asked = "1001 MakeNotReady"
	cases := []struct {
		fault, play, want string
		planted           Deviation
	}{
		{"missing:InboundCall:HELD@1", hold, "1001 State HOLD",
			Deviation{Class: "missing", Conversation: "1001", Name: "InboundCall"}},
		{"double:State:HOLD", hold, "1001 InboundCall HELD d1 PREROUTE_ACD_IN (42512, 3001 HELD)\n1001 State HOLD\n1001 State HOLD",
			Deviation{Class: "duplicated", Conversation: "1001", Name: "State"}},
		{"late:InboundCall:HELD:3s", hold + "\n+2s\n+1s", "1001 State HOLD\n1001 InboundCall HELD d1 PREROUTE_ACD_IN (42512, 3001 HELD)",
			Deviation{Class: "late", Conversation: "1001", Name: "InboundCall"}},
		{"change:InboundCall:HELD.callType=ACD_IN", hold, "1001 InboundCall HELD d1 ACD_IN (42512, 3001 HELD)\n1001 State HOLD",
			Deviation{Class: "changed", Conversation: "1001", Name: "InboundCall", Field: "callType", Old: "PREROUTE_ACD_IN", New: "ACD_IN"}},
		{"change:InboundCall:HELD.participants[1].state=ACTIVE", hold, "1001 InboundCall HELD d1 PREROUTE_ACD_IN (42512, 3001)\n1001 State HOLD",
			Deviation{Class: "changed", Conversation: "1001", Name: "InboundCall", Field: "participants[1].state", Old: "HELD", New: "ACTIVE"}},
		{"extra:State:HOLD", hold, "1001 InboundCall HELD d1 PREROUTE_ACD_IN (42512, 3001 HELD)\n1001 State HOLD\n1001 Control unexpected",
			Deviation{Class: "extra", Conversation: "1001", Name: "Control"}},
		{"extra:InboundCall:HELD=ALERTING", hold, "1001 InboundCall HELD d1 PREROUTE_ACD_IN (42512, 3001 HELD)\n1001 InboundCall ALERTING d1 PREROUTE_ACD_IN (42512, 3001 HELD)\n1001 State HOLD",
			Deviation{Class: "extra", Conversation: "1001", Name: "InboundCall"}},
		{"reorder:InboundCall:HELD", hold, "1001 State HOLD\n1001 InboundCall HELD d1 PREROUTE_ACD_IN (42512, 3001 HELD)",
			Deviation{Class: "reordered", Conversation: "1001", Name: "InboundCall"}},
		{"error:HoldCall=CF_RESOURCE_BUSY", hold + "\n1001 GetState", "1001 Error CF_RESOURCE_BUSY\n1001 State TALKING",
			Deviation{Class: "error", Conversation: "1001", Name: "HoldCall", New: "CF_RESOURCE_BUSY"}},
		{"ignore:HoldCall", hold + "\n1001 GetState", "1001 State TALKING",
			Deviation{Class: "unanswered", Conversation: "1001", Name: "HoldCall"}},
		{"error:GetState=RE_LOGIN", "1001 GetState", "1001 State RE_LOGIN",
			Deviation{Class: "error", Conversation: "1001", Name: "GetState", New: "RE_LOGIN"}},
		{"error:Beat=RECONNECT", "topic-1001 Beat", "topic-1001 Destination topic-1001 RECONNECT",
			Deviation{Class: "error", Name: "Beat", New: "RECONNECT"}},
		{"missing:1002/State", asked, "1001 State TALKING pending NOT_READY", Deviation{}},
		{"missing:State@9", asked, "1001 State TALKING pending NOT_READY", Deviation{}},
		{"change:State.state=TALKING=>TALKING", asked, "1001 State TALKING pending NOT_READY", Deviation{}},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			r := newRig(t, Config{})
			r.login("1001")
			r.lines("1001 MakeReady\n! {\"do\":\"call\",\"from\":\"42512\",\"to\":\"1001\"}\n1001 AnswerCall d1")
			f, err := ParseFault(c.fault)
			if err != nil {
				t.Fatal(err)
			}
			r.sim.faults = []*Fault{f}
			if got := strings.Join(r.lines(c.play), "\n"); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			planted := r.sim.Planted()
			if c.planted == (Deviation{}) {
				if len(planted) > 0 {
					t.Errorf("planted %+v, want nothing", planted)
				}
				return
			}
			c.planted.Fault, c.planted.At = c.fault, r.now
			if c.planted.Class == "late" {
				c.planted.At = morning
			}
			if len(planted) != 1 || planted[0] != c.planted {
				t.Errorf("planted %+v\nwant    %+v", planted, c.planted)
			}
		})
	}
}

// A malformed event is found so by the decoder.
func TestMalformed(t *testing.T) {
	s, err := New(Config{Faults: []string{"malformed:System@1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"System", "System#IN_SERVICE"} {
		s.Command(morning, Command{Type: "Hello#desk"})
		if got := s.Advance(morning); len(got) != 1 || string(got[0].Body) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// @N strikes once, at the Nth match.
func TestNth(t *testing.T) {
	r := newRig(t, Config{Faults: []string{"missing:State@3"}})
	r.login("1001") // the first
	got := strings.Join(r.lines("1001 GetState\n1001 GetState\n1001 GetState"), "\n")
	if want := "1001 State NOT_READY -1\n1001 State NOT_READY -1"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if n := len(r.sim.Planted()); n != 1 {
		t.Errorf("planted %d, want 1", n)
	}
}

// The faults of every build can be read.
func TestBuilds(t *testing.T) {
	for _, b := range Builds() {
		if _, err := New(Config{Build: b.Name}); err != nil {
			t.Errorf("build %s: %v", b.Name, err)
		}
	}
	if _, err := New(Config{Build: "z"}); err == nil {
		t.Error("build z: no error")
	}
}
