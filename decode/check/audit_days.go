package check

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode/flow"
)

// Kinds of an Entry.
const (
	KindSession = "session" // from sign-in to sign-out
	KindState   = "state"   // time in a state
	KindCall    = "call"    // time in a call that was talked in, holding included
	KindAct     = "act"     // something an agent did, see Figure
	KindAction  = "action"  // something a supervisor did to somebody
)

// A Figure is something that is counted.
type Figure int

// The figures.
const (
	Taken Figure = iota
	Made
	Held
	Retrieved
	Consulted
	Transferred
	Conferenced
	Released
	WrapUps
	Callbacks
	figures
)

// FigureInfo is the name of a Figure, and what counts.
type FigureInfo struct{ Key, Doc string }

var figureRows = [figures]FigureInfo{
	Taken:       {"taken", "calls answered, previews accepted and campaign calls put through"},
	Made:        {"made", "calls placed"},
	Held:        {"held", "calls put on hold"},
	Retrieved:   {"retrieved", "calls taken off hold"},
	Consulted:   {"consulted", "consult calls placed"},
	Transferred: {"transferred", "transfers, blind ones too"},
	Conferenced: {"conferenced", "conferences begun"},
	Released:    {"released", "calls hung up"},
	WrapUps:     {"wrapUps", "wrap-up reasons given, and not refused"},
	Callbacks:   {"callbacks", "callbacks scheduled, changed and cancelled, calls reclassified"},
}

// Figures returns the figures in their order.
func Figures() []FigureInfo { return figureRows[:] }

func (f Figure) String() string { return figureRows[f].Key }

// An Entry is one thing that a total was added up from. Stretches of time are
// cut at midnight and at the ends of what was asked for; sessions are not.
type Entry struct {
	Kind      string
	Agent     string
	Name      string // full name
	Team      string
	Day       string // 2026-11-21
	From, To  time.Time
	Uncertain time.Duration // the part of it that a gap makes uncertain
	Open      bool          // it went on when the recording ended
	Seqs      []int64       // messages: the first began it, the last ended it

	State, Reason, Label string // of a state; Reason of a session: of the logout
	Wire                 string // time of the change as the State event gives it

	Dialog, Number, CallType     string // of a call or act
	Incoming, Consult, Listening bool

	Extension string // of a session
	SignedIn  bool   // its Login is in the recording
	How       string // a session ended: logout, forced, session invalidated, unknown, open
	By        string // who ended it, or empty
	Basis     string // of By: flow.BasisConnection, or flow.BasisUnknown where nobody can tell

	What   string // of an act its figure, of an action the command
	Target string // of an action

	campaign bool
}

// Seconds is how long it took.
func (e *Entry) Seconds() float64 { return e.To.Sub(e.From).Seconds() }

// Ended says in words how a session ended, and by whom as far as the recording
// tells.
func (e Entry) Ended() string {
	text := e.How
	switch {
	case e.By != "":
		text += " by " + e.By + ", as the connection tells"
	case e.How == "forced" && e.Basis == flow.BasisUnknown:
		text += ", the recording cannot tell by whom"
	case e.How == "unknown":
		text = "logged out, the recording does not tell why"
	}
	if !e.SignedIn {
		text += "; was signed in before"
	}
	return text
}

// MarshalJSON writes an entry with the keys that its kind has.
func (e *Entry) MarshalJSON() ([]byte, error) {
	m := map[string]any{
		"kind": e.Kind, "agent": e.Agent, "name": e.Name, "team": e.Team, "day": e.Day, "from": jsonTime(e.From), "to": jsonTime(e.To),
		"seconds": e.Seconds(), "uncertainSeconds": e.Uncertain.Seconds(), "open": e.Open, "seqs": e.Seqs,
	}
	add := func(key string, value any) { m[key] = value }
	switch e.Kind {
	case KindState:
		add("state", e.State)
		add("reasonCode", e.Reason)
		add("label", e.Label)
		add("wireTime", e.Wire)
	case KindCall:
		add("dialogId", e.Dialog)
		add("number", e.Number)
		add("callType", e.CallType)
		add("incoming", e.Incoming)
		add("consult", e.Consult)
		add("listening", e.Listening)
	case KindSession:
		add("extension", e.Extension)
		add("signedIn", e.SignedIn)
		add("how", e.How)
		add("by", e.By)
		add("basis", e.Basis)
		add("reasonCode", e.Reason)
	case KindAct, KindAction:
		add("what", e.What)
		add("dialogId", e.Dialog)
		add("target", e.Target)
		add("basis", e.Basis)
	}
	return json.Marshal(m)
}

