package diff_test

import (
	"context"
	"fmt"
	"iter"
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
