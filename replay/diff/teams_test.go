package diff_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gctap/replay"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
)

// TestTwentyAgentsThreeTimes replays a session of twenty agents and more with
// inbound calls, consultation, transfer, conference, hold, barge-in and silent
// monitoring three times in a row, in each way of synchronising, on GCs that
// give other ids.
func TestTwentyAgentsThreeTimes(t *testing.T) {
	teams := gcsim.NewTeams(4, 5)
	cfg := func(seed uint64) gcsim.Config {
		c := plain(seed)
		c.Site = teams
		return c
	}
	for _, sync := range []replay.Sync{replay.SyncBoth, replay.SyncCause, replay.SyncClock} {
		t.Run(string(sync), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				recording := steadyAt(t, cfg(3))
				plan, err := replay.BuildPlan(seq(recording), replay.PlanOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if len(plan.Agents) < 20 {
					t.Fatalf("%d agents", len(plan.Agents))
				}
				for _, name := range []string{"ConsultCall", "TransferCall", "ConferenceCall", "HoldCall", "BargeIn", "SilentMonitor"} {
					if !slices.ContainsFunc(plan.Steps, func(s replay.Step) bool { return s.Name == name }) {
						t.Errorf("no %s in the recording", name)
					}
				}
				for n := range uint64(3) {
					p := play(t, recording, cfg(200+n), replay.PlayOptions{Sync: sync})
					complete(t, p)
					if r := compare(t, recording, p.records, diff.Options{}); r.Verdict != diff.Same {
						t.Errorf("time %d: %s", n+1, text(r))
					}
					time.Sleep(time.Minute) // virtual: the next GC starts afresh
				}
			})
		})
	}
}
