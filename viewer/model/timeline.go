package model

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"gctap/decode/check"
	"gctap/store"
)

// Timeline is the tab of agents' states and calls over time.
const Timeline Name = "timeline"

// timelineKeys are the keys of the timeline.
func timelineKeys() []Binding {
	return append(scrolling(Timeline, "line: a call line or a state line"),
		Binding{Timeline, "l", "time.next", "later"},
		Binding{Timeline, "Right", "time.next", ""},
		Binding{Timeline, "h", "time.prev", "earlier"},
		Binding{Timeline, "Left", "time.prev", ""},
		Binding{Timeline, "w", "bar.next", "next change on this line"},
		Binding{Timeline, "b", "bar.prev", "change before on this line"},
		Binding{Timeline, "+", "zoom.in", "zoom in, around the cursor"},
		Binding{Timeline, "=", "zoom.in", ""},
		Binding{Timeline, "-", "zoom.out", "zoom out"},
		Binding{Timeline, "a", "zoom.all", "all of the session"},
		Binding{Timeline, ">", "pan.next", "half a screen later"},
		Binding{Timeline, "L", "pan.next", ""},
		Binding{Timeline, "<", "pan.prev", "half a screen earlier"},
		Binding{Timeline, "H", "pan.prev", ""},
		Binding{Timeline, "Enter", "time.open", "the messages of what is under the cursor"},
		Binding{Timeline, "R", "time.again", "read the session again: it has gone on"},
	)
}

// A TimelineView shows when each agent was in which state, its calls above
// that, and on the line of the calls what supervisors did and how sessions
// ended. The audit says what there is; the view asks a spool of it for what is
// on the screen.
type TimelineView struct {
	session store.Session
	spool   *spool        // nil until the session has been read
	filter  *store.Filter // of the place it was visited from
	failed  bool          // it could not be read, or the user did not want to wait
	goal    int64         // seq of a message to go to; 0: none

	width, height int
	from, to      time.Time
	line, top     int // the line the cursor is on, and the first on the screen: two for an agent
	column        int // the cursor's
	drawn         *bars
}

// newTimeline opens the timeline at a place of a session.
func newTimeline(at Place) *TimelineView {
	return &TimelineView{session: at.Session, filter: at.Filter, goal: at.Seq}
}

// timeLabel is how many columns the agents' names take.
const timeLabel = 16

// bars are what the screen shows of a stretch of time.
type bars struct {
	from, to  time.Time
	top, rows int // agents
	columns   int
	lines     []timeLine
	entries   []TimeEntry // those that cells name
	gaps      []bool      // by column: messages may be missing
}

// timeLine is one agent's.
type timeLine struct {
	states, calls, marks []int // by column: which of the entries, from 1; 0: nothing
}

// Name is Timeline.
func (v *TimelineView) Name() Name { return Timeline }

// Title is the session, and the stretch of it that is shown.
func (v *TimelineView) Title() string {
	if v.spool == nil {
		return Printable(v.session.Name) + "  timeline"
	}
	title := fmt.Sprintf("%s  %s of %s", Printable(v.session.Name), spanText(v.to.Sub(v.from)), spanText(v.spool.to.Sub(v.spool.from)))
	if n := v.spool.gapCount; n > 0 {
		title += ", " + count(int64(n), "gap")
	}
	if v.session.Live {
		title += fmt.Sprintf(", as far as message %d", v.spool.seq)
	}
	return title
}

