package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/store"
)

// Ladder is the tab of messages as arrows between those who exchange them.
const Ladder Name = "ladder"

// ladderKeys are the keys of the ladder.
func ladderKeys() []Binding {
	return append(scrolling(Ladder, "message"),
		Binding{Ladder, "Enter", "view.detail", "the message, decoded"},
		Binding{Ladder, "l", "lane.next", "lanes further right"},
		Binding{Ladder, "Right", "lane.next", ""},
		Binding{Ladder, "h", "lane.prev", "lanes further left"},
		Binding{Ladder, "Left", "lane.prev", ""},
		Binding{Ladder, "a", "answer.next", "from a command to its answers, one after the other"},
		Binding{Ladder, "A", "answer.command", "from an answer to its command"},
		Binding{Ladder, "z", "lane.fold", "fold the lane of this message, or unfold it"},
		Binding{Ladder, "Z", "lane.unfold", "unfold all lanes"},
		Binding{Ladder, "c", "lane.calls", "show or hide the lanes of calls"},
		Binding{Ladder, "o", "only.conversation", "only the conversation of this message"},
		Binding{Ladder, "d", "only.call", "only the call of this message"},
		Binding{Ladder, "\\", "only.none", "everything again"},
		Binding{Ladder, "s", "search", "search a text in what is shown"},
		Binding{Ladder, "n", "search.next", "search on"},
		Binding{Ladder, "N", "search.prev", "search back"},
		Binding{Ladder, "]", "mark.next", "next mark"},
		Binding{Ladder, "[", "mark.prev", "mark before"},
		Binding{Ladder, "f", "follow", "stay at the end while it is recorded; moving stops that"},
		Binding{Ladder, "t", "time", "time of day, or since the message above"},
	)
}

// A LadderView shows the rows of a message list as arrows: those who talk to GC
// on the left, GC, and on the right the calls. Rows, selection and following
// are those of a Messages of its own; what flow knows of the rows near the
// screen is worked out when they come into sight.
type LadderView struct {
	Messages
	rungs  map[int64]Rung // of rows near the screen
	known  memory         // what flow knew further up
	broken bool           // they could not be worked out: rows are drawn without
	width  int
	left   int             // the first lane on the screen
	folded map[string]bool // lanes that share one
	quiet  bool            // no lanes of calls
	jump   jump
	given  *store.Filter // that it was last opened or visited with
}

// newLadder opens a ladder at a place of a session.
func newLadder(at Place) *LadderView {
	v := &LadderView{rungs: map[int64]Rung{}, folded: map[string]bool{}, given: at.Filter}
	v.open(at.Session)
	v.Filter = at.Filter
	v.Messages.Visit(at)
	return v
}

// Visit goes to a message, and takes over another filter than it came with.
func (v *LadderView) Visit(at Place) {
	if at.Filter.String() != v.given.String() {
		v.given = at.Filter
		v.filter(at.Filter)
	}
	v.Messages.Visit(at)
}

// filter shows only what a filter accepts. What it leaves out is not there for
// the arrows either: an answer without its command has no latency.
func (v *LadderView) filter(f *store.Filter) {
	v.rungs, v.broken = map[int64]Rung{}, false
	v.setFilter(f)
}

// only shows only the messages for which the index has a value, and gaps.
func (v *LadderView) only(m *Model, what, name, value string) {
	if _, known := v.rungs[v.Selected]; !known {
		m.Notice = "this message is still being worked out: press it again"
		return
	}
	if value == "" {
		m.Notice = "this message belongs to no " + what
		return
	}
	f, err := store.CompileFilter(term(name, value) + ` || direction == "gap"`)
	if err != nil {
		m.Notice = Printable(err.Error())
		return
	}
	v.filter(f)
}

// Name is Ladder.
func (v *LadderView) Name() Name { return Ladder }

// Resize leaves a line for the names of the lanes.
func (v *LadderView) Resize(width, height int) {
	v.width = width
	v.Messages.Resize(width, height)
}

