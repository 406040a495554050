package diff_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gctap/capture"
	"gctap/decode/flow"
	"gctap/replay/diff"
)

// compare compares two sessions and fails on an error.
func compare(t *testing.T, left, right []capture.Record, opts diff.Options) *diff.Report {
	t.Helper()
	r, err := diff.Compare(seq(left), seq(right), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(r *diff.Report) string {
	var b strings.Builder
	_ = r.WriteText(&b, nil) // a strings.Builder takes everything
	return b.String()
}

// session makes records of lines "TIME > Type body", "TIME < topic body" and
// "TIME gap".
func session(t *testing.T, lines string) (records []capture.Record) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		d, err := time.ParseDuration(at)
		if err != nil {
			t.Fatal(err)
		}
		kind, rest, _ := strings.Cut(rest, " ")
		first, body, _ := strings.Cut(rest, " ")
		rec := capture.Record{Source: "stomp", Body: []byte(body)}
		switch kind {
		case ">":
			rec.Direction, rec.JMSType, rec.To = capture.Command, &first, "queue://Connector1"
		case "<":
			rec.Direction, rec.To = capture.Event, "topic://"+first
		case "gap":
			rec = capture.Gap{Reason: capture.GapReconnect}.Record()
		}
		rec.Seq, rec.Mono, rec.CapturedAt = int64(len(records)+1), d, time.Unix(1000, 0).Add(d)
		records = append(records, rec)
	}
	return records
}

const short = `
	0s > MakeReady#1001
	100ms < T1 1001#State#READY##t1##t2#A B#1001#3001#Ready#A B#ab
	1s < T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#t3
	2s > AnswerCall#1001 700
	2100ms < T1 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#t4#CallType:ACD_IN#ParticipantsCount:2#participants:42512,ACTIVE,OUT,,t5|3001,ACTIVE,AGENT_DEVICE,,t6`

func TestReportAsJSON(t *testing.T) {
	left := session(t, short)
	right := session(t, strings.NewReplacer("700", "900", "t2", "u2", "#Ready#", "#READY#", "100ms", "2500ms", "2s >", "3s >", "2100ms", "3100ms").Replace(short))
	r := compare(t, left, right, diff.Options{Left: diff.Name{Session: 1, Name: "a"}, Right: diff.Name{Session: 2, Name: "b"}})
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	want := `{"verdict":"different","incomplete":false,` +
		`"left":{"session":1,"name":"a","messages":5,"commands":2,"events":3,"gaps":0},` +
		`"right":{"session":2,"name":"b","messages":5,"commands":2,"events":3,"gaps":0},` +
		`"counts":{"matched":4,"changed":1,"missing":0,"extra":0,"reordered":0,"late":1,"duplicated":0},` +
		`"differences":[{"class":"changed","kind":"data","conversation":"1001","name":"State","state":"READY","left":2,"right":2,` +
		`"fields":[{"field":"label","left":"Ready","right":"READY"}],"why":"label not volatile, and no rule leaves it out"},` +
		`{"class":"late","kind":"timing","conversation":"1001","name":"State","state":"READY","left":2,"right":2,"why":"2.5s after its MakeReady, on the left 100ms"}],` +
		`"ignored":[{"rule":"volatile:stateChangeTime","count":1}],` +
		`"ids":{"dialogId":{"700":"900"}},` +
		`"latency":[{"name":"AnswerCall","left":{"n":1,"p50":100,"p95":100,"p99":100,"max":100},"right":{"n":1,"p50":100,"p95":100,"p99":100,"max":100},"regressed":false},` +
		`{"name":"MakeReady","left":{"n":1,"p50":100,"p95":100,"p99":100,"max":100},"right":{"n":1,"p50":2500,"p95":2500,"p99":2500,"max":2500},"regressed":false}]}` + "\n"
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if !json.Valid(b.Bytes()) {
		t.Error("not JSON")
	}
}

// consult is a consultation that the second agent takes as late as answer says.
const consult = `
	0s < T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#t3
	1s > AnswerCall#1001 700
	1100ms < T1 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#t4#CallType:ACD_IN#ParticipantsCount:2#participants:42512,ACTIVE,OUT,,t5|3001,ACTIVE,AGENT_DEVICE,,t6
	2s > ConsultCall#1001 3002,700
	2100ms < T1 1001#ConsultCall#INITIATED#AssDialogID:701#3001#ani=3001|associatedDialogId=700#A B#
	2100ms < T2 1002#NewInboundCall#3001#ani=3001|associatedDialogId=700#DialogID:701#CallType:CONSULT#x
	ANSWER > AnswerCall#1002 701
	ACTIVE < T1 1001#ConsultCall#ACTIVE#AssDialogID:701#3001#ani=3001|associatedDialogId=700#A B#`

