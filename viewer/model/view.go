package model

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	"gctap/store"
)

// A Name is that of a view: its key table stands under it, and the help screen
// shows it.
type Name string

// A View is one screen of the viewer. The package comment says how views live.
type View interface {
	Name() Name
	Title() string                   // for the head; printable
	Resize(width, height int)        // of its part of the screen: at least one cell
	Do(m *Model, action string) bool // whether there is such an action
	Click(m *Model, x, y int)        // a cell of its part; (0, 0) is its upper left
	Tick()                           // some time has passed: what lives is to be looked at again
	Next() *Task                     // what it needs; nil: nothing
	Draw(c Canvas)
}

// A Place is where the user is in a session.
type Place struct {
	Session store.Session
	Filter  *store.Filter // nil: everything is shown
	Seq     int64         // of the selected message; 0: none
}

// A Placed view knows the place that it shows. One that is a tab is taken to
// the place of the tab that was shown before it.
type Placed interface {
	View
	Place() Place
	Visit(Place)
}

// A Source is where the views' rows come from: a *store.Store.
type Source interface {
	Sessions(ctx context.Context) ([]store.Session, error)
	Session(ctx context.Context, id int64) (store.Session, error)
	After(ctx context.Context, session, seq int64, n int) ([]store.Row, error)
	Before(ctx context.Context, session, seq int64, n int) ([]store.Row, error)
	Scan(session int64, f *store.Filter, seq int64, back bool) *store.Scan
	Marks(ctx context.Context, session int64) ([]store.Annotation, error)
}

// A Desk is what can be done with a session beside looking at it. What is nil
// cannot be done here.
type Desk struct {
	Mark   func(ctx context.Context, session, seq int64, text string) error
	Unmark func(ctx context.Context, session, seq int64) error
	// Export writes the messages that the filter accepts into a new file, and
	// says in one line what it wrote.
	Export func(ctx context.Context, s store.Session, f *store.Filter, file string, p *Progress) (string, error)
}

// A Tab is one of the views of a session that stand beside each other.
type Tab struct {
	Name Name
	Key  string
	Open func(m *Model, at Place) Placed
}

// Tabs returns all the tabs, in their order. The first is what a session opens
// with. Each has a row among the bindings, "tab." and its name.
func Tabs() []Tab {
	return []Tab{
		{MessageList, "1", func(m *Model, at Place) Placed { m.Messages.open(at.Session); return &m.Messages }},
		{Ladder, "2", func(_ *Model, at Place) Placed { return newLadder(at) }},
		{Timeline, "3", func(_ *Model, at Place) Placed { return newTimeline(at) }},
	}
}

// tabsHere are Tabs, and the console where there is a replay.
func (m *Model) tabsHere() []Tab {
	if m.console == nil {
		return Tabs()
	}
	return append(Tabs(), Tab{Console, "4", func(m *Model, _ Place) Placed { return m.console }})
}

// A Task is work that is done off the screen.
type Task struct {
	What string // for the progress line: "reading messages"

	// Do does the work. It may Show parts of the answer while it goes on, and
	// returns what puts the rest in place; nil: nothing. It ends soon after ctx.
	Do func(ctx context.Context, src Source, p *Progress) (apply func(), err error)

	// Failed is told that Do has failed, or that the user has stopped it: the
	// view must not ask for the same again by itself. nil: no matter.
	Failed func(err error)

	// Wanted reports whether the answer would still be of use; else the work is
	// stopped. nil: it is as long as the view is on the screen.
	Wanted func() bool

	owner    View   // nil: it goes on whatever is shown
	progress string // empty: it does not take long
	stopped  bool   // the user does not want to wait for it
}

// A Progress is how a Task tells how far it is. It may be used by any goroutine.
type Progress struct {
	done, all atomic.Int64
	show      func(apply func())
}

// NewProgress returns one whose Show passes functions on to show, which runs
// them where the model lives, in order.
func NewProgress(show func(apply func())) *Progress { return &Progress{show: show} }

// Set tells how much is done of how much; of 0: nobody knows.
func (p *Progress) Set(done, all int64) {
	p.done.Store(done)
	p.all.Store(all)
}

// Show puts a part of the answer in place while the work goes on.
func (p *Progress) Show(apply func()) { p.show(apply) }

// String is empty where nothing was told.
func (p *Progress) String() string {
	done, all := p.done.Load(), p.all.Load()
	if all <= 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", min(100*done/all, 100))
}

// A Canvas is what a view draws on: its part of the screen, of which (0, 0) is
// the upper left cell. What falls outside is not drawn.
type Canvas interface {
	Size() (width, height int)
	// Put writes printable text from column x on, up to column limit, and
	// returns the column behind it. Wide characters take two cells and are not
	// halved.
	Put(x, y, limit int, text string, style Style) int
	// Fill gives a whole line a style and clears it.
	Fill(y int, style Style)
}

// A Style is the role of a text; the viewer gives it its look. It is a role,
// and what may be added to it: Of, Selected and Lit.
type Style uint16

// The roles.
const (
	Plain Style = iota
	Dim
	Title
	Warning
	Error
	Bar     // the head
	Command // a message to GC
	GapLine // what is missing
	Mark    // what the user has marked
	roles
)

const (
	hueShift       = 8
	hueBits  Style = 0xf << hueShift
	selected Style = 1 << 12
	lit      Style = 1 << 13
)

// Hues is how many colours tell things apart; without colours they look alike.
const Hues = 8

// Of gives a style the colour of the n-th of several things.
func (s Style) Of(n int) Style { return s&^hueBits | Style(1+(n%Hues+Hues)%Hues)<<hueShift }

// Selected is the style of the row that the user is on.
func (s Style) Selected() Style { return s | selected }

// Lit is the style of what belongs to the thing that the user is on.
func (s Style) Lit() Style { return s | lit }

// Role returns the style without what was added.
func (s Style) Role() Style { return s & (1<<hueShift - 1) }

// Hue returns what Of was given, less than Hues; -1: nothing.
func (s Style) Hue() int { return int(s&hueBits>>hueShift) - 1 }

// IsSelected and IsLit report what was added.
func (s Style) IsSelected() bool { return s&selected != 0 }

// IsLit reports whether Lit was added.
func (s Style) IsLit() bool { return s&lit != 0 }

// Columns writes texts at fixed columns; the last has the rest of the line.
func Columns(c Canvas, y int, style Style, starts []int, texts ...string) {
	width, _ := c.Size()
	for i, text := range texts {
		limit := width
		if i+1 < len(starts) {
			limit = starts[i+1] - 1
		}
		c.Put(starts[i], y, limit, text, style)
	}
}

// Far is further than any list is long.
const Far = math.MaxInt32

// Steps says how far an action of scrolling moves in a list of which a page is
// on the screen: -Far to its beginning, Far to its end. ok is false for another
// action.
func Steps(action string, page int) (n int, ok bool) {
	switch action {
	case "row.next":
		return 1, true
	case "row.prev":
		return -1, true
	case "page.next":
		return max(page-1, 1), true
	case "page.prev":
		return -max(page-1, 1), true
	case "row.first":
		return -Far, true
	case "row.last":
		return Far, true
	}
	return 0, false
}
