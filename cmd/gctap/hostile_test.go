package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"gctap/capture"
	"gctap/store"
)

// inked stands for a stranger's text in a session until its bytes in the file
// are changed to as many that move a cursor, ring a bell and begin sequences of
// a terminal, in 7 and in 8 bits.
const (
	inked = "Zqxjkvwy"
	ink   = "\x1b[2JQ\x07\u009b"
)

// hostileFile is a session file with control characters in every text.
func hostileFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db := filepath.Join(dir, "made.db")
	s, err := store.Open(t.Context(), db, store.Record)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := s.NewSession(t.Context(), store.SessionInfo{
		Name: inked, Origin: store.OriginRecord, Broker: inked, Identity: inked, Addresses: []string{inked}, Host: inked, Mode: inked, Queues: []string{inked},
		Topics: []string{inked}, SiteTZ: "UTC", Note: inked, Program: inked, StartedAt: nine, Command: inked,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), capture.Batch{Records: hostileRecords(), Ledger: []capture.Counts{{Destination: inked, Received: 1}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Mark(t.Context(), 1, 2, inked); err != nil {
		t.Fatal(err)
	}
	if err := w.End(t.Context(), inked); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "stranger.gctap")
	if _, err := s.ExportFile(context.WithoutCancel(t.Context()), 1, file, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || bytes.Count(text, []byte(inked)) < 40 {
		t.Fatal(bytes.Count(text, []byte(inked)), err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(inked), []byte(ink)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func hostileRecords() (records []capture.Record) {
	gap := capture.Gap{From: nine, To: nine, Reason: inked}.Record()
	gap.CapturedAt = nine
	records = append(records, gap)
	for _, m := range []struct{ typ, body string }{
		{"Login#" + inked, "***," + inked}, {"MakeCall#1001", inked}, {inked + "#" + inked, inked}, {inked, inked}, {"WrapUp#1001", inked + "," + inked},
		{"", inked}, {"", "1001#State#READY#" + inked + "##" + inked + "##" + inked + "#1001#3001#" + inked + "#" + inked + "#" + inked},
		{"", inked + "#State#NOT_READY#" + inked}, {"", "1001#Error#" + inked}, {"", "1001#" + inked + "#" + inked},
		{"", "1001#NewInboundCall#" + inked + "#" + inked + "=" + inked + "#DialogID:" + inked},
		{"", "1001#InboundCall#" + inked + "#DialogID:" + inked + "#" + inked + "#" + inked + "#" + inked},
		{"", `{"type":"State","agentId":"` + inked + `","state":"` + inked + `","` + inked + `":"` + inked + `"}`},
		{"", "1001#AgentInfo#" + inked + "#" + inked + "#False#OPTIONAL#" + inked + "#" + inked + "#" + inked},
	} {
		rec := capture.Record{Direction: capture.Event, Source: inked, Via: inked, Conn: inked, From: inked, To: "topic://" + inked, OriginalTo: inked, ReplyTo: inked,
			MessageID: inked, CorrelationID: inked, BodyKind: capture.Text, Body: []byte(m.body), Headers: []capture.Header{{Name: inked, Value: inked}}}
		if m.typ != "" {
			rec.Direction, rec.JMSType, rec.To = capture.Command, new(m.typ), "queue://"+inked
		}
		rec.Mono = time.Duration(len(records)) * time.Second
		rec.CapturedAt = nine.Add(rec.Mono)
		records = append(records, rec)
	}
	return records
}

// No command lets what a stranger's file holds act on the terminal, and none
// fails on it.
func TestControlCharactersStayInTheFile(t *testing.T) {
	file := hostileFile(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "pseudonym.key")
	for _, args := range [][]string{
		{"import", file}, {"sessions"}, {"sessions", "ledger", file}, {"show", file}, {"show", file, "--filter", "seq > 2"}, {"stats", file}, {"check", file}, {"audit", file, "--details"},
		{"verify", file}, {"diff", file, file}, {"report", file, "--ladder", "text"}, {"report", file}, {"report", file, "--ladder", "svg"}, {"check", file, "--format", "junit"},
		{"audit", file, "--format", "html"}, {"diff", file, file, "--format", "html"}, {"diff", file, file, "--format", "junit"},
		{"replay", file, "--to", "stomp://127.0.0.1:9", "--dry-run"}, {"export", file, "--pseudonymise", "--pseudonym-key", key, "-o", filepath.Join(dir, "public.gctap")},
		{"export", file, "--reveal", key}, {"export", file, "-o", filepath.Join(dir, "copy.gctap")}, {"export", file, "--format", "csv", "-o", filepath.Join(dir, "copy.csv")},
		{"import", "--salvage", file}, {"sessions"}, {"prune", "--older-than", "1h", "--dry-run"}, {"show", "no such session"},
		{"show", file, "--json"}, {"verify", file, "--json"}, {"check", file, "--json"}, {"sessions", "--json"}, {"stats", file, "--json"},
	} {
		p := gctap(t, filepath.Join(dir, "mine.db"), args...)
		code := p.end(nil)
		said := p.out.String() + p.said()
		if i := strings.IndexFunc(said, forbidden); i >= 0 {
			t.Errorf("%q lets out %q", args, said[max(0, i-40):min(len(said), i+20)])
		}
		if usage := code == exitFailed && args[0] != "show" && args[0] != "replay"; usage || code < 0 || strings.Contains(said, "panic") {
			t.Errorf("%q: exit %d: %.300s", args, code, said)
		}
	}
}

// forbidden reports whether a character acts on a terminal.
func forbidden(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
