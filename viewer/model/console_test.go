package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/replay"
	"gctap/store"
)

// fakePlayer is a replay of 100 commands, those of session 1 with the seqs 10,
// 20 and so on, that does nothing by itself.
type fakePlayer struct {
	plan  replay.Plan
	now   replay.Progress
	fates map[int]replay.Fate
	state PlayState
	asked []string // for what it was asked
}

func newFakePlayer() *fakePlayer {
	p := &fakePlayer{fates: map[int]replay.Fate{}}
	for n := range 100 {
		p.plan.Steps = append(p.plan.Steps, replay.Step{Record: capture.Record{Seq: int64(10 * (n + 1))}, At: time.Duration(n) * time.Second,
			Conversation: "1001", Name: fmt.Sprint("Command", n)})
	}
	return p
}

func (p *fakePlayer) ask(what string)           { p.asked = append(p.asked, what) }
func (p *fakePlayer) Session() store.Session    { return session(1, 1000, false) }
func (p *fakePlayer) Target() string            { return "stomp://lab\x1b:61613" }
func (p *fakePlayer) Plan() *replay.Plan        { return &p.plan }
func (p *fakePlayer) Start()                    { p.ask("start"); p.state.Begun = true }
func (p *fakePlayer) Stop()                     { p.ask("stop") }
func (p *fakePlayer) State() PlayState          { return p.state }
func (p *fakePlayer) Pause()                    { p.ask("pause") }
func (p *fakePlayer) Resume()                   { p.ask("resume") }
func (p *fakePlayer) Step()                     { p.ask("step") }
func (p *fakePlayer) Progress() replay.Progress { return p.now }
func (p *fakePlayer) Fate(step int) replay.Fate { return p.fates[step] }
func (p *fakePlayer) Break(_ context.Context, expression string) error {
	p.ask("break " + expression)
	if strings.Contains(expression, "nobody") {
		return errors.New("it accepts no command")
	}
	p.state.Breaks = expression
	return nil
}

// paper is a Canvas of text.
type paper struct{ lines [][]rune }

func newPaper(width, height int) *paper {
	p := &paper{}
	for range height {
		p.lines = append(p.lines, []rune(strings.Repeat(" ", width)))
	}
	return p
}

func (p *paper) Size() (width, height int) { return len(p.lines[0]), len(p.lines) }
func (p *paper) Fill(int, Style)           {}
func (p *paper) Put(x, y, limit int, text string, _ Style) int {
	for _, r := range text {
		if y >= 0 && y < len(p.lines) && x < min(limit, len(p.lines[y])) {
			p.lines[y][x] = r
			x++
		}
	}
	return x
}

// drawn is what the view on the screen shows, under its title.
func drawn(m *Model) string {
	p := newPaper(80, 22)
	m.Top().Draw(p)
	text := m.Top().Title()
	for _, line := range p.lines {
		text += "\n" + strings.TrimRight(string(line), " ")
	}
	return text
}

// played is a model with a console, and its player.
func played() (*Model, *fakePlayer, *fake) {
	p, m := newFakePlayer(), New()
	m.Replay(p)
	return m, p, &fake{sessions: []store.Session{session(1, 1000, false), session(2, 500, true)}}
}

func wants(t *testing.T, m *Model, texts ...string) {
	t.Helper()
	shown := drawn(m)
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			t.Errorf("%q is missing in\n%s", text, shown)
		}
	}
}

func TestConsoleShowsWhereTheReplayStands(t *testing.T) {
	m, p, _ := played()
	wants(t, m, "s1 to stomp://lab␛:61613  ready", "ready: Space starts", "sent 0 of 100, received 0", "     0.000s      10 1001              Command0")
	p.state.Begun = true
	p.fates[0], p.fates[1] = replay.StepSent, replay.StepGivenUp
	p.now = replay.Progress{Sent: 1, Steps: 100, Received: 3, Waiting: 2, Waits: "1001 waits for State READY", Behind: 12 * time.Millisecond}
	m.Tick()
	wants(t, m, "playing", "sent 1 of 100, received 3, the last 12ms behind", "2 waiting: 1001 waits for State READY", "✓      0.000s", "×      1.000s")
	p.now.Stands, p.now.Broke, p.now.Before = true, true, &p.plan.Steps[2]
	m.Tick()
	wants(t, m, "at a breakpoint: stands before #30 Command2 of 1001; Space goes on", "►      2.000s")
	p.now.Broke, p.now.Before = false, nil
	m.Tick()
	wants(t, m, "paused; Space goes on")
	p.now = replay.Progress{Sent: 98, Steps: 100, Over: true}
	m.Tick()
	wants(t, m, "ending")
	p.state.Over, p.state.Session = true, session(2, 500, false)
	p.state.Said = []string{"session 2, s2: sent 98 of 100 commands", "1001 stopped\x1b[2J before #990"}
	m.Tick()
	wants(t, m, "ended: o opens the new session, s2", "session 2, s2: sent 98 of 100", "1001 stopped␛[2J before #990")
}

