package flow

import (
	"container/list"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
)

// Outcome is how an exchange went.
type Outcome string

// The outcomes of an exchange.
const (
	Waiting    Outcome = ""            // no answer yet
	Answered   Outcome = "answered"    // by an event that the table expects
	Late       Outcome = "late"        // the same, after more than Options.Late
	Failed     Outcome = "error"       // by an Error event
	Silent     Outcome = "silent"      // success has no answer, and no error came
	Unanswered Outcome = "unanswered"  // nothing came in Options.Window
	RolledBack Outcome = "rolled-back" // with its transaction: it never came to its queue
)

// An Exchange is a command and the events that answer it.
type Exchange struct {
	Seq          int64 // of the command's record
	At           time.Duration
	Conversation string
	Agent        string // in the command's JMSType, empty for Hello and Beat
	Sender       string // agent whose client sent it, where known
	Name         string
	Dialog       string // the dialog id that it names, if any
	Numbers      []string
	Queue        string // where it was sent, queue://NAME

	Delivery *Delivery // who was handed it; nil: nobody, or the session does not tell
	Watched  bool      // once it is over: the session shows consumers of its queue, so that it tells

	Outcome Outcome
	Code    string        // of the error
	Latency time.Duration // from the command to the first answer
	Answers []int64       // seqs of the events, the first answer first

	spec *decode.Spec
	rest []expectation // what the table still expects
	call *Call
	dest string // topic of Hello and Beat, bare
	born []Key  // of ids that its answers told, without their N

	message string // its message-id
}

// Expected returns the events that the table still expects, in its order; those
// it calls optional are left out.
func (x *Exchange) Expected() (rest []decode.Expect) {
	for _, e := range x.rest {
		if !e.Optional {
			rest = append(rest, e.Expect)
		}
	}
	return rest
}

// openExchanges are the commands that may still be answered, the oldest first,
// and by whom an answer names.
type openExchanges struct {
	opts    Options
	order   *list.List // of *Exchange
	places  map[*Exchange]*list.Element
	byKey   map[string][]*Exchange
	over    func(*Exchange) // told of each that is no longer open
	way     *deliveries
	dropped int64
}

func newOpenExchanges(o Options, over func(*Exchange)) *openExchanges {
	return &openExchanges{
		opts: o, over: over, order: list.New(), places: map[*Exchange]*list.Element{}, byKey: map[string][]*Exchange{}, way: newDeliveries(o.Limit),
	}
}

func (o *openExchanges) add(x *Exchange) {
	o.places[x] = o.order.PushBack(x)
	o.way.add(x)
	for _, key := range x.keys() {
		o.byKey[key] = append(o.byKey[key], x)
	}
	if o.order.Len() > o.opts.Limit {
		o.dropped++
		o.remove(o.order.Front().Value.(*Exchange))
	}
}

