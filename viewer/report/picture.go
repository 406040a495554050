package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gctap/decode/check"
	"gctap/viewer/model"
)

// The sizes of the ladder's drawing, in pixels.
const (
	ladderTop  = 34  // of the first arrow
	ladderRow  = 30  // from one arrow to the next
	ladderLeft = 190 // of the first lane
	ladderLane = 210 // from one lane to the next, at the least
	ladderWide = 720 // of all lanes: where there are few, they stand further apart
	colours    = 8   // of calls
)

// ladderPicture is a Ladder with its coordinates.
type ladderPicture struct {
	ID            string
	Standalone    bool
	Width, Height int
	Desc          string
	Lanes         []laneLine
	Arrows        []arrow
	Gaps          []gapLine
	Style         any
}

type laneLine struct {
	X, Bottom int
	Name      string
}

type arrow struct {
	Seq                int64
	Y, TextY           int
	X1, X2, Head, Text int // Head: the base of the arrow's head
	Time, Label        string
	Class              string
	Event              bool
	Linked             bool // there is a message of interest to jump to
}

// Up and Down are the corners of the arrow's head.
func (a arrow) Up() int   { return a.Y - 4 }
func (a arrow) Down() int { return a.Y + 4 }

// TextY is the line of the gap's text.
func (g gapLine) TextY() int { return g.Y - 5 }

type gapLine struct {
	Y, X1, X2 int
	Text      string
}

func (l *Ladder) picture(linked func(int64) bool) *ladderPicture {
	names := l.names()
	p := &ladderPicture{ID: "ladder", Width: l.x(len(names)-1) + 60, Height: ladderTop + (len(l.Rows)+1)*ladderRow}
	p.Desc = fmt.Sprintf("%d messages between %s", len(l.Rows), strings.Join(names, ", "))
	for i, name := range names {
		p.Lanes = append(p.Lanes, laneLine{X: l.x(i), Bottom: p.Height - 8, Name: cut(name, 26)})
	}
	var dialogs []string
	for i := range l.Rows {
		r := &l.Rows[i]
		y := ladderTop + (i+1)*ladderRow
		if r.Gap != nil {
			p.Gaps = append(p.Gaps, gapLine{Y: y - 4, X1: 8, X2: p.Width - 8, Text: model.GapText(r.Gap)})
			continue
		}
		p.Arrows = append(p.Arrows, l.arrow(r, y, &dialogs, linked))
	}
	return p
}

// x is where a lane stands.
func (l *Ladder) x(lane int) int {
	return ladderLeft + lane*max(ladderLane, ladderWide/max(len(l.Lanes), 1))
}

// arrow places one message.
func (l *Ladder) arrow(r *Rung, y int, dialogs *[]string, linked func(int64) bool) arrow {
	a := arrow{Seq: r.Seq, Y: y, TextY: y - 5, Time: l.clock(r.Time), Event: r.To < len(l.Lanes), Linked: linked != nil && linked(r.Seq)}
	a.X1, a.X2 = l.x(r.From), l.x(r.To)
	a.Head = a.X2 - 9
	if a.X2 < a.X1 {
		a.Head = a.X2 + 9
	}
	a.Text = min(a.X1, a.X2) + 12
	room := (max(a.X1, a.X2) - min(a.X1, a.X2) - 20) / 7
	a.Label = cut(r.Label+r.Note(), max(room, 20))
	a.Class = "plain"
	if r.Dialog != "" {
		i := slices.Index(*dialogs, r.Dialog)
		if i < 0 {
			i = len(*dialogs)
			*dialogs = append(*dialogs, r.Dialog)
		}
		a.Class = fmt.Sprint("call", i%colours)
	}
	if r.Severity != "" {
		a.Class += " bad"
	}
	return a
}

// SVG writes the ladder as a picture of its own.
func (l *Ladder) SVG(w io.Writer) error {
	p := l.picture(nil)
	p.Standalone, p.Style = true, style
	return templates.ExecuteTemplate(w, "ladder", p)
}

// The sizes of the timeline, in pixels.
const (
	timeLeft  = 150
	timeWidth = 900
	timeRow   = 44
	timeTop   = 30
	// timeBars is how many bars are drawn: the longest.
	timeBars = 4000
)

// timePicture is the states and calls of agents over time.
type timePicture struct {
	ID            string
	Width, Height int
	Desc          string
	Agents        []timeRowHead
	Bars          []bar
	Ticks         []tick
	Gaps          []bar
	Omitted       int
}

type timeRowHead struct {
	Y    int
	Name string
}

type bar struct {
	X, Y, W, H float64
	Class      string
	Title      string
	Text       string // where there is room
}

// TextX and TextY are where the text of a bar begins.
func (b bar) TextX() float64 { return round(b.X + 3) }
func (b bar) TextY() float64 { return round(b.Y + 12) }

type tick struct {
	X      float64
	Bottom int
	Text   string
}

// stateClasses are the looks of states; others look like "other".
var stateClasses = map[string]string{
	"READY": "ready", "NOT_READY": "notready", "TALKING": "talking", "HOLD": "hold", "RESERVED": "reserved",
	"RESERVED_OUTBOUND": "reserved", "RESERVED_OUTBOUND_PREVIEW": "reserved", "WORK": "work", "WORK_READY": "work",
}

