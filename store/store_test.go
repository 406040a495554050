package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gctap/capture"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// newStore returns an empty store that its own clock does not disturb.
func newStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "data", "gctap.db"), Record)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return noon }
	t.Cleanup(func() { s.Close() })
	return s
}

func newSession(t testing.TB, s *Store, name string) *Writer {
	t.Helper()
	w, err := s.NewSession(t.Context(), SessionInfo{Name: name, Origin: OriginRecord, StartedAt: noon})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func write(t testing.TB, w *Writer, records ...capture.Record) {
	t.Helper()
	if err := w.Write(t.Context(), capture.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

// call is the n-th record of a plain recording.
func call(n int64) capture.Record {
	return capture.Record{
		Seq: n, CapturedAt: noon.Add(time.Duration(n) * time.Second), Mono: time.Duration(n) * time.Second,
		Direction: capture.Event, Source: "stomp", Via: "mirror", To: "topic://client.1", MessageID: fmt.Sprint("ID:gc-1-2-3:1:1:1:", n),
		BodyKind: capture.Text, Body: fmt.Appendf(nil, "1001#State#READY#%d", n),
	}
}

func records(t testing.TB, s *Store, session, from int64) []capture.Record {
	t.Helper()
	var all []capture.Record
	for rec, err := range s.Records(t.Context(), session, from) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}

func seqs[T any](rows []T, seq func(T) int64) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprint(&b, seq(r), " ")
	}
	return strings.TrimSpace(b.String())
}

func bySeq(r capture.Record) int64 { return r.Seq }

// anyText is what a wire can bring: any bytes, NUL and bad UTF-8 among them.
var anyText = rapid.OneOf(
	rapid.SampledFrom([]string{"", "a:b", "\\c", "a\nb\r", "nul\x00here", "\xff\xfe", "topic://client.1"}),
	rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
)

// anyRecord draws every field of a Record; Seq is left to the caller.
func anyRecord(t *rapid.T) capture.Record {
	rec := capture.Record{
		CapturedAt:    time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "capturedAt")).UTC(),
		Mono:          time.Duration(rapid.Int64Range(0, 1<<60).Draw(t, "mono")),
		Direction:     rapid.SampledFrom(directions[1:]).Draw(t, "direction"),
		Source:        anyText.Draw(t, "source"),
		Via:           anyText.Draw(t, "via"),
		Conn:          anyText.Draw(t, "conn"),
		From:          anyText.Draw(t, "from"),
		To:            anyText.Draw(t, "to"),
		OriginalTo:    anyText.Draw(t, "originalTo"),
		ReplyTo:       anyText.Draw(t, "replyTo"),
		MessageID:     anyText.Draw(t, "messageId"),
		CorrelationID: anyText.Draw(t, "correlationId"),
		JMSType:       rapid.Ptr(anyText, true).Draw(t, "jmsType"),
		BodyKind:      rapid.SampledFrom(bodyKinds).Draw(t, "bodyKind"),
		Truncated:     rapid.Int64Min(0).Draw(t, "truncated"),
	}
	if rapid.Bool().Draw(t, "sent") {
		sent := time.Unix(rapid.Int64().Draw(t, "sentAt"), rapid.Int64Range(0, 999_999_999).Draw(t, "sentNS")).UTC()
		rec.SentAt = &sent
	}
	if rapid.Bool().Draw(t, "body") {
		rec.Body = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "bytes")...)
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		rec.Headers = append(rec.Headers, capture.Header{Name: anyText.Draw(t, "name"), Value: anyText.Draw(t, "value")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "masks") {
		start := rapid.IntRange(0, 1000).Draw(t, "start")
		rec.Masked = append(rec.Masked, capture.Mask{Field: anyText.Draw(t, "field"), Start: start, End: start + 3})
	}
	return rec
}