// Do does an action of the ladder, else of the list.
func (v *LadderView) Do(m *Model, action string) bool {
	switch action {
	case "lane.next", "lane.prev":
		l := v.layout()
		v.left = l.scrolled(map[bool]int{true: 1, false: -1}[action == "lane.next"])
	case "lane.fold":
		v.fold()
	case "only.conversation":
		v.only(m, "conversation", "conversation", v.rungs[v.Selected].Conversation)
	case "only.call":
		v.only(m, "call", "fields.dialogId", v.rungs[v.Selected].Dialog)
	case "only.none":
		v.filter(nil)
	case "lane.unfold":
		clear(v.folded)
	case "lane.calls":
		v.quiet = !v.quiet
	case "answer.next", "answer.command":
		v.jump = jump{from: v.Selected, back: action == "answer.command"}
	case "view.detail":
		if v.Selected != 0 {
			m.Read(v.Selected)
		}
	default:
		if !v.Messages.Do(m, action) {
			return false
		}
		v.show()
	}
	return true
}

// Click selects a message; the selected one is read.
func (v *LadderView) Click(m *Model, _, y int) {
	seen := v.Visible()
	switch {
	case y < 1 || y > len(seen):
	case seen[y-1].Seq == v.Selected:
		m.Read(v.Selected)
	default:
		v.Following = false
		v.Selected = seen[y-1].Seq
		v.show()
	}
}

// Next returns what the rows need, then what their arrows need.
func (v *LadderView) Next() *Task {
	if t := v.Messages.Next(); t != nil {
		return t
	}
	if v.jump.from != 0 {
		return v.trace()
	}
	return v.workOut()
}

// near returns the rows on the screen and a page on both sides.
func (v *LadderView) near() []Item {
	top := v.index(v.top)
	return v.items[max(top-v.height, 0):min(top+2*v.height, len(v.items))]
}

// show brings the lane of the selected message onto the screen.
func (v *LadderView) show() {
	i := v.index(v.Selected)
	if i >= len(v.items) {
		return
	}
	l := v.layout()
	switch lane := l.places[v.lane(&v.items[i])]; {
	case lane < l.first:
		v.left = lane
	case lane >= l.first+l.shown:
		v.left = lane - l.shown + 1
	}
}

// fold folds the lane of the selected message, or unfolds it.
func (v *LadderView) fold() {
	i := v.index(v.Selected)
	if i >= len(v.items) || v.items[i].Direction == capture.GapRow {
		return
	}
	name := v.name(&v.items[i])
	if v.folded[name] {
		delete(v.folded, name)
	} else {
		v.folded[name] = true
	}
}

// name is the lane of a row, as long as flow has not been asked that of its
// agent.
func (v *LadderView) name(item *Item) string {
	if r, ok := v.rungs[item.Seq]; ok {
		return r.Lane
	}
	if item.Agent == "" {
		return NoLane
	}
	return item.Agent
}

// lane is the lane that a row is drawn in: folded ones share one.
func (v *LadderView) lane(item *Item) string {
	if name := v.name(item); !v.folded[name] {
		return name
	}
	return OtherLanes
}

// The sizes of the ladder, in columns.
const (
	ladderClock = 8  // of the time
	ladderLeft  = 23 // of the first lane
	laneLeast   = 8  // of a lane
	laneMost    = 18
	labelLeast  = 26 // what the arrows' names have beside GC
	labelMost   = 44 // … and need not have more of
	callLane    = 11
)

// layout is which lanes are where.
type layout struct {
	lanes  []string // all near the screen
	places map[string]int
	first  int // the first on the screen
	shown  int // how many are on the screen
	wide   int // columns of a lane
	gc     int // column of GC
	calls  []string
}

// x is the column of a lane on the screen, or of the edge that it lies behind.
func (l *layout) x(lane int) int {
	return ladderLeft + max(0, min(lane-l.first, l.shown))*l.wide
}

// scrolled is the first lane after going right or left.
func (l *layout) scrolled(n int) int { return max(0, min(l.first+n, len(l.lanes)-l.shown)) }

