package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// mountSmall mounts a file system of so many MiB, where that is allowed.
func mountSmall(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skip("cannot mount here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestRecordWaitsForRoom fills a real file system under a recording: it goes on
// when there is room again, and what was received in between is there.
func TestRecordWaitsForRoom(t *testing.T) {
	dir := mountSmall(t, 16)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(dir, "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "s", "--on-full", "wait")
	p.until("recording session")
	conn := dialBroker(t, broker.URL())
	body := strings.Repeat("x", 10_000)
	const sent = 400 // 4 MB: more than is free, and less than fits into memory
	for i := range sent {
		m := capture.Outgoing{To: "queue://Connector1", JMSType: new("MakeCall#1001"), Body: []byte(fmt.Sprint(i, body))}
		if err := conn.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.until("waiting for room")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.until("there is room again")
	waitStored(t, db, "s", sent)
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	_, rows, gaps := tally(t, db, "s")
	if rows != sent || len(gaps) != 0 {
		t.Errorf("%d rows of %d, gaps %+v", rows, sent, gaps)
	}
}

// TestRecordStopsOnAFullFileSystem: what was received and could not be stored
// is a gap row with its number, written into the room of the reserve.
func TestRecordStopsOnAFullFileSystem(t *testing.T) {
	dir := mountSmall(t, 8)
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(dir, "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "s")
	p.until("recording session")
	conn := dialBroker(t, broker.URL())
	body := strings.Repeat("x", 10_000)
	for i := range 3000 { // 30 MB into 8
		m := capture.Outgoing{To: "queue://Connector1", JMSType: new("MakeCall#1001"), Body: []byte(fmt.Sprint(i, body))}
		if err := conn.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	p.until("recording stopped")
	if code := p.end(nil); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	_, rows, gaps := tally(t, db, "s")
	if rows == 0 || len(gaps) != 1 || gaps[0].Reason != capture.GapStopped || gaps[0].Lost == nil || *gaps[0].Lost == 0 {
		t.Errorf("%d rows, gaps %+v; it said %s", rows, gaps, p.said())
	}
	c := wholeLedger(t, db, "s") // what waited on disk is no longer known by destination
	if c.Stored != int64(rows) || c.Received != c.Stored+c.Doubled+c.Lost || len(gaps) == 1 && c.Lost != *gaps[0].Lost {
		t.Errorf("the ledger does not add up: %+v, %d rows, gaps %+v", c, rows, gaps)
	}
	session, _ := records(t, db, "s")
	if session.EndedAt == nil || !strings.Contains(session.EndReason, "no space left") {
		t.Errorf("ended %v: %s", session.EndedAt, session.EndReason)
	}
}
