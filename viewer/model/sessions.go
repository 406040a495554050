package model

import (
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

func (l *Sessions) jump(toEnd bool) {
	if toEnd {
		l.move(len(l.all))
	} else {
		l.move(-len(l.all))
	}
}

func (l *Sessions) scroll() {
	i := max(l.index(), 0)
	l.top = max(min(l.top, i), i-l.height+1, 0)
	l.top = max(0, min(l.top, len(l.all)-l.height))
}
