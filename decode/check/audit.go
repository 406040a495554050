package check

import (
	"cmp"
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode/flow"
)

// An Audit adds up what each agent did, by day. Times are those of the tap's
// clock; the time that a State event itself gives stands beside, as written. A
// state lasts from the event that tells it to the one that tells another.
//
// Next to a gap nothing is certain: from its beginning to the next State event
// of the agent, the state that was told last is presumed to have gone on, and
// that time is told apart with every total. What is counted (calls, sign-ins)
// may be more than was seen.
type Audit struct {
	opts    AuditOptions
	entry   func(*Entry)
	agents  map[string]*auditAgent
	exts    map[string]string // extension: agent who sits there
	heard   map[string]string // dialog of a silent monitoring: agent who is heard
	days    map[dayKey]*Day
	gaps    []AuditGap
	result  AuditResult
	skipped int64 // agents beyond the limit
	now     time.Time
	start   time.Time
	base    time.Duration
}

// AuditOptions say what an Audit looks at. The zero value is everything, in
// UTC.
type AuditOptions struct {
	Zone     *time.Location // of days; nil: UTC
	Agent    string         // login id; empty: all
	Team     string         // id of the team; empty: all
	From, To time.Time      // what lies outside is cut off; zero: no limit
	// Only is asked, once its record was observed, whether the message that an
	// Entry begins with counts; nil: all do.
	Only func(seq int64) bool
}

// auditGaps is how many gaps are listed; all are counted.
const auditGaps = 1000

// NewAudit returns an Audit that hands every Entry to entry, which may be nil.
func NewAudit(o AuditOptions, entry func(*Entry)) *Audit {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	return &Audit{
		opts: o, entry: entry, agents: map[string]*auditAgent{}, exts: map[string]string{}, heard: map[string]string{}, days: map[dayKey]*Day{},
	}
}

// auditAgent is an agent at work.
type auditAgent struct {
	id, name, team string
	extension      string
	direct         bool // its own events are in the recording: copies for others do not count
	login          int64
	leave          *flow.Exchange // the last command to log it out, whoever sent it
	state          *span
	session        *Entry // sign-in to sign-out; nil while it is logged out
	over           *Entry // a session that has ended, until it is known why
	invalidated    time.Time
	calls          []*span
}

// span is a state or call under way.
type span struct {
	entry   Entry
	known   string    // of a call: the last state told
	doubt   time.Time // since when it may not be so any more; zero: it is certain
	outside bool      // no call of the agent's own: it is listened to, or shown a preview
	preview bool      // a dialler's, as the type of the call says: the layout of its announcement is not known
}

// previewType is the type of a call that a dialler shows an agent, who may
// accept it: that is another call then.
const previewType = "OUTBOUND_PREVIEW"

// Observe takes in the next record.
func (a *Audit) Observe(s *Seen) {
	if a.start.IsZero() {
		a.start, a.base = s.Time, s.At
	}
	a.now = s.Time
	for _, x := range s.Closed {
		a.closed(x)
	}
	switch s.Record.Direction {
	case capture.GapRow:
		a.gap(s)
	case capture.Command:
		a.command(s)
	case capture.Event:
		a.event(s)
	}
}

// at is the time of a flow time.
func (a *Audit) at(d time.Duration) time.Time { return a.start.Add(d - a.base) }

// Close ends what is still going on.
func (a *Audit) Close(e *End) {
	for _, x := range e.Left {
		a.closed(x)
	}
	a.now = e.Time
	ids := make([]string, 0, len(a.agents))
	for id := range a.agents {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		a.agents[id].end(a)
	}
	a.result.finish(a)
}

func (w *auditAgent) end(a *Audit) {
	w.flushSession(a)
	if w.state != nil {
		w.state.entry.Open = true
		a.span(w, w.state, a.now, 0)
	}
	for _, c := range w.calls {
		c.entry.Open = true
		a.span(w, c, a.now, 0)
	}
	if w.session != nil {
		w.session.To, w.session.Open, w.session.How = a.now, true, "open"
		w.over, w.session = w.session, nil
		w.flushSession(a)
	}
}

