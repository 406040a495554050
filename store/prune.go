package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// PruneOptions say what is to go. Their zero value keeps everything.
type PruneOptions struct {
	Before   time.Time // blocks that were signed before; zero: of any age
	MaxBytes int64     // the oldest blocks, until the store takes up no more; 0: no limit
	DryRun   bool      // say what would go, and keep it
}

// Pruned is what went of one session.
type Pruned struct {
	Session Session
	Blocks  int64
	Records int64
	Whole   bool // the session itself is gone: it had no checkpoints to leave
}

// pruneStep is how many blocks one transaction removes.
const pruneStep = 10

// Prune removes whole blocks of records, the oldest first, and leaves their
// checkpoints and a signed word of it: what is left still verifies. Sessions
// that were never signed have no blocks: by age they go as a whole, by size
// they stay. Recordings that go on lose only what a checkpoint covers.
func (s *Store) Prune(ctx context.Context, o PruneOptions) ([]Pruned, error) {
	p := &pruner{store: s, options: o, of: map[int64]*Pruned{}}
	sessions, err := s.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range sessions {
		if err := p.begin(ctx, one); err != nil {
			return p.result(), err
		}
	}
	if err := p.run(ctx); err != nil {
		return p.result(), err
	}
	return p.result(), nil
}

// A pruner is one run of Prune.
type pruner struct {
	store   *Store
	options PruneOptions
	queue   []*pruneQueue
	order   []int64
	of      map[int64]*Pruned
	freed   int64 // estimated, of a dry run
	each    int64 // bytes a record takes, about
}

// A pruneQueue is the blocks of one session that are still there.
type pruneQueue struct {
	session Session
	next    *Checkpoint // the oldest
}

func (p *pruner) result() []Pruned {
	var list []Pruned
	for _, id := range p.order {
		list = append(list, *p.of[id])
	}
	return list
}

func (p *pruner) gone(one Session, blocks, records int64) *Pruned {
	g := p.of[one.ID]
	if g == nil {
		g = &Pruned{Session: one}
		p.of[one.ID] = g
		p.order = append(p.order, one.ID)
	}
	g.Blocks += blocks
	g.Records += records
	return g
}

// begin finds the first block of a session, or removes one that has none.
func (p *pruner) begin(ctx context.Context, one Session) error {
	first, err := p.after(ctx, one, -1)
	if err != nil {
		return err
	}
	if first != nil {
		p.queue = append(p.queue, &pruneQueue{one, first})
		return nil
	}
	signed, err := lastCheckpoint(ctx, p.store.db, one.ID, one.chain)
	if err != nil {
		return explain(p.store.path, err)
	}
	if signed != nil || one.EndedAt == nil || p.options.Before.IsZero() || !one.EndedAt.Before(p.options.Before) {
		return nil
	}
	p.gone(one, 0, one.rows()).Whole = true
	if p.options.DryRun {
		return nil
	}
	return p.store.Delete(ctx, one.ID)
}

// after returns the first block behind a number that still has records.
func (p *pruner) after(ctx context.Context, one Session, number int64) (*Checkpoint, error) {
	var next sql.NullInt64
	err := p.store.db.QueryRowContext(ctx, `SELECT number FROM checkpoints c WHERE session = ?1 AND chain = ?2 AND number > ?3 AND first > 0
		AND EXISTS (SELECT 1 FROM records WHERE id = ?4 + c.first) ORDER BY number LIMIT 1`, one.ID, orEmpty(one.chain), number, key(one.ID, 0)).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(p.store.path, err)
	}
	list, err := checkpoints(ctx, p.store.db, one.ID, one.chain, next.Int64, 1)
	if err != nil || len(list) == 0 {
		return nil, explain(p.store.path, err)
	}
	return &list[0], nil
}

