package store

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture"
)

// evidenceFile writes a session of n records in blocks of five to a file
// without a log and returns its bytes.
func evidenceFile(t testing.TB, n int64, sealed bool) []byte {
	t.Helper()
	s := newStore(t)
	s.block = 5
	w := newSession(t, s, "evidence")
	var batch []capture.Record
	for seq := int64(1); seq <= n; seq++ {
		rec := call(seq)
		typ, sent := fmt.Sprint("T#", seq), noon
		rec.JMSType, rec.SentAt = &typ, &sent
		rec.Headers = []capture.Header{{Name: "a", Value: fmt.Sprint(seq)}}
		if seq == 7 {
			rec = capture.Gap{From: noon, To: noon, Reason: capture.GapStopped}.Record()
			rec.Seq = seq
		}
		batch = append(batch, rec)
	}
	write(t, w, batch...)
	if err := s.SetNote(t.Context(), 1, "as found"); err != nil {
		t.Fatal(err)
	}
	if sealed {
		if err := w.End(t.Context(), "stopped"); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return closedFile(t, s)
}

// closedFile closes a store and returns what its file holds.
func closedFile(t testing.TB, s *Store) []byte {
	t.Helper()
	path := s.Path()
	var busy, log, done int
	if err := s.db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done); err != nil || busy != 0 {
		t.Fatal(err, busy)
	}
	s.Close()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// tampering returns a function that runs statements on a file, verifies it and
// takes them back.
func tampering(t testing.TB, file []byte) func(statements ...string) Verdict {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path, Edit)
	s.db.SetMaxOpenConns(1) // verify sees what is not committed
	exec := func(text string) {
		if _, err := s.db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return func(statements ...string) Verdict {
		s.names = newNameCache()
		exec("BEGIN")
		for _, text := range statements {
			exec(text)
		}
		v, err := s.Verify(t.Context(), 1, nil)
		if err != nil {
			t.Fatalf("%v: %v", statements, err)
		}
		exec("ROLLBACK")
		return v
	}
}

// recordColumns are those that a record's hash is over, with another value.
var recordColumns = map[string]string{
	"captured_at": "captured_at + 1", "mono": "mono + 1", "sent_at": "coalesce(sent_at, 0) + 1, sent_ns = 0", "sent_ns": "sent_ns + 1",
	"direction": "1 + direction % 5", "source": otherName("source"), "via": otherName("via"), "conn": otherName("conn"),
	`"from"`: otherName(`"from"`), `"to"`: otherName(`"to"`), "original_to": otherName("original_to"), "reply_to": otherName("reply_to"),
	"message_id": "message_id || 'x'", "correlation_id": "'x'", "jms_type": "coalesce(jms_type, '') || 'x'", "body_kind": "1 + body_kind % 5",
	"body": "x'00'", "headers": "'b:c'", "masked": "'f:1-2'", "truncated": "truncated + 1", "rh": "zeroblob(32)",
}

func otherName(column string) string {
	return fmt.Sprintf("CASE %s WHEN 1 THEN 2 ELSE 1 END", column)
}

const evidenceRecords = 13 // two blocks of five and the rest

// changes are all the ways to tamper with one record; each names its statements.
func changes(seq int64) map[string][]string {
	id := key(1, seq)
	all := map[string][]string{
		"removed":      {fmt.Sprintf("DELETE FROM records WHERE id = %d", id)},
		"body removed": {fmt.Sprintf("UPDATE records SET body = NULL WHERE id = %d", id)},
		"moved":        {fmt.Sprintf("UPDATE records SET id = %d WHERE id = %d", key(1, 100+seq), id)},
		"swapped": {
			fmt.Sprintf("UPDATE records SET id = -1 WHERE id = %d", id),
			fmt.Sprintf("UPDATE records SET id = %d WHERE id = %d", id, id+1),
			fmt.Sprintf("UPDATE records SET id = %d WHERE id = -1", id+1)},
		"swapped bodies": {
			fmt.Sprintf("UPDATE records SET body = (SELECT body FROM records WHERE id = %d) WHERE id = %d", id%key(1, evidenceRecords)+1, id)},
		"added": {fmt.Sprintf("INSERT INTO records SELECT id + 1000, captured_at, mono, sent_at, sent_ns, direction, source, via, conn, \"from\", \"to\", "+
			"original_to, reply_to, message_id, correlation_id, jms_type, body_kind, body, headers, masked, truncated, rh FROM records WHERE id = %d", id)},
		"truncated": {fmt.Sprintf("DELETE FROM records WHERE id >= %d", id)},
	}
	for column, value := range recordColumns {
		all[column] = []string{fmt.Sprintf("UPDATE records SET %s = %s WHERE id = %d", column, value, id)}
	}
	if seq == evidenceRecords {
		delete(all, "swapped")
	}
	if seq == 7 {
		delete(all, "sent_ns") // the gap was never sent
	}
	return all
}

func TestVerifyFindsEveryChangeInASealedSession(t *testing.T) {
	tampered := tampering(t, evidenceFile(t, evidenceRecords, true))
	if v := tampered(); !v.OK() || v.Records != evidenceRecords || v.Checkpoints != 4 || !v.Sealed {
		t.Fatalf("untouched: %v", v.Describe())
	}
	for seq := int64(1); seq <= evidenceRecords; seq++ {
		for name, statements := range changes(seq) {
			v := tampered(statements...)
			if v.Broken == nil || v.OK() {
				t.Errorf("record %d %s: not found", seq, name)
			} else if v.Broken.Seq != 0 && name != "added" && name != "moved" && (v.Broken.Seq < seq-1 || v.Broken.Seq > seq+1) {
				t.Errorf("record %d %s: found at %v", seq, name, v.Broken)
			}
		}
	}
}

// A record changed by somebody who works out its hash again is found by its
// block; changed with checkpoints thrown away, by the seal.
func TestVerifyFindsCarefulChanges(t *testing.T) {
	tampered := tampering(t, evidenceFile(t, evidenceRecords, true))
	for name, statements := range map[string][]string{
		"checkpoint removed":      {"DELETE FROM checkpoints WHERE number = 1"},
		"last checkpoint removed": {"DELETE FROM checkpoints WHERE number = 3"},
		"cut with its seal":       {fmt.Sprintf("DELETE FROM records WHERE id > %d", key(1, 10)), "DELETE FROM checkpoints WHERE number = 3"},
		"cut and reopened":        {fmt.Sprintf("DELETE FROM records WHERE id > %d", key(1, 12)), "UPDATE sessions SET sealed = 0"},
		"all gone":                {"DELETE FROM records", "DELETE FROM checkpoints"},
		"checkpoint changed":      {"UPDATE checkpoints SET count = count + 1 WHERE number = 2"},
		"head changed":            {"UPDATE checkpoints SET head = zeroblob(32) WHERE number = 2"},
		"head cut":                {"UPDATE checkpoints SET head = zeroblob(3) WHERE number = 2"},
		"key changed":             {"UPDATE checkpoints SET key = zeroblob(32)"},
		"key cut":                 {"UPDATE checkpoints SET key = zeroblob(3)"},
		"broker changed":          {"UPDATE sessions SET broker = 'stomp://elsewhere'"},
		"end changed":             {"UPDATE sessions SET ended_at = ended_at + 1"},
		"ledger changed":          {"INSERT INTO ledger VALUES (1, 'topic://x', 1, 1, 0, 0, 0, 0)"},
		"totals changed":          {"UPDATE sessions SET lost = 5"},
		"names changed":           {"UPDATE names SET value = 'topic://client.9' WHERE value = 'topic://client.1'"},
		"name removed":            {"DELETE FROM names WHERE value = 'topic://client.1'"},
		"session renamed":         {"UPDATE sessions SET name = 'other'"},
		"note rewritten":          {"UPDATE sessions SET note = 'nothing to see'"},
		"annotation changed":      {"UPDATE annotations SET text = 'x' WHERE number = 2"},
		"annotation removed":      {"DELETE FROM annotations WHERE number = 1"},
		"another chain":           {"UPDATE sessions SET chain = randomblob(32)"},
		"derived added":           {`UPDATE sessions SET derived = '{"how":"slice"}'`},
		"pruned unsaid":           {fmt.Sprintf("DELETE FROM records WHERE id <= %d", key(1, 5))},
		"bad direction":           {fmt.Sprintf("UPDATE records SET direction = 77 WHERE id = %d", key(1, 4))},
		"bad headers":             {fmt.Sprintf("UPDATE records SET headers = 'no colon' WHERE id = %d", key(1, 4))},
	} {
		if v := tampered(statements...); v.Broken == nil {
			t.Errorf("%s: not found: %v", name, v.Describe())
		} else if strings.HasPrefix(name, "bad ") && v.Broken.Seq != 4 {
			t.Errorf("%s: found at %v", name, v.Broken)
		}
	}
}

func TestVerifyNamesTheUnsealedRest(t *testing.T) {
	tampered := tampering(t, evidenceFile(t, evidenceRecords, false))
	v := tampered()
	if v.Broken != nil || v.OK() || v.Sealed || v.Records != 10 || v.Unsealed != 3 {
		t.Fatalf("untouched: %v", v.Describe())
	}
	for seq := int64(1); seq <= 10; seq++ {
		for name, statements := range changes(seq) {
			if name == "added" {
				continue // what is added comes after the last checkpoint
			}
			if v := tampered(statements...); v.Broken == nil {
				t.Errorf("record %d %s: not found", seq, name)
			}
		}
	}
}

func TestVerifySaysThatAKeyIsUnknown(t *testing.T) {
	file := evidenceFile(t, 3, true)
	path := filepath.Join(t.TempDir(), "t.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Read)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	v, err := s.Verify(t.Context(), 1, []ed25519.PublicKey{other})
	if err != nil || v.Broken != nil || v.OK() || !strings.Contains(strings.Join(v.Describe(), "\n"), ": unknown") {
		t.Errorf("got %v, %v", v.Describe(), err)
	}
}

// A session that goes on after it was sealed is sealed again at its next end.
func TestSealAfterResume(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "again")
	write(t, w, call(1))
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	w, err := s.Resume(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, call(2))
	if v, err := s.Verify(t.Context(), 1, nil); err != nil || v.Sealed || v.Broken != nil || v.Unsealed != 1 {
		t.Errorf("while it goes on: %v, %v", v.Describe(), err)
	}
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Verify(t.Context(), 1, nil); err != nil || !v.OK() || v.Records != 2 {
		t.Errorf("after its end: %v, %v", v.Describe(), err)
	}
}

// A crash leaves a rest that nobody signed for; the next writer seals it.
func TestCrashedSessionIsSealedByTheNextWriter(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "crashed")
	write(t, w, call(1), call(2))
	w.Close()
	if v, err := s.Verify(t.Context(), 1, nil); err != nil || v.Broken != nil || v.Unsealed != 2 {
		t.Errorf("after the crash: %v, %v", v.Describe(), err)
	}
	newSession(t, s, "next")
	if v, err := s.Verify(t.Context(), 1, nil); err != nil || !v.OK() || v.Records != 3 {
		t.Errorf("after the next writer: %v, %v", v.Describe(), err)
	}
}

