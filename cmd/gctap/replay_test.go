package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
	"gctap/store"
)

// laboratory is a broker with a simulated GC of the given behaviour on it.
type laboratory struct {
	*brokertest.Broker
	gc *gcsim.Server
}

var shiftSite = gcsim.NewSite(5)

func startLaboratory(t *testing.T, seed uint64, faults ...string) laboratory {
	t.Helper()
	return startLaboratoryOf(t, shiftSite, seed, faults...)
}

func startLaboratoryOf(t *testing.T, site *gcsim.Site, seed uint64, faults ...string) laboratory {
	t.Helper()
	return startGC(t, startBroker(t, brokertest.Options{Mirror: true}), site, seed, faults...)
}

// startGC lets a simulated GC serve a broker.
func startGC(t *testing.T, b *brokertest.Broker, site *gcsim.Site, seed uint64, faults ...string) laboratory {
	t.Helper()
	cfg := gcsim.Config{Site: site, Seed: seed, DelayMax: 10 * time.Millisecond, AnswerTime: 20 * time.Millisecond,
		Camp: 5 * time.Second, Faults: faults}
	gc, err := gcsim.Serve(t.Context(), dialBroker(t, b.URL()), "", cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gc.Close() })
	return laboratory{b, gc}
}

// recordShift records the shift as "incident" and returns how many messages it
// has.
func recordShift(t *testing.T, db string) {
	t.Helper()
	recordShiftOf(t, shiftSite, db)
}

func recordShiftOf(t *testing.T, site *gcsim.Site, db string) {
	t.Helper()
	recordShiftOn(t, startLaboratoryOf(t, site, 1), site, db, 40*time.Millisecond)
}

// recordShiftOn records the shift of a site's people, who think before each
// command; the GC is closed then.
func recordShiftOn(t *testing.T, lab laboratory, site *gcsim.Site, db string, think time.Duration) {
	t.Helper()
	p := gctap(t, db, "record", lab.URL(), "--name", "incident")
	p.until("recording session")
	shift, err := gcsim.Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	shift.Think = think
	if err := gcsim.RunScenario(t.Context(), func() (capture.Link, error) { return dialBroker(t, lab.URL()), nil }, shift); err != nil {
		t.Fatal(err)
	}
	counts := lab.gc.Counts()
	waitStored(t, db, "incident", int(counts.Commands+counts.Events))
	if code := p.end(os.Interrupt); code != exitOK {
		t.Fatalf("record: exit %d: %s", code, p.said())
	}
	if err := lab.gc.Close(); err != nil {
		t.Error(err)
	}
}

// credentialsFile has the passwords of everybody on the site.
func credentialsFile(t *testing.T, dir string) (file string, secrets []string) {
	t.Helper()
	return credentialsFileOf(t, shiftSite, dir)
}

