package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"gctap/capture"
	"gctap/store"
)

// partLimits say when a recording goes on in a new session, and how long old
// parts are kept. Zero values: never, and for ever.
type partLimits struct {
	age  time.Duration
	size byteSize
	keep time.Duration
}

// A partedSink writes a recording as a row of sessions, each a child of the
// first: a part that has ended can be copied, verified and deleted while the
// recording goes on.
type partedSink struct {
	db     *store.Store
	info   store.SessionInfo
	limits partLimits
	say    *talker

	first    int64 // session id of the first part, in this run or one before
	n        int
	part     *store.Writer
	began    time.Time
	size     int64
	before   map[string]capture.Counts // the ledger when the part began
	latest   map[string]capture.Counts
	total    store.Session // commands, events, … of the parts that have ended
	deleting sync.WaitGroup
}

func newPartedSink(db *store.Store, first *store.Writer, info store.SessionInfo, limits partLimits, say *talker) *partedSink {
	return &partedSink{
		db: db, info: info, limits: limits, say: say, first: cmp.Or(info.Parent, first.Session().ID), n: 1, part: first, began: time.Now(),
		before: map[string]capture.Counts{}, latest: map[string]capture.Counts{},
	}
}

// Write is capture.Sink's. Each part counts its records from 1 and has a ledger
// of its own.
func (p *partedSink) Write(ctx context.Context, b capture.Batch) error {
	if p.due() {
		if err := p.roll(ctx); err != nil {
			return err
		}
	}
	own := b
	if p.n > 1 {
		own = p.renumbered(b)
	}
	if err := p.part.Write(ctx, own); err != nil {
		return err
	}
	for _, c := range b.Ledger {
		p.latest[c.Destination] = c
	}
	for i := range b.Records {
		p.size += int64(len(b.Records[i].Body))
	}
	return nil
}

func (p *partedSink) due() bool {
	if p.part.Session().LastSeq == 0 {
		return false // never an empty part
	}
	return p.limits.age > 0 && time.Since(p.began) >= p.limits.age || p.limits.size > 0 && p.size >= int64(p.limits.size)
}

// renumbered leaves the numbers of the records to the part's writer, and takes
// what earlier parts counted off the ledger.
func (p *partedSink) renumbered(b capture.Batch) capture.Batch {
	own := capture.Batch{Records: make([]capture.Record, len(b.Records)), Ledger: make([]capture.Counts, len(b.Ledger))}
	copy(own.Records, b.Records)
	for i := range own.Records {
		own.Records[i].Seq = 0
	}
	for i, c := range b.Ledger {
		own.Ledger[i] = c.Minus(p.before[c.Destination])
	}
	return own
}

// roll ends the part and begins the next. Where the next cannot be begun the
// old one goes on.
func (p *partedSink) roll(ctx context.Context) error {
	info := p.info
	info.Name = fmt.Sprintf("%s.%d", p.info.Name, p.n+1)
	info.Parent = p.first
	info.StartedAt = time.Now()
	next, err := p.db.NewSession(ctx, info)
	if err != nil {
		return err
	}
	ended := p.part
	p.total = p.total.Plus(ended.Session())
	p.part, p.n, p.began, p.size = next, p.n+1, time.Now(), 0
	for dest, c := range p.latest {
		p.before[dest] = c
	}
	if err := ended.End(ctx, "part"); err != nil {
		return err
	}
	ended.Close()
	p.say.line("part %d begins: session %d, %s", p.n, next.Session().ID, info.Name)
	if p.limits.keep > 0 {
		p.deleting.Go(func() { p.retire(ctx, time.Now().Add(-p.limits.keep)) })
	}
	return nil
}

func (p *partedSink) current() store.Session { return p.part.Session() }

func (p *partedSink) spare(ctx context.Context) error { return p.part.Spare(ctx) }

func (p *partedSink) totals() store.Session { return p.total.Plus(p.part.Session()) }

func (p *partedSink) end(ctx context.Context, reason string) error {
	err := errors.Join(p.part.End(ctx, reason), p.part.Close())
	p.deleting.Wait()
	return err
}

// retire deletes the parts of this recording that ended before t.
func (p *partedSink) retire(ctx context.Context, t time.Time) {
	sessions, err := p.db.Sessions(ctx)
	if err != nil {
		p.say.line("old parts are kept: %v", err)
		return
	}
	for _, s := range sessions {
		ours := s.ID == p.first || s.Parent == p.first // or made from it by a replay
		if !ours || s.Origin != p.info.Origin || s.EndedAt == nil || s.EndedAt.After(t) {
			continue
		}
		if err := p.db.Delete(ctx, s.ID); err != nil {
			p.say.line("part %s is kept: %v", s.Name, err)
			continue
		}
		p.say.line("part %s has been deleted: it ended more than %s ago", s.Name, p.limits.keep)
	}
}

// byteSize is a flag like 512M or 2G, in powers of 1024.
type byteSize int64

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*b), 10)
}

func (b *byteSize) Type() string { return "size" }

func (b *byteSize) Set(text string) error {
	number, shift := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(text)), "B"), 0
	for i, unit := range []string{"K", "M", "G", "T"} {
		if rest, ok := strings.CutSuffix(number, unit); ok {
			number, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > 1<<62>>shift {
		return fmt.Errorf("%q is no size: write 512M or 2G", text)
	}
	*b = byteSize(n << shift)
	return nil
}
