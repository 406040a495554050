package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gctap/capture"
	"gctap/store"
)

// ringBytes is how much of the past a ring holds at the most.
const ringBytes = 256 << 20

// ringConfig says what a flight recorder keeps and when it saves it.
type ringConfig struct {
	before time.Duration // how far back
	after  time.Duration // how long it goes on after the last trigger
}

// A ringSink is a flight recorder: it keeps the last minutes in memory and
// writes nothing until a message is the trigger. Then the past and what follows
// become a session, which ends when no trigger has come for a while.
type ringSink struct {
	db      *store.Store
	info    store.SessionInfo
	config  ringConfig
	trigger func(*capture.Record) bool
	say     *talker

	past  []capture.Record
	bytes int
	short bool // memory did not hold all of the past that was asked for

	saving *store.Writer // nil while nothing is saved
	until  time.Time
	ledger map[string]*capture.Counts // of the session that is being saved
	n      int
	sum    store.Session // of all that was saved
}

func newRingSink(db *store.Store, info store.SessionInfo, config ringConfig, trigger func(*capture.Record) bool, say *talker) *ringSink {
	info.Origin = store.OriginRing
	return &ringSink{db: db, info: info, config: config, trigger: trigger, say: say}
}

// Write is capture.Sink's.
func (r *ringSink) Write(ctx context.Context, b capture.Batch) error {
	var out []capture.Record
	for i := range b.Records {
		rec := b.Records[i]
		rec.Seq = 0 // numbered by the session it gets into
		if r.saving != nil && rec.CapturedAt.After(r.until) {
			if err := r.save(ctx, out); err != nil {
				return err
			}
			out = nil
			if err := r.end(ctx, "ring"); err != nil {
				return err
			}
		}
		if r.trigger(&rec) {
			if err := r.triggered(ctx, &rec); err != nil {
				return err
			}
		}
		if r.saving != nil {
			out = append(out, rec)
		} else {
			r.remember(rec)
		}
	}
	return r.save(ctx, out)
}

// triggered begins to save, with the past first, or goes on saving for longer.
func (r *ringSink) triggered(ctx context.Context, rec *capture.Record) error {
	r.until = rec.CapturedAt.Add(r.config.after)
	if r.saving != nil {
		return nil
	}
	info := r.info
	info.StartedAt = rec.CapturedAt
	if len(r.past) > 0 {
		info.StartedAt = r.past[0].CapturedAt
	}
	if info.Name != "" && r.n > 0 {
		info.Name = fmt.Sprintf("%s.%d", r.info.Name, r.n+1)
	}
	w, err := r.db.NewSession(ctx, info)
	if err != nil {
		return err
	}
	r.n++
	r.saving, r.ledger = w, map[string]*capture.Counts{}
	s := w.Session()
	r.say.line("triggered by %s %s: saving session %d, %s, with %d messages from before", rec.Direction, printable(rec.Type()), s.ID, s.Name, len(r.past))
	past := r.past
	r.past, r.bytes = nil, 0
	return r.save(ctx, past)
}

// save writes records to the session, in pieces of the recorder's size.
func (r *ringSink) save(ctx context.Context, records []capture.Record) error {
	for len(records) > 0 {
		piece := records[:min(len(records), capture.DefaultBatch)]
		records = records[len(piece):]
		b := capture.Batch{Records: piece}
		for _, dest := range r.count(piece) {
			b.Ledger = append(b.Ledger, *r.ledger[dest])
		}
		if err := r.saving.Write(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// count brings the session's ledger up to date and returns what changed in it.
func (r *ringSink) count(records []capture.Record) (changed []string) {
	for i := range records {
		if records[i].Direction == capture.GapRow {
			continue
		}
		c := r.ledger[records[i].To]
		if c == nil {
			c = &capture.Counts{Destination: records[i].To}
			r.ledger[records[i].To] = c
		}
		c.Received++
		c.Stored++
		changed = append(changed, records[i].To)
	}
	return changed
}

// remember adds a record to the past and forgets what is too old or too much.
func (r *ringSink) remember(rec capture.Record) {
	r.past = append(r.past, rec)
	r.bytes += size(&rec)
	drop := 0
	for ; drop < len(r.past)-1; drop++ {
		old := &r.past[drop]
		late := rec.CapturedAt.Sub(old.CapturedAt) > r.config.before
		if !late && r.bytes <= ringBytes {
			break
		}
		if !late && !r.short {
			r.short = true
			r.say.line("the ring holds %d MiB, which is less than the last %s", ringBytes>>20, r.config.before)
		}
		r.bytes -= size(old)
	}
	if drop > 0 {
		clear(r.past[:drop])
		r.past = r.past[drop:]
	}
}

// size is about what a record takes in memory.
func size(rec *capture.Record) int { return 512 + len(rec.Body) }

func (r *ringSink) totals() store.Session { return r.sum.Plus(r.current()) }

func (r *ringSink) current() store.Session {
	if r.saving != nil {
		return r.saving.Session()
	}
	return store.Session{}
}

func (r *ringSink) spare(ctx context.Context) error {
	if r.saving == nil {
		return nil
	}
	return r.saving.Spare(ctx)
}

func (r *ringSink) end(ctx context.Context, reason string) error {
	if r.saving == nil {
		return nil
	}
	s := r.saving.Session()
	r.sum = r.sum.Plus(s)
	err := errors.Join(r.saving.End(ctx, reason), r.saving.Close())
	r.saving = nil
	r.say.line("saved session %d, %s: %d messages", s.ID, s.Name, s.Messages())
	return err
}
