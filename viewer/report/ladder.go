package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/check"
	"gctap/decode/flow"
)

// A Ladder is a stretch of a session as arrows between lanes: one for each
// agent or client, and the last for GC. It is an [check.Observer]; what lies
// outside its options is passed over, what is over the limit is counted.
type Ladder struct {
	Lanes   []string // conversations in the order they turned up; GC stands behind them
	Rows    []Rung
	Omitted int // messages in the stretch that are over the limit

	opts  LadderOptions
	lanes map[string]int
}

// LadderOptions say which messages a Ladder takes. The zero value is all, up
// to DefaultRungs.
type LadderOptions struct {
	From, To     int64                // seqs, both included; 0: no limit
	Conversation string               // agent, or a conversation with its prefix; empty: all
	Dialog       string               // messages of this call only; empty: all
	Only         func(seq int64) bool // asked once a message was observed; nil: all
	Limit        int                  // messages at the most; 0: DefaultRungs
	Zone         *time.Location
	Text         func(string) string // makes texts fit to be shown; nil: as they are
}

// DefaultRungs is how many messages a Ladder takes.
const DefaultRungs = 300

// laneLimit is how many lanes stand side by side; those beyond share one.
const laneLimit = 12

// A Rung is one message, or a gap.
type Rung struct {
	Seq       int64
	Time      time.Time
	From, To  int    // lanes; len(Lanes) is GC
	Label     string // name and what matters in it
	Dialog    string
	Latency   time.Duration // of the first answer to a command, else 0
	Answers   int64         // seq of the command that it answers; 0: none
	Severity  string        // worst finding of decode in it
	Gap       *capture.Gap
	Forgotten bool // the lane stands for several
}

