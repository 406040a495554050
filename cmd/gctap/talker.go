package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Rules of what a long command says while it runs: all of it goes to standard
// error. A notice is one line and stays. The live line says where things stand;
// on a terminal it is rewritten in place, elsewhere it comes now and then.

// quietLive is how often the live line comes where there is no terminal.
const quietLive = 30 * time.Second

// A talker prints notices and one live line. Its methods may be called from
// any goroutine.
type talker struct {
	mu       sync.Mutex
	w        io.Writer
	width    func() int // of the terminal; nil where w is none
	live     string
	lastLive time.Time
}

func newTalker(w io.Writer) *talker {
	t := &talker{w: w, lastLive: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.width = func() int {
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
				return width
			}
			return 80
		}
	}
	return t
}

// line prints a notice.
func (t *talker) line(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	fmt.Fprintf(t.w, "%s\n", printable(fmt.Sprintf(format, args...)))
	if t.width != nil {
		fmt.Fprint(t.w, t.live)
	}
}

// status rewrites the live line.
func (t *talker) status(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.width == nil {
		if time.Since(t.lastLive) >= quietLive {
			t.lastLive = time.Now()
			fmt.Fprintln(t.w, printable(text))
		}
		return
	}
	t.erase()
	runes := []rune(printable(text))
	t.live = string(runes[:min(len(runes), t.width()-1)])
	fmt.Fprint(t.w, t.live)
}

// end removes the live line.
func (t *talker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	t.live = ""
}

func (t *talker) erase() {
	if t.width != nil && t.live != "" {
		fmt.Fprint(t.w, "\r\x1b[K")
	}
}
