package flow

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
)

// story runs lines through a Flow, each 100 ms after the one before, and tells
// what it makes of them, one line a record. A line "+3s" lets time pass.
func story(t *testing.T, f *Flow, lines string) string {
	t.Helper()
	var b strings.Builder
	var seq int64
	at := time.Duration(0)
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		line = strings.TrimSpace(line)
		if pause, ok := strings.CutPrefix(line, "+"); ok {
			d, err := time.ParseDuration(pause)
			if err != nil {
				t.Fatal(err)
			}
			at += d
			continue
		}
		seq++
		at += 100 * time.Millisecond
		rec := wire(line, connA)
		rec.Seq, rec.Mono, rec.CapturedAt = seq, at, time.Unix(1000, 0).Add(at)
		msg := Decode(&rec, decode.Options{})
		facts := f.Observe(&rec, &msg)
		fmt.Fprintf(&b, "%d %s%s\n", seq, msg.Name, told(&facts))
	}
	for _, x := range f.Close() {
		fmt.Fprintf(&b, "end: %s\n", exchange(x))
	}
	return b.String()
}

// told writes what is worth telling of a record's facts.
func told(facts *Facts) string {
	var b strings.Builder
	if x := facts.Exchange; x != nil {
		fmt.Fprintf(&b, " answers %d", x.Seq)
		if facts.First {
			fmt.Fprintf(&b, " %s %s", x.Outcome, x.Latency)
		}
		if x.Code != "" {
			fmt.Fprintf(&b, " %s", x.Code)
		}
	} else if facts.By != nil {
		fmt.Fprintf(&b, " by %d", facts.By.Seq)
	}
	if c := facts.Change; c != nil {
		fmt.Fprintf(&b, " %s:%s>%s", c.Agent, c.From, c.To)
	}
	for _, birth := range facts.Births {
		fmt.Fprintf(&b, " born(%s)", birth.Key)
	}
	for _, use := range facts.Uses {
		fmt.Fprintf(&b, " uses(%s)", use.Value)
	}
	if s := facts.Trigger; s != nil {
		fmt.Fprintf(&b, " outside(%s %s)", s.Kind, s.Number)
	}
	if d := facts.Dialog; d != nil && d.Ended != 0 {
		b.WriteString(" over")
	}
	for _, x := range facts.Closed {
		fmt.Fprintf(&b, " [%s]", exchange(x))
	}
	return b.String()
}

func exchange(x *Exchange) string { return fmt.Sprintf("%s %d %s", x.Name, x.Seq, x.Outcome) }

func want(t *testing.T, got, expected string) {
	t.Helper()
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(expected), "\n") {
		lines = append(lines, strings.TrimSpace(line))
	}
	if want := strings.Join(lines, "\n") + "\n"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func inbound(agent, state, dialog, vars string) string {
	return fmt.Sprintf("< T1 %s#InboundCall#%s#DialogID:%s#42512#%s#2024-01-01 10:00:00#CallType:ACD_IN#ParticipantsCount:0#participants:", agent, state, dialog, vars)
}

func TestLoginAndStates(t *testing.T) {
	got := story(t, New(Options{}), `
		> Hello#T1
		< T1 System#IN_SERVICE
		> Connect#1001 T1,***
		> Login#1001 ***,3001
		< T1 1001#AgentInfo#A#B#false#OPTIONAL#7#A B#ab
		< T1 `+state("1001", "1001", "NOT_READY")+`
		> MakeReady#1001
		> MakeReady#1001
		< T1 `+state("1001", "1001", "READY")+`
		< T1 1001#Error#CF_INVALID_OBJECT_STATE
		> Refresh#1001
		> Logout#1001
		+31s
		> Beat#T1
		< T1 System#IN_SERVICE`)
	want(t, got, `
		1 Hello
		2 System answers 1 answered 100ms [Hello 1 answered]
		3 Connect
		4 Login
		5 AgentInfo answers 4 answered 100ms
		6 State answers 4 1001:>NOT_READY
		7 MakeReady
		8 MakeReady
		9 State answers 7 answered 200ms 1001:NOT_READY>READY [MakeReady 7 answered]
		10 Error answers 8 error 200ms CF_INVALID_OBJECT_STATE [MakeReady 8 error]
		11 Refresh
		12 Logout
		13 Beat [Connect 3 silent] [Login 4 answered] [Refresh 11 silent] [Logout 12 unanswered]
		14 System answers 13 answered 100ms [Beat 13 answered]`)
}

