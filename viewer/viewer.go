// Package viewer is the terminal viewer: it feeds keys to a model.Model, has
// the work done that the model asks for, and draws what the model holds. It
// decides nothing itself; what a key does stands in model.Bindings.
//
// One goroutine owns model and screen. The store is read in another, one
// request at a time, so that a slow disk never keeps a key waiting.
package viewer

import (
	"context"
	"fmt"
	"time"

	"github.com/gdamore/tcell/v2"

	"gctap/store"
	"gctap/viewer/model"
)

// Options say how to begin and how to look.
type Options struct {
	Session *store.Session // show its messages; nil: the list of sessions
	Plain   bool           // no colours
}

// tick is how often a session that is being recorded is looked at.
const tick = 100 * time.Millisecond

// slow is how long a request may take before the screen says what is awaited.
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
	if o.Session != nil {
		m.Open(*o.Session)
	}
	l := &loop{screen: screen, model: m, src: src, theme: themeOf(o.Plain), events: make(chan tcell.Event, 64), answers: make(chan answer)}
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
	screen  tcell.Screen
	model   *model.Model
	src     model.Source
	theme   theme
	events  chan tcell.Event
	answers chan answer
	asked   *asked // the request under way; nil: none
}

type asked struct {
	request model.Request
	at      time.Time
}

// answer is a result, or the panic of the goroutine that worked on it.
type answer struct {
	result model.Result
	panic  any
}

// wait lets the last request end.
func (l *loop) wait() {
	if l.asked != nil {
		<-l.answers
	}
}

func (l *loop) run(ctx context.Context) error {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	l.model.Resize(l.screen.Size())
	for !l.model.Quit() {
		l.ask(ctx)
		l.draw()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case ev := <-l.events:
			l.event(ev)
			l.drain()
		case a := <-l.answers:
			l.asked = nil
			if a.panic != nil {
				panic(a.panic)
			}
			l.model.Apply(a.result)
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

// ask has the model's next request worked on, unless one is under way.
func (l *loop) ask(ctx context.Context) {
	if l.asked != nil {
		return
	}
	request, ok := l.model.Next()
	if !ok {
		return
	}
	l.asked = &asked{request, time.Now()}
	go func() {
		var a answer
		defer func() {
			a.panic = recover() // told by the goroutine that owns the terminal
			l.answers <- a
		}()
		a.result = model.Load(ctx, l.src, request)
	}()
}

func (l *loop) event(ev tcell.Event) {
	switch ev := ev.(type) {
	case *tcell.EventResize:
		l.model.Resize(ev.Size())
		l.screen.Sync()
	case *tcell.EventKey:
		l.model.Key(keyName(ev))
	case *tcell.EventMouse:
		switch {
		case ev.Buttons()&tcell.WheelDown != 0:
			l.model.Key("WheelDown")
		case ev.Buttons()&tcell.WheelUp != 0:
			l.model.Key("WheelUp")
		}
	}
	if l.model.TakeRedraw() {
		l.screen.Sync()
	}
}

func (l *loop) draw() {
	progress := ""
	if l.asked != nil && time.Since(l.asked.at) > slow {
		progress = l.asked.request.String() + " …"
	}
	Draw(l.screen, l.model, l.theme, progress)
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