// spanText is a length of time in two units at the most.
func spanText(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Place is the message that began what is under the cursor.
func (v *TimelineView) Place() Place {
	p := Place{Session: v.session, Filter: v.filter}
	if e := v.under(); e != nil {
		p.Seq = e.First
	} else {
		p.Seq = v.goal
	}
	return p
}

// Visit goes to the time and agent of a message.
func (v *TimelineView) Visit(at Place) { v.goal, v.filter = at.Seq, at.Filter }

// Resize keeps the cursor on the screen.
func (v *TimelineView) Resize(width, height int) {
	v.width, v.height = width, height
	v.settle()
}

// Tick has nothing to do: a timeline is of the moment it was made.
func (v *TimelineView) Tick() {}

// columns is how many columns of time there are.
func (v *TimelineView) columns() int { return max(v.width-timeLabel, 1) }

// rows is how many agents fit: one line is the axis, one tells what is under
// the cursor.
func (v *TimelineView) rows() int { return max((v.height-2)/2, 1) }

// settle puts cursor and window where they may be.
func (v *TimelineView) settle() {
	if v.spool == nil {
		return
	}
	v.line = max(0, min(v.line, 2*len(v.spool.agents)-1))
	v.column = max(0, min(v.column, v.columns()-1))
	agent := v.line / 2
	v.top = max(0, min(v.top, agent, len(v.spool.agents)-1))
	v.top = max(v.top, agent-v.rows()+1)
}

// all shows the whole session.
func (v *TimelineView) all() {
	v.from, v.to = v.spool.from, v.spool.to
	if !v.to.After(v.from.Add(time.Second)) {
		v.to = v.from.Add(time.Second)
	}
}

// at is the time in the middle of a column.
func (v *TimelineView) at(column int) time.Time {
	return v.from.Add(time.Duration((float64(column) + 0.5) / float64(v.columns()) * float64(v.to.Sub(v.from))))
}

// window shows a stretch of time, no longer than the session and within it, and
// keeps the cursor on its time.
func (v *TimelineView) window(from time.Time, span time.Duration) {
	cursor := v.at(v.column)
	whole := max(v.spool.to.Sub(v.spool.from), time.Second)
	span = min(max(span, time.Duration(v.columns())*time.Millisecond), whole)
	if from.Add(span).After(v.spool.from.Add(whole)) {
		from = v.spool.from.Add(whole - span)
	}
	if from.Before(v.spool.from) {
		from = v.spool.from
	}
	v.from, v.to = from, from.Add(span)
	v.toTime(cursor)
}

// toTime moves the cursor to a time, or to the end of the screen next to it.
func (v *TimelineView) toTime(t time.Time) {
	v.column = int(float64(t.Sub(v.from)) / float64(v.to.Sub(v.from)) * float64(v.columns()))
	v.settle()
}

// zoom changes the span and keeps the cursor's time in its column.
func (v *TimelineView) zoom(factor float64) {
	cursor, span := v.at(v.column), time.Duration(float64(v.to.Sub(v.from))*factor)
	share := (float64(v.column) + 0.5) / float64(v.columns())
	v.window(cursor.Add(-time.Duration(share*float64(span))), span)
}

// pan moves the window by part of its span.
func (v *TimelineView) pan(part float64) {
	column := v.column
	v.window(v.from.Add(time.Duration(part*float64(v.to.Sub(v.from)))), v.to.Sub(v.from))
	v.column = column
}

// Do does what a key is bound to.
func (v *TimelineView) Do(m *Model, action string) bool {
	if action == "time.again" {
		v.failed, v.spool, v.drawn = false, nil, nil
		return true
	}
	if v.spool == nil {
		return true
	}
	if n, ok := Steps(action, 2*v.rows()); ok {
		v.line += n
		v.settle()
		return true
	}
	switch action {
	case "time.next", "time.prev":
		v.step(action == "time.next")
	case "bar.next", "bar.prev":
		v.change(action == "bar.next")
	case "zoom.in":
		v.zoom(0.5)
	case "zoom.out":
		v.zoom(2)
	case "zoom.all":
		cursor := v.at(v.column)
		v.all()
		v.toTime(cursor)
	case "pan.next":
		v.pan(0.5)
	case "pan.prev":
		v.pan(-0.5)
	case "time.open":
		v.open(m)
	default:
		return false
	}
	return true
}

// step moves the cursor by a column, and the window where it is at its edge.
func (v *TimelineView) step(on bool) {
	n := 1
	if !on {
		n = -1
	}
	if c := v.column + n; c >= 0 && c < v.columns() {
		v.column = c
		return
	}
	v.window(v.from.Add(time.Duration(n)*v.to.Sub(v.from)/time.Duration(v.columns())), v.to.Sub(v.from))
	v.column += n
	v.settle()
}

// change moves the cursor to the next place where the line changes, or by half
// a screen where there is none on it.
func (v *TimelineView) change(on bool) {
	n := 1
	if !on {
		n = -1
	}
	cells := v.cells()
	for c := v.column + n; c >= 0 && c < len(cells); c += n {
		if begins(cells, c) {
			v.column = c
			return
		}
	}
	v.pan(float64(n) / 2)
}

// begins reports whether something else begins in a column.
func begins(cells []int, c int) bool { return cells[c] != 0 && (c == 0 || cells[c-1] != cells[c]) }

// cells are those of the line that the cursor is on, marks over calls.
func (v *TimelineView) cells() []int {
	l := v.drawnLine(v.line / 2)
	switch {
	case l == nil:
		return nil
	case v.line%2 == 1:
		return l.states
	}
	cells := slices.Clone(l.calls)
	for c, mark := range l.marks {
		cells[c] = cmp.Or(mark, cells[c])
	}
	return cells
}

// drawnLine returns what is known of an agent's line on the screen.
func (v *TimelineView) drawnLine(agent int) *timeLine {
	if v.drawn == nil || agent < v.drawn.top || agent >= v.drawn.top+len(v.drawn.lines) || v.drawn.columns != v.columns() {
		return nil
	}
	return &v.drawn.lines[agent-v.drawn.top]
}

// under returns what is under the cursor; nil: nothing.
func (v *TimelineView) under() *TimeEntry {
	cells := v.cells()
	if v.column >= len(cells) || cells[v.column] == 0 {
		return nil
	}
	return &v.drawn.entries[cells[v.column]-1]
}

func (v *TimelineView) open(m *Model) {
	e := v.under()
	if e == nil || e.First == 0 {
		m.Notice = "there is nothing under the cursor: w goes to the next change"
		return
	}
	m.Goto(e.First)
}

// Click moves the cursor.
func (v *TimelineView) Click(m *Model, x, y int) {
	if v.spool == nil || y < 1 || y > 2*v.rows() {
		return
	}
	v.line = 2*v.top + y - 1
	if x >= timeLabel {
		v.column = x - timeLabel
	}
	v.settle()
}

// Next returns what is to be read: the session, the message to go to, or what
// the screen shows.
func (v *TimelineView) Next() *Task {
	switch {
	case v.failed:
		return nil
	case v.spool == nil:
		return v.read()
	case v.goal != 0:
		return v.find(v.goal)
	case v.drawn == nil || !v.drawn.shows(v):
		return v.look()
	}
	return nil
}

// shows reports whether bars are those of the view's screen.
func (b *bars) shows(v *TimelineView) bool {
	return b.from.Equal(v.from) && b.to.Equal(v.to) && b.top == v.top && b.rows == v.rows() && b.columns == v.columns()
}

// read makes the spool.
func (v *TimelineView) read() *Task {
	session := v.session
	return &Task{
		What: "reading what agents did",
		Do: func(ctx context.Context, src Source, p *Progress) (func(), error) {
			if session.Live { // it has gone on since it was opened
				now, err := src.Session(ctx, session.ID)
				if err != nil {
					return nil, err
				}
				session = now
			}
			s, err := makeSpool(ctx, src, session, p.Set)
			if err != nil {
				return nil, err
			}
			return func() {
				v.spool, v.session, v.drawn = s, session, nil
				v.all()
				v.settle()
			}, nil
		},
		Failed: func(error) { v.failed = true },
	}
}

// find goes to a message: its agent's line and its time.
func (v *TimelineView) find(seq int64) *Task {
	id := v.session.ID
	return &Task{
		What:   "looking for the message",
		Wanted: func() bool { return v.goal == seq },
		Failed: func(error) { v.goal = 0 },
		Do: func(ctx context.Context, src Source, _ *Progress) (func(), error) {
			rows, err := src.After(ctx, id, seq-1, 1)
			return func() {
				if v.spool == nil { // it is being read again
					return
				}
				v.goal = 0
				if len(rows) == 1 {
					v.visit(&rows[0])
				}
			}, err
		},
	}
}

// visit puts the cursor where a message is.
func (v *TimelineView) visit(row *store.Row) {
	at := row.CapturedAt
	if at.Before(v.from) || at.After(v.to) {
		v.window(at.Add(-v.to.Sub(v.from)/2), v.to.Sub(v.from))
	}
	agent := cmp.Or(row.Subject, row.Agent)
	if i := slices.IndexFunc(v.spool.agents, func(a timeAgent) bool { return a.ID == agent }); i >= 0 {
		v.line = 2*i + 1
	}
	v.toTime(at)
}

// look has the screen's stretch worked out.
func (v *TimelineView) look() *Task {
	want := bars{from: v.from, to: v.to, top: v.top, rows: v.rows(), columns: v.columns()}
	s := v.spool
	return &Task{
		What:   "drawing the timeline",
		Wanted: func() bool { return v.spool == s && want.shows(v) },
		Failed: func(error) { v.drawn = &want },
		Do: func(ctx context.Context, _ Source, _ *Progress) (func(), error) {
			b, err := s.bars(ctx, want)
			return func() {
				if v.spool == s {
					v.drawn = b
				}
			}, err
		},
	}
}

// states are the first letters and colours of the states that everybody meets,
// so that they look the same in each session.
var stateHues = map[string]int{
	"READY": 0, "NOT_READY": 1, "TALKING": 2, "HOLD": 3, "RESERVED": 4, "WORK": 5, "WORK_READY": 5, "RESERVED_OUTBOUND": 4, "RESERVED_OUTBOUND_PREVIEW": 4,
}

// Draw draws the axis, the agents' lines, and what is under the cursor.
func (v *TimelineView) Draw(c Canvas) {
	if v.spool == nil {
		text := "reading the session …"
		if v.failed {
			text = "not read: R tries again"
		}
		c.Put(2, 1, v.width, text, Dim)
		return
	}
	v.axis(c)
	if len(v.spool.agents) == 0 {
		c.Put(2, 1, v.width, "no State of an agent in this session", Dim)
		return
	}
	for i := range min(v.rows(), len(v.spool.agents)-v.top) {
		v.agent(c, 1+2*i, v.top+i)
	}
	if y := v.height - 1; y > 0 {
		v.tell(c, y)
	}
}

// timeSteps are the distances that marks of the axis may have.
var timeSteps = []time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour,
}

