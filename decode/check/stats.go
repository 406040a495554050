package check

import (
	"cmp"
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode/flow"
)

// Stats counts a session, or a part of it.
type Stats struct {
	// Only is asked, once its record was observed, whether a message counts;
	// nil: all do. A latency counts with its command. Gaps always count, and
	// rates are over the time of the whole session.
	Only func(seq int64) bool

	first, last time.Time
	total       map[capture.Direction]int64
	bytes       int64
	largest     int64
	names       tally[nameKey]
	agents      tally[string]
	dests       tally[string]
	codes       tally[string]
	sources     tally[string]
	latency     map[string]*latencies
	rate        rate
	gaps        int64
	lost        int64
	unknownLost int64
	gapTime     time.Duration
	dropped     int64
	records     int64
}

type nameKey struct {
	direction capture.Direction
	name      string
}

// NewStats returns Stats of nothing yet.
func NewStats() *Stats {
	return &Stats{total: map[capture.Direction]int64{}, latency: map[string]*latencies{}}
}

// A Summary is what Stats has counted. Lists are sorted by count, the largest
// first; ties by name.
type Summary struct {
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to"`
	Seconds  float64    `json:"seconds"`
	Messages int64      `json:"messages"`
	Commands int64      `json:"commands"`
	Events   int64      `json:"events"`
	Peers    int64      `json:"peers"`
	Notes    int64      `json:"notes"`
	Gaps     GapSummary `json:"gaps"`
	Bytes    int64      `json:"bytes"`   // of all bodies, as kept
	Largest  int64      `json:"largest"` // of a body
	PerSec   float64    `json:"perSecond"`

	Names        []Count   `json:"names"`
	Agents       []Count   `json:"agents"`
	Destinations []Count   `json:"destinations"`
	Sources      []Count   `json:"sources"`
	Errors       []Count   `json:"errors"` // by code
	Latency      []Latency `json:"latency"`
	Rate         Rate      `json:"rate"`
	Forgotten    int64     `json:"forgotten"` // open commands that were too many to keep: missing in latency
}

// GapSummary is what is known to be missing.
type GapSummary struct {
	Count   int64   `json:"count"`
	Seconds float64 `json:"seconds"`
	Lost    int64   `json:"lost"`    // counted, or told by the broker
	Unknown int64   `json:"unknown"` // gaps of which nobody knows what they swallowed
}

// Count is how often something came.
type Count struct {
	Direction string `json:"direction,omitempty"`
	Name      string `json:"name"`
	Count     int64  `json:"count"`
}

// Latency is how long the first answers to a command took, in milliseconds.
// Percentiles are within one part in 128 of the true value.
type Latency struct {
	Name       string  `json:"name"`
	Count      int64   `json:"count"` // answered, late ones and errors included
	Unanswered int64   `json:"unanswered"`
	Silent     int64   `json:"silent"`
	Errors     int64   `json:"errors"`
	Late       int64   `json:"late"`
	P50        float64 `json:"p50"`
	P95        float64 `json:"p95"`
	P99        float64 `json:"p99"`
	Max        float64 `json:"max"`
}

// Rate is messages over time: steps of equal length from the beginning.
type Rate struct {
	StepSeconds float64 `json:"stepSeconds"`
	Commands    []int64 `json:"commands"`
	Events      []int64 `json:"events"`
}

// Observe counts a record.
func (s *Stats) Observe(r *Seen) {
	rec := r.Record
	if s.records == 0 {
		s.first = r.Time
	}
	s.records++
	s.last = r.Time
	for _, x := range r.Closed {
		s.exchange(x)
	}
	if rec.Direction != capture.GapRow && !s.counts(rec.Seq) {
		return
	}
	s.total[rec.Direction]++
	switch rec.Direction {
	case capture.GapRow:
		s.gap(r.Gap)
		return
	case capture.Note:
		return
	}
	s.bytes += int64(len(rec.Body))
	s.largest = max(s.largest, int64(len(rec.Body)))
	s.names.add(nameKey{rec.Direction, r.Message.Name})
	s.dests.add(rec.To)
	s.sources.add(rec.Source)
	if r.Subject != "" {
		s.agents.add(r.Subject)
	}
	if r.Message.Name == "Error" {
		s.codes.add(r.Message.Text("errorCode"))
	}
	s.rate.add(r.Time.Sub(s.first), rec.Direction == capture.Command)
}

func (s *Stats) counts(seq int64) bool { return s.Only == nil || s.Only(seq) }

