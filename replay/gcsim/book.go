package gcsim

import "time"

// A Book is what really happened, by the simulator's own clock: what an audit
// of a recording is compared with. The time of a change is that of the event
// that tells of it; a planted fault changes the event, never the book.
type Book struct {
	At     time.Time   `json:"at"` // when it was closed; what was going on then ends here
	Agents []AgentBook `json:"agents"`
}

// Agent returns the book of one agent; nil where it has none.
func (b *Book) Agent(id string) *AgentBook {
	for i := range b.Agents {
		if b.Agents[i].Agent == id {
			return &b.Agents[i]
		}
	}
	return nil
}

// An AgentBook is one agent's.
type AgentBook struct {
	Agent    string      `json:"agent"`
	Sessions []Session   `json:"sessions"`
	States   []StateSpan `json:"states"`  // from login on, without gaps; LOGOUT is not kept
	Calls    []CallSpan  `json:"calls"`   // in the order in which they ended
	Actions  []Action    `json:"actions"` // as a supervisor
	Figures
}

// Figures are what an agent did, counted.
type Figures struct {
	Taken       int `json:"taken"` // incoming calls answered, and calls of a campaign put through
	Made        int `json:"made"`
	Released    int `json:"released"`
	Held        int `json:"held"`
	Retrieved   int `json:"retrieved"`
	Consulted   int `json:"consulted"`
	Transferred int `json:"transferred"` // blind transfers too
	Conferenced int `json:"conferenced"`
	WrapUps     int `json:"wrapUps"`   // wrap-up reasons given
	Callbacks   int `json:"callbacks"` // callbacks scheduled, updated and cancelled, calls reclassified
}

// A Session lasts from login to logout.
type Session struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Extension string    `json:"extension"`
	How       string    `json:"how"`    // it ended: logout, forced, session invalidated; open: it has not
	By        string    `json:"by"`     // who forced the logout, where the connection tells
	Reason    string    `json:"reason"` // of the logout
}

// A StateSpan is the time that an agent spent in a state. A change of the
// reason begins another.
type StateSpan struct {
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

// A CallSpan is an agent's time in a call that it talked in, holding included.
type CallSpan struct {
	DialogID  string    `json:"dialogId"`
	CallType  string    `json:"callType"`
	Incoming  bool      `json:"incoming"`
	Consult   bool      `json:"consult"`
	Listening bool      `json:"listening"` // a supervisor's silent monitoring
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
}

// An Action is what a supervisor did to somebody.
type Action struct {
	At       time.Time `json:"at"`
	Do       string    `json:"do"`     // name of the command
	Target   string    `json:"target"` // login id, or the number of an outside party
	DialogID string    `json:"dialogId"`
}

// StateReason is a state with its reason code.
type StateReason struct{ State, Reason string }

// InState adds up the time spent in each state and reason.
func (b *AgentBook) InState() map[StateReason]time.Duration {
	total := map[StateReason]time.Duration{}
	for _, s := range b.States {
		total[StateReason{s.State, s.Reason}] += s.To.Sub(s.From)
	}
	return total
}

// exit says how a session ends.
type exit struct{ How, By string }

// A ledger is an AgentBook in the making.
type ledger struct {
	Figures
	sessions []Session
	states   []StateSpan
	calls    []CallSpan
	actions  []Action
	leaving  exit
}

// enter books a change of state.
func (l *ledger) enter(state, reason, extension string, at time.Time) {
	if n := len(l.states); n > 0 && l.states[n-1].To.IsZero() {
		l.states[n-1].To = at
	}
	open := len(l.sessions) > 0 && l.sessions[len(l.sessions)-1].To.IsZero()
	if state == "LOGOUT" {
		if open {
			s := &l.sessions[len(l.sessions)-1]
			s.To, s.How, s.By, s.Reason = at, l.leaving.How, l.leaving.By, reason
		}
		return
	}
	if !open {
		l.sessions = append(l.sessions, Session{From: at, Extension: extension, How: "open"})
	}
	l.states = append(l.states, StateSpan{State: state, Reason: reason, From: at})
}

// ended books a call that an agent is out of.
func (l *ledger) ended(c *leg, at time.Time) {
	if c.since.IsZero() || c.listened {
		return
	}
	d := c.dialog
	l.calls = append(l.calls, CallSpan{
		DialogID: d.id, CallType: d.callType, Incoming: c.incoming, Consult: d.main != nil, Listening: d.monitors != nil,
		From: c.since, To: at,
	})
}

// act books what a supervisor does.
func (s *Sim) act(boss *agent, do, target, dialog string) {
	boss.book.actions = append(boss.book.actions, Action{At: s.now, Do: do, Target: target, DialogID: dialog})
}

// Book closes the books at a time and returns them, of everybody who ever
// logged in. The simulation goes on.
func (s *Sim) Book(now time.Time) *Book {
	b := &Book{At: now}
	for _, a := range s.people {
		if len(a.book.sessions) > 0 {
			b.Agents = append(b.Agents, a.closed(now))
		}
	}
	return b
}

// closed copies an agent's book as it stands now. What is open ends now; what
// is decided but not yet told has not happened.
func (a *agent) closed(now time.Time) AgentBook {
	l := &a.book
	b := AgentBook{Agent: a.ID, Figures: l.Figures, Sessions: []Session{}, States: []StateSpan{}, Calls: []CallSpan{}, Actions: append([]Action{}, l.actions...)}
	for _, s := range l.sessions {
		if s.To.IsZero() || s.To.After(now) {
			s.To, s.How, s.By, s.Reason = now, "open", "", ""
		}
		if !s.From.After(now) {
			b.Sessions = append(b.Sessions, s)
		}
	}
	for _, s := range l.states {
		if s.To.IsZero() || s.To.After(now) {
			s.To = now
		}
		if !s.From.After(now) {
			b.States = append(b.States, s)
		}
	}
	calls := ledger{calls: append([]CallSpan{}, l.calls...)}
	for _, c := range a.legs {
		calls.ended(c, now)
	}
	for _, c := range calls.calls {
		if c.To.After(now) {
			c.To = now
		}
		if !c.From.After(now) {
			b.Calls = append(b.Calls, c)
		}
	}
	return b
}
