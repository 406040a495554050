package replay

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode/flow"
)

// A lane is what is done in order and waits on its own: the commands of a
// conversation and then its end, or one stimulus.
type lane struct {
	conversation *Conversation
	stimulus     int // of Plan.Stimuli, when there is no conversation
	next         int // of conversation.Steps; their number stands for its end
	waits        string
	since        time.Time // when it began to wait for causes; zero: it does not
	given        map[int]bool
	impatient    map[Event]bool // without dialogs: what failed to come once
	over         bool
	paced        bool // its turn has come by the rate
	index        int  // in the timers; -1: none set
	at           time.Time
}

// makeLanes makes a lane of each conversation, and of each stimulus that the
// replay has to bring about.
func (p *player) makeLanes() {
	for i := range p.plan.Conversations {
		p.lanes = append(p.lanes, &lane{conversation: &p.plan.Conversations[i], index: -1, impatient: map[Event]bool{}})
	}
	if p.opts.Stimulate != nil || p.opts.Arrange != nil {
		for i := range p.plan.Stimuli {
			p.lanes = append(p.lanes, &lane{stimulus: i, index: -1, impatient: map[Event]bool{}})
		}
	}
	p.left = len(p.plan.Conversations)
}

// task returns what the lane does next: when, and after which causes.
func (p *player) task(l *lane) (at time.Duration, causes []Cause, step *Step) {
	switch {
	case l.conversation == nil:
		s := &p.plan.Stimuli[l.stimulus]
		return s.Due, s.Causes, nil
	case l.next < len(l.conversation.Steps):
		step = &p.plan.Steps[l.conversation.Steps[l.next]]
		return step.At, step.Causes, step
	}
	return l.conversation.EndAt, l.conversation.Ends, nil
}

// advance does what the lane can do now.
func (p *player) advance(ctx context.Context, l *lane) error {
	for !l.over {
		if p.stopped() {
			p.keep(l)
			return nil
		}
		at, causes, step := p.task(l)
		now, due := p.watch.now(), p.due(at)
		if now.Before(due) {
			p.timers.set(l, due)
			return nil
		}
		if !p.inTurn(l) {
			return nil
		}
		ready, stopped := p.ready(l, causes, step, now)
		if stopped || !ready {
			p.progress()
			return nil
		}
		l.waits = ""
		if held, err := p.do(ctx, l, step, due); held || err != nil {
			return err
		}
	}
	return nil
}

// proceed goes on to the next step.
func (p *player) proceed(l *lane) {
	step := l.conversation.Steps[l.next]
	p.done[step] = true
	p.nudged = append(p.nudged, l.conversation.Name)
	l.next++
	l.since, l.given, l.paced = time.Time{}, nil, false
}

// ready reports whether all causes have come or been given up. It sets the
// lane to be looked at again when they have not.
func (p *player) ready(l *lane, causes []Cause, step *Step, now time.Time) (ready, stopped bool) {
	var wake time.Time
	waits := false
	if !p.followed(l, step) {
		return false, false
	}
	hold, failed := p.arranging(l, causes)
	if failed != "" {
		p.stop(l, failed)
		return false, true
	}
	for i, cause := range causes {
		if l.given[i] || !p.awaited(cause, step) || p.came(cause) {
			continue
		}
		if l.since.IsZero() {
			l.since = now
		}
		until := l.since.Add(p.patience(l, cause))
		if !hold && !now.Before(until) {
			if p.giveUp(l, i, cause, step) {
				return false, true
			}
			continue
		}
		p.listenTo(l, cause.Conversation)
		if !waits { // an id or a call from outside is among the first of its causes
			l.waits = p.says(cause)
		}
		waits = true
		if !hold && (wake.IsZero() || until.Before(wake)) {
			wake = until
		}
	}
	if !wake.IsZero() {
		p.timers.set(l, wake)
	}
	return !waits, false
}