func (s *Stats) gap(g *capture.Gap) {
	s.gaps++
	if g == nil {
		s.unknownLost++
		return
	}
	s.gapTime += g.To.Sub(g.From)
	if g.Lost == nil {
		s.unknownLost++
	} else {
		s.lost += *g.Lost
	}
}

// exchange counts the answer of a command that is over.
func (s *Stats) exchange(x *flow.Exchange) {
	if !s.counts(x.Seq) || x.Outcome == flow.RolledBack {
		return
	}
	l := s.latency[x.Name]
	if l == nil {
		if len(s.latency) >= tallyLimit {
			return
		}
		l = &latencies{}
		s.latency[x.Name] = l
	}
	switch x.Outcome {
	case flow.Unanswered:
		l.Unanswered++
		return
	case flow.Silent:
		l.Silent++
		return
	case flow.Failed:
		l.Errors++
	case flow.Late:
		l.Late++
	}
	l.add(x.Latency)
}

// Close counts what is still open.
func (s *Stats) Close(e *End) {
	for _, x := range e.Left {
		s.exchange(x)
	}
	s.dropped = e.Dropped
	if e.Records > 0 {
		s.last = e.Time
	}
}

// Summary returns what was counted.
func (s *Stats) Summary() *Summary {
	sum := &Summary{
		From: s.first, To: s.last, Seconds: s.last.Sub(s.first).Seconds(),
		Commands: s.total[capture.Command], Events: s.total[capture.Event], Peers: s.total[capture.Peer], Notes: s.total[capture.Note],
		Gaps:  GapSummary{s.gaps, s.gapTime.Seconds(), s.lost, s.unknownLost},
		Bytes: s.bytes, Largest: s.largest, Forgotten: s.dropped, Rate: s.rate.rate(),
		Agents: s.agents.counts(plain), Destinations: s.dests.counts(plain), Sources: s.sources.counts(plain), Errors: s.codes.counts(plain),
		Names: s.names.counts(func(k nameKey) Count { return Count{Direction: string(k.direction), Name: k.name} }),
	}
	sum.Messages = sum.Commands + sum.Events + sum.Peers
	if sum.Seconds > 0 {
		sum.PerSec = float64(sum.Messages) / sum.Seconds
	}
	sum.Latency = []Latency{}
	for name, l := range s.latency {
		sum.Latency = append(sum.Latency, l.summary(name))
	}
	slices.SortFunc(sum.Latency, func(a, b Latency) int { return cmp.Compare(a.Name, b.Name) })
	return sum
}

func plain(name string) Count { return Count{Name: name} }

// tallyLimit is how many different names a tally keeps apart.
const tallyLimit = 100_000

// A tally counts names, up to a limit of different ones.
type tally[K comparable] struct {
	count map[K]int64
	rest  int64
}

func (t *tally[K]) add(key K) {
	if t.count == nil {
		t.count = map[K]int64{}
	}
	if _, ok := t.count[key]; !ok && len(t.count) >= tallyLimit {
		t.rest++
		return
	}
	t.count[key]++
}

// counts returns the list, with what is beyond the limit as "(others)".
func (t *tally[K]) counts(name func(K) Count) []Count {
	list := make([]Count, 0, len(t.count)+1)
	for key, n := range t.count {
		c := name(key)
		c.Count = n
		list = append(list, c)
	}
	if t.rest > 0 {
		list = append(list, Count{Name: "(others)", Count: t.rest})
	}
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Direction, b.Direction))
	})
	return list
}

// rateSteps is the largest number of steps of a Rate.
const rateSteps = 120

// rate counts in steps whose length doubles whenever there are too many.
type rate struct {
	step             time.Duration
	commands, events []int64
}

func (r *rate) add(at time.Duration, command bool) {
	if r.step == 0 {
		r.step = time.Second
	}
	for int(at/r.step) >= rateSteps {
		r.commands, r.events = halved(r.commands), halved(r.events)
		r.step *= 2
	}
	for i := int(at / r.step); len(r.commands) <= i; {
		r.commands, r.events = append(r.commands, 0), append(r.events, 0)
	}
	if i := int(at / r.step); command {
		r.commands[i]++
	} else {
		r.events[i]++
	}
}

func halved(steps []int64) []int64 {
	half := make([]int64, (len(steps)+1)/2, rateSteps)
	for i, n := range steps {
		half[i/2] += n
	}
	return half
}

func (r *rate) rate() Rate {
	return Rate{r.step.Seconds(), append([]int64{}, r.commands...), append([]int64{}, r.events...)}
}
