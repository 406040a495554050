package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// readOlder gets at a file of an older schema that was opened for reading. A
// store that is worked with is brought up to date where it lies, as the next
// recording would do it. A file that was handed on may be evidence and is not
// touched, nor what this user cannot write to: they are read through a copy that
// is brought up to date, and removed by Close.
func (s *Store) readOlder(ctx context.Context) error {
	live, err := s.someoneRecords(ctx)
	if err != nil {
		return err
	}
	if live {
		return errForeign("is of an older schema and is being recorded into by an older gctap: end that recording, or use that gctap")
	}
	if err := s.db.Close(); err != nil {
		return err
	}
	if worked(s.path) && writable(s.path) {
		if err := migrateFile(ctx, s.path); err == nil || !isReadOnlyFolder(err) {
			s.db = openDB(s.path, "ro", "_query_only=1")
			return err
		}
	}
	return s.readCopy(ctx)
}

// someoneRecords reports whether a writer of any session is alive.
func (s *Store) someoneRecords(ctx context.Context) (bool, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id FROM sessions WHERE ended_at IS NULL`)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return false, err
		}
		if live, err := locked(s.path, id); live || err != nil {
			return live, err
		}
	}
	return false, rows.Err()
}

// worked reports whether a file is a store that somebody records into: it has
// the lock file of a writer beside it, and its head says that it is used with a
// write-ahead log. An exported session file has neither.
func worked(path string) bool { return exists(lockPath(path, 1)) && hasLog(path) }

// hasLog reports whether the head of a file says that it is used with a
// write-ahead log.
func hasLog(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, headLength)
	_, err = io.ReadFull(f, head)
	return err == nil && head[headRead] != journalIsPlain
}

func writable(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return err == nil
}

// migrateFile brings a file of ours up to date.
func migrateFile(ctx context.Context, path string) error {
	s := &Store{path: path, mode: Edit, db: openDB(path, "rw", "_synchronous=FULL")}
	defer s.db.Close()
	return s.migrate(ctx)
}

// readCopy copies the file, with what a log beside it holds, and goes on with
// the copy.
func (s *Store) readCopy(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "gctap-older-*")
	if err != nil {
		return fmt.Errorf("is of an older schema, and there is no room for a copy to bring up to date: %w", err)
	}
	s.copied = dir
	path := filepath.Join(dir, "session.db")
	err = vacuumInto(ctx, s.path, path)
	if err == nil {
		err = migrateFile(ctx, path)
	}
	s.db = openDB(path, "ro", "_query_only=1")
	return err
}

// vacuumInto writes the content of a file to another.
func vacuumInto(ctx context.Context, path, to string) error {
	options := "_busy_timeout=10000"
	if !exists(path + "-wal") {
		options = "immutable=1" // its folder may be read-only
	}
	db := openDB(path, "ro", options)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, `VACUUM INTO ?`, to)
	return err
}