// dayKey is an agent's day.
type dayKey struct{ agent, day string }

// A Day is what one agent did on one day.
type Day struct {
	Agent, Name, Team string
	Day               string
	SignIns, SignOuts Total
	Forced            Total         // of the sign-outs
	LoggedIn          time.Duration // time in all states
	Uncertain         time.Duration // of that
	States            []*StateTotal // sorted by state and reason
	Counts            [figures]Total
	Calls             Total
	Talk              time.Duration // in calls, one on hold included; two at once count twice
	Longest           time.Duration // call
	TalkUncertain     time.Duration
	Actions           []ActionTotal
	states            map[stateKey]*StateTotal
}

// A Total is a count with the first messages it comes from.
type Total struct {
	Count int
	Seqs  []int64 // the first hundred; the entries have all
}

const totalSeqs = 100

func (t *Total) add(seqs ...int64) {
	t.Count++
	if len(seqs) > 0 && len(t.Seqs) < totalSeqs {
		t.Seqs = append(t.Seqs, seqs[0])
	}
}

type stateKey struct{ state, reason string }

// A StateTotal is the time in a state with a reason.
type StateTotal struct {
	State, Reason, Label string
	Time, Uncertain      time.Duration
	Times                Total // the State events that began it
}

// An ActionTotal counts what a supervisor did to one agent.
type ActionTotal struct {
	What, Target string
	Total
}

// MarshalJSON writes the line of a day.
func (d *Day) MarshalJSON() ([]byte, error) {
	type count struct {
		Count int     `json:"count"`
		Seqs  []int64 `json:"seqs"`
	}
	type state struct {
		State     string  `json:"state"`
		Reason    string  `json:"reasonCode"`
		Label     string  `json:"label"`
		Seconds   float64 `json:"seconds"`
		Uncertain float64 `json:"uncertainSeconds"`
		Times     int     `json:"times"`
		Seqs      []int64 `json:"seqs"`
	}
	type action struct {
		What   string  `json:"what"`
		Target string  `json:"target"`
		Count  int     `json:"count"`
		Seqs   []int64 `json:"seqs"`
	}
	line := struct {
		Kind       string           `json:"kind"`
		Agent      string           `json:"agent"`
		Name       string           `json:"name"`
		Team       string           `json:"team"`
		Day        string           `json:"day"`
		SignIns    int              `json:"signIns"`
		SignOuts   int              `json:"signOuts"`
		Forced     int              `json:"forced"`
		Seconds    float64          `json:"loggedInSeconds"`
		Uncertain  float64          `json:"uncertainSeconds"`
		States     []state          `json:"states"`
		Counts     map[string]count `json:"counts"`
		Calls      count            `json:"calls"`
		Talk       float64          `json:"callSeconds"`
		Longest    float64          `json:"longestCallSeconds"`
		TalkUnsafe float64          `json:"uncertainCallSeconds"`
		Actions    []action         `json:"actions"`
		InSeqs     []int64          `json:"signInSeqs"`
		OutSeqs    []int64          `json:"signOutSeqs"`
		ForcedSeqs []int64          `json:"forcedSeqs"`
	}{
		Kind: "day", Agent: d.Agent, Name: d.Name, Team: d.Team, Day: d.Day, SignIns: d.SignIns.Count, SignOuts: d.SignOuts.Count, Forced: d.Forced.Count,
		InSeqs: d.SignIns.seqs(), OutSeqs: d.SignOuts.seqs(), ForcedSeqs: d.Forced.seqs(),
		Seconds: d.LoggedIn.Seconds(), Uncertain: d.Uncertain.Seconds(), States: []state{}, Counts: map[string]count{},
		Calls: count{d.Calls.Count, d.Calls.seqs()}, Talk: d.Talk.Seconds(), Longest: d.Longest.Seconds(), TalkUnsafe: d.TalkUncertain.Seconds(), Actions: []action{},
	}
	for _, s := range d.States {
		line.States = append(line.States, state{s.State, s.Reason, s.Label, s.Time.Seconds(), s.Uncertain.Seconds(), s.Times.Count, s.Times.seqs()})
	}
	for f, t := range d.Counts {
		line.Counts[Figure(f).String()] = count{t.Count, t.seqs()}
	}
	for _, t := range d.Actions {
		line.Actions = append(line.Actions, action{t.What, t.Target, t.Count, t.seqs()})
	}
	return json.Marshal(line)
}

