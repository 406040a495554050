package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// steered plays shortCall in virtual time while steer does something with its
// Control, and returns how it went once it is over.
func steered(t *testing.T, gc *fakeGC, opts PlayOptions, steer func(*Control)) *Result {
	t.Helper()
	c := &Control{}
	opts.Control = c
	go steer(c)
	result, _ := replayOf(t, plan(t, shortCall), gc, opts)
	if !c.Progress().Over {
		t.Errorf("after the end: %+v", c.Progress())
	}
	return result
}

func TestPauseShiftsTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		rings(gc, 5*time.Second, "9900") // while it stands: kept, and not forgotten
		result := steered(t, gc, PlayOptions{}, func(c *Control) {
			time.Sleep(1500 * time.Millisecond)
			c.Pause()
			synctest.Wait()
			if p := c.Progress(); !p.Stands || p.Broke || p.Before != nil || p.Sent != 4 {
				t.Errorf("standing: %+v", p)
			}
			time.Sleep(time.Hour)
			c.Resume()
		})
		want := []string{
			"0s Hello#gctap.replay.t.1 ",
			"200ms Connect#1001 gctap.replay.t.1,geheim",
			"200ms Login#1001 geheim,3001",
			"1s MakeReady#1001 ",
			"1h0m6s AnswerCall#1001 9900",
			"1h0m8s ReleaseCall#1001 9900",
		}
		if !slices.Equal(gc.sent, want) {
			t.Errorf("sent:\n%s", strings.Join(gc.sent, "\n"))
		}
		if !result.Complete() || result.Stood != time.Hour || slices.Max(result.Behind) != 0 {
			t.Errorf("result %+v", result)
		}
	})
}

// TestPauseHoldsPatience: an event that comes long after its time, but while
// the replay stood, is in time.
func TestPauseHoldsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		rings(gc, time.Hour, "9900")
		result := steered(t, gc, PlayOptions{}, func(c *Control) {
			time.Sleep(6*time.Second + DefaultTimeout - time.Millisecond) // AnswerCall has waited as long
			c.Pause()
			time.Sleep(2 * time.Hour)
			c.Resume()
		})
		if !result.Complete() || len(gc.sent) != 6 {
			t.Errorf("sent %v, %+v", gc.sent, result)
		}
	})
}

func TestStepSendsOneCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		rings(gc, 5*time.Second, "9900")
		c := &Control{}
		c.Hold()
		done := make(chan *Result)
		go func() {
			result, _ := replayOf(t, plan(t, shortCall), gc, PlayOptions{Control: c})
			done <- result
		}()
		for i, name := range []string{"Hello", "Connect", "Login", "MakeReady", "AnswerCall", "ReleaseCall"} {
			time.Sleep(time.Minute) // more than the plan takes: it stands meanwhile
			synctest.Wait()
			p := c.Progress()
			if !p.Stands || p.Before == nil || p.Before.Name != name || p.Sent != i || len(gc.sent) != i {
				t.Fatalf("before %s: %+v, sent %v", name, p, gc.sent)
			}
			if i > 0 && c.Fate(i-1) != StepSent || c.Fate(i) != StepWaits {
				t.Errorf("before %s: fates %d, %d", name, c.Fate(max(i-1, 0)), c.Fate(i))
			}
			c.Step()
		}
		if result := <-done; !result.Complete() {
			t.Errorf("result %+v", result)
		}
	})
}

func TestBreakStandsBeforeEachMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		rings(gc, 5*time.Second, "9900")
		result := steered(t, gc, PlayOptions{}, func(c *Control) {
			c.Break(func(s *Step) bool { return strings.HasSuffix(s.Name, "Call") })
			for _, name := range []string{"AnswerCall", "ReleaseCall"} {
				time.Sleep(time.Minute)
				synctest.Wait()
				if p := c.Progress(); !p.Broke || !p.Stands || p.Before.Name != name {
					t.Errorf("before %s: %+v", name, p)
				}
				c.Resume()
			}
		})
		if !result.Complete() || len(gc.sent) != 6 {
			t.Errorf("sent %v, %+v", gc.sent, result)
		}
	})
}

func TestInterruptedWhileStanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		c := &Control{}
		c.Hold()
		errStop := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errStop) })
		result, err := Play(ctx, gc, plan(t, shortCall), PlayOptions{Run: "t", Credentials: passwords, Control: c})
		if !errors.Is(err, errStop) || !result.Interrupted || result.Took != time.Minute || len(gc.sent) != 0 {
			t.Errorf("%+v, %v, sent %v", result, err, gc.sent)
		}
		if c.Fate(0) != StepGivenUp || c.Fate(5) != StepGivenUp {
			t.Errorf("fates %d, %d", c.Fate(0), c.Fate(5))
		}
	})
}

// TestControlFromManyGoroutines is for the race detector; nothing may be lost.
func TestControlFromManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		rings(gc, 5*time.Second, "9900")
		result := steered(t, gc, PlayOptions{Timeout: time.Hour}, func(c *Control) {
			var wg sync.WaitGroup
			for _, do := range []func(){c.Pause, c.Resume, c.Step, c.Hold, func() { c.Break(nil) }, func() { c.Progress() }} {
				wg.Go(func() {
					for range 100 {
						do()
						time.Sleep(20 * time.Millisecond)
					}
				})
			}
			wg.Wait()
			c.Resume()
		})
		if !result.Complete() || len(gc.sent) != 6 {
			t.Errorf("sent %v, %+v", gc.sent, result)
		}
	})
}

// TestRateIsNeverExceeded: many agents want to send at once; each second holds
// as many commands as the rate allows, and the pace is kept.
func TestRateIsNeverExceeded(t *testing.T) {
	for _, sync := range []Sync{SyncClock, SyncCause, SyncBoth} {
		t.Run(string(sync), func(t *testing.T) {
			var lines strings.Builder
			for i := range 500 {
				fmt.Fprintf(&lines, "0s > MakeReady#%d\n", 1000+i%100)
			}
			synctest.Test(t, func(t *testing.T) {
				gc := newFakeGC(func(string, string) []reply { return nil })
				result, _ := replayOf(t, plan(t, lines.String()), gc, PlayOptions{Rate: 50, Sync: sync})
				var sent []time.Duration
				for _, line := range gc.sent {
					at, _, _ := strings.Cut(line, " ")
					d, err := time.ParseDuration(at)
					if err != nil {
						t.Fatal(err)
					}
					sent = append(sent, d)
				}
				for i := 50; i < len(sent); i++ {
					if sent[i]-sent[i-50] < time.Second {
						t.Fatalf("51 commands within %s", sent[i]-sent[i-50])
					}
				}
				if want := 499 * time.Second / 50; len(sent) != 500 || result.Took != want {
					t.Errorf("%d sent in %s, not in %s", len(sent), result.Took, want)
				}
			})
		})
	}
}
