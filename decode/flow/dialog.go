package flow

import (
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode"
)

// A Dialog is one leg of a call, as the events name it.
type Dialog struct {
	ID       string
	From     string // fromAddress of the first event that has one
	Type     string // callType of the last event that has one
	Born     int64  // seq of the first event; 0 when a command named it first
	BornAt   time.Duration
	States   map[string]string // by agent: the last state that the agent was told
	Linked   []string          // ids that events named as associated with it
	Ended    int64             // seq of the event that dropped it; 0 while it is open
	Received []string          // agents that were told of it, in order
	call     *Call
	leaving  bool // in Flow.leaving
}

// A Call is the dialogs that are linked as main and associated: a call with
// its consultations and transfers.
type Call struct {
	Dialogs  []string
	Stimulus *Stimulus // what brought it about; nil when a command did
	commands []*Exchange
	touched  time.Duration
	ended    time.Duration
	hungUp   bool
}

// A Stimulus is something that happened outside the session: no command of it
// brought the event about.
type Stimulus struct {
	Seq    int64 // the first event that tells of it
	At     time.Duration
	Kind   StimulusKind
	Agent  string // who is told first
	Number string // the other side's, where known
	Dialog string
	Type   string            // call type; of a reservation the agent's state
	Vars   map[string]string // call variables, but for those that GC itself adds
}

// StimulusKind is what happened.
type StimulusKind string

// The kinds of a Stimulus.
const (
	CallComes   StimulusKind = "call"        // a call comes in, or GC places one
	CallHangsUp StimulusKind = "hangup"      // a call ends, and no command ended it
	Reservation StimulusKind = "reservation" // an outbound dialler reserves the agent
)

// commandsKept is how many commands of a call are looked at for what caused an
// event.
const commandsKept = 8

// command notes that x acts on the call.
func (c *Call) command(x *Exchange) {
	if slices.Contains(c.commands, x) {
		return
	}
	if len(c.commands) == commandsKept {
		c.commands = slices.Delete(c.commands, 0, 1)
	}
	c.commands = append(c.commands, x)
}

// cause returns the last command of the call that brings it about that the
// receiver is told this state of the dialog; nil when none does. What ends a
// call for others ends it at once. What an agent is told of a dialog right
// after its own command on it comes from that, be it in the table or not: the
// rows do not list everything (ConsultCall puts the main call on hold).
func (c *Call) cause(receiver, dialog, state string, now time.Duration, o *Options) *Exchange {
	for _, x := range slices.Backward(c.commands) {
		if x.Outcome == Failed {
			continue
		}
		window := o.Window
		if x.Agent != receiver && x.Dialog == dialog && state == "DROPPED" {
			window = o.Late
		}
		own := x.Agent == receiver && x.Dialog == dialog && state != "DROPPED" && state != "FAILED"
		if now-x.At <= window && (own || brings(x, receiver, dialog, state)) {
			return x
		}
	}
	return nil
}

// met returns when the last command after x was sent by which another agent
// brings the same about for the receiver; 0 where there is none.
func (c *Call) met(x *Exchange, receiver, dialog, state string) time.Duration {
	for _, y := range slices.Backward(c.commands) {
		if y.Seq <= x.Seq {
			break
		}
		if y.Agent != receiver && y.Outcome != Failed && brings(y, receiver, dialog, state) {
			return y.At
		}
	}
	return 0
}

// touchDialog returns the dialog of id, a new one in a call of its own if it
// is not known.
func (f *Flow) touchDialog(id string) *Dialog {
	d, ok := f.dialogs.get(id)
	if !ok {
		d = &Dialog{ID: id, States: map[string]string{}, call: &Call{Dialogs: []string{id}}}
		f.dialogs.put(id, d)
	}
	d.call.touched = f.now
	return d
}

