package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"gctap/replay"
)

// A keyboard hands on what is typed, key by key. Where the terminal gives whole
// lines only, a key is the first of its line, and an empty line is Enter.
type keyboard struct {
	keys    <-chan byte // closed at the end of the input
	restore func()
}

// errBackground says that a terminal is another's: to read from it would stop
// the process.
var errBackground = errors.New("in the background")

// openKeyboard reads keys until the input ends. On a terminal, a key comes
// without Enter, and the terminal is as it was once ctx is done or restore is
// called. The goroutine that reads ends with the input.
func openKeyboard(ctx context.Context, in io.Reader) *keyboard {
	keys := make(chan byte)
	k := &keyboard{keys: keys, restore: func() {}}
	lines := false
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		undo, err := singleKeys(int(file.Fd()))
		switch {
		case errors.Is(err, errBackground):
			close(keys)
			return k
		case err != nil:
			lines = true
		default:
			k.restore = sync.OnceFunc(undo)
			context.AfterFunc(ctx, k.restore) // a second Ctrl-C ends the process at once
		}
	}
	go readKeys(ctx, in, lines, keys)
	return k
}

func readKeys(ctx context.Context, in io.Reader, lines bool, keys chan<- byte) {
	defer close(keys)
	from := bufio.NewReader(in)
	for {
		key, err := from.ReadByte()
		if err == nil && lines && key != '\n' {
			_, err = from.ReadString('\n')
		}
		if err != nil {
			return
		}
		select {
		case keys <- key:
		case <-ctx.Done():
			return
		}
	}
}

// A console steers a replay by keys.
type console struct {
	control *replay.Control
	say     *talker
	step    bool // any key that means nothing else sends a command
	stop    context.CancelCauseFunc
	prompt  *prompt // asks a person; nil: nobody is asked

	mu     sync.Mutex
	told   *replay.Step // before which it was said to stand
	stands bool
	deaf   bool // no more keys will come
}

// steer follows the keys until they end or ctx is done.
func (c *console) steer(ctx context.Context, keys <-chan byte) {
	for {
		select {
		case key, ok := <-keys:
			if !ok {
				c.end()
				return
			}
			c.key(key)
		case <-ctx.Done():
			return
		}
	}
}

// keyHelp is what the keys do.
const keyHelp = "space: pause, go on; s or Enter: one command; c: go on without stepping; q: stop"

// key does what a key means.
func (c *console) key(key byte) {
	switch {
	case c.prompt != nil && c.prompt.key(key):
	case key == 'q' || key == 3: // Ctrl-C, where the terminal makes no signal of it
		c.stop(errInterrupted)
	case key == 'c':
		c.control.Resume()
	case key == '?' || key == 'h':
		c.say.line("%s", keyHelp)
	case c.step || key == 's' || key == '\n' || key == '\r':
		c.control.Step()
	case key == ' ' && c.control.Progress().Stands:
		c.control.Resume()
	case key == ' ':
		c.control.Pause()
	}
}

// end is told that no more keys will come: a replay that stands would do so for
// ever.
func (c *console) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
	if c.prompt != nil {
		c.prompt.end()
	}
	c.stuck()
}

func (c *console) stuck() {
	if c.deaf && c.stands {
		c.stop(usagef("the replay stands%s, and no key can come: standard input has ended", standsBefore(c.told)))
	}
}

// progress says where the replay stands when it does.
func (c *console) progress(p replay.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := p.Stands && (!c.stands || p.Before != c.told)
	c.stands, c.told = p.Stands, p.Before
	if fresh {
		why := ""
		if p.Broke {
			why = ", a breakpoint"
		}
		c.say.line("stands%s%s; %s", standsBefore(p.Before), why, keyHelp)
	}
	c.stuck()
}

func standsBefore(s *replay.Step) string {
	if s == nil {
		return ""
	}
	return " before " + s.String()
}
