// Package check answers questions about a whole session: what went against the
// protocol ([Checker]), how much of what there was and how fast ([Stats]), and
// what each agent did ([Audit]).
//
// Each is an [Observer]: [Run] reads the records once, in the order of their
// Seq, and shows every one of them to all observers, with what decode and
// decode/flow make of it. Their memory is bounded by agents, names and days,
// not by the length of the session. The same records give the same answers, to
// the byte. Nothing here reads a clock or does I/O.
//
// What a message means is decode's and flow's to say; here stand only the
// rules by which findings are made and figures are counted.
package check

import (
	"iter"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// An Observer is shown a session, record by record.
type Observer interface {
	// Observe is given the next record. What it points to is reused or goes on
	// changing: copy what must stay.
	Observe(s *Seen)
	// Close is called once, after the last record.
	Close(e *End)
}

// Seen is a record, and what is known of it.
type Seen struct {
	Record  *capture.Record
	Message *decode.Message
	*flow.Facts
	Time time.Time    // by the tap's clock, never running back
	Gap  *capture.Gap // of a gap row
}

// End is the end of a session.
type End struct {
	Time    time.Time        // of the last record, or later: see Options.Until
	Left    []*flow.Exchange // commands that were still open
	Dropped int64            // what flow had to forget because there was too much of it
	Records int64
}

// Options are the settings of a Run. The zero value is the default.
type Options struct {
	Flow   flow.Options
	Decode decode.Options
	Until  time.Time // when the recording ended; zero: with its last record

	// Resume is a Flow that has seen what comes before the first record; nil:
	// nothing does, and a new one is made with the options Flow.
	Resume *flow.Flow
}

// Run shows records to observers. It stops at the first error of records and
// returns it; the observers are then not closed.
func Run(records iter.Seq2[capture.Record, error], o Options, observers ...Observer) error {
	r := newRun(o, observers)
	for rec, err := range records {
		if err != nil {
			return err
		}
		r.observe(&rec)
	}
	r.close()
	return nil
}

// run is a Run under way.
type run struct {
	opts      Options
	flow      *flow.Flow
	start     time.Time // the time of Facts.At 0
	last      time.Time
	records   int64
	observers []Observer
}

func newRun(o Options, observers []Observer) *run {
	r := &run{opts: o, flow: o.Resume, observers: observers}
	if r.flow == nil {
		r.flow = flow.New(o.Flow)
	}
	return r
}

func (r *run) observe(rec *capture.Record) {
	if r.records == 0 {
		r.start = rec.CapturedAt.Add(-rec.Mono).Round(0)
	}
	r.records++
	msg := flow.Decode(rec, r.opts.Decode)
	facts := r.flow.Observe(rec, &msg)
	s := Seen{Record: rec, Message: &msg, Facts: &facts, Time: r.start.Add(facts.At)}
	if gap, ok := rec.Gap(); ok {
		s.Gap = &gap
	}
	r.last = s.Time
	for _, o := range r.observers {
		o.Observe(&s)
	}
}

func (r *run) close() {
	e := End{Time: r.last, Left: r.flow.Close(), Dropped: r.flow.Dropped(), Records: r.records}
	if r.opts.Until.After(e.Time) {
		e.Time = r.opts.Until
	}
	for _, o := range r.observers {
		o.Close(&e)
	}
}