// link makes one call of two.
func (f *Flow) link(d, e *Dialog) {
	into, from := d.call, e.call
	if into == from {
		return
	}
	for _, id := range from.Dialogs {
		if m, ok := f.dialogs.get(id); ok {
			m.call = into
		}
	}
	into.Dialogs = append(into.Dialogs, from.Dialogs...)
	for _, x := range from.commands {
		if x.call == from {
			x.call = into
		}
		into.command(x)
	}
	slices.SortFunc(into.commands, func(a, b *Exchange) int { return int(a.Seq - b.Seq) })
	if into.Stimulus == nil {
		into.Stimulus = from.Stimulus
	}
	into.hungUp = into.hungUp || from.hungUp
}

// dialogEvent follows the dialog that an event is about and decides whether
// something outside brought the event about.
func (f *Flow) dialogEvent(rec *capture.Record, msg *decode.Message, facts *Facts, id string, linked []string) {
	d := f.touchDialog(id)
	born := d.Born == 0
	if born {
		d.Born, d.BornAt = rec.Seq, f.now
	}
	for _, other := range linked {
		if !slices.Contains(d.Linked, other) {
			d.Linked = append(d.Linked, other)
		}
		if e, ok := f.dialogs.get(other); ok {
			f.link(e, d)
		}
	}
	f.linkCommand(facts, msg, d, born)
	facts.Dialog, facts.Call = d, d.call
	f.touchAgent(facts.Conversation).hears(id)
	f.describe(d, msg, facts.Conversation)
	if isCallEvent(msg.Name) {
		f.judge(rec, msg, facts, d, born)
	}
	f.progress(rec, msg, facts, d)
}

// describe keeps what the event says of the dialog.
func (f *Flow) describe(d *Dialog, msg *decode.Message, receiver string) {
	if d.From == "" {
		d.From = msg.Text("fromAddress")
	}
	if t := msg.Text("callType"); t != "" {
		d.Type = t
	}
	if !slices.Contains(d.Received, receiver) && len(d.Received) < commandsKept {
		d.Received = append(d.Received, receiver)
	}
}

// linkCommand joins the dialog to the call of the command that made it: the
// one the event answers, or for the other side's phone the one that rang it.
func (f *Flow) linkCommand(facts *Facts, msg *decode.Message, d *Dialog, born bool) {
	x := facts.Exchange
	if x == nil && born {
		x = f.ringing(facts.Conversation, d.From, msg)
	}
	if x == nil {
		return
	}
	if x.call != nil && x.call != d.call {
		for _, id := range x.call.Dialogs {
			if e, ok := f.dialogs.get(id); ok {
				f.link(e, d)
				break
			}
		}
	}
	if x.call == nil {
		x.call = d.call
	}
	x.call = d.call
	d.call.command(x)
}

// ringing returns the open command that makes the phone of the agent ring: it
// names the agent's extension, and the event, when it names the other side,
// the extension of the agent who sent it.
func (f *Flow) ringing(receiver, from string, msg *decode.Message) *Exchange {
	a := f.Agent(receiver)
	if a == nil || a.Extension == "" {
		return nil
	}
	for e := f.open.order.Back(); e != nil; e = e.Prev() {
		x := e.Value.(*Exchange)
		if f.now-x.At > f.opts.Window {
			break
		}
		if x.Outcome == Failed || x.Conversation == receiver || !slices.Contains(x.Numbers, a.Extension) || !makesCalls(x) {
			continue
		}
		if b := f.Agent(x.Agent); from == "" || b == nil || b.Extension == "" || b.Extension == from || x.Dialog != "" {
			return x
		}
	}
	return nil
}

// rang returns the command that made the receiver's phone ring for a call: of
// the call's commands the last that names the receiver's extension. Nil for
// what is no new call, and where none does.
func (f *Flow) rang(c *Call, receiver, name string) *Exchange {
	a := f.Agent(receiver)
	if a == nil || a.Extension == "" || !isNewCall(name) {
		return nil
	}
	for _, x := range slices.Backward(c.commands) {
		if f.now-x.At <= f.opts.Window && x.Outcome != Failed && x.Agent != receiver && slices.Contains(x.Numbers, a.Extension) && makesCalls(x) {
			return x
		}
	}
	return nil
}

