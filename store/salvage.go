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
	cut, err := mendedCopy(ctx, path, mended)
	if err != nil {
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
	if err != nil && len(sessions) == 0 && !cut {
		return nil, fmt.Errorf("salvage %s: its list of sessions cannot be read: %w", path, err)
	}
	if cut {
		from.names.spared = true
		sessions = append(sessions, from.unlisted(ctx, sessions)...)
	}
	if len(sessions) == 0 && cut {
		return nil, fmt.Errorf("salvage %s: is cut off before its first session: nothing can be taken from it", path)
	}
	var list []Copied
	for _, one := range sessions {
		c, err := s.salvage(ctx, from, one, cut)
		if err != nil {
			return list, err
		}
		list = append(list, c)
	}
	return list, nil
}

// unlisted makes up sessions for the records of a damaged store whose own are
// not among those listed.
func (s *Store) unlisted(ctx context.Context, listed []Session) []Session {
	known := map[int64]bool{}
	for _, one := range listed {
		known[one.ID] = true
	}
	var made []Session
	for after := int64(0); ; {
		var id, captured int64
		err := s.db.QueryRowContext(ctx, `SELECT id, captured_at FROM records WHERE id > ? ORDER BY id LIMIT 1`, after).Scan(&id, &captured)
		if err != nil { // there is none, or none that can be read
			return made
		}
		session := id >> seqBits
		if after = key(session, maxSeq); known[session] {
			continue
		}
		made = append(made, Session{ID: session, LastSeq: maxSeq, seenAt: fromNano(captured), SessionInfo: SessionInfo{
			Name: fmt.Sprintf("salvaged-%d", session), Origin: OriginImport, StartedAt: fromNano(captured),
			Note: "what the damaged store said of this session is lost: its name, its times and its end are made up",
		}})
	}
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
	headPageSize    = 16 // 2 bytes, 1 stands for 65,536
	headWrite       = 18 // 1: rollback journal, 2: log
	headRead        = 19
	headChanges     = 24
	headPages       = 28
	headFreeTrunk   = 32
	headFreePages   = 36
	headReserved    = 20 // bytes of each page
	headLargestRoot = 52
	headUserVersion = 60
	headVacuum      = 64
	headValidFor    = 92
	headLength      = 100
	smallestPage    = 512
	headMagic       = "SQLite format 3\x00"
	journalIsPlain  = 1
)

// mendedCopy copies a file and makes its length agree with its head: SQLite
// reads nothing of a file that is shorter than its head says, or that lacks the
// first page of a table. Pages that were cut off, and one that was cut in two,
// are empty ones in the copy, which no table can be read from.
func mendedCopy(ctx context.Context, from, to string) (cut bool, err error) {
	size, err := copyFile(from, to)
	if err != nil {
		return false, err
	}
	if info, err := os.Stat(from + "-wal"); err == nil && info.Size() > 0 { // the log knows the length by itself
		_, err := copyFile(from+"-wal", to+"-wal")
		return false, err
	}
	whole, cut, err := mendLength(to, size)
	if !cut || err != nil {
		return cut, err
	}
	if err = mendSchema(ctx, to, whole); err == nil {
		err = mendTrees(ctx, to, whole)
	}
	if e, ok := errors.AsType[sqlite3.Error](err); ok && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB) {
		err = nil // whoever opens it finds that too
	}
	return true, err
}

// mendLength makes a file of a size as long as its head says, and returns how
// many of its pages are whole and whether any were cut off.
func mendLength(path string, size int64) (whole int64, cut bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return 0, false, err
	}
	head := make([]byte, headLength)
	if _, err = f.ReadAt(head, 0); err == nil {
		var all int64
		if whole, all, err = mendHead(head, size); err == nil {
			cut = all > whole
			_, err = f.WriteAt(head, 0)
			page := pageSize(head)
			err = errors.Join(err, f.Truncate(whole*page), f.Truncate(all*page))
		}
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("is shorter than the head of a store: nothing can be taken from it")
	}
	return whole, cut, errors.Join(err, f.Close())
}

