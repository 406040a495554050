package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gctap/capture"
	"gctap/store"
)

// TestSessionScripts runs testdata/sessions/*.txt on a store that holds the
// sessions monday (ended), crashed and lab (a simulator's, the latest).
func TestSessionScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/sessions",
		Setup: func(env *testscript.Env) error {
			db := filepath.Join(env.WorkDir, "gctap.db")
			env.Setenv("GCTAP_DB", db)
			env.Setenv("GCTAP_KEY", os.Getenv("GCTAP_KEY"))
			env.Setenv("TZ", "UTC")
			return makeStore(t.Context(), db)
		},
	})
}

var monday = time.Date(2026, 11, 23, 9, 0, 0, 123456789, time.UTC)

func makeStore(ctx context.Context, db string) error {
	s, err := store.Open(ctx, db, store.Record)
	if err != nil {
		return err
	}
	defer s.Close()
	end := func(w *store.Writer) error { return w.End(ctx, "stopped") }
	stopped := func(w *store.Writer) error { return w.Close() }
	for _, one := range []struct {
		info    store.SessionInfo
		records []capture.Record
		done    func(*store.Writer) error
	}{
		{store.SessionInfo{Name: "monday", Origin: store.OriginRecord, Broker: "stomp://gc:61613", Mode: "mirror", Redacted: true}, mondaysRecords(), end},
		{store.SessionInfo{Name: "lab", Origin: store.OriginSim, Parent: 1, Note: "a try"}, nil, end},
		{store.SessionInfo{Name: "crashed", Origin: store.OriginRecord}, mondaysRecords()[:1], stopped},
	} {
		one.info.StartedAt = monday
		w, err := s.NewSession(ctx, one.info)
		if err != nil {
			return err
		}
		if err := w.Write(ctx, capture.Batch{Records: one.records}); err != nil {
			return err
		}
		if err := one.done(w); err != nil {
			return err
		}
	}
	return nil
}

// mondaysRecords are one of each kind that show has to tell apart.
func mondaysRecords() []capture.Record {
	login := "Login#1001"
	sent := monday.Truncate(time.Second).Add(120 * time.Millisecond)
	lost := int64(4)
	records := []capture.Record{
		{
			Direction: capture.Command, To: "queue://Connector1", ReplyTo: "topic://192.168.1.72", SentAt: &sent, JMSType: &login,
			MessageID: "ID:host-1-2-3:3:1:1:1", Conn: "ID:host-1-2-3:3", BodyKind: capture.Text, Body: []byte("***,3001"),
			Headers: []capture.Header{{Name: "priority", Value: "4"}, {Name: "agent", Value: "1001"}, {Name: "agent", Value: "again"}},
			Masked:  []capture.Mask{{Field: "password", Start: 0, End: 3}},
		},
		{Direction: capture.Event, To: "topic://192.168.1.72", BodyKind: capture.Text, Body: []byte("1001#State#READY#-1#2022-07-22 18:16:47")},
		{Direction: capture.Event, To: "topic://x", BodyKind: capture.Bytes, Body: []byte("\x1b[31m\xff")},
		{Direction: capture.Event, To: "topic://x", BodyKind: capture.Unknown},
		capture.Gap{From: monday, To: monday.Add(time.Second), Reason: capture.GapOverflow, Lost: &lost}.Record(),
		{Direction: capture.Event, To: "topic://x", BodyKind: capture.Text, Body: []byte{}},
	}
	for i := range records {
		records[i].CapturedAt = monday.Add(time.Duration(i) * time.Second)
		records[i].Source, records[i].Via = "stomp", "mirror"
	}
	return records
}