// again returns the command that an agent is told the same state of a dialog
// once more for: another agent's, if that was the last one on the dialog. Such
// an event tells who has come or gone, whatever the command's row expects.
func (c *Call) again(d *Dialog, receiver, state string, now time.Duration, o *Options) *Exchange {
	n := len(c.commands)
	if n == 0 || state == "" || d.States[receiver] != state || state == "DROPPED" {
		return nil
	}
	x := c.commands[n-1]
	if x.Agent == receiver || x.Dialog != d.ID || x.Outcome == Failed || now-x.At > o.Window {
		return nil
	}
	return x
}

// judge decides whether a command brought the event about, or something
// outside: a call that comes in, a call that ends.
func (f *Flow) judge(rec *capture.Record, msg *decode.Message, facts *Facts, d *Dialog, born bool) {
	c, state := d.call, State(msg)
	if facts.By != nil {
		facts.Met = c.met(facts.By, facts.Conversation, d.ID, state)
		return
	}
	if facts.By = f.rang(c, facts.Conversation, msg.Name); facts.By != nil {
		return
	}
	if facts.By = c.again(d, facts.Conversation, state, f.now, &f.opts); facts.By != nil {
		return
	}
	if facts.By = c.cause(facts.Conversation, d.ID, state, f.now, &f.opts); facts.By != nil {
		return
	}
	if n := len(c.commands); born && n > 0 {
		facts.By = c.commands[n-1]
		return
	}
	s := Stimulus{Seq: rec.Seq, At: f.now, Agent: facts.Conversation, Number: d.From, Dialog: d.ID, Type: d.Type}
	switch {
	case born && c.Stimulus == nil && state != "DROPPED" && state != "FAILED":
		s.Kind, s.Vars = CallComes, variables(msg)
		c.Stimulus = f.arrival(&s, facts)
	case state == "DROPPED" && !c.hungUp && d.Ended == 0:
		s.Kind = CallHangsUp
		c.hungUp = true
		facts.Trigger = &s
	}
}

// arrival returns the stimulus of a call that comes: s, or the reservation of
// the agent that was told just before.
func (f *Flow) arrival(s *Stimulus, facts *Facts) *Stimulus {
	a := f.touchAgent(facts.Conversation)
	if r := a.stimulus; r != nil && r.Kind == Reservation && r.Dialog == "" && f.now-r.At <= f.opts.Late {
		r.Number, r.Dialog, r.Vars = s.Number, s.Dialog, s.Vars
		return r
	}
	a.stimulus, facts.Trigger = s, s
	return s
}

// variables returns the call variables of an event, but for the two that GC
// itself puts in front.
func variables(msg *decode.Message) map[string]string {
	v, ok := msg.Get("callVariables")
	if !ok {
		return nil
	}
	vars := map[string]string{}
	for _, part := range v.Expand().Parts {
		if text, ok := part.Value.Scalar(); ok && part.Name != "" && part.Name != "ani" && part.Name != "associatedDialogId" {
			vars[part.Name] = text
		}
	}
	return vars
}

// progress follows the state of the dialog as each agent is told it.
func (f *Flow) progress(rec *capture.Record, msg *decode.Message, facts *Facts, d *Dialog) {
	state := State(msg)
	if state == "" {
		return
	}
	if len(d.States) < commandsKept || d.States[facts.Conversation] != "" {
		d.States[facts.Conversation] = state
	}
	for _, s := range d.States {
		if s != "DROPPED" && s != "FAILED" && s != "NOT_FOUND" {
			d.Ended = 0 // a transfer may bring a call to life again
			return
		}
	}
	d.Ended = rec.Seq
	d.call.ended = f.now
	f.ends(d)
}
