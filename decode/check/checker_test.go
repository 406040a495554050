package check

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay/gcsim"
	"testing"
)

// findings checks a recording.
func findings(t testing.TB, f *floor, o CheckOptions) (all []Finding) {
	t.Helper()
	if err := Run(f.all, Options{Until: f.end}, NewChecker(o, func(x Finding) { all = append(all, x) })); err != nil {
		t.Fatal(err)
	}
	return all
}

// seeds is over how many runs what must hold is tried: all where $GCTAP_SLOW is
// set, as in CI.
var seeds = func() uint64 {
	if os.Getenv("GCTAP_SLOW") != "" {
		return 50
	}
	return 12
}()

// TestCleanRunsHaveNoFindings: people at work, and nothing goes wrong.
func TestCleanRunsHaveNoFindings(t *testing.T) {
	for seed := uint64(1); seed <= seeds; seed++ {
		f := play(t, floorOptions{seed: seed, length: 30 * time.Minute, dialer: seed%3 == 0})
		for i, x := range findings(t, f, CheckOptions{}) {
			if i == 2 {
				break
			}
			t.Errorf("seed %d: %s at %d: %s\n%s", seed, x.Rule, x.Seq, x.Text, f.around(x.Seq, 10))
		}
	}
}

// planted are faults of every kind that check is to find, and by which rules.
// What cannot be told from good behaviour is not among them: DialogStatus is
// optional, and whether a call rang out or its ACTIVE was lost looks the same.
var planted = []struct {
	fault string
	rules []string
}{
	{"ignore:MakeReady", []string{Unanswered}},
	{"ignore:AnswerCall", []string{Unanswered}},
	{"ignore:HoldCall", []string{Unanswered, LateAnswer}},
	{"ignore:GetPhonebooks", []string{Unanswered}},
	{"ignore:Hello", []string{Unanswered}},
	{"ignore:Beat", []string{Unanswered}},
	{"ignore:Login", []string{Unanswered}},
	{"late:State:READY:3s", []string{LateAnswer, StateMismatch, ImpossibleState}},
	{"late:State:NOT_READY:4s", []string{LateAnswer, StateMismatch, ImpossibleState}},
	{"late:PhonebookContacts:5s", []string{LateAnswer}},
	{"late:AgentInfo:3s", []string{LateAnswer}},
	{"late:InboundCall:HELD:3s", []string{LateAnswer, TwoCalls}},
	{"late:System:3s", []string{LateAnswer}},
	{"late:NewInboundCall:3s", []string{StateMismatch}},
	{"missing:State:TALKING", []string{StateMismatch, MissingEvent, ImpossibleState, Unanswered}},
	{"missing:State:RESERVED", []string{StateMismatch, ImpossibleState}},
	{"missing:State:HOLD", []string{StateMismatch, MissingEvent}},
	{"missing:State:LOGOUT", []string{Unanswered}},
	{"missing:NewInboundCall", []string{StateMismatch, CallSequence}},
	{"missing:InboundCall:ACTIVE", []string{Unanswered, MissingEvent, StateMismatch, CallSequence}},
	{"missing:InboundCall:HELD", []string{Unanswered, MissingEvent, CallSequence, StateMismatch, TwoCalls}},
	{"missing:InboundCall:INITIATING", []string{MissingEvent, CallSequence}},
	{"missing:InboundCall:INITIATED", []string{MissingEvent, CallSequence}},
	{"missing:InboundCall:DROPPED", []string{Unanswered, MissingEvent, StateMismatch, CallSequence}},
	{"missing:ConsultCall:INITIATING", []string{MissingEvent, CallSequence}},
	{"missing:ConsultCall:DROPPED", []string{MissingEvent, StateMismatch, Unanswered}},
	{"missing:ReasonCodes", []string{Unanswered}},
	{"missing:AgentInfo", []string{MissingEvent}},
	{"missing:System", []string{Unanswered}},
	{"double:State:READY", []string{DuplicateEvent}},
	{"double:State:TALKING", []string{DuplicateEvent}},
	{"double:InboundCall:HELD", []string{DuplicateEvent}},
	{"double:InboundCall:DROPPED", []string{DuplicateEvent}},
	{"double:NewInboundCall", []string{DuplicateEvent}},
	{"double:ConsultCall:INITIATED", []string{DuplicateEvent}},
	{"double:Phonebooks", []string{DuplicateEvent}},
	{"double:AgentInfo", []string{DuplicateEvent}},
	{"extra:State:RESERVED=HOLD", []string{ImpossibleState}},
	{"extra:State:READY=TALKING", []string{ImpossibleState, StateMismatch}},
	{"extra:InboundCall:ACTIVE=ALERTING", []string{CallSequence}},
	{"extra:InboundCall:DROPPED=ACTIVE", []string{CallSequence}},
	{"extra:InboundCall:HELD=INITIATED", []string{CallSequence}},
	{"extra:ReasonCodes", []string{UnaskedMessage}},
	{"change:State:RESERVED.state=HOLD", []string{ImpossibleState}},
	{"change:State:READY.state=WORK", []string{ImpossibleState, Unanswered}},
	{"change:State:TALKING.state=WORK_READY", []string{ImpossibleState, StateMismatch}},
	{"error:HoldCall=CF_RESOURCE_BUSY", []string{Refused}},
	{"error:MakeNotReadyWithReason=PLEASE_RETRY", []string{Refused}},
	{"error:GetState=RE_LOGIN", []string{ReLogin}},
	{"error:Beat=RECONNECT", []string{Reconnect}},
	{"malformed:NewInboundCall", []string{Malformed, Irregular}},
	{"malformed:State:READY", []string{Malformed, Irregular}},
	{"malformed:InboundCall:ACTIVE", []string{Malformed, Irregular}},
	{"malformed:ReasonCodes", []string{Malformed, Irregular}},
	{"malformed:System", []string{Malformed, Irregular}},
}