func TestEveryFieldComesBack(t *testing.T) {
	s := newStore(t)
	session := 0
	rapid.Check(t, func(rt *rapid.T) {
		session++
		w := newSession(t, s, fmt.Sprint("s", session))
		var want []capture.Record
		seq := int64(0)
		for range rapid.IntRange(1, 3).Draw(rt, "batches") {
			var b capture.Batch
			for range rapid.IntRange(0, 3).Draw(rt, "records") {
				rec := anyRecord(rt)
				seq += rapid.Int64Range(1, 1000).Draw(rt, "step")
				rec.Seq = seq
				b.Records = append(b.Records, rec)
			}
			if err := w.Write(t.Context(), b); err != nil {
				rt.Fatal(err)
			}
			want = append(want, b.Records...)
		}
		if err := w.End(t.Context(), "stopped"); err != nil {
			rt.Fatal(err)
		}
		got := records(t, s, w.Session().ID, 0)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("came back changed (-written +read):\n%s", diff)
		}
	})
}

func TestSessionComesBack(t *testing.T) {
	s := newStore(t)
	info := SessionInfo{
		Name: "monday", Origin: OriginReplay, Broker: "stomp://gc:61613", Identity: "ID:gc-1-2", Addresses: []string{"10.0.0.1:61613", "[::1]:61613"},
		Host: "gc", Mode: "mirror", Queues: []string{"Connector1", "Connector2"}, Topics: []string{"topic://a"}, SiteTZ: "Europe/Berlin",
		TZAssumed: true, Redacted: true, Parent: 7, Note: "a\nnote", Program: "1.2", StartedAt: noon,
	}
	w, err := s.NewSession(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	lost := int64(5)
	gap := capture.Gap{From: noon, To: noon, Reason: capture.GapOverflow, Lost: &lost}.Record()
	command, peer := call(0), call(0)
	command.Direction, peer.Direction = capture.Command, capture.Peer
	write(t, w, call(0), call(0), command, peer, gap, capture.Record{Direction: capture.Note, CapturedAt: noon})
	info.Mode = "composite"
	if err := w.Amend(t.Context(), func(i *SessionInfo) { i.Mode, i.Name = "composite", "ignored" }); err != nil {
		t.Fatal(err)
	}
	got, err := s.Session(t.Context(), w.Session().ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(info, got.SessionInfo); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if !got.Live || got.EndedAt != nil || got.Crashed() {
		t.Errorf("while written: live %v, ended %v, crashed %v", got.Live, got.EndedAt, got.Crashed())
	}
	if got.Messages() != 4 || got.Commands != 1 || got.Events != 2 || got.Peers != 1 || got.Gaps != 1 || got.Notes != 1 || got.Lost != 5 || got.LastSeq != 6 {
		t.Errorf("totals: %+v", got)
	}
	if err := w.End(t.Context(), "duration"); err != nil {
		t.Fatal(err)
	}
	got, _ = s.Session(t.Context(), got.ID)
	if got.Live || got.EndedAt == nil || !got.EndedAt.Equal(noon) || got.EndReason != "duration" || got.Crashed() {
		t.Errorf("after the end: %+v", got)
	}
}

func TestPagesMeetWithoutSeamOrOverlap(t *testing.T) {
	s := newStore(t)
	w, other := newSession(t, s, "a"), newSession(t, s, "b")
	for n := int64(1); n <= 10; n++ {
		write(t, w, call(n*3))
		write(t, other, call(n))
	}
	id := w.Session().ID
	for _, test := range []struct {
		name string
		rows func() ([]Row, error)
		want string
	}{
		{"from the start", func() ([]Row, error) { return s.After(t.Context(), id, 0, 3) }, "3 6 9"},
		{"between two", func() ([]Row, error) { return s.After(t.Context(), id, 10, 2) }, "12 15"},
		{"at the end", func() ([]Row, error) { return s.After(t.Context(), id, 30, 2) }, ""},
		{"back from the end", func() ([]Row, error) { return s.Before(t.Context(), id, 1<<62, 3) }, "24 27 30"},
		{"back from one", func() ([]Row, error) { return s.Before(t.Context(), id, 9, 5) }, "3 6"},
		{"back from the start", func() ([]Row, error) { return s.Before(t.Context(), id, 3, 5) }, ""},
	} {
		rows, err := test.rows()
		if got := seqs(rows, func(r Row) int64 { return r.Seq }); got != test.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestPageIsBoundedInBytes(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "large")
	for n := int64(1); n <= 6; n++ {
		rec := call(n)
		rec.Body = make([]byte, pageBytes/2)
		write(t, w, rec)
	}
	page, err := s.After(t.Context(), w.Session().ID, 0, 100)
	if len(page) != 2 || err != nil {
		t.Errorf("%d rows in a page, %v, want 2", len(page), err)
	}
	if all := records(t, s, w.Session().ID, 2); seqs(all, bySeq) != "2 3 4 5 6" {
		t.Errorf("records: %s", seqs(all, bySeq))
	}
}

func TestSeqOnlyRises(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	write(t, w, call(5), call(0))
	err := w.Write(t.Context(), capture.Batch{Records: []capture.Record{call(7), call(6)}})
	if err == nil {
		t.Error("a Seq that falls was stored")
	}
	if got := seqs(records(t, s, w.Session().ID, 0), bySeq); got != "5 6" {
		t.Errorf("stored %s, want 5 6: a failed batch leaves nothing", got)
	}
	write(t, w, call(7))
}

func TestIndexHoldsThePlaceOfAMessage(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	login := "Login#1001"
	command := call(1)
	command.Direction, command.JMSType, command.Body = capture.Command, &login, []byte("***,3001")
	write(t, w, command, capture.Gap{From: noon, To: noon, Reason: capture.GapReconnect}.Record())
	rows, err := s.After(t.Context(), w.Session().ID, 0, 10)
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	want := newIndexer().entry(&command)
	if got := rows[0]; got.Conversation != want.place.Conversation || got.Basis != want.place.Basis || got.Name != want.name || got.Severity != want.severity {
		t.Errorf("index %+v, want %+v", got, want)
	}
	if gap := rows[1]; gap.Conversation != "" || gap.Name != "" {
		t.Errorf("a gap row has an index: %+v", gap)
	}
}

func TestLedgerKeepsTheLatestTotals(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	for _, n := range []int64{1, 2} {
		err := w.Write(t.Context(), capture.Batch{Ledger: []capture.Counts{
			{Destination: "topic://b", Received: 10 * n, Stored: 5 * n, Doubled: 1, Filtered: 2, Lost: 3, Foreign: 4},
			{Destination: "topic://a", Received: n},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Ledger(t.Context(), w.Session().ID)
	want := []capture.Counts{{Destination: "topic://a", Received: 2}, {Destination: "topic://b", Received: 20, Stored: 10, Doubled: 1, Filtered: 2, Lost: 3, Foreign: 4}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestFind(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	first := newSession(t, s, "monday").Session()
	last := newSession(t, s, "tuesday").Session()
	sim, err := s.NewSession(ctx, SessionInfo{Name: "lab", Origin: OriginSim, StartedAt: noon})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	for ref, want := range map[string]int64{"1": first.ID, "monday": first.ID, Last: last.ID, "3": sim.Session().ID} {
		if got, err := s.Find(ctx, ref); got.ID != want || err != nil {
			t.Errorf("%s: session %d, %v, want %d", ref, got.ID, err, want)
		}
	}
	_, err = s.Find(ctx, "mondy")
	unknown, ok := errors.AsType[*UnknownSession](err)
	if !ok || fmt.Sprint(unknown.Near) != "[monday]" {
		t.Errorf("mondy: %v", err)
	}
	for _, ref := range []string{s.Path(), s.Path() + "#tuesday", s.Path() + "#2"} {
		opened, got, err := OpenSession(ctx, "/nowhere", ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		opened.Close()
		if got.ID != last.ID {
			t.Errorf("%s: session %d, want %d", ref, got.ID, last.ID)
		}
	}
}

func TestNames(t *testing.T) {
	s := newStore(t)
	newSession(t, s, "taken")
	for _, name := range []string{"taken", "17", "@last", "a/b", "a#1", "a\x1b"} {
		if w, err := s.NewSession(t.Context(), SessionInfo{Name: name}); err == nil {
			w.Close()
			t.Errorf("name %q was accepted", name)
		}
	}
	for _, want := range []string{"gc-host-20261121-120000", "gc-host-20261121-120000-2"} {
		w, err := s.NewSession(t.Context(), SessionInfo{Host: "gc/host", StartedAt: noon})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Session().Name; got != want {
			t.Errorf("made name %q, want %q", got, want)
		}
		w.Close()
	}
	if err := s.Rename(t.Context(), 1, "other"); err != nil {
		t.Error(err)
	}
	if err := s.SetNote(t.Context(), 1, "seen"); err != nil {
		t.Error(err)
	}
	if got, _ := s.Session(t.Context(), 1); got.Name != "other" || got.Note != "seen" {
		t.Errorf("renamed: %+v", got)
	}
}

func TestDeleteLeavesNothing(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	w, kept := newSession(t, s, "secret-name"), newSession(t, s, "kept")
	rec := call(1)
	rec.To, rec.Body = "topic://somebody", []byte("somebody#State#READY")
	write(t, w, rec)
	write(t, kept, call(1))
	if err := s.Delete(ctx, w.Session().ID); err == nil {
		t.Error("deleted a session that is being written")
	}
	if err := w.End(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, w.Session().ID); err != nil {
		t.Fatal(err)
	}
	if got := seqs(records(t, s, kept.Session().ID, 0), bySeq); got != "1" {
		t.Errorf("the other session holds %q", got)
	}
	if _, err := s.Find(ctx, "secret-name"); err == nil {
		t.Error("still found")
	}
	kept.End(ctx, "")
	s.Close()
	file, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"somebody", "secret-name"} {
		if strings.Contains(string(file), word) {
			t.Errorf("%q is still in the file", word)
		}
	}
}

func TestInterruptedDeleteIsFinishedByTheNextWriter(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	write(t, w, call(1))
	w.End(t.Context(), "")
	err := s.change(t.Context(), func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `DELETE FROM sessions; INSERT INTO deleted VALUES (1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	newSession(t, s, "b")
	var left int
	if err := s.db.QueryRow(`SELECT (SELECT count(*) FROM records) + (SELECT count(*) FROM messages) + (SELECT count(*) FROM deleted)
		+ (SELECT count(*) FROM names)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows left, %v", left, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sqlite := func(name, script string) string {
		path := filepath.Join(dir, name)
		db, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(script); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours := fmt.Sprintf("PRAGMA application_id = %d; CREATE TABLE sessions (id);", applicationID)
	for _, test := range []struct {
		name, path string
		modes      []Mode
		want       string
	}{
		{"missing", filepath.Join(dir, "none.db"), []Mode{Read, Edit}, "no such file"},
		{"folder", dir, []Mode{Read, Edit}, "is a folder"},
		{"text", file("text", strings.Repeat("hello ", 100)), []Mode{Read, Edit, Record}, "is not a gctap store"},
		{"short", file("short", "hello"), []Mode{Read, Edit, Record}, "is not a gctap store"},
		{"empty", file("empty", ""), []Mode{Read}, "holds no sessions yet"},
		{"foreign", sqlite("foreign", "CREATE TABLE bookmarks (id)"), []Mode{Read, Edit, Record}, "is a database of another program"},
		{"foreign with log", sqlite("foreign-wal", "PRAGMA journal_mode = WAL; CREATE TABLE bookmarks (id)"), []Mode{Read, Edit, Record}, "is a database of another program"},
		{"newer", sqlite("newer", ours+"PRAGMA user_version = 99"), []Mode{Read, Edit, Record}, "was written by a newer gctap (schema 99"},
		{"trigger", sqlite("trigger", ours+"PRAGMA user_version = 2; CREATE TRIGGER t AFTER INSERT ON sessions BEGIN SELECT 1; END"),
			[]Mode{Read, Edit, Record}, `holds a trigger of its own ("t")`},
		{"view", sqlite("view", ours+"PRAGMA user_version = 2; CREATE VIEW v AS SELECT 1"), []Mode{Read, Edit, Record}, `holds a view of its own ("v")`},
	} {
		for _, mode := range test.modes {
			before, _ := os.ReadFile(test.path)
			s, err := Open(t.Context(), test.path, mode)
			if err == nil {
				s.Close()
				t.Errorf("%s, mode %d: opened", test.name, mode)
				continue
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, mode %d: %v, want %q and the file's name in one line", test.name, mode, err, test.want)
			}
			if after, _ := os.ReadFile(test.path); string(after) != string(before) {
				t.Errorf("%s, mode %d: the file was changed", test.name, mode)
			}
		}
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "none.db"), Read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v is not ErrNotExist", err)
	}
}

func TestCutFileIsNamed(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	for n := int64(1); n <= 2000; n++ {
		write(t, w, call(n))
	}
	w.End(t.Context(), "")
	s.Close()
	info, err := os.Stat(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.Path(), info.Size()/2); err != nil {
		t.Fatal(err)
	}
	cut, err := Open(t.Context(), s.Path(), Read)
	if err == nil {
		defer cut.Close()
		for _, err = range cut.Records(t.Context(), 1, 0) {
		}
	}
	if err == nil || !strings.Contains(err.Error(), s.Path()+": is damaged") {
		t.Errorf("a cut file: %v", err)
	}
}

func TestNewFileIsPrivateAndSafe(t *testing.T) {
	s := newStore(t)
	newSession(t, s, "a")
	for _, path := range []string{s.Path(), s.Path() + "-lock", s.Path() + "-wal"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "auto_vacuum": "2", "user_version": fmt.Sprint(len(migrationFiles()))} {
		var got string
		if err := s.db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", pragma, got, err, want)
		}
	}
}

func TestOlderSchemaIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first, err := migrations.ReadFile(migrationFiles()[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = 1", first, applicationID)); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{Read, Edit, Record, Read} {
		s, err := Open(t.Context(), path, mode)
		if err != nil {
			t.Fatal(err)
		}
		if mode == Record {
			write(t, newSession(t, s, "new"), call(1))
		}
		s.Close()
	}
}

func TestClosedStoreIsOneFile(t *testing.T) {
	s := newStore(t)
	ended, crashed := newSession(t, s, "a"), newSession(t, s, "b")
	write(t, ended, call(1))
	if err := errors.Join(ended.End(t.Context(), ""), crashed.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"-wal", "-shm"} {
		if info, err := os.Stat(s.Path() + more); err == nil {
			t.Errorf("%s is left beside a closed store, %d bytes", more, info.Size())
		}
	}
}

func TestReadOnlyStoreRefusesToWrite(t *testing.T) {
	s := newStore(t)
	newSession(t, s, "a")
	r, err := Open(t.Context(), s.Path(), Read)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.SetNote(t.Context(), 1, "x"); err == nil {
		t.Error("wrote a note")
	}
	if _, err := r.NewSession(t.Context(), SessionInfo{}); err == nil {
		t.Error("began a session")
	}
	if _, err := r.db.Exec("DELETE FROM sessions"); err == nil {
		t.Error("deleted")
	}
}

func TestFullDiskKeepsWhatWasStored(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	write(t, w, call(1), call(2))
	var pages int
	if err := w.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := w.conn.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages)); err != nil {
		t.Fatal(err)
	}
	big := call(4)
	big.Body, big.To = make([]byte, 100_000), "topic://new"
	err := w.Write(t.Context(), capture.Batch{Records: []capture.Record{call(3), big}})
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), s.Path()) {
		t.Errorf("full: %v", err)
	}
	if _, err := w.conn.ExecContext(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	write(t, w, call(3), big) // there is room again: nothing is in the way, names included
	if got := seqs(records(t, s, w.Session().ID, 0), bySeq); got != "1 2 3 4" {
		t.Errorf("stored %s", got)
	}
	if got, _ := s.Session(t.Context(), w.Session().ID); got.Events != 4 {
		t.Errorf("%d events counted", got.Events)
	}
}

func TestCancelledWriteStoresNothing(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Write(ctx, capture.Batch{Records: []capture.Record{call(1)}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	write(t, w, call(1))
}

func TestNetworkFileSystems(t *testing.T) {
	mounts := `22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:50 / /mnt/far\040away rw - fuse.sshfs host:/ rw
31 22 0:51 / /mnt/safe rw - fuse.gocryptfs /x rw
32 31 0:52 / /mnt/safe/deep rw - fuse.rclone y rw
`
	for _, test := range []struct {
		number uint32
		dir    string
		want   string
	}{
		{0xef53, "/data", ""},
		{0x6969, "/nfs", "NFS"},
		{0xfe534d42, "/smb", "SMB"},
		{fuse, "/mnt/far away/x", "fuse.sshfs"},
		{fuse, "/mnt/safe/x", ""},
		{fuse, "/mnt/safe/deep", "fuse.rclone"},
		{fuse, "/mnt/safe/deeper", ""},
	} {
		if got := networkName(test.number, test.dir, mounts); got != test.want {
			t.Errorf("%#x %s: %q, want %q", test.number, test.dir, got, test.want)
		}
	}
	if got := networkName(fuse, "/x", ""); got != "fuse" {
		t.Errorf("without a table: %q, want it refused", got)
	}
}

// TestDamageAfterACrashIsFound: a store that was not closed is looked through
// before anything is written into it.
func TestDamageAfterACrashIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	s, err := Open(t.Context(), path, Record)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.NewSession(t.Context(), SessionInfo{Name: "s", Origin: OriginRecord})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		rec := capture.Record{
			CapturedAt: time.Unix(int64(i), 0), Direction: capture.Event, BodyKind: capture.Text, To: "topic://a",
			MessageID: fmt.Sprint("ID:", i), Body: []byte(strings.Repeat("x", 300)),
		}
		if err := w.Write(t.Context(), capture.Batch{Records: []capture.Record{rec}}); err != nil {
			t.Fatal(err)
		}
	}
	// The writer dies: its lock is free and its session has no end.
	if err := errors.Join(w.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(text) / 2; i < len(text)/2+8192; i++ {
		text[i] ^= 0x5a
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), path, Record); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.NewSession(t.Context(), SessionInfo{Origin: OriginRecord})
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a new session in a damaged store: %v", err)
	}
}

// TestEndAt: a session of what is over ends by its own clock.
func TestEndAt(t *testing.T) {
	began := time.Date(2025, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		want bool // at that time, and not now
	}{{began.Add(time.Minute), true}, {time.Time{}, false}, {began.Add(-time.Minute), false}} {
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "t.db"), Record)
		if err != nil {
			t.Fatal(err)
		}
		w, err := s.NewSession(t.Context(), SessionInfo{Origin: OriginImport, StartedAt: began})
		if err != nil {
			t.Fatal(err)
		}
		rec := capture.Record{CapturedAt: began, Direction: capture.Note, BodyKind: capture.Text, Body: []byte("x")}
		if err := w.Write(t.Context(), capture.Batch{Records: []capture.Record{rec}}); err != nil {
			t.Fatal(err)
		}
		if err := w.EndAt(t.Context(), "imported", c.at); err != nil {
			t.Fatal(err)
		}
		one, err := s.Session(t.Context(), w.Session().ID)
		if err != nil {
			t.Fatal(err)
		}
		if one.EndedAt == nil || one.EndedAt.Equal(c.at) != c.want || !one.Sealed || one.EndReason != "imported" {
			t.Errorf("ending at %s: %+v", c.at, one)
		}
		if !c.want && time.Since(*one.EndedAt) > time.Hour {
			t.Errorf("ending at %s: ended at %s", c.at, one.EndedAt)
		}
		s.Close()
	}
}
