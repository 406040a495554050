package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"

	"gctap/capture"
)

// Salvage takes the good beginning of each session out of a damaged store into
// this one, with a gap row where it breaks off. It works on a copy; the file
// itself is not touched. What it takes is a chain of its own that names the
// original's.
func (s *Store) Salvage(ctx context.Context, path string) ([]Copied, error) {
	dir, err := os.MkdirTemp(filepath.Dir(s.path), ".gctap-salvage-*")
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", s.path, cause(err))
	}
	defer os.RemoveAll(dir)
	mended := filepath.Join(dir, "damaged.db")
	if err := mendedCopy(path, mended); err != nil {
		return nil, fmt.Errorf("salvage %s: %w", path, cause(err))
	}
	from, err := openDamaged(ctx, mended)
	if e, ok := errors.AsType[sqlite3.Error](err); ok && e.Code == sqlite3.ErrCorrupt {
		return nil, fmt.Errorf("salvage %s: it is damaged, or cut off, before its list of sessions: nothing can be taken from it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("salvage %s: %w", path, err)
	}
	defer from.Close()
	sessions, err := from.readSessions(ctx, "1 ORDER BY id")
	if err != nil && len(sessions) == 0 {
		return nil, fmt.Errorf("salvage %s: its list of sessions cannot be read: %w", path, err)
	}
	var list []Copied
	for _, one := range sessions {
		c, err := s.salvage(ctx, from, one)
		if err != nil {
			return list, err
		}
		list = append(list, c)
	}
	return list, nil
}

// openDamaged opens a mended copy for reading, without asking more of it than
// that its head is ours.
func openDamaged(ctx context.Context, path string) (*Store, error) {
	s := &Store{path: path, mode: Read, names: newNameCache(), block: blockRecords}
	s.db = openDB(path, "rw", "_query_only=1")
	version, err := check(ctx, s.db)
	if err == nil && version < len(migrationFiles()) {
		if err = migrateFile(ctx, path); err != nil {
			err = fmt.Errorf("has schema %d and cannot be brought to %d: use the gctap that wrote it: %w", version, len(migrationFiles()), err)
		}
	}
	if err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

// Places in the head of a SQLite file (https://www.sqlite.org/fileformat.html).
const (
	headPageSize   = 16 // 2 bytes, 1 stands for 65,536
	headWrite      = 18 // 1: rollback journal, 2: log
	headRead       = 19
	headChanges    = 24
	headPages      = 28
	headFreeTrunk  = 32
	headFreePages  = 36
	headValidFor   = 92
	headLength     = 100
	smallestPage   = 512
	headMagic      = "SQLite format 3\x00"
	journalIsPlain = 1
)

// mendedCopy copies a file and makes its length agree with its head: SQLite
// reads nothing of a file that is shorter than its head says, or that lacks the
// first page of a table. Pages that were cut off, and one that was cut in two,
// are empty ones in the copy, which no table can be read from.
func mendedCopy(from, to string) error {
	size, err := copyFile(from, to)
	if err != nil {
		return err
	}
	if info, err := os.Stat(from + "-wal"); err == nil && info.Size() > 0 { // the log knows the length by itself
		_, err := copyFile(from+"-wal", to+"-wal")
		return err
	}
	f, err := os.OpenFile(to, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	head := make([]byte, headLength)
	if _, err = f.ReadAt(head, 0); err == nil {
		var whole, all int64
		if whole, all, err = mendHead(head, size); err == nil {
			_, err = f.WriteAt(head, 0)
			err = errors.Join(err, f.Truncate(whole), f.Truncate(all))
		}
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("is shorter than the head of a store: nothing can be taken from it")
	}
	return errors.Join(err, f.Close())
}

// emptyPages is how many pages a copy may have more than its file: a stranger's
// head may say what it wants. They take no room on the disk.
const emptyPages = 1 << 20

// mendHead changes the head for a file of a size, and returns the length of its
// whole pages and that which it is to have.
func mendHead(head []byte, size int64) (whole, all int64, err error) {
	page := int64(binary.BigEndian.Uint16(head[headPageSize:]))
	if page == 1 {
		page = 65536
	}
	if string(head[:len(headMagic)]) != headMagic || page < smallestPage || page&(page-1) != 0 {
		return 0, 0, errors.New("does not begin like a store: nothing can be taken from it")
	}
	whole = size / page
	all = max(whole, min(int64(binary.BigEndian.Uint32(head[headPages:])), whole+emptyPages))
	head[headWrite], head[headRead] = journalIsPlain, journalIsPlain
	binary.BigEndian.PutUint32(head[headPages:], uint32(all))
	copy(head[headValidFor:headValidFor+4], head[headChanges:headChanges+4])
	clear(head[headFreeTrunk : headFreePages+4]) // the list of free pages may lead out of the file
	return whole * page, all * page, nil
}

func copyFile(from, to string) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, in)
	return n, errors.Join(err, out.Close())
}

// salvage copies one session up to the first record that cannot be read.
func (s *Store) salvage(ctx context.Context, from *Store, one Session) (Copied, error) {
	d, err := from.sourceOf(ctx, one, "salvage")
	if err != nil { // its checkpoints are on the part that is gone
		d = Derived{How: "salvage", Records: one.LastSeq}
	}
	w, err := s.derive(ctx, one, d)
	if err != nil {
		return Copied{}, err
	}
	r := &soundRows{store: from, session: one, end: one.StartedAt}
	n, err := w.copyRows(ctx, r.rows(ctx))
	if err == nil && r.cut {
		gap := capture.Gap{From: r.end, To: later(one.seenAt, r.end), Reason: capture.GapCrash}
		if lost := one.LastSeq - r.last; lost > 0 {
			gap.Lost = &lost
		}
		err = w.Write(ctx, capture.Batch{Records: []capture.Record{gap.Record()}})
	}
	if err == nil {
		err = w.End(ctx, EndCrash)
	}
	c, err := w.copied(ctx, n, err)
	if err == nil {
		err = s.imported(ctx, &c, one.Name, "salvaged from a damaged store")
	}
	return c, err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// soundRows goes through the rows of a damaged session.
type soundRows struct {
	store   *Store
	session Session
	last    int64 // seq of the last row that could be read
	end     time.Time
	cut     bool // there was more
}

func (r *soundRows) rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for n := pageRows; ; {
			page, err := r.store.page(ctx, pageAfter, key(r.session.ID, r.last), key(r.session.ID, maxSeq), n)
			if ctx.Err() != nil {
				yield(Row{}, context.Cause(ctx))
				return
			}
			if err != nil && n > 1 {
				n = 1 // find out how far it goes
				continue
			}
			if err != nil || len(page) == 0 {
				r.cut = err != nil || r.last < r.session.LastSeq
				return
			}
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
				r.last, r.end = row.Seq, row.CapturedAt
			}
		}
	}
}
