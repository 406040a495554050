package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

// oldStore makes a store of an older schema with one ended session of n records
// as that gctap wrote them.
func oldStore(t *testing.T, version int, n int64) string {
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
	return path
}

// A store of an older version is refused for reading with the way out, brought
// up to date by the first edit, and keeps everything. Its sessions have no
// chain, and verify says so; sessions recorded from then on have one.
func TestOlderStoreIsMigrated(t *testing.T) {
	for version := 1; version < len(migrationFiles()); version++ {
		path := oldStore(t, version, 3)
		if _, err := Open(t.Context(), path, Read); err == nil {
			t.Errorf("schema %d: read without being migrated", version)
		}
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
