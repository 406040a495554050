package replay

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gctap/decode/flow"
)

// TestArrangePatiently: a person takes ten minutes to place the call, and is no
// longer asked once it has come.
func TestArrangePatiently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		var asked []Stimulus
		var ended error
		var waits []string
		result, _ := replayOf(t, plan(t, shortCall), gc, PlayOptions{Patient: true, Progress: func(p Progress) { waits = append(waits, p.Waits) }, Arrange: func(ctx context.Context, s Stimulus) error {
			asked = append(asked, s)
			rings(gc, 10*time.Minute, "9900")
			<-ctx.Done()
			ended = context.Cause(ctx)
			return ended
		}})
		if len(asked) != 1 || asked[0].Agent != "1001" || asked[0].Number != "42512" || !errors.Is(ended, errCame) {
			t.Errorf("asked for %+v, ended by %v", asked, ended)
		}
		if !slices.Contains(waits, "1001 waits for an inbound call from 42512 to agent 1001") {
			t.Errorf("it says that it waits for %q", waits)
		}
		if !result.Complete() || result.Stimuli != 1 || len(gc.sent) != 6 {
			t.Errorf("sent %v, %+v", gc.sent, result)
		}
	})
}

// TestArrangeDone: once the person has said that it is done, the call has as
// long to come as any event.
func TestArrangeDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		result, _ := replayOf(t, plan(t, shortCall), gc, PlayOptions{Patient: true, Arrange: func(context.Context, Stimulus) error {
			time.Sleep(time.Hour)
			return nil
		}})
		if len(result.Stopped) != 1 || result.Stopped[0].Seq != 10 || result.Took != time.Hour+5*time.Second+DefaultTimeout {
			t.Errorf("result %+v", result)
		}
	})
}

func TestArrangeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		result, _ := replayOf(t, plan(t, shortCall), gc, PlayOptions{Arrange: func(context.Context, Stimulus) error {
			return errors.New("no phone")
		}})
		if len(result.Stopped) != 1 || result.Stopped[0].Reason != "waits for an inbound call from 42512 to agent 1001: no phone" {
			t.Errorf("stopped %+v", result.Stopped)
		}
		if len(result.Failed) != 1 || result.Failed[0].String() != "an inbound call from 42512 to agent 1001: no phone" || result.Complete() {
			t.Errorf("failed %v", result.Failed)
		}
	})
}

// TestArrangementsEndWithTheReplay: nobody is left asking.
func TestArrangementsEndWithTheReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := false
		_, err := Play(ctx, gc, plan(t, shortCall), PlayOptions{Run: "t", Credentials: passwords, Patient: true,
			Arrange: func(ctx context.Context, _ Stimulus) error { <-ctx.Done(); ended = true; return nil }})
		if err == nil || !ended {
			t.Errorf("%v, ended %v", err, ended)
		}
	})
}

func TestStimulusAsJSON(t *testing.T) {
	p := plan(t, shortCall)
	text, err := json.Marshal(p.Stimuli[0])
	if want := `{"stimulus":"call","seq":8,"at":5,"agent":"1001","number":"42512","dialog":"700","type":"ACD_IN"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	for kind, want := range map[flow.StimulusKind]string{
		flow.CallComes: "place a call from 42512 to agent 1001", flow.CallHangsUp: "have 42512 end the call to agent 1001",
	} {
		s := p.Stimuli[0]
		s.Kind = kind
		if got := s.Wanted(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
