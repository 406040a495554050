package check

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

func TestBucketsHoldTheirValues(t *testing.T) {
	for us := time.Duration(0); us < 1<<40; us = us*5/4 + 1 {
		d := us * time.Microsecond
		i := bucketOf(d)
		top := valueOf(i)
		if top < d || top > d+d/128+time.Microsecond {
			t.Errorf("%v is in bucket %d, whose largest is %v", d, i, top)
		}
		if bucketOf(top) != i || bucketOf(top+time.Microsecond) != i+1 {
			t.Errorf("%v is not the edge of bucket %d", top, i)
		}
	}
}

func TestPercentilesAreClose(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var l latencies
	var all []time.Duration
	for range 5000 {
		d := time.Duration(rng.ExpFloat64() * float64(80*time.Millisecond))
		l.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []int64{50, 95, 99, 100} {
		want := all[(int64(len(all))*p+99)/100-1]
		if got := l.percentile(p); got < want-time.Microsecond || got > want+want/128+time.Microsecond {
			t.Errorf("p%d is %v, want %v", p, got, want)
		}
	}
	if l.max != all[len(all)-1] {
		t.Errorf("max is %v, want %v", l.max, all[len(all)-1])
	}
}

// TestStatsCountAll holds the figures of a run against a count by hand.
func TestStatsCountAll(t *testing.T) {
	f := play(t, floorOptions{seed: 4, faults: []string{"error:1001/HoldCall=CF_RESOURCE_BUSY", "ignore:1002/MakeReady@1"}, calm: true})
	f.cut(f.opts.start.Add(15*time.Minute), f.opts.start.Add(15*time.Minute+30*time.Second))
	s := NewStats()
	if err := Run(f.all, Options{}, s); err != nil {
		t.Fatal(err)
	}
	sum := s.Summary()
	want := map[string]int64{}
	var messages int64
	for i := range f.records {
		m := flow.Decode(&f.records[i], decode.Options{})
		if f.records[i].Direction != capture.GapRow {
			messages++
			want[string(f.records[i].Direction)+" "+m.Name]++
		}
	}
	var steps, names int64
	for i := range sum.Rate.Commands {
		steps += sum.Rate.Commands[i] + sum.Rate.Events[i]
	}
	for _, n := range sum.Names {
		names += n.Count
		if n.Count != want[n.Direction+" "+n.Name] {
			t.Errorf("%s: counted %d, want %d", n.Name, n.Count, want[n.Direction+" "+n.Name])
		}
	}
	if sum.Messages != messages || steps != messages || names != messages {
		t.Errorf("%d messages, %d in steps, %d by name, want %d", sum.Messages, steps, names, messages)
	}
	if len(sum.Rate.Commands) > rateSteps {
		t.Errorf("%d steps", len(sum.Rate.Commands))
	}
	if g := sum.Gaps; g.Count != 1 || g.Seconds != 30 || g.Unknown != 1 {
		t.Errorf("gaps %+v", g)
	}
	for _, l := range sum.Latency {
		answered := l.Count + l.Unanswered + l.Silent
		if answered != want["command "+l.Name] {
			t.Errorf("%s: %d commands, want %d", l.Name, answered, want["command "+l.Name])
		}
		if l.P50 > l.P95 || l.P95 > l.P99 || l.P99 > l.Max {
			t.Errorf("%s: percentiles out of order: %+v", l.Name, l)
		}
	}
	if len(sum.Errors) != 1 || sum.Errors[0].Name != "CF_RESOURCE_BUSY" || sum.Errors[0].Count == 0 {
		t.Errorf("errors %+v", sum.Errors)
	}
}

// TestRateKeepsItsSteps counts days of traffic without more steps.
func TestRateKeepsItsSteps(t *testing.T) {
	var r rate
	var n int64
	for at := time.Duration(0); at < 50*time.Hour; at += 37 * time.Second {
		r.add(at, n%3 == 0)
		n++
	}
	got := r.rate()
	var sum int64
	for i := range got.Commands {
		sum += got.Commands[i] + got.Events[i]
	}
	if sum != n || len(got.Commands) > rateSteps || got.StepSeconds != 2048 {
		t.Errorf("%d of %d in %d steps of %v s", sum, n, len(got.Commands), got.StepSeconds)
	}
}

// TestSlicesAddUp: what is counted of one half of the messages and of the other
// is what is counted of all, and gaps count in each.
func TestSlicesAddUp(t *testing.T) {
	f := play(t, floorOptions{seed: 5, faults: []string{"ignore:1002/MakeReady@1"}, calm: true})
	f.cut(f.opts.start.Add(15*time.Minute), f.opts.start.Add(15*time.Minute+30*time.Second))
	all := figuresOf(t, f, nil)
	odd := figuresOf(t, f, func(seq int64) bool { return seq%2 == 1 })
	even := figuresOf(t, f, func(seq int64) bool { return seq%2 == 0 })
	if all.gaps != 1 || odd.gaps != 1 || even.gaps != 1 {
		t.Errorf("gaps: %d, %d, %d", all.gaps, odd.gaps, even.gaps)
	}
	for what, n := range all.counts {
		if odd.counts[what]+even.counts[what] != n {
			t.Errorf("%s: %d and %d of %d", what, odd.counts[what], even.counts[what], n)
		}
	}
	if len(all.counts) < 20 {
		t.Errorf("only %v", all.counts)
	}
}

type sliceFigures struct {
	gaps   int64
	counts map[string]int64
}

// figuresOf counts messages, latencies and the audit's entries of a slice.
func figuresOf(t *testing.T, f *floor, only func(int64) bool) sliceFigures {
	t.Helper()
	got := sliceFigures{counts: map[string]int64{}}
	stats := NewStats()
	stats.Only = only
	audit := NewAudit(AuditOptions{Only: only}, func(e *Entry) { got.counts["entry "+e.Kind+e.What+e.State]++ })
	if err := Run(f.all, Options{}, stats, audit); err != nil {
		t.Fatal(err)
	}
	sum := stats.Summary()
	got.gaps = sum.Gaps.Count
	got.counts["messages"] = sum.Messages
	for _, n := range sum.Names {
		got.counts["name "+n.Name+n.Direction] = n.Count
	}
	for _, l := range sum.Latency {
		got.counts["answered "+l.Name] = l.Count
		got.counts["unanswered "+l.Name] = l.Unanswered
	}
	for _, d := range audit.Result().Days {
		got.counts["in"] += int64(d.SignIns.Count)
		got.counts["state seconds"] += int64(d.LoggedIn)
		for i := range d.Counts {
			got.counts["figure "+Figure(i).String()] += int64(d.Counts[i].Count)
		}
	}
	return got
}
