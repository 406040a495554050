package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// The commands of fcntl(2) for locks that belong to an open file and not to a
// process: closing another descriptor of the same file does not drop them, and
// two writers inside one process exclude each other too.
const (
	ofdGetLock = 36
	ofdSetLock = 37
)

// A lock is held by the one writer of a session as long as it lives: byte N of
// the file FILE-lock for session N. The system drops it when the process dies,
// which is how a reader tells a crashed session from a live one.
type lock struct{ file *os.File }

// takeLock locks a session. It returns nil without an error when another
// writer holds it.
func takeLock(db string, session int64) (*lock, error) {
	f, err := os.OpenFile(lockPath(db, session), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err = syscall.FcntlFlock(f.Fd(), ofdSetLock, byteOf(session)); {
	case err == nil:
		return &lock{f}, nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES):
		err = nil
	}
	return nil, errors.Join(err, f.Close())
}

func (l *lock) release() error { return l.file.Close() }

// locked reports whether a writer of the session is alive.
func locked(db string, session int64) (bool, error) {
	f, err := os.Open(lockPath(db, session))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	l := byteOf(session)
	err = syscall.FcntlFlock(f.Fd(), ofdGetLock, l)
	return l.Type != syscall.F_UNLCK, err
}

func byteOf(session int64) *syscall.Flock_t {
	return &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: session, Len: 1}
}

func lockPath(db string, _ int64) string { return db + "-lock" }
