package model

import (
	"gctap/store"
)

// A Model is the state of the viewer. One goroutine owns it; slow work is done
// by whoever drives it, between Next and Apply.
type Model struct {
	Sessions Sessions
	Messages Messages
	Reader   Reader
	Notice   string // one line about what went wrong; gone with the next key

	views  []View // the last is on the screen
	width  int
	height int
	quit   bool
	redraw bool
}

// Lines of the screen that are not the view's: the head and the foot.
const frameLines = 2

// New returns a Model that shows the list of sessions.
func New() *Model {
	m := &Model{views: []View{SessionList}}
	m.Sessions.stale = true
	m.Resize(80, 24)
	return m
}

// Open shows the messages of a session on top of what is shown.
func (m *Model) Open(s store.Session) {
	m.Messages.open(s)
	m.push(MessageList)
}

// View returns the view on the screen.
func (m *Model) View() View { return m.views[len(m.views)-1] }

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
	body := max(m.height-frameLines, 1)
	m.Sessions.height, m.Messages.height, m.Reader.height = max(body-1, 1), max(body-1, 1), body
	m.Sessions.scroll()
	m.Messages.scroll()
	m.Reader.resize(m.width)
}

// Size returns what Resize was told.
func (m *Model) Size() (width, height int) { return m.width, m.height }

// Tick tells that some time has passed: what lives is looked at again.
func (m *Model) Tick() {
	switch m.View() {
	case SessionList:
		m.Sessions.stale = true
	case MessageList:
		m.Messages.stale = m.Messages.Session.Live
	}
}

// Key does what the key is bound to. It reports whether it is bound.
func (m *Model) Key(key string) bool {
	action := ActionFor(m.View(), key)
	if action == "" {
		return false
	}
	m.Notice = ""
	actions[action](m)
	return true
}

// actions are what keys can be bound to.
var actions = map[string]func(*Model){
	"row.next":     func(m *Model) { m.move(1) },
	"row.prev":     func(m *Model) { m.move(-1) },
	"page.next":    func(m *Model) { m.move(max(m.height-frameLines-2, 1)) },
	"page.prev":    func(m *Model) { m.move(-max(m.height-frameLines-2, 1)) },
	"row.first":    func(m *Model) { m.jump(false) },
	"row.last":     func(m *Model) { m.jump(true) },
	"session.open": (*Model).openSelected,
	"follow":       (*Model).follow,
	"time":         func(m *Model) { m.Messages.Delta = !m.Messages.Delta },
	"message.next": func(m *Model) { m.readNeighbour(1) },
	"message.prev": func(m *Model) { m.readNeighbour(-1) },
	"view.detail":  func(m *Model) { m.read(Detail) },
	"view.raw":     func(m *Model) { m.read(Raw) },
	"view.hex":     func(m *Model) { m.read(Hex) },
	"view.turn":    func(m *Model) { m.read(turn[m.View()]) },
	"view.help":    (*Model).help,
	"back":         (*Model).back,
	"quit":         func(m *Model) { m.quit = true },
	"redraw":       func(m *Model) { m.redraw = true },
}

var turn = map[View]View{Detail: Raw, Raw: Hex, Hex: Detail}

func (m *Model) push(v View) { m.views = append(m.views, v) }

func (m *Model) back() {
	if len(m.views) == 1 {
		m.quit = true
		return
	}
	m.views = m.views[:len(m.views)-1]
	switch m.View() {
	case SessionList:
		m.Sessions.stale = true
	case Detail, Raw, Hex: // from the help, which the reader has shown
		m.Reader.show(m.View(), m.Reader.record, m.Reader.msg, m.width)
	}
}

func (m *Model) move(n int) {
	switch m.View() {
	case SessionList:
		m.Sessions.move(n)
	case MessageList:
		m.Messages.move(n)
	default:
		m.Reader.scrollBy(n)
	}
}

func (m *Model) jump(toEnd bool) {
	switch m.View() {
	case SessionList:
		m.Sessions.jump(toEnd)
	case MessageList:
		if toEnd {
			m.Messages.toLast()
		} else {
			m.Messages.toFirst()
		}
	default:
		m.Reader.jump(toEnd)
	}
}

func (m *Model) openSelected() {
	if s, ok := m.Sessions.SelectedSession(); ok {
		m.Open(s)
	}
}

func (m *Model) follow() {
	if m.Messages.Following {
		m.Messages.Following = false
		return
	}
	if !m.Messages.Session.Live {
		m.Notice = "this session is not being recorded: there is nothing to follow"
		return
	}
	m.Messages.toLast()
}

// read shows the selected message in one of the reader's views.
func (m *Model) read(v View) {
	if m.Messages.Selected == 0 {
		return
	}
	switch m.View() {
	case Detail, Raw, Hex:
		m.views[len(m.views)-1] = v
	default:
		m.push(v)
	}
	if m.Reader.Has(m.Messages.Session.ID, m.Messages.Selected) {
		m.Reader.show(v, m.Reader.record, m.Reader.msg, m.width)
	}
}

func (m *Model) readNeighbour(n int) { m.Messages.move(n) }

func (m *Model) help() {
	if m.View() == Help {
		return
	}
	m.Reader.text, m.Reader.offset, m.Reader.view = helpText(m.View()), 0, Help
	m.push(Help)
}

// reading reports whether the view on the screen is one of a single message.
func (m *Model) reading() bool {
	v := m.View()
	return v == Detail || v == Raw || v == Hex
}

// Next returns what the model needs next; false when it has all. Ask again
// after Apply: an answer may bring up another question.
func (m *Model) Next() (Request, bool) {
	if m.Sessions.stale {
		return Request{kind: wantSessions}, true
	}
	if m.reading() && !m.Reader.Has(m.Messages.Session.ID, m.Messages.Selected) {
		return Request{kind: wantRecord, session: m.Messages.Session.ID, seq: m.Messages.Selected, window: m.Messages.window}, true
	}
	return m.Messages.want()
}

// Apply takes in the answer to what Next asked for.
func (m *Model) Apply(res Result) {
	if res.err != nil {
		m.failed(&res)
		return
	}
	switch res.request.kind {
	case wantSessions:
		m.Sessions.apply(res.sessions)
	case wantRecord:
		m.applyRecord(&res)
	default:
		m.Messages.apply(&res)
	}
}

func (m *Model) applyRecord(res *Result) {
	l := &m.Messages
	if res.request.window != l.window || res.request.seq != l.Selected || !m.reading() {
		return
	}
	if res.record == nil {
		m.Notice = "this message is gone from the store"
		m.back()
		return
	}
	m.Reader.session = l.Session.ID
	m.Reader.show(m.View(), res.record, res.msg, m.width)
}

// failed shows the error and stops asking for the same again.
func (m *Model) failed(res *Result) {
	m.Notice = Printable(res.err.Error())
	switch res.request.kind {
	case wantSessions:
		m.Sessions.stale = false
	case wantRecord:
		if m.reading() {
			m.back()
		}
	default:
		l := &m.Messages
		l.atStart, l.atEnd, l.toEnd, l.stale, l.carry = true, true, false, false, 0
	}
}
