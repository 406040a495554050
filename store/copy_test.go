package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-sqlite3"
	"pgregory.net/rapid"

	"gctap/capture"
)

func open(t testing.TB, path string, mode Mode) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func verdict(t testing.TB, s *Store, session int64) Verdict {
	t.Helper()
	v, err := s.Verify(t.Context(), session, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A whole session comes out of an export and an import as it went in, seal and
// all, and the file is one file.
func TestExportedSessionIsTheSession(t *testing.T) {
	s := newStore(t)
	s.block = 5
	w := newSession(t, s, "travels")
	rapid.Check(t, func(rt *rapid.T) { // any bytes, in blocks
		rec := anyRecord(rt)
		rec.Seq = 0
		write(t, w, rec)
	})
	if err := w.Write(t.Context(), capture.Batch{Ledger: []capture.Counts{{Destination: "topic://a", Received: 7}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetNote(t.Context(), 1, "seen by two"); err != nil {
		t.Fatal(err)
	}
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "travels.db")
	if _, err := s.ExportFile(t.Context(), 1, file, nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the file: %v, %v", entries, err)
	}
	if _, err := s.ExportFile(t.Context(), 1, file, nil); err == nil {
		t.Error("wrote over a file")
	}
	from := open(t, file, Read)
	other := newStore(t)
	newSession(t, other, "travels") // the name is taken
	list, err := other.Import(t.Context(), from, 0, "travels.db")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	want := records(t, s, 1, 1)
	for _, c := range []struct {
		store   *Store
		session int64
	}{{from, 1}, {other, list[0].Session.ID}} {
		if diff := cmp.Diff(want, records(t, c.store, c.session, 1)); diff != "" {
			t.Error(diff)
		}
		if v := verdict(t, c.store, c.session); !v.OK() || v.Records != int64(len(want)) {
			t.Errorf("%v", v.Describe())
		}
		one, err := c.store.Session(t.Context(), c.session)
		if err != nil || one.Note != "seen by two" || one.Events == 0 || one.EndedAt == nil {
			t.Errorf("%+v, %v", one, err)
		}
		ledger, err := c.store.Ledger(t.Context(), c.session)
		if err != nil || len(ledger) != 1 || ledger[0].Received != 7 {
			t.Errorf("%v, %v", ledger, err)
		}
	}
	if name := list[0].Session.Name; name != "travels-2" {
		t.Errorf("named %s", name)
	}
	found, err := other.Find(t.Context(), Last)
	if err != nil || found.ID != list[0].Session.ID {
		t.Errorf("@last is %d, %v", found.ID, err)
	}
}

// Each record of a slice leads to a signed block of the original; one that was
// changed in the slice does not, even when the slice is signed anew.
func TestSliceIsProvenByItsOriginal(t *testing.T) {
	s := newStore(t)
	s.block = 5
	w := newSession(t, s, "whole")
	for seq := int64(1); seq <= 23; seq++ {
		rec := call(seq)
		if seq == 9 {
			rec = capture.Gap{From: noon, To: noon, Reason: capture.GapStopped}.Record()
			rec.Seq = seq
		}
		write(t, w, rec)
	}
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "slice.db")
	if _, err := s.ExportFile(t.Context(), 1, file, mustFilter(t, `seq in [2, 11, 12, 23]`)); err != nil {
		t.Fatal(err)
	}
	slice := open(t, file, Edit)
	if got := seqs(records(t, slice, 1, 1), bySeq); got != "2 9 11 12 23" {
		t.Errorf("the slice holds %s", got)
	}
	v := verdict(t, slice, 1)
	if !v.OK() || v.Proven != 5 || v.Derived == nil || v.Derived.Filter != `seq in [2, 11, 12, 23]` {
		t.Errorf("%v", v.Describe())
	}
	deeper := filepath.Join(t.TempDir(), "deeper.db")
	if _, err := slice.ExportFile(t.Context(), 1, deeper, mustFilter(t, `seq in [11, 23]`)); err != nil {
		t.Fatal(err)
	}
	v = verdict(t, open(t, deeper, Read), 1)
	if !v.OK() || v.Proven != 3 || v.Derived.Of == nil || v.Derived.Of.Filter != `seq in [2, 11, 12, 23]` || v.Derived.Of.Of != nil ||
		!strings.Contains(strings.Join(v.Describe(), "\n"), "which was made from chain") {
		t.Errorf("%+v: %q", v.Derived, v.Describe())
	}
	hidden := filepath.Join(t.TempDir(), "hidden.db")
	if _, _, err := open(t, deeper, Read).ExportPseudonymised(t.Context(), 1, hidden, nil, NewPseudonymiser([]byte("key"))); err != nil {
		t.Fatal(err)
	}
	v = verdict(t, open(t, hidden, Read), 1)
	if d := v.Derived; d.How != "pseudonymise" || d.Of == nil || d.Of.Filter != "(a slice)" || d.Of.Of == nil || d.Of.Of.Filter != "(a slice)" {
		t.Errorf("%q tells the filters", v.Describe())
	}
	again := newStore(t)
	if list, err := again.Import(t.Context(), slice, 0, "slice"); err != nil || !ptr(verdict(t, again, list[0].Session.ID)).OK() {
		t.Errorf("imported: %v, %v", list, err)
	}
	for _, change := range []string{
		"UPDATE proofs SET leaf = leaf + 1", "UPDATE proofs SET path = zeroblob(length(path))", "UPDATE proofs SET block = block + 1",
		"UPDATE proofs SET size = 2", "DELETE FROM checkpoints WHERE chain <> (SELECT chain FROM sessions)",
		"UPDATE checkpoints SET root = zeroblob(32) WHERE chain <> (SELECT chain FROM sessions)",
	} {
		copied := filepath.Join(t.TempDir(), "c.db")
		if _, err := copyFile(file, copied); err != nil {
			t.Fatal(err)
		}
		c := open(t, copied, Edit)
		if _, err := c.db.Exec(change); err != nil {
			t.Fatal(err)
		}
		if v := verdict(t, c, 1); v.Broken == nil {
			t.Errorf("%s: not found", change)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// While a session is recorded, an export is a slice of what there is; a crashed
// one comes with its gap, unsealed.
func TestExportOfUnendedSessions(t *testing.T) {
	s := newStore(t)
	s.block = 2
	w := newSession(t, s, "live")
	write(t, w, call(1), call(2), call(3))
	dir := t.TempDir()
	if _, err := s.ExportFile(t.Context(), 1, filepath.Join(dir, "live.db"), nil); err != nil {
		t.Fatal(err)
	}
	live := open(t, filepath.Join(dir, "live.db"), Read)
	if v := verdict(t, live, 1); !v.OK() || v.Records != 3 || v.Proven != 2 {
		t.Errorf("%v", v.Describe())
	}
	w.Close()
	if _, err := s.ExportFile(t.Context(), 1, filepath.Join(dir, "crashed.db"), nil); err != nil {
		t.Fatal(err)
	}
	crashed := open(t, filepath.Join(dir, "crashed.db"), Read)
	v := verdict(t, crashed, 1)
	if v.Broken != nil || v.Sealed || v.Records != 2 || v.Unsealed != 2 {
		t.Errorf("%v", v.Describe())
	}
	one, err := crashed.Session(t.Context(), 1)
	if err != nil || !one.Crashed() || one.Gaps != 1 {
		t.Errorf("%+v, %v", one, err)
	}
}

// A file that was cut anywhere is named, and its good beginning comes out of it
// with a gap row that says how many are missing.
func TestSalvage(t *testing.T) {
	file := evidenceFile(t, 1500, true)
	taken := 0
	for _, part := range []float64{0.2, 0.3, 0.4, 0.5, 0.8, 0.999} {
		path := filepath.Join(t.TempDir(), "cut.db")
		cut := file[:int(part*float64(len(file)))]
		if err := os.WriteFile(path, cut, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-wal", nil, 0o600); err != nil { // left by an attempt to read it
			t.Fatal(err)
		}
		s := newStore(t)
		list, err := s.Salvage(t.Context(), path)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v: %v, %v", part, list, err)
		}
		all := records(t, s, list[0].Session.ID, 1)
		gap, ok := all[len(all)-1].Gap()
		good := len(all) - 1
		if len(all) == 1500 && !ok {
			continue // what was cut off was no record
		}
		if !ok || gap.Lost == nil || *gap.Lost != int64(1500-good) || good < taken {
			t.Errorf("%v: %d records, gap %+v", part, good, gap)
		}
		taken = good
		for i := range good {
			if all[i].Seq != int64(i+1) || all[i].Direction != capture.GapRow && !strings.HasSuffix(string(all[i].Body), fmt.Sprint("#", i+1)) {
				t.Fatalf("%v: record %d is %+v", part, i+1, all[i])
			}
		}
		if v := verdict(t, s, list[0].Session.ID); !v.OK() || v.Derived.How != "salvage" {
			t.Errorf("%v", v.Describe())
		}
		if now, err := os.ReadFile(path); err != nil || len(now) != len(cut) {
			t.Errorf("the damaged file was touched: %v", err)
		}
	}
	if taken == 0 {
		t.Error("nothing was salvaged")
	}
	s := newStore(t)
	for name, text := range map[string]string{"sessions cut": string(file[:5000]), "empty": "", "short": "SQLite", "other": strings.Repeat("x", 5000)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// What an attempt to read it leaves beside it changes nothing.
		if err := os.WriteFile(path+"-wal", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Salvage(t.Context(), path); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "nothing can be taken") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hidden puts a trigger into a schema under a name and a kind that are no
// trigger's, right after its table.
func hidden(kind, name string) string {
	return fmt.Sprintf(`PRAGMA writable_schema = ON;
		CREATE TEMP TABLE old AS SELECT * FROM sqlite_master; DELETE FROM sqlite_master;
		CREATE TEMP TABLE here AS SELECT rowid AS n FROM old WHERE type = 'table' AND name = 'records';
		INSERT INTO sqlite_master SELECT * FROM old WHERE rowid <= (SELECT n FROM here);
		INSERT INTO sqlite_master VALUES ('%s', '%s', 'records', 0, 'CREATE TRIGGER %s AFTER INSERT ON records BEGIN DELETE FROM sessions; END');
		INSERT INTO sqlite_master SELECT * FROM old WHERE rowid > (SELECT n FROM here)`, kind, name, name)
}

// A stranger's file runs nothing of its own: it is refused, or read as it is.
func TestHostileFiles(t *testing.T) {
	file := evidenceFile(t, 3, true)
	for name, change := range map[string]string{
		"trigger":     "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM sessions; END",
		"view":        "CREATE VIEW v AS SELECT 1",
		"index":       "CREATE INDEX i ON records (length(body))",
		"shadow view": "ALTER TABLE messages RENAME TO m; CREATE VIEW messages AS SELECT * FROM m",
		"check":       "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'note       TEXT', 'note TEXT CHECK (1)') WHERE name = 'sessions'",
		"generated":   "ALTER TABLE sessions ADD COLUMN g INTEGER GENERATED ALWAYS AS (id + 1)",
		"virtual":     "CREATE VIRTUAL TABLE x USING rtree(id, a, b)",
		"missing":     "DROP TABLE proofs",
		"default":     "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'note       TEXT', 'note TEXT DEFAULT (abs(-9223372036854775807 - 1))') WHERE name = 'sessions'",
		"collation":   "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'TEXT    NOT NULL UNIQUE', 'TEXT COLLATE NOCASE NOT NULL UNIQUE') WHERE name = 'sessions'",
		"another":     "CREATE TABLE more (a)",
		"column":      "ALTER TABLE records ADD COLUMN more TEXT",
		"foreign key": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'session INTEGER PRIMARY KEY', 'session INTEGER PRIMARY KEY REFERENCES sessions ON DELETE CASCADE') WHERE name = 'deleted'",
		// What is taken for SQLite's own, or for ours, by its name.
		"trigger called autoindex": hidden("trigger", "sqlite_autoindex_x"),
		"trigger called stat":      hidden("trigger", "sqlite_stat1"),
		"trigger called an index":  hidden("index", "sqlite_autoindex_records_9"),
		"trigger of our name":      hidden("index", "messages_name"),
		"view called stat":         "PRAGMA writable_schema = ON; INSERT INTO sqlite_master VALUES ('view', 'sqlite_stat4', 'sqlite_stat4', 0, 'CREATE VIEW sqlite_stat4 AS SELECT 1 AS tbl')",
		"stat with code":           "PRAGMA writable_schema = ON; ANALYZE; UPDATE sqlite_master SET sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat CHECK (stat))' WHERE name = 'sqlite_stat1'",
	} {
		path := filepath.Join(t.TempDir(), "h.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		db := openDB(path, "rw", "")
		if _, err := db.Exec(change); err != nil {
			db.Close()
			t.Fatalf("%s: %v", name, err)
		}
		db.Close()
		if s, err := Open(t.Context(), path, Read); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "h.db") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]string{
		"absurd numbers": "UPDATE records SET captured_at = -9223372036854775807 - 1, mono = -1, truncated = -1, sent_at = 9223372036854775807, sent_ns = -5",
		"absurd seq":     "UPDATE sessions SET last_seq = 9223372036854775807",
		"control text":   `UPDATE sessions SET name = 'a' || char(27) || '[2J', note = char(7), broker = char(0)`,
		"no names":       "DELETE FROM names",
		"loose masks":    "UPDATE records SET masked = 'body:99999999-5'",
		"absurd block":   "UPDATE checkpoints SET count = 9223372036854775807",
	} {
		path := filepath.Join(t.TempDir(), "h.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		db := openDB(path, "rw", "")
		if _, err := db.Exec(change); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		db.Close()
		s := open(t, path, Read)
		v, err := s.Verify(t.Context(), 1, nil)
		if err == nil && v.Broken == nil && name != "absurd seq" {
			t.Errorf("%s: verified: %v", name, v.Describe())
		}
		for row, err := range s.Rows(t.Context(), 1, 1) {
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", name, err)
			}
			_ = row
		}
		dst := newStore(t)
		if _, err := dst.Import(context.Background(), s, 0, "h.db"); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every page of a file may be broken: reading ends with an error or without,
// and never with a panic.
func TestBrokenPages(t *testing.T) {
	file := evidenceFile(t, 200, true)
	for at := 4096; at < len(file); at += 4096 {
		broken := append([]byte(nil), file...)
		for i := range 64 {
			broken[at+i*7] ^= 0xa5
		}
		path := filepath.Join(t.TempDir(), "b.db")
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Read)
		if err != nil {
			continue
		}
		if v, err := s.Verify(t.Context(), 1, nil); err == nil && v.OK() {
			intact(t, s, at, 200)
		}
		s.Close()
	}
}

// intact checks that what a broken page held was only index.
func intact(t *testing.T, s *Store, at, want int) {
	t.Helper()
	n := 0
	for row, err := range s.Filtered(t.Context(), 1, nil, 1) {
		if err != nil {
			return // found by the reader
		}
		if row.Seq != 7 && !strings.HasSuffix(string(row.Body), fmt.Sprint("#", row.Seq)) {
			t.Errorf("page at %d: record %d is %q although verify found nothing", at, row.Seq, row.Body)
		}
		n++
	}
	if n != want {
		t.Errorf("page at %d: %d of %d records although verify found nothing", at, n, want)
	}
}

// A value beyond the limit is refused with a reason; that every connection has
// the limit is looked at by itself, because a file beyond it takes a while.
func TestAbsurdSizeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	if err := os.WriteFile(path, evidenceFile(t, 3, true), 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDB(path, "rw", "")
	if _, err := db.Exec("UPDATE records SET body = zeroblob(2000000)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s := open(t, path, Read)
	s.db.SetMaxOpenConns(1)
	conn, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = conn.Raw(func(c any) error {
		if got := c.(*sqlite3.SQLiteConn).SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000); got != maxValue {
			t.Errorf("the limit was %d", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for _, err := range s.Rows(t.Context(), 1, 1) {
		if err == nil || !strings.Contains(err.Error(), "which no store does") {
			t.Errorf("got %v", err)
		}
	}
}

// What SQLite's ANALYZE leaves is no code.
func TestAnalysedStoreIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, evidenceFile(t, 30, true), 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDB(path, "rw", "")
	if _, err := db.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if v := verdict(t, open(t, path, Read), 1); !v.OK() {
		t.Errorf("%v", v.Describe())
	}
}

// A log beside a file may be another file's: its pages, also after each single
// bit of it that was turned, give an error or a session, never a verdict on
// what was not signed, and the file itself stays as it is.
func TestForeignLog(t *testing.T) {
	other := newStore(t)
	w := newSession(t, other, "other")
	for seq := int64(1); seq <= 50; seq++ {
		write(t, w, call(seq))
	}
	log, err := os.ReadFile(other.Path() + "-wal")
	if err != nil || len(log) < 10_000 {
		t.Fatal(len(log), err)
	}
	file := evidenceFile(t, 50, true)
	withLog := append([]byte(nil), file...)
	withLog[headWrite], withLog[headRead] = 2, 2
	for at := 0; at < len(log); at += 4999 {
		path := filepath.Join(t.TempDir(), "f.db")
		turned := append([]byte(nil), log...)
		if at > 0 {
			turned[at] ^= 0x10
		}
		for name, content := range map[string][]byte{path: withLog, path + "-wal": turned} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(t.Context(), path, Read)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		if v, err := s.Verify(t.Context(), 1, nil); err == nil && v.OK() {
			intact(t, s, at, 50)
		}
		s.Close()
		if now, err := os.ReadFile(path); err != nil || string(now) != string(withLog) {
			t.Errorf("byte %d: reading changed the file (%v)", at, err)
		}
	}
}

// A session file that is read and noted on at the same time stays one file that
// holds everything.
func TestSessionFileStaysOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.gctap")
	s := newStore(t)
	w := newSession(t, s, "one")
	write(t, w, call(1), call(2))
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ExportFile(t.Context(), 1, path, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, edit := range []func(e *Store) error{
		func(e *Store) error { return e.Accessed(t.Context(), 1, AnnotatedExport, "jsonl") },
		func(e *Store) error { return e.SetNote(t.Context(), 1, "seen") },
		func(e *Store) error { return e.Rename(t.Context(), 1, "two") },
	} {
		reader, err := Open(t.Context(), path, Read)
		if err != nil {
			t.Fatal(err)
		}
		if got := seqs(records(t, reader, 1, 1), bySeq); got != "1 2" {
			t.Fatal(got)
		}
		e, err := Open(t.Context(), path, Edit)
		if err == nil {
			err = errors.Join(edit(e), e.Close(), reader.Close())
		}
		entries, err2 := os.ReadDir(filepath.Dir(path))
		if err != nil || err2 != nil || len(entries) != 1 {
			t.Errorf("beside the file: %v, %v, %v", entries, err, err2)
		}
	}
	if v := verdict(t, open(t, path, Read), 1); !v.OK() || v.Annotations != 4 {
		t.Errorf("%v", v.Describe())
	}
}
