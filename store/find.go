package store

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// UnknownSession is a SESSION argument that names no session.
type UnknownSession struct {
	Store string
	Ref   string
	Near  []string // names like it
	Empty bool     // the store holds no session at all
}

func (e *UnknownSession) Error() string {
	hint := "`gctap sessions` lists what is there"
	switch {
	case e.Empty:
		hint = "the store is empty: record something first, or name another with --db"
	case len(e.Near) > 0:
		hint = "nearest: " + strings.Join(e.Near, ", ")
	}
	return fmt.Sprintf("no session %q in %s; %s", e.Ref, e.Store, hint)
}

// Last stands for the session made by the last record, replay or import.
const Last = "@last"

// Find returns the session that ref names: its id, its name, or Last. The
// error is an *UnknownSession where there is none.
func (s *Store) Find(ctx context.Context, ref string) (Session, error) {
	where, args := "name = ?", []any{ref}
	id, err := strconv.ParseInt(ref, 10, 64)
	switch {
	case err == nil:
		where, args = "id = ?", []any{id}
	case ref == Last:
		where, args = "1 ORDER BY (origin IN ('record','replay','import') OR imported_at IS NOT NULL) DESC, id DESC LIMIT 1", nil
	}
	found, err := s.sessions(ctx, where, args...)
	if err != nil {
		return Session{}, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	all, err := s.readSessions(ctx, "1")
	if err != nil {
		return Session{}, err
	}
	return Session{}, &UnknownSession{Store: s.path, Ref: ref, Near: nearest(ref, all), Empty: len(all) == 0}
}

// OpenSession opens the store that a SESSION argument means, for reading: the
// one at db for an id, a name or Last; or the session file that ref is the path
// of, with #ID at its end where the file holds several.
func OpenSession(ctx context.Context, db, ref string) (*Store, Session, error) {
	return OpenSessionAs(ctx, db, ref, Read)
}

// OpenSessionAs is OpenSession for another mode than Read.
func OpenSessionAs(ctx context.Context, db, ref string, mode Mode) (*Store, Session, error) {
	if file, id, ok := sessionFile(ref); ok {
		db, ref = file, id
	}
	s, err := Open(ctx, db, mode)
	if err != nil {
		return nil, Session{}, err
	}
	one, err := s.Find(ctx, ref)
	if err != nil {
		s.Close()
		return nil, Session{}, err
	}
	return s, one, nil
}

// sessionFile splits a ref that is a path. A plain word is a path only when a
// file of that name is there, and it is not a number.
func sessionFile(ref string) (file, session string, ok bool) {
	file, session = ref, Last
	if cut := strings.LastIndexByte(ref, '#'); cut > 0 && !isFile(ref) {
		file, session = ref[:cut], ref[cut+1:]
	}
	if strings.ContainsAny(file, `/\`) || isFile(file) && strings.Trim(file, "0123456789") != "" {
		return file, session, true
	}
	return "", "", false
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
