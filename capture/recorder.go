package capture

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// What is at risk when the recorder dies, and what it may hold in memory.
const (
	DefaultDelay  = 200 * time.Millisecond // a record is committed at most this late …
	DefaultBatch  = 500                    // … or with this many others, whichever is first
	DefaultMemory = 8 << 20                // bytes of records waiting for the sink
	DefaultWindow = 50_000                 // message-ids remembered to drop doubles
)

// lostWindow is how many dropped message-ids are remembered, so that their
// copies do not count again.
const lostWindow = 10_000

// Others is the line of the ledger for all destinations beyond the first
// 10,000: what clients name at random must not fill the memory.
const (
	Others     = "(others)"
	ledgerSize = 10_000
)

// RecorderConfig says where records go and what happens to them on the way.
type RecorderConfig struct {
	Sink  Sink
	Start time.Time // of the recording; Record.Mono counts from here

	// Mask replaces the secrets of a record. Offer calls it before the record
	// is put where anything could write it down.
	Mask func(*Record)
	// Keep is the recording's filter; what it declines is counted. Nil keeps all.
	Keep func(*Record) bool

	LastSeq int64    // of a session that goes on; 0 for a new one
	Seen    []string // message-ids of its last records, oldest first
	Ledger  []Counts // its ledger so far

	Delay  time.Duration // 0: DefaultDelay
	Batch  int           // 0: DefaultBatch
	Memory int           // 0: DefaultMemory
	Window int           // 0: DefaultWindow

	// Spill is how many bytes may wait in a file when Memory is used up, in the
	// folder SpillDir (empty: the system's for temporary files). 0: none.
	Spill    int64
	SpillDir string
}

// A Recorder takes records from the goroutines that read connections and
// brings them to a Sink: masked, numbered, without doubles, in batches.
//
// A slow sink never slows a reader down. What waits for it is kept in memory,
// then in a file; what fits into neither is dropped and counted, and a gap row
// says so.
type Recorder struct {
	cfg  RecorderConfig
	wake chan struct{} // holds a token when Run has something to look at

	spills sync.WaitGroup

	mu       sync.Mutex
	queue    backlog
	dropped  *Gap
	closed   bool
	ledger   map[string]*Counts
	changed  map[string]bool // destinations whose ledger is not in the sink yet
	totals   Status
	seen     window
	lost     window // message-ids that were dropped
	failed   bool   // the sink has; nothing is kept any more
	unstored int64  // messages that were received and are lost with the sink
	untold   int64  // messages that were dropped, and the sink has no gap row of it yet
	batchSeq int64
	mono     time.Duration // of the youngest record
}

// Status is where a recording stands.
type Status struct {
	Received, Stored, Doubled, Filtered, Lost, Foreign int64
	Commands, Events, Peers, Gaps                      int64         // of those stored
	Waiting                                            int           // records not committed yet
	Spilled                                            bool          // some of them wait in a file
	Behind                                             time.Duration // age of the oldest of them
}

// NewRecorder returns a Recorder that works once Run is called; Offer may be
// called before.
func NewRecorder(cfg RecorderConfig) *Recorder {
	if cfg.Start.IsZero() {
		cfg.Start = time.Now()
	}
	cfg.Delay = orDefault(cfg.Delay, DefaultDelay)
	cfg.Batch = orDefault(cfg.Batch, DefaultBatch)
	r := &Recorder{
		cfg:      cfg,
		wake:     make(chan struct{}, 1),
		queue:    backlog{limit: orDefault(cfg.Memory, DefaultMemory), spill: cfg.Spill, dir: cfg.SpillDir},
		ledger:   make(map[string]*Counts),
		changed:  make(map[string]bool),
		seen:     newWindow(orDefault(cfg.Window, DefaultWindow)),
		lost:     newWindow(lostWindow),
		batchSeq: cfg.LastSeq,
	}
	for _, id := range cfg.Seen {
		r.seen.add(id)
	}
	for _, c := range cfg.Ledger {
		r.ledger[c.Destination] = &c
	}
	return r
}