// says what a cause makes its conversation wait for.
func (p *player) says(cause Cause) string {
	if cause.Stimulus >= 0 {
		return fmt.Sprintf("%s %s", cause.Conversation, waitsFor(&p.plan.Stimuli[cause.Stimulus]))
	}
	return fmt.Sprintf("%s waits for %s", cause.Conversation, cause.Event)
}

// followed reports whether what comes next is not too early among commands: by
// the clock nothing counts but the time; else a stimulus follows the last
// command of its agent, and a command the one before it on the same call. A
// conversation that stopped holds its stimuli back for good.
func (p *player) followed(l *lane, step *Step) bool {
	if p.opts.Sync == SyncClock {
		return true
	}
	before, passed := -1, p.done
	switch {
	case l.conversation == nil:
		before, passed = p.plan.Stimuli[l.stimulus].After, p.sent
	case step != nil:
		before = step.Follows
	}
	if before < 0 || passed[before] {
		return true
	}
	p.listenTo(l, p.plan.Steps[before].Conversation)
	return false
}

// inTurn reports whether all commands that were recorded before what the lane
// does next have been sent. Without a clock, that is what keeps conversations
// in step with each other.
func (p *player) inTurn(l *lane) bool {
	if !p.timeless() {
		return true
	}
	n := p.order(l)
	if n <= p.turn {
		return true
	}
	p.queued[n] = append(p.queued[n], l)
	return false
}

// order returns the place in the plan of what the lane does next; ends come at
// any time.
func (p *player) order(l *lane) int {
	switch {
	case l.conversation == nil:
		return p.plan.Stimuli[l.stimulus].Order
	case l.next < len(l.conversation.Steps):
		return l.conversation.Steps[l.next]
	}
	return 0
}

