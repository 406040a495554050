package model

import (
	"context"
	"errors"
	"slices"
	"strings"

	"gctap/store"
)

// A Model is the state of the viewer. One goroutine owns it; slow work is done
// by whoever drives it, between Next and Done.
type Model struct {
	Sessions Sessions
	Messages Messages
	Reader   Reader
	Notice   string   // one line about what was done or went wrong; gone with the next key
	Filters  *History // of filter lines
	Desk     Desk     // what can be done beside looking

	views   []View // the last is on the screen
	tabs    map[Name]Placed
	console *ConsoleView // nil: nothing is replayed
	prompt  *Prompt      // over the last lines of the screen; nil: none
	task    *Task        // the view's work under way
	jobs    []*Task      // of the desk, in order; the first may be under way
	working bool         // it is
	clip    *string      // to be put on the clipboard
	width   int
	height  int
	quit    bool
	redraw  bool
}

// Lines of the screen that are not the view's: the head and the foot.
const frameLines = 2

// New returns a Model that shows the list of sessions.
func New() *Model {
	m := &Model{Filters: NewHistory(nil)}
	m.Sessions.stale = true
	m.Reader.list = &m.Messages
	m.views = []View{&m.Sessions}
	m.Resize(80, 24)
	return m
}

// Open shows a session on top of what is shown, in the first of its tabs.
func (m *Model) Open(s store.Session) {
	m.tabs = map[Name]Placed{}
	m.Push(m.tab(Tabs()[0], Place{Session: s}))
}

// Top returns the view on the screen.
func (m *Model) Top() View { return m.views[len(m.views)-1] }

// View returns the name of the view on the screen.
func (m *Model) View() Name { return m.Top().Name() }

// Push shows a view on top of what is shown.
func (m *Model) Push(v View) {
	m.views = append(m.views, v)
	m.fit(v)
}

// Switch shows another tab of the session, at the place the user is at.
func (m *Model) Switch(name Name) {
	if name == Console {
		m.showConsole()
		return
	}
	at := m.tabIndex()
	tabs := m.tabsHere()
	i := slices.IndexFunc(tabs, func(t Tab) bool { return t.Name == name })
	if at < 0 || i < 0 {
		return
	}
	place := m.place()
	if c, ok := m.views[at].(*ConsoleView); ok {
		c.settleTabs(m)
	}
	v, known := m.tabs[name]
	if known {
		v.Visit(place)
	} else {
		v = m.tab(tabs[i], place)
	}
	m.views = append(m.views[:at], v)
	m.fit(v)
}

func (m *Model) tab(t Tab, at Place) Placed {
	v := t.Open(m, at)
	m.tabs[t.Name] = v
	return v
}

// tabIndex returns where in the stack the tab is that is shown or lies under
// what is shown; -1: none is.
func (m *Model) tabIndex() int {
	for i, v := range slices.Backward(m.views) {
		if p, ok := v.(Placed); ok && m.tabs[v.Name()] == p {
			return i
		}
	}
	return -1
}

// Tab returns the name of the tab that is shown; empty: none is.
func (m *Model) Tab() Name {
	if i := m.tabIndex(); i >= 0 {
		return m.views[i].Name()
	}
	return ""
}

// place returns where the user is; the zero Place where that is nowhere.
func (m *Model) place() Place {
	for _, v := range slices.Backward(m.views) {
		if p, ok := v.(Placed); ok {
			return p.Place()
		}
	}
	return Place{}
}

// Goto shows a message of the session in the list of messages.
func (m *Model) Goto(seq int64) {
	m.Switch(MessageList)
	m.Messages.goTo(seq)
}

// Read shows one message of the session on top of what is shown.
func (m *Model) Read(seq int64) {
	m.Reader.open(Detail, seq)
	m.Push(&m.Reader)
}

// Quit reports whether the user has had enough.
func (m *Model) Quit() bool { return m.quit }

// TakeRedraw reports, once, that the user wants the screen drawn afresh.
func (m *Model) TakeRedraw() bool {
	r := m.redraw
	m.redraw = false
	return r
}

// Resize tells the size of the screen in cells.
func (m *Model) Resize(width, height int) {
	m.width, m.height = max(width, 1), max(height, 1)
	for _, v := range m.views {
		m.fit(v)
	}
}

func (m *Model) fit(v View) { v.Resize(m.width, max(m.height-frameLines, 1)) }

// Size returns what Resize was told.
func (m *Model) Size() (width, height int) { return m.width, m.height }

// Tick tells that some time has passed: what lives is looked at again.
func (m *Model) Tick() { m.Top().Tick() }

// Key does what the key is bound to. It reports whether it is bound.
func (m *Model) Key(key string) bool {
	if m.prompt != nil {
		m.Notice = ""
		return m.prompt.key(m, key)
	}
	action := ActionFor(m.View(), key)
	if action == "" {
		return false
	}
	m.Notice = ""
	tab, isTab := strings.CutPrefix(action, "tab.")
	do, own := actions[action]
	switch {
	case isTab:
		m.Switch(Name(tab))
	case own:
		do(m)
	default:
		return m.Top().Do(m, action)
	}
	return true
}