// agent returns an agent, a new one if there is room.
func (a *Audit) agent(id string) *auditAgent {
	w := a.agents[id]
	if w == nil {
		w = &auditAgent{id: id}
		if len(a.agents) >= maxTracked {
			a.skipped++
			return w
		}
		a.agents[id] = w
	}
	return w
}

func (a *Audit) gap(s *Seen) {
	a.result.GapCount++
	if s.Gap == nil {
		return
	}
	if len(a.gaps) < auditGaps {
		a.gaps = append(a.gaps, AuditGap{Seq: s.Record.Seq, Gap: *s.Gap})
	}
	for _, w := range a.agents {
		w.doubt(s.Gap.From)
	}
}

// doubt marks what goes on as not certain from a time on.
func (w *auditAgent) doubt(from time.Time) {
	for _, sp := range append(slices.Clone(w.calls), w.state) {
		if sp != nil && sp.doubt.IsZero() {
			sp.doubt = from
			if from.Before(sp.entry.From) {
				sp.doubt = sp.entry.From
			}
		}
	}
}

func (a *Audit) command(s *Seen) {
	name := s.Message.Name
	if isLogout(name) && s.Message.Agent != "" {
		a.agent(s.Message.Agent).leave = s.Opened
	}
	if name == "Login" || name == "MobileAgentLogin" {
		w := a.agent(s.Message.Agent)
		w.login = s.Record.Seq
		if ext := s.Message.Text("extension"); ext != "" {
			w.extension = ext
		}
	}
}

func (a *Audit) event(s *Seen) {
	switch name := s.Message.Name; {
	case name == "AgentInfo":
		w := a.agent(s.Subject)
		w.name, w.team = cmp.Or(s.Message.Text("fullName"), w.name), cmp.Or(s.Message.Text("team"), w.team)
	case name == "Error" && s.Message.Text("errorCode") == "SESSION_INVALIDATED":
		w := a.agent(s.Subject)
		w.invalidated = s.Time
		if w.over != nil && s.Time.Sub(w.over.To) <= flow.DefaultLate && w.over.How == "unknown" {
			w.over.How = "session invalidated"
			w.over.Seqs = append(w.over.Seqs, s.Record.Seq)
		}
	case name == "State":
		a.state(s)
	case s.Dialog != nil && name != "DialogState" && name != "DialogStatus" && s.Conversation != "":
		a.call(s)
	}
}

// state takes in the state of an agent.
func (a *Audit) state(s *Seen) {
	state := flow.State(s.Message)
	if state == "" || state == "RE_LOGIN" || s.Subject == "" {
		return
	}
	w := a.agent(s.Subject)
	own := s.Subject == s.Conversation
	if !own && w.direct {
		return
	}
	w.direct = w.direct || own
	w.name = cmp.Or(w.name, s.Message.Text("fullName"))
	if ext := s.Message.Text("extension"); ext != "" && state != "LOGOUT" {
		w.extension = ext
		if len(a.exts) < maxTracked {
			a.exts[ext] = w.id
		}
	}
	reason, label := "", ""
	if state == "NOT_READY" || state == "LOGOUT" {
		reason, label = s.Message.Text("reasonCode"), s.Message.Text("label")
	}
	if sp := w.state; sp != nil && sp.entry.State == state && sp.entry.Reason == reason && sp.doubt.IsZero() {
		return
	}
	w.flushSession(a)
	if w.state != nil {
		a.span(w, w.state, s.Time, s.Record.Seq)
		w.state = nil
	}
	w.endLostCalls(a, state, s)
	if state == "LOGOUT" {
		w.signOut(s, reason)
		return
	}
	w.signIn(s)
	w.state = &span{entry: Entry{
		Kind: KindState, Agent: w.id, From: s.Time, State: state, Reason: reason, Label: label, Wire: s.Message.Text("stateChangeTime"), Seqs: []int64{s.Record.Seq},
	}}
}

