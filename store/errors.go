package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mattn/go-sqlite3"
)

// ErrFull is in the chain of an error that says there is no room to write.
var ErrFull = errors.New("no space left")

// explain turns an error of SQLite into one line that names the file and says
// what to do. Other errors pass.
func explain(path string, err error) error {
	if foreign, ok := errors.AsType[errForeign](err); ok {
		return fmt.Errorf("store %s: %w", path, foreign)
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case sqlite3.ErrNotADB:
		return fmt.Errorf("store %s: is not a gctap store: name another file with --db", path)
	case sqlite3.ErrCorrupt:
		return fmt.Errorf("store %s: is damaged (%v): gctap import --salvage takes what is good of it, and leaves the file as it is", path, e)
	case sqlite3.ErrFull:
		return fmt.Errorf("store %s: %w: make room on that disk or name a file elsewhere with --db; all that was stored before is safe", path, ErrFull)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return fmt.Errorf("store %s: is kept busy by another program: try again, or end that program", path)
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen:
		return fmt.Errorf("store %s: cannot be opened (%v): check the rights of the file and of its folder: %w", path, e, fs.ErrPermission)
	case sqlite3.ErrIoErr:
		return fmt.Errorf("store %s: the disk fails (%v): all that was stored before is safe", path, e)
	case sqlite3.ErrTooBig:
		return fmt.Errorf("store %s: holds a value of more than %d MiB, which no store does: it is not read", path, maxValue>>20)
	case sqlite3.ErrInterrupt:
		return fmt.Errorf("store %s: %w", path, context.Canceled)
	}
	return fmt.Errorf("store %s: %w", path, err)
}

// isReadOnlyFolder reports whether SQLite could not make the files that a
// database with a write-ahead log needs beside it.
func isReadOnlyFolder(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && (e.Code == sqlite3.ErrCantOpen || e.Code == sqlite3.ErrReadonly)
}
