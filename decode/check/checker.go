package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A Checker finds where a session goes against the protocol. Findings come as
// soon as they are certain: those about an answer that did not come, when it is
// too late for it.
type Checker struct {
	found   func(Finding)
	off     map[string]bool
	late    time.Duration
	noHolds bool // the platform does not tell of them
	now     time.Duration
	time    time.Time
	gapEnd  time.Duration // evidence from before this may be cut by a gap
	agents  agentViews
	doubt   suspicions
	doubles doubles
	loops   map[loopKey]*loop
}

// CheckOptions are the settings of a Checker.
type CheckOptions struct {
	Off  []string      // ids of rules that are not looked for
	Late time.Duration // 0: flow.DefaultLate; give flow the same

	// Platform is UCCE or UCCX where that is known. UCCX does not tell of
	// holds: nothing is concluded from that there.
	Platform string
}

// The platforms behind GC.
const (
	UCCE = "UCCE"
	UCCX = "UCCX"
)

// maxTracked is how many agents, clients and loops are remembered, each.
const maxTracked = 100_000

// NewChecker returns a Checker that hands every finding to found.
func NewChecker(o CheckOptions, found func(Finding)) *Checker {
	c := &Checker{found: found, off: map[string]bool{}, late: cmp.Or(o.Late, flow.DefaultLate), noHolds: o.Platform == UCCX, loops: map[loopKey]*loop{}}
	for _, id := range o.Off {
		c.off[id] = true
	}
	c.agents.views = map[string]*agentView{}
	c.doubles.init()
	return c
}

// Observe takes in the next record.
func (c *Checker) Observe(s *Seen) {
	c.now, c.time = s.At, s.Time
	began := s.At // of what this record may have cut off: a gap row stands at the gap's end
	if s.Gap != nil {
		began -= max(s.Time.Sub(s.Gap.From), 0)
	}
	c.settle(began)
	rest := s.Closed[:0:0]
	for _, x := range s.Closed {
		if x.At+flow.DefaultWindow < began || s.Gap == nil {
			c.closed(x)
		} else {
			rest = append(rest, x)
		}
	}
	if s.Record.Direction == capture.GapRow {
		c.gapEnd = max(s.At, 1)
	}
	for _, x := range rest {
		c.closed(x)
	}
	switch s.Record.Direction {
	case capture.GapRow:
		c.gap(s)
		return
	case capture.Note:
		return
	}
	c.silence(s)
	c.grammar(s)
	switch s.Record.Direction {
	case capture.Command:
		c.command(s)
	case capture.Event:
		c.event(s)
	}
}

// silence tells of calls and agents that flow has forgotten in the middle.
func (c *Checker) silence(s *Seen) {
	for _, x := range s.Forgot {
		if x.Reason != flow.WasSilent || !x.Open {
			continue
		}
		f := Finding{Rule: Silence, Seq: s.Record.Seq, Agent: x.Agent, Dialog: x.Dialog}
		f.Text = fmt.Sprintf("nothing was heard of agent %s for %.0f hours", x.Agent, flow.HoursOfSilence.Hours())
		if x.Dialog != "" {
			f.Text = fmt.Sprintf("nothing was heard of call %s for %.0f hours", x.Dialog, flow.HoursOfSilence.Hours())
		}
		c.report(f, c.now-flow.HoursOfSilence)
	}
}

// Close judges what is left open.
func (c *Checker) Close(e *End) {
	end := c.now + e.Time.Sub(c.time)
	c.settle(end)
	c.now = end
	for _, x := range e.Left {
		if end-x.At > c.late {
			c.closed(x)
		}
	}
	if e.Dropped > 0 || c.agents.refused > 0 {
		c.report(Finding{Rule: Overflow, Seq: e.Records, Text: fmt.Sprintf("%d agents, calls or commands were forgotten while in use", e.Dropped+c.agents.refused)}, c.now)
	}
}

