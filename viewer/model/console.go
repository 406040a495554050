package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gctap/replay"
	"gctap/store"
)

// Console is a replay, as it is steered from the viewer.
const Console Name = "replay"

// consoleKeys are the keys of the console: those of `gctap replay`, and more.
func consoleKeys() []Binding {
	scroll := slices.DeleteFunc(scrolling(Console, "command"), func(b Binding) bool { return b.Key == "Space" })
	return append(scroll,
		Binding{Console, "Space", "play.pause", "start; pause, and go on"},
		Binding{Console, "c", "play.on", "start; go on without stepping"},
		Binding{Console, "s", "play.step", "start; send one command, and stand before the next"},
		Binding{Console, "b", "play.break", "stand before the commands that a filter accepts; an empty one: before none"},
		Binding{Console, "X", "play.stop", "stop the replay; what was sent and received is kept"},
		Binding{Console, "Enter", "play.open", "the command's message in the recording"},
		Binding{Console, "o", "play.session", "the new session, while it is recorded too"},
		Binding{Console, "f", "play.follow", "stay at the next command; moving stops that"},
	)
}

// A Player is a replay that has been planned and found safe. Its methods are
// called on the goroutine of the viewer and return at once, but for Break.
type Player interface {
	Session() store.Session // whose commands are played; the model's Source has it
	Target() string
	Plan() *replay.Plan
	Start() // begins to send; once
	Stop()  // ends the replay soon; everything is kept
	State() PlayState

	// What a *replay.Control does, before the start too.
	Pause()
	Resume()
	Step()
	Progress() replay.Progress
	Fate(step int) replay.Fate
	// Break makes the replay stand before the commands that the expression
	// accepts; an empty one takes the breakpoint away.
	Break(ctx context.Context, expression string) error
}

// PlayState is how a Player stands.
type PlayState struct {
	Begun   bool
	Breaks  string        // the expression of the breakpoint; empty: there is none
	Over    bool          // everything is saved
	Session store.Session // the new one, as the Source knows it; its ID is 0 before there is one
	Said    []string      // what there was to say, oldest first
}

// A ConsoleView shows what a replay is about to send, and steers it.
type ConsoleView struct {
	player Player
	plan   *replay.Plan
	list   *Messages
	state  PlayState
	now    replay.Progress

	next          int // the first step that waits
	top, at       int // steps
	left          bool
	width, height int
}

// Replay shows the console of a replay on top of what is shown.
func (m *Model) Replay(p Player) {
	m.console = &ConsoleView{player: p, plan: p.Plan(), list: &m.Messages}
	m.console.look()
	m.tabs = map[Name]Placed{}
	m.console.settleTabs(m)
	m.showConsole()
}

// showConsole goes to the console: back to it where it lies under what is shown.
func (m *Model) showConsole() {
	if m.console == nil {
		m.Notice = "nothing is replayed here: gctap view SESSION --to BROKER"
		return
	}
	if m.tabs == nil {
		m.tabs = map[Name]Placed{}
	}
	at := m.tabIndex()
	m.tabs[Console] = m.console
	under := slices.IndexFunc(m.views, func(v View) bool { return v == View(m.console) })
	switch {
	case under >= 0:
		m.views = m.views[:under+1]
	case at >= 0:
		m.views = append(m.views[:at], m.console)
	default:
		m.views = append(m.views, m.console)
	}
	m.console.look()
	m.fit(m.console)
}

// settleTabs makes the tabs beside the console those of the session that is
// played: another one may have been opened since.
func (c *ConsoleView) settleTabs(m *Model) {
	place := c.Place()
	if m.tabs[MessageList] == nil || m.Messages.Session.ID != place.Session.ID {
		m.tabs = map[Name]Placed{Console: c}
		m.tab(Tabs()[0], place)
		m.Messages.Visit(place)
	}
}

// Name is Console.
func (c *ConsoleView) Name() Name { return Console }

// Title says what is played where, and how it stands.
func (c *ConsoleView) Title() string {
	return fmt.Sprintf("%s to %s  %s", Printable(c.player.Session().Name), Printable(c.player.Target()), c.standing())
}

// standing is how the replay stands in a word or two.
func (c *ConsoleView) standing() string {
	switch {
	case !c.state.Begun:
		return "ready"
	case c.state.Over:
		return "ended"
	case c.now.Over:
		return "ending"
	case c.now.Broke:
		return "at a breakpoint"
	case c.now.Stands:
		return "paused"
	}
	return "playing"
}