func orDefault[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// Offer hands a record to the recorder. It never waits: readers of connections
// call it. The record's Ack is called once the record, or the copy of it that
// came first, is committed; it is not called for a record that was dropped.
//
// Notes and gap rows are kept like messages; only messages are counted.
func (r *Recorder) Offer(d Delivery) {
	if r.double(d) {
		return
	}
	if r.cfg.Mask != nil && d.Record.Direction != GapRow {
		r.cfg.Mask(&d.Record)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(&d.Record)
	r.count(&d.Record, func(c *Counts, s *Status) { c.Received++; s.Received++ })
	again := r.lost.has(d.Record.MessageID)
	if r.failed && !again {
		r.lose(&d.Record)
		return
	}
	if r.closed || r.failed || !r.queue.room(&d.Record) {
		if again {
			r.count(&d.Record, func(c *Counts, s *Status) { c.Doubled++; s.Doubled++ })
		} else {
			r.drop(&d.Record)
		}
		return
	}
	if again {
		r.found(&d.Record)
	}
	r.flushDropped()
	r.push(d)
	if d.Record.MessageID != "" {
		r.seen.add(d.Record.MessageID)
	}
}

// double counts a copy of what was received before and keeps of it only what
// must be acknowledged, in its place: when that is committed, so is the first
// copy. Copies are found first of all, for nearly every message has one.
func (r *Recorder) double(d Delivery) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Record.MessageID == "" || !r.seen.has(d.Record.MessageID) {
		return false
	}
	r.count(&d.Record, func(c *Counts, s *Status) {
		c.Received++
		c.Doubled++
		s.Received++
		s.Doubled++
	})
	if d.Ack != nil {
		r.push(Delivery{Ack: d.Ack, Record: Record{Direction: ackOnly}})
	}
	return true
}

// ackOnly marks an entry of the queue that is no record.
const ackOnly Direction = "ack"

// isMessage reports whether an entry of the queue is a message that was seen.
func (r *Record) isMessage() bool {
	return r.Direction != GapRow && r.Direction != Note && r.Direction != ackOnly
}

// Gap puts a gap row at this place of the recording.
func (r *Recorder) Gap(g Gap) {
	rec := g.Record()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(&rec)
	r.push(Delivery{Record: rec})
}

// Foreign counts a message of another application. Its bytes are not looked at.
func (r *Recorder) Foreign(destination string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(&Record{To: destination}, func(c *Counts, s *Status) {
		c.Received++
		c.Foreign++
		s.Received++
		s.Foreign++
	})
}

// Close says that no more records will be offered. Run returns when it has
// committed those that were.
func (r *Recorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushDropped()
	r.closed = true
	r.signal()
}

// Status may be called at any time.
func (r *Recorder) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.totals
	s.Waiting = r.queue.length
	s.Spilled = r.queue.onDisk > 0
	if oldest, ok := r.queue.oldest(); ok {
		s.Behind = time.Since(oldest)
	}
	return s
}

// Run commits what is offered until Close was called and all is committed, or
// the sink fails. ctx bounds the sink's work only: cancelling it abandons what
// is not committed.
func (r *Recorder) Run(ctx context.Context) error {
	defer func() { r.spills.Wait(); r.queue.close() }()
	for {
		batch, acks, more := r.next(ctx)
		if len(batch.Records)+len(batch.Ledger) > 0 {
			if err := r.cfg.Sink.Write(ctx, batch); err != nil {
				r.fail(batch, err)
				return err
			}
			r.committed(batch)
		}
		for _, ack := range acks {
			ack()
		}
		if !more {
			return context.Cause(ctx)
		}
	}
}

// next waits for a batch that is due and takes it. The last one comes with
// more == false.
func (r *Recorder) next(ctx context.Context) (b Batch, acks []func(), more bool) {
	due := time.NewTimer(r.cfg.Delay)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return Batch{}, nil, false
		case <-due.C:
			return r.take()
		case <-r.wake:
			r.mu.Lock()
			full, closed := r.queue.length >= r.cfg.Batch, r.closed
			r.mu.Unlock()
			if full || closed {
				return r.take()
			}
		}
	}
}