// report gives out a finding whose evidence begins at a time.
func (c *Checker) report(f Finding, since time.Duration) {
	rule := LookupRule(f.Rule)
	if c.off[f.Rule] {
		return
	}
	f.Severity = cmp.Or(f.Severity, rule.Severity)
	f.Says = cmp.Or(f.Says, rule.Says)
	f.Time = cmp.Or(f.Time, c.time)
	if len(f.Seqs) == 0 {
		f.Seqs = seqsOf(f.Seq)
	}
	if c.gapEnd > 0 && since <= c.gapEnd && f.Rule != GapRule {
		f.Uncertain, f.Severity = true, decode.Note
	}
	c.found(f)
}

// at turns a time since the first record into one of the tap's clock.
func (c *Checker) at(d time.Duration) time.Time { return c.time.Add(d - c.now) }

// gap makes everything that was known uncertain.
func (c *Checker) gap(s *Seen) {
	text := "messages may be missing"
	if g := s.Gap; g != nil {
		lost := "an unknown number of messages"
		if g.Lost != nil {
			lost = fmt.Sprintf("%d messages", *g.Lost)
		}
		text = fmt.Sprintf("%s: %s may be missing in %s", g.Reason, lost, g.To.Sub(g.From).Round(time.Millisecond))
	}
	if place := s.Record.GapPlace(); place != "" {
		text += "; " + place
	}
	c.agents.forget()
	c.doubt.clear()
	c.report(Finding{Rule: GapRule, Seq: s.Record.Seq, Text: text}, s.At)
}

// grammar reports what decode found in the message.
func (c *Checker) grammar(s *Seen) {
	const most = 5
	n := 0
	for i := range s.Message.Findings {
		d := &s.Message.Findings[i]
		rule := ""
		switch d.Severity {
		case decode.Error:
			rule = Malformed
		case decode.Warning:
			rule = Irregular
		default:
			continue
		}
		if n++; n > most {
			break
		}
		where := cmp.Or(d.Field, "the body")
		c.report(c.about(s, Finding{Rule: rule, Text: fmt.Sprintf("%s of %s: %s (%s)", where, cmp.Or(s.Message.Name, "the message"), d.Text, d.Code)}), s.At)
	}
}

// about fills in whose message s is.
func (c *Checker) about(s *Seen, f Finding) Finding {
	f.Seq, f.Conversation, f.Agent, f.Name = s.Record.Seq, s.Conversation, s.Subject, s.Message.Name
	if s.Dialog != nil {
		f.Dialog = s.Dialog.ID
	}
	return f
}

// exchange is the part of a finding that a command gives.
func (c *Checker) exchange(rule string, x *flow.Exchange, seqs ...int64) Finding {
	return Finding{
		Rule: rule, Time: c.at(x.At), Seq: x.Seq, Seqs: seqsOf(append(seqs, x.Seq)...), Conversation: x.Conversation, Agent: x.Agent,
		Name: x.Name, Dialog: x.Dialog,
	}
}

// closed judges a command that gets no more answers.
func (c *Checker) closed(x *flow.Exchange) {
	if c.noHolds && x.Name == "HoldCall" && x.Outcome != flow.Failed {
		return
	}
	switch x.Outcome {
	case flow.Unanswered:
		c.unanswered(x)
	case flow.Failed:
		c.refused(x)
	case flow.Answered, flow.Late:
		c.missing(x)
	}
	if x.Outcome == flow.Late {
		f := c.exchange(LateAnswer, x, x.Answers...)
		f.Text = fmt.Sprintf("%s was answered after %s, more than %s", x.Name, x.Latency.Round(time.Millisecond), c.late)
		c.report(f, x.At)
	}
}

// unanswered tells, where the session does, whether the command was taken.
func (c *Checker) unanswered(x *flow.Exchange) {
	waited := min(c.now-x.At, flow.DefaultWindow).Round(100 * time.Millisecond) // it may come to light only with the next record
	f := c.exchange(Unanswered, x)
	f.Text = fmt.Sprintf("%s got no answer in %s", x.Name, waited)
	switch d := x.Delivery; {
	case d != nil:
		f = c.exchange(TakenUnanswered, x, d.Seq)
		f.Text = fmt.Sprintf("%s was taken by %s%s and not answered in %s", x.Name, d.Consumer, acknowledged(d), waited)
	case x.Watched:
		f = c.exchange(NotTaken, x)
		f.Text = fmt.Sprintf("%s was not taken from %s in %s", x.Name, x.Queue, waited)
	}
	f.Says = "expected: " + expectations(x.Expected())
	c.report(f, x.At)
}

