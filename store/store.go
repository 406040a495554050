// Package store keeps sessions of records in one SQLite file and hands them
// back in the order of their Seq.
//
// One file holds any number of sessions. Each has at most one [Writer] at a
// time, in whatever process; several sessions of one file may be written side
// by side, and any number of processes may read. What a Writer's Write has
// returned for is on the disk and survives the death of the process and of the
// machine (WAL, synchronous=FULL).
//
// A session without an end whose writer's lock is free was cut by a crash:
// readers see a gap row at its end, worked out; the next writer of the file
// stores it. Readers never hold a read transaction longer than one page, so a
// long reader does not stop the write-ahead log from being folded back.
//
// Records are written once and never changed. Beside them stands an index of
// what decoding made of them, which only serves to find records.
package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
)

// A Mode says what a store is opened for.
type Mode int

const (
	// Read opens an existing file and changes nothing in it, but for a store of
	// an older schema: see readOlder.
	Read Mode = iota
	// Edit opens an existing file to change names and notes and to delete.
	Edit
	// Record makes the file and its folder where they are missing. It refuses
	// a network file system: neither locks nor the log can be trusted there.
	Record
)

// A Store is an open file of sessions. Its methods may be called from any
// goroutine.
type Store struct {
	path   string
	mode   Mode
	db     *sql.DB
	names  *nameCache
	now    func() time.Time
	block  int    // records from one checkpoint to the next
	copied string // folder of the copy that is read in place of the file; empty: none is

	keyOnce sync.Once
	key     ed25519.PrivateKey
	keyErr  error
}

// Open opens the store at path. The error is one line that names the file and
// says what to do: it is missing, is not a store, is damaged, was written by a
// newer program, or lies where recording is not safe.
func Open(ctx context.Context, path string, mode Mode) (*Store, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	if mode == Record {
		err = prepareFile(full)
	} else {
		err = existingFile(full)
	}
	if err != nil {
		return nil, err
	}
	s := &Store{path: full, mode: mode, names: newNameCache(), now: time.Now, block: blockRecords}
	if err := s.connect(ctx); err != nil {
		return nil, explain(full, err)
	}
	return s, nil
}

// Path returns the file's absolute path.
func (s *Store) Path() string { return s.path }

// Close lets the file go. Writers must have ended or been closed before.
func (s *Store) Close() error {
	err := s.db.Close()
	if s.copied != "" {
		err = errors.Join(err, os.RemoveAll(s.copied))
	}
	return err
}

// prepareFile makes the folder and an empty file that only this user may read:
// messages hold people's names and numbers.
func prepareFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store %s: cannot make its folder: %w", path, cause(err))
	}
	if name := networkFS(dir); name != "" {
		return fmt.Errorf("store %s: lies on a network file system (%s), where a recording is not safe: name a local file with --db", path, name)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store %s: cannot be written: %w", path, cause(err))
	}
	return f.Close()
}

func existingFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store %s: no such file: record something first, or name another with --db: %w", path, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("store %s: %w", path, cause(err))
	case info.IsDir():
		return fmt.Errorf("store %s: is a folder: name a file with --db", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, cause(err))
	}
	return f.Close()
}

// cause strips operation and path from an error of the os package: ours name
// the file already.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// connect opens the file and brings its schema up to date. It looks before it
// writes: switching on the write-ahead log would change even a file that is
// not ours.
func (s *Store) connect(ctx context.Context) error {
	s.db = openDB(s.path, "ro", "_query_only=1")
	version, err := check(ctx, s.db)
	if s.mode == Read && isReadOnlyFolder(err) && !exists(s.path+"-wal") {
		// The log's index cannot be made here; without a log there is none to read.
		s.db.Close()
		s.db = openDB(s.path, "ro", "_query_only=1&immutable=1")
		version, err = check(ctx, s.db)
	}
	switch {
	case err != nil:
	case s.mode == Read && version == 0:
		err = errForeign("holds no sessions yet: record something first, or name another with --db")
	case s.mode == Read && version < len(migrationFiles()):
		err = s.readOlder(ctx)
	case s.mode == Read:
	default:
		s.db.Close()
		journal := "WAL"
		if version > 0 && s.mode == Edit && !hasLog(s.path) {
			journal = "DELETE" // a session file stays one file
		}
		s.db = openDB(s.path, "rw", "_auto_vacuum=incremental&_journal_mode="+journal+"&_synchronous=FULL&_secure_delete=on")
		err = s.migrate(ctx)
	}
	if err != nil {
		s.Close()
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// driverName is SQLite with limits that a stranger's file cannot exceed.
const driverName = "gctap-sqlite3"

// maxValue bounds one value of a file, in bytes: four times the largest frame
// that a tap takes.
const maxValue = 256 << 20

func init() {
	sql.Register(driverName, &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		conn.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, maxValue)
		// A schema may not call what could do harm, and cells of a page are
		// looked at before they are believed.
		_, err := conn.Exec(`PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`, nil)
		return err
	}})
}

// openDB never fails: the driver connects on first use.
func openDB(path, mode, pragmas string) *sql.DB {
	dsn := (&url.URL{Scheme: "file", Path: path}).String() + "?mode=" + mode + "&_busy_timeout=10000&" + pragmas
	db, err := sql.Open(driverName, dsn)
	if err != nil { // only for an unknown driver name
		panic(err)
	}
	return db
}

// change runs f in one write transaction on a connection of its own, which
// hands f's statements to the disk together or not at all. Cancelling ctx
// stops it from beginning, never half-way.
func (s *Store) change(ctx context.Context, f func(context.Context, *sql.Conn) error) error {
	if s.mode == Read {
		return fmt.Errorf("store %s: is open for reading only", s.path)
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return explain(s.path, err)
	}
	defer conn.Close()
	return explain(s.path, transact(ctx, conn, f))
}

func transact(ctx context.Context, conn *sql.Conn, f func(context.Context, *sql.Conn) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f(ctx, conn)
	if err == nil {
		if _, err = conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// SQLite may have rolled back by itself (disk full); then this fails, and
	// the first error is the one to tell.
	_, _ = conn.ExecContext(ctx, "ROLLBACK")
	return err
}
