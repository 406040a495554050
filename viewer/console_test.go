package viewer

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"gctap/replay"
	"gctap/store"
	"gctap/viewer/model"
)

// fakePlayer is a replay of two commands of a session, which begins, stands and
// ends as it is told.
type fakePlayer struct {
	session, made store.Session
	plan          *replay.Plan

	mu    sync.Mutex
	now   replay.Progress
	state model.PlayState
	last  string // what it was asked for
}

func (p *fakePlayer) ask(what string, change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = what
	change()
}

func (p *fakePlayer) Session() store.Session { return p.session }
func (p *fakePlayer) Target() string         { return "stomp://lab:61613" }
func (p *fakePlayer) Plan() *replay.Plan     { return p.plan }
func (p *fakePlayer) Fate(int) replay.Fate   { return replay.StepWaits }
func (p *fakePlayer) Start() {
	p.ask("start", func() { p.state.Begun, p.state.Session = true, p.made })
}
func (p *fakePlayer) Stop()   { p.ask("stop", func() {}) }
func (p *fakePlayer) Pause()  { p.ask("pause", func() { p.now.Stands = true }) }
func (p *fakePlayer) Resume() { p.ask("resume", func() { p.now.Stands = false }) }
func (p *fakePlayer) Step() {
	p.ask("step", func() { p.now.Stands, p.now.Before = true, &p.plan.Steps[0] })
}
func (p *fakePlayer) Progress() replay.Progress { p.mu.Lock(); defer p.mu.Unlock(); return p.now }
func (p *fakePlayer) State() model.PlayState    { p.mu.Lock(); defer p.mu.Unlock(); return p.state }
func (p *fakePlayer) Break(_ context.Context, e string) error {
	p.ask("break "+e, func() { p.state.Breaks = e })
	return nil
}

func (p *fakePlayer) lastAsked() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// TestConsoleOnTheScreen presses every key of the console.
func TestConsoleOnTheScreen(t *testing.T) {
	s, live := makeStore(t)
	monday, err := s.Find(t.Context(), "monday")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := replay.BuildPlan(s.Records(t.Context(), monday.ID, 1), replay.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	plan.Steps = append(plan.Steps, replay.Step{Record: plan.Steps[0].Record, At: time.Second, Conversation: "1001", Name: "Blocked\x1b", Blocked: "masked"})
	p := &fakePlayer{session: monday, made: live.Session(), plan: plan}
	filter, err := store.CompileFilter(`agent == "1001"`)
	if err != nil {
		t.Fatal(err)
	}
	term := start(t, s, Options{Replay: p, Filter: filter})
	head := "monday to stomp://lab:61613"
	term.sees(head+"  ready", "4 replay", "sent 0 of 2", "1001              Login", "Blocked␛  cannot be sent: masked")
	term.press('1')
	term.sees("monday  3 messages", `filter: agent == "1001"`, "4 replay")
	term.press('4')
	effects := map[string]struct {
		sees  []string
		asked string
	}{
		"play.pause":   {[]string{"playing"}, "start"},
		"play.on":      {[]string{"playing"}, "resume"},
		"play.step":    {[]string{"paused: stands before #1 Login of 1001", "►"}, "step"},
		"play.break":   {[]string{"stand before:"}, "step"},
		"play.stop":    {[]string{"is being stopped"}, "stop"},
		"play.open":    {[]string{"detail  message 1 of monday", "***"}, "stop"},
		"play.session": {[]string{"now  "}, "stop"},
	}
	for _, b := range model.Bindings {
		if b.View != model.Console {
			continue
		}
		term.inject(b.Key)
		if effect, ok := effects[b.Action]; ok {
			term.sees(effect.sees...)
			for n := 0; n < 200 && p.lastAsked() != effect.asked; n++ {
				term.sees() // the screen may have held that before the key
			}
			if got := p.lastAsked(); got != effect.asked {
				t.Errorf("%s asked for %q, not %q", b.Key, got, effect.asked)
			}
		}
		if b.Action == "play.break" {
			term.press(tcell.KeyEscape)
		} else {
			term.press('4') // back, where it has led elsewhere
		}
		term.sees(head)
	}
	term.press('b')
	for _, r := range `agent == "1"` {
		term.press(r)
	}
	term.press(tcell.KeyEnter)
	term.sees(`stands before: agent == "1"`)
	if got := p.lastAsked(); got != `break agent == "1"` {
		t.Errorf("asked for %q", got)
	}
	term.press('?')
	term.sees("gctap  help", `In the view "replay"`, "send one command, and stand before the next")
	term.press(tcell.KeyCtrlC)
	if err := term.end(); err != nil {
		t.Error(err)
	}
}
