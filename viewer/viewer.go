// Package viewer is the terminal viewer: it feeds keys to a model.Model, has
// the work done that the model asks for, and draws what the model holds. It
// decides nothing itself; what a key does stands in model.Bindings.
//
// One goroutine owns model and screen. Tasks are worked on in another, one at a
// time, so that a slow disk never keeps a key waiting.
package viewer

import (
	"context"
	"fmt"
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

	// Compare is shown instead of a session; the Source is model.TwoSources.
	Compare *model.Comparison
}

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

	m := model.New()
	switch {
	case o.Compare != nil:
		m.Compare(*o.Compare)
	case o.Session != nil:
		m.Open(*o.Session)
	}
	l := &loop{screen: screen, model: m, src: src, theme: themeOf(o.Plain), events: make(chan tcell.Event, 64), parts: make(chan part)}
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
	parts  chan part // of the answer to the task, in order
	task   *running  // nil: none

	buttons tcell.ButtonMask // that are down
}

// part is a part of the answer to a task, or its end, which may be the panic of
// the goroutine that worked on it.
type part struct {
	apply func()
	last  bool
	err   error
	panic any
}

// running is a task under way.
type running struct {
	what     string
	at       time.Time
	progress *model.Progress
	cancel   context.CancelFunc
}

// wait lets the task end. What it still has to show is of no use.
func (l *loop) wait() {
	for l.task != nil {
		if p := <-l.parts; p.last {
			l.task = nil
		}
	}
}

func (l *loop) run(ctx context.Context) error {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	l.model.Resize(l.screen.Size())
	for !l.model.Quit() {
		l.work(ctx)
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

// work begins the model's next task, stops the one that is under way when it is
// not wanted, and tells when it takes long.
func (l *loop) work(ctx context.Context) {
	if t := l.model.Next(); t != nil && l.task == nil {
		l.begin(ctx, t)
	}
	switch {
	case l.task == nil:
	case l.model.Stop():
		l.task.cancel()
	case time.Since(l.task.at) > slow:
		l.model.Progress(strings.TrimSpace(l.task.what+" … "+l.task.progress.String()) + "  (Esc stops it)")
	}
}

func (l *loop) begin(ctx context.Context, t *model.Task) {
	ctx, cancel := context.WithCancel(ctx)
	progress := model.NewProgress(func(apply func()) { l.parts <- part{apply: apply} })
	l.task = &running{t.What, time.Now(), progress, cancel}
	go func() {
		end := part{last: true}
		defer func() {
			end.panic = recover() // told by the goroutine that owns the terminal
			l.parts <- end
		}()
		end.apply, end.err = t.Do(ctx, l.src, progress)
	}()
}

// answer takes in a part of the answer.
func (l *loop) answer(p part) {
	if p.panic != nil {
		l.task = nil
		panic(p.panic)
	}
	if !p.last {
		l.model.Part(p.apply)
		return
	}
	l.task.cancel()
	l.task = nil
	l.model.Done(p.apply, p.err)
}

func (l *loop) event(ev tcell.Event) {
	switch ev := ev.(type) {
	case *tcell.EventResize:
		l.model.Resize(ev.Size())
		l.screen.Sync()
	case *tcell.EventKey:
		l.model.Key(keyName(ev))
	case *tcell.EventMouse:
		l.mouse(ev)
	}
	if l.model.TakeRedraw() {
		l.screen.Sync()
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
