package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/store"
)

// TestRing feeds a day to a flight recorder: one message a second, a trigger
// now and then.
func TestRing(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"), store.Record)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	trigger := func(rec *capture.Record) bool { return strings.HasPrefix(string(rec.Body), "bad") }
	ring := newRingSink(db, store.SessionInfo{Name: "r", Host: "h"}, ringConfig{before: 60 * time.Second, after: 30 * time.Second}, trigger, newTalker(io.Discard))
	began := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	bad := map[int]bool{500: true, 520: true, 2000: true}
	for second := range 3000 {
		body := fmt.Sprintf("good %d", second)
		if bad[second] {
			body = fmt.Sprintf("bad %d", second)
		}
		rec := capture.Record{
			CapturedAt: began.Add(time.Duration(second) * time.Second), Direction: capture.Event, BodyKind: capture.Text,
			To: "topic://desk", Body: []byte(body),
		}
		if err := ring.Write(t.Context(), capture.Batch{Records: []capture.Record{rec}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.end(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	sessions, err := db.Sessions(t.Context())
	if err != nil || len(sessions) != 2 {
		t.Fatalf("%d sessions, %v; want 2", len(sessions), err)
	}
	for i, want := range []struct {
		name        string
		first, last int // the second trigger prolongs the first session
	}{{"r", 439, 550}, {"r.2", 1939, 2030}} {
		var bodies []string
		for rec, err := range db.Records(t.Context(), sessions[i].ID, 0) {
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, string(rec.Body))
		}
		if s := sessions[i]; s.Name != want.name || s.Origin != store.OriginRing || s.EndedAt == nil || int(s.Messages()) != want.last-want.first+1 {
			t.Errorf("%+v, want %+v", s, want)
		}
		if bodies[0] != fmt.Sprintf("good %d", want.first) || bodies[len(bodies)-1] != fmt.Sprintf("good %d", want.last) {
			t.Errorf("session %s goes from %s to %s, want %d to %d", want.name, bodies[0], bodies[len(bodies)-1], want.first, want.last)
		}
		ledger, err := db.Ledger(t.Context(), sessions[i].ID)
		if err != nil || len(ledger) != 1 || ledger[0].Stored != int64(len(bodies)) {
			t.Errorf("ledger %+v, %v", ledger, err)
		}
	}
}

func TestRingIsBounded(t *testing.T) {
	ring := newRingSink(nil, store.SessionInfo{}, ringConfig{before: time.Hour}, func(*capture.Record) bool { return false }, newTalker(io.Discard))
	rec := capture.Record{CapturedAt: time.Unix(0, 0), Body: make([]byte, 1<<20)}
	for range 1000 {
		if err := ring.Write(t.Context(), capture.Batch{Records: []capture.Record{rec}}); err != nil {
			t.Fatal(err)
		}
	}
	if ring.bytes > ringBytes || len(ring.past) < 200 || !ring.short {
		t.Errorf("holds %d records, %d bytes", len(ring.past), ring.bytes)
	}
}