// axis writes times where there is room for them.
func (v *TimelineView) axis(c Canvas) {
	const room = 14
	span := v.to.Sub(v.from)
	step := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if float64(s)*float64(v.columns()) >= float64(span)*room {
			step = s
			break
		}
	}
	layout := "15:04:05"
	switch {
	case step < time.Second:
		layout = "15:04:05.000"
	case step >= 24*time.Hour:
		layout = "2006-01-02"
	case span >= 20*time.Hour:
		layout = "Mon 15:04"
	}
	c.Put(0, 0, timeLabel, "AGENT", Title)
	_, offset := v.from.Local().Zone() // steps of hours begin with the local day
	shift := time.Duration(offset) * time.Second
	for t := v.from.Add(shift).Truncate(step).Add(-shift); t.Before(v.to); t = t.Add(step) {
		if !t.Before(v.from) {
			x := timeLabel + int(float64(t.Sub(v.from))/float64(span)*float64(v.columns()))
			c.Put(x, 0, v.width, "│"+t.Local().Format(layout), Title)
		}
	}
}

// agent draws the two lines of an agent.
func (v *TimelineView) agent(c Canvas, y, agent int) {
	a := v.spool.agents[agent]
	for i, text := range []string{Printable(a.ID), Printable(a.Name)} {
		style := []Style{Plain, Dim}[i]
		if v.line == 2*agent+i {
			style = style.Selected()
			c.Put(0, y+i, timeLabel-1, strings.Repeat(" ", timeLabel-1), style)
		}
		c.Put(0, y+i, timeLabel-1, text, style)
	}
	l := v.drawnLine(agent)
	if l == nil {
		return
	}
	v.bar(c, y, l.calls, "═", "╌")
	for x, mark := range l.marks {
		if mark != 0 {
			c.Put(timeLabel+x, y, v.width, markOf(&v.drawn.entries[mark-1]), Mark)
		}
	}
	v.bar(c, y+1, l.states, "━", "╌")
	for x, gap := range v.drawn.gaps {
		if gap {
			c.Put(timeLabel+x, y+1, v.width, "≈", GapLine)
		}
	}
	if y+v.line%2 == 1+v.line-2*v.top { // the cursor's line
		v.cursor(c, 1+v.line-2*v.top)
	}
}

