package model

import (
	"context"
	"fmt"
	"slices"

	"gctap/store"
)

// Sessions is the list of sessions, oldest first. There are few enough to hold.
type Sessions struct {
	Selected int64 // id; 0: none

	all    []store.Session
	top    int
	height int
	loaded bool
	stale  bool
}

// Visible returns the sessions on the screen.
func (l *Sessions) Visible() []store.Session {
	return l.all[l.top:min(len(l.all), l.top+l.height)]
}

// Empty reports whether the store is known to hold no session.
func (l *Sessions) Empty() bool { return l.loaded && len(l.all) == 0 }

// SelectedSession returns the session that is selected.
func (l *Sessions) SelectedSession() (store.Session, bool) {
	if i := l.index(); i >= 0 {
		return l.all[i], true
	}
	return store.Session{}, false
}

func (l *Sessions) index() int {
	return slices.IndexFunc(l.all, func(s store.Session) bool { return s.ID == l.Selected })
}

// apply takes in a fresh list. The selection stays on its session; at first,
// and when that is gone, it is the latest.
func (l *Sessions) apply(all []store.Session) {
	l.all, l.loaded, l.stale = all, true, false
	if l.index() < 0 && len(all) > 0 {
		l.Selected = all[len(all)-1].ID
	}
	l.scroll()
}

func (l *Sessions) move(n int) {
	if len(l.all) == 0 {
		return
	}
	l.Selected = l.all[min(max(l.index()+n, 0), len(l.all)-1)].ID
	l.scroll()
}

func (l *Sessions) scroll() {
	i := max(l.index(), 0)
	l.top = max(min(l.top, i), i-l.height+1, 0)
	l.top = max(0, min(l.top, len(l.all)-l.height))
}

// Name is SessionList.
func (l *Sessions) Name() Name { return SessionList }

// Title names the program too: this is what it begins with.
func (l *Sessions) Title() string { return "gctap  sessions" }

// Resize leaves a line for the titles of the columns.
func (l *Sessions) Resize(_, height int) {
	l.height = max(height-1, 1)
	l.scroll()
}

// Tick has the list read again: sessions come, grow and end.
func (l *Sessions) Tick() { l.stale = true }

// Do moves, or opens the selected session.
func (l *Sessions) Do(m *Model, action string) bool {
	if n, ok := Steps(action, l.height); ok {
		l.move(n)
		return true
	}
	if action != "session.open" {
		return false
	}
	if s, ok := l.SelectedSession(); ok {
		m.Open(s)
	}
	return true
}

// Click selects a session; the selected one is opened.
func (l *Sessions) Click(m *Model, _, y int) {
	seen := l.Visible()
	if y < 1 || y > len(seen) {
		return
	}
	if id := seen[y-1].ID; id != l.Selected {
		l.Selected = id
		return
	}
	l.Do(m, "session.open")
}

// Next asks for the list when it may have changed.
func (l *Sessions) Next() *Task {
	if !l.stale {
		return nil
	}
	return &Task{
		What: "reading the list of sessions",
		Do: func(ctx context.Context, src Source, _ *Progress) (func(), error) {
			all, err := src.Sessions(ctx)
			return func() { l.apply(all) }, err
		},
		Failed: func(error) { l.stale = false },
	}
}

// Draw shows one session a line.
func (l *Sessions) Draw(c Canvas) {
	width, _ := c.Size()
	starts := sessionColumns(width)
	Columns(c, 0, Title, starts, "  ID", "NAME", "ORIGIN", "STATE", "STARTED", "MESSAGES", "GAPS", "LOST", "NOTE")
	if l.Empty() {
		c.Put(2, 2, width, "no sessions: gctap record makes one", Dim)
	}
	for i, one := range l.Visible() {
		style := Plain
		if one.Crashed() {
			style = Warning
		}
		if one.ID == l.Selected {
			style = style.Selected()
			c.Fill(1+i, style)
		}
		Columns(c, 1+i, style, starts, fmt.Sprintf("%4d", one.ID), Printable(one.Name), one.Origin, standing(&one),
			one.StartedAt.Local().Format("2006-01-02 15:04"), fmt.Sprintf("%8d", one.Messages()),
			fmt.Sprintf("%4d", one.Gaps), lost(&one), Printable(one.Note))
	}
}

// sessionColumns gives names what 80 columns leave over, up to a point.
func sessionColumns(width int) []int {
	more := min(max(width-80, 0)/2, 20)
	starts := []int{0, 5, 30, 37, 45, 62, 71, 76, 81}
	for i := range starts[2:] {
		starts[2+i] += more
	}
	return starts
}

// lost never says 0 where there are gaps that do not know.
func lost(s *store.Session) string {
	switch {
	case s.Gaps == 0:
		return "0"
	case s.Lost == 0:
		return "?"
	}
	return fmt.Sprint("≥", s.Lost)
}

func standing(s *store.Session) string {
	switch {
	case s.Live:
		return "live"
	case s.Crashed():
		return "crashed"
	}
	return ""
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
