// Package replay plays the commands of a recording to a GC: first it works out
// a Plan, which is data and can be printed; then Play sends what the plan says,
// when its causes have come, with the ids that the new GC gave.
//
// Nothing is sent to a destination that the options do not name, and no
// password is kept, printed or recorded. The package knows no broker: it takes
// a capture.Link and hands what it sends and receives to a function.
package replay

import (
	"iter"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A Plan is what a replay will do: every command with its time, its causes and
// what must be rewritten, and what has to happen outside.
type Plan struct {
	Steps         []Step
	Stimuli       []Stimulus
	Conversations []Conversation
	Births        map[flow.Key]string // id that the recording had at each place
	Topics        []string            // client topics that commands name, bare, in order
	Peers         []string            // topics on which GCs talked to each other, bare, in order
	Queues        []string            // queues that commands went to, bare, in order
	Agents        []string            // agents that commands name, in order
	Unsent        []Unsent            // commands that no broker carries
	Span          time.Duration       // from the first command to the last record
	Gaps          int                 // gap rows of the recording
	LeftOut       int                 // commands of the recording that the slice leaves out

	slice bool
	out   map[int64]bool // records that the slice leaves out or cannot bring about
}

// A Step is one command and when to send it.
type Step struct {
	Record       capture.Record
	At           time.Duration // since the first command
	Conversation string
	Agent        string
	Name         string
	Topic        string // client topic that the command names, bare
	Causes       []Cause
	Follows      int // the last step before it, of another conversation, that acts on the same call; -1: none
	Uses         []flow.Use
	Outside      []Outside // ids among Uses that no GC will give in this replay
	Secret       bool      // a masked password is to be filled in
	Masked       []string  // other fields that are masked: they cannot be sent
	Blocked      string    // why it cannot be sent; its conversation ends there
}

// Outside is an id that a step uses and that was born where the slice does not
// reach.
type Outside struct {
	flow.Use
	Born int64 // seq of the event that told it first
}

// Unsent is a command that cannot be replayed over a broker.
type Unsent struct {
	Seq    int64
	Reason string
}

// A Conversation is the steps of one conversation, in order, and what it waits
// for once the last of them is sent.
type Conversation struct {
	Name  string
	Steps []int         // of Plan.Steps
	Ends  []Cause       // its last events
	EndAt time.Duration // of the last of them
}

// CauseKind says why a command waits for an event.
type CauseKind string

// The kinds of a Cause.
const (
	ByAnswer   CauseKind = "answer"   // it answered the previous command of the conversation
	ByBirth    CauseKind = "id"       // it told an id that the command uses
	ByState    CauseKind = "state"    // the last state of the command's agent
	ByCall     CauseKind = "call"     // the last event of the command's dialog
	ByStimulus CauseKind = "stimulus" // something outside has to happen
	ByService  CauseKind = "service"  // GC is in service
)

// A Cause is an event that a command followed in the recording.
type Cause struct {
	Kind         CauseKind
	Seq          int64 // of the event in the recording
	Conversation string
	Event        Event
	N            int    // the n-th such event of its conversation
	Stimulus     int    // of Plan.Stimuli; -1 when a command caused the event
	ID           string // of ByBirth: the id
}

// Event is what an event is recognised by, its dialog by the recording's id.
type Event struct{ Name, Variant, State, Dialog string }

// A Stimulus is something outside that the recording shows: a call comes in, a
// caller hangs up. A laboratory has none by itself.
type Stimulus struct {
	flow.Stimulus
	Due        time.Duration // since the first command; negative: before it
	Causes     []Cause       // what it followed
	After      int           // the step of its agent that it followed; -1: none
	Order      int           // how many steps came before it
	Dependents []int         // steps that wait for it
}

// PlanOptions are the settings of BuildPlan.
type PlanOptions struct {
	Decode decode.Options
	Flow   flow.Options
	// Keep accepts the commands of a slice; nil: all are played. It is asked
	// about the events too that tell of a call from outside: one that it does
	// not accept is left out unless an accepted command needs it.
	Keep func(*capture.Record, *decode.Message) bool

	exact bool // a call that Keep does not accept is left out, and no command waits for it
}

// BuildPlan works out the plan of a recording. It reads the records once, those
// of a slice a few times.
func BuildPlan(records iter.Seq2[capture.Record, error], opts PlanOptions) (*Plan, error) {
	var without map[int64]bool
	for {
		b := newPlanner(opts)
		b.without = without
		if err := b.read(records); err != nil {
			return nil, err
		}
		if !b.plan.slice {
			return b.finish(), nil
		}
		more := b.unneeded()
		if len(more) == len(without) {
			return b.finish(), nil
		}
		without = more
	}
}

func (b *planner) read(records iter.Seq2[capture.Record, error]) error {
	for rec, err := range records {
		if err != nil {
			return err
		}
		b.observe(&rec)
	}
	return nil
}

// planner builds a Plan, record by record.
type planner struct {
	opts     PlanOptions
	plan     *Plan
	flow     *flow.Flow
	convs    map[string]*convPlan
	order    []string                    // of convs
	births   map[string]map[string]Cause // by id, by conversation
	services map[string]Cause            // by topic: its first IN_SERVICE
	triggers []*flow.Stimulus            // of plan.Stimuli: flow goes on filling them in
	named    map[*[]string]map[string]bool
	acted    map[string]int         // by dialog: the last step that acts on its call
	asked    map[int64]bool         // by seq of an event that tells of a stimulus: whether the slice accepts it
	without  map[int64]bool         // events that the slice does without, by seq
	latest   map[string]int64       // by dialog: the last command that acted on its call, by seq
	heralds  map[int64]int64        // by seq of a state that nobody asked for: the event it comes with
	owns     map[string]told        // by agent and state: when the agent was told
	copies   map[string][]told      // and when others were
	outside  map[string]int64       // by id that the slice does not bring about: the event that told it first
	unborn   map[int]*flow.Exchange // by step: it uses an id that no event told
	start    time.Duration          // of the first command
	started  bool
	end      time.Duration
}

// convPlan is what the planner remembers of a conversation.
type convPlan struct {
	steps    []int
	counts   map[Event]int
	answer   *Cause // to the previous command
	previous int64  // seq of that command
	state    *Cause // the agent's last state
	settled  *Cause // the last that a command brought about
	calls    map[string]Cause
	stimuli  []Cause // since the previous command
	since    []Cause // events worth waiting for since then
	last     time.Duration
	happened time.Duration // the last command, or event of a call
	states   []told        // own ones that nobody asked for, since the last event of a call
	beyond   bool          // a slice does not bring about what happened last
}

func newPlanner(opts PlanOptions) *planner {
	return &planner{
		opts: opts, flow: flow.New(opts.Flow),
		plan:  &Plan{Births: map[flow.Key]string{}, slice: opts.Keep != nil, out: map[int64]bool{}},
		convs: map[string]*convPlan{}, births: map[string]map[string]Cause{}, services: map[string]Cause{},
		named: map[*[]string]map[string]bool{}, unborn: map[int]*flow.Exchange{},
		acted: map[string]int{}, outside: map[string]int64{}, asked: map[int64]bool{},
		latest: map[string]int64{}, heralds: map[int64]int64{}, owns: map[string]told{}, copies: map[string][]told{},
	}
}

func (b *planner) conv(name string) *convPlan {
	c, ok := b.convs[name]
	if !ok {
		c = &convPlan{counts: map[Event]int{}, calls: map[string]Cause{}}
		b.convs[name] = c
		b.order = append(b.order, name)
	}
	return c
}

func (b *planner) observe(rec *capture.Record) {
	msg := flow.Decode(rec, b.opts.Decode)
	facts := b.flow.Observe(rec, &msg)
	b.end = max(b.end, facts.At)
	switch rec.Direction {
	case capture.GapRow:
		b.plan.Gaps++
	case capture.Command:
		b.command(rec, &msg, &facts)
	case capture.Event:
		b.event(rec, &msg, &facts)
	case capture.Peer:
		if topic := flow.Bare(rec.To); !slices.Contains(b.plan.Peers, topic) {
			b.plan.Peers = append(b.plan.Peers, topic)
		}
	}
}

// event notes what later commands may have to wait for.
func (b *planner) event(rec *capture.Record, msg *decode.Message, facts *flow.Facts) {
	if b.beyond(rec, msg, facts) {
		return
	}
	c := b.conv(facts.Conversation)
	cause := Cause{Seq: rec.Seq, Conversation: facts.Conversation, Event: eventOf(msg, facts), Stimulus: -1}
	c.counts[cause.Event]++
	cause.N = c.counts[cause.Event]
	b.trigger(c, &cause, facts)
	for _, birth := range facts.Births {
		b.plan.Births[birth.Key] = birth.Value
		b.birth(birth, cause)
	}
	if msg.Name == "System" && cause.Event.State == "IN_SERVICE" {
		if topic := flow.Bare(rec.To); b.services[topic].Seq == 0 {
			b.services[topic] = cause
		}
	}
	own := facts.Subject == facts.Conversation
	if flow.IsList(msg.Name) && own && facts.Exchange != nil {
		c.since, c.last = append(c.since, cause), facts.At // no command waits for it, but the end does
	}
	if flow.IsList(msg.Name) || msg.Name == "System" || msg.Name == "Destination" {
		return
	}
	switch {
	case msg.Name == "State" && own:
		c.state = &cause
		if facts.Exchange != nil {
			c.settled = &cause
		}
	case facts.Dialog != nil:
		c.calls[facts.Dialog.ID] = cause
	}
	if facts.First && c.answer == nil && facts.Exchange.Seq == c.previous {
		answer := cause
		c.answer = &answer
	}
	if own {
		c.since = append(c.since, cause)
		c.last = facts.At
	}
}

// eventOf returns what an event is recognised by. A system status and an error
// code stand in the place of a state.
func eventOf(msg *decode.Message, facts *flow.Facts) Event {
	e := Event{Name: msg.Name, Variant: msg.Variant, State: flow.State(msg)}
	switch msg.Name {
	case "System":
		e.State = msg.Text("status")
	case "Error":
		e.State = msg.Text("errorCode")
	case "State":
		if facts.Subject != facts.Conversation {
			e.Dialog = "agent " + facts.Subject
		}
	}
	if facts.Dialog != nil {
		e.Dialog = facts.Dialog.ID
	}
	return e
}

// trigger adds the stimulus that an event tells of.
func (b *planner) trigger(c *convPlan, cause *Cause, facts *flow.Facts) {
	if facts.Trigger == nil {
		return
	}
	cause.Stimulus = len(b.plan.Stimuli)
	s := Stimulus{Stimulus: *facts.Trigger, Due: facts.At, After: -1, Order: len(b.plan.Steps)}
	if n := len(c.steps); n > 0 {
		s.After = c.steps[n-1]
	}
	if c.settled != nil {
		s.Causes = append(s.Causes, *c.settled)
	}
	if last, ok := c.calls[s.Dialog]; ok {
		s.Causes = append(s.Causes, last)
	}
	b.plan.Stimuli = append(b.plan.Stimuli, s)
	b.triggers = append(b.triggers, facts.Trigger)
	stimulus := *cause
	stimulus.Kind = ByStimulus
	c.stimuli = append(c.stimuli, stimulus)
}

// birth remembers where an id was told first, in each conversation.
func (b *planner) birth(birth flow.Birth, cause Cause) {
	places := b.births[birth.Value]
	if places == nil {
		places = map[string]Cause{}
		b.births[birth.Value] = places
	}
	cause.Kind, cause.ID = ByBirth, birth.Value
	places[birth.Conversation] = cause
	if _, ok := places[""]; !ok {
		places[""] = cause
	}
}

// command adds the step of a command.
func (b *planner) command(rec *capture.Record, msg *decode.Message, facts *flow.Facts) {
	if reason := notForBroker(rec, msg); reason != "" {
		b.plan.Unsent = append(b.plan.Unsent, Unsent{rec.Seq, reason})
		return
	}
	b.acts(rec.Seq, facts.Call)
	if b.opts.Keep != nil && !b.opts.Keep(rec, msg) {
		b.plan.LeftOut++
		b.plan.out[rec.Seq] = true
		c := b.conv(facts.Conversation)
		c.beyond, c.happened, c.states = true, facts.At, nil
		return
	}
	if !b.started {
		b.started, b.start = true, facts.At
	}
	c := b.conv(facts.Conversation)
	step := Step{
		Record: *rec, At: facts.At - b.start, Conversation: facts.Conversation, Agent: msg.Agent, Name: msg.Name,
		Topic: msg.Text("clientDestination"), Uses: facts.Uses, Blocked: blocked(rec), Secret: masked(rec),
	}
	step.Masked = otherMasks(rec)
	step.Follows = b.follows(&step, facts.Call)
	step.Causes = b.causes(c, &step, facts.Call)
	for _, cause := range step.Causes {
		if cause.Stimulus >= 0 {
			s := &b.plan.Stimuli[cause.Stimulus]
			if n := len(b.plan.Steps); !slices.Contains(s.Dependents, n) {
				s.Dependents = append(s.Dependents, n)
			}
		}
	}
	for _, use := range step.Uses {
		if born, ok := b.outside[use.Value]; ok {
			step.Outside = append(step.Outside, Outside{use, born})
			b.plan.out[rec.Seq] = true // it cannot be sent
		} else if b.births[use.Value] == nil {
			b.unborn[len(b.plan.Steps)] = facts.Opened
		}
	}
	c.steps = append(c.steps, len(b.plan.Steps))
	c.previous, c.answer, c.stimuli, c.since = rec.Seq, nil, nil, nil
	c.last, c.beyond, c.happened, c.states = facts.At, false, facts.At, nil
	b.plan.Steps = append(b.plan.Steps, step)
	b.name(rec, &step)
}

// follows returns the last step of another conversation on the same call, and
// remembers this one as the last. Commands of one call keep their order.
func (b *planner) follows(step *Step, call *flow.Call) int {
	last := -1
	if call == nil {
		return last
	}
	for _, dialog := range call.Dialogs {
		if n, ok := b.acted[dialog]; ok && b.plan.Steps[n].Conversation != step.Conversation {
			last = max(last, n)
		}
		b.acted[dialog] = len(b.plan.Steps)
	}
	return last
}

// causes returns the events that the command followed, each once.
func (b *planner) causes(c *convPlan, step *Step, call *flow.Call) []Cause {
	var causes []Cause
	var dialogs []string // of the call that the command is about, consultations included
	if call != nil {
		dialogs = call.Dialogs
	}
	add := func(kind CauseKind, cause Cause) {
		cause.Kind = kind
		if !slices.ContainsFunc(causes, func(o Cause) bool { return o.Seq == cause.Seq && (o.ID == cause.ID || cause.ID == "") }) {
			causes = append(causes, cause)
		}
	}
	for _, use := range step.Uses {
		if cause, ok := b.birthOf(use.Value, step.Conversation); ok {
			add(ByBirth, cause)
		}
	}
	for _, cause := range c.stimuli {
		add(ByStimulus, cause)
	}
	if c.answer != nil {
		add(ByAnswer, *c.answer)
	}
	for _, dialog := range dialogs {
		if cause, ok := c.calls[dialog]; ok {
			add(ByCall, cause)
		}
	}
	if c.state != nil {
		add(ByState, *c.state)
	}
	if service, ok := b.services[step.Topic]; ok && step.Name == "Connect" {
		add(ByService, service)
	}
	return causes
}

// birthOf returns where an id was told: to the conversation itself if it was,
// else to the first that heard of it.
func (b *planner) birthOf(id, conversation string) (Cause, bool) {
	if cause, ok := b.births[id][conversation]; ok {
		return cause, true
	}
	cause, ok := b.births[id][""]
	return cause, ok
}

// name keeps the names that the step brings with it.
func (b *planner) name(rec *capture.Record, step *Step) {
	add := func(to *[]string, name string) {
		if name != "" && !b.named[to][name] {
			if b.named[to] == nil {
				b.named[to] = map[string]bool{}
			}
			b.named[to][name] = true
			*to = append(*to, name)
		}
	}
	add(&b.plan.Topics, step.Topic)
	add(&b.plan.Topics, flow.Bare(rec.ReplyTo))
	add(&b.plan.Agents, step.Agent)
	add(&b.plan.Queues, flow.Bare(rec.To))
}

// notForBroker says why a command cannot go over a broker; "" when it can.
func notForBroker(rec *capture.Record, msg *decode.Message) string {
	switch {
	case rec.Source == "rest" || msg.Protocol == decode.GCREST:
		return "it came over REST"
	case rec.Source == "xuc" || msg.Protocol == decode.XUC:
		return "it is a frame of xuc"
	}
	return ""
}

// blocked says why a record cannot be sent; "" when it can.
func blocked(rec *capture.Record) string {
	switch {
	case rec.MaskedWhole():
		return "its whole body is masked"
	case rec.Truncated > 0:
		return "its body was not recorded whole"
	}
	return ""
}

// masked reports whether a password has to be filled in.
func masked(rec *capture.Record) bool {
	return slices.ContainsFunc(rec.Masked, func(m capture.Mask) bool { return m.Field == "password" })
}

// otherMasks returns the fields, but for the password, in which a secret turned
// up that had been seen before. Headers are sent as they were recorded.
func otherMasks(rec *capture.Record) (fields []string) {
	for _, m := range rec.Masked {
		if !m.Whole() && m.Field != "password" && !strings.HasPrefix(m.Field, "header:") {
			fields = append(fields, m.Field)
		}
	}
	return fields
}

// finish closes the conversations and counts times from the first command.
func (b *planner) finish() *Plan {
	for _, name := range b.order {
		c := b.convs[name]
		if len(c.steps) == 0 {
			continue
		}
		b.plan.Conversations = append(b.plan.Conversations,
			Conversation{Name: name, Steps: c.steps, Ends: b.ends(c), EndAt: c.last - b.start})
	}
	for i := range b.plan.Stimuli {
		b.plan.Stimuli[i].Stimulus = *b.triggers[i]
		b.plan.Stimuli[i].Due -= b.start
	}
	for i, x := range b.unborn {
		if x.Outcome == flow.Failed {
			b.keepFreaks(&b.plan.Steps[i])
		}
	}
	b.plan.Span = b.end - b.start
	return b.plan
}

// keepFreaks takes ids that no event told out of what is rewritten: GC refused
// the command in the recording, and is to be asked for the same again.
func (b *planner) keepFreaks(step *Step) {
	step.Uses = slices.DeleteFunc(step.Uses, func(u flow.Use) bool { return b.births[u.Value] == nil })
}

// ends returns the last events of a conversation since its last command: the
// last of each kind.
func (b *planner) ends(c *convPlan) []Cause {
	var ends []Cause
	for _, cause := range c.since {
		i := slices.IndexFunc(ends, func(o Cause) bool { return o.Event == cause.Event })
		cause.Kind = ByAnswer
		if cause.Stimulus >= 0 {
			cause.Kind = ByStimulus
		}
		if i >= 0 {
			ends[i] = cause
			continue
		}
		ends = append(ends, cause)
	}
	return ends
}
