package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"gctap/capture"
)

// copyBatch is how many records are copied at once. Of a small slice it is
// fewer: the proofs of a batch come before its records, and a file that is cut
// off is to hold some of either.
const (
	copyBatch  = 1000
	smallBatch = 25
)

// Copied says what a copy holds.
type Copied struct {
	Session Session // as it stands in the store it was copied to
	Records int64
}

// ExportFile writes a session into a new file: one SQLite file with that one
// session, without a log beside it. A whole session keeps its chain, its
// checkpoints and its annotations. With a filter, or while it is still being
// recorded, it is a slice: a chain of its own that names the original's, in
// which each record carries its path to a signed block of the original. Gap
// rows belong to every slice.
func (s *Store) ExportFile(ctx context.Context, session int64, path string, filter *Filter) (Copied, error) {
	return s.exportTo(ctx, session, path, func(dst *Store) (Copied, error) { return s.CopyTo(ctx, session, dst, filter) })
}

// Each table has a page at the beginning of a file, before all records. In the
// file of a session of fewer records than smallSession pages are small, so that
// these are not the half of it.
const (
	smallSession = 10_000
	smallPage    = 1024
)

// exportTo makes the file beside its place first, so that what stands at path
// is always whole.
func (s *Store) exportTo(ctx context.Context, session int64, path string, fill func(dst *Store) (Copied, error)) (copied Copied, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return copied, fmt.Errorf("export: %w", err)
	}
	if exists(path) {
		return copied, fmt.Errorf("export %s: is there already: name another file", path)
	}
	one, err := s.Session(ctx, session)
	if err != nil {
		return copied, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".gctap-export-*")
	if err != nil {
		return copied, fmt.Errorf("export %s: %w", path, cause(err))
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "session.db")
	if one.rows() < smallSession {
		if err := makeEmpty(ctx, made, len(migrationFiles()), smallPage); err != nil {
			return copied, explain(path, err)
		}
	}
	dst, err := Open(ctx, made, Record)
	if err != nil {
		return copied, err
	}
	copied, err = fill(dst)
	if err = errors.Join(err, dst.Close()); err != nil {
		return copied, err
	}
	if err := withoutLog(ctx, made); err != nil {
		return copied, explain(path, err)
	}
	if err := os.Link(made, path); err != nil { // never over a file that came meanwhile
		if err := os.Rename(made, path); err != nil {
			return copied, fmt.Errorf("export %s: %w", path, cause(err))
		}
	}
	return copied, nil
}

// withoutLog folds a file's log back and leaves it without one.
func withoutLog(ctx context.Context, path string) error {
	db := openDB(path, "rw", "_synchronous=FULL")
	defer db.Close()
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode); err != nil {
		return err
	}
	if mode != "delete" {
		return fmt.Errorf("the log could not be folded back: journal mode %s", mode)
	}
	return nil
}

// CopyTo copies a session into another store, whole or as a slice: see
// ExportFile. Where its name is taken there, it gets a number.
func (s *Store) CopyTo(ctx context.Context, session int64, dst *Store, filter *Filter) (Copied, error) {
	one, err := s.Session(ctx, session)
	if err != nil {
		return Copied{}, err
	}
	if filter == nil && !one.Live {
		return s.copyWhole(ctx, one, dst)
	}
	return s.copySlice(ctx, one, dst, filter)
}

// copyWhole copies a session with all that stands as evidence for it.
func (s *Store) copyWhole(ctx context.Context, one Session, dst *Store) (Copied, error) {
	info := one.SessionInfo
	info.Parent = 0 // a number of the other store
	if err := dst.freeName(ctx, &info); err != nil {
		return Copied{}, err
	}
	w, err := dst.newSession(ctx, info, lineage{name: one.chain, derived: one.derived, copied: true})
	if err != nil {
		return Copied{}, err
	}
	n, err := w.copyRows(ctx, s.Rows(ctx, one.ID, 1))
	if err == nil {
		err = s.copyEvidence(ctx, one, w)
	}
	if err == nil {
		err = w.finishCopy(ctx, one)
	}
	return w.copied(ctx, n, err)
}

