package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/replay"
)

// TestShrink shrinks the shift to what shows a planted fault, on one GC that
// every try finds as the last one left it, and replays the result.
func TestShrink(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, t.TempDir())
	shrink := func(lab laboratory, args ...string) []string {
		return append([]string{"shrink", "incident", "--to", lab.URL(), "--stimulus", "sim", "--timeout", "500ms", "--look", "50ms",
			"--allow-source", "--credentials", credentials}, args...)
	}
	t.Run("the least", func(t *testing.T) {
		lab := startLaboratory(t, 91, "change:1003/State:READY.label=Luncheon")
		p := gctap(t, db, shrink(lab, "--fail-on", `changed: name == "State" && fields.label == "Luncheon"`, "--json",
			"--filter", `agent in ["1003", "1005"]`)...)
		if code := p.end(nil); code != exitOK {
			t.Fatalf("exit %d: %s%s", code, p.out.String(), p.said())
		}
		var r shrunkJSON
		if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		_, kept := records(t, db, r.Name)
		var names []string
		for _, rec := range kept {
			if rec.Direction == capture.Command {
				name, _, _ := strings.Cut(*rec.JMSType, "#")
				names = append(names, name)
			}
		}
		if got := strings.Join(names, " "); got != "Connect Login MakeReady" || !r.Least || r.Name != "incident-shrunk" || r.Commands != 3 {
			t.Errorf("shrunk to %s: %+v\n%s", got, r, p.said())
		}
		again := words(strings.TrimPrefix(r.Replay, "gctap "))
		q := gctap(t, db, append(again, "--look", "50ms")...)
		if code := q.end(nil); code != exitNegative || !strings.Contains(q.out.String(), `label: "Luncheon"`) {
			t.Errorf("%s: exit %d: %s%s", r.Replay, code, q.out.String(), q.said())
		}
	})
	t.Run("a message of GC", func(t *testing.T) {
		lab := startLaboratory(t, 92, "error:1001/HoldCall=GENERIC")
		p := gctap(t, db, shrink(lab, "--fail-on", `name == "Error" && fields.errorCode == "GENERIC"`, "--tries", "2", "--name", "held")...)
		if code := p.end(nil); code != exitIncomplete || !strings.Contains(p.out.String(), ", held: ") || !strings.Contains(p.out.String(), "after 2 tries; smaller ones were not all tried") {
			t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
		}
	})
	t.Run("nothing to shrink", func(t *testing.T) {
		p := gctap(t, db, shrink(startLaboratory(t, 93), "--fail-on", "different")...)
		if code := p.end(nil); code != exitNegative || !strings.Contains(p.said(), "does not fail on different") {
			t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		lab := startLaboratory(t, 94, "change:1003/State:READY.label=Luncheon")
		p := gctap(t, db, shrink(lab, "--fail-on", "changed", "--name", "as far as it came")...)
		p.until("^try 1: ")
		if code := p.end(os.Interrupt); code != exitInterrupted || !strings.Contains(p.out.String(), "as far as it came") {
			t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
		}
	})
	for want, args := range map[string][]string{
		"needs what to look for":  {},
		"a filter follows":        {"--fail-on", "changed: "},
		`no name "nam"`:           {"--fail-on", `changed: nam == "State"`},
		"nobody wants":            {"--fail-on", "different", "--stimulus", "prompt"},
		"--reset /nowhere/at-all": {"--fail-on", "different", "--reset", "/nowhere/at-all"},
	} {
		p := gctap(t, db, shrink(startLaboratory(t, 95), args...)...)
		if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), want) {
			t.Errorf("%v: exit %d: %s", args, code, p.said())
		}
	}
}

// TestPlayed: what a slice shows counts where no conversation stopped that the
// whole session played to its end.
func TestPlayed(t *testing.T) {
	stops := func(names ...string) (all []replay.Stopped) {
		for _, name := range names {
			all = append(all, replay.Stopped{Conversation: name})
		}
		return all
	}
	for _, tt := range []struct {
		slice, whole []replay.Stopped
		want         bool
	}{
		{nil, nil, true},
		{nil, stops("1001"), true},
		{stops("1001"), stops("1001", "1002"), true},
		{stops("1001"), nil, false},
		{stops("1001"), stops("1002"), false},
	} {
		if got := played(tt.slice, tt.whole); got != tt.want {
			t.Errorf("a slice that stops %v, of a session that stops %v: %t", tt.slice, tt.whole, got)
		}
	}
}

// TestShrinkOnActiveMQ does the same on a real broker, for a fault that a call
// shows: each try finds the GC as the last one left it.
func TestShrinkOnActiveMQ(t *testing.T) {
	slow(t)
	b := startActiveMQ(t, brokertest.Options{Mirror: true})
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShiftOn(t, startGC(t, b, shiftSite, 1), shiftSite, db, 20*time.Millisecond)
	credentials, _ := credentialsFile(t, dir)
	lab := startGC(t, b, shiftSite, 96, "change:1003/InboundCall:ACTIVE.callType=TRANSFER")
	p := gctap(t, db, "shrink", "incident", "--to", lab.URL(), "--stimulus", "sim", "--timeout", "1s", "--look", "50ms", "--allow-source",
		"--credentials", credentials, "--fail-on", `changed: name == "InboundCall" && fields.callType == "TRANSFER"`, "--json")
	code := p.end(nil)
	var r shrunkJSON
	if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
		t.Fatalf("exit %d: %v: %s", code, err, p.said())
	}
	if code != exitOK || !r.Least || r.Commands != 4 || r.Stimuli != 1 { // Connect, Login, MakeReady, AnswerCall, and the call
		t.Errorf("exit %d: %+v\n%s", code, r, p.said())
	}
}
