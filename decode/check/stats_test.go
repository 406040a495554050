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