// copied closes the writer of a copy; a copy that failed is deleted again.
func (w *Writer) copied(ctx context.Context, n int64, err error) (Copied, error) {
	id, dst := w.session.ID, w.store
	err = errors.Join(err, w.Close())
	if err != nil {
		return Copied{}, errors.Join(err, dst.Delete(context.WithoutCancel(ctx), id))
	}
	one, err := dst.Session(ctx, id)
	return Copied{Session: one, Records: n}, err
}

// freeName gives a session a name that the store does not have.
func (s *Store) freeName(ctx context.Context, info *SessionInfo) error {
	if checkName(info.Name) != nil { // a stranger's file may hold any
		info.Name = "imported"
	}
	base := info.Name
	for n := 2; ; n++ {
		var taken bool
		if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM sessions WHERE name = ?`, info.Name).Scan(&taken); err != nil {
			return explain(s.path, err)
		}
		if !taken {
			return nil
		}
		info.Name = fmt.Sprintf("%s-%d", base, n)
	}
}

// copyRows writes rows with the Seq they have.
func (w *Writer) copyRows(ctx context.Context, rows iter.Seq2[Row, error]) (n int64, err error) {
	var batch []capture.Record
	size := 0
	flush := func() error {
		err := w.Write(ctx, capture.Batch{Records: batch})
		n += int64(len(batch))
		batch, size = batch[:0], 0
		return err
	}
	for row, err := range rows {
		if err != nil {
			return n, err
		}
		batch, size = append(batch, row.Record), size+len(row.Body)
		if len(batch) >= w.batch || size >= pageBytes {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

// copyEvidence copies ledger, checkpoints, annotations and proofs as they are.
func (s *Store) copyEvidence(ctx context.Context, one Session, w *Writer) error {
	ledger, err := s.Ledger(ctx, one.ID)
	if err != nil {
		return err
	}
	if err := w.Write(ctx, capture.Batch{Ledger: ledger}); err != nil {
		return err
	}
	for _, table := range []struct{ columns, name, where string }{
		{"chain, number, first, last, count, head, root, facts, sealed, at, key, signature", "checkpoints", "session = ? AND (chain, number) > (?, ?) ORDER BY chain, number"},
		{"number, at, kind, seq, text, head, key, signature", "annotations", "session = ? AND number > ? ORDER BY number"},
	} {
		if err := s.copyTable(ctx, one.ID, w, table.columns, table.name, table.where); err != nil {
			return err
		}
	}
	return s.copyProofs(ctx, one.ID, w)
}

// copyTable copies the rows of a session in pages, by their key.
func (s *Store) copyTable(ctx context.Context, session int64, w *Writer, columns, table, where string) error {
	names := strings.Split(columns, ", ")
	after := []any{session, int64(0)}
	if table == "checkpoints" {
		after = []any{session, []byte{}, int64(-1)}
	}
	insert := fmt.Sprintf("INSERT INTO %s (session, %s) VALUES (?%s)", table, columns, strings.Repeat(",?", len(names)))
	for {
		page, err := s.rawPage(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s LIMIT %d", columns, table, where, pageRows), len(names), after...)
		if err != nil || len(page) == 0 {
			return explain(s.path, err)
		}
		err = transact(ctx, w.conn, func(ctx context.Context, conn *sql.Conn) error {
			for _, row := range page {
				if _, err := conn.ExecContext(ctx, insert, append([]any{w.session.ID}, row...)...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return explain(w.store.path, err)
		}
		last := page[len(page)-1]
		copy(after[1:], last[:len(after)-1])
	}
}

func (s *Store) copyProofs(ctx context.Context, session int64, w *Writer) error {
	for after := key(session, 0); ; {
		page, err := s.rawPage(ctx, fmt.Sprintf("SELECT id, block, leaf, size, path FROM proofs WHERE id > ? AND id <= ? ORDER BY id LIMIT %d", pageRows),
			5, after, key(session, maxSeq))
		if err != nil || len(page) == 0 {
			return explain(s.path, err)
		}
		err = transact(ctx, w.conn, func(ctx context.Context, conn *sql.Conn) error {
			for _, row := range page {
				after = row[0].(int64)
				row[0] = key(w.session.ID, after&maxSeq)
				if _, err := conn.ExecContext(ctx, insertProof, row...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return explain(w.store.path, err)
		}
	}
}

const insertProof = `INSERT INTO proofs (id, block, leaf, size, path) VALUES (?,?,?,?,?)`

// rawPage reads rows as they are.
func (s *Store) rawPage(ctx context.Context, query string, columns int, args ...any) ([][]any, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page [][]any
	for rows.Next() {
		row, into := make([]any, columns), make([]any, columns)
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		page = append(page, row)
	}
	return page, rows.Err()
}

// finishCopy gives a copy the end and the totals of its original. A crash that
// was only worked out there is stored here.
func (w *Writer) finishCopy(ctx context.Context, one Session) error {
	ended, reason := one.seenAt, one.EndReason
	if one.EndedAt != nil {
		ended = *one.EndedAt
	} else {
		reason = EndCrash
	}
	err := transact(ctx, w.conn, func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `UPDATE sessions SET ended_at = ?, end_reason = ?, seen_at = ?, sealed = ?, commands = ?, events = ?, peers = ?,
			gaps = ?, notes = ?, lost = ?, last_seq = ? WHERE id = ?`, ended.UnixNano(), reason, one.seenAt.UnixNano(), one.Sealed,
			one.Commands, one.Events, one.Peers, one.Gaps, one.Notes, one.Lost, one.LastSeq, w.session.ID)
		return err
	})
	w.ended = true
	return explain(w.store.path, err)
}

// maxAncestry is how many copies of copies are told of.
const maxAncestry = 16

// Derived returns what a session says it was made of; nil for an original, and
// where a stranger's file says what cannot be read. Verify tells whether it was
// signed.
func (s *Session) Derived() *Derived {
	var d Derived
	if s.derived == "" || json.Unmarshal([]byte(s.derived), &d) != nil {
		return nil
	}
	for n, up := 1, &d; up != nil; n, up = n+1, up.Of {
		if n == maxAncestry {
			up.Of = nil
		}
	}
	return &d
}

// sourceOf says where a chain made from a session comes from.
func (s *Store) sourceOf(ctx context.Context, one Session, how string) (Derived, error) {
	d := Derived{How: how, Chain: hex.EncodeToString(one.chain), Records: one.rows(), Of: one.Derived()}
	if one.chain == nil {
		return d, nil
	}
	p, err := lastCheckpoint(ctx, s.db, one.ID, one.chain)
	if p != nil {
		d.Head, d.Count, d.Key, d.Signature = hex.EncodeToString(p.Head[:]), p.Count, hex.EncodeToString(p.Key), hex.EncodeToString(p.Signature)
	}
	return d, explain(s.path, err)
}

// derive begins the session of a copy that is a chain of its own.
func (dst *Store) derive(ctx context.Context, one Session, d Derived) (*Writer, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	info := one.SessionInfo
	info.Parent = 0
	if err := dst.freeName(ctx, &info); err != nil {
		return nil, err
	}
	return dst.newSession(ctx, info, lineage{name: newChainName(), derived: string(text)})
}

// copySlice copies what a filter accepts.
func (s *Store) copySlice(ctx context.Context, one Session, dst *Store, filter *Filter) (Copied, error) {
	d, err := s.sourceOf(ctx, one, "slice")
	if err != nil {
		return Copied{}, err
	}
	d.Filter = cmp.Or(filter.String(), fmt.Sprintf("seq <= %d", one.LastSeq))
	wanted, err := CompileFilter("(" + d.Filter + `) || direction == "gap"`)
	if err != nil {
		return Copied{}, err
	}
	w, err := dst.derive(ctx, one, d)
	if err != nil {
		return Copied{}, err
	}
	w.batch = int(min(max(one.rows()/20, smallBatch), copyBatch))
	p := &prover{source: s, session: one, into: w}
	n, err := w.copyRows(ctx, p.watch(ctx, s.Filtered(ctx, one.ID, wanted, 1)))
	if err == nil {
		err = p.finish(ctx)
	}
	if failed, first := wanted.Failures(); err == nil && failed > 0 {
		err = fmt.Errorf("the filter could not be worked out for %d records, so a slice by it would be wrong; the first: %w", failed, first)
	}
	if err == nil {
		err = w.End(ctx, one.EndReason)
	}
	return w.copied(ctx, n, err)
}

// A prover writes where the records of a slice stand in the original.
type prover struct {
	source  *Store
	session Session
	into    *Writer
	block   *Checkpoint // of the original
	tree    merkleTree  // over its records
	size    int         // of them
	seqs    map[int64]int
	proofs  [][]any
	done    bool // the original has no block that goes on
}

// watch yields what it is given and remembers the proof of each.
func (p *prover) watch(ctx context.Context, rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			if err == nil {
				err = p.prove(ctx, row.Seq)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (p *prover) prove(ctx context.Context, seq int64) error {
	if p.session.chain == nil || p.done {
		return nil
	}
	if p.block == nil || seq > p.block.Last {
		if err := p.load(ctx, seq); err != nil || p.block == nil {
			return err
		}
	}
	leaf, ok := p.seqs[seq]
	if !ok {
		return nil
	}
	p.proofs = append(p.proofs, []any{key(p.into.session.ID, seq), p.block.Number, leaf, p.size, p.tree.path(leaf)})
	if len(p.proofs) >= p.into.batch {
		return p.flush(ctx)
	}
	return nil
}

// load reads the block of the original that holds a record, and copies its
// checkpoint.
func (p *prover) load(ctx context.Context, seq int64) error {
	var number sql.NullInt64
	err := p.source.db.QueryRowContext(ctx, `SELECT min(number) FROM checkpoints WHERE session = ? AND chain = ? AND last >= ? AND first > 0`,
		p.session.ID, p.session.chain, seq).Scan(&number)
	if err != nil {
		return explain(p.source.path, err)
	}
	if p.block = nil; !number.Valid {
		p.done = true
		return nil
	}
	list, err := checkpoints(ctx, p.source.db, p.session.ID, p.session.chain, number.Int64, 1)
	if err != nil || len(list) == 0 {
		return explain(p.source.path, err)
	}
	p.block = &list[0]
	if err := p.readHashes(ctx); err != nil {
		return explain(p.source.path, err)
	}
	return explain(p.into.store.path, saveCheckpoint(ctx, p.into.conn, p.into.session.ID, p.block))
}

func (p *prover) readHashes(ctx context.Context) error {
	rows, err := p.source.db.QueryContext(ctx, `SELECT id, rh FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?`,
		key(p.session.ID, p.block.First), key(p.session.ID, p.block.Last), maxBlock)
	if err != nil {
		return err
	}
	defer rows.Close()
	var hashes []digest
	p.seqs = map[int64]int{}
	for rows.Next() {
		var id int64
		var rh []byte
		if err := rows.Scan(&id, &rh); err != nil {
			return err
		}
		if len(rh) != sha256.Size {
			return fmt.Errorf("record %d has no hash: verify the session first", id&maxSeq)
		}
		p.seqs[id&maxSeq] = len(hashes)
		hashes = append(hashes, digest(rh))
	}
	p.tree, p.size = newMerkleTree(hashes), len(hashes)
	return rows.Err()
}

func (p *prover) flush(ctx context.Context) error {
	err := transact(ctx, p.into.conn, func(ctx context.Context, conn *sql.Conn) error {
		for _, row := range p.proofs {
			if _, err := conn.ExecContext(ctx, insertProof, row...); err != nil {
				return err
			}
		}
		return nil
	})
	p.proofs = p.proofs[:0]
	return explain(p.into.store.path, err)
}

func (p *prover) finish(ctx context.Context) error { return p.flush(ctx) }

// Import copies all sessions of another store, or the one named, into this one
// and says so in their annotations.
func (s *Store) Import(ctx context.Context, from *Store, session int64, what string) ([]Copied, error) {
	all, err := from.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	var list []Copied
	for _, one := range all {
		if session != 0 && one.ID != session {
			continue
		}
		c, err := from.CopyTo(ctx, one.ID, s, nil)
		if err != nil {
			return list, err
		}
		if err := s.imported(ctx, &c, one.Name, what); err != nil {
			return list, err
		}
		list = append(list, c)
	}
	return list, nil
}

// imported says in a copy's annotations where it comes from.
func (s *Store) imported(ctx context.Context, c *Copied, name, what string) error {
	err := s.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, `UPDATE sessions SET imported_at = ? WHERE id = ?`, s.now().UnixNano(), c.Session.ID); err != nil {
			return err
		}
		if c.Session.Name != name {
			if err := s.annotate(ctx, conn, c.Session.ID, AnnotatedName, 0, c.Session.Name); err != nil {
				return err
			}
		}
		return s.annotate(ctx, conn, c.Session.ID, AnnotatedImport, 0, what)
	})
	return err
}
