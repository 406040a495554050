package gcsim

import (
	"fmt"
	"sort"
	"time"
)

// A dialog is a call: who is in it, and what is known of it.
type dialog struct {
	id       string
	from, to string
	callType string
	vars     []variable
	started  string  // wire time
	legs     []*leg  // of everybody who ever was in it, in the order they came
	main     *dialog // of a consult call: the call it is about
	target   *agent  // of a call that waits: the only one to get it; nil: any
	outbound string  // preview, progressive: of a campaign; empty: no
	monitors *leg    // of silent monitoring: whose calls are listened to
	over     bool
}

type variable struct{ name, value string }

// A leg is somebody's place in a dialog.
type leg struct {
	dialog   *dialog
	agent    *agent // nil: outside
	address  string
	state    string // of the participant
	device   string
	why      string // the fourth part of a participant: SUPERVISOR_BARGE_IN
	time     string // wire time of the last change
	consult  bool   // the agent sees it as ConsultCall
	incoming bool
	listened bool   // the agent is listened to: it is no call of its own
	reserves string // state of the agent while the leg is ALERTING or ACCEPTED
	gone     bool
	talked   bool
	since    time.Time // when the agent was told that it talks, for the book
}

// newID draws the id of a call. The range is that of the ids seen on real
// sites.
func (s *Sim) newID() string {
	for {
		id := fmt.Sprint(16777216 + s.rng.Int64N(1<<24))
		if s.dialogs[id] == nil {
			return id
		}
	}
}

// newDialog begins a call. The variables get ani, and associatedDialogId when
// the call is about another, in front, as GC does.
func (s *Sim) newDialog(from, to, callType string, vars []variable, main *dialog) *dialog {
	front := []variable{{"ani", from}}
	if main != nil {
		front = append(front, variable{"associatedDialogId", main.id})
	}
	d := &dialog{
		id: s.newID(), from: from, to: to, callType: callType, main: main,
		vars: append(front, vars...), started: s.wire(),
	}
	s.dialogs[d.id] = d
	return d
}

// join adds an agent to a call.
func (s *Sim) join(d *dialog, a *agent, state string) *leg {
	l := &leg{dialog: d, agent: a, address: a.address(), device: "AGENT_DEVICE"}
	s.turn(l, state)
	d.legs, a.legs = append(d.legs, l), append(a.legs, l)
	return l
}

// joinOutside adds somebody who is no agent.
func (s *Sim) joinOutside(d *dialog, address, state string) *leg {
	l := &leg{dialog: d, address: address, device: "NULL"}
	s.turn(l, state)
	d.legs = append(d.legs, l)
	return l
}

// turn changes a participant's state.
func (s *Sim) turn(l *leg, state string) {
	l.state, l.time = state, s.wire()
	l.talked = l.talked || state == "ACTIVE"
}

// present are the participants who have not left.
func (d *dialog) present() (legs []*leg) {
	for _, l := range d.legs {
		if !l.gone {
			legs = append(legs, l)
		}
	}
	return legs
}

// other is the first participant beside l: the far end of a call of two.
func (d *dialog) other(l *leg) *leg {
	for _, o := range d.present() {
		if o != l {
			return o
		}
	}
	return nil
}

// at returns the participant at an address.
func (d *dialog) at(address string) *leg {
	for _, l := range d.present() {
		if l.address == address {
			return l
		}
	}
	return nil
}

// about returns the agent's consult call about d.
func (a *agent) about(d *dialog) *leg {
	for _, l := range a.legs {
		if l.consult && l.dialog.main == d {
			return l
		}
	}
	return nil
}

// tell sends the agent of a leg the event of its call in the given state.
func (s *Sim) tell(l *leg, state string, sent func(time.Time)) {
	if l.agent == nil {
		return
	}
	s.emit(l.agent.topic, callEvent(l, state), func(at time.Time) {
		if l.talked && l.since.IsZero() {
			l.since = at
		}
		if sent != nil {
			sent(at)
		}
	})
}

// move turns a leg to a state and tells its agent.
func (s *Sim) move(l *leg, state string) {
	s.turn(l, state)
	s.tell(l, state, nil)
}

// ring offers a call to an agent.
func (s *Sim) ring(d *dialog, a *agent, callType string) *leg {
	l := s.join(d, a, "ALERTING")
	l.incoming, l.reserves = true, "RESERVED"
	s.settle(a)
	s.emit(a.topic, newCallEvent(l, callType), nil)
	s.after(s.cfg.RingTime, func() {
		if !l.gone && l.state == "ALERTING" {
			s.unanswered(l)
		}
	})
	return l
}

