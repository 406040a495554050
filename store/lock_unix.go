//go:build unix && !linux

package store

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// A lock is held by the one writer of a session as long as it lives: flock(2)
// on a file FILE-lock.N of its own, because these systems have no lock on a
// byte range that outlives the closing of another descriptor.
type lock struct{ file *os.File }

// takeLock locks a session. It returns nil without an error when another
// writer holds it.
func takeLock(db string, session int64) (*lock, error) {
	f, err := os.OpenFile(lockPath(db, session), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return &lock{f}, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = nil
	}
	return nil, errors.Join(err, f.Close())
}

func (l *lock) release() error { return l.file.Close() }

// locked reports whether a writer of the session is alive. There is no way to
// ask, so it tries a shared lock and gives it back.
func locked(db string, session int64) (bool, error) {
	f, err := os.Open(lockPath(db, session))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

func lockPath(db string, session int64) string {
	return db + "-lock." + strconv.FormatInt(session, 10)
}
