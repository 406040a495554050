package diff_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/replay/diff"
)

// A build whose labels and texts wobble, and another that also does one thing
// differently.
func wobbly(t *testing.T, label, extra, reason string) []capture.Record {
	t.Helper()
	return session(t, fmt.Sprintf(`
		0s > Connect#1001 T1,***
		0s > Login#1001 ***,3001
		1s < T1 1001#State#NOT_READY#%s#t##t#A B#1001#3001#%s#A B#ab
		%s
		3s > MakeReady#1001
		4s < T1 1001#State#READY##t##t#A B#1001#3001##A B#ab`, reason, label, extra))
}

func TestNoiseIsLearnedAndExplained(t *testing.T) {
	control := "2s < T1 1001#Control#PrintStatusBar#hello"
	left := wobbly(t, "Lunch", control, "-1")
	noise := []iter.Seq2[capture.Record, error]{seq(wobbly(t, "Pause", control, "-1")), seq(wobbly(t, "Lunch", control, "-1")), seq(wobbly(t, "Break", "2s gap", "-1"))}
	right := wobbly(t, "Mittag", "2500ms > MakeReady#1001", "0")
	if r := compare(t, left, right, diff.Options{}); r.Counts.Changed != 1 || r.Counts.Missing != 1 || len(r.Differences[0].Fields) != 2 {
		t.Fatalf("without noise: %s", text(r))
	}
	r := compare(t, left, right, diff.Options{Noise: noise})
	if len(r.Differences) != 2 || r.Differences[0].Class != diff.Changed || len(r.Differences[0].Fields) != 1 || r.Differences[0].Fields[0].Field != "reasonCode" {
		t.Errorf("with noise: %s", text(r))
	}
	for _, want := range []diff.Ignored{
		{Rule: "noise:State.label", Count: 1, Why: "wobbled in 2 of 3 baseline runs"},
		{Rule: "noise:missing Control", Count: 1, Why: "wobbled in 1 of 3 baseline runs"},
	} {
		if !slices.Contains(r.Ignored, want) {
			t.Errorf("no %+v in %+v", want, r.Ignored)
		}
	}
	if !strings.Contains(text(r), "left out   noise:State.label: 1 (wobbled in 2 of 3 baseline runs)") {
		t.Errorf("%s", text(r))
	}
}

const someRules = `
ignore:
  - {field: State.label, reason: translated}
  - {message: Control, reason: texts for people}
tolerate:
  - {message: State, field: reasonCode, conversation: "1001", reason: ticket 4711}
  - {class: duplicated, message: MakeReady, reason: the client asks twice}
order-free:
  - {message: State, reason: another thread}
`

func TestRules(t *testing.T) {
	rules, err := diff.ReadRules(strings.NewReader(someRules))
	if err != nil {
		t.Fatal(err)
	}
	left := wobbly(t, "Lunch", "2s < T1 1001#Control#PrintStatusBar#hello", "-1")
	right := wobbly(t, "Mittag", "2500ms > MakeReady#1001", "0")
	r := compare(t, left, right, diff.Options{Rules: rules})
	if r.Verdict != diff.Same {
		t.Errorf("%s", text(r))
	}
	for _, want := range []diff.Ignored{
		{Rule: "rule:ignore State.label", Count: 1, Why: "translated"},
		{Rule: "rule:ignore Control", Count: 1, Why: "texts for people"},
		{Rule: "rule:tolerate State reasonCode in 1001", Count: 1, Why: "ticket 4711"},
		{Rule: "rule:tolerate duplicated MakeReady", Count: 1, Why: "the client asks twice"},
	} {
		if !slices.Contains(r.Ignored, want) {
			t.Errorf("no %+v in %+v", want, r.Ignored)
		}
	}
	rules.Tolerate[0].Conversation = "1002"
	if r := compare(t, left, right, diff.Options{Rules: rules}); r.Verdict != diff.Different || len(r.Differences) != 1 {
		t.Errorf("another conversation: %s", text(r))
	}
}

func TestOrderFree(t *testing.T) {
	events := [2]string{"1001#InboundCall#DROPPED#DialogID:700#42512#ani=42512#x#CallType:ACD_IN#ParticipantsCount:0#participants:", "1001#State#READY##t##t#A B#1001#3001##A B#ab"}
	run := func(first, second string) []capture.Record {
		return session(t, "0s > ReleaseCall#1001 700\n10ms < T1 "+first+"\n20ms < T1 "+second)
	}
	left, right := run(events[0], events[1]), run(events[1], events[0])
	r := compare(t, left, right, diff.Options{})
	if len(r.Differences) != 1 || r.Differences[0].Class != diff.Reordered {
		t.Fatalf("%s", text(r))
	}
	rules := diff.Rules{OrderFree: []diff.Rule{{Message: r.Differences[0].Name, Reason: "another thread"}}}
	if r := compare(t, left, right, diff.Options{Rules: rules}); r.Verdict != diff.Same {
		t.Errorf("%s", text(r))
	}
}