// The marks of a line.
const (
	actionMark  = "▲" // the agent, a supervisor, did something to another
	targetMark  = "▼" // something was done to the agent
	signOutMark = "×"
)

func markOf(e *TimeEntry) string {
	switch {
	case e.Kind == check.KindSession:
		return signOutMark
	case e.Kind == targetKind:
		return targetMark
	}
	return actionMark
}

// bar draws the cells of a line: each stretch with its text at its beginning.
func (v *TimelineView) bar(c Canvas, y int, cells []int, solid, unsure string) {
	for x := 0; x < len(cells); {
		end := x + 1
		for end < len(cells) && cells[end] == cells[x] {
			end++
		}
		if cells[x] != 0 {
			e := &v.drawn.entries[cells[x]-1]
			style, text := v.barLook(e)
			for i := x; i < end; i++ {
				fill := solid
				if e.Uncertain > 0 && v.at(i).After(e.To.Add(-e.Uncertain)) {
					fill = unsure
				}
				c.Put(timeLabel+i, y, v.width, fill, style)
			}
			if room := end - x; room > 1 || e.Kind == check.KindState {
				if room > 3 {
					room-- // the next one begins behind a piece of line
				}
				c.Put(timeLabel+x, y, timeLabel+x+room, runewidth.Truncate(text, room, ""), style)
			}
		}
		x = end
	}
}