// TestPendingStateIsAnAnswer: during a call GC says that it has taken note.
func TestPendingStateIsAnAnswer(t *testing.T) {
	f := New(Options{})
	got := story(t, f, `
		> MakeNotReady#1001
		< T1 1001#State#TALKING###NOT_READY#2024-01-01 10:00:00#A B#1001#3001##A B#ab
		> Refresh#1001`)
	if !strings.Contains(got, "answers 1 answered 100ms") || strings.Contains(got, "unanswered") {
		t.Error(got)
	}
}

// TestReleaseOfAConsultCall: its end is told as ConsultCall.
func TestReleaseOfAConsultCall(t *testing.T) {
	got := story(t, New(Options{}), `
		> ConsultCall#1001 3002,700
		< T1 1001#ConsultCall#INITIATING#AssDialogID:800#3001#ani=3001#A B
		> ReleaseCall#1001 800
		< T1 1001#ConsultCall#DROPPED#AssDialogID:800#3001#ani=3001#A B`)
	if !strings.Contains(got, "4 ConsultCall answers 3 answered 100ms") {
		t.Error(got)
	}
}

// TestOnlookersGetNoAnswer: a supervisor's copy of a state leaves the agent's
// own to answer.
func TestOnlookersGetNoAnswer(t *testing.T) {
	got := story(t, New(Options{}), `
		> Login#1001 ***,3001
		< T1 `+state("1001", "1001", "NOT_READY")+`
		> MakeReady#1001
		< T2 `+state("2001", "1001", "READY")+`
		< T1 `+state("1001", "1001", "READY"))
	if !strings.Contains(got, "5 State answers 3") {
		t.Error(got)
	}
}

func TestInboundCallFromOutside(t *testing.T) {
	got := story(t, New(Options{}), `
		< T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#2024-01-01 10:00:00
		`+inbound("1001", "ALERTING", "700", "ani=42512")+`
		> AnswerCall#1001 700
		`+inbound("1001", "ACTIVE", "700", "ani=42512")+`
		+10s
		`+inbound("1001", "DROP", "700", "ani=42512"))
	want(t, got, `
		1 NewInboundCall born(1001 dialogId 1) outside(call 42512)
		2 InboundCall
		3 AnswerCall uses(700)
		4 InboundCall answers 3 answered 100ms [AnswerCall 3 answered]
		5 InboundCall outside(hangup 42512) over`)
}

func TestConsultAndTransferAreOneCall(t *testing.T) {
	f := New(Options{})
	got := story(t, f, `
		> Login#1001 ***,3001
		> Login#1002 ***,3002
		< T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#x
		> ConsultCall#1001 3002,700
		< T1 1002#NewInboundCall#3001#ani=3001|associatedDialogId=700#DialogID:800#CallType:CONSULT#x
		< T1 1001#ConsultCall#INITIATING#AssDialogID:800#3001#ani=3001#A B
		> AnswerCall#1002 800
		`+strings.ReplaceAll(inbound("1002", "ACTIVE", "800", "ani=3001|associatedDialogId=700"), "42512", "3001")+`
		< T1 1001#ConsultCall#ACTIVE#AssDialogID:800#3001#ani=3001#A B
		> TransferCall#1001 3002,700
		`+inbound("1001", "DROPPED", "700", "ani=42512")+`
		< T1 1001#ConsultCall#DROPPED#AssDialogID:800#3001#ani=3001#A B
		`+strings.ReplaceAll(inbound("1002", "DROPPED", "800", "ani=3001|associatedDialogId=700"), "42512", "3001")+`
		`+inbound("1002", "ACTIVE", "700", "ani=42512")+`
		+15s
		`+inbound("1002", "DROPPED", "700", "ani=42512"))
	want(t, got, `
		1 Login
		2 Login
		3 NewInboundCall born(1001 dialogId 1) outside(call 42512)
		4 ConsultCall uses(700)
		5 NewInboundCall by 4 born(1002 dialogId 1) born(1002 callVariables.associatedDialogId 1)
		6 ConsultCall answers 4 answered 200ms born(1001 associatedDialogId 1 of command 4)
		7 AnswerCall uses(800)
		8 InboundCall answers 7 answered 100ms [AnswerCall 7 answered]
		9 ConsultCall answers 4
		10 TransferCall uses(700)
		11 InboundCall answers 10 answered 100ms over
		12 ConsultCall answers 10
		13 InboundCall by 10 over
		14 InboundCall by 10
		15 InboundCall outside(hangup 42512) over
		end: Login 1 unanswered
		end: Login 2 unanswered
		end: ConsultCall 4 answered
		end: TransferCall 10 answered`)
	if a, b := f.Dialog("700"), f.Dialog("800"); a == nil || b == nil || a.call != b.call {
		t.Error("the consultation is not of the same call")
	}
}