// TestPlantedFaultsAreFound plants one fault in each of many runs.
func TestPlantedFaultsAreFound(t *testing.T) {
	struck := map[string]int{}
	for seed := uint64(1); seed <= seeds; seed++ {
		for i := range planted {
			if (i+int(seed))%12 != 0 {
				continue
			}
			p := &planted[i]
			nth := 1 + int(seed)%3
			agent := fmt.Sprintf("100%d/", 1+seed%5)
			kind, rest, _ := strings.Cut(p.fault, ":")
			if strings.HasPrefix(rest, "System") || strings.HasPrefix(rest, "Hello") || strings.HasPrefix(rest, "Beat") || strings.Contains(rest, "LOGOUT") || strings.Contains(rest, "Login") || strings.Contains(rest, "AgentInfo") {
				agent, nth = "", 1
			}
			at := fmt.Sprintf("@%d", nth)
			if strings.HasPrefix(rest, "Beat") || kind == "late" {
				i := strings.LastIndexByte(rest, ':')
				if kind == "late" {
					rest = rest[:i] + at + rest[i:]
				} else {
					rest += at
				}
			} else {
				rest += at
			}
			fault := kind + ":" + agent + rest
			f := play(t, floorOptions{seed: seed, faults: []string{fault}, calm: true, length: 30 * time.Minute})
			all := findings(t, f, CheckOptions{})
			for _, d := range f.sim.Planted() {
				if !f.unknowable(d) {
					struck[p.fault]++
				}
				if !found(all, d, p.rules) && !f.unknowable(d) {
					t.Errorf("seed %d: %s at %s is not found among %v", seed, fault, d.At.Format("15:04:05.000"), told(all))
				}
			}
		}
	}
	for _, p := range planted {
		if struck[p.fault] == 0 && seeds == 50 {
			t.Errorf("%s never struck", p.fault)
		}
	}
}

// loops are faults that make a client go round in circles.
var loops = []struct{ fault, rule string }{
	{"error:1001/Login=RE_LOGIN", ReLoginLoop},
	{"error:Beat=RECONNECT", ReconnectLoop},
	{"error:1001/MakeReady=CF_RESOURCE_BUSY", ErrorLoop},
}