func pageSize(head []byte) int64 {
	if size := int64(binary.BigEndian.Uint16(head[headPageSize:])); size != 1 {
		return size
	}
	return 65536
}

// emptyPages is how many pages a copy may have more than its file: a stranger's
// head may say what it wants. They take no room on the disk.
const emptyPages = 1 << 20

// mendHead changes the head for a file of a size, and returns how many pages of
// it are whole and how many it is to have.
func mendHead(head []byte, size int64) (whole, all int64, err error) {
	page := pageSize(head)
	if string(head[:len(headMagic)]) != headMagic || page < smallestPage || page&(page-1) != 0 || size < page {
		return 0, 0, errors.New("does not begin like a store: nothing can be taken from it")
	}
	whole = size / page
	all = max(whole, min(int64(binary.BigEndian.Uint32(head[headPages:])), whole+emptyPages))
	head[headWrite], head[headRead] = journalIsPlain, journalIsPlain
	binary.BigEndian.PutUint32(head[headPages:], uint32(all))
	copy(head[headValidFor:headValidFor+4], head[headChanges:headChanges+4])
	clear(head[headFreeTrunk : headFreePages+4]) // the list of free pages may lead out of the file
	return whole, all, nil
}

func copyFile(from, to string) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, errors.New("this is a folder: name the file in it")
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, in)
	return n, errors.Join(err, out.Close())
}

// salvage copies one session up to the first record that cannot be read.
func (s *Store) salvage(ctx context.Context, from *Store, one Session, torn bool) (Copied, error) {
	d, err := from.sourceOf(ctx, one, "salvage")
	if err != nil { // its checkpoints are on the part that is gone
		d = Derived{How: "salvage", Records: one.LastSeq}
	}
	w, err := s.derive(ctx, one, d)
	if err != nil {
		return Copied{}, err
	}
	from.names.lost = map[int64]bool{}
	r := &soundRows{store: from, session: one, torn: torn, end: one.StartedAt}
	n, err := w.copyRows(ctx, r.rows(ctx))
	if err == nil && r.cut {
		gap := capture.Gap{From: r.end, To: later(one.seenAt, r.end), Reason: capture.GapCrash}
		if lost := r.lost(); lost > 0 {
			gap.Lost = &lost
		}
		err = w.Write(ctx, capture.Batch{Records: []capture.Record{gap.Record()}})
	}
	if err == nil {
		err = w.End(ctx, EndCrash)
	}
	c, err := w.copied(ctx, n, err)
	if err == nil {
		what := "salvaged from a damaged store"
		if n := len(from.names.lost); n > 0 {
			what += fmt.Sprintf("; %d names of destinations, connections and the like are lost", n)
		}
		err = s.imported(ctx, &c, one.Name, what)
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
	taken   int64 // rows
	torn    bool  // the file has lost pages
	end     time.Time
	cut     bool // there was more
}

// gapless reports whether the session's rows have all numbers up to the last,
// as those of all but a slice have. Then a number that is missing is a row that
// is.
func (r *soundRows) gapless() bool { return r.session.rows() == r.session.LastSeq }

// lost is how many rows could not be read.
func (r *soundRows) lost() int64 {
	if r.gapless() {
		return r.session.LastSeq - r.last
	}
	return r.session.rows() - r.taken
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
				r.cut = err != nil || r.last < r.session.LastSeq || r.torn && r.lost() > 0
				return
			}
			for _, row := range page {
				if r.cut = r.last > 0 && row.Seq != r.last+1 && r.gapless(); r.cut {
					return
				}
				if !yield(row, nil) {
					return
				}
				r.last, r.end, r.taken = row.Seq, row.CapturedAt, r.taken+1
			}
		}
	}
}