// take numbers the records of the next batch, leaving out doubles and what the
// filter declines.
func (r *Recorder) take() (b Batch, acks []func(), more bool) {
	r.mu.Lock()
	r.fetch()
	taken := r.queue.take(r.cfg.Batch)
	seq := r.batchSeq
	for i := range taken {
		rec := new(taken[i].Record) // a copy: the original may be on its way into the file
		if taken[i].Ack != nil {
			acks = append(acks, taken[i].Ack)
		}
		if rec.Direction == ackOnly {
			continue
		}
		if r.cfg.Keep != nil && rec.Direction != GapRow && !r.cfg.Keep(rec) {
			r.count(rec, func(c *Counts, s *Status) { c.Filtered++; s.Filtered++ })
			continue
		}
		seq++
		rec.Seq = seq
		b.Records = append(b.Records, *rec)
		r.count(rec, func(c *Counts, _ *Status) { c.Stored++ })
	}
	for dest := range r.changed {
		b.Ledger = append(b.Ledger, *r.ledger[dest])
	}
	slices.SortFunc(b.Ledger, func(x, y Counts) int { return strings.Compare(x.Destination, y.Destination) })
	clear(r.changed)
	more = !r.closed || r.queue.length > 0
	if r.queue.length > 0 || r.closed {
		r.signal()
	}
	r.mu.Unlock()
	return b, acks, more
}

// fetch brings what is next into memory. It gives up the lock while it reads
// the file.
func (r *Recorder) fetch() {
	c := r.queue.next()
	if c == nil {
		return
	}
	r.mu.Unlock()
	items, err := c.read()
	r.mu.Lock()
	r.queue.loaded(c, items)
	if err == nil {
		return
	}
	// What the file took and does not give back is lost.
	var lost int64
	for dest, n := range c.unread(items) {
		r.count(&Record{To: dest}, func(c *Counts, s *Status) { c.Lost += n; s.Lost += n })
		lost += n
	}
	r.untold += lost
	gap := Gap{From: c.oldest, To: time.Now(), Reason: GapOverflow, Lost: &lost}
	r.push(Delivery{Record: gap.Record()})
}

// committed brings the totals up to date with what the sink has now.
func (r *Recorder) committed(b Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(b.Records); n > 0 {
		r.batchSeq = b.Records[n-1].Seq
	}
	for i := range b.Records {
		switch b.Records[i].Direction {
		case GapRow:
			r.totals.Gaps++
			if gap, ok := b.Records[i].Gap(); ok && gap.Reason == GapOverflow && gap.Lost != nil {
				r.untold -= *gap.Lost
			}
			continue
		case Note:
			continue
		case Command:
			r.totals.Commands++
		case Event:
			r.totals.Events++
		case Peer:
			r.totals.Peers++
		}
		r.totals.Stored++
	}
}

// A Shortfall is the error of a sink that has kept the first records of a batch
// all the same.
type Shortfall struct {
	Kept int
	Err  error
}

func (e *Shortfall) Error() string { return e.Err.Error() }
func (e *Shortfall) Unwrap() error { return e.Err }

// fail brings the ledger up to date when the sink has failed: what it did not
// keep of the batch, and all that waits, is lost, and so are the gap rows of what
// was dropped before.
func (r *Recorder) fail(b Batch, err error) {
	kept := 0
	if short, ok := errors.AsType[*Shortfall](err); ok {
		kept = short.Kept
	}
	r.committed(Batch{Records: b.Records[:kept]})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed, r.dropped = true, nil
	r.unstored += r.untold
	for i := range b.Records[kept:] {
		if rec := &b.Records[kept+i]; rec.Direction != GapRow {
			r.count(rec, func(c *Counts, _ *Status) { c.Stored-- })
			r.lose(rec)
		}
	}
	r.queue.each(r.lose)
}

func (r *Recorder) lose(rec *Record) {
	r.count(rec, func(c *Counts, s *Status) { c.Lost++; s.Lost++ })
	if rec.isMessage() {
		r.unstored++
	}
	if rec.MessageID != "" {
		r.lost.add(rec.MessageID)
	}
}