// TestWhatWaitsForSomebodyElseIsNotLate: a consultation is ACTIVE when it is
// answered, however long that takes; late is what comes late after that.
func TestWhatWaitsForSomebodyElseIsNotLate(t *testing.T) {
	at := func(answer, active string) []capture.Record {
		return session(t, strings.NewReplacer("ANSWER", answer, "ACTIVE <", active+" <").Replace(consult))
	}
	left := at("2200ms", "2300ms")
	if r := compare(t, left, at("6s", "6100ms"), diff.Options{}); r.Verdict != diff.Same {
		t.Errorf("answered later: %s", text(r))
	}
	r := compare(t, left, at("6s", "9s"), diff.Options{})
	if len(r.Differences) != 1 || r.Differences[0].Class != diff.Late || r.Differences[0].Why != "3s after what its ConsultCall waited for, on the left 100ms" {
		t.Errorf("late after the answer: %s", text(r))
	}
}

func TestEqualBytesGiveEqualReports(t *testing.T) {
	w := newWorld(7, 7, time.Second)
	left := w.session(days(4, 2))
	w.run = "b"
	other := days(4, 2)
	for range 5 {
		plant(w.rng, other)
	}
	right := w.session(other)
	var first bytes.Buffer
	if err := compare(t, left, right, diff.Options{}).WriteJSON(&first); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		var again bytes.Buffer
		if err := compare(t, left, right, diff.Options{}).WriteJSON(&again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), again.Bytes()) {
			t.Fatal("two comparisons of the same sessions differ")
		}
	}
}

func TestIgnoredFields(t *testing.T) {
	left, right := session(t, short), session(t, strings.Replace(short, "#Ready#", "#READY#", 1))
	for _, rule := range []string{"label", "State.label"} {
		r := compare(t, left, right, diff.Options{Ignore: []string{rule}})
		if r.Verdict != diff.Same || len(r.Ignored) != 1 || r.Ignored[0] != (diff.Ignored{Rule: "ignore:label", Count: 1}) {
			t.Errorf("--ignore %s: %s, %+v", rule, r.Verdict, r.Ignored)
		}
	}
	if r := compare(t, left, right, diff.Options{Ignore: []string{"InboundCall.label"}}); r.Verdict != diff.Different {
		t.Errorf("a rule for another message left the field out: %s", r.Verdict)
	}
}

func TestIDsMustMapOneToOne(t *testing.T) {
	two := short + `
	5s < T1 1001#NewInboundCall#42513#ani=42513#DialogID:701#CallType:ACD_IN#t3`
	left, right := session(t, two), session(t, strings.ReplaceAll(two, "701", "700"))
	r := compare(t, left, right, diff.Options{})
	if r.Verdict != diff.Different {
		t.Errorf("two calls became one, and the verdict is %s", r.Verdict)
	}
	right = session(t, strings.Replace(two, "AnswerCall#1001 700", "AnswerCall#1001 999", 1))
	r = compare(t, left, right, diff.Options{})
	if len(r.Differences) == 0 || r.Differences[0].Name != "AnswerCall" || r.Differences[0].Fields[0].Field != "dialogId" {
		t.Errorf("a command with the id of no call: %s", text(r))
	}
}

// TestAnIDGivenAgainIsAnotherCall: hours later the left GC gives the agent the
// same id for another call, the right one does not.
func TestAnIDGivenAgainIsAnotherCall(t *testing.T) {
	call := func(hour int, id string) string {
		return strings.NewReplacer("HH", fmt.Sprint(hour), "700", id).Replace(`
	HHh1s < T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#t3
	HHh2s > AnswerCall#1001 700
	HHh2.1s < T1 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#t4#CallType:ACD_IN#ParticipantsCount:0#participants:
	HHh3s > ReleaseCall#1001 700
	HHh3.1s < T1 1001#InboundCall#DROPPED#DialogID:700#42512#ani=42512#t4#CallType:ACD_IN#ParticipantsCount:0#participants:`)
	}
	r := compare(t, session(t, call(0, "700")+call(3, "700")+call(6, "701")), session(t, call(0, "800")+call(3, "900")+call(6, "800")), diff.Options{})
	if r.Verdict != diff.Same || r.Counts.Matched != 15 {
		t.Errorf("%+v %s", r.Counts, text(r))
	}
}

func TestGapsMakeTheEvidenceIncomplete(t *testing.T) {
	left := session(t, short)
	right := session(t, short+"\n\t9s gap")
	if r := compare(t, left, right, diff.Options{}); r.Verdict != diff.Incomplete || !r.Incomplete {
		t.Errorf("same with a gap: %s", r.Verdict)
	}
	right = session(t, strings.Replace(short, "#Ready#", "#READY#", 1)+"\n\t9s gap")
	if r := compare(t, left, right, diff.Options{}); r.Verdict != diff.Different || !r.Incomplete {
		t.Errorf("different with a gap: %s, incomplete %v", r.Verdict, r.Incomplete)
	}
}

