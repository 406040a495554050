package check

import (
	"fmt"
	"slices"
	"time"

	"gctap/decode/flow"
)

// agentViews are the agents as they were told about themselves. A supervisor's
// copies do not count: they may come later than what followed.
type agentViews struct {
	views   map[string]*agentView
	refused int64 // agents beyond the limit
}

// agentView is one agent's state and calls.
type agentView struct {
	id          string
	state       string // "": not known
	seq         int64  // of the event that told it
	at          time.Duration
	whole       bool // all of its calls are known
	calls       []legView
	ended       []string // ids of calls that ended a while ago
	invalidated time.Duration
	odd         string        // what the calls ask for, while the state is another
	oddSince    time.Duration // … since when
}

// legView is a call of an agent.
type legView struct {
	id, state string
	seq       int64
	outgoing  bool
	aside     bool // listened to, or a dialler's preview: not a call of its own
	preview   bool // a dialler's
}

func (v *agentViews) get(id string) *agentView {
	a := v.views[id]
	if a == nil {
		a = &agentView{id: id}
		if len(v.views) >= maxTracked {
			v.refused++
			return a
		}
		v.views[id] = a
	}
	return a
}

// forget makes all that is known of agents unknown.
func (v *agentViews) forget() {
	for _, a := range v.views {
		a.lost()
		a.state = ""
	}
}

// lost forgets an agent's calls.
func (a *agentView) lost() { a.whole, a.calls, a.odd = false, nil, "" }

// begin is an agent's login: there are no calls but those that GC tells of.
func (a *agentView) begin() {
	a.lost()
	a.whole = true
}

func (a *agentView) leg(id string) *legView {
	for i := range a.calls {
		if a.calls[i].id == id {
			return &a.calls[i]
		}
	}
	return nil
}

// add puts a call on the list; one agent has few.
func (a *agentView) add(id string) *legView {
	const most = 32
	if len(a.calls) == most {
		a.calls = slices.Delete(a.calls, 0, 1)
	}
	a.calls = append(a.calls, legView{id: id})
	return &a.calls[len(a.calls)-1]
}

// end takes a call off the list.
func (a *agentView) end(id string) {
	a.calls = slices.DeleteFunc(a.calls, func(l legView) bool { return l.id == id })
	const most = 16
	if len(a.ended) == most {
		a.ended = slices.Delete(a.ended, 0, 1)
	}
	a.ended = append(a.ended, id)
}

// talking is the number of calls that the agent talks in or makes.
func (a *agentView) talking() (n int) {
	for i := range a.calls {
		l := &a.calls[i]
		if !l.aside && (l.state == "ACTIVE" || l.outgoing && l.state != "HELD" && l.state != "ACCEPTED") {
			n++
		}
	}
	return n
}

// asks is the state that the agent's calls ask for; "" without any.
func (a *agentView) asks() string {
	state := ""
	for i := range a.calls {
		l := &a.calls[i]
		switch {
		case l.aside:
		case l.state == "ACTIVE", l.outgoing && l.state != "HELD" && l.state != "ACCEPTED":
			return "TALKING"
		case l.state == "HELD":
			state = "HOLD"
		case state == "" && (l.state == "NEW" || l.state == "ALERTING"):
			state = "RESERVED"
		}
	}
	return state
}

// state takes in what an agent is told of its own state.
func (c *Checker) state(s *Seen) {
	to := flow.State(s.Message)
	if to == "" || s.Subject == "" || s.Conversation != s.Subject {
		return
	}
	a := c.agents.get(s.Subject)
	from, seq, at := a.state, a.seq, a.at
	a.state, a.seq, a.at = to, s.Record.Seq, s.At
	switch to {
	case "READY", "NOT_READY", "LOGOUT", "WORK", "WORK_READY":
		if !a.whole {
			a.begin()
		}
	}
	if !stateMayFollow(from, to) && !calledOut(s, from, to) {
		f := c.about(s, Finding{Rule: ImpossibleState, Time: s.Time, Text: fmt.Sprintf("agent %s went from %s to %s", s.Subject, from, to)})
		f.Seqs = seqsOf(seq, s.Record.Seq)
		if to == "LOGOUT" {
			if forced(s) {
				from = "" // from any state
			}
			c.doubt.add(s.At+c.late, func() {
				if from != "" && (a.invalidated == 0 || s.At-a.invalidated > c.late) {
					c.report(f, at)
				}
			})
		} else {
			c.report(f, at)
		}
	}
	if to == "LOGOUT" {
		c.loggedOut(s, a)
	}
	c.compare(a)
}

// calledOut reports whether the agent's own call explains the change.
func calledOut(s *Seen, from, to string) bool {
	by := s.Exchange
	return from == "READY" && to == "TALKING" && by != nil && by.Name == "MakeCall"
}

// forced reports whether a logout is one that works from every state.
func forced(s *Seen) bool {
	by := s.Exchange
	if by == nil {
		by = s.By
	}
	return by != nil && (by.Name == "ForceLogout" || by.Name == "Logout" && by.Sender != by.Agent)
}

// loggedOut ends the agent's calls, which must be over by then.
func (c *Checker) loggedOut(s *Seen, a *agentView) {
	if !a.whole {
		a.lost()
		return
	}
	calls := slices.Clone(a.calls)
	epoch := a.seq
	c.doubt.add(s.At+c.late, func() {
		for _, l := range calls {
			if a.seq == epoch && a.leg(l.id) != nil {
				f := Finding{Rule: CallSequence, Time: c.at(s.At), Seq: epoch, Seqs: seqsOf(l.seq, epoch), Conversation: a.id, Agent: a.id, Name: "State", Dialog: l.id}
				f.Text = fmt.Sprintf("agent %s logged out, and was never told that call %s has ended", a.id, l.id)
				c.report(f, s.At)
			}
		}
		if a.seq == epoch {
			a.lost()
		}
	})
}

