package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gctap/capture"
)

// typedReplay starts a replay of the incident whose keys the test types.
func typedReplay(t *testing.T, db string, lab laboratory, args ...string) (*process, io.Writer) {
	t.Helper()
	credentials, _ := credentialsFile(t, t.TempDir())
	cmd := exec.Command("gctap", append([]string{"--db", db, "replay", "incident", "--to", lab.URL(), "--sync", "cause", "--stimulus", "sim",
		"--look", "50ms", "--allow-source", "--credentials", credentials}, args...)...)
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, cmd), keys
}

func press(t *testing.T, keys io.Writer, which string) {
	t.Helper()
	if _, err := io.WriteString(keys, which); err != nil {
		t.Fatal(err)
	}
}

func TestReplayStepsAndBreaks(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	_, all := records(t, db, "incident")
	t.Run("a key a command", func(t *testing.T) {
		lab := startLaboratory(t, 71)
		p, keys := typedReplay(t, db, lab, "--step", "--name", "stepped")
		for n := range 3 {
			p.until(`^stands before #\d+ `)
			if sent := lab.gc.Counts().Commands; sent > int64(n) {
				t.Errorf("%d commands reached GC before key %d", sent, n+1)
			}
			press(t, keys, "s")
		}
		p.until(`^stands before #\d+ `)
		press(t, keys, "c")
		if code := p.end(nil); code != exitOK {
			t.Errorf("exit %d: %s", code, p.said())
		}
	})
	t.Run("a breakpoint", func(t *testing.T) {
		p, keys := typedReplay(t, db, startLaboratory(t, 72), "--break", `name == "AnswerCall" && agent == "1001"`, "--name", "broken", "--diff")
		first := slices.IndexFunc(all, func(rec capture.Record) bool { return rec.JMSType != nil && *rec.JMSType == "AnswerCall#1001" })
		line := p.until("a breakpoint")
		if !regexp.MustCompile(`^stands before #\d+ AnswerCall of 1001 dialogId=\d+, a breakpoint; space`).MatchString(line) {
			t.Errorf("it said %q", line)
		}
		press(t, keys, "?")
		p.until("^space: pause")
		for _, rec := range all {
			if rec.JMSType != nil && *rec.JMSType == "AnswerCall#1001" && rec.Seq != all[first].Seq {
				press(t, keys, "c")
				p.until("a breakpoint")
			}
		}
		press(t, keys, "c")
		if code := p.end(nil); code != exitOK {
			t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
		}
	})
	t.Run("no keys", func(t *testing.T) {
		credentials, _ := credentialsFile(t, t.TempDir())
		p := gctap(t, db, "replay", "incident", "--to", startLaboratory(t, 73).URL(), "--look", "50ms", "--allow-source",
			"--credentials", credentials, "--step", "--name", "deaf")
		if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), "standard input has ended") {
			t.Errorf("exit %d: %s", code, p.said())
		}
	})
	for name, stop := range map[string]func(p *process, keys io.Writer) int{
		"Ctrl-C": func(p *process, _ io.Writer) int { return p.end(os.Interrupt) },
		"q":      func(p *process, keys io.Writer) int { press(t, keys, "q"); return p.end(nil) },
	} {
		t.Run(name+" while it stands", func(t *testing.T) {
			p, keys := typedReplay(t, db, startLaboratory(t, 74), "--break", `name == "MakeReady"`, "--name", "stopped "+name)
			p.until("a breakpoint")
			if code := stop(p, keys); code != exitInterrupted {
				t.Errorf("exit %d: %s", code, p.said())
			}
			s, kept := records(t, db, "stopped "+name)
			if s.EndedAt == nil || s.EndReason != "interrupted" || len(kept) == 0 || len(kept) >= len(all) {
				t.Errorf("session %+v", s)
			}
		})
	}
}

// TestReplaySlice plays parts of the shift, and compares those.
func TestReplaySlice(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	p := gctap(t, db, "replay", "incident", "--dry-run", "--filter", `agent == "1002"`)
	if code := p.end(nil); code != exitOK || !strings.Contains(p.out.String(), "left out ") {
		t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
	}
	_, all := records(t, db, "incident")
	// Up to the first call: its agent's RESERVED comes before it, or after.
	call := slices.IndexFunc(all, func(rec capture.Record) bool {
		body := string(rec.Body)
		return strings.Contains(body, "#NewInboundCall#") || strings.Contains(body, "#State#RESERVED#")
	})
	for i, slice := range []string{fmt.Sprintf("seq < %d", call), `!(name in ["GetPhonebooks", "GetTeamPhonebooks"])`} {
		r, _ := typedReplay(t, db, startLaboratory(t, 75+uint64(i)), "--filter", slice, "--name", fmt.Sprint("slice ", i), "--rate", "200", "--diff")
		if code := r.end(nil); code != exitOK || !strings.Contains(r.out.String(), "same: ") {
			t.Errorf("%s: exit %d: %s%s", slice, code, r.out.String(), r.said())
		}
	}
	for _, tt := range []struct{ want, expression string }{
		{`column 1: no name "agnet"`, `agnet == "1"`}, {"accepts no command", `agent == "9"`},
	} {
		p := gctap(t, db, "replay", "incident", "--dry-run", "--filter", tt.expression)
		if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), tt.want) {
			t.Errorf("exit %d: %s", code, p.said())
		}
	}
}

func TestReplayMapFile(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShift(t, db)
	for text, want := range map[string]string{
		"# people\n\nagent:1001=2001\ndest:desk=lab\n": "",
		"# people\nagent 1001=2001\n":                  "line 2: map \"agent 1001=2001\"",
	} {
		file := filepath.Join(dir, "names.map")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := gctap(t, db, "replay", "incident", "--dry-run", "--map-file", file)
		if code := p.end(nil); (code == exitOK) != (want == "") || !strings.Contains(p.said(), want) {
			t.Errorf("%q: exit %d: %s", text, code, p.said())
		}
	}
	p := gctap(t, db, "replay", "incident", "--dry-run", "--map-file", filepath.Join(dir, "nothing"))
	if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), "--map-file") {
		t.Errorf("exit %d: %s", code, p.said())
	}
}