// seqs is never nil.
func (t *Total) seqs() []int64 { return append([]int64{}, t.Seqs...) }

// AuditGap is a gap of the recording.
type AuditGap struct {
	Seq int64
	capture.Gap
}

// An AuditResult is what an Audit has added up.
type AuditResult struct {
	From, To time.Time // of what was looked at
	Zone     string
	Days     []*Day // by agent, then by day
	Gaps     []AuditGap
	GapCount int
	Skipped  int64 // agents that were too many
}

// Result returns the totals; call it once the Audit was closed.
func (a *Audit) Result() *AuditResult { return &a.result }

func (r *AuditResult) finish(a *Audit) {
	r.From, r.To, r.Zone, r.Gaps, r.Skipped = a.start, a.now, a.opts.Zone.String(), a.gaps, a.skipped
	if a.opts.From.After(r.From) {
		r.From = a.opts.From
	}
	if !a.opts.To.IsZero() && a.opts.To.Before(r.To) {
		r.To = a.opts.To
	}
	for _, d := range a.days {
		for _, st := range d.states {
			d.States = append(d.States, st)
		}
		slices.SortFunc(d.States, func(x, y *StateTotal) int {
			return cmp.Or(cmp.Compare(x.State, y.State), cmp.Compare(x.Reason, y.Reason))
		})
		slices.SortFunc(d.Actions, func(x, y ActionTotal) int {
			return cmp.Or(cmp.Compare(x.What, y.What), cmp.Compare(x.Target, y.Target))
		})
		if w := a.agents[d.Agent]; w != nil {
			d.Name, d.Team = w.name, w.team
		}
		r.Days = append(r.Days, d)
	}
	slices.SortFunc(r.Days, func(x, y *Day) int { return cmp.Or(cmp.Compare(x.Agent, y.Agent), cmp.Compare(x.Day, y.Day)) })
}

// wanted reports whether an agent is asked for.
func (a *Audit) wanted(w *auditAgent) bool {
	return (a.opts.Agent == "" || a.opts.Agent == w.id) && (a.opts.Team == "" || a.opts.Team == w.team)
}

// counts reports whether what begins with a message is asked for.
func (a *Audit) counts(w *auditAgent, seq int64) bool {
	return a.wanted(w) && (a.opts.Only == nil || a.opts.Only(seq))
}

// within cuts a stretch to what was asked for.
func (a *Audit) within(from, to time.Time) (time.Time, time.Time, bool) {
	if from.Before(a.opts.From) {
		from = a.opts.From
	}
	if !a.opts.To.IsZero() && to.After(a.opts.To) {
		to = a.opts.To
	}
	return from, to, !to.Before(from)
}

// contains reports whether a moment is asked for.
func (a *Audit) contains(at time.Time) bool {
	return !at.Before(a.opts.From) && (a.opts.To.IsZero() || at.Before(a.opts.To))
}

// day returns an agent's day that a moment lies in.
func (a *Audit) day(w *auditAgent, at time.Time) *Day {
	key := dayKey{w.id, at.In(a.opts.Zone).Format(time.DateOnly)}
	d := a.days[key]
	if d == nil {
		d = &Day{Agent: w.id, Day: key.day, states: map[stateKey]*StateTotal{}}
		a.days[key] = d
	}
	return d
}

// midnight is the end of the day that a moment lies in.
func (a *Audit) midnight(at time.Time) time.Time {
	y, m, d := at.In(a.opts.Zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, a.opts.Zone)
}

