package diff_test

import (
	"fmt"
	"iter"
	"os"
	"runtime/metrics"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay/diff"
)

// BenchmarkCompare compares two runs of agents who take 20 calls each, and
// prints how many times longer that takes than decoding both sides once, one
// after the other, just before.
func BenchmarkCompare(b *testing.B) {
	shifts := []int{5, 15}
	if os.Getenv("GCTAP_SLOW") != "" {
		shifts = append(shifts, 160) // a million messages a side
	}
	for _, n := range shifts {
		left, right := all(working("a", n, nil)), all(working("b", n, nil))
		changed := all(working("b", n, changeLabels))
		b.Run(fmt.Sprintf("same/%d", len(left)), func(b *testing.B) { besideDecoding(b, left, right, diff.Same) })
		b.Run(fmt.Sprintf("changed/%d", len(left)), func(b *testing.B) { besideDecoding(b, left, changed, diff.Different) })
	}
	one := newWorld(1, 1, 300*time.Millisecond)
	calls := 2000
	left := one.session(days(1, calls))
	one.run = "b"
	right := one.session(days(1, calls))
	b.Run(fmt.Sprintf("one-conversation/%d", len(left)), func(b *testing.B) { besideDecoding(b, left, right, diff.Same) })
}

func besideDecoding(b *testing.B, left, right []capture.Record, verdict string) {
	var decoding, comparing, cpuDecoding, cpuComparing time.Duration
	for b.Loop() {
		start, cpu := time.Now(), cpuTime()
		for _, side := range [][]capture.Record{left, right} {
			for i := range side {
				flow.Decode(&side[i], decode.Options{})
			}
		}
		decoding, cpuDecoding = decoding+time.Since(start), cpuDecoding+cpuTime()-cpu
		start, cpu = time.Now(), cpuTime()
		if r, err := diff.Compare(seq(left), seq(right), diff.Options{}); err != nil || r.Verdict != verdict {
			b.Fatal(r.Verdict, err)
		}
		comparing, cpuComparing = comparing+time.Since(start), cpuComparing+cpuTime()-cpu
	}
	messages := float64(b.N * (len(left) + len(right)))
	b.ReportMetric(float64(decoding.Nanoseconds())/messages, "decode-ns/message")
	b.ReportMetric(float64(comparing.Nanoseconds())/messages, "ns/message")
	b.ReportMetric(float64(comparing)/float64(decoding), "times-decoding")
	b.ReportMetric(float64(cpuComparing)/float64(max(cpuDecoding, 1)), "times-decoding-in-CPU")
}

// BenchmarkCompareMemory prints how much memory a comparison takes at its
// peak, of sessions that are made while they are read: agents who work one
// shift each, and agents who come again every day.
func BenchmarkCompareMemory(b *testing.B) {
	shifts := []int{2, 20}
	if os.Getenv("GCTAP_SLOW") != "" {
		shifts = append(shifts, 160) // a million messages a side
	}
	for _, n := range shifts {
		for _, again := range []bool{false, true} {
			staff := "others"
			if again {
				staff = "again"
			}
			b.Run(fmt.Sprintf("%s/%d", staff, n*perShift), func(b *testing.B) {
				for b.Loop() {
					peak := watchHeap()
					r, err := diff.Compare(working("a", n, daily(again)), working("b", n, daily(again)), diff.Options{})
					if err != nil || r.Verdict != diff.Same {
						b.Fatal(r.Verdict, err)
					}
					b.ReportMetric(float64(peak())/(1<<20), "live-MiB-at-most")
				}
			})
		}
	}
}

// A shift is 20 agents with 20 calls each, an hour after the one before.
const (
	onShift  = 20
	perShift = onShift * (20*15 + 18)
)

// working yields a session of shifts, one after the other, each made when it is
// reached. change may change a shift's days.
func working(run string, shifts int, change func(shift int, days [][]line)) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		seq := int64(0)
		for n := range shifts {
			w := newWorld(uint64(n), uint64(run[0]), 300*time.Millisecond)
			w.run = fmt.Sprint(run, n)
			shift := make([][]line, onShift)
			for a := range shift {
				shift[a] = agentDay(onShift*n+a, 20)
			}
			if change != nil {
				change(n, shift)
			}
			for _, rec := range w.session(shift) {
				seq++
				later := time.Duration(n) * time.Hour
				rec.Seq, rec.Mono, rec.CapturedAt = seq, rec.Mono+later, rec.CapturedAt.Add(later)
				if !yield(rec, nil) {
					return
				}
			}
		}
	}
}

// daily makes the agents of every shift those of the first.
func daily(again bool) func(int, [][]line) {
	return func(_ int, days [][]line) {
		if again {
			for a := range days {
				days[a] = agentDay(a, 20)
			}
		}
	}
}

// changeLabels changes a field of every State, as a build might do.
func changeLabels(_ int, days [][]line) {
	for _, day := range days {
		for i := range day {
			day[i].text = relabel(day[i].text)
		}
	}
}

func all(records iter.Seq2[capture.Record, error]) (list []capture.Record) {
	for rec := range records {
		list = append(list, rec)
	}
	return list
}

// watchHeap looks every few milliseconds at what the last collection left on
// the heap, until it is asked for the most there was.
func watchHeap() (peak func() uint64) {
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		top := uint64(0)
		for {
			metrics.Read(sample)
			top = max(top, sample[0].Value.Uint64())
			select {
			case <-stop:
				most <- top
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-most }
}