// Unstored is, after Run has failed, how many messages were received and are
// not in the sink, and the whole ledger with them. A broker that keeps messages
// until they are acknowledged delivers those of its queues again.
func (r *Recorder) Unstored() (int64, []Counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ledger []Counts
	for _, dest := range slices.Sorted(maps.Keys(r.ledger)) {
		ledger = append(ledger, *r.ledger[dest])
	}
	return r.unstored, ledger
}

// The methods below are called with r.mu held.

// clock sets Mono, which never runs back whatever the wall clock does.
func (r *Recorder) clock(rec *Record) {
	r.mono = max(r.mono, rec.CapturedAt.Sub(r.cfg.Start))
	rec.Mono = r.mono
}

func (r *Recorder) push(d Delivery) {
	if c := r.queue.push(d); c != nil {
		r.spills.Go(func() {
			size, err := c.write()
			r.mu.Lock()
			r.queue.spilled(c, size, err)
			r.mu.Unlock()
		})
	}
	if r.queue.length == 1 || r.queue.length >= r.cfg.Batch {
		r.signal()
	}
}

func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Recorder) count(rec *Record, add func(*Counts, *Status)) {
	if !rec.isMessage() {
		return
	}
	dest := rec.To
	if r.ledger[dest] == nil {
		if len(r.ledger) >= ledgerSize {
			dest = Others
		}
		if r.ledger[dest] == nil {
			r.ledger[dest] = &Counts{Destination: dest}
		}
	}
	add(r.ledger[dest], &r.totals)
	r.changed[dest] = true
}

func (r *Recorder) drop(rec *Record) {
	r.count(rec, func(c *Counts, s *Status) { c.Lost++; s.Lost++ })
	if r.dropped == nil {
		r.dropped = &Gap{From: rec.CapturedAt, Reason: GapOverflow, Lost: new(int64)}
	}
	r.dropped.To = rec.CapturedAt
	if rec.isMessage() {
		*r.dropped.Lost++
		r.untold++
	}
	if rec.MessageID != "" {
		r.lost.add(rec.MessageID)
	}
}

// found takes back the loss of a message of which a further copy has come and
// is kept. A gap row that is on its way already says one too many.
func (r *Recorder) found(rec *Record) {
	r.count(rec, func(c *Counts, s *Status) { c.Lost--; c.Doubled++; s.Lost--; s.Doubled++ })
	if r.dropped == nil || *r.dropped.Lost == 0 {
		return
	}
	r.untold--
	if *r.dropped.Lost--; *r.dropped.Lost == 0 {
		r.dropped = nil
	}
}

// flushDropped puts the row of a gap that has ended into the queue, over the
// memory limit if need be: it is one row.
func (r *Recorder) flushDropped() {
	if r.dropped == nil {
		return
	}
	rec := r.dropped.Record()
	r.clock(&rec)
	r.dropped = nil
	r.push(Delivery{Record: rec})
}

// recordSize is about what a record takes in memory.
func recordSize(rec *Record) int {
	n := 512 + len(rec.Body)
	for _, h := range rec.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return n
}

// A window remembers the last message-ids, at least size of them and at most
// twice as many. It keeps 128 bits of each: enough never to take one message
// for another, and the same memory whatever the ids look like.
type window struct {
	size     int
	seeds    [2]maphash.Seed
	old, new map[[2]uint64]struct{}
}

func newWindow(size int) window {
	return window{
		size:  size,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		// Both at their full size from the start: what a recorder needs after
		// weeks it needs at once.
		old: make(map[[2]uint64]struct{}, size),
		new: make(map[[2]uint64]struct{}, size),
	}
}

func (w *window) key(id string) [2]uint64 {
	return [2]uint64{maphash.String(w.seeds[0], id), maphash.String(w.seeds[1], id)}
}

// has reports whether id is remembered.
func (w *window) has(id string) bool {
	key := w.key(id)
	_, young := w.new[key]
	_, old := w.old[key]
	return young || old
}

// add remembers id.
func (w *window) add(id string) {
	if len(w.new) >= w.size {
		clear(w.old)
		w.old, w.new = w.new, w.old
	}
	w.new[w.key(id)] = struct{}{}
}