// span ends a state or call, cuts it at midnights and adds it up.
func (a *Audit) span(w *auditAgent, sp *span, to time.Time, seq int64) {
	if sp.entry.From.IsZero() || sp.outside || sp.preview || !a.counts(w, sp.entry.Seqs[0]) {
		return
	}
	e := sp.entry
	if seq != 0 {
		e.Seqs = append(slices.Clip(e.Seqs), seq)
	}
	from, to, ok := a.within(e.From, to)
	for first := true; ok && (from.Before(to) || first); first = false {
		piece := e
		piece.From, piece.To = from, to
		if m := a.midnight(from); m.Before(to) {
			piece.To = m
		}
		if !sp.doubt.IsZero() && sp.doubt.Before(piece.To) {
			piece.Uncertain = piece.To.Sub(latest(sp.doubt, piece.From))
		}
		a.add(w, &piece, first)
		from = piece.To
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// add adds a piece to its day. Only the first piece counts as one.
func (a *Audit) add(w *auditAgent, e *Entry, first bool) {
	d := a.day(w, e.From)
	took := e.To.Sub(e.From)
	switch e.Kind {
	case KindState:
		key := stateKey{e.State, e.Reason}
		st := d.states[key]
		if st == nil {
			st = &StateTotal{State: e.State, Reason: e.Reason}
			d.states[key] = st
		}
		st.Label = cmp.Or(e.Label, st.Label)
		st.Time += took
		st.Uncertain += e.Uncertain
		st.Times.add(e.Seqs...)
		d.LoggedIn += took
		d.Uncertain += e.Uncertain
	case KindCall:
		if first {
			d.Calls.add(e.Seqs...)
		}
		d.Talk += took
		d.TalkUncertain += e.Uncertain
		d.Longest = max(d.Longest, took)
	}
	a.give(w, e, d.Day)
}

// give hands out an entry.
func (a *Audit) give(w *auditAgent, e *Entry, day string) {
	if a.entry == nil {
		return
	}
	e.Name, e.Team, e.Day = w.name, w.team, day
	a.entry(e)
}

// count adds something that an agent did.
func (a *Audit) count(w *auditAgent, f Figure, at time.Time, dialog string, seqs ...int64) {
	seqs = seqsOf(seqs...)
	if !a.counts(w, seqs[0]) || !a.contains(at) {
		return
	}
	d := a.day(w, at)
	d.Counts[f].add(seqs...)
	a.give(w, &Entry{Kind: KindAct, Agent: w.id, From: at, To: at, What: f.String(), Dialog: dialog, Seqs: seqs}, d.Day)
}

// action adds what a supervisor did to somebody.
func (a *Audit) action(boss *auditAgent, x *flow.Exchange, at time.Time, target string) {
	if !a.counts(boss, x.Seq) || !a.contains(at) {
		return
	}
	d := a.day(boss, at)
	seqs := seqsOf(append([]int64{x.Seq}, x.Answers...)...)
	i := slices.IndexFunc(d.Actions, func(t ActionTotal) bool { return t.What == x.Name && t.Target == target })
	if i < 0 {
		d.Actions = append(d.Actions, ActionTotal{What: x.Name, Target: target})
		i = len(d.Actions) - 1
	}
	d.Actions[i].add(seqs...)
	basis := flow.BasisConnection
	if x.Sender == "" {
		basis = flow.BasisUnknown
	}
	a.give(boss, &Entry{Kind: KindAction, Agent: boss.id, From: at, To: at, What: x.Name, Target: target, Dialog: x.Dialog, Basis: basis, Seqs: seqs}, d.Day)
}

// session adds sign-in and sign-out.
func (a *Audit) session(w *auditAgent, e *Entry) {
	if !a.counts(w, e.Seqs[0]) {
		return
	}
	if e.SignedIn && a.contains(e.From) {
		a.day(w, e.From).SignIns.add(e.Seqs...)
	}
	if !e.Open && a.contains(e.To) {
		d := a.day(w, e.To)
		last := e.Seqs[len(e.Seqs)-1]
		d.SignOuts.add(last)
		if e.How == "forced" || e.How == "logout" && e.By != "" {
			d.Forced.add(last)
		}
	}
	if from, to, ok := a.within(e.From, e.To); ok && (from.Before(to) || e.From.Equal(e.To)) {
		a.give(w, e, e.From.In(a.opts.Zone).Format(time.DateOnly))
	}
}
