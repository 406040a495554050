package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gctap/capture"
	"gctap/store"
	"gctap/viewer"
	"gctap/viewer/model"
)

// A tmux is a terminal with one pane, in a server of its own.
type tmux struct {
	t      *testing.T
	socket string
	output chan struct{} // something was written to the pane
}

// startTmux runs a shell command in a pane of 80x24.
func startTmux(t *testing.T, command string) *tmux {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("GCTAP_REQUIRE_TMUX") != "" {
			t.Fatal("tmux is missing")
		}
		t.Skip("needs tmux")
	}
	dir, err := os.MkdirTemp("", "gctap-tmux-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	term := &tmux{t: t, socket: filepath.Join(dir, "s"), output: make(chan struct{}, 1)}
	fifo := filepath.Join(dir, "out")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	go term.listen(out)
	// The pane begins when its output is listened to.
	term.do("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "read go; "+command)
	t.Cleanup(func() { exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	term.do("set-option", "-g", "status", "off", ";", "set-option", "-g", "set-clipboard", "on")
	term.do("pipe-pane", "-o", "cat > "+fifo)
	term.do("send-keys", "Enter")
	return term
}

func (term *tmux) listen(out io.Reader) {
	buf := make([]byte, 4096)
	for {
		if _, err := out.Read(buf); err != nil {
			return
		}
		select {
		case term.output <- struct{}{}:
		default:
		}
	}
}

func (term *tmux) do(args ...string) string {
	term.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...)
	cmd.Env = append(os.Environ(), "TMUX=", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %s: %v: %s", args, err, out)
	}
	return string(out)
}

func (term *tmux) keys(keys ...string) {
	term.t.Helper()
	term.do(append([]string{"send-keys"}, keys...)...)
}

// sees waits until the pane holds all the texts, and returns what it holds.
func (term *tmux) sees(texts ...string) string {
	term.t.Helper()
	give := time.After(time.Minute)
	for {
		screen := term.do("capture-pane", "-p")
		missing := ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return screen
		}
		select {
		case <-term.output:
		case <-give:
			term.t.Fatalf("%q is not in the terminal:\n%s", missing, screen)
		}
	}
}

// afterwards is what a shell prints of a program's end and of its terminal.
const afterwards = `; echo "ended with $?"; stty -a | tr ';' '\n' | tr ' ' '\n' | grep -x -e echo -e icanon -e -echo -e -icanon | tr '\n' ' '; exec cat`

// restored checks that the terminal is as it was.
func (term *tmux) restored(status int) {
	term.t.Helper()
	term.sees(fmt.Sprint("ended with ", status), "icanon echo")
	if got := strings.TrimSpace(term.do("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}")); got != "0 0 1" {
		term.t.Errorf("alternate screen, mouse, cursor: %s", got)
	}
}

// viewStore holds a session of 100 messages of two agents.
func viewStore(t *testing.T) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "gctap.db")
	s, err := store.Open(t.Context(), db, store.Record)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := s.NewSession(t.Context(), store.SessionInfo{Name: "incident", Broker: "stomp://gc:61613"})
	if err != nil {
		t.Fatal(err)
	}
	var batch capture.Batch
	for n := range 100 {
		batch.Records = append(batch.Records, capture.Record{Direction: capture.Event, BodyKind: capture.Text, To: "topic://c", CapturedAt: time.Now(),
			Mono: time.Duration(n) * time.Second, Body: fmt.Appendf(nil, "%d#State#READY#%d#2026-11-21 12:00:00", 1001+n%2, n)})
	}
	if err := w.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestViewInATerminal is what a user does in a real one.
func TestViewInATerminal(t *testing.T) {
	db := viewStore(t)
	copied := filepath.Join(t.TempDir(), "copied")
	term := startTmux(t, fmt.Sprintf("gctap --db %s view --copy-file %s incident%s", db, copied, afterwards))
	term.sees("incident  100 messages", "     21 ", "? help")
	term.do("resize-window", "-x", "120", "-y", "40")
	term.sees("     37 ", "? help")
	term.do("resize-window", "-x", "80", "-y", "24")
	term.sees("? help")
	term.keys("/", `agent == "1002"`, "Enter")
	if screen := term.sees(`filter: agent == "1002"`, "     42 "); strings.Contains(screen, "1001     State") {
		t.Errorf("the filter lets others pass:\n%s", screen)
	}
	term.keys("m")
	term.sees("*     2 ")
	term.keys("y")
	term.sees("copied message 2")
	if text, err := os.ReadFile(copied); err != nil || !strings.HasSuffix(string(text), "1002#State#READY#1#2026-11-21 12:00:00") {
		t.Errorf("copied %q, %v", text, err)
	}
	if text := term.do("show-buffer"); !strings.HasSuffix(text, "1002#State#READY#1#2026-11-21 12:00:00") {
		t.Errorf("tmux was handed %q", text)
	}
	term.keys("2")
	term.sees("State READY", "GC")
	term.keys("1", "Enter")
	term.sees("detail  message 2 of incident", "state                 READY")
	term.keys("q", "q", "q")
	term.restored(0)
}

func TestViewGivesTheTerminalBack(t *testing.T) {
	t.Run("terminated", func(t *testing.T) {
		pid := filepath.Join(t.TempDir(), "pid")
		term := startTmux(t, fmt.Sprintf("(echo $(exec sh -c 'echo $PPID') > %s; exec gctap --db %s view incident)%s", pid, viewStore(t), afterwards))
		term.sees("incident  100 messages")
		text, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("kill", "-TERM", strings.TrimSpace(string(text))).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		term.restored(130)
	})
	t.Run("crashed", func(t *testing.T) {
		term := startTmux(t, "viewcrash"+afterwards)
		screen := func() string { return term.sees("ended with 2") }
		if got := screen(); !strings.Contains(got, "planted") && !strings.Contains(got, "goroutine") {
			t.Errorf("the crash says nothing:\n%s", got)
		}
		term.restored(2)
	})
}

// crashing is a Source that panics as soon as it is read.
type crashing struct{ model.Source }

func (crashing) Sessions(context.Context) ([]store.Session, error) { panic("planted") }

// viewCrash is a viewer that crashes, for the test above.
func viewCrash() { _ = viewer.Run(context.Background(), crashing{}, viewer.Options{}) }