func TestCheckpointAfterAMinute(t *testing.T) {
	s := newStore(t)
	now := noon
	s.now = func() time.Time { return now }
	w := newSession(t, s, "slow")
	write(t, w, call(1))
	now = now.Add(blockTime)
	write(t, w) // a sign of life
	if v, err := s.Verify(t.Context(), 1, nil); err != nil || v.Records != 1 || v.Unsealed != 0 {
		t.Errorf("got %v, %v", v.Describe(), err)
	}
}

// A clock that is set back while a session is recorded changes nothing in it,
// and does not keep checkpoints from being written.
func TestClockSetBack(t *testing.T) {
	s := newStore(t)
	at := noon
	s.now = func() time.Time { return at }
	w := newSession(t, s, "back")
	write(t, w, call(1))
	at = noon.Add(blockTime)
	write(t, w, call(2))
	at = noon.Add(-26 * time.Hour)
	write(t, w, call(3))
	if v := verdict(t, s, 1); v.Broken != nil || v.Unsealed != 0 {
		t.Errorf("%v", v.Describe())
	}
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	if v := verdict(t, s, 1); !v.OK() || v.Records != 3 {
		t.Errorf("%v", v.Describe())
	}
}

// A write that failed leaves no trace in the chain.
func TestFailedWriteIsNotChained(t *testing.T) {
	s := newStore(t)
	s.block = 2
	w := newSession(t, s, "failed")
	write(t, w, call(1))
	if err := w.Write(t.Context(), capture.Batch{Records: []capture.Record{call(2), call(3), call(3)}}); err == nil {
		t.Fatal("a seq that does not rise was stored")
	}
	write(t, w, call(2), call(3), call(4))
	if err := w.End(context.Background(), "stopped"); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Verify(t.Context(), 1, nil); err != nil || !v.OK() || v.Records != 4 {
		t.Errorf("got %v, %v", v.Describe(), err)
	}
}

