package model

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"gctap/decode/check"
)

// A sum is what one cell has seen of one state, or of calls.
type sum struct {
	total, longest time.Duration
	entry          int64 // the longest, in the spool, from 1; 0: none
}

// reach adds a piece of an entry.
func (s *sum) reach(piece time.Duration, entry int64) {
	s.total += piece
	if s.entry == 0 || piece > s.longest {
		s.longest, s.entry = piece, entry
	}
}

// cellSums add up a stretch of time of the agents on the screen.
type cellSums struct {
	bars   *bars
	states [][]sum   // by line: columns times states
	calls  [][]sum   // by line
	marks  [][]int64 // by line: an entry in the spool, from 1
	kinds  int
}

// bars works out what the screen shows of a stretch of time: in each cell the
// state that took most of it, and the longest entry of that.
func (s *spool) bars(ctx context.Context, want bars) (*bars, error) {
	b := &want
	rows := min(b.rows, max(len(s.agents)-b.top, 0))
	sums := &cellSums{bars: b, kinds: max(len(s.states), 1)}
	on := map[int]int{} // agents on the screen
	for i := range rows {
		on[b.top+i] = i
		sums.states = append(sums.states, make([]sum, b.columns*sums.kinds))
		sums.calls = append(sums.calls, make([]sum, b.columns))
		sums.marks = append(sums.marks, make([]int64, b.columns))
	}
	err := s.each(ctx, b.from, b.to, on, func(i int64, e *TimeEntry) { sums.add(on[e.Agent], i+1, e) })
	if err != nil {
		return nil, err
	}
	b.gaps = make([]bool, b.columns)
	for _, g := range s.gaps {
		if g.To.Before(b.from) || g.From.After(b.to) {
			continue
		}
		for c := max(b.column(g.From), 0); c <= min(b.column(g.To), b.columns-1); c++ {
			b.gaps[c] = true
		}
	}
	return b, sums.choose(s)
}

// column is where a time lies, which may be off the screen.
func (b *bars) column(t time.Time) int {
	c := float64(t.Sub(b.from)) / float64(b.to.Sub(b.from)) * float64(b.columns)
	return int(min(max(c, -1), float64(b.columns)))
}

// add adds an entry to the cells that it reaches into.
func (c *cellSums) add(line int, i int64, e *TimeEntry) {
	b := c.bars
	first, last := max(b.column(e.From), 0), min(b.column(e.To), b.columns-1)
	width := b.to.Sub(b.from) / time.Duration(b.columns)
	for x := first; x <= last; x++ {
		begin := b.from.Add(time.Duration(x) * width)
		piece := min(e.To.Sub(begin), width, e.To.Sub(e.From), begin.Add(width).Sub(e.From))
		switch e.Kind {
		case check.KindState:
			c.states[line][x*c.kinds+e.State].reach(piece, i)
		case check.KindCall:
			c.calls[line][x].reach(piece, i)
		case check.KindSession: // what a supervisor did tells more
			c.marks[line][x] = cmp.Or(c.marks[line][x], i)
		default:
			c.marks[line][x] = i
		}
	}
}

// choose settles what each cell shows.
func (c *cellSums) choose(s *spool) error {
	places := map[int64]int{}
	var err error
	place := func(i int64) int {
		if i == 0 || err != nil {
			return 0
		}
		if p, ok := places[i]; ok {
			return p
		}
		var e TimeEntry
		if e, err = s.entry(i - 1); err != nil {
			return 0
		}
		c.bars.entries = append(c.bars.entries, e)
		places[i] = len(c.bars.entries)
		return places[i]
	}
	for line := range c.states {
		l := timeLine{make([]int, c.bars.columns), make([]int, c.bars.columns), make([]int, c.bars.columns)}
		for x := range c.bars.columns {
			var most sum
			for _, state := range c.states[line][x*c.kinds : (x+1)*c.kinds] {
				if state.entry != 0 && (most.entry == 0 || state.total > most.total) {
					most = state
				}
			}
			l.states[x], l.calls[x], l.marks[x] = place(most.entry), place(c.calls[line][x].entry), place(c.marks[line][x])
		}
		c.bars.lines = append(c.bars.lines, l)
	}
	return err
}

// entry reads one entry.
func (s *spool) entry(i int64) (TimeEntry, error) {
	var b [entrySize]byte
	if _, err := s.file.ReadAt(b[:], i*entrySize); err != nil {
		return TimeEntry{}, fmt.Errorf("the view's temporary file: %w", err)
	}
	return s.decode(b[:]), nil
}