// Place is the selected command.
func (c *ConsoleView) Place() Place {
	p := Place{Session: c.player.Session()}
	if c.list.Session.ID == p.Session.ID {
		p.Filter = c.list.Filter
	}
	if c.at < len(c.plan.Steps) {
		p.Seq = c.plan.Steps[c.at].Record.Seq
	}
	return p
}

// Visit stays where the replay is: that is what the console is for.
func (c *ConsoleView) Visit(Place) {}

// Resize keeps the selection on the screen.
func (c *ConsoleView) Resize(width, height int) {
	c.width, c.height = width, height
	c.settle()
}

// Tick looks how the replay stands.
func (c *ConsoleView) Tick() { c.look() }

// Next has nothing to do: the replay is played elsewhere.
func (c *ConsoleView) Next() *Task { return nil }

// look takes in how the replay stands. The selection stays at the command that
// comes next, unless the user has left it.
func (c *ConsoleView) look() {
	c.state, c.now = c.player.State(), c.player.Progress()
	for c.next < len(c.plan.Steps) && c.player.Fate(c.next) != replay.StepWaits {
		c.next++
	}
	if !c.left {
		c.at = c.next
	}
	c.settle()
}

// consoleHead is how many lines stand above the commands.
const consoleHead = 5

// said is what is shown of what the replay has said.
func (c *ConsoleView) said() []string {
	return c.state.Said[max(len(c.state.Said)-max(c.height/3, 1), 0):]
}

func (c *ConsoleView) page() int {
	rows := c.height - consoleHead
	if n := len(c.said()); n > 0 {
		rows -= n + 1
	}
	return max(rows, 1)
}

func (c *ConsoleView) settle() {
	last := max(len(c.plan.Steps)-1, 0)
	c.at = max(0, min(c.at, last))
	if !c.left { // what comes is of more interest than what was
		c.top = c.at - c.page()/3
	}
	c.top = max(0, min(c.top, c.at, last+1-c.page()))
	c.top = max(c.top, c.at-c.page()+1)
}

// Do does what a key is bound to.
func (c *ConsoleView) Do(m *Model, action string) bool {
	if n, ok := Steps(action, c.page()); ok {
		c.at, c.left = c.at+n, true
		c.settle()
		return true
	}
	switch action {
	case "play.open":
		c.open(m)
	case "play.session":
		c.openNew(m)
	case "play.follow":
		c.left = !c.left
	case "play.pause", "play.on", "play.step", "play.break", "play.stop":
		if c.state.Over {
			m.Notice = "the replay has ended"
			return true
		}
		c.steer(m, action)
	default:
		return false
	}
	c.look()
	return true
}

// steer does what a key is for that steers the replay.
func (c *ConsoleView) steer(m *Model, action string) {
	switch action {
	case "play.break":
		c.askBreak(m)
		return
	case "play.stop":
		if c.state.Begun {
			m.Notice = "the replay is being stopped"
			c.player.Stop()
			return
		}
		m.Notice = "the replay has not begun: nothing was sent"
		return
	case "play.step":
		c.player.Step()
	case "play.on":
		c.player.Resume()
	case "play.pause":
		switch {
		case !c.state.Begun: // --step holds it before its first command
		case c.now.Stands:
			c.player.Resume()
		default:
			c.player.Pause()
		}
	}
	if !c.state.Begun {
		c.player.Start()
	}
}

// askBreak lets the user write the filter of the breakpoint.
func (c *ConsoleView) askBreak(m *Model) {
	m.Ask(&Prompt{
		Label:   "stand before:",
		History: m.Filters,
		Check:   checkFilter,
		Suggest: func(before string) []string { return suggestFilter(before, &m.Messages.seen) },
		Accept: func(m *Model, text string) bool {
			text = strings.TrimSpace(text)
			m.Later(&Task{
				What: "looking for the commands to stand before",
				Do: func(ctx context.Context, _ Source, _ *Progress) (func(), error) {
					return c.look, c.player.Break(ctx, text)
				},
			})
			return true
		},
	}, c.state.Breaks)
}

// open shows the message of the selected command.
func (c *ConsoleView) open(m *Model) {
	if c.at >= len(c.plan.Steps) {
		return
	}
	c.settleTabs(m)
	seq := c.plan.Steps[c.at].Record.Seq
	m.Messages.goTo(seq)
	m.Read(seq)
}