// acknowledged says what became of a command that was handed out.
func acknowledged(d *flow.Delivery) string {
	text := ""
	if d.Times > 1 {
		text = fmt.Sprintf(" (handed out %d times)", d.Times)
	}
	switch {
	case d.Acked:
		return text + ", acknowledged"
	case d.NoAck:
		return text
	}
	return text + ", not acknowledged"
}

// missing reports what a command that was answered still lacks.
func (c *Checker) missing(x *flow.Exchange) {
	var lacks []decode.Expect
	may := left[x.Name]
	for _, e := range x.Expected() {
		fits := func(l decode.Expect) bool { return l.Event == e.Event && (l.Value == "" || l.Value == e.Value) }
		if !slices.ContainsFunc(may, fits) {
			lacks = append(lacks, e)
		}
	}
	if len(lacks) == 0 {
		return
	}
	f := c.exchange(MissingEvent, x, x.Answers...)
	f.Text = fmt.Sprintf("after %s there was no %s", x.Name, expectations(lacks))
	c.report(f, x.At)
}

func (c *Checker) refused(x *flow.Exchange) {
	f := c.exchange(Refused, x, x.Answers...)
	f.Text = fmt.Sprintf("%s was refused: %s", x.Name, x.Code)
	if e := decode.LookupError(x.Code); e != nil {
		f.Text += ": " + e.Meaning
		if do := cmp.Or(e.Client, e.Driver); do != "" {
			f.Says = "the client should: " + do
		}
	}
	c.report(f, x.At)
}

// command looks at a command as it comes.
func (c *Checker) command(s *Seen) {
	if first := c.doubles.command(s, c.late); first != 0 {
		f := c.about(s, Finding{Rule: DuplicateCmd, Text: s.Message.Name + " was sent again before the first was answered"})
		f.Seqs = seqsOf(first, s.Record.Seq)
		c.report(f, s.At)
	}
	if s.Message.Name == "Login" || s.Message.Name == "MobileAgentLogin" {
		c.agents.get(s.Message.Agent).begin()
	}
}

// activeAgain reports whether an event tells of a call that is active after a
// hold, where the platform does not tell of the hold: the clock of its startTime
// may say the same second.
func (c *Checker) activeAgain(s *Seen) bool { return c.noHolds && s.Message.Text("state") == "ACTIVE" }

// event looks at an event as it comes.
func (c *Checker) event(s *Seen) {
	if first := c.doubles.event(s, c.late); first != 0 && s.Exchange == nil && !isCopy(s) && !c.activeAgain(s) {
		f := c.about(s, Finding{Rule: DuplicateEvent, Text: s.Message.Name + " came twice, byte for byte"})
		f.Seqs = seqsOf(first, s.Record.Seq)
		c.report(f, s.At)
		return
	}
	c.lateAnswer(s)
	switch s.Message.Name {
	case "Error":
		c.errorEvent(s)
	case "System":
		if s.Message.Text("status") == "OUT_OF_SERVICE" {
			c.report(c.about(s, Finding{Rule: OutOfService, Text: "GC is out of service"}), s.At)
		}
	case "Destination":
		c.report(c.about(s, Finding{Rule: Reconnect, Text: "GC asks the client to connect again"}), s.At)
		c.loop(s, ReconnectLoop, "RECONNECT")
	case "State":
		if flow.State(s.Message) == "RE_LOGIN" {
			c.report(c.about(s, Finding{Rule: ReLogin, Text: "GC asks the agent to log in again"}), s.At)
			c.loop(s, ReLoginLoop, "RE_LOGIN")
			c.agents.get(s.Subject).lost()
			return
		}
		c.state(s)
	default:
		c.other(s)
	}
}

