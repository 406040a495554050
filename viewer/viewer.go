// Package viewer is the terminal viewer: it feeds keys to a model.Model, has
// the work done that the model asks for, and draws what the model holds. It
// decides nothing itself; what a key does stands in model.Bindings.
//
// One goroutine owns model and screen. Tasks are worked on in another, one at a
// time for what is shown and one beside it, so that a slow disk never keeps a key waiting.
package viewer

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"

	"gctap/store"
	"gctap/viewer/model"
)

// Options say how to begin and how to look.
type Options struct {
	Session *store.Session // show its messages; nil: the list of sessions
	Plain   bool           // no colours
	Light   bool           // the terminal's background is light

	// Compare is shown instead of a session; the Source is model.TwoSources.
	Compare *model.Comparison

	// Replay is steered from the viewer, which shows its console first.
	Replay model.Player

	Filter   *store.Filter // of the messages of Session, or of the one replayed
	Filters  []string      // filters that were written before, oldest first
	CopyFile string        // what is copied is written to it too
	Desk     model.Desk
	Remember func(filters []string) // told at the end; nil: nobody is
}

// clipboardLimit is what terminals take in one sequence, in bytes of text.
const clipboardLimit = 74_000

// tick is how often a session that is being recorded is looked at.
const tick = 100 * time.Millisecond

// slow is how long a task may take before the screen says what is awaited.
const slow = 300 * time.Millisecond

// Run shows the viewer on the terminal until the user quits or ctx ends, and
// then leaves the terminal as it found it, after a panic too.
func Run(ctx context.Context, src model.Source, o Options) error {
	screen, err := tcell.NewScreen()
	if err != nil {
		return fmt.Errorf("the viewer needs a terminal ($TERM): %w", err)
	}
	return RunOn(ctx, screen, src, o)
}

// RunOn is Run on a given screen, which it initialises and gives back.
func RunOn(ctx context.Context, screen tcell.Screen, src model.Source, o Options) error {
	if err := screen.Init(); err != nil {
		return fmt.Errorf("the viewer needs a terminal: %w", err)
	}
	defer screen.Fini() // runs in a panic too, before its text is printed
	screen.EnableMouse(tcell.MouseButtonEvents)
	screen.EnablePaste()

	m := model.New()
	m.Desk, m.Filters = o.Desk, model.NewHistory(o.Filters)
	switch {
	case o.Compare != nil:
		m.Compare(*o.Compare)
	case o.Replay != nil:
		m.Replay(o.Replay)
	case o.Session != nil:
		m.Open(*o.Session)
	}
	if o.Filter != nil {
		m.SetFilter(o.Filter)
	}
	if o.Replay != nil {
		m.Switch(model.Console)
	}
	if o.Remember != nil {
		defer func() { o.Remember(m.Filters.Lines()) }()
	}
	l := &loop{screen: screen, model: m, src: src, theme: themeOf(o.Plain, o.Light), copyFile: o.CopyFile, events: make(chan tcell.Event, 64), parts: make(chan part), tasks: map[*model.Task]*running{}}
	quit := make(chan struct{})
	defer close(quit)
	go screen.ChannelEvents(l.events, quit)
	ctx, cancel := context.WithCancel(ctx)
	defer l.wait()
	defer cancel()
	return l.run(ctx)
}

// loop is what the one goroutine works on.
type loop struct {
	screen tcell.Screen
	model  *model.Model
	src    model.Source
	theme  theme
	events chan tcell.Event
	parts  chan part // of the answers to tasks, in order
	tasks  map[*model.Task]*running

	copyFile string
	buttons  tcell.ButtonMask // that are down
	pasting  bool             // what comes as keys is pasted
}

// part is a part of the answer to a task, or its end, which may be the panic of
// the goroutine that worked on it.
type part struct {
	task  *model.Task
	apply func()
	last  bool
	err   error
	panic any
}

// running is a task under way.
type running struct {
	at       time.Time
	progress *model.Progress
	cancel   context.CancelFunc
}

// wait lets the tasks end. What they still have to show is of no use.
func (l *loop) wait() {
	for len(l.tasks) > 0 {
		if p := <-l.parts; p.last {
			delete(l.tasks, p.task)
		}
	}
}

func (l *loop) run(ctx context.Context) error {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	l.model.Resize(l.screen.Size())
	for !l.model.Quit() {
		l.work(ctx)
		l.copy()
		l.draw()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case ev := <-l.events:
			l.event(ev)
			l.drain()
		case p := <-l.parts:
			l.answer(p)
		case <-ticks.C:
			l.model.Tick()
		}
	}
	return nil
}

