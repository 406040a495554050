package diff_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay/diff"
)

// BenchmarkCompare compares two runs of 100 agents; beside it stands what
// decoding both sides once takes, to which it is held.
func BenchmarkCompare(b *testing.B) {
	sizes := []int{6, 60}
	if os.Getenv("GCTAP_SLOW") != "" {
		sizes = append(sizes, 670) // a million messages a side
	}
	for _, calls := range sizes {
		w := newWorld(1, 1, 300*time.Millisecond)
		left := w.session(days(100, calls))
		w.run = "b"
		right := w.session(days(100, calls))
		messages := len(left) + len(right)
		b.Run(fmt.Sprintf("decode/%d", messages), func(b *testing.B) {
			for b.Loop() {
				for i := range left {
					flow.Decode(&left[i], decode.Options{})
				}
				for i := range right {
					flow.Decode(&right[i], decode.Options{})
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/message")
		})
		b.Run(fmt.Sprintf("compare/%d", messages), func(b *testing.B) {
			for b.Loop() {
				if r, err := diff.Compare(seq(left), seq(right), diff.Options{}); err != nil || r.Verdict != diff.Same {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/message")
		})
	}
}
