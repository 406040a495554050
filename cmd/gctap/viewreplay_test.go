package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// consoleIn starts the viewer with a replay of the incident in a terminal.
func consoleIn(t *testing.T, db string, lab laboratory, args string) *tmux {
	t.Helper()
	return consoleOf(t, "incident", db, lab, args)
}

func consoleOf(t *testing.T, session, db string, lab laboratory, args string) *tmux {
	t.Helper()
	credentials, _ := credentialsFile(t, t.TempDir())
	return startTmux(t, fmt.Sprintf("gctap --db %s view %s --to %s --sync cause --stimulus sim --look 50ms --allow-source --credentials %s %s%s",
		db, session, lab.URL(), credentials, args, afterwards))
}

// TestViewReplays steers a replay from the viewer, to its end and to a stop in
// its middle.
func TestViewReplays(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	_, all := records(t, db, "incident")
	_, secrets := credentialsFile(t, t.TempDir())

	t.Run("to its end", func(t *testing.T) {
		lab := startLaboratory(t, 81)
		term := consoleIn(t, db, lab, "--name again")
		term.sees("ready: Space starts", "sent 0 of ", "4 replay")
		if sent := lab.gc.Counts().Commands; sent != 0 {
			t.Errorf("%d commands reached GC before the start", sent)
		}
		term.keys("s")
		term.sees("stands before #", "sent 1 of ")
		term.keys("s")
		term.sees("stands before #", "sent 2 of ")
		term.keys("b", `name == "AnswerCall"`, "Enter")
		term.sees("stands before: name == ")
		term.keys("c")
		term.sees("at a breakpoint: stands before #", "AnswerCall")
		term.keys("Enter")
		term.sees("detail  message", "AnswerCall")
		term.keys("q", "1")
		term.sees("incident  ", "AnswerCall", "WHAT")
		term.keys("4", "b", "C-u", "Enter", "c")
		term.sees("ended: o opens the new session, again")
		term.keys("o")
		screen := term.sees("again  ", "Login")
		for _, secret := range secrets {
			if strings.Contains(screen, secret) {
				t.Errorf("a password is on the screen:\n%s", screen)
			}
		}
		term.keys("C-c")
		term.restored(0)
		if s, kept := records(t, db, "again"); s.EndedAt == nil || s.EndReason != "done" || len(kept) < len(all)/2 {
			t.Errorf("session %+v of %d records", s, len(kept))
		}
		d := gctap(t, db, "diff", "incident", "again")
		if code := d.end(nil); code != exitOK {
			t.Errorf("diff: exit %d: %s%s", code, d.out.String(), d.said())
		}
	})
	t.Run("to a stop", func(t *testing.T) {
		term := consoleIn(t, db, startLaboratory(t, 82), `--name stopped --break 'name == "MakeReady"'`)
		term.sees("ready: Space starts", `stands before: name == "MakeReady"`)
		term.keys("Space")
		term.sees("at a breakpoint: stands before #", "MakeReady")
		term.keys("C-c")
		term.restored(exitInterrupted)
		s, kept := records(t, db, "stopped")
		if s.EndedAt == nil || s.EndReason != "interrupted" || len(kept) == 0 || len(kept) >= len(all) {
			t.Errorf("session %+v of %d records", s, len(kept))
		}
	})
	t.Run("not started", func(t *testing.T) {
		term := consoleIn(t, db, startLaboratory(t, 83), "--name never")
		term.sees("ready: Space starts")
		term.keys("C-c")
		term.restored(0)
		p := gctap(t, db, "show", "never")
		if code := p.end(nil); code != exitFailed {
			t.Errorf("there is a session: exit %d: %s", code, p.said())
		}
	})
	t.Run("incomplete", func(t *testing.T) {
		term := consoleIn(t, db, startLaboratory(t, 84), "--name lacking --stimulus none --timeout 100ms")
		term.sees("ready: Space starts")
		term.keys("Space")
		term.sees("ended: o opens the new session, lacking", "did not come: ")
		term.keys("C-c")
		term.restored(exitIncomplete)
	})
	t.Run("from a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "incident.gctap")
		if p := gctap(t, db, "export", "incident", "-o", file); p.end(nil) != exitOK {
			t.Fatal(p.said())
		}
		own := filepath.Join(t.TempDir(), "own.db")
		term := consoleOf(t, file, own, startLaboratory(t, 85), `--name apart --break 'name == "MakeReady"'`)
		term.sees("ready: Space starts")
		term.keys("Space")
		term.sees("at a breakpoint")
		term.keys("o")
		term.sees("apart  LIVE", "Login")
		term.keys("g", "m")
		term.sees("*     1 ")
		term.keys("4", "X")
		term.sees("ended: o opens the new session, apart")
		term.keys("C-c")
		term.restored(exitInterrupted)
		s, kept := records(t, own, "apart")
		if s.EndedAt == nil || s.EndReason != "interrupted" || len(kept) == 0 {
			t.Errorf("session %+v of %d records", s, len(kept))
		}
	})
	t.Run("the broker that was recorded", func(t *testing.T) {
		term := startTmux(t, fmt.Sprintf("gctap --db %s view incident --to %s --credentials /dev/null%s", db, startLaboratory(t, 86).URL(), afterwards))
		term.sees("refused", "--allow-source")
		term.restored(exitFailed)
	})
	t.Run("refused", func(t *testing.T) {
		term := startTmux(t, fmt.Sprintf("gctap --db %s view incident --to stomp://127.0.0.1:1 --credentials /nowhere%s", db, afterwards))
		term.sees("gctap: --credentials: open /nowhere")
		term.restored(exitFailed)
	})
}

func TestViewReplayFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"--speed is about a replay: it needs --to BROKER": {"view", "incident", "--speed", "2"},
		"--to replays one session":                        {"view", "--to", "stomp://lab:61613"},
		"--stimulus prompt":                               {"view", "incident", "--to", "stomp://lab:61613", "--stimulus", "prompt"},
	} {
		p := gctap(t, filepath.Join(t.TempDir(), "t.db"), args...)
		if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), want) {
			t.Errorf("%v: exit %d: %s", args, code, p.said())
		}
	}
}