func (p *pruner) run(ctx context.Context) error {
	used, err := p.used(ctx)
	if err != nil {
		return err
	}
	for {
		oldest := p.oldest()
		if oldest == nil || !p.due(oldest.next, used) {
			break
		}
		if err := p.prune(ctx, oldest); err != nil {
			return err
		}
		if !p.options.DryRun {
			if used, err = p.used(ctx); err != nil {
				return err
			}
		}
	}
	if p.options.DryRun || len(p.order) == 0 {
		return nil
	}
	return p.store.change(ctx, giveBack)
}

func (p *pruner) oldest() (oldest *pruneQueue) {
	for _, q := range p.queue {
		if q.next != nil && (oldest == nil || q.next.At.Before(oldest.next.At)) {
			oldest = q
		}
	}
	return oldest
}

func (p *pruner) due(block *Checkpoint, used int64) bool {
	if !p.options.Before.IsZero() && block.At.Before(p.options.Before) {
		return true
	}
	return p.options.MaxBytes > 0 && used-p.freed > p.options.MaxBytes
}

// used returns how many bytes of the file are in use.
func (p *pruner) used(ctx context.Context) (used int64, err error) {
	var records int64
	err = p.store.db.QueryRowContext(ctx, `SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)
		- (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size)`).Scan(&used)
	if err == nil && p.each == 0 {
		err = p.store.db.QueryRowContext(ctx, `SELECT coalesce(sum(commands + events + peers + gaps + notes), 0) FROM sessions`).Scan(&records)
		p.each = used / max(records, 1)
	}
	return used, explain(p.store.path, err)
}

// prune removes the oldest blocks of a session in one transaction. By age these
// are up to ten; by size one at a time, so that no more goes than must.
func (p *pruner) prune(ctx context.Context, q *pruneQueue) error {
	blocks := []*Checkpoint{q.next}
	for len(blocks) < pruneStep && p.options.MaxBytes == 0 {
		next, err := p.after(ctx, q.session, blocks[len(blocks)-1].Number)
		if err != nil {
			return err
		}
		if next == nil || !p.due(next, 0) {
			break
		}
		blocks = append(blocks, next)
	}
	last := blocks[len(blocks)-1]
	records, err := p.remove(ctx, q.session.ID, blocks)
	if err != nil {
		return err
	}
	p.gone(q.session, int64(len(blocks)), records)
	p.freed += records * p.each
	if !p.options.DryRun {
		p.freed = 0
	}
	q.next, err = p.after(ctx, q.session, last.Number)
	return err
}

func (p *pruner) remove(ctx context.Context, session int64, blocks []*Checkpoint) (records int64, err error) {
	first, last := blocks[0], blocks[len(blocks)-1]
	low, high := key(session, first.First), key(session, last.Last)
	if p.options.DryRun {
		err := p.store.db.QueryRowContext(ctx, `SELECT count(*) FROM records WHERE id BETWEEN ? AND ?`, low, high).Scan(&records)
		return records, explain(p.store.path, err)
	}
	err = p.store.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		for _, table := range []string{"messages", "proofs", "records"} {
			res, err := conn.ExecContext(ctx, `DELETE FROM `+table+` WHERE id BETWEEN ? AND ?`, low, high)
			if err != nil {
				return err
			}
			if records, err = res.RowsAffected(); err != nil {
				return err
			}
		}
		if err := p.forgetNames(ctx, conn, session); err != nil {
			return err
		}
		return p.store.annotate(ctx, conn, session, AnnotatedPrune, 0, fmt.Sprintf("blocks %d to %d", first.Number, last.Number))
	})
	return records, err
}

// forgetNames removes the texts of an ended session that has no record left.
func (p *pruner) forgetNames(ctx context.Context, conn *sql.Conn, session int64) error {
	_, err := conn.ExecContext(ctx, `DELETE FROM names WHERE session = ?1 AND NOT EXISTS (SELECT 1 FROM records WHERE id BETWEEN ?2 AND ?3)
		AND EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND ended_at IS NOT NULL)`, session, key(session, 0), key(session, maxSeq))
	return err
}
