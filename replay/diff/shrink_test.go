package diff_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
	"gctap/replay"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
)

// tryOn plays a slice on a simulated GC of its own and compares it with what
// it covers of the recording.
func tryOn(t *testing.T, cfg gcsim.Config, recording []capture.Record) func(context.Context, *replay.Plan) (*diff.Report, error) {
	return func(ctx context.Context, plan *replay.Plan) (*diff.Report, error) {
		b := gcsim.NewBus()
		server, err := gcsim.Serve(ctx, b.Dial(), "", cfg, nil)
		if err != nil {
			return nil, err
		}
		defer server.Close()
		link := b.Dial()
		var records []capture.Record
		start := time.Now()
		_, err = replay.Play(ctx, link, plan, replay.PlayOptions{
			Run: "t", Credentials: credentials(cfg.Site), Sync: replay.SyncCause, Linger: 2 * time.Second,
			Offer: func(d capture.Delivery) {
				d.Record.Seq, d.Record.Mono = int64(len(records)+1), d.Record.CapturedAt.Sub(start)
				records = append(records, d.Record)
			},
			Stimulate: func(ctx context.Context, s replay.Stimulus) error {
				if st, ok := stimulusFor(&s); ok {
					return link.Send(ctx, st.Message())
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
		return diff.Compare(coveredBy(plan, recording), seq(masked(records)), diff.Options{})
	}
}

func coveredBy(plan *replay.Plan, recording []capture.Record) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for rec, err := range seq(recording) {
			if plan.Covers(&rec) && !yield(rec, err) {
				return
			}
		}
	}
}

// TestShrinkFindsTheLeast plants a fault whose least session is known, and
// shrinks the shift to it, whatever the order of its agents.
func TestShrinkFindsTheLeast(t *testing.T) {
	for _, tt := range []struct{ fault, name, field, value, want string }{
		{"change:1003/State:READY.label=Luncheon", "State", "label", "Luncheon", "Connect Login MakeReady"},
		{"change:1001/InboundCall:ACTIVE.callType=TRANSFER", "InboundCall", "callType", "TRANSFER", "Connect Login MakeReady AnswerCall"},
	} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprint(tt.name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					recording := steady(t, seed)
					cfg := plain(70+seed, tt.fault)
					cfg.DelayMax = 20 * time.Millisecond
					try := tryOn(t, cfg, recording)
					found, err := replay.Shrink(t.Context(), seq(recording), replay.ShrinkOptions{
						Fails: func(ctx context.Context, plan *replay.Plan) (bool, error) {
							r, err := try(ctx, plan)
							if err != nil {
								return false, err
							}
							for _, d := range r.Differences {
								if d.Class == "changed" && d.Name == tt.name && len(d.Fields) == 1 && d.Fields[0].Field == tt.field && d.Fields[0].Right != nil && *d.Fields[0].Right == tt.value {
									return true, nil
								}
							}
							return false, nil
						},
					})
					if err != nil || !found.Least {
						t.Fatalf("%+v, %v", found, err)
					}
					var names []string
					for i := range found.Plan.Steps {
						names = append(names, found.Plan.Steps[i].Name)
					}
					t.Log(found.Tries, "tries")
					if got := strings.Join(names, " "); got != tt.want {
						t.Errorf("shrunk to %s, not to %s", got, tt.want)
					}
				})
			})
		}
	}
}

// TestShrinkKeepsSignInsWhole: without them no command is answered, and any
// would pass for one whose answer GC leaves out. The calls that came before the
// command go too, although it came after them.
func TestShrinkKeepsSignInsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recording := steady(t, 1)
		cfg := plain(70, "missing:1003/State:LOGOUT")
		cfg.DelayMax = 20 * time.Millisecond
		try := tryOn(t, cfg, recording)
		found, err := replay.Shrink(t.Context(), seq(recording), replay.ShrinkOptions{
			Fails: func(ctx context.Context, plan *replay.Plan) (bool, error) {
				r, err := try(ctx, plan)
				if err != nil {
					return false, err
				}
				return slices.ContainsFunc(r.Differences, func(d diff.Difference) bool {
					return d.Class == "missing" && d.Conversation == "1003" && bytes.Contains(recording[*d.Left-1].Body, []byte("#State#LOGOUT#"))
				}), nil
			},
		})
		if err != nil || !found.Least {
			t.Fatalf("%+v, %v", found, err)
		}
		var commands []string
		for i := range found.Plan.Steps {
			commands = append(commands, found.Plan.Steps[i].Name+"#"+found.Plan.Steps[i].Agent)
		}
		if got := strings.Join(commands, " "); got != "Connect#1003 Login#1003 LogoutWithReason#1003" {
			t.Errorf("shrunk to %s", got)
		}
	})
}

// TestShrinkOfAFaultThatComesAndGoes: a look in three misses the fault, and the
// least is found all the same when a slice has to pass often enough.
func TestShrinkOfAFaultThatComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recording := steady(t, 1)
		cfg := plain(71, "change:1003/State:READY.label=Luncheon")
		cfg.DelayMax = 20 * time.Millisecond
		try := tryOn(t, cfg, recording)
		looks := rand.New(rand.NewPCG(1, 2))
		found, err := replay.Shrink(t.Context(), seq(recording), replay.ShrinkOptions{Confirm: 10, Fails: func(ctx context.Context, plan *replay.Plan) (bool, error) {
			r, err := try(ctx, plan)
			return err == nil && looks.IntN(3) > 0 && strings.Contains(text(r), `label: "Luncheon"`), err
		}})
		if err != nil || !found.Least || len(found.Plan.Steps) != 3 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// TestShrinkEndsEarly: what was found so far is kept.
func TestShrinkEndsEarly(t *testing.T) {
	recording := []capture.Record{}
	for i, name := range []string{"MakeReady#1001", "MakeReady#1002", "MakeReady#1003", "MakeReady#1004"} {
		recording = append(recording, capture.Record{Seq: int64(i + 1), Direction: capture.Command, JMSType: &name, To: "queue://Q", Source: "stomp"})
	}
	needs1002 := func(_ context.Context, plan *replay.Plan) (bool, error) {
		for i := range plan.Steps {
			if plan.Steps[i].Agent == "1002" {
				return true, nil
			}
		}
		return false, nil
	}
	for _, tt := range []struct {
		tries, left int
		least       bool
	}{{0, 1, true}, {2, 2, false}, {1, 4, false}} {
		found, err := replay.Shrink(t.Context(), seq(recording), replay.ShrinkOptions{Fails: needs1002, Tries: tt.tries})
		if err != nil || len(found.Plan.Steps) != tt.left || found.Least != tt.least {
			t.Errorf("%d tries: %+v, %v", tt.tries, found, err)
		}
	}
	_, err := replay.Shrink(t.Context(), seq(recording), replay.ShrinkOptions{Fails: func(context.Context, *replay.Plan) (bool, error) { return false, nil }})
	if !errors.Is(err, replay.ErrHolds) {
		t.Errorf("a session that does not fail: %v", err)
	}
}
