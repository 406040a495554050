package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// How much one step of a Scan looks at, at the most: what a read transaction
// lasts for.
const (
	scanSpan       = 20_000 // records, where the whole session must be looked at
	scanCandidates = pageRows
)

// A Scan goes through the rows of a session that a filter accepts, forward or
// back, in steps that are each a short read transaction. It is used by one
// goroutine.
type Scan struct {
	store   *Store
	session int64
	filter  *Filter
	back    bool
	at      int64 // forward: all up to here were looked at; back: all from here on
	first   int64 // seq before which nothing can match
	last    int64 // seq of the last stored record that can
	gap     bool  // a crash gap follows it
	plan    plan
	planned bool
	done    bool
}

// Scan begins before (forward: after) the row seq and goes on to the end of
// the session, or back to its beginning.
func (s *Store) Scan(session int64, f *Filter, seq int64, back bool) *Scan {
	return &Scan{store: s, session: session, filter: f, at: min(max(seq, 0), maxSeq), back: back}
}

// Done reports whether everything has been looked at.
func (c *Scan) Done() bool { return c.done }

// At returns the seq up to which everything has been looked at, for progress.
func (c *Scan) At() int64 { return c.at }

// Next looks at the next stretch and returns the rows it accepts, in the order
// of the scan. There may be none although the scan is not done.
func (c *Scan) Next(ctx context.Context) ([]Row, error) {
	if c.done {
		return nil, nil
	}
	if !c.planned {
		if err := c.prepare(ctx); err != nil {
			return nil, err
		}
		if c.back && c.gap && c.last < c.at {
			gap, err := c.crashGap(ctx)
			if len(gap) > 0 || err != nil {
				return gap, err
			}
		}
	}
	page, err := c.step(ctx)
	if err != nil {
		return nil, err
	}
	rows := page[:0]
	for i := range page {
		if c.filter.Match(c.session, &page[i]) {
			rows = append(rows, page[i])
		}
	}
	if c.done && !c.back && c.gap {
		gap, err := c.crashGap(ctx)
		return append(rows, gap...), err
	}
	return rows, nil
}

func (c *Scan) prepare(ctx context.Context) (err error) {
	one, err := c.store.Session(ctx, c.session)
	if err != nil {
		return err
	}
	c.last = min(one.LastSeq, maxSeq)
	if c.gap = one.EndedAt == nil && !one.Live; c.gap {
		c.last-- // sessions counts the gap that it works out
	}
	c.plan, err = c.store.plan(ctx, c.session, c.filter)
	c.planned = true
	if c.plan.low > 0 { // 0: there is no filter
		c.first, c.last = c.plan.low, min(c.last, c.plan.high)
		if c.back {
			c.at = min(c.at, c.plan.high+1)
		} else {
			c.at = max(c.at, c.plan.low-1)
		}
	}
	return err
}

func (c *Scan) crashGap(ctx context.Context) ([]Row, error) {
	rows, err := c.store.crashRow(ctx, c.session, func(gap int64) bool { return c.back || gap > c.at })
	if len(rows) == 1 && !c.filter.Match(c.session, &rows[0]) {
		rows = nil
	}
	return rows, err
}

// step reads the candidates of the next stretch and moves at.
func (c *Scan) step(ctx context.Context) ([]Row, error) {
	if c.plan.nothing || !c.back && c.at >= c.last || c.back && c.at <= max(c.first, 1) {
		c.done = true
		return nil, nil
	}
	if c.plan.where == "" {
		return c.plainPage(ctx)
	}
	low, high, err := c.stretch(ctx)
	if err != nil || c.done {
		return nil, err
	}
	ids, err := c.candidates(ctx, low, high)
	if err != nil {
		return nil, explain(c.store.path, err)
	}
	edge := high
	if c.back {
		edge = low + 1
	}
	if len(ids) == scanCandidates {
		edge = ids[len(ids)-1]
	}
	page, err := c.store.pageByID(ctx, ids, c.back)
	if err != nil {
		return nil, err
	}
	if len(page) < len(ids) { // it was large
		edge = key(c.session, page[len(page)-1].Seq)
	}
	c.at = edge & maxSeq
	return page, nil
}

// plainPage reads a page where SQL can say nothing.
func (c *Scan) plainPage(ctx context.Context) (page []Row, err error) {
	if c.back {
		page, err = c.store.page(ctx, pageBefore, key(c.session, 0), key(c.session, c.at), pageRows)
	} else {
		page, err = c.store.page(ctx, pageAfter, key(c.session, c.at), key(c.session, maxSeq), pageRows)
	}
	if len(page) == 0 {
		c.done = true
		return nil, err
	}
	c.at = page[len(page)-1].Seq
	return page, nil
}

