package report

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gctap/decode/check"
	"gctap/viewer/model"
)

// A Ladder is a stretch of a session as arrows between lanes: one for each
// agent or client, and the last for GC. It is an [check.Observer]; what lies
// outside its options is passed over, what is over the limit is counted.
type Ladder struct {
	Lanes   []string // conversations in the order they turned up; GC stands behind them
	Rows    []Rung
	Omitted int // messages in the stretch that are over the limit

	opts  LadderOptions
	lanes model.Lanes
}

// LadderOptions say which messages a Ladder takes. The zero value is all, up
// to DefaultRungs.
type LadderOptions struct {
	model.Stretch
	Only  func(seq int64) bool // asked once a message was observed; nil: all
	Limit int                  // messages at the most; 0: DefaultRungs
	Zone  *time.Location
	Text  func(string) string // makes texts fit to be shown; nil: as they are
}

// DefaultRungs is how many messages a Ladder takes.
const DefaultRungs = 300

// laneLimit is how many lanes stand side by side; those beyond share one.
const laneLimit = 12

// A Rung is one message between two lanes, or a gap.
type Rung struct {
	model.Rung
	From, To int // lanes; len(Lanes) is GC
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
	return &Ladder{opts: o, lanes: model.Lanes{Limit: laneLimit}}
}

// Observe takes in a message.
func (l *Ladder) Observe(s *check.Seen) {
	if !l.opts.Takes(s) || l.opts.Only != nil && !l.opts.Only(s.Record.Seq) {
		return
	}
	r, ok := model.RungOf(s)
	if !ok {
		return
	}
	if len(l.Rows) >= l.opts.Limit {
		l.Omitted++
		return
	}
	rung := Rung{Rung: r}
	rung.Label = l.opts.Text(r.Label)
	if r.Gap == nil {
		rung.From = l.lanes.Place(r.Lane, l.opts.Text)
	}
	l.Rows = append(l.Rows, rung)
}

// Close knows how many lanes there are.
func (l *Ladder) Close(*check.End) {
	l.Lanes = l.lanes.Names
	for i := range l.Rows {
		r := &l.Rows[i]
		r.To = len(l.Lanes)
		if !r.Up {
			r.From, r.To = r.To, r.From
		}
	}
}

// names are the heads of the lanes.
func (l *Ladder) names() []string { return append(append([]string{}, l.Lanes...), "GC") }

// clock writes a time of the ladder.
func (l *Ladder) clock(t time.Time) string { return t.In(l.opts.Zone).Format("15:04:05.000") }

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
			b.WriteString("~~~~ " + model.GapText(r.Gap) + " ~~~~\n")
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
	label := []rune(" " + cut(r.Label+r.Note(), to-from-6) + " ")
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
			fmt.Fprintf(&b, "  Note over L0,L%d: %s\n", len(names)-1, mermaidText.Replace(model.GapText(r.Gap)))
		default:
			if r.To < len(l.Lanes) {
				arrow = "-->>"
			}
			fmt.Fprintf(&b, "  L%d%sL%d: %s\n", r.From, arrow, r.To, mermaidText.Replace(l.clock(r.Time)+" "+r.Label+r.Note()))
		}
	}
	if l.Omitted > 0 {
		fmt.Fprintf(&b, "  Note over L0: %d more messages are left out\n", l.Omitted)
	}
	return b.String()
}