// call takes in an event of a call.
func (c *Checker) call(s *Seen) {
	if s.Conversation == "" || s.Subject == "" {
		return
	}
	a := c.agents.get(s.Conversation)
	id := s.Dialog.ID
	l := a.leg(id)
	if isNew(s.Message.Name) {
		if l == nil || l.state != "NEW" { // it may be announced again with another type
			a.end(id)
			l = a.add(id)
		}
		l.state, l.seq, l.aside = "NEW", s.Record.Seq, aside(s)
		c.compare(a)
		return
	}
	state := flow.State(s.Message)
	if state == "" {
		return
	}
	preview := s.Message.Text("callType") == previewType
	if !preview { // the layout of its announcement is not known
		c.step(s, a, l, state)
	}
	switch state {
	case "DROPPED", "FAILED", "NOT_FOUND":
		a.end(id)
	default:
		if l == nil {
			l = a.add(id)
			l.outgoing = state == "INITIATING" || state == "INITIATED"
		}
		if l.state == "ACCEPTED" && state == "INITIATING" {
			l.outgoing = true
		}
		if preview != l.preview {
			l.preview, l.aside = preview, preview
		}
		l.state, l.seq = state, s.Record.Seq
	}
	c.compare(a)
}

func isNew(name string) bool { return len(name) > 3 && name[:3] == "New" }

// aside reports whether an announced call is none of the agent's own: a
// supervisor listens, or a dialler shows a preview.
func aside(s *Seen) bool {
	if s.Message.Name == "NewOutboundPreviewCall" {
		return true
	}
	switch s.Message.Text("callType") {
	case "SM", "SUPERVISOR_MONITOR":
		return true
	}
	return false
}

// step judges the order of a call's events.
func (c *Checker) step(s *Seen, a *agentView, l *legView, state string) {
	from, since, seq := "", s.At, int64(0)
	if l != nil {
		from, seq = l.state, l.seq
	}
	ended := slices.Contains(a.ended, s.Dialog.ID)
	switch {
	case mayFollow(from, state), l == nil && !a.whole:
		return
	case l == nil && !ended && state == "ACTIVE" && joined(s):
		return
	case l != nil && from != "NEW" && !a.whole:
		return
	}
	f := c.about(s, Finding{Rule: CallSequence})
	f.Seqs = seqsOf(seq, s.Record.Seq)
	switch {
	case l == nil && ended:
		f.Text = fmt.Sprintf("call %s is %s for agent %s, after it had ended", s.Dialog.ID, state, a.id)
	case l == nil:
		f.Text = fmt.Sprintf("call %s is %s for agent %s, who had not been told of it", s.Dialog.ID, state, a.id)
	case from == "NEW":
		f.Text = fmt.Sprintf("call %s was announced to agent %s, and then is %s", s.Dialog.ID, a.id, state)
	default:
		f.Text = fmt.Sprintf("call %s went from %s to %s for agent %s", s.Dialog.ID, from, state, a.id)
	}
	c.report(f, since)
}

// joined reports whether an agent may be in a call without having been called:
// by a transfer or a conference.
func joined(s *Seen) bool {
	switch s.Message.Text("callType") {
	case "TRANSFER", "CONFERENCE", "CONSULT_CONFERENCE", "SUPERVISOR_BARGE_IN", "SUPERVISOR_BARGEIN", "SUPERVISOR_INTERCEPT", "":
		return true
	}
	return false
}

// compare holds an agent's state against its calls. A difference is reported
// when it lasts; how long it lasts is not known before.
func (c *Checker) compare(a *agentView) {
	asks := a.asks()
	two := a.talking() > 1 && !c.noHolds
	if c.noHolds && a.state == "HOLD" && asks == "TALKING" {
		asks = "HOLD"
	}
	if !a.whole || a.state == "" || fits(a.state, asks) && !two {
		a.odd, a.oddSince = "", 0
		return
	}
	rule, odd := StateMismatch, a.state+"/"+asks
	if two {
		rule, odd = TwoCalls, "two"
	}
	if a.odd == odd {
		return
	}
	a.odd, a.oddSince = odd, c.now
	f := Finding{Rule: rule, Conversation: a.id, Agent: a.id, Name: "State", Text: a.oddity(asks, two)}
	seqs := []int64{a.seq}
	for i := range a.calls {
		if !a.calls[i].aside {
			seqs, f.Dialog = append(seqs, a.calls[i].seq), a.calls[i].id
		}
	}
	f.Seq, f.Seqs = slices.Max(seqs), seqsOf(seqs...)
	since := c.now
	c.doubt.add(since+c.late, func() {
		if a.odd == odd && a.oddSince == since {
			f.Time = c.at(since)
			c.report(f, since)
		}
	})
}

// oddity says what does not fit together.
func (a *agentView) oddity(asks string, two bool) string {
	what := "and has no call"
	switch {
	case two:
		what = "and talks in two calls"
	case asks == "TALKING":
		what = "with a call that is being talked in or dialled"
	case asks == "HOLD":
		what = "with all calls on hold"
	case asks == "RESERVED":
		what = "with a call that rings"
	}
	return fmt.Sprintf("agent %s is %s, %s", a.id, a.state, what)
}