// stretch returns the keys between which the next step looks: low < id <= high.
// Where an index drives, that is all that is left. Seqs may have holes, so an
// empty stretch is skipped.
func (c *Scan) stretch(ctx context.Context) (low, high int64, err error) {
	if c.back {
		low, high = key(c.session, max(c.first-1, 0)), key(c.session, c.at)-1
	} else {
		low, high = key(c.session, c.at), key(c.session, c.last)
	}
	if len(c.plan.drivers) > 0 {
		return low, high, nil
	}
	query := `SELECT coalesce(min(id), 0) FROM records WHERE id > ? AND id <= ?`
	if c.back {
		query = `SELECT coalesce(max(id), 0) FROM records WHERE id > ? AND id <= ?`
	}
	var first int64
	if err := c.store.db.QueryRowContext(ctx, query, low, high).Scan(&first); err != nil {
		return 0, 0, explain(c.store.path, err)
	}
	switch {
	case first == 0:
		c.done = true
	case c.back:
		low, high = max(low, first-scanSpan), first
	default:
		low, high = first-1, min(high, first-1+scanSpan)
	}
	return low, high, nil
}

// candidates returns keys of rows that may match, in the order of the scan.
func (c *Scan) candidates(ctx context.Context, low, high int64) ([]int64, error) {
	query, args := c.query(low, high)
	rows, err := c.store.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (c *Scan) query(low, high int64) (string, []any) {
	order := ""
	if c.back {
		order = " DESC"
	}
	if len(c.plan.drivers) > 0 {
		var parts []string
		for _, d := range c.plan.drivers {
			parts = append(parts, fmt.Sprintf("SELECT id FROM messages WHERE %s AND id > ?1 AND id <= ?2", d))
		}
		return strings.Join(parts, " UNION ALL ") + " ORDER BY id" + order + fmt.Sprint(" LIMIT ", scanCandidates), []any{low, high}
	}
	from, id := "records r", "r.id"
	switch {
	case c.plan.index && c.plan.record:
		from = "records r LEFT JOIN messages m ON m.id = r.id"
	case c.plan.index:
		// Rows without an entry have no name and no agent, as if these were empty.
		from, id = "messages m", "m.id"
		if c.acceptsEmpty() {
			from, id = "records r LEFT JOIN messages m ON m.id = r.id", "r.id"
		}
	}
	n := len(c.plan.args)
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s > ?%d AND %s <= ?%d AND (%s) ORDER BY %s%s LIMIT %d",
		id, from, id, n+1, id, n+2, c.plan.where, id, order, scanCandidates), append(slices.Clone(c.plan.args), low, high)
}

// acceptsEmpty reports whether a row without an entry may match.
func (c *Scan) acceptsEmpty() bool {
	var empty func(n *condition) bool
	empty = func(n *condition) bool {
		switch n.op {
		case "and":
			return empty(n.kids[0]) && empty(n.kids[1])
		case "or":
			return empty(n.kids[0]) || empty(n.kids[1])
		case "is":
			return n.cmp == "<>" || n.cmp == "=" && slices.Contains(n.values, any(""))
		}
		return true
	}
	return empty(c.filter.where)
}

// pageByID reads the rows of the given keys, in their order.
func (s *Store) pageByID(ctx context.Context, ids []int64, back bool) ([]Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	query := pageByKeys + ` ORDER BY r.id`
	if back {
		query += ` DESC`
	}
	return s.page(ctx, query, string(list))
}

// Filtered yields the rows of a session from Seq from on that a filter accepts,
// in order, up to those stored when it gets there.
func (s *Store) Filtered(ctx context.Context, session int64, f *Filter, from int64) iter.Seq2[Row, error] {
	if f == nil {
		return s.Rows(ctx, session, from)
	}
	return func(yield func(Row, error) bool) { s.filtered(ctx, session, f, from, yield) }
}

// filtered reports whether to go on, and up to which Seq all was looked at.
func (s *Store) filtered(ctx context.Context, session int64, f *Filter, from int64, yield func(Row, error) bool) (at int64, more bool) {
	scan := s.Scan(session, f, max(from, 1)-1, false)
	for !scan.Done() {
		rows, err := scan.Next(ctx)
		if err != nil {
			yield(Row{}, err)
			return scan.At(), false
		}
		for _, row := range rows {
			if !yield(row, nil) {
				return scan.At(), false
			}
		}
	}
	return scan.At(), true
}

// FollowFiltered is Filtered that waits for more as long as the session is
// being written.
func (s *Store) FollowFiltered(ctx context.Context, session int64, f *Filter, from int64) iter.Seq2[Row, error] {
	if f == nil {
		return s.Follow(ctx, session, from)
	}
	return func(yield func(Row, error) bool) {
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for {
			before, err := s.Session(ctx, session)
			if err != nil {
				yield(Row{}, err)
				return
			}
			at, more := s.filtered(ctx, session, f, from, yield)
			if !more || !before.Live {
				return
			}
			from = at + 1
			select {
			case <-ctx.Done():
				yield(Row{}, context.Cause(ctx))
				return
			case <-tick.C:
			}
		}
	}
}