// unanswered ends the ringing at an agent who does not answer: the caller
// hangs up.
func (s *Sim) unanswered(l *leg) {
	s.end(l.dialog)
}

// leave takes one participant out of a call. Without it, a call of fewer than
// two, or of outsiders only, is over.
func (s *Sim) leave(l *leg) {
	s.part(l)
	d := l.dialog
	rest, agents := d.present(), 0
	for _, o := range rest {
		if o.agent != nil {
			agents++
		}
	}
	if len(rest) < 2 || agents == 0 {
		s.end(d)
		return
	}
	for _, o := range rest {
		if o.agent != nil && o.state == "ACTIVE" {
			s.tell(o, "ACTIVE", nil)
		}
	}
}

// part tells a leg's agent that it is out, and no more.
func (s *Sim) part(l *leg) {
	if l.gone {
		return
	}
	s.endMonitors(l)
	s.turn(l, "DROPPED")
	a := l.agent
	if a == nil {
		l.gone = true
		return
	}
	if l.incoming && !l.listened && l.talked && a.wrapsUp() {
		a.resume.work = true
	}
	s.tell(l, "DROPPED", func(at time.Time) { a.book.ended(l, at) })
	l.gone = true
	a.drop(l)
	if !l.listened && l.talked {
		a.lastID, a.wrapped = l.dialog.id, false
	}
}

// wrapsUp reports whether an incoming call is followed by wrap-up unasked.
func (a *agent) wrapsUp() bool {
	return a.wrapUp() == "REQUIRED" || a.wrapUp() == "REQUIRED_WITH_WRAP_UP_DATA"
}

// drop takes a leg off the agent's list.
func (a *agent) drop(l *leg) {
	for i, o := range a.legs {
		if o == l {
			a.legs = append(a.legs[:i:i], a.legs[i+1:]...)
			return
		}
	}
}

// end takes everybody out of a call.
func (s *Sim) end(d *dialog) {
	if d.over {
		return
	}
	d.over = true
	delete(s.dialogs, d.id)
	s.unqueue(d)
	rest := d.present()
	for _, l := range rest {
		s.part(l)
	}
	for _, l := range rest {
		if l.agent != nil {
			s.settle(l.agent)
		}
	}
}

// endMonitors ends the silent monitoring of whoever hangs up.
func (s *Sim) endMonitors(l *leg) {
	if l.agent == nil || l.listened {
		return
	}
	for _, o := range append([]*leg(nil), l.agent.legs...) {
		if o.listened && o.dialog.monitors == l {
			s.end(o.dialog)
		}
	}
}

// fail ends a call that could not be made.
func (s *Sim) fail(l *leg, cause string) {
	s.turn(l, "FAILED")
	s.emit(l.agent.topic, failedEvent(l, cause), nil)
	l.gone = true
	l.agent.drop(l)
	d := l.dialog
	d.over = true
	delete(s.dialogs, d.id)
	s.settle(l.agent)
}

// A reach is what is found at a number.
type reach struct {
	agent *agent // who rings
	cause string // why nobody does; empty with agent nil: an outside party
}

// reaches says what a number leads to. A number of the site leads to the agent
// who is logged in there, if ready; one that is not of the site and looks like
// a phone number leads outside.
func (s *Sim) reaches(number string) reach {
	a := s.users[number]
	switch {
	case a != nil && a.state == "READY":
		return reach{agent: a}
	case a != nil:
		return reach{cause: "BUSY"}
	case s.phones[number]:
		return reach{cause: "DEVICE_RESOURCE_NOT_AVAILABLE"}
	case !phoneNumber(number):
		return reach{cause: "BAD_DESTINATION"}
	}
	return reach{}
}

// phoneNumber reports whether text can be dialled.
func phoneNumber(text string) bool {
	for i, c := range text {
		if (c < '0' || c > '9') && c != '*' && (c != '+' || i > 0) {
			return false
		}
	}
	return text != "" && text != "+"
}

// variablesOf brings a map into a fixed order.
func variablesOf(m map[string]string) []variable {
	vars := make([]variable, 0, len(m))
	for name, value := range m {
		vars = append(vars, variable{name, value})
	}
	sort.Slice(vars, func(i, j int) bool { return vars[i].name < vars[j].name })
	return vars
}