func TestCallOfTwoAgentsIsCausedByItsCommands(t *testing.T) {
	got := story(t, New(Options{}), `
		> Login#1001 ***,3001
		> Login#1002 ***,3002
		> MakeCall#1001 3002
		< T1 1002#NewInboundCall#3001#ani=3001#DialogID:900#CallType:AGENT_INSIDE#x
		`+inbound("1001", "INITIATING", "900", "ani=3001")+`
		> AnswerCall#1002 900
		`+inbound("1002", "ACTIVE", "900", "ani=3001")+`
		`+inbound("1001", "ACTIVE", "900", "ani=3001")+`
		> ReleaseCall#1001 900
		`+inbound("1002", "DROPPED", "900", "ani=3001")+`
		`+inbound("1001", "DROPPED", "900", "ani=3001"))
	want(t, got, `
		1 Login
		2 Login
		3 MakeCall
		4 NewInboundCall by 3 born(1002 dialogId 1)
		5 InboundCall answers 3 answered 200ms born(1001 dialogId 1 of command 3)
		6 AnswerCall uses(900)
		7 InboundCall answers 6 answered 100ms [AnswerCall 6 answered]
		8 InboundCall answers 3
		9 ReleaseCall uses(900)
		10 InboundCall by 9
		11 InboundCall answers 9 answered 200ms over
		end: Login 1 unanswered
		end: Login 2 unanswered
		end: MakeCall 3 answered
		end: ReleaseCall 9 answered`)
}

func TestLostAnswerDoesNotShiftTheNext(t *testing.T) {
	got := story(t, New(Options{}), `
		> MakeReady#1001
		+5s
		> MakeReady#1001
		< T1 `+state("1001", "1001", "READY"))
	want(t, got, `
		1 MakeReady
		2 MakeReady
		3 State answers 2 answered 100ms 1001:>READY [MakeReady 2 answered]
		end: MakeReady 1 unanswered`)
}

func TestSupervisorActsOnMember(t *testing.T) {
	got := story(t, New(Options{}), `
		> Login#2001 ***,4001
		> Logout#1002
		< T1 `+state("2001", "1002", "LOGOUT")+`
		< T1 `+state("1002", "1002", "LOGOUT"))
	want(t, got, `
		1 Login
		2 Logout
		3 State answers 2 answered 100ms 1002:>LOGOUT [Logout 2 answered]
		4 State
		end: Login 1 unanswered`)
}

func TestReservationComesFromOutside(t *testing.T) {
	got := story(t, New(Options{}), `< T1 `+state("1001", "1001", "RESERVED_OUTBOUND_PREVIEW"))
	want(t, got, `1 State 1001:>RESERVED_OUTBOUND_PREVIEW outside(reservation )`)
}

// TestMemoryIsBounded plays many calls, states and unanswered commands and
// looks at what is still held.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 50
	f := New(Options{Limit: limit})
	for i := range 40 * limit {
		for _, line := range []string{
			fmt.Sprintf("< T1 %d#NewInboundCall#42512#ani=42512#DialogID:%d#CallType:ACD_IN#x", i, i),
			fmt.Sprintf("> AnswerCall#%d %d", i, i),
			"< T1 " + state(fmt.Sprint(i), fmt.Sprint(i), "TALKING"),
		} {
			rec := wire(line, connA)
			rec.Seq, rec.Mono = int64(i+1), time.Duration(i+1)*time.Millisecond
			msg := Decode(&rec, decode.Options{})
			f.Observe(&rec, &msg)
		}
	}
	for name, n := range map[string]int{
		"dialogs": f.dialogs.len(), "agents": f.agents.len(), "exchanges": f.open.order.Len(), "keys": len(f.open.byKey),
		"ids": f.births.known.len() / 2, "counts": f.births.counts.len() / 2,
	} {
		if n > limit {
			t.Errorf("%d %s held, the limit is %d", n, name, limit)
		}
	}
	if f.Dropped() == 0 {
		t.Error("what the limit drove out was not counted")
	}
}

