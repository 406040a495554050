package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/check"
	"gctap/decode/flow"
)

// A Rung is one message of a ladder as an arrow between its lane and GC's, or a
// gap. What a message is on a ladder is said here alone: the viewer draws it,
// and viewer/report writes it as text, for Mermaid and as SVG.
type Rung struct {
	Seq          int64
	Time         time.Time
	Lane         string        // who tells GC, or is told: an agent, or a conversation with its prefix; empty for gaps
	Up           bool          // towards GC
	Conversation string        // that it belongs to
	Label        string        // name and what matters in it, as written: not yet printable
	Dialog       string        // id of the call that it is about
	State        string        // canonical, of that call, where the message tells it
	Latency      time.Duration // of the first answer to a command, else 0
	Answers      int64         // seq of the command that it answers; 0: none
	Severity     string        // worst finding of decode in it, from warning on
	Gap          *capture.Gap
}

// RungOf returns the rung of a message; false for notes, which have none.
func RungOf(s *check.Seen) (Rung, bool) {
	r := Rung{Seq: s.Record.Seq, Time: s.Time, Gap: s.Gap}
	switch {
	case s.Record.Direction == capture.Note:
		return r, false
	case s.Gap != nil:
		return r, true
	}
	r.Up = s.Record.Direction == capture.Command
	r.Conversation, r.Lane = s.Conversation, s.Conversation
	if r.Up {
		r.Lane = cmp.Or(s.Sender, s.Conversation)
	}
	r.Lane = cmp.Or(r.Lane, NoLane)
	r.Label = rungLabel(s)
	if s.Dialog != nil {
		r.Dialog = s.Dialog.ID
		if s.Message.Name != "State" {
			r.State = flow.State(s.Message)
		}
	}
	if s.Exchange != nil {
		r.Answers = s.Exchange.Seq
		if s.First {
			r.Latency = s.Exchange.Latency
		}
	}
	for _, f := range s.Message.Findings {
		if check.Rank(f.Severity) > max(check.Rank(r.Severity), check.Rank(decode.Note)) {
			r.Severity = f.Severity
		}
	}
	return r, true
}

// NoLane is the lane of a message that belongs to nobody.
const NoLane = "(none)"

// labelFields are the fields that matter on a ladder, in the order of a label.
var labelFields = []string{"status", "state", "pendingState", "errorCode", "reasonCode", "dialogId", "associatedDialogId", "toAddress", "extension"}

// rungLabel is the name of a message and what matters most in it.
func rungLabel(s *check.Seen) string {
	m := s.Message
	parts := []string{cmp.Or(m.Name, "?")}
	if s.Record.Direction == capture.Command && s.Sender != "" && m.Agent != "" && m.Agent != s.Sender {
		parts = append(parts, "for "+m.Agent)
	}
	if m.Name == "State" && s.Subject != s.Conversation {
		parts = append(parts, "of "+s.Subject)
	}
	for _, field := range labelFields {
		v, ok := m.Get(field)
		if !ok || v.Secret() {
			continue
		}
		text, _ := v.Scalar()
		if field == "state" {
			text = cmp.Or(flow.State(m), text)
		}
		if text == "" || m.Name == "State" && field == "extension" {
			continue
		}
		if field == "pendingState" {
			text = "then " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

// Note is what stands behind a label: the latency of an answer.
func (r *Rung) Note() string {
	if r.Latency <= 0 {
		return ""
	}
	return " (+" + r.Latency.Round(time.Millisecond).String() + ")"
}

// GapText says what a gap is, for a ladder's break.
func GapText(g *capture.Gap) string {
	lost := "unknown how many"
	if g.Lost != nil {
		lost = fmt.Sprint(*g.Lost)
	}
	return fmt.Sprintf("gap, %s, %s: lost %s", g.Reason, g.To.Sub(g.From).Round(time.Millisecond), lost)
}

// A Stretch says which messages a ladder takes. The zero value is all.
type Stretch struct {
	From, To     int64  // seqs, both included; 0: no limit
	Conversation string // agent, or a conversation with its prefix; empty: all
	Dialog       string // messages of this call only; empty: all
}

// Takes reports whether a stretch takes a message. Gaps belong to everything.
func (o *Stretch) Takes(s *check.Seen) bool {
	seq := s.Record.Seq
	if seq < o.From || o.To > 0 && seq > o.To {
		return false
	}
	return s.Gap != nil || (o.Conversation == "" || s.Conversation == o.Conversation) &&
		(o.Dialog == "" || s.Dialog != nil && s.Dialog.ID == o.Dialog)
}

// Lanes gives lanes their places, in the order they turn up.
type Lanes struct {
	Names []string // as shown
	Limit int      // how many stand side by side, those beyond share the last; 0: any number

	places map[string]int
}

// OtherLanes is the name of the lane that those beyond the limit share.
const OtherLanes = "others"

// Place returns the place of a lane, a new one for a name that is new.
func (l *Lanes) Place(name string, show func(string) string) int {
	if i, ok := l.places[name]; ok {
		return i
	}
	if l.Limit > 0 && len(l.Names) == l.Limit {
		return l.Limit - 1
	}
	if l.places == nil {
		l.places = map[string]int{}
	}
	if l.Limit > 0 && len(l.Names) == l.Limit-1 {
		name = OtherLanes
	}
	l.Names = append(l.Names, show(name))
	l.places[name] = len(l.Names) - 1
	return l.places[name]
}

// dialogColour returns which of n colours a call has: always the same, wherever
// the window stands.
func dialogColour(id string, n int) int {
	h := uint32(2166136261) // FNV-1a
	for _, b := range []byte(id) {
		h = (h ^ uint32(b)) * 16777619
	}
	return int(h % uint32(n))
}

// laneOrder sorts lanes: agents, then clients and what else has a prefix.
func laneOrder(names []string) {
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(laneRank(a), laneRank(b)), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
}

func laneRank(name string) int {
	switch prefix, _, ok := strings.Cut(name, ":"); {
	case !ok:
		return 1
	case prefix == "dest" || prefix == "conn":
		return 0
	}
	return 2
}