func TestLoopsAreFound(t *testing.T) {
	for seed := uint64(1); seed <= seeds; seed++ {
		l := loops[seed%uint64(len(loops))]
		f := play(t, floorOptions{seed: seed, faults: []string{l.fault}, calm: true, length: 10 * time.Minute})
		all := findings(t, f, CheckOptions{})
		if !slices.ContainsFunc(all, func(x Finding) bool { return x.Rule == l.rule && len(x.Seqs) >= 3 }) {
			t.Errorf("seed %d: %s is no loop: %v", seed, l.fault, told(all))
		}
	}
}

// cut takes out of a recording what a tap missed, and puts a gap row there.
func (f *floor) cut(from, to time.Time) {
	var kept []capture.Record
	gap := false
	for _, r := range f.records {
		if r.CapturedAt.After(from) && !gap && !r.CapturedAt.Before(to) {
			kept, gap = append(kept, capture.Gap{From: from, To: to, Reason: capture.GapReconnect}.Record()), true
		}
		if !r.CapturedAt.After(from) || !r.CapturedAt.Before(to) {
			kept = append(kept, r)
		}
	}
	f.records = nil
	for _, r := range kept {
		f.record(r)
	}
}

// TestGapsAccuseNobody: what is missing because the tap was away is a note.
func TestGapsAccuseNobody(t *testing.T) {
	for seed := uint64(1); seed <= seeds; seed++ {
		f := play(t, floorOptions{seed: seed, length: 20 * time.Minute})
		at := f.opts.start.Add(time.Duration(seed*13%900) * time.Second)
		f.cut(at, at.Add(time.Duration(1+seed%90)*time.Second))
		gaps := 0
		for _, x := range findings(t, f, CheckOptions{}) {
			if x.Rule == GapRule {
				gaps++
			} else if !x.Uncertain || x.Severity != decode.Note {
				t.Errorf("seed %d: %s at %d: %s\n%s", seed, x.Rule, x.Seq, x.Text, f.around(x.Seq, 6))
			}
		}
		if gaps != 1 {
			t.Errorf("seed %d: %d gaps, want 1", seed, gaps)
		}
	}
}

// TestAGapLongerThanTheWindow: the command just before it is not accused, one
// whose time was over by then is.
func TestAGapLongerThanTheWindow(t *testing.T) {
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	f := &floor{t: t, end: start.Add(10 * time.Minute)}
	for i, typ := range []string{"MakeReady#1001", "MakeNotReady#1001"} {
		at := start.Add(time.Duration(i) * time.Minute)
		f.record(capture.Record{Direction: capture.Command, To: "queue://q", JMSType: &typ, CapturedAt: at, Mono: at.Sub(start) + 1})
	}
	gap := capture.Gap{From: start.Add(61 * time.Second), To: start.Add(3 * time.Minute), Reason: capture.GapReconnect}.Record()
	gap.Mono = 3 * time.Minute
	f.record(gap)
	got := told(findings(t, f, CheckOptions{}))
	var severities []string
	for _, x := range findings(t, f, CheckOptions{}) {
		severities = append(severities, x.Name+" "+x.Severity)
	}
	if want := []string{"MakeReady error", "MakeNotReady note", " note"}; !slices.Equal(severities, want) {
		t.Errorf("got %q, want %q: %v", severities, want, got)
	}
}