// TestWhatAReplayDidNotReachIsNoDifference: the call did not come, and the
// replay stopped the conversation before AnswerCall.
func TestWhatAReplayDidNotReachIsNoDifference(t *testing.T) {
	left := session(t, short)
	stop := flow.Stop{Conversation: "1001", After: 1, Reason: "waits for an inbound call"}.Record(time.Unix(2000, 0))
	stop.Seq = 3
	right := append(left[:2:2], stop)
	r := compare(t, left, right, diff.Options{})
	if r.Verdict != diff.Incomplete || len(r.Differences) != 0 || len(r.Right.Stopped) != 1 {
		t.Errorf("%s", text(r))
	}
	right = append(left[:1:1], stop)
	if r = compare(t, left, right, diff.Options{}); len(r.Differences) != 0 {
		// The answer to the last command sent may have been cut off too.
		t.Errorf("%s", text(r))
	}
}

func TestAReplaysMappingIsKnown(t *testing.T) {
	left := session(t, short)
	mapped := strings.NewReplacer("1001", "2001", "3001", "4001", "T1", "T9", "A B", "A B").Replace(short)
	right := append([]capture.Record{flow.Mapping{Agents: map[string]string{"1001": "2001"}, Exts: map[string]string{"3001": "4001"},
		Dests: map[string]string{"T1": "T9"}}.Record(time.Unix(1000, 0))}, session(t, mapped)...)
	if r := compare(t, left, right, diff.Options{}); r.Verdict != diff.Same {
		t.Errorf("%s", text(r))
	}
	opts := diff.Options{Map: flow.Mapping{Agents: map[string]string{"1001": "2001"}, Exts: map[string]string{"3001": "4001"}}}
	if r := compare(t, left, right[1:], opts); r.Verdict != diff.Same {
		t.Errorf("with --map: %s", text(r))
	}
	if r := compare(t, left, right[1:], diff.Options{}); r.Counts.Missing != len(left) || r.Counts.Extra != len(left) {
		t.Errorf("without a mapping another agent's messages were compared: %s", text(r))
	}
}

// TestWhatIsKnownLateCountsFromTheBeginning: names that only the end of a
// session tells, and the other format of its events, hold for all of it.
func TestWhatIsKnownLateCountsFromTheBeginning(t *testing.T) {
	w := newWorld(3, 3, 300*time.Millisecond)
	left := w.session(days(3, 2))
	w.run = "b"
	right := w.session(days(3, 2))
	names := flow.Mapping{Agents: map[string]string{}, Exts: map[string]string{}}
	rename := strings.NewReplacer("Agent 100", "Agent 100", "login100", "login100", // names of people stay
		"1000", "2000", "1001", "2001", "1002", "2002", "3000", "4000", "3001", "4001", "3002", "4002")
	for i := range right {
		if right[i].JMSType != nil {
			typ := rename.Replace(*right[i].JMSType)
			right[i].JMSType = &typ
		}
		right[i].Body = []byte(rename.Replace(string(right[i].Body)))
	}
	for i := range 3 {
		names.Agents[fmt.Sprint(1000+i)], names.Exts[fmt.Sprint(3000+i)] = fmt.Sprint(2000+i), fmt.Sprint(4000+i)
	}
	note := names.Record(time.Unix(1000, 0))
	first := compare(t, left, append([]capture.Record{note}, right...), diff.Options{})
	last := compare(t, left, append(slices.Clone(right), note), diff.Options{})
	if first.Verdict != diff.Same || first.Counts.Matched != len(left) {
		t.Errorf("told first: %s", text(first))
	}
	if !cmp.Equal(first, last, cmpopts.IgnoreUnexported(diff.Report{}, diff.Difference{})) {
		t.Errorf("told first:\n%s\ntold last:\n%s", text(first), text(last))
	}
}

func TestTextAndJSONFormatsAreComparable(t *testing.T) {
	left := session(t, `
		0s > AnswerCall#1001 700
		1s < T1 1001#DialogState#ACTIVE#700#A B`)
	right := session(t, `
		0s > AnswerCall#1001 900
		1s < T1 {"type":"DialogState","agentId":"1001","dialogId":"900","state":"ACTIVE"}`)
	r := compare(t, left, right, diff.Options{Ignore: []string{"fullName", "agentId"}})
	if r.Verdict != diff.Same {
		t.Errorf("%s", text(r))
	}
}