// NewLadder returns a Ladder that waits for its messages.
func NewLadder(o LadderOptions) *Ladder {
	if o.Limit <= 0 {
		o.Limit = DefaultRungs
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Text == nil {
		o.Text = func(s string) string { return s }
	}
	return &Ladder{opts: o, lanes: map[string]int{}}
}

const gcLane = -1 // until all lanes are known

// Observe takes in a message.
func (l *Ladder) Observe(s *check.Seen) {
	seq := s.Record.Seq
	if seq < l.opts.From || l.opts.To > 0 && seq > l.opts.To || s.Record.Direction == capture.Note {
		return
	}
	if l.opts.Only != nil && !l.opts.Only(seq) {
		return
	}
	if s.Gap == nil && (l.opts.Conversation != "" && s.Conversation != l.opts.Conversation || l.opts.Dialog != "" && (s.Dialog == nil || s.Dialog.ID != l.opts.Dialog)) {
		return
	}
	if len(l.Rows) >= l.opts.Limit {
		l.Omitted++
		return
	}
	r := Rung{Seq: seq, Time: s.Time, Gap: s.Gap, From: gcLane, To: gcLane}
	if s.Gap == nil {
		l.draw(s, &r)
	}
	l.Rows = append(l.Rows, r)
}

// draw fills in who tells whom what.
func (l *Ladder) draw(s *check.Seen, r *Rung) {
	if s.Record.Direction == capture.Command {
		r.From = l.lane(cmp.Or(s.Sender, s.Conversation))
	} else {
		r.To = l.lane(s.Conversation)
	}
	r.Label = l.opts.Text(rungLabel(s))
	if s.Dialog != nil {
		r.Dialog = s.Dialog.ID
	}
	if s.Exchange != nil {
		r.Answers = s.Exchange.Seq
		if s.First {
			r.Latency = s.Exchange.Latency
		}
	}
	for _, f := range s.Message.Findings {
		if check.Rank(f.Severity) > check.Rank(r.Severity) && check.Rank(f.Severity) > check.Rank(decode.Note) {
			r.Severity = f.Severity
		}
	}
}

// lane returns the lane of a conversation.
func (l *Ladder) lane(name string) int {
	if name == "" {
		name = "(none)"
	}
	if i, ok := l.lanes[name]; ok {
		return i
	}
	if len(l.Lanes) == laneLimit {
		return laneLimit - 1
	}
	if len(l.Lanes) == laneLimit-1 {
		name = "others"
	}
	l.Lanes = append(l.Lanes, l.opts.Text(name))
	l.lanes[name] = len(l.Lanes) - 1
	return l.lanes[name]
}

// Close knows how many lanes there are.
func (l *Ladder) Close(*check.End) {
	for i := range l.Rows {
		r := &l.Rows[i]
		if r.From == gcLane {
			r.From = len(l.Lanes)
		}
		if r.To == gcLane {
			r.To = len(l.Lanes)
		}
	}
}

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
	for _, field := range []string{"status", "state", "pendingState", "errorCode", "reasonCode", "dialogId", "associatedDialogId", "toAddress", "extension"} {
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

// names are the heads of the lanes.
func (l *Ladder) names() []string { return append(append([]string{}, l.Lanes...), "GC") }

// clock writes a time of the ladder.
func (l *Ladder) clock(t time.Time) string { return t.In(l.opts.Zone).Format("15:04:05.000") }

// note is what stands behind a label: the latency of an answer.
func (r *Rung) note() string {
	if r.Latency <= 0 {
		return ""
	}
	return " (+" + r.Latency.Round(time.Millisecond).String() + ")"
}

// gapText says what a gap is.
func gapText(g *capture.Gap) string {
	lost := "unknown how many"
	if g.Lost != nil {
		lost = fmt.Sprint(*g.Lost)
	}
	return fmt.Sprintf("gap, %s, %s: lost %s", g.Reason, g.To.Sub(g.From).Round(time.Millisecond), lost)
}

// laneWidth is the width of a lane of the text form, in columns: the fewer
// lanes there are, the wider.
func (l *Ladder) laneWidth() int { return min(max(100/(len(l.Lanes)+1), 24), 44) }

// Text writes the ladder for a terminal or a mail, in columns of fixed width.
func (l *Ladder) Text() string {
	var b strings.Builder
	names, width := l.names(), l.laneWidth()
	fmt.Fprintf(&b, "%7s  %-12s ", "#", "")
	for _, name := range names {
		b.WriteString(pad(cut(name, width-2), width))
	}
	b.WriteByte('\n')
	for i := range l.Rows {
		r := &l.Rows[i]
		fmt.Fprintf(&b, "%7d  %-12s ", r.Seq, l.clock(r.Time))
		if r.Gap != nil {
			b.WriteString("~~~~ " + gapText(r.Gap) + " ~~~~\n")
			continue
		}
		b.WriteString(strings.TrimRight(l.textRow(r, len(names), width), " ") + "\n")
	}
	if l.Omitted > 0 {
		fmt.Fprintf(&b, "%d more messages are left out\n", l.Omitted)
	}
	return b.String()
}

// textRow draws one arrow between the lines of the lanes.
func (l *Ladder) textRow(r *Rung, lanes, width int) string {
	row := []rune(strings.Repeat(" ", lanes*width))
	for i := range lanes {
		row[i*width] = '|'
	}
	from, to := min(r.From, r.To)*width, max(r.From, r.To)*width
	for i := from + 1; i < to; i++ {
		row[i] = '-'
	}
	if r.From < r.To {
		row[to-1] = '>'
	} else {
		row[from+1] = '<'
	}
	label := []rune(" " + cut(r.Label+r.note(), to-from-6) + " ")
	copy(row[from+3:], label)
	return string(row)
}

// cut shortens a text to n runes.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n-1, 0)]) + "…"
}

func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0))
}

// mermaidText keeps a text from being read as Mermaid's own words.
var mermaidText = strings.NewReplacer("#", "#35;", ";", "#59;", "<", "#60;", ">", "#62;", "\n", " ", "%%", "%")

// Mermaid writes the ladder as a sequence diagram for Mermaid.
func (l *Ladder) Mermaid() string {
	var b strings.Builder
	b.WriteString("sequenceDiagram\n")
	names := l.names()
	for i, name := range names {
		fmt.Fprintf(&b, "  participant L%d as %s\n", i, mermaidText.Replace(name))
	}
	for i := range l.Rows {
		r := &l.Rows[i]
		switch arrow := "->>"; {
		case r.Gap != nil:
			fmt.Fprintf(&b, "  Note over L0,L%d: %s\n", len(names)-1, mermaidText.Replace(gapText(r.Gap)))
		default:
			if r.To < len(l.Lanes) {
				arrow = "-->>"
			}
			fmt.Fprintf(&b, "  L%d%sL%d: %s\n", r.From, arrow, r.To, mermaidText.Replace(l.clock(r.Time)+" "+r.Label+r.note()))
		}
	}
	if l.Omitted > 0 {
		fmt.Fprintf(&b, "  Note over L0: %d more messages are left out\n", l.Omitted)
	}
	return b.String()
}
