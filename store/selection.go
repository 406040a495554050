package store

import (
	"context"
	"iter"

	"gctap/capture"
)

// A Selection is the part of a session that a command is about. Its Records
// are the whole session, because what a message means shows only among all of
// them; what a command then says is about those that the filter accepts. It is
// used by one goroutine.
type Selection struct {
	store   *Store
	session int64
	filter  *Filter
	held    map[int64]*[seqWords]uint64 // accepted: a bit for each seq
	taken   int64
	all     int64
}

// A selection remembers seqs in words of 64, so many at once.
const seqWords = 64

// Select returns the Selection of a session by a filter; all of it for nil.
func (s *Store) Select(session int64, f *Filter) *Selection {
	return &Selection{store: s, session: session, filter: f, held: map[int64]*[seqWords]uint64{}}
}

// Records yields all records of the session, as [Store.Records] does. Whether a
// message is held is known once its record has been yielded.
func (c *Selection) Records(ctx context.Context) iter.Seq2[capture.Record, error] {
	if c.filter == nil {
		return c.store.Records(ctx, c.session, 1)
	}
	return func(yield func(capture.Record, error) bool) {
		c.taken, c.all = 0, 0
		for row, err := range c.store.Rows(ctx, c.session, 1) {
			if err == nil {
				c.take(&row)
			}
			if !yield(row.Record, err) {
				return
			}
		}
	}
}

func (c *Selection) take(row *Row) {
	if row.Direction == capture.GapRow {
		c.hold(row.Seq)
		return
	}
	message := row.Direction != capture.Note
	if message {
		c.all++
	}
	if !c.filter.Match(c.session, row) {
		return
	}
	c.hold(row.Seq)
	if message {
		c.taken++
	}
}

// bit returns where a seq is remembered.
func bit(seq int64) (block, word int64, mask uint64) {
	return seq / 64 / seqWords, seq / 64 % seqWords, 1 << (seq % 64)
}

func (c *Selection) hold(seq int64) {
	block, word, mask := bit(seq)
	if c.held[block] == nil {
		c.held[block] = new([seqWords]uint64)
	}
	c.held[block][word] |= mask
}

// Holds reports whether the filter accepts a message that Records has yielded.
// Gap rows belong to every selection: what may be missing is never filtered away.
func (c *Selection) Holds(seq int64) bool {
	if c.filter == nil {
		return true
	}
	block, word, mask := bit(seq)
	words := c.held[block]
	return words != nil && words[word]&mask != 0
}

// Only is Holds for those who take a function; nil where everything is held.
func (c *Selection) Only() func(seq int64) bool {
	if c.filter == nil {
		return nil
	}
	return c.Holds
}

// Filter returns what it was selected by.
func (c *Selection) Filter() *Filter { return c.filter }

// A Slice says of what part of a session something was said.
type Slice struct {
	Filter   string `json:"filter"`
	Messages int64  `json:"messages"` // that the filter accepts
	Of       int64  `json:"of"`       // messages of the session
}

// Slice returns what was selected, once Records has come to its end; nil where
// that is the whole session.
func (c *Selection) Slice() *Slice {
	if c.filter == nil {
		return nil
	}
	return &Slice{c.filter.String(), c.taken, c.all}
}