func TestEndedCallsAreForgotten(t *testing.T) {
	f := New(Options{Forget: time.Minute})
	story(t, f, inbound("1001", "ACTIVE", "700", "ani=1")+`
		`+inbound("1001", "DROPPED", "700", "ani=1")+`
		`+inbound("1001", "ACTIVE", "701", "ani=1")+`
		+2m
		< T1 System#IN_SERVICE`)
	if f.Dialog("700") != nil {
		t.Error("an ended call is remembered after its time")
	}
	if f.Dialog("701") == nil {
		t.Error("an open call was forgotten")
	}
	if f.Dropped() != 0 {
		t.Errorf("%d counted as driven out", f.Dropped())
	}
}

// TestWhatIsForgottenIsTold: an agent some minutes after the logout, unless
// there is news, and whatever was silent for hours.
func TestWhatIsForgottenIsTold(t *testing.T) {
	f := New(Options{Forget: time.Minute})
	at, seq := time.Duration(0), int64(0)
	var gone []string
	hear := func(after time.Duration, line string) {
		at, seq = at+after, seq+1
		rec := wire(line, connA)
		rec.Seq, rec.Mono = seq, at
		msg := Decode(&rec, decode.Options{})
		facts := f.Observe(&rec, &msg)
		for _, x := range facts.Forgot {
			gone = append(gone, fmt.Sprintf("%d: %s%s %s %v", seq, x.Dialog, x.Agent, x.Reason, x.Open))
		}
	}
	hear(0, "< T1 "+state("1001", "1001", "LOGOUT"))
	hear(0, "< T1 "+strings.ReplaceAll(state("1002", "1002", "LOGOUT"), "3001", "3002"))
	hear(time.Second, inbound("1003", "ACTIVE", "700", "ani=1"))
	hear(50*time.Second, "> Login#1002 ***,3002")
	hear(20*time.Second, "< T1 System#IN_SERVICE")
	hear(time.Second, "< T1 "+strings.ReplaceAll(state("1002", "1002", "READY"), "3001", "3002"))
	hear(2*time.Minute, "< T1 System#IN_SERVICE")
	hear(13*time.Hour, "< T1 System#IN_SERVICE")
	want := "5: 1001 logged-out false; 8: 700 silent true; 8: 1003 silent false; 8: 1002 silent true"
	if got := strings.Join(gone, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := f.Forgotten(); got[LoggedOut] != 1 || got[WasSilent] != 3 || len(got) != 2 {
		t.Errorf("counted %v", got)
	}
}

func TestClockNeverRunsBack(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var c Clock
	for i, s := range []struct {
		wall time.Duration
		mono time.Duration
		want time.Duration
	}{
		{0, 0, 0}, {time.Second, 0, time.Second}, {-time.Hour, 0, time.Second}, {0, 2 * time.Second, 2 * time.Second},
	} {
		rec := capture.Record{CapturedAt: start.Add(s.wall), Mono: s.mono}
		if got := c.At(&rec); got != s.want {
			t.Errorf("record %d: at %s, want %s", i, got, s.want)
		}
	}
}

func TestReplayNotesComeBack(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rec := Mapping{Agents: map[string]string{"1001": "2001"}}.Record(at)
	if m, s := ReplayNote(&rec); m == nil || s != nil || m.Agents["1001"] != "2001" {
		t.Errorf("the mapping came back as %+v, %+v", m, s)
	}
	rec = Stop{Conversation: "1001", After: 7, Reason: "because"}.Record(at)
	if m, s := ReplayNote(&rec); m != nil || s == nil || *s != (Stop{"1001", 7, "because"}) {
		t.Errorf("the stop came back as %+v, %+v", m, s)
	}
	rec.Body = []byte("not json")
	if m, s := ReplayNote(&rec); m != nil || s != nil {
		t.Error("a note of another kind was taken for a replay's")
	}
}