// Click is a press of the mouse on a cell of the screen.
func (m *Model) Click(x, y int) {
	m.Notice = ""
	switch {
	case y == 0:
		for _, t := range m.TabBar() {
			if x >= t.X && x < t.X+len(t.Text) && m.tabIndex() >= 0 {
				m.Switch(t.Name)
			}
		}
	case y < m.height-1:
		m.Top().Click(m, x, y-1)
	}
}

// actions are those of the model itself; all others are a view's.
var actions = map[string]func(*Model){
	"view.help": (*Model).help,
	"back":      (*Model).back,
	"stop":      (*Model).stop,
	"quit":      func(m *Model) { m.quit = true },
	"redraw":    func(m *Model) { m.redraw = true },
}

// stop stops what the user waits for, or else goes back.
func (m *Model) stop() {
	for _, t := range m.underWay() {
		if t.progress != "" {
			t.stopped = true
			return
		}
	}
	m.back()
}

func (m *Model) back() {
	if len(m.views) == 1 {
		m.quit = true
		return
	}
	m.views = m.views[:len(m.views)-1]
	m.fit(m.Top())
	m.Top().Tick()
}

func (m *Model) help() {
	if m.View() != Help {
		m.Push(newHelp(m.View()))
	}
}

// Next returns what is to be done next; nil where there is nothing, or it is
// under way. Whoever takes it calls Done when its Do has returned. A view has
// one task under way at a time, and so has the desk, beside it.
func (m *Model) Next() *Task {
	if m.task == nil {
		if t := m.Top().Next(); t != nil {
			t.owner = m.Top()
			m.task = t
			return t
		}
	}
	if len(m.jobs) > 0 && !m.working {
		m.working = true
		return m.jobs[0]
	}
	return nil
}

// Later has work done that goes on whatever is shown.
func (m *Model) Later(t *Task) { m.jobs = append(m.jobs, t) }

func (m *Model) underWay() []*Task {
	var all []*Task
	if m.task != nil {
		all = append(all, m.task)
	}
	if m.working {
		all = append(all, m.jobs[0])
	}
	return all
}

// Progress tells that work takes long, and how far it is. The user may then
// stop it.
func (t *Task) Progress(text string) { t.progress = text }

// Stop reports whether work is to be stopped: the user wants that, or its answer
// would be of no use.
func (m *Model) Stop(t *Task) bool {
	return t.stopped || t.owner != nil && t.owner != m.Top() || !t.isWanted()
}

func (t *Task) isWanted() bool { return t.Wanted == nil || t.Wanted() }

// Part takes in a part of the answer, which the work under way has shown.
func (m *Model) Part(t *Task, apply func()) {
	if t.isWanted() {
		apply()
	}
}

// Done takes in the end of work: what its Do returned.
func (m *Model) Done(t *Task, apply func(), err error) {
	unwanted := m.Stop(t) && !t.stopped
	if t == m.task {
		m.task = nil
	} else {
		m.jobs, m.working = m.jobs[1:], false
	}
	switch {
	case err == nil:
		if apply != nil {
			m.Part(t, apply)
		}
		return
	case unwanted: // and asked for again when it is
		return
	case t.stopped || errors.Is(err, context.Canceled):
		m.Notice = "stopped: " + t.What
	default:
		m.Notice = Printable(err.Error())
	}
	if t.Failed != nil {
		t.Failed(err)
	}
}

// A TabLabel is where in the head a tab is named.
type TabLabel struct {
	Name  Name
	X     int
	Text  string
	Shown bool
}

// TabBar returns the names of the tabs for the right end of the head; nil where
// there are none, or no room.
func (m *Model) TabBar() []TabLabel {
	shown := m.Tab()
	tabs := m.tabsHere()
	if shown == "" || len(tabs) < 2 {
		return nil
	}
	var bar []TabLabel
	x := 0
	for _, t := range tabs {
		label := TabLabel{t.Name, x, t.Key + " " + string(t.Name), t.Name == shown}
		bar = append(bar, label)
		x += len(label.Text) + 1
	}
	if shift := m.width - x + 1; shift > m.width/2 {
		for i := range bar {
			bar[i].X += shift
		}
		return bar
	}
	return nil
}

// Foot is the last line: what went wrong, or is awaited, or can be done.
func (m *Model) Foot() (string, Style) {
	if m.Notice != "" {
		return m.Notice, Warning
	}
	for _, t := range m.underWay() {
		if t.progress != "" {
			return t.progress + "  (Esc stops it)", Plain
		}
	}
	return Hints(m.View()), Dim
}

// DrawPrompt draws the line that the user writes over the foot of the screen,
// and returns the column of the cursor in the last line; ok is false where there
// is no such line.
func (m *Model) DrawPrompt(screen Canvas) (x int, ok bool) {
	if m.prompt == nil {
		return 0, false
	}
	return m.prompt.draw(screen, m.Notice), true
}