func TestKeyIsPrivate(t *testing.T) {
	t.Setenv("GCTAP_KEY", filepath.Join(t.TempDir(), "a", "signing.key"))
	first, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	again, err := signingKey()
	if err != nil || !first.Equal(again) {
		t.Errorf("another key the second time: %v", err)
	}
	file, _ := KeyFile()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if own := OwnPublicKey(); !own.Equal(first.Public()) {
		t.Error("the public key beside it is another")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := signingKey(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read is used: %v", err)
	}
}

// Without a key a session is recorded all the same, chained but not signed.
func TestRecordingGoesOnWithoutAKey(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GCTAP_KEY", filepath.Join(blocked, "signing.key"))
	s := newStore(t)
	w := newSession(t, s, "unsigned")
	if w.Unsigned() == nil {
		t.Error("nobody is told")
	}
	write(t, w, call(1), call(2))
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	v, err := s.Verify(t.Context(), 1, nil)
	if err != nil || v.OK() || v.Broken != nil || v.Unsealed != 2 {
		t.Errorf("got %v, %v", v.Describe(), err)
	}
}

func TestMerklePathsLeadToTheRoot(t *testing.T) {
	for n := 1; n <= 17; n++ {
		block := make([]digest, n)
		for i := range block {
			block[i] = digest{byte(i)}
		}
		root, tree := merkleRoot(block), newMerkleTree(block)
		for i := range block {
			path := tree.path(i)
			if got, ok := merkleClimb(block[i], i, n, path); !ok || got != root {
				t.Errorf("leaf %d of %d does not lead to the root", i, n)
			}
			if got, ok := merkleClimb(digest{99}, i, n, path); ok && got == root {
				t.Errorf("another leaf than %d of %d leads to the root", i, n)
			}
			if _, ok := merkleClimb(block[i], i, n, append(path, 0)); ok && n == 1 {
				t.Errorf("a path that is too long leads somewhere")
			}
		}
	}
}
