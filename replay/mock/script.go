// Package mock plays GC to real clients from a recording: a command is answered
// with what the recording has for it, at the recorded distance in time.
//
// A [Script] is the recording, read once: every command with the events that it
// brought about, and those that nobody's command did (a call comes in) with the
// command of their agent that they followed. A [Player] decides, without a
// clock or a broker, what follows a client's command; a [Server] runs one over
// a capture.Link.
//
// Clients need not come in the recorded order. What several agents' commands
// brought about waits for the last of them, in the recording's order; what an
// agent is told keeps that order too. Agents of the recording whom no client
// plays do as they did there: what their commands brought about for others
// comes at the recorded distance from the receiver's own last command.
//
// A command fits a recorded one of the same name and agent whose arguments are
// the same, ids, destinations and passwords apart, in the same state of the
// agent and of the call it names; one that comes next in its conversation fits
// in any state. A client whose agent is not in the recording is given a
// recorded agent at its Connect or Login, and from then on reads its own login
// id and extension. Ids of calls are new ones each time. Times inside events
// are those of the recording.
package mock

import (
	"iter"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A Script is a recording by command.
type Script struct {
	turns  map[string][]*turn // by name; of an unknown command by its JMSType
	count  int
	lanes  map[string]*lane // by agent
	agents []string         // that commands name, in order
	masked int              // events that cannot be sent, since a secret is masked in them
}

// Commands is how many commands the recording can answer.
func (s *Script) Commands() int { return s.count }

// Agents are those whose commands the recording has, in their order.
func (s *Script) Agents() []string { return slices.Clone(s.agents) }

// Masked is how many events are left out because a secret in them is masked.
func (s *Script) Masked() int { return s.masked }

// lane is the commands of one agent that change something, in order.
type lane struct{ turns []*turn }

// turn is a command and what followed it.
type turn struct {
	rec     capture.Record
	msg     decode.Message
	values  map[string]value
	at      time.Duration
	topic   string // that it names, bare
	steps   bool   // it changes something: the conversation goes on by it
	place   int    // in its lane
	state   string // of the agent, as the agent was told before
	call    string // the dialog that it names
	called  string // state of that dialog, as the agent was told before
	replies []*reply
}

// reply is an event and the commands that it has to wait for.
type reply struct {
	rec    capture.Record
	at     time.Duration
	needs  []*turn // what brought it about, in order: it comes after the last of them whose agent has a client
	last   *turn   // the last command of its receiver: where none of the needs' agents has one
	own    bool    // a command brought it about
	agent  string  // receiver, where it is an agent
	states []told
}

// inherit makes r wait for what e waits for, as far as that came before r.
func (r *reply) inherit(e *reply) {
	from := e.needs
	if len(from) == 0 && e.last != nil {
		from = []*turn{e.last}
	}
	r.own, r.needs = e.own, nil
	for _, t := range from {
		if t.rec.Seq < r.rec.Seq {
			r.needs = append(r.needs, t)
		}
	}
}

// told is a state that an event tells: of the agent (dialog ""), or of a dialog.
type told struct{ agent, dialog, state string }

// ReadScript reads a recording. It is kept in memory.
func ReadScript(records iter.Seq2[capture.Record, error]) (*Script, error) {
	r := reader{
		script: &Script{turns: map[string][]*turn{}, lanes: map[string]*lane{}}, flow: flow.New(flow.Options{}),
		bySeq: map[int64]*turn{}, last: map[string]*turn{}, acted: map[string]map[string]*turn{}, states: map[told]string{},
		calls: map[string]*reply{}, reserved: map[string]*reply{}, copies: map[*reply]told{},
	}
	for rec, err := range records {
		if err != nil {
			return nil, err
		}
		r.observe(&rec)
	}
	r.finish()
	return r.script, nil
}

// reader builds a Script.
type reader struct {
	script *Script
	flow   *flow.Flow
	bySeq  map[int64]*turn
	last   map[string]*turn            // by conversation: the last command that changed something
	acted  map[string]map[string]*turn // by dialog, by agent: the last command on it
	states map[told]string             // the last one told; the key has no state

	replies  []*reply
	calls    map[string]*reply // by receiver: the last event of a call
	reserved map[string]*reply // by receiver: a RESERVED whose call has not been told yet
	copies   map[*reply]told   // states of others
}

func (r *reader) observe(rec *capture.Record) {
	msg := flow.Decode(rec, decode.Options{})
	facts := r.flow.Observe(rec, &msg)
	switch rec.Direction {
	case capture.Command:
		r.command(rec, msg, &facts)
	case capture.Event:
		r.event(rec, &msg, &facts)
	}
}

func (r *reader) command(rec *capture.Record, msg decode.Message, facts *flow.Facts) {
	t := &turn{
		rec: *rec, msg: msg, values: scalars(&msg), at: facts.At, topic: msg.Text("clientDestination"), steps: changes(&msg),
		state: r.states[told{agent: msg.Agent}], call: msg.Text("dialogId"),
	}
	t.called = r.states[told{agent: msg.Agent, dialog: t.call}]
	s := r.script
	key := nameOf(rec, &msg)
	s.turns[key] = append(s.turns[key], t)
	s.count++
	r.bySeq[rec.Seq] = t
	if msg.Agent == "" {
		if r.last[facts.Conversation] == nil {
			r.last[facts.Conversation] = t
		}
		return
	}
	l := s.lanes[msg.Agent]
	if l == nil {
		l = &lane{}
		s.lanes[msg.Agent] = l
		s.agents = append(s.agents, msg.Agent)
	}
	if t.call != "" {
		if r.acted[t.call] == nil {
			r.acted[t.call] = map[string]*turn{}
		}
		r.acted[t.call][msg.Agent] = t
	}
	if t.steps {
		t.place = len(l.turns)
		l.turns = append(l.turns, t)
		r.last[facts.Conversation] = t
	}
}

// nameOf is what a command is found by.
func nameOf(rec *capture.Record, msg *decode.Message) string {
	if msg.Spec() == nil {
		return "type " + rec.Type()
	}
	return msg.Name
}

// changes reports whether a command changes something for its agent: it is
// answered by a state or by events of a call.
func changes(msg *decode.Message) bool {
	spec := msg.Spec()
	if msg.Agent == "" || spec == nil {
		return false
	}
	if begins(msg.Name) || msg.Name == "Logout" {
		return true
	}
	return slices.ContainsFunc(spec.Expects, func(s decode.Sequence) bool {
		return slices.ContainsFunc(s.Events, func(e decode.Expect) bool { return !flow.IsList(e.Event) && e.Event != "Error" })
	})
}

// begins reports whether a command begins a session of an agent, whatever was
// before.
func begins(name string) bool { return name == "Connect" || isLogin(name) }

func isLogin(name string) bool { return name == "Login" || name == "MobileAgentLogin" }

// event finds the commands that an event has to wait for.
func (r *reader) event(rec *capture.Record, msg *decode.Message, facts *flow.Facts) {
	e := &reply{rec: *rec, at: facts.At, states: tells(msg, facts), last: r.last[facts.Conversation]}
	if !strings.Contains(facts.Conversation, ":") {
		e.agent = facts.Conversation
	}
	for _, t := range e.states {
		r.states[told{agent: t.agent, dialog: t.dialog}] = t.state
	}
	if len(rec.Masked) > 0 || rec.Truncated > 0 {
		r.script.masked++
		return
	}
	e.needs = r.behind(msg, facts)
	e.own = len(e.needs) > 0
	switch {
	case facts.Dialog != nil:
		r.call(e, msg)
	case msg.Name == "State" && !e.own && e.agent != "":
		r.state(e, facts.Subject, flow.State(msg))
	}
	r.replies = append(r.replies, e)
}

// together is how close to each other the events of one happening are.
const together = 2 * time.Second

// call takes in an event of a call. The RESERVED that was told just before
// comes with it.
func (r *reader) call(e *reply, msg *decode.Message) {
	r.calls[e.agent] = e
	if s := r.reserved[e.agent]; s != nil && announces(msg) && e.at-s.at <= together {
		s.inherit(e)
	}
	delete(r.reserved, e.agent)
}

// announces reports whether an event is the first that an agent is told of a
// call.
func announces(msg *decode.Message) bool { return strings.HasPrefix(msg.Name, "New") }

// state takes in a state that answers no command: the agent's own comes with
// the last event of its call, unless it has sent a command since; another
// agent's with what that one is told.
func (r *reader) state(e *reply, subject, state string) {
	if subject != e.agent {
		r.copies[e] = told{agent: subject, state: agentState(state)}
		return
	}
	if c := r.calls[e.agent]; c != nil && (e.last == nil || c.rec.Seq > e.last.rec.Seq) {
		e.inherit(c)
	} else if strings.HasPrefix(state, "RESERVED") {
		r.reserved[e.agent] = e
	}
}

// behind returns the commands that brought an event about, in order; none where
// nobody's did. What is told of a call also waits for later commands on that
// leg, of other agents (a consultation is active once it is answered), and what
// another agent's command brings about for the receiver's own.
func (r *reader) behind(msg *decode.Message, facts *flow.Facts) (needs []*turn) {
	var cause *turn
	answer := facts.Exchange != nil
	if answer {
		cause = r.bySeq[facts.Exchange.Seq]
	} else if facts.By != nil {
		cause = r.bySeq[facts.By.Seq]
	}
	if cause != nil {
		needs = append(needs, cause)
	}
	if facts.Dialog == nil || facts.Trigger != nil {
		return needs
	}
	legs := []string{facts.Dialog.ID}
	if cause == nil {
		legs = facts.Call.Dialogs
	}
	for _, leg := range legs {
		for agent, acted := range r.acted[leg] {
			own := agent == facts.Conversation
			if (cause == nil || acted.rec.Seq > cause.rec.Seq) && !(own && (answer || announces(msg))) {
				needs = append(needs, acted)
			}
		}
	}
	slices.SortFunc(needs, func(a, b *turn) int { return int(a.rec.Seq - b.rec.Seq) })
	return slices.Compact(needs)
}

// finish gives every event to the commands that it waits for.
func (r *reader) finish() {
	own := map[told][]*reply{}
	for _, e := range r.replies {
		for _, t := range e.states {
			if t.dialog == "" {
				own[t] = append(own[t], e)
			}
		}
	}
	for e, of := range r.copies {
		if s := nearest(own[of], e); s != nil {
			e.inherit(s)
		}
	}
	for _, e := range r.replies {
		for _, t := range e.needs {
			t.replies = append(t.replies, e)
		}
		if e.last != nil && !slices.Contains(e.needs, e.last) {
			e.last.replies = append(e.last.replies, e)
		}
	}
}

// nearest returns which of events, in order, is the one that the supervisor's
// copy was made of; nil when none is near.
func nearest(events []*reply, c *reply) (found *reply) {
	best := together
	for _, e := range events {
		if d := (e.at - c.at).Abs(); d <= best && (found == nil || d < best) {
			best, found = d, e
		}
	}
	return found
}

// tells lists what an event says of its receiver's state and calls.
func tells(msg *decode.Message, facts *flow.Facts) []told {
	state := flow.State(msg)
	switch {
	case state == "":
		if facts.Dialog == nil || facts.Conversation == "" {
			return nil
		}
		return []told{{facts.Conversation, facts.Dialog.ID, msg.Name}}
	case msg.Name == "State" && facts.Subject == facts.Conversation:
		return []told{{agent: facts.Subject, state: agentState(state)}}
	case facts.Dialog != nil:
		return []told{{facts.Conversation, facts.Dialog.ID, state}}
	}
	return nil
}

// agentState is the state of an agent that is told state: after LOGOUT none.
func agentState(state string) string {
	if state == "LOGOUT" {
		return ""
	}
	return state
}