// TestRulesCanBeTurnedOff, and rows are whole.
// TestSilenceIsTold: a call whose end was lost is a note half a day later, an
// agent who signed out is none.
func TestSilenceIsTold(t *testing.T) {
	var records []capture.Record
	for _, x := range []struct {
		at   time.Duration
		body string
	}{
		{0, "1001#State#LOGOUT#-1###2026-11-23 09:00:00#A B#1001#3001##A B#ab"},
		{time.Second, "1002#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#t#CallType:ACD_IN#ParticipantsCount:0#participants:"},
		{13 * time.Hour, "System#IN_SERVICE"},
	} {
		records = append(records, capture.Record{Seq: int64(len(records) + 1), CapturedAt: time.Unix(1000, 0).Add(x.at), Mono: x.at, Source: "stomp",
			Direction: capture.Event, To: "topic://T1", Body: []byte(x.body)})
	}
	var got []Finding
	checker := NewChecker(CheckOptions{}, func(x Finding) {
		if x.Rule == Silence {
			got = append(got, x)
		}
	})
	all := func(yield func(capture.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
	if err := Run(all, Options{}, checker); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Dialog != "700" || got[0].Severity != decode.Note || got[0].Seq != 3 {
		t.Errorf("%+v", got)
	}
}

func TestRulesCanBeTurnedOff(t *testing.T) {
	f := play(t, floorOptions{seed: 3, faults: []string{"ignore:MakeReady"}, calm: true, length: 5 * time.Minute})
	count := func(o CheckOptions) (n int) {
		for _, x := range findings(t, f, o) {
			if x.Rule == Unanswered {
				n++
			}
		}
		return n
	}
	if on, off := count(CheckOptions{}), count(CheckOptions{Off: []string{Unanswered}}); on == 0 || off != 0 {
		t.Errorf("%d with the rule, %d without", on, off)
	}
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.ID] || r.Doc == "" || r.Says == "" || Rank(r.Severity) < 1 {
			t.Errorf("rule %q: twice, without text or severity", r.ID)
		}
		seen[r.ID] = true
	}
	if err := CheckRules([]string{Unanswered, "unanswerd"}); err == nil || !strings.Contains(err.Error(), `"unanswerd"`) {
		t.Errorf("a misspelt rule gives %v", err)
	}
}

// TestUCCXDoesNotTellOfHolds: what is a fault on UCCE is none there.
func TestUCCXDoesNotTellOfHolds(t *testing.T) {
	accused := 0
	for seed := uint64(1); seed <= seeds; seed++ {
		f := play(t, floorOptions{seed: seed, length: 20 * time.Minute})
		told := f.records
		f.records = nil
		for _, r := range told {
			if !strings.Contains(string(r.Body), "Call#HELD#") {
				f.record(r)
			}
		}
		accused += len(findings(t, f, CheckOptions{Platform: UCCE}))
		for _, x := range findings(t, f, CheckOptions{Platform: UCCX}) {
			t.Errorf("seed %d: %s at %d: %s", seed, x.Rule, x.Seq, x.Text)
		}
	}
	if accused == 0 {
		t.Error("nothing was held")
	}
}

// unknowable reports whether nobody can tell a deviation from what may well
// happen: an outgoing call that is never picked up looks like one whose ACTIVE
// was lost; what the next state mends at once leaves no trace; how long a
// wrap-up timer runs is not known.
func (f *floor) unknowable(d gcsim.Deviation) bool {
	var command, before string
	mended := false
	for i := range f.records {
		r := &f.records[i]
		m := flow.Decode(r, decode.Options{})
		switch {
		case m.Agent != d.Conversation:
		case r.CapturedAt.Before(d.At) && m.Kind == "command":
			command = m.Name
		case m.Name != "State" || m.Text("agentId") != d.Conversation:
		case r.CapturedAt.Before(d.At):
			before = m.Text("state")
		case r.CapturedAt.Before(d.At.Add(flow.DefaultLate)):
			mended = true
		}
	}
	switch {
	case d.Class == "missing" && d.Name == "InboundCall":
		return command == "MakeCall" && strings.Contains(d.Fault, ":ACTIVE")
	case d.Class == "missing" && d.Name == "State":
		return mended
	case d.Class == "late" && d.Name == "State":
		return strings.HasPrefix(before, "WORK")
	}
	return false
}

// found reports whether one of the rules found a deviation at its agent.
func found(all []Finding, d gcsim.Deviation, rules []string) bool {
	return slices.ContainsFunc(all, func(x Finding) bool {
		near := x.Time.After(d.At.Add(-3*time.Minute)) && x.Time.Before(d.At.Add(3*time.Minute))
		return slices.Contains(rules, x.Rule) && near && (d.Conversation == "" || x.Conversation == d.Conversation)
	})
}

func told(all []Finding) (lines []string) {
	for _, x := range all {
		lines = append(lines, fmt.Sprintf("\n%s %s %s %v: %s", x.Time.Format("15:04:05.000"), x.Rule, x.Conversation, x.Seqs, x.Text))
	}
	return lines
}
