package capture

import (
	"bufio"
	"encoding/gob"
	"fmt"
	"io"
	"maps"
	"os"
	"time"
)

// A backlog is the queue between the readers of connections and the sink,
// first in, first out: in memory as long as the sink keeps up, then in a file.
// Only the goroutine that spills ever waits for that file, and the one that
// takes from it.
//
// Its methods are called with the recorder's lock held, but for those of chunk,
// which touch the disk.
type backlog struct {
	limit  int   // bytes in memory
	spill  int64 // bytes in the file; 0: none
	dir    string
	file   *os.File
	end    int64 // of what is written in file
	onDisk int   // chunks that are in the file

	head   []Delivery // next to be taken
	chunks []*chunk   // then these
	tail   []Delivery // then these, the youngest
	tailed int        // bytes in tail

	memory int // bytes of head, tail and chunks in memory
	length int // deliveries in all
	busy   bool
	failed error // the last failure to spill
}

// A chunk is a part of the backlog that is in the file or on its way there.
type chunk struct {
	items  []Delivery       // nil once it is in the file
	acks   []func()         // of the items in the file
	sent   map[string]int64 // messages in the file by destination
	bytes  int
	oldest time.Time
	file   *os.File
	offset int64
	size   int64
}

// room reports whether rec fits into memory.
func (b *backlog) room(rec *Record) bool { return b.memory+recordSize(rec) <= b.limit }

// push takes d in. A chunk that it returns is to be spilled.
func (b *backlog) push(d Delivery) *chunk {
	size := recordSize(&d.Record)
	b.tail = append(b.tail, d)
	b.tailed += size
	b.memory += size
	b.length++
	if b.busy || b.tailed < b.limit/4 || b.end >= b.spill {
		return nil
	}
	return b.detach()
}

// detach makes the tail a chunk that is to be spilled.
func (b *backlog) detach() *chunk {
	if b.file == nil {
		if b.file, b.failed = openSpill(b.dir); b.failed != nil {
			b.spill = 0
			return nil
		}
	}
	c := &chunk{items: b.tail, bytes: b.tailed, oldest: b.tail[0].Record.CapturedAt, file: b.file, offset: b.end}
	b.chunks = append(b.chunks, c)
	b.tail, b.tailed, b.busy = nil, 0, true
	return c
}

// openSpill makes a file without a name, so that nothing is left of it
// whatever becomes of us. What it holds is masked.
func openSpill(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "gctap-spill-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// spilled brings in what became of a chunk that detach returned.
func (b *backlog) spilled(c *chunk, size int64, err error) {
	b.busy = false
	if err != nil {
		b.failed, b.spill = err, 0 // it stays in memory; a broken disk is not tried again
		return
	}
	for _, waiting := range b.chunks {
		if waiting == c {
			c.size = size
			c.sent = map[string]int64{}
			for i := range c.items {
				c.acks = append(c.acks, c.items[i].Ack)
				if rec := &c.items[i].Record; rec.isMessage() {
					c.sent[rec.To]++
				}
			}
			c.items = nil
			b.memory -= c.bytes
			b.end += size
			b.onDisk++
			return
		}
	}
	// It was taken from memory meanwhile; its place in the file is free again.
}

// next makes sure that head holds what is to be taken next. It returns a chunk
// that has to be read from the file first.
func (b *backlog) next() *chunk {
	if len(b.head) > 0 {
		return nil
	}
	if len(b.chunks) == 0 {
		b.head, b.tail, b.tailed = b.tail, nil, 0
		return nil
	}
	c := b.chunks[0]
	b.chunks = b.chunks[1:]
	if c.items == nil {
		return c
	}
	b.head = c.items
	return nil
}

// loaded brings in what was read of a chunk that next returned.
func (b *backlog) loaded(c *chunk, items []Delivery) {
	b.head = items
	for i := range items {
		b.memory += recordSize(&items[i].Record)
	}
	b.length += len(items) - len(c.acks) // fewer where the file could not be read
	if b.onDisk--; b.onDisk == 0 && !b.busy {
		b.end = 0 // all of the file is free again
	}
}

// take returns up to n deliveries of head.
func (b *backlog) take(n int) []Delivery {
	taken := b.head[:min(n, len(b.head))]
	b.head = b.head[len(taken):]
	for i := range taken {
		b.memory -= recordSize(&taken[i].Record)
	}
	b.length -= len(taken)
	return taken
}

// each shows every message that waits. Of those in the file only the destination
// is known here.
func (b *backlog) each(show func(*Record)) {
	items := func(all []Delivery) {
		for i := range all {
			if all[i].Record.isMessage() {
				show(&all[i].Record)
			}
		}
	}
	items(b.head)
	for _, c := range b.chunks {
		items(c.items)
		for dest, n := range c.sent {
			for range n {
				show(&Record{To: dest})
			}
		}
	}
	items(b.tail)
}

// unread is what the file took of a chunk and did not give back, by destination.
func (c *chunk) unread(items []Delivery) map[string]int64 {
	left := maps.Clone(c.sent)
	for i := range items {
		if rec := &items[i].Record; rec.isMessage() {
			left[rec.To]--
		}
	}
	return left
}

// oldest is when the first delivery was captured.
func (b *backlog) oldest() (time.Time, bool) {
	switch {
	case len(b.head) > 0:
		return b.head[0].Record.CapturedAt, true
	case len(b.chunks) > 0:
		return b.chunks[0].oldest, true
	case len(b.tail) > 0:
		return b.tail[0].Record.CapturedAt, true
	}
	return time.Time{}, false
}

func (b *backlog) close() {
	if b.file != nil {
		b.file.Close() // it has no name, and nothing of it is wanted
	}
}

// spilledRecord is a Record as gob keeps it: gob does not tell a nil pointer
// from one to a zero value.
type spilledRecord struct {
	Record
	Typed bool
	Sent  bool
	Empty bool // a body that is there and holds nothing
}

// write puts the chunk's items into the file and returns their size there.
func (c *chunk) write() (int64, error) {
	w := &countingWriter{w: io.NewOffsetWriter(c.file, c.offset)}
	buffered := bufio.NewWriterSize(w, 1<<20)
	enc := gob.NewEncoder(buffered)
	for i := range c.items {
		rec := c.items[i].Record
		if err := enc.Encode(spilledRecord{rec, rec.JMSType != nil, rec.SentAt != nil, rec.Body != nil && len(rec.Body) == 0}); err != nil {
			return 0, err
		}
	}
	if err := buffered.Flush(); err != nil {
		return 0, err
	}
	return w.n, nil
}

// read is the reverse. It returns what could be read even where it fails.
func (c *chunk) read() ([]Delivery, error) {
	dec := gob.NewDecoder(bufio.NewReaderSize(io.NewSectionReader(c.file, c.offset, c.size), 1<<20))
	items := make([]Delivery, 0, len(c.acks))
	for _, ack := range c.acks {
		var s spilledRecord
		if err := dec.Decode(&s); err != nil {
			return items, fmt.Errorf("reading back what waited on disk: %w", err)
		}
		if s.Typed && s.JMSType == nil {
			s.JMSType = new(string)
		}
		if s.Sent && s.SentAt == nil {
			s.SentAt = new(time.Time)
		}
		if s.Empty {
			s.Body = []byte{}
		}
		items = append(items, Delivery{Record: s.Record, Ack: ack})
	}
	return items, nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.n += int64(n)
	return n, err
}