func TestRulesRefused(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"ignore: [{field: label}]", "rule 1 of ignore: give a reason"},
		{"ignore: [{reason: r}]", "fits everything"},
		{"ignore: [{field: x, class: late, reason: r}]", "tolerate takes class"},
		{"tolerate: [{class: tardy, reason: r}]", `class "tardy"`},
		{"order-free: [{class: late, reason: r}]", "name a message"},
		{"ignroe: []", "ignroe"},
		{"ignore: [{feild: x}]", "feild"},
		{"ignore: {", "yaml"},
	} {
		if _, err := diff.ReadRules(strings.NewReader(tt.file)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.file, err, tt.want)
		}
	}
	if _, err := diff.ReadRules(strings.NewReader("")); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestJUnit(t *testing.T) {
	left, right := wobbly(t, "Lunch", "500ms gap", "-1"), wobbly(t, "A\x01<&", "2s gap", "-1")
	var b strings.Builder
	if err := compare(t, left, right, diff.Options{}).WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(b.String()), &suite); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	if suite.Failures != 1 || suite.Errors != 1 || suite.Tests != len(suite.Cases) {
		t.Errorf("%s", b.String())
	}
	for _, c := range suite.Cases {
		if c.Name == "1001" && (c.Failure == nil || c.Failure.Message != "1 differences" || !strings.Contains(c.Failure.Text, "label: ")) {
			t.Errorf("%s", b.String())
		}
	}
}

// TestTheTwoFormatsOfACall compares a call that one GC tells in text, the other
// in JSON, and then with a difference in it.
func TestTheTwoFormatsOfACall(t *testing.T) {
	left := session(t, `
		0s > Connect#1001 T1,***
		0s > Login#1001 ***,3001
		1s < T1 1001#State#NOT_READY#-1#t##t#A B#1001#3001#Lunch#A B#ab
		2s < T1 1001#NewInboundCall#42512#ani=42512|callVariable1=Gold#DialogID:700#CallType:ACD_IN#x
		3s > AnswerCall#1001 700
		4s < T1 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512|callVariable1=Gold#x#CallType:ACD_IN#ParticipantsCount:1#participants:3001,ACTIVE,AGENT_DEVICE,,x
		5s < T1 1001#Error#CF_GENERIC_ERROR`)
	right := func(label, calltype string) []capture.Record {
		return session(t, `
		0s > Connect#1001 T2,***
		0s > Login#1001 ***,3001
		1s < T2 {"type":"State","state":"NOT_READY","reasonCode":"-1","pendingState":null,"fullName":"A B","extension":"3001","label":"`+label+`","agentId":"1001"}
		2s < T2 {"type":"NewInboundCall","dialogId":"900","agentId":"1001","fromAddress":"42512","callVariables":{"ani":"42512","callVariable1":"Gold"},"callType":"`+calltype+`","queueName":"Sales"}
		3s > AnswerCall#1001 900
		4s < T2 {"type":"InboundCall","dialogId":"900","state":"ACTIVE","associatedDialogId":null,"fromAddress":"42512","callVariables":{"ani":"42512","callVariable1":"Gold"},"participants":[{"extension":"3001","state":"ACTIVE"}],"callType":"ACD_IN","agentId":"1001","queueName":"Sales"}
		5s < T2 {"type":"Error","errorCode":"CF_GENERIC_ERROR","errorMessage":"no","agentId":"1001"}`)
	}
	if r := compare(t, left, right("Lunch", "ACD_IN"), diff.Options{Late: time.Second}); r.Verdict != diff.Same || r.Counts.Matched != 7 {
		t.Errorf("%+v %s", r.Counts, text(r))
	}
	r := compare(t, left, right("Pause", "OTHER_IN"), diff.Options{})
	if len(r.Differences) != 2 || r.Differences[0].Fields[0].Field != "label" && r.Differences[1].Fields[0].Field != "label" {
		t.Errorf("%s", text(r))
	}
}

// TestReportReadsBack: what WriteJSON wrote can be read again.
func TestReportReadsBack(t *testing.T) {
	r := compare(t, wobbly(t, "Lunch", "1500ms > Refresh#1001", "-1"), wobbly(t, "Pause", "1500ms > Refresh#1001", "0"), diff.Options{})
	var b, again strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back diff.Report
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil {
		t.Fatal(err)
	}
	if err := back.WriteJSON(&again); err != nil || again.String() != b.String() || len(back.Latency) == 0 {
		t.Errorf("%v\n%s\n%s", err, b.String(), again.String())
	}
}