// openNew shows the session that the replay makes.
func (c *ConsoleView) openNew(m *Model) {
	if c.state.Session.ID == 0 {
		m.Notice = "there is no new session before the replay has begun"
		return
	}
	m.Open(c.state.Session)
}

// Click selects a command; the selected one is opened.
func (c *ConsoleView) Click(m *Model, _, y int) {
	i := c.top + y - consoleHead
	if y < consoleHead || y >= consoleHead+c.page() || i >= len(c.plan.Steps) {
		return
	}
	if i == c.at && c.left {
		c.open(m)
		return
	}
	c.at, c.left = i, true
}

// Draw shows how the replay stands, then its commands around the next one, then
// what it has said.
func (c *ConsoleView) Draw(canvas Canvas) {
	c.drawHead(canvas)
	for y := range min(c.page(), len(c.plan.Steps)-c.top) {
		c.drawStep(canvas, consoleHead+y, c.top+y, c.player.Fate(c.top+y))
	}
	said := c.said()
	y := c.height - len(said)
	if len(said) > 0 && y > consoleHead {
		canvas.Put(0, y-1, c.width, strings.Repeat("─", c.width), Dim)
	}
	for i, line := range said {
		canvas.Put(0, y+i, c.width, Printable(line), Plain)
	}
}

func (c *ConsoleView) drawHead(canvas Canvas) {
	style := Title
	if c.now.Stands && !c.state.Over {
		style = Mark
	}
	canvas.Put(0, 0, c.width, c.stands(), style)
	sent := fmt.Sprintf("sent %d of %d, received %d", c.now.Sent, len(c.plan.Steps), c.now.Received)
	if c.now.Sent > 0 {
		sent += ", the last " + c.now.Behind.Round(time.Millisecond).String() + " behind"
	}
	canvas.Put(0, 1, c.width, sent, Plain)
	if c.now.Waiting > 0 && !c.state.Over {
		canvas.Put(0, 2, c.width, fmt.Sprintf("%d waiting: %s", c.now.Waiting, Printable(c.now.Waits)), Plain)
	}
	if c.state.Breaks != "" {
		canvas.Put(0, 3, c.width, "stands before: "+Printable(c.state.Breaks), Mark)
	}
	Columns(canvas, 4, Title, consoleColumns, "", "       TIME", "    SEQ", "CONVERSATION", "COMMAND")
}

// stands says how the replay stands, and what can be done.
func (c *ConsoleView) stands() string {
	word := c.standing()
	switch {
	case !c.state.Begun:
		return "ready: Space starts, s sends one command"
	case c.state.Over && c.state.Session.ID != 0:
		return fmt.Sprintf("ended: o opens the new session, %s", Printable(c.state.Session.Name))
	case c.state.Over, c.now.Over, !c.now.Stands:
		return word
	case c.now.Before != nil:
		return word + ": stands before " + Printable(c.now.Before.String()) + "; Space goes on"
	}
	return word + "; Space goes on"
}

// consoleColumns are those of sign, time, seq, conversation and command.
var consoleColumns = []int{0, 2, 14, 22, 40}

// fateSigns say what has become of a command.
var fateSigns = map[replay.Fate]string{replay.StepWaits: " ", replay.StepSent: "✓", replay.StepGivenUp: "×"}

func (c *ConsoleView) drawStep(canvas Canvas, y, i int, fate replay.Fate) {
	step := &c.plan.Steps[i]
	style, sign, what := Plain, fateSigns[fate], step.Name
	for _, use := range step.Uses {
		what += " " + use.Path + "=" + use.Value
	}
	switch {
	case fate == replay.StepGivenUp:
		style = Warning
	case fate == replay.StepSent:
		style = Dim
	case step.Blocked != "":
		style, what = Warning, what+"  cannot be sent: "+step.Blocked
	case c.now.Before == step && c.now.Stands:
		style, sign = Mark, "►"
	}
	if i == c.at {
		style = style.Selected()
		canvas.Fill(y, style)
	}
	Columns(canvas, y, style, consoleColumns, sign, fmt.Sprintf("%10.3fs", step.At.Seconds()), fmt.Sprintf("%7d", step.Record.Seq),
		Printable(step.Conversation), Printable(what))
}