// endLostCalls ends the calls whose end fell into a gap: an agent in such a
// state has none.
func (w *auditAgent) endLostCalls(a *Audit, state string, s *Seen) {
	switch state {
	case "READY", "NOT_READY", "LOGOUT", "WORK", "WORK_READY":
	default:
		return
	}
	w.calls = slices.DeleteFunc(w.calls, func(c *span) bool {
		lost := !c.doubt.IsZero()
		if lost {
			a.span(w, c, s.Time, s.Record.Seq)
		}
		return lost
	})
}

func (w *auditAgent) signIn(s *Seen) {
	if w.session != nil {
		return
	}
	w.session = &Entry{Kind: KindSession, Agent: w.id, From: s.Time, Extension: w.extension, SignedIn: w.login != 0, Seqs: []int64{s.Record.Seq}}
	if w.login != 0 {
		w.session.Seqs = []int64{w.login, s.Record.Seq}
	}
}

// signOut ends a session and says who ended it, as far as the recording tells.
func (w *auditAgent) signOut(s *Seen, reason string) {
	w.login = 0
	if w.session == nil {
		return
	}
	e := w.session
	w.session, w.over = nil, e
	e.To, e.Reason, e.Seqs = s.Time, reason, append(e.Seqs, s.Record.Seq)
	x := w.left(s)
	switch {
	case x != nil:
		e.How, e.Basis = "logout", flow.BasisUnknown
		if x.Name == "ForceLogout" {
			e.How = "forced"
		}
		if x.Sender != "" {
			e.Basis = flow.BasisConnection
			if x.Sender != w.id {
				e.By = x.Sender
			}
		}
		e.Seqs = append(e.Seqs, x.Seq)
	case !w.invalidated.IsZero() && s.Time.Sub(w.invalidated) <= flow.DefaultLate:
		e.How = "session invalidated"
	default:
		e.How = "unknown"
	}
}

func isLogout(name string) bool {
	return name == "Logout" || name == "LogoutWithReason" || name == "ForceLogout"
}

// left is the command that a LOGOUT comes from; nil when there is none. It may
// have been answered already, by the copy that its sender was told.
func (w *auditAgent) left(s *Seen) *flow.Exchange {
	x := s.Exchange
	if x == nil {
		x = s.By
	}
	if x != nil && isLogout(x.Name) {
		return x
	}
	x, w.leave = w.leave, nil
	if x == nil || x.Outcome == flow.Failed || s.At-x.At > flow.DefaultWindow {
		return nil
	}
	return x
}

// flushSession gives out a session that is over.
func (w *auditAgent) flushSession(a *Audit) {
	if w.over != nil {
		e := w.over
		w.over = nil
		e.Seqs = seqsOf(e.Seqs...)
		a.session(w, e)
	}
}

// call takes in an event of a call.
func (a *Audit) call(s *Seen) {
	w := a.agent(s.Conversation)
	c := w.find(s.Dialog.ID)
	state := flow.State(s.Message)
	if isNew(s.Message.Name) {
		if c == nil {
			c = w.join(s)
			c.entry.Incoming = true
		}
		c.outside = aside(s)
		c.entry.campaign = s.Message.Name == "NewOutboundCall"
		return
	}
	switch state {
	case "":
		return
	case "DROPPED", "FAILED", "NOT_FOUND":
		if c != nil {
			a.span(w, c, s.Time, s.Record.Seq)
			w.calls = slices.DeleteFunc(w.calls, func(o *span) bool { return o == c })
		}
		return
	}
	if c == nil {
		c = w.join(s)
		c.entry.Incoming = state == "ACTIVE" || state == "HELD"
	}
	if s.Message.Name == "ConsultCall" {
		c.entry.Consult = true
	}
	if t := s.Message.Text("callType"); t != "" {
		if c.preview && t != previewType { // now it is a call
			c.entry.From = time.Time{}
		}
		c.preview = t == previewType
		c.entry.CallType = t
		c.entry.Listening = t == "SM" || t == "SUPERVISOR_MONITOR"
		c.entry.Consult = c.entry.Consult || t == "CONSULT" || t == "CONSULT_IN"
	}
	if (state == "ACTIVE" || state == "HELD") && c.entry.From.IsZero() {
		c.entry.From = s.Time
		c.entry.Seqs = append(c.entry.Seqs, s.Record.Seq)
		if c.entry.campaign && !c.outside {
			a.count(w, Taken, s.Time, s.Dialog.ID, s.Record.Seq)
		}
	}
	c.known, c.doubt = state, time.Time{}
}