// drain takes in the events that wait, so that a burst of keys is drawn once.
func (l *loop) drain() {
	for !l.model.Quit() {
		select {
		case ev := <-l.events:
			l.event(ev)
		default:
			return
		}
	}
}

// work begins what the model wants done next, stops what it wants no longer,
// and tells what takes long.
func (l *loop) work(ctx context.Context) {
	for t := l.model.Next(); t != nil; t = l.model.Next() {
		l.begin(ctx, t)
	}
	for t, r := range l.tasks {
		switch {
		case l.model.Stop(t):
			r.cancel()
		case time.Since(r.at) > slow:
			t.Progress(strings.TrimSpace(t.What + " … " + r.progress.String()))
		}
	}
}

func (l *loop) begin(ctx context.Context, t *model.Task) {
	ctx, cancel := context.WithCancel(ctx)
	progress := model.NewProgress(func(apply func()) { l.parts <- part{task: t, apply: apply} })
	l.tasks[t] = &running{time.Now(), progress, cancel}
	go func() {
		end := part{task: t, last: true}
		defer func() {
			end.panic = recover() // told by the goroutine that owns the terminal
			l.parts <- end
		}()
		end.apply, end.err = t.Do(ctx, l.src, progress)
	}()
}

// answer takes in a part of an answer.
func (l *loop) answer(p part) {
	if !p.last {
		l.model.Part(p.task, p.apply)
		return
	}
	l.tasks[p.task].cancel()
	delete(l.tasks, p.task)
	if p.panic != nil {
		panic(p.panic)
	}
	l.model.Done(p.task, p.apply, p.err)
}

func (l *loop) event(ev tcell.Event) {
	switch ev := ev.(type) {
	case *tcell.EventResize:
		l.model.Resize(ev.Size())
		l.screen.Sync()
	case *tcell.EventPaste:
		l.pasting = ev.Start()
	case *tcell.EventKey:
		l.key(ev)
	case *tcell.EventMouse:
		l.mouse(ev)
	}
	if l.model.TakeRedraw() {
		l.screen.Sync()
	}
}

// key passes on a key. What is pasted is text for the line that is written: it
// is not done with its first line, and where there is no line it is nothing.
func (l *loop) key(ev *tcell.EventKey) {
	switch {
	case !l.pasting:
		l.model.Key(keyName(ev))
	case l.model.Asking() == nil:
	case ev.Key() == tcell.KeyRune:
		l.model.Key(keyName(ev))
	default: // the end of a line, a tabulator
		l.model.Key("Space")
	}
}

// copy puts what the model wants copied on the clipboard of the terminal, which
// may be on another machine (OSC 52), and into the file.
func (l *loop) copy() {
	text, ok := l.model.TakeCopy()
	if !ok {
		return
	}
	if l.copyFile != "" {
		if err := os.WriteFile(l.copyFile, []byte(text), 0o600); err != nil {
			l.model.Notice = model.Printable(fmt.Sprintf("--copy-file: %v", err))
			return
		}
		l.model.Notice += ", also to " + model.Printable(l.copyFile)
	}
	switch tty, has := l.screen.Tty(); {
	case len(text) > clipboardLimit && l.copyFile == "":
		l.model.Notice = fmt.Sprintf("%d bytes are more than a terminal takes: start with --copy-file FILE", len(text))
	case len(text) > clipboardLimit:
		l.model.Notice = fmt.Sprintf("copied %d bytes to %s only: they are more than a terminal takes", len(text), model.Printable(l.copyFile))
	case has: // tcell knows only some terminals that understand it, tmux and screen not
		fmt.Fprintf(tty, "\x1b]52;c;%s\x07", base64.StdEncoding.EncodeToString([]byte(text)))
	default:
		l.screen.SetClipboard([]byte(text))
	}
}

// mouse passes on wheel and clicks: a press counts, not what follows while the
// button is down.
func (l *loop) mouse(ev *tcell.EventMouse) {
	buttons := ev.Buttons()
	switch {
	case buttons&tcell.WheelDown != 0:
		l.model.Key("WheelDown")
	case buttons&tcell.WheelUp != 0:
		l.model.Key("WheelUp")
	case buttons&^l.buttons&tcell.Button1 != 0:
		l.model.Click(ev.Position())
	}
	l.buttons = buttons
}

func (l *loop) draw() {
	Draw(l.screen, l.model, l.theme)
	l.screen.Show()
}

// keyName is a key as model.Bindings names it.
func keyName(ev *tcell.EventKey) string {
	switch {
	case ev.Key() == tcell.KeyRune && ev.Rune() == ' ':
		return "Space"
	case ev.Key() == tcell.KeyRune && ev.Modifiers()&^tcell.ModShift == 0:
		return string(ev.Rune())
	}
	return tcell.KeyNames[ev.Key()]
}