// timeline draws entries between two times.
func timeline(entries []check.Entry, gaps []check.AuditGap, from, to time.Time, zone *time.Location) *timePicture {
	p := &timePicture{ID: "timeline", Width: timeLeft + timeWidth + 50}
	span := max(to.Sub(from), time.Second)
	x := func(t time.Time) float64 {
		return timeLeft + timeWidth*min(max(float64(t.Sub(from))/float64(span), 0), 1)
	}
	rows := map[string]int{}
	for i := range entries {
		if e := &entries[i]; e.Kind == check.KindState || e.Kind == check.KindCall {
			rows[e.Agent] = 0
		}
	}
	p.agents(rows)
	shown := longest{most: timeBars}
	for i := range entries {
		if row, ok := rows[entries[i].Agent]; ok && row >= 0 && (entries[i].Kind == check.KindState || entries[i].Kind == check.KindCall) {
			shown.add(&entries[i])
		}
	}
	entries, left := shown.result()
	p.Omitted += int(left)
	for i := range entries {
		e := &entries[i]
		row := rows[e.Agent]
		b := bar{X: round(x(e.From)), W: round(max(x(e.To)-x(e.From), 0.5)), Y: float64(row + 14), H: 16}
		p.bar(&b, e, zone)
	}
	p.Height = timeTop + max(len(p.Agents), 1)*timeRow + 16
	for _, g := range gaps {
		p.Gaps = append(p.Gaps, bar{X: round(x(g.From)), W: round(max(x(g.To)-x(g.From), 1)), Y: timeTop - 8, H: float64(p.Height - timeTop), Title: model.GapText(&g.Gap)})
	}
	for i := range 7 {
		at := from.Add(span * time.Duration(i) / 6)
		p.Ticks = append(p.Ticks, tick{X: round(x(at)), Bottom: p.Height - 8, Text: at.In(zone).Format("15:04:05")})
	}
	p.Desc = fmt.Sprintf("States and calls of %d agents from %s to %s; the audit tables hold the same figures", len(p.Agents), from.In(zone).Format(time.DateTime), to.In(zone).Format(time.DateTime))
	return p
}

// longest keeps so many entries, the longest, in their order. Of those that are
// equally long it keeps some from everywhere.
type longest struct {
	most    int
	entries []check.Entry
	left    int64
}

func (l *longest) add(e *check.Entry) {
	if l.entries = append(l.entries, *e); len(l.entries) >= 2*l.most {
		l.shrink()
	}
}

// result returns the entries, and how many were left out.
func (l *longest) result() ([]check.Entry, int64) {
	l.shrink()
	return l.entries, l.left
}

func (l *longest) shrink() {
	if len(l.entries) <= l.most {
		return
	}
	scatter := func(e *check.Entry) uint64 { return uint64(e.Seqs[0]) * 0x9E3779B97F4A7C15 } // Fibonacci hashing
	order := make([]int, len(l.entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &l.entries[i], &l.entries[j]
		return cmp.Or(cmp.Compare(b.To.Sub(b.From), a.To.Sub(a.From)), cmp.Compare(scatter(a), scatter(b)), cmp.Compare(i, j))
	})
	l.left += int64(len(order) - l.most)
	order = order[:l.most]
	slices.Sort(order)
	kept := make([]check.Entry, 0, 2*l.most)
	for _, i := range order {
		kept = append(kept, l.entries[i])
	}
	l.entries = kept
}

// timeAgents is how many agents the timeline shows.
const timeAgents = 60

// agents gives each agent its row; those beyond the limit get none.
func (p *timePicture) agents(rows map[string]int) {
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i >= timeAgents {
			rows[name] = -1
			p.Omitted++
			continue
		}
		rows[name] = timeTop + i*timeRow
		p.Agents = append(p.Agents, timeRowHead{Y: rows[name] + 26, Name: cut(name, 18)})
	}
}

// bar adds the bar of a state, or above it that of a call.
func (p *timePicture) bar(b *bar, e *check.Entry, zone *time.Location) {
	what := strings.TrimSpace(e.State + " " + e.Reason + " " + e.Label)
	b.Class = stateClasses[e.State]
	if b.Class == "" {
		b.Class = "other"
	}
	if e.Kind == check.KindCall {
		what = strings.TrimSpace("call " + e.Dialog + " " + e.CallType + " " + e.Number)
		b.Class, b.Y, b.H = "callbar", b.Y-9, 6
	} else if b.W > float64(7*len(e.State)) {
		b.Text = e.State
	}
	b.Title = fmt.Sprintf("%s: %s, %s to %s, %s", e.Agent, what, e.From.In(zone).Format("15:04:05.0"), e.To.In(zone).Format("15:04:05.0"), length(e.To.Sub(e.From), e.Uncertain))
	p.Bars = append(p.Bars, *b)
}

// round keeps one decimal place: the same picture on every machine.
func round(x float64) float64 { return float64(int(x*10+0.5)) / 10 }

// length writes a duration, and what of it is uncertain.
func length(d, unsure time.Duration) string {
	d = d.Round(100 * time.Millisecond)
	text := fmt.Sprintf("%d:%02d:%04.1f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
	if unsure > 0 {
		text += " (" + length(unsure, 0) + " uncertain)"
	}
	return text
}
