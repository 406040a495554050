package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkSchedule plays 1,000 agents, one command a second each, to a link
// that takes everything at once, and prints how far behind its schedule it is:
// what the player itself adds.
func BenchmarkSchedule(b *testing.B) {
	const agents, commands = 1000, 5
	var lines strings.Builder
	for c := range commands {
		for a := range agents {
			fmt.Fprintf(&lines, "%dus > MakeReady#%d\n", c*1_000_000+a*1000, 1000+a)
		}
	}
	plan, err := BuildPlan(recording(b, lines.String()), PlanOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		gc := newFakeGC(func(string, string) []reply { return nil })
		result, err := Play(b.Context(), gc, plan, PlayOptions{Run: "b", Timeout: time.Second})
		if err != nil || result.Sent != agents*commands {
			b.Fatal(result.Sent, err)
		}
		behind := slices.Sorted(slices.Values(result.Behind))
		b.ReportMetric(float64(behind[len(behind)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(behind[len(behind)*99/100].Microseconds()), "p99-µs")
	}
}
