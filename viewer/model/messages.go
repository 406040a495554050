package model

import (
	"slices"
	"sort"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/store"
)

// An Item is what the message list knows of a record: never its body.
type Item struct {
	Seq       int64
	At        time.Time
	Mono      time.Duration
	Direction capture.Direction
	Agent     string
	Name      string
	Summary   string
	Severity  int // of the worst finding: 0 none, 1 note, 2 warning, 3 error
}

func itemOf(row *store.Row) Item {
	msg := flow.Decode(&row.Record, decode.Options{})
	return Item{
		Seq: row.Seq, At: row.CapturedAt, Mono: row.Mono, Direction: row.Direction,
		Agent: Printable(msg.Agent), Name: Printable(msg.Name), Summary: Summary(&row.Record, &msg), Severity: row.Severity,
	}
}

// maxItems bounds the window; what is far from the screen is let go.
const maxItems = 5 * chunk

// Messages is the message list: a window of items around the screen.
type Messages struct {
	Session   store.Session
	Selected  int64 // seq; 0: none
	Following bool  // the selection stays on the last message
	Delta     bool  // times are shown as distances

	items   []Item
	top     int64 // seq of the first item on the screen
	height  int
	window  int  // counts what made older answers useless
	atStart bool // the first item is the session's first
	atEnd   bool // the last item was the session's last when it was asked for
	toEnd   bool // the window is to be read from the end
	stale   bool // the session goes on: look again
	carry   int  // rows still to move once there are more items
}

// open shows a session: a live one at its end, followed, another from its
// beginning.
func (l *Messages) open(s store.Session) {
	*l = Messages{Session: s, window: l.window + 1, height: l.height, Following: s.Live, toEnd: s.Live, atStart: !s.Live, Delta: l.Delta}
}

// Visible returns the items on the screen.
func (l *Messages) Visible() []Item {
	from := l.index(l.top)
	return l.items[from:min(len(l.items), from+l.height)]
}

// Before returns the item above one, if the window holds it.
func (l *Messages) Before(seq int64) (Item, bool) {
	if i := l.index(seq); i > 0 {
		return l.items[i-1], true
	}
	return Item{}, false
}

// index returns where seq is or would be.
func (l *Messages) index(seq int64) int {
	return sort.Search(len(l.items), func(i int) bool { return l.items[i].Seq >= seq })
}

// want returns what the window needs.
func (l *Messages) want() (Request, bool) {
	ask := func(k kind, seq int64) (Request, bool) {
		return Request{kind: k, session: l.Session.ID, seq: seq, window: l.window}, true
	}
	top := l.index(l.top)
	switch {
	case l.Session.ID == 0:
		return Request{}, false
	case l.toEnd:
		return ask(wantBefore, end)
	case !l.atEnd && len(l.items) == 0:
		return ask(wantAfter, 0)
	case !l.atEnd && (l.carry > 0 || top+l.height+chunk/2 > len(l.items)):
		return ask(wantAfter, l.items[len(l.items)-1].Seq)
	case !l.atStart && (l.carry < 0 || top < chunk/2):
		if len(l.items) > 0 {
			return ask(wantBefore, l.items[0].Seq)
		}
	case l.stale:
		return ask(wantSession, 0)
	}
	return Request{}, false
}

// apply takes the answer to a request of this window.
func (l *Messages) apply(res *Result) {
	if res.request.window != l.window {
		return
	}
	switch res.request.kind {
	case wantSession:
		l.refreshed(res.sessions[0])
	case wantAfter:
		l.atEnd = len(res.items) == 0
		l.items = append(l.items, res.items...)
		if l.Selected == 0 {
			l.first()
		}
	case wantBefore:
		if l.toEnd {
			l.items, l.toEnd, l.atEnd = nil, false, true
		}
		l.atStart = len(res.items) == 0
		l.items = slices.Concat(res.items, l.items)
		if l.Following || l.Selected == 0 {
			l.last()
		}
		l.Following = l.Following && l.Session.Live // that was the last look
	}
	l.carryOn()
	l.scroll()
	l.trim()
}

// refreshed takes in how the session stands. While it is live there may be
// more at its end; once it has ended, one last look finds the rest.
func (l *Messages) refreshed(s store.Session) {
	grown := s.LastSeq > l.Session.LastSeq || s.Live != l.Session.Live
	l.Session, l.stale = s, false
	if !grown {
		return
	}
	if l.Following {
		l.toEnd = true
	}
	l.atEnd = false
}

// carryOn moves the rest of the way that an action wanted to go.
func (l *Messages) carryOn() {
	blocked := l.carry > 0 && l.atEnd || l.carry < 0 && l.atStart
	n := l.carry
	l.carry = 0
	if n != 0 && len(l.items) > 0 {
		l.step(n)
		if blocked {
			l.carry = 0
		}
	}
}

// move is what the user does: it ends the following.
func (l *Messages) move(n int) {
	l.Following = false
	if len(l.items) == 0 {
		return
	}
	l.step(n)
	l.scroll()
	l.trim()
}

// step moves the selection as far as the window goes; the rest is carried.
func (l *Messages) step(n int) {
	i := l.index(l.Selected) + l.carry + n
	l.carry = 0
	switch {
	case i < 0 && !l.atStart:
		l.carry = i
	case i >= len(l.items) && !l.atEnd:
		l.carry = i - len(l.items) + 1
	}
	l.Selected = l.items[min(max(i, 0), len(l.items)-1)].Seq
}

func (l *Messages) toFirst() {
	l.Following = false
	if l.atStart {
		l.first()
		l.scroll()
		return
	}
	*l = Messages{Session: l.Session, window: l.window + 1, height: l.height, atStart: true, Delta: l.Delta}
}

func (l *Messages) toLast() {
	l.Following = l.Session.Live
	if l.atEnd {
		l.last()
		l.scroll()
		return
	}
	*l = Messages{Session: l.Session, window: l.window + 1, height: l.height, toEnd: true, Following: l.Following, Delta: l.Delta}
}

func (l *Messages) first() {
	if len(l.items) > 0 {
		l.Selected = l.items[0].Seq
	}
}

func (l *Messages) last() {
	if len(l.items) > 0 {
		l.Selected = l.items[len(l.items)-1].Seq
	}
}

// scroll brings the selection onto the screen and fills the screen.
func (l *Messages) scroll() {
	if len(l.items) == 0 {
		return
	}
	top, selected := l.index(l.top), l.index(l.Selected)
	top = min(top, selected)
	top = max(top, selected-l.height+1)
	top = max(0, min(top, len(l.items)-l.height))
	l.top = l.items[top].Seq
}

// trim lets go of items far from the screen.
func (l *Messages) trim() {
	if len(l.items) <= maxItems {
		return
	}
	top := l.index(l.top)
	if from := top - 2*chunk; from > 0 {
		l.items = slices.Clone(l.items[from:])
		l.atStart = false
		top -= from
	}
	if to := top + l.height + 2*chunk; to < len(l.items) {
		l.items = slices.Clip(l.items[:to])
		l.atEnd = false
	}
}