// layout places the lanes of the rows near the screen.
func (v *LadderView) layout() layout {
	l := layout{places: map[string]int{}}
	others := false
	for i := range v.near() {
		item := &v.near()[i]
		if item.Direction == capture.GapRow || item.Direction == capture.Note {
			continue
		}
		name := v.lane(item)
		if name == OtherLanes {
			others = true
		} else if _, ok := l.places[name]; !ok {
			l.places[name] = 0
			l.lanes = append(l.lanes, name)
		}
	}
	laneOrder(l.lanes)
	if others {
		l.lanes = append(l.lanes, OtherLanes)
	}
	for i, name := range l.lanes {
		l.places[name] = i
	}
	room := v.width - ladderLeft - 3
	l.calls = v.calls(max((room-labelLeast-laneLeast)/3/callLane, 1))
	room -= len(l.calls) * callLane
	lanes := room - max(labelLeast, min(3*room/8, labelMost))
	l.wide = max(laneLeast, min(lanes/max(len(l.lanes), 1), laneMost))
	l.shown = max(1, min(lanes/l.wide, len(l.lanes)))
	l.first = max(0, min(v.left, len(l.lanes)-l.shown))
	l.gc = max(ladderLeft+room, ladderLeft+l.wide)
	return l
}

// calls returns the calls on the screen, up to a number, in the order of their
// first messages there; the selected one's is always among them.
func (v *LadderView) calls(most int) (ids []string) {
	if v.quiet {
		return nil
	}
	selected := v.rungs[v.Selected].Dialog
	for _, item := range v.Visible() {
		id := v.rungs[item.Seq].Dialog
		switch {
		case id == "" || slices.Contains(ids, id):
		case len(ids) < most:
			ids = append(ids, id)
		case id == selected:
			ids[len(ids)-1] = id
		}
	}
	return ids
}

// Draw draws the rows on the screen.
func (v *LadderView) Draw(c Canvas) {
	l := v.layout()
	v.heads(c, &l)
	items := v.Visible()
	if len(items) == 0 && v.Session.LastSeq == 0 {
		c.Put(2, 2, v.width, "no messages yet", Dim)
	}
	selected := v.rungs[v.Selected]
	for i := range items {
		v.row(c, &l, 1+i, &items[i], &selected)
	}
}

// heads writes the names of the lanes.
func (v *LadderView) heads(c Canvas, l *layout) {
	c.Put(0, 0, ladderLeft, "    SEQ TIME", Title)
	for i := l.first; i < l.first+l.shown && i < len(l.lanes); i++ {
		text := l.lanes[i]
		if text == OtherLanes {
			text = fmt.Sprintf("%d folded", len(v.folded))
		}
		text = Printable(text)
		if topic, ok := strings.CutPrefix(text, "dest:"); ok { // topics begin alike
			text = topic
			if over := runewidth.StringWidth(text) - (l.wide - 1); over > 0 {
				text = runewidth.TruncateLeft(text, over+1, "…")
			}
		}
		c.Put(l.x(i), 0, l.x(i)+l.wide-1, runewidth.Truncate(text, l.wide-1, "…"), Title)
	}
	if more := len(l.lanes) - l.shown; more > 0 {
		text := fmt.Sprintf("‹%d %d›", l.first, more-l.first)
		c.Put(l.gc-1-len([]rune(text)), 0, l.gc, text, Dim)
	}
	c.Put(l.gc, 0, v.width, "GC", Title)
	for i, id := range l.calls {
		x := l.gc + 3 + i*callLane
		c.Put(x, 0, x+callLane-1, runewidth.Truncate(Printable(id), callLane-1, "…"), Title.Of(dialogColour(id, Hues)))
	}
}