// isCopy reports whether a State is told to one who looks on. GC tells some
// states twice, on purpose where a command expects it, and copies both.
func isCopy(s *Seen) bool {
	return s.Message.Name == "State" && s.Subject != s.Conversation
}

// other looks at lists, call events and the rest.
func (c *Checker) other(s *Seen) {
	switch name := s.Message.Name; {
	case s.Dialog != nil && name != "DialogState" && name != "DialogStatus":
		c.call(s)
	case s.Message.Spec() == nil || s.Exchange != nil:
	case name == "Control":
		c.report(c.about(s, Finding{Rule: UnaskedMessage, Text: "a message for the agent that no command brought about"}), s.At)
	case len(s.Message.Spec().Answers) > 0:
		c.report(c.about(s, Finding{Rule: UnexpectedEvent, Text: name + " came, and nobody had asked for it"}), s.At)
	}
}

// lateAnswer reports an answer behind the first that comes too late. What
// hangs on a person picking up, and how a call goes on, is judged elsewhere.
func (c *Checker) lateAnswer(s *Seen) {
	x := s.Exchange
	if x == nil || s.First || s.At-x.At <= c.late || x.Outcome == flow.Failed {
		return
	}
	switch flow.State(s.Message) {
	case "", "INITIATING", "INITIATED", "ALERTING":
	default:
		if x.Name != "Login" && x.Name != "MobileAgentLogin" {
			return
		}
	}
	f := c.about(s, Finding{Rule: LateAnswer, Text: fmt.Sprintf("%s came %s after its %s, more than %s", s.Message.Name, (s.At - x.At).Round(time.Millisecond), x.Name, c.late)})
	f.Seqs = seqsOf(x.Seq, s.Record.Seq)
	c.report(f, x.At)
}

// errorEvent reports errors that answer nothing, and loops.
func (c *Checker) errorEvent(s *Seen) {
	code := s.Message.Text("errorCode")
	if code == "SESSION_INVALIDATED" {
		c.agents.get(s.Subject).invalidated = s.At
	}
	if s.Exchange == nil {
		f := c.about(s, Finding{Rule: ErrorEvent, Text: "the error " + code + " answers no command"})
		if e := decode.LookupError(code); e != nil {
			f.Text += ": " + e.Meaning
		}
		c.report(f, s.At)
	}
	c.loop(s, ErrorLoop, code)
}

// loopKey is what comes again, and at whom.
type loopKey struct{ rule, who, what string }

// loop holds the times of the last repeats.
type loop struct {
	at   []time.Duration
	seqs []int64
	told time.Duration // when it was reported last, and still goes on
}

// loopWindow is how close together repeats are a loop.
const loopWindow = 2 * time.Minute

// loop counts a repeat and reports a loop once, until it has stopped for the
// length of the window.
func (c *Checker) loop(s *Seen, rule, what string) {
	key := loopKey{rule, cmp.Or(s.Conversation, s.Record.To), what}
	l := c.loops[key]
	if l == nil {
		if len(c.loops) >= maxTracked {
			c.forgetLoops()
		}
		l = &loop{}
		c.loops[key] = l
	}
	least := 3
	if rule == ErrorLoop {
		least = 5
	}
	if n := len(l.at); n > 0 && s.At-l.at[n-1] > loopWindow {
		*l = loop{}
	}
	l.at, l.seqs = append(l.at, s.At), append(l.seqs, s.Record.Seq)
	if len(l.at) > least {
		l.at, l.seqs = l.at[1:], l.seqs[1:]
	}
	if len(l.at) < least || s.At-l.at[0] > loopWindow || l.told != 0 {
		return
	}
	l.told = max(s.At, 1)
	f := c.about(s, Finding{Rule: rule, Text: fmt.Sprintf("%s came %d times in %s", what, least, (s.At - l.at[0]).Round(100*time.Millisecond))})
	f.Seqs = seqsOf(slices.Clone(l.seqs)...)
	c.report(f, l.at[0])
}

// forgetLoops drops the loops that are over.
func (c *Checker) forgetLoops() {
	for key, l := range c.loops {
		if c.now-l.at[len(l.at)-1] > loopWindow {
			delete(c.loops, key)
		}
	}
}
