package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oldStore makes a store of an older schema with one ended session of n records
// as that gctap wrote them.
func oldStore(t testing.TB, version int, n int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	if err := prepareFile(path); err != nil {
		t.Fatal(err)
	}
	db := openDB(path, "rw", "_auto_vacuum=incremental&_journal_mode=WAL")
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, file := range migrationFiles()[:version] {
		if err := transact(t.Context(), conn, func(ctx context.Context, conn *sql.Conn) error { return migrateStep(ctx, conn, file, i+1) }); err != nil {
			t.Fatal(err)
		}
	}
	exec := func(text string, args ...any) {
		if _, err := conn.ExecContext(t.Context(), text, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO sessions (id, name, origin, broker, identity, addresses, host, mode, queues, topics, site_tz, tz_assumed, redacted, note, program,
		started_at, seen_at, ended_at, end_reason, last_seq, events, indexed)
		VALUES (1, 'old', 'record', '', '', '', '', '', '', '', '', 0, 1, 'kept', '', ?1, ?1, ?1, 'stopped', ?2, ?2, 1)`, noon.UnixNano(), n)
	exec(`INSERT INTO names (id, session, value) VALUES (1, 1, 'topic://client.1')`)
	for seq := int64(1); seq <= n; seq++ {
		exec(`INSERT INTO records (id, captured_at, mono, direction, source, via, conn, "from", "to", original_to, reply_to, message_id, correlation_id, body_kind, body, truncated)
			VALUES (?,?,0,2,0,0,0,0,1,0,0,'','',1,?,0)`, key(1, seq), noon.UnixNano(), fmt.Appendf(nil, "1001#State#READY#%d", seq))
	}
	held, err := mustLock(path, 1) // it was recorded into here
	if err != nil {
		t.Fatal(err)
	}
	if err := held.release(); err != nil {
		t.Fatal(err)
	}
	return path
}

// A store of an older version is brought up to date by whoever opens it first,
// and keeps everything. Its sessions have no chain, and verify says so; sessions
// recorded from then on have one.
func TestOlderStoreIsMigrated(t *testing.T) {
	for version := 1; version < len(migrationFiles()); version++ {
		path := oldStore(t, version, 3)
		reader := open(t, path, Read)
		if got := seqs(records(t, reader, 1, 1), bySeq); got != "1 2 3" || reader.copied != "" {
			t.Errorf("schema %d: a reader sees records %s, in a copy %q", version, got, reader.copied)
		}
		if now := versionOf(t, path); now != len(migrationFiles()) {
			t.Errorf("schema %d: a reader left it at %d", version, now)
		}
		path = oldStore(t, version, 3)
		s, err := Open(t.Context(), path, Record)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.SetNote(t.Context(), 1, "edited"); err != nil {
			t.Error(err)
		}
		if got := seqs(records(t, s, 1, 1), bySeq); got != "1 2 3" {
			t.Errorf("schema %d: records %s", version, got)
		}
		v, err := s.Verify(t.Context(), 1, nil)
		if err != nil || v.Chained || v.OK() || v.Broken != nil || v.Unsealed != 3 {
			t.Errorf("schema %d: %v, %v", version, v.Describe(), err)
		}
		w, err := s.Resume(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, call(4))
		if err := w.End(t.Context(), "stopped"); err != nil {
			t.Error(err)
		}
		w = newSession(t, s, "new")
		write(t, w, call(1))
		if err := w.End(t.Context(), "stopped"); err != nil {
			t.Error(err)
		}
		if v, err := s.Verify(t.Context(), w.session.ID, nil); err != nil || !v.OK() {
			t.Errorf("schema %d: a new session: %v, %v", version, v.Describe(), err)
		}
	}
}

func versionOf(t testing.TB, path string) (version int) {
	t.Helper()
	db := openDB(path, "ro", "immutable=1")
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), `SELECT user_version FROM pragma_user_version`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// A session file of an older version, which may be evidence, is read through a
// copy: not a byte of it changes, and the copy goes with the reader. Import and
// salvage take it as it is.
func TestOlderSessionFileIsNotTouched(t *testing.T) {
	for version := 1; version < len(migrationFiles()); version++ {
		path := oldStore(t, version, 3)
		if err := errors.Join(withoutLog(t.Context(), path), os.Remove(lockPath(path, 1))); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Read)
		if err != nil {
			t.Fatal(err)
		}
		if got := seqs(records(t, s, 1, 1), bySeq); got != "1 2 3" || s.Path() != path {
			t.Errorf("schema %d: records %s of %s", version, got, s.Path())
		}
		into := newStore(t)
		if list, err := into.Import(t.Context(), s, 0, "old"); err != nil || len(list) != 1 || list[0].Session.Events != 3 {
			t.Errorf("schema %d: imported %+v, %v", version, list, err)
		}
		copied := s.copied
		if err := s.Close(); err != nil || copied == "" || exists(copied) {
			t.Errorf("schema %d: the copy %q is left behind (%v)", version, copied, err)
		}
		if list, err := into.Salvage(t.Context(), path); err != nil || len(list) != 1 || list[0].Session.Events != 3 {
			t.Errorf("schema %d: salvaged %+v, %v", version, list, err)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		after, err2 := os.ReadFile(path)
		if err != nil || err2 != nil || len(entries) != 1 || !bytes.Equal(before, after) {
			t.Errorf("schema %d: the file changed: %v, %v, %v", version, entries, err, err2)
		}
	}
}

// While an older gctap records, nobody changes its schema.
func TestOlderStoreBeingRecordedIsRefused(t *testing.T) {
	path := oldStore(t, 2, 3)
	db := openDB(path, "rw", "")
	defer db.Close()
	if _, err := db.Exec("UPDATE sessions SET ended_at = NULL"); err != nil {
		t.Fatal(err)
	}
	held, err := takeLock(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), path, Read); err == nil || !strings.Contains(err.Error(), "older gctap") {
		s.Close()
		t.Errorf("got %v", err)
	}
	if now := versionOf(t, path); now != 2 {
		t.Errorf("it is at schema %d", now)
	}
	if err := held.release(); err != nil {
		t.Fatal(err)
	}
	if got := seqs(records(t, open(t, path, Read), 1, 1), bySeq); got != "1 2 3 4" { // with the gap of the crash
		t.Errorf("records %s", got)
	}
}