// TestConsoleFollows the next command until the user moves.
func TestConsoleFollows(t *testing.T) {
	m, p, src := played()
	for n := range 50 {
		p.fates[n] = replay.StepSent
	}
	m.Tick()
	wants(t, m, "Command49", "Command50", "Command60")
	press(t, m, src, "g")
	m.Tick()
	wants(t, m, "Command0", "Command10")
	press(t, m, src, "f")
	wants(t, m, "Command50")
	press(t, m, src, "G")
	wants(t, m, "Command99")
}

func TestConsoleKeysSteer(t *testing.T) {
	m, p, src := played()
	press(t, m, src, "X", "o") // nothing is under way
	if m.Notice == "" || p.asked != nil {
		t.Errorf("%q, asked for %v", m.Notice, p.asked)
	}
	press(t, m, src, "s", "c", "Space")
	p.now.Stands = true
	m.Tick()
	press(t, m, src, "Space", "b", "x", "Backspace", "Enter", "X")
	want := []string{"step", "start", "resume", "pause", "resume", "break ", "stop"}
	if !slices.Equal(p.asked, want) {
		t.Errorf("asked for %q, not %q", p.asked, want)
	}
	p.state.Over = true
	m.Tick()
	press(t, m, src, "s")
	if m.Notice != "the replay has ended" || len(p.asked) != len(want) {
		t.Errorf("%q, asked for %q", m.Notice, p.asked)
	}
}

func TestConsoleAsksForTheBreakpoint(t *testing.T) {
	m, p, src := played()
	write := func(text string) {
		t.Helper()
		press(t, m, src, "b", "Ctrl-U")
		for _, r := range text {
			if !m.Key(string(r)) {
				t.Fatalf("%q is not written", r)
			}
		}
		press(t, m, src, "Enter")
	}
	write(`agnet=="1"`)
	if m.Asking() == nil || !strings.Contains(m.Notice, "agnet") || p.asked != nil {
		t.Errorf("a wrong filter is taken: %q, asked for %q", m.Notice, p.asked)
	}
	press(t, m, src, "Esc")
	write(`name=="AnswerCall"`)
	wants(t, m, `stands before: name=="AnswerCall"`)
	write(`agent=="nobody"`)
	if m.Notice != "it accepts no command" {
		t.Errorf("said %q", m.Notice)
	}
	wants(t, m, `stands before: name=="AnswerCall"`) // as it was
	write("")
	if shown := drawn(m); strings.Contains(shown, "stands before:") {
		t.Errorf("the breakpoint is still there:\n%s", shown)
	}
}

// TestConsoleAmongTheTabs goes from the console to messages of both sessions
// and back.
func TestConsoleAmongTheTabs(t *testing.T) {
	m, p, src := played()
	press(t, m, src, "j", "Enter")
	if got := m.Reader.Record(); m.View() != Detail || got == nil || got.Seq != 20 {
		t.Errorf("Enter reads %+v in %s", got, m.View())
	}
	press(t, m, src, "q", "1")
	if m.View() != MessageList || m.Messages.Session.ID != 1 || m.Messages.Selected != 20 {
		t.Errorf("1 leads to %s, %s", m.View(), where(m))
	}
	p.state = PlayState{Begun: true, Session: session(2, 500, true)}
	press(t, m, src, "4", "o")
	if m.View() != MessageList || m.Messages.Session.ID != 2 {
		t.Errorf("o shows session %d in %s", m.Messages.Session.ID, m.View())
	}
	press(t, m, src, "2", "4")
	if m.View() != Console || len(m.views) != 2 {
		t.Errorf("4 leads to %s, %d views deep", m.View(), len(m.views))
	}
	press(t, m, src, "1")
	if m.View() != MessageList || m.Messages.Session.ID != 1 || m.Messages.Selected != 20 {
		t.Errorf("1 leads to session %d, %s", m.Messages.Session.ID, where(m))
	}
	press(t, m, src, "q")
	if m.View() != SessionList {
		t.Errorf("back leads to %s", m.View())
	}
	press(t, m, src, "4")
	if m.View() != Console {
		t.Errorf("4 in the list of sessions leads to %s", m.View())
	}
	m.Click(5, 1+consoleHead+2)
	m.Click(5, 1+consoleHead+2)
	settle(t, m, src)
	if got := m.Reader.Record(); m.View() != Detail || got == nil || got.Seq != 30 {
		t.Errorf("a click reads %+v in %s", got, m.View())
	}
}

func TestNoConsoleWithoutAReplay(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 1000, false)}}
	m := messages(t, src, 1)
	press(t, m, src, "4")
	if m.View() != MessageList || !strings.Contains(m.Notice, "--to BROKER") {
		t.Errorf("in %s: %q", m.View(), m.Notice)
	}
	for _, tab := range m.TabBar() {
		if tab.Name == Console {
			t.Error("the head names a console")
		}
	}
}