// pass moves the turn on past the commands that are sent or given up.
func (p *player) pass(ctx context.Context) error {
	for p.turn < len(p.done) && p.done[p.turn] {
		p.turn++
		lanes := p.queued[p.turn]
		delete(p.queued, p.turn)
		for _, l := range lanes {
			if err := p.advance(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// listenTo has the lane looked at when something happens in a conversation.
func (p *player) listenTo(l *lane, conversation string) {
	if !slices.Contains(p.waiters[conversation], l) {
		p.waiters[conversation] = append(p.waiters[conversation], l)
	}
}

// awaited reports whether the way of synchronising waits for a cause at all.
// An id that is not known cannot be sent, whatever the clock says.
func (p *player) awaited(cause Cause, step *Step) bool {
	return p.opts.Sync != SyncClock || cause.Kind == ByBirth || cause.Kind == ByStimulus || step == nil
}

// came reports whether the event has come: as often as in the recording, less
// what failed to come before.
func (p *player) came(cause Cause) bool {
	if cause.Kind == ByBirth {
		_, ok := p.write.ids[cause.ID]
		return ok
	}
	if cause.Kind == ByService {
		return p.counts[cause.Conversation][cause.Event] > 0
	}
	return p.counts[cause.Conversation][cause.Event] >= cause.N-p.short[cause.Conversation][cause.Event]
}

func (p *player) patience(l *lane, cause Cause) time.Duration {
	if cause.Kind != ByBirth && cause.Stimulus < 0 && l.impatient[place(cause.Event)] {
		return min(impatient, p.opts.Timeout)
	}
	return p.opts.Timeout
}

// place is an event without the dialog: what failed to come once is not waited
// for as long again.
func place(e Event) Event { return Event{Name: e.Name, Variant: e.Variant} }

// giveUp goes on without a cause, or stops the conversation when it cannot.
func (p *player) giveUp(l *lane, i int, cause Cause, step *Step) (stopped bool) {
	switch {
	case l.conversation == nil: // a stimulus is tried all the same
	case cause.Stimulus >= 0:
		p.stop(l, waitsFor(&p.plan.Stimuli[cause.Stimulus]))
		return true
	case cause.Kind == ByBirth: // write says so if the id is needed
	default:
		missed := Missed{Conversation: l.conversation.Name, Cause: cause}
		if step != nil {
			missed.Before = step.Record.Seq
		}
		p.result.Missed = append(p.result.Missed, missed)
	}
	if cause.Kind != ByBirth {
		l.impatient[place(cause.Event)] = true
		short := p.short[cause.Conversation]
		if short == nil {
			short = map[Event]int{}
			p.short[cause.Conversation] = short
		}
		short[cause.Event] = cause.N - p.counts[cause.Conversation][cause.Event]
	}
	if l.given == nil {
		l.given = map[int]bool{}
	}
	l.given[i] = true
	return false
}

// waitsFor says what has to happen outside.
func waitsFor(s *Stimulus) string { return "waits for " + s.Outside() }

// do sends the step, brings the stimulus about, or ends the lane. held says
// that the step may not go yet.
func (p *player) do(ctx context.Context, l *lane, step *Step, due time.Time) (held bool, err error) {
	if step != nil {
		return p.command(ctx, l, step, due)
	}
	if l.conversation == nil {
		if err := p.stimulate(ctx, l.stimulus); err != nil {
			return false, err
		}
	}
	p.end(l)
	return false, nil
}

// stimulate brings a stimulus about under the names of the new GC. The end of
// a call that never came about needs no help.
func (p *player) stimulate(ctx context.Context, n int) error {
	s := p.plan.Stimuli[n]
	id, known := p.write.ids[s.Dialog]
	if s.Kind == flow.CallHangsUp && !known {
		return nil
	}
	s.Dialog = id
	s.Agent = mapped(p.write.names.Agents, s.Agent)
	s.Number = mapped(p.write.names.Exts, s.Number)
	s.Vars = p.write.variables(s.Vars)
	if p.opts.Arrange != nil {
		p.begin(ctx, n, s)
		return nil
	}
	if err := p.opts.Stimulate(ctx, s); err != nil {
		return fmt.Errorf("bring about what %s: %w", waitsFor(&s), err)
	}
	p.result.Stimuli++
	return nil
}

func (p *player) end(l *lane) {
	l.over = true
	l.waits = ""
	p.timers.unset(l)
	if l.conversation != nil {
		p.left--
	}
	p.progress()
}

// stop ends a conversation before its end and notes it in the new session.
func (p *player) stop(l *lane, reason string) {
	if l.conversation != nil {
		left := l.conversation.Steps[min(l.next, len(l.conversation.Steps)):]
		for _, step := range left {
			p.done[step] = true
			p.became(step, StepGivenUp)
		}
		p.nudged = append(p.nudged, l.conversation.Name)
		s := Stopped{Conversation: l.conversation.Name, Left: len(left), Reason: reason}
		after := int64(0)
		if l.next > 0 {
			after = p.plan.Steps[l.conversation.Steps[l.next-1]].Record.Seq
		}
		if len(left) > 0 {
			s.Seq = p.plan.Steps[left[0]].Record.Seq
		}
		p.result.Stopped = append(p.result.Stopped, s)
		m := &p.write.names
		p.offer(flow.Stop{Conversation: conversation(m.Agents, m.Dests, s.Conversation), After: after, Reason: reason}.Record(time.Now()))
	}
	p.end(l)
}

// command sends a step, or deals with one that cannot be sent.
func (p *player) command(ctx context.Context, l *lane, step *Step, due time.Time) (held bool, err error) {
	if step.Blocked != "" {
		p.stop(l, fmt.Sprintf("%s (record %d) cannot be sent: %s", step.Name, step.Record.Seq, step.Blocked))
		return false, nil
	}
	out, err := p.write.write(step)
	if no, ok := errors.AsType[*unmapped](err); ok {
		switch p.opts.OnUnmapped {
		case SkipCommand:
			p.result.Skipped++
			p.became(l.conversation.Steps[l.next], StepGivenUp)
			p.proceed(l)
			return false, nil
		case FailReplay:
			return false, fmt.Errorf("replay record %d: %s", step.Record.Seq, no.reason)
		}
		p.stop(l, no.reason)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !p.pace.turn(l, p.watch.now()) || !p.mayPass(l) {
		return true, nil
	}
	return false, p.send(ctx, l, step, out, due)
}

// send offers the command before it goes out: its answer can only follow.
func (p *player) send(ctx context.Context, l *lane, step *Step, out capture.Outgoing, due time.Time) error {
	now, behind := time.Now(), p.watch.now().Sub(due)
	rec := capture.Record{
		CapturedAt: now, SentAt: &now, Direction: capture.Command, Source: "stomp", Via: "replay", Conn: flow.Producer(&step.Record),
		To: out.To, ReplyTo: out.ReplyTo, CorrelationID: out.CorrelationID, JMSType: out.JMSType, BodyKind: capture.Text,
		Body: out.Body, Headers: out.Headers,
	}
	p.observe(&rec)
	p.commands[rec.Seq] = step.Record.Seq
	p.offer(rec)
	if err := p.link.Send(ctx, out); err != nil {
		return fmt.Errorf("send %s to %s: %w", step.Name, out.To, err)
	}
	p.result.Sent++
	p.result.Behind = append(p.result.Behind, behind)
	p.sent[l.conversation.Steps[l.next]] = true
	p.became(l.conversation.Steps[l.next], StepSent)
	p.proceed(l)
	p.progress()
	return nil
}

// observe numbers the record as the flow sees it. The session's own numbers
// are given by whoever keeps it.
func (p *player) observe(rec *capture.Record) flow.Facts {
	p.seq++
	rec.Seq = p.seq
	msg := flow.Decode(rec, p.opts.Decode)
	return p.flow.Observe(rec, &msg)
}

// receive takes in what came and returns the conversations, as the recording
// names them, in which something changed.
func (p *player) receive(d capture.Delivery) (changed []string) {
	p.result.Received++
	d.Record.Via = "replay"
	rec := d.Record
	p.seq++
	rec.Seq = p.seq
	msg := flow.Decode(&rec, p.opts.Decode)
	facts := p.flow.Observe(&rec, &msg)
	p.opts.Offer(d)
	if d.Record.Direction == capture.Peer {
		return nil // no command waits for what GCs tell each other
	}
	name := conversation(p.agentsBack, p.destsBack, facts.Conversation)
	for _, birth := range facts.Births {
		p.learn(birth, name)
	}
	e := eventOf(&msg, &facts)
	if id, ok := p.idsBack[e.Dialog]; ok {
		e.Dialog = id
	}
	counts := p.counts[name]
	if counts == nil {
		counts = map[Event]int{}
		p.counts[name] = counts
	}
	counts[e]++
	return append(changed, name)
}

// learn maps the id of the recording that was born at the same place. What is
// learned first stays: the same id is born in every conversation that hears it.
func (p *player) learn(birth flow.Birth, name string) {
	key := birth.Key
	key.Conversation = name
	if key.Cause != 0 {
		key.Cause = p.commands[key.Cause]
	}
	recorded, ok := p.plan.Births[key]
	if !ok {
		return
	}
	if _, known := p.write.ids[recorded]; known {
		return
	}
	if _, taken := p.idsBack[birth.Value]; taken {
		return
	}
	p.write.ids[recorded] = birth.Value
	p.idsBack[birth.Value] = recorded
}

// timers are the lanes that have to be looked at at a time, the earliest first.
type timers struct{ lanes timerHeap }

func (t *timers) set(l *lane, at time.Time) {
	l.at = at
	if l.index >= 0 {
		heap.Fix(&t.lanes, l.index)
		return
	}
	heap.Push(&t.lanes, l)
}

func (t *timers) unset(l *lane) {
	if l.index >= 0 {
		heap.Remove(&t.lanes, l.index)
	}
}

func (t *timers) next() (time.Time, bool) {
	if len(t.lanes) == 0 {
		return time.Time{}, false
	}
	return t.lanes[0].at, true
}

func (t *timers) pop() *lane { return heap.Pop(&t.lanes).(*lane) }

type timerHeap []*lane

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	l := x.(*lane)
	l.index = len(*h)
	*h = append(*h, l)
}
func (h *timerHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	*h = old[:len(old)-1]
	l.index = -1
	return l
}