// row draws one message.
func (v *LadderView) row(c Canvas, l *layout, y int, item *Item, selected *Rung) {
	style := styleOf(item)
	r := v.rungs[item.Seq]
	if r.Dialog != "" && item.Severity < 2 {
		style = style.Of(dialogColour(r.Dialog, Hues))
	}
	if item.Seq == v.Selected {
		style = style.Selected()
		c.Fill(y, style)
	}
	c.Put(0, y, ladderClock, fmt.Sprintf("%7d", item.Seq), style)
	if _, marked := v.marks.at(item.Seq); marked {
		c.Put(ladderClock-1, y, ladderClock, "*", style)
	}
	c.Put(ladderClock, y, ladderLeft-2, v.clock(item), style)
	if item.Seq != v.Selected && sameExchange(&r, selected) {
		c.Put(ladderLeft-2, y, ladderLeft-1, "•", style)
	}
	switch item.Direction {
	case capture.GapRow:
		text := item.Summary
		if r.Gap != nil {
			text = GapText(r.Gap)
		}
		c.Put(ladderLeft, y, v.width, "≈≈≈≈ "+text+" "+strings.Repeat("≈", v.width), style)
		return
	case capture.Note:
		c.Put(ladderLeft, y, v.width, item.Summary, Dim)
		return
	}
	v.lines(c, l, y, item)
	v.arrow(c, l, y, item, &r, style)
}

// sameExchange reports whether two messages are a command and its answer, or
// two answers of one.
func sameExchange(a, b *Rung) bool {
	command := func(r *Rung) int64 {
		if r.Up {
			return r.Seq
		}
		return r.Answers
	}
	return command(a) != 0 && command(a) == command(b)
}

// lines draws the lines of the lanes.
func (v *LadderView) lines(c Canvas, l *layout, y int, item *Item) {
	style := Dim
	if item.Seq == v.Selected {
		style = Dim.Selected()
	}
	for i := l.first; i < l.first+l.shown && i < len(l.lanes); i++ {
		c.Put(l.x(i), y, l.gc, "│", style)
	}
	c.Put(l.gc, y, v.width, "│", style)
	for i, id := range l.calls {
		x, line := l.gc+3+i*callLane, style.Of(dialogColour(id, Hues))
		switch r := v.rungs[item.Seq]; {
		case r.Dialog == id:
			c.Put(x, y, x+callLane-1, "◆ "+Printable(r.State), line)
		case v.lives(id, item.Seq):
			c.Put(x, y, x+1, "│", line)
		}
	}
}

// lives reports whether a message lies between two of a call, as far as the
// rows near the screen tell.
func (v *LadderView) lives(id string, seq int64) bool {
	before, after := false, false
	for _, item := range v.near() {
		if v.rungs[item.Seq].Dialog == id {
			before, after = before || item.Seq < seq, after || item.Seq > seq
		}
	}
	return before && after
}

// arrow draws a message between its lane and GC. Where the lane is off the
// screen, the arrow comes from its edge and names the lane.
func (v *LadderView) arrow(c Canvas, l *layout, y int, item *Item, r *Rung, style Style) {
	lane := l.places[v.lane(item)]
	label := Printable(r.Label)
	if r.Seq == 0 {
		label = item.Name
	}
	up := item.Direction == capture.Command
	x, end := l.x(lane), "├"
	switch {
	case lane < l.first:
		end, label = "‹", Printable(v.lane(item))+": "+label
	case lane >= l.first+l.shown:
		end, label = "›", Printable(v.lane(item))+": "+label
	case !up:
		x, end = x+1, "◄"
	}
	for i := x + 1; i < l.gc; i++ {
		c.Put(i, y, l.gc, "─", style)
	}
	for i := lane + 1; i < l.first+l.shown; i++ {
		c.Put(l.x(i), y, l.gc, "┼", style)
	}
	c.Put(x, y, l.gc, end, style)
	if up {
		c.Put(l.gc-1, y, l.gc, "►", style)
	}
	from := max(l.x(l.first+l.shown-1), x) + 2
	if lane >= l.first+l.shown {
		from = x + 2
	}
	note := r.Note()
	c.Put(from, y, l.gc-1, " "+runewidth.Truncate(label, max(l.gc-from-4-len(note), 8), "…")+note+" ", style)
}

// Title adds what is not seen to that of the list.
func (v *LadderView) Title() string {
	title := v.Messages.Title()
	if v.Filter != nil {
		title = Printable(v.Filter.String()) + "  " + title
	}
	if n := len(v.folded); n > 0 {
		title = fmt.Sprintf("%s folded, %s", count(int64(n), "lane"), title)
	}
	return title
}
