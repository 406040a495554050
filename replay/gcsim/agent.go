package gcsim

import (
	"time"

	"gctap/decode"
)

// possible reports whether the transition table of the protocol has a row.
func possible(from, to string) bool {
	_, ok := decode.FindTransition(from, to)
	return ok
}

// An agent is a Person at work.
type agent struct {
	*Person
	topic     string // topic://…: where its events go; empty: never connected
	known     bool   // Connect named its topic; false: it must log in again
	conn      string // the producer connection of its Login
	extension string // logged in on; empty: logged out

	state  string
	reason Reason // of NOT_READY
	since  string // wire time of the last change
	resume resume // what follows the call
	legs   []*leg // its places in calls

	watches []string // teams whose members' states it is sent
	lastID  string   // its last call that ended: what a late wrapup names
	wrapped bool     // wrap-up data of that call has come
	timer   int      // of the wrap-up timer, to tell an old one
	book    ledger
}

// resume is the state that an agent goes to once its calls are over.
type resume struct {
	state   string // READY or NOT_READY
	pending string // chosen during the call; empty: nothing
	reason  Reason // that goes with NOT_READY
	work    bool   // the call calls for wrap-up
}

func newAgent(p *Person) *agent {
	return &agent{Person: p, state: "LOGOUT", reason: Reason{Code: "-1"}}
}

func (a *agent) loggedIn() bool { return a.extension != "" }

// address is where calls reach the agent.
func (a *agent) address() string {
	if a.extension == "" {
		return a.Extension
	}
	return a.extension
}

// onCall reports whether the agent's state is that of a call, which only the
// call changes; what the agent chooses meanwhile waits for its end.
func (a *agent) onCall() bool {
	switch a.state {
	case "TALKING", "HOLD", "RESERVED_OUTBOUND_PREVIEW":
		return true
	}
	return false
}

// leg returns the agent's place in a call; nil when it has none.
func (a *agent) leg(id string) *leg {
	for _, l := range a.legs {
		if l.dialog.id == id {
			return l
		}
	}
	return nil
}

// enter brings an agent into a state and says so to it and to the supervisors
// who watch its team.
func (s *Sim) enter(a *agent, state string, why Reason) {
	a.timer++
	a.state, a.since = state, s.wire()
	switch state {
	case "NOT_READY", "LOGOUT":
		a.reason = why
	default:
		a.reason = Reason{}
	}
	extension := a.extension
	s.tellState(a, func(at time.Time) { a.book.enter(state, reasonOf(state, why), extension, at) })
	switch state {
	case "WORK", "WORK_READY":
		s.startWrapUp(a)
	case "READY":
		s.offer = true
	}
}

// reasonOf is the reason code that the book keeps for a state.
func reasonOf(state string, why Reason) string {
	if state == "NOT_READY" || state == "LOGOUT" {
		return why.Code
	}
	return ""
}

// tellState sends the agent's state as it is.
func (s *Sim) tellState(a *agent, sent func(time.Time)) {
	s.emit(a.topic, stateEvent(a, a), sent)
	for _, boss := range s.watchers {
		if boss != a && boss.watching(a.Team) {
			s.emit(boss.topic, stateEvent(boss, a), nil)
		}
	}
}

func (a *agent) watching(team string) bool {
	for _, t := range a.watches {
		if t == team {
			return true
		}
	}
	return false
}

// startWrapUp lets the wrap-up timer run out, unless the agent has moved on.
func (s *Sim) startWrapUp(a *agent) {
	timer := a.timer
	s.after(s.cfg.WrapUpTime, func() {
		if a.timer != timer {
			return
		}
		if a.state == "WORK" {
			s.enter(a, "NOT_READY", a.resume.reason)
		} else {
			s.enter(a, "READY", Reason{})
		}
	})
}

// settle brings an agent's state in line with its calls.
func (s *Sim) settle(a *agent) {
	want := a.callState()
	switch {
	case !a.loggedIn() || want == a.state:
	case want != "":
		if a.state == "READY" || a.state == "NOT_READY" {
			a.resume = resume{state: a.state, reason: a.reason}
		}
		s.enter(a, want, Reason{})
	case a.state == "RESERVED", a.state == "RESERVED_OUTBOUND", a.onCall():
		state, why := a.afterCall()
		s.enter(a, state, why)
	}
}

// callState is the state that the agent's calls ask for; "" without any.
func (a *agent) callState() string {
	state := ""
	for _, l := range a.legs {
		switch {
		case l.listened:
		case l.state == "ACTIVE", l.state == "INITIATING", l.state == "INITIATED", l.state == "ALERTING" && !l.incoming:
			return "TALKING"
		case l.state == "HELD":
			state = "HOLD"
		case state == "":
			state = l.reserves
		}
	}
	return state
}

// afterCall is the state that follows the agent's last call.
func (a *agent) afterCall() (string, Reason) {
	r := a.resume
	state := r.state
	work := r.work
	switch r.pending {
	case "READY", "NOT_READY":
		state = r.pending
	case "WORK":
		state, work = "NOT_READY", true
	case "WORK_READY":
		state, work = "READY", true
	}
	talked := a.state == "TALKING" || a.state == "HOLD"
	switch {
	case talked && work && state == "NOT_READY":
		return "WORK", Reason{}
	case talked && work:
		return "WORK_READY", Reason{}
	case a.state == "RESERVED":
		return "READY", Reason{} // the only way back that the table has
	case state == "NOT_READY":
		return state, r.reason
	}
	return "READY", Reason{}
}

// change is an agent's or supervisor's wish for another state.
func (s *Sim) change(a *agent, state string, why Reason) {
	switch {
	case !a.loggedIn() || a.state == "RESERVED":
		s.refuse(a, "CF_INVALID_OBJECT_STATE")
	case a.onCall():
		a.resume.pending = state
		if state == "NOT_READY" || state == "WORK" {
			a.resume.reason = why
		}
		s.tellState(a, nil)
	case state == "WORK" || state == "WORK_READY" || !possible(a.state, state):
		s.refuse(a, "CF_INVALID_OBJECT_STATE")
	case a.owesData():
		s.refuse(a, "CF_INVALID_OBJECT_STATE")
	default:
		s.leaveReservation(a)
		a.resume = resume{state: state, reason: why}
		s.enter(a, state, why)
	}
}

// owesData reports whether the agent must give wrap-up data before it leaves
// wrap-up.
func (a *agent) owesData() bool {
	return a.wrapUp() == "REQUIRED_WITH_WRAP_UP_DATA" && !a.wrapped && (a.state == "WORK" || a.state == "WORK_READY")
}

// refuse answers with an Error event.
func (s *Sim) refuse(a *agent, code string) { s.emit(a.topic, errorEvent(a.ID, code), nil) }

// pendingState is what a State event says of the agent's choice for later.
func (a *agent) pendingState() string {
	if a.onCall() {
		return a.resume.pending
	}
	return ""
}