// barLook is the style and text of an entry's bar.
func (v *TimelineView) barLook(e *TimeEntry) (Style, string) {
	if e.Kind != check.KindState {
		return Plain, strings.TrimPrefix(e.Text, "call ")
	}
	hue, ok := stateHues[v.spool.states[e.State]]
	if !ok {
		hue = 6
	}
	return Plain.Of(hue), e.Text
}

// cursor shows the cell that the cursor is on.
func (v *TimelineView) cursor(c Canvas, y int) {
	text, style := " ", Plain
	if e := v.under(); e != nil {
		style, text = v.barLook(e)
		text = cmp.Or(runewidth.Truncate(text, 1, ""), " ")
		if e.Kind != check.KindState && e.Kind != check.KindCall {
			text = markOf(e)
		}
	}
	c.Put(timeLabel+v.column, y, v.width, text, style.Selected())
}

// tell says what is under the cursor.
func (v *TimelineView) tell(c Canvas, y int) {
	parts := []string{v.at(v.column).Local().Format("2006-01-02 15:04:05.000"), Printable(v.spool.agents[v.line/2].ID)}
	if gaps := v.gapCells(); v.column < len(gaps) && gaps[v.column] {
		parts = append(parts, "in a gap")
	}
	if e := v.under(); e != nil {
		const clock = "15:04:05.000"
		parts = append(parts, fmt.Sprintf("#%d", e.First), e.Text)
		if e.To.After(e.From) {
			parts = append(parts, fmt.Sprintf("%s to %s, %s", e.From.Local().Format(clock), e.To.Local().Format(clock), spanText(e.To.Sub(e.From))))
		}
		if e.Uncertain > 0 {
			parts = append(parts, spanText(e.Uncertain)+" uncertain")
		}
	}
	c.Put(0, y, v.width, strings.Join(parts, "  "), Plain)
}

// gapCells are the columns in which messages may be missing.
func (v *TimelineView) gapCells() []bool {
	if v.drawn == nil {
		return nil
	}
	return v.drawn.gaps
}