func (w *auditAgent) find(dialog string) *span {
	for _, c := range w.calls {
		if c.entry.Dialog == dialog {
			return c
		}
	}
	return nil
}

// join puts a call on the agent's list.
func (w *auditAgent) join(s *Seen) *span {
	const most = 32
	if len(w.calls) == most {
		w.calls = slices.Delete(w.calls, 0, 1)
	}
	c := &span{entry: Entry{Kind: KindCall, Agent: w.id, Dialog: s.Dialog.ID, Number: s.Dialog.From, CallType: s.Message.Text("callType"), Seqs: []int64{s.Record.Seq}}}
	w.calls = append(w.calls, c)
	return c
}

// acts are the commands that count for whoever sends them.
var acts = map[string]Figure{
	"AnswerCall": Taken, "AcceptOutboundPreview": Taken, "MakeCall": Made, "HoldCall": Held, "RetrieveCall": Retrieved, "ConsultCall": Consulted,
	"TransferCall": Transferred, "BlindTransfer": Transferred, "ConferenceCall": Conferenced, "ReleaseCall": Released, "WrapUp": WrapUps,
	"ScheduleCallback": Callbacks, "UpdateCallback": Callbacks, "CancelScheduledCallback": Callbacks, "ReclassifyCall": Callbacks,
}

// closed counts what a command has brought about.
func (a *Audit) closed(x *flow.Exchange) {
	if x.Outcome == flow.Failed || x.Outcome == flow.Unanswered || x.Outcome == flow.RolledBack || x.Agent == "" {
		return
	}
	at := a.at(x.At)
	switch x.Name {
	case "SilentMonitor", "BargeIn", "EndSilentMonitor", "DropParticipant":
		a.supervise(x, at)
		return
	case "Logout", "LogoutWithReason", "ForceLogout", "MakeReady", "MakeNotReady", "MakeNotReadyWithReason":
		if x.Sender != "" && x.Sender != x.Agent {
			a.action(a.agent(x.Sender), x, at, x.Agent)
		}
		return
	}
	figure, ok := acts[x.Name]
	if !ok {
		return
	}
	if x.Name == "BlindTransfer" && lacks(x, "InboundCall", "DROPPED") {
		return // nobody could be reached
	}
	a.count(a.agent(x.Agent), figure, at, x.Dialog, append([]int64{x.Seq}, x.Answers...)...)
}

// lacks reports whether a command still expects an event.
func lacks(x *flow.Exchange, event, value string) bool {
	for _, e := range x.Expected() {
		if e.Event == event && e.Value == value {
			return true
		}
	}
	return false
}

// supervise books what a supervisor did to an agent's call.
func (a *Audit) supervise(x *flow.Exchange, at time.Time) {
	target := ""
	if len(x.Numbers) > 0 {
		target = cmp.Or(a.exts[x.Numbers[0]], x.Numbers[0])
	}
	if x.Name == "SilentMonitor" && len(a.heard) < maxTracked {
		a.heard[x.Agent] = target
	}
	if x.Name == "EndSilentMonitor" {
		target = a.heard[x.Agent]
	}
	a.action(a.agent(x.Agent), x, at, target)
}