func credentialsFileOf(t *testing.T, site *gcsim.Site, dir string) (file string, secrets []string) {
	t.Helper()
	var b strings.Builder
	for _, p := range site.People {
		fmt.Fprintf(&b, "%s,%s\n", p.ID, p.Password)
		secrets = append(secrets, p.Password)
	}
	file = filepath.Join(dir, "credentials.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, secrets
}

func TestReplayAndDiff(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShift(t, db)
	credentials, secrets := credentialsFile(t, t.TempDir())
	replayOn := func(lab laboratory, args ...string) *process {
		return gctap(t, db, append([]string{"replay", "incident", "--to", lab.URL(), "--sync", "cause", "--stimulus", "sim",
			"--look", "50ms", "--allow-source", "--credentials", credentials}, args...)...)
	}
	var said []*process

	t.Run("an equal GC is the same", func(t *testing.T) {
		p := replayOn(startLaboratory(t, 99), "--name", "again", "--diff")
		code := p.end(nil)
		if code != exitOK || !strings.HasPrefix(p.out.String(), "same: ") {
			t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
		}
		said = append(said, p)
	})
	t.Run("a fault is found", func(t *testing.T) {
		lab := startLaboratory(t, 98, "change:State:NOT_READY.label=Luncheon@2")
		p := replayOn(lab, "--name", "faulty")
		if code := p.end(nil); code != exitOK {
			t.Errorf("replay: exit %d: %s", code, p.said())
		}
		d := gctap(t, db, "diff", "incident", "faulty", "--format", "json")
		if code := d.end(nil); code != exitNegative {
			t.Errorf("diff: exit %d: %s", code, d.said())
		}
		var r struct{ Differences []diff.Difference }
		if err := json.Unmarshal(d.out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		planted := lab.gc.Planted()
		if len(planted) != 1 || len(r.Differences) != 1 {
			t.Fatalf("planted %+v, found %s", planted, d.out.String())
		}
		if d := r.Differences[0]; d.Class != planted[0].Class || d.Conversation != planted[0].Conversation || d.Name != planted[0].Name || d.Fields[0].Field != "label" {
			t.Errorf("planted %+v, found %+v", planted, d)
		}
		said = append(said, p, d)
	})
	t.Run("without stimuli it stops", func(t *testing.T) {
		p := gctap(t, db, "replay", "incident", "--to", startLaboratory(t, 97).URL(), "--sync", "cause", "--timeout", "500ms",
			"--look", "50ms", "--allow-source", "--credentials", credentials, "--name", "quiet")
		if code := p.end(nil); code != exitIncomplete || !strings.Contains(p.said(), "waits for an inbound call from 5552001 to agent 1001") {
			t.Errorf("exit %d: %s", code, p.said())
		}
		said = append(said, p)
	})
	noSecrets(t, dir, secrets, said...)
}

func TestReplayRefuses(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, t.TempDir())
	lab := startLaboratory(t, 2)
	replayWith := func(args ...string) []string {
		return append([]string{"replay", "incident", "--to", lab.URL(), "--look", "50ms", "--credentials", credentials}, args...)
	}
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"the source's host", "--allow-source", replayWith()},
		{"no target", "--to", []string{"replay", "incident"}},
		{"no passwords", "--credentials FILE", []string{"replay", "incident", "--to", lab.URL(), "--allow-source"}},
		{"a file that is not there", "--credentials", []string{"replay", "incident", "--to", lab.URL(), "--credentials", "/nowhere"}},
		{"an unknown session", "no session", []string{"replay", "incidental", "--to", lab.URL()}},
		{"a wrong --sync", "--sync", replayWith("--sync", "maybe")},
		{"a wrong --speed", "--speed", replayWith("--speed", "0")},
		{"a wrong --map", "--map", replayWith("--map", "team:1=2")},
		{"a wrong --stimulus", "--stimulus", replayWith("--stimulus", "prayer")},
		{"a wrong --format", "--format", replayWith("--format", "pdf")},
		{"nobody there", "127.0.0.1:1", []string{"replay", "incident", "--to", "stomp://127.0.0.1:1", "--credentials", credentials}},
		{"one session to compare", "two sessions", []string{"diff", "incident"}},
		{"a session that is not there", "no session", []string{"diff", "incident", "nothing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := gctap(t, db, tt.args...)
			if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), tt.want) || strings.Count(p.said(), "gctap:") != 1 {
				t.Errorf("exit %d, want %q: %s", code, tt.want, p.said())
			}
		})
	}
	if n := lab.gc.Counts().Commands; n != 0 {
		t.Errorf("%d commands were sent", n)
	}
}

// TestReplayRefusesAPortForward: the recorded broker is known by its session
// header, whatever the address.
func TestReplayRefusesAPortForward(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	lab := startLaboratory(t, 1)
	recordShiftOn(t, lab, shiftSite, db, 0)
	credentials, _ := credentialsFile(t, t.TempDir())
	forward := gctap(t, filepath.Join(t.TempDir(), "forward.db"), "proxy", "--listen", "127.0.0.1:0", "--to", lab.Addr())
	p := gctap(t, db, "replay", "incident", "--to", "stomp://"+listening(forward), "--look", "50ms", "--credentials", credentials)
	if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), "it is the broker of the recording") {
		t.Errorf("exit %d: %s", code, p.said())
	}
	if code := forward.end(os.Interrupt); code != exitOK {
		t.Errorf("proxy: exit %d: %s", code, forward.said())
	}
}