func TestWhatNothingCanBeMadeOfIsComparedAsItIs(t *testing.T) {
	left, right := session(t, "0s < T1 nonsense"), session(t, "0s < T1 nonsense!")
	if r := compare(t, left, right, diff.Options{}); r.Verdict != diff.Different {
		t.Errorf("%s", text(r))
	}
	if r := compare(t, left, left, diff.Options{}); r.Verdict != diff.Same {
		t.Errorf("%s", text(r))
	}
}

func TestRegressedLatency(t *testing.T) {
	many := func(d string) []capture.Record {
		var b strings.Builder
		for i := range 30 {
			fmt.Fprintf(&b, "%ds > MakeReady#1001\n%ds < T9 System#IN_SERVICE\n", 10*i, 10*i)
			fmt.Fprintf(&b, "%s < T1 1001#State#READY##t1##t2#A B#1001#3001#Ready#A B#ab\n", fmt.Sprintf("%d%s", 10*i, d))
		}
		return session(t, b.String())
	}
	left, right := many(".1s"), many(".4s")
	r := compare(t, left, right, diff.Options{})
	if r.Verdict != diff.Same || len(r.Latency) != 1 || !r.Latency[0].Regressed {
		t.Errorf("%s, %+v", r.Verdict, r.Latency)
	}
	if r = compare(t, left, right, diff.Options{FailLatency: true}); r.Verdict != diff.Different {
		t.Errorf("with FailLatency: %s", r.Verdict)
	}
	if r = compare(t, left, left, diff.Options{FailLatency: true}); r.Verdict != diff.Same {
		t.Errorf("the same twice: %s", r.Verdict)
	}
}

func TestTextIsGroupedBySignature(t *testing.T) {
	left := session(t, short+strings.ReplaceAll(short, "1001", "1002"))
	right := session(t, strings.ReplaceAll(short+strings.ReplaceAll(short, "1001", "1002"), "#Ready#", "#READY#"))
	got := text(compare(t, left, right, diff.Options{}))
	for _, want := range []string{"different: 8 matched, 2 changed\n", "changed    State READY (label), 2 times\n", `label: "READY", was "Ready"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestReadErrorsArePassedOn(t *testing.T) {
	broken := errors.New("broken")
	bad := func(yield func(capture.Record, error) bool) { yield(capture.Record{}, broken) }
	if _, err := diff.Compare(bad, seq(nil), diff.Options{}); !errors.Is(err, broken) {
		t.Errorf("left: %v", err)
	}
	endless := func(yield func(capture.Record, error) bool) {
		for yield(capture.Record{Direction: capture.GapRow}, nil) {
		}
	}
	if _, err := diff.Compare(endless, bad, diff.Options{}); !errors.Is(err, broken) {
		t.Errorf("right: %v", err)
	}
	if _, err := diff.Compare(bad, endless, diff.Options{}); !errors.Is(err, broken) {
		t.Errorf("left, and right has no end: %v", err)
	}
}

// Everything is read and aligned, and what is said is about the messages that
// are asked for: the left session's, and the right one's where it has none.
func TestOnlySomeMessages(t *testing.T) {
	left := session(t, short)
	right := session(t, strings.ReplaceAll(strings.Replace(short, "#Ready#", "#READY#", 1), "700", "701")+`
	3s < T1 1001#NewInboundCall#42514#ani=42514#DialogID:702#CallType:ACD_IN#t3`)
	for _, c := range []struct {
		left, right []int64
		verdict     string
		counts      diff.Counts
	}{
		{[]int64{1, 2, 3, 4, 5}, []int64{6}, diff.Different, diff.Counts{Matched: 4, Changed: 1, Extra: 1}},
		{[]int64{2}, nil, diff.Different, diff.Counts{Changed: 1}},
		{[]int64{4, 5}, []int64{2, 3}, diff.Same, diff.Counts{Matched: 2}}, // the call has another id, learned elsewhere
		{nil, []int64{6}, diff.Different, diff.Counts{Extra: 1}},
		{nil, []int64{2}, diff.Incomplete, diff.Counts{}},
	} {
		only := func(right bool, seq int64) bool {
			if right {
				return slices.Contains(c.right, seq)
			}
			return slices.Contains(c.left, seq)
		}
		r := compare(t, left, right, diff.Options{Only: only})
		if r.Verdict != c.verdict || r.Counts != c.counts {
			t.Errorf("of %v and %v: %s, %+v", c.left, c.right, r.Verdict, r.Counts)
		}
	}
	for from, want := range []int{1, 1, 1, 0} { // the label is in message 2
		r := compare(t, left, right, diff.Options{Ignore: []string{"label"}, Only: func(_ bool, seq int64) bool { return seq >= int64(from) }})
		if len(r.Ignored) != want {
			t.Errorf("from %d on, left out: %+v", from, r.Ignored)
		}
	}
}
