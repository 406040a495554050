package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/replay/gcsim"
)

// TestActiveMQPseudonymisedReplay goes the whole way on a real broker: record,
// hand on without names, write the names back to a map file, replay the public
// session where it came from, and compare.
func TestActiveMQPseudonymisedReplay(t *testing.T) {
	slow(t)
	broker := startActiveMQ(t, brokertest.Options{Mirror: true})
	dir := t.TempDir()
	db, key := filepath.Join(dir, "t.db"), filepath.Join(dir, "pseudonym.key")
	public, names := filepath.Join(dir, "public.gctap"), filepath.Join(dir, "names.txt")
	credentials, _ := credentialsFile(t, dir)
	serve := func(seed uint64) *gcsim.Server {
		cfg := gcsim.Config{Site: shiftSite, Seed: seed, DelayMax: 10 * time.Millisecond, AnswerTime: 20 * time.Millisecond, Camp: 5 * time.Second}
		gc, err := gcsim.Serve(t.Context(), dialBroker(t, broker.URL()), "", cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		return gc
	}
	run := func(want int, args ...string) {
		t.Helper()
		p := gctap(t, db, args...)
		if code := p.end(nil); code != want {
			t.Fatalf("%q: exit %d: %s%s", args, code, p.out.String(), p.said())
		}
	}
	gc := serve(1)
	p := gctap(t, db, "record", broker.URL(), "--name", "incident")
	p.until("recording session")
	shift, err := gcsim.Shift(shiftSite)
	if err != nil {
		t.Fatal(err)
	}
	if err := gcsim.RunScenario(t.Context(), func() (capture.Link, error) { return dialBroker(t, broker.URL()), nil }, shift); err != nil {
		t.Fatal(err)
	}
	counts := gc.Counts()
	waitStored(t, db, "incident", int(counts.Commands+counts.Events))
	if code := p.end(os.Interrupt); code != exitOK {
		t.Fatalf("record: exit %d: %s", code, p.said())
	}
	gc.Close()
	run(exitOK, "export", "incident", "--pseudonymise", "--pseudonym-key", key, "-o", public)
	run(exitOK, "verify", public)
	run(exitOK, "export", public, "--reveal", key, "-o", names)
	gc = serve(2)
	run(exitOK, "replay", public, "--to", broker.URL(), "--name", "again", "--map-file", names, "--credentials", credentials, "--sync", "cause",
		"--stimulus", "sim", "--look", "50ms", "--allow-source", "--diff")
	gc.Close()
	again := filepath.Join(dir, "again.gctap")
	run(exitOK, "export", "again", "--pseudonymise", "--pseudonym-key", key, "-o", again)
	run(exitOK, "diff", public, again)
}