// TestReplayRefusesGaps: a session with a gap is played only where that is
// wanted, and the evidence is incomplete then.
func TestReplayRefusesGaps(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	st, err := store.Open(t.Context(), db, store.Record)
	if err != nil {
		t.Fatal(err)
	}
	w, err := st.NewSession(t.Context(), store.SessionInfo{Name: "torn", Origin: store.OriginRecord, StartedAt: nine, SiteTZ: "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	ready := "MakeReady#1001"
	torn := []capture.Record{
		{CapturedAt: nine, Direction: capture.Command, Source: "stomp", To: "queue://" + gcsim.DefaultQueue, JMSType: &ready},
		capture.Gap{From: nine, To: nine.Add(time.Second), Reason: "reconnect"}.Record(),
	}
	if err := errors.Join(w.Write(t.Context(), capture.Batch{Records: torn}), w.End(t.Context(), "stopped"), st.Close()); err != nil {
		t.Fatal(err)
	}
	lab := startLaboratory(t, 2)
	for _, tt := range []struct {
		want string
		code int
		args []string
	}{
		{"--allow-gaps", exitFailed, nil},
		{"sent 1 of 1 commands", exitIncomplete, []string{"--allow-gaps"}},
	} {
		p := gctap(t, db, append([]string{"replay", "torn", "--to", lab.URL(), "--look", "50ms"}, tt.args...)...)
		if code := p.end(nil); code != tt.code || !strings.Contains(p.said(), tt.want) {
			t.Errorf("%v: exit %d: %s", tt.args, code, p.said())
		}
	}
}

// TestReplayRefusesLiveAgents: somebody else's events are heard on the target.
func TestReplayRefusesLiveAgents(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, t.TempDir())
	lab := startLaboratory(t, 2)
	conn := dialBroker(t, lab.URL())
	p := gctap(t, db, "replay", "incident", "--to", lab.URL(), "--look", "1m", "--allow-source", "--credentials", credentials)
	p.until("listening")
	stop := make(chan struct{})
	ended := make(chan int)
	go func() { ended <- p.end(nil) }()
	go func() { // until it is heard: the subscription may come after the line
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = conn.Send(t.Context(), capture.Outgoing{To: "topic://desk7", Body: []byte("7777#State#READY####t#A B#7777#3777##A B#ab")})
			}
		}
	}()
	code := <-ended
	close(stop)
	if code != exitFailed || !strings.Contains(p.said(), "7777") {
		t.Errorf("exit %d: %s", code, p.said())
	}
}

func TestReplayDryRun(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	p := gctap(t, db, "replay", "incident", "--dry-run")
	if code := p.end(nil); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	for _, want := range []string{"plan: ", "born at 1001 dialogId 1", "waits for an inbound call from 5552001 to agent 1001; needed by"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("no %q in:\n%s", want, p.out.String())
		}
	}
	p = gctap(t, db, "replay", "incident", "--dry-run", "--json")
	p.end(nil)
	for _, line := range strings.Split(strings.TrimSpace(p.out.String()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// TestReplayStopsCleanly interrupts a replay: what was received is kept.
func TestReplayStopsCleanly(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, t.TempDir())
	p := gctap(t, db, "replay", "incident", "--to", startLaboratory(t, 3).URL(), "--sync", "cause", "--timeout", "1m",
		"--look", "50ms", "--allow-source", "--credentials", credentials, "--name", "stopped")
	p.until("replaying incident")
	waitStored(t, db, "stopped", 5)
	if code := p.end(os.Interrupt); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, p.said())
	}
	d := gctap(t, db, "diff", "incident", "stopped")
	if code := d.end(nil); code != exitIncomplete {
		t.Errorf("diff: exit %d: %s%s", code, d.out.String(), d.said())
	}
}
