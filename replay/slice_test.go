package replay

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// placedCall is an agent who calls a colleague, who answers; the caller hangs up.
const placedCall = `
	0s > Connect#1001 T1,***
	0s > Login#1001 ***,3001
	100ms < T1 1001#State#NOT_READY#-1#x##y#A B#1001#3001##A B#ab
	200ms > Connect#1002 T2,***
	200ms > Login#1002 ***,3002
	300ms < T2 1002#State#NOT_READY#-1#x##y#C D#1002#3002##C D#cd
	1s > MakeCall#1001 3002
	1100ms < T1 1001#OutboundCall#INITIATED#DialogID:700#3001#ani=3001#x#CallType:OUT#ParticipantsCount:0#participants:
	1200ms < T2 1002#NewInboundCall#3001#ani=3001#DialogID:700#CallType:OTHER_IN#x
	1300ms < T2 1002#State#RESERVED#0#x##y#C D#1002#3002##C D#cd
	2s > AnswerCall#1002 700
	2100ms < T2 1002#InboundCall#ACTIVE#DialogID:700#3001#ani=3001#x#CallType:OTHER_IN#ParticipantsCount:0#participants:
	3s > ReleaseCall#1001 700`

// sliceOf plans the commands of a recording that keep accepts.
func sliceOf(t *testing.T, lines string, keep func(rec *capture.Record, msg *decode.Message) bool) *Plan {
	t.Helper()
	p, err := BuildPlan(recording(t, lines), PlanOptions{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSliceSaysWhichIDsAreBornOutside(t *testing.T) {
	p := sliceOf(t, placedCall, func(_ *capture.Record, msg *decode.Message) bool { return msg.Agent == "1002" })
	var b strings.Builder
	if err := p.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `plan: 3 commands in 1 conversations, 0 stimuli, 2.8s at speed 1
left out   4 commands
      0.000s #4      1002             Connect (password to fill in)
      0.000s #5      1002             Login (password to fill in)
      1.800s #11     1002             AnswerCall dialogId=700
                      UNMAPPED: dialogId 700 is born in #9, which the slice does not bring about
                      after answer #6 State NOT_READY
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestSliceCoversWhatItBringsAbout(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep func(rec *capture.Record, msg *decode.Message) bool
		want []int64
	}{
		{"all", func(*capture.Record, *decode.Message) bool { return true }, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
		{"the colleague", func(_ *capture.Record, m *decode.Message) bool { return m.Agent == "1002" }, []int64{4, 5, 6}},
		{"the caller", func(_ *capture.Record, m *decode.Message) bool { return m.Agent == "1001" }, []int64{1, 2, 3, 7, 8, 13}},
		{"without the answer", func(_ *capture.Record, m *decode.Message) bool { return m.Name != "AnswerCall" }, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13}},
	} {
		p := sliceOf(t, placedCall, tt.keep)
		var covered []int64
		for rec := range recording(t, placedCall) {
			if p.Covers(&rec) {
				covered = append(covered, rec.Seq)
			}
		}
		if !slices.Equal(covered, tt.want) {
			t.Errorf("%s: covers %v, not %v", tt.name, covered, tt.want)
		}
	}
}

// TestPlaySlice: what the slice cannot bring about is not waited for, and the
// conversation that needs it stops and says so.
func TestPlaySlice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sliceOf(t, shortCall, func(_ *capture.Record, m *decode.Message) bool {
			return m.Name != "MakeReady" && m.Name != "ReleaseCall"
		})
		if len(p.Stimuli) != 1 || p.LeftOut != 2 {
			t.Errorf("plan %+v", p)
		}
		gc := newFakeGC(shortCallGC("9900"))
		rings(gc, flow.DefaultLate, "9900")
		result, _ := replayOf(t, p, gc, PlayOptions{})
		if len(gc.sent) != 4 || !result.Complete() {
			t.Errorf("sent %v, %+v", gc.sent, result)
		}
	})
}

// TestEndWaitsForLists: no command waits for a list, but the replay does.
func TestEndWaitsForLists(t *testing.T) {
	p := plan(t, `
		0s > GetPhonebooks#1001
		1s < T1 1001#Phonebooks#NoPhoneBookFound`)
	if ends := p.Conversations[0].Ends; len(ends) != 1 || ends[0].Event.Name != "Phonebooks" || p.Conversations[0].EndAt == 0 {
		t.Errorf("the end waits for %v", ends)
	}
}