// keys are what an answer is found by: the agent acted upon, the agent who
// sent it, and the topic of Hello and Beat.
func (x *Exchange) keys() []string {
	var keys []string
	for _, key := range []string{x.Agent, x.Sender} {
		if key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if x.dest != "" {
		keys = append(keys, "dest:"+x.dest)
	}
	return keys
}

func (o *openExchanges) remove(x *Exchange) {
	e, ok := o.places[x]
	if !ok {
		return
	}
	o.order.Remove(e)
	delete(o.places, x)
	o.way.remove(x)
	o.over(x)
	for _, key := range x.keys() {
		rest := slices.DeleteFunc(o.byKey[key], func(y *Exchange) bool { return y == x })
		if len(rest) == 0 {
			delete(o.byKey, key)
		} else {
			o.byKey[key] = rest
		}
	}
}

// expire takes out the exchanges whose window is over.
func (o *openExchanges) expire(now time.Duration) (over []*Exchange) {
	for e := o.order.Front(); e != nil; e = o.order.Front() {
		x := e.Value.(*Exchange)
		if now-x.At <= o.opts.Window {
			break
		}
		over = append(over, o.end(x))
	}
	return over
}

// rolledBack takes out the commands that a note says were sent within a
// transaction that was rolled back.
func (o *openExchanges) rolledBack(rec *capture.Record) (over []*Exchange) {
	for _, h := range rec.Headers {
		if h.Name != "amq.message-id" {
			continue
		}
		if x := o.way.open[h.Value]; x != nil && x.Outcome == Waiting {
			x.Outcome = RolledBack
			over = append(over, o.end(x))
		}
	}
	return over
}

// close takes out all that are left.
func (o *openExchanges) close() (over []*Exchange) {
	for e := o.order.Front(); e != nil; e = o.order.Front() {
		over = append(over, o.end(e.Value.(*Exchange)))
	}
	return over
}

// end takes out x and settles its outcome.
func (o *openExchanges) end(x *Exchange) *Exchange {
	o.remove(x)
	if x.Outcome == Waiting {
		x.Outcome = Unanswered
		if x.spec == nil || x.spec.Silent || len(x.rest) == 0 {
			x.Outcome = Silent
		}
	}
	return x
}

// answer adds an event to x and says whether it is the first.
func (o *openExchanges) answer(x *Exchange, rec *capture.Record, now time.Duration) (first bool) {
	x.Answers = append(x.Answers, rec.Seq)
	if x.Code != "" {
		x.Outcome = Failed
	}
	if len(x.Answers) > 1 {
		return false
	}
	x.Latency = now - x.At
	switch {
	case x.Outcome == Failed:
	case x.Latency > o.opts.Late:
		x.Outcome = Late
	default:
		x.Outcome = Answered
	}
	return true
}

// pick chooses among the exchanges that an event may answer: the oldest that
// is not late yet, else the youngest. GC answers in order, so a command that
// has waited for long has most likely lost its answer; the event belongs to
// the one sent after it.
func (o *openExchanges) pick(fit []*Exchange, now time.Duration) *Exchange {
	if len(fit) == 0 {
		return nil
	}
	for _, x := range fit {
		if now-x.At <= o.opts.Late {
			return x
		}
	}
	return fit[len(fit)-1]
}

// command opens the exchange of a command.
func (f *Flow) command(rec *capture.Record, msg *decode.Message, facts *Facts) {
	spec := msg.Spec()
	x := &Exchange{
		Seq: rec.Seq, At: f.now, Conversation: facts.Conversation, Agent: msg.Agent, Sender: facts.Sender, Name: msg.Name,
		Dialog: msg.Text("dialogId"), spec: spec, rest: expectations(spec), dest: msg.Text("clientDestination"),
		Queue: rec.To, message: rec.MessageID,
	}
	if msg.Name == "Connect" {
		x.dest = ""
	}
	x.Numbers = numbers(msg)
	facts.Opened = x
	f.open.add(x)
	f.learnAgent(msg)
	if x.Agent != "" {
		f.touchAgent(x.Agent).command = x.Seq
	}
	if x.Dialog != "" {
		facts.Dialog = f.touchDialog(x.Dialog)
		facts.Call = facts.Dialog.call
		x.call = facts.Call
		x.call.command(x)
	}
	f.meddle(x)
	facts.Uses = f.births.uses(facts.Conversation, msg)
}

// meddle notes a supervisor's command with the calls of the agent whose
// extension it names: it changes them too.
func (f *Flow) meddle(x *Exchange) {
	if x.spec == nil || !hasRole(x.spec, decode.Agent) {
		return
	}
	for _, number := range x.Numbers {
		id, _ := f.phones.get(number)
		a := f.Agent(id)
		if a == nil {
			continue
		}
		for _, dialog := range a.dialogs {
			if d := f.Dialog(dialog); d != nil && d.Ended == 0 {
				d.call.command(x)
			}
		}
	}
}

// numbers returns the extensions and numbers a command names.
func numbers(msg *decode.Message) (found []string) {
	for i := range msg.Fields {
		if msg.Trait(msg.Fields[i].Name).Class == decode.ClassExt {
			if n := msg.Text(msg.Fields[i].Name); n != "" {
				found = append(found, n)
			}
		}
	}
	return found
}

// event finds what the event answers, its call, and what it says of agents.
func (f *Flow) event(rec *capture.Record, msg *decode.Message, facts *Facts) {
	id, linked := dialogIDs(msg)
	fresh := id != "" && f.Dialog(id) == nil
	x := f.answered(rec, msg, facts, id, fresh)
	if x != nil {
		facts.Exchange = x
		facts.First = f.open.answer(x, rec, f.now)
		facts.By = x
	}
	if id != "" {
		f.dialogEvent(rec, msg, facts, id, linked)
	}
	f.agentEvent(rec, msg, facts)
	cause := int64(0)
	if x != nil {
		cause = x.Seq
	}
	facts.Births = f.births.see(facts.Conversation, cause, msg)
	if x != nil {
		for i := range facts.Births {
			k := facts.Births[i].Key
			k.N = 0
			x.born = append(x.born, k)
		}
	}
	if x != nil && x.done() {
		facts.Closed = append(facts.Closed, f.open.end(x))
	}
}

// done reports whether no more events are expected.
func (x *Exchange) done() bool {
	return x.Outcome == Failed || x.Outcome != Waiting && len(x.rest) == 0
}

// answered returns the exchange that an event answers, nil when it answers
// none, and takes the event off what the exchange expects.
func (f *Flow) answered(rec *capture.Record, msg *decode.Message, facts *Facts, dialog string, fresh bool) *Exchange {
	switch msg.Name {
	case "Error":
		return f.refused(msg, facts)
	case "System", "Destination":
		return f.expected(f.open.byKey["dest:"+Bare(rec.To)], msg, facts, dialog, fresh)
	}
	x := f.expected(f.open.byKey[facts.Subject], msg, facts, dialog, fresh)
	if x == nil && facts.Subject != facts.Conversation {
		x = f.expected(f.open.byKey[facts.Conversation], msg, facts, dialog, fresh)
	}
	return x
}

// refused finds the command that an Error event answers: the one whose row
// lists the code, else the oldest that waits for an answer. GC passes codes of
// Finesse on that no document lists.
func (f *Flow) refused(msg *decode.Message, facts *Facts) *Exchange {
	code := msg.Text("errorCode")
	var listed, waiting []*Exchange
	for _, x := range f.open.byKey[facts.Conversation] {
		if x.Outcome != Waiting || x.spec == nil || x.dest != "" {
			continue
		}
		if slices.ContainsFunc(x.spec.Errors, func(e string) bool { return strings.EqualFold(e, code) }) {
			listed = append(listed, x)
		} else if len(x.rest) > 0 && !unasked(code) {
			waiting = append(waiting, x)
		}
	}
	x := f.open.pick(listed, f.now)
	if x == nil {
		x = f.open.pick(waiting, f.now)
	}
	if x != nil {
		x.Code, x.rest = code, nil
	}
	return x
}

// unasked reports whether an error code tells of something that no command of
// this client brought about: a login from elsewhere.
func unasked(code string) bool { return strings.EqualFold(code, "SESSION_INVALIDATED") }

// expected picks, among candidates, the exchange that expects the event.
func (f *Flow) expected(candidates []*Exchange, msg *decode.Message, facts *Facts, dialog string, fresh bool) *Exchange {
	var fit []*Exchange
	for _, x := range candidates {
		if x.expects(msg, f.isLast(x)) >= 0 && f.concerns(x, facts, msg, dialog, fresh) {
			fit = append(fit, x)
		}
	}
	x := f.open.pick(fit, f.now)
	if x != nil {
		x.rest = consumed(x.rest, x.expects(msg, f.isLast(x)))
	}
	return x
}

// isLast reports whether x is its agent's last command.
func (f *Flow) isLast(x *Exchange) bool {
	a := f.Agent(x.Agent)
	return a == nil || a.command == x.Seq
}

// concerns reports whether an event may answer x as far as agents and dialogs
// go: a state is that of the agent acted upon, told to it or to the sender; a
// supervisor who looks on counts only where nothing else is heard of the agent.
// A call is the one that the command names, or a new one where the command
// makes one.
func (f *Flow) concerns(x *Exchange, facts *Facts, msg *decode.Message, dialog string, fresh bool) bool {
	if msg.Name == "State" {
		return x.Agent == facts.Subject && (facts.Conversation == x.Agent || facts.Conversation == x.Sender || !f.heard(x.Agent))
	}
	if dialog == "" || !isCallEvent(msg.Name) {
		return true
	}
	if fresh {
		return x.Dialog == "" && x.call == nil || x.call != nil && makesCalls(x)
	}
	d := f.Dialog(dialog)
	return d == nil || d.call == x.call
}
