package model

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/store"
)

// An Item is what the message list knows of a record: never its body.
type Item struct {
	Seq       int64
	At        time.Time
	Mono      time.Duration
	Direction capture.Direction
	Agent     string
	Name      string
	Summary   string
	Severity  int // of the worst finding: 0 none, 1 note, 2 warning, 3 error
}

func itemOf(row *store.Row, known *seen) Item {
	msg := flow.Decode(&row.Record, decode.Options{})
	known.row(row, &msg)
	return Item{
		Seq: row.Seq, At: row.CapturedAt, Mono: row.Mono, Direction: row.Direction,
		Agent: Printable(msg.Agent), Name: Printable(RowName(&row.Record, &msg)), Summary: Summary(&row.Record, &msg), Severity: row.Severity,
	}
}

// itemsOf makes items of rows, and says which values it has seen.
func itemsOf(rows []store.Row) ([]Item, *seen) {
	items, known := make([]Item, len(rows)), &seen{}
	for i := range rows {
		items[i] = itemOf(&rows[i], known)
	}
	return items, known
}

// chunk is how many rows one task brings.
const chunk = 200

// end is a seq behind every record.
const end = math.MaxInt64

// maxItems bounds the window; what is far from the screen is let go.
const maxItems = 5 * chunk

// Messages is the message list: a window of items around the screen.
type Messages struct {
	Session   store.Session
	Selected  int64 // seq; 0: none
	Following bool  // the selection stays on the last message
	Filter    *store.Filter
	Clock     Clock // what the column of times shows

	height int
	count  int // of windows so far: answers for an older one are useless
	seen   seen
	marks  marks
	search search
	window
}

// A Clock is what the column of times shows.
type Clock int

// The clocks, in the order in which they are changed.
const (
	TimeOfDay Clock = iota
	SinceAbove
	SinceMark
	clocks
)

// A window is the part of the list that is in memory.
type window struct {
	items   []Item
	top     int64 // seq of the first item on the screen
	goal    int64 // it is to be read from this seq on; 0: from the beginning
	atStart bool  // the first item is the session's first
	atEnd   bool  // the last item was the session's last when it was asked for
	toEnd   bool  // it is to be read from the end
	centre  bool  // the selection goes to the middle of the screen
	stale   bool  // the session goes on: look again
	looked  int64 // behind the last item, all up to here was looked at
	carry   int   // rows still to move once there are more items
}

// renew begins another window: what the old one asked for is not wanted.
func (l *Messages) renew(w window) {
	l.window, l.Selected = w, 0
	l.count++
}

// open shows a session: a live one at its end, followed, another from its
// beginning.
func (l *Messages) open(s store.Session) {
	l.Session, l.Following, l.Filter = s, s.Live, nil
	l.marks, l.search = marks{stale: true}, search{}
	l.renew(window{toEnd: s.Live, atStart: !s.Live})
}

// setFilter shows what a filter accepts. The selection stays where it is, or
// goes to the next that is shown.
func (l *Messages) setFilter(f *store.Filter) {
	l.Filter = f
	at := l.Selected
	if at == 0 {
		at = l.goal // nothing passed the filter before
	}
	switch {
	case l.Following:
		l.renew(window{toEnd: true})
	case at == 0:
		l.renew(window{atStart: true})
	default:
		l.renew(window{goal: at, centre: true})
	}
}

// Visible returns the items on the screen.
func (l *Messages) Visible() []Item {
	from := l.index(l.top)
	return l.items[from:min(len(l.items), from+l.height)]
}

// Before returns the item above one, if the window holds it.
func (l *Messages) Before(seq int64) (Item, bool) {
	if i := l.index(seq); i > 0 {
		return l.items[i-1], true
	}
	return Item{}, false
}

// index returns where seq is or would be.
func (l *Messages) index(seq int64) int {
	return sort.Search(len(l.items), func(i int) bool { return l.items[i].Seq >= seq })
}

// Next returns what the window needs.
func (l *Messages) Next() *Task {
	top := l.index(l.top)
	switch {
	case l.Session.ID == 0:
		return nil
	case l.toEnd:
		return l.before(end)
	case !l.atEnd && len(l.items) == 0:
		return l.after(max(l.goal-1, 0))
	case !l.atEnd && (l.carry > 0 || top+l.height+chunk/2 > len(l.items)):
		return l.after(l.tail())
	case !l.atStart && len(l.items) == 0:
		return l.before(max(l.goal, 1))
	case !l.atStart && (l.carry < 0 || top < chunk/2):
		return l.before(l.items[0].Seq)
	case l.stale:
		return l.look()
	case l.marks.stale:
		return l.readMarks()
	}
	return l.search.next(l)
}

// tail returns the seq behind which the list goes on.
func (l *Messages) tail() int64 {
	if len(l.items) == 0 {
		return l.looked
	}
	return max(l.looked, l.items[len(l.items)-1].Seq)
}

// task is one of this window: when that is another, nobody wants its answer.
func (l *Messages) task(do func(ctx context.Context, src Source, p *Progress) (func(), error)) *Task {
	count := l.count
	return &Task{
		What:   "reading messages",
		Do:     do,
		Wanted: func() bool { return l.count == count },
		Failed: func(error) {
			l.atStart, l.atEnd, l.toEnd, l.stale, l.carry = true, true, false, false, 0
		},
	}
}

// after reads on behind a seq. What it finds is shown as it comes: a filter may
// have to look through the whole session for its next row.
func (l *Messages) after(seq int64) *Task {
	id, filter, last := l.Session.ID, l.Filter, l.Session.LastSeq
	fits := func() bool { return len(l.items) == 0 || l.tail() == seq } // nothing was let go of meanwhile
	put := func(items []Item, known *seen) func() {
		return func() {
			if len(items) == 0 || !fits() {
				return
			}
			l.items, l.looked = append(l.items, items...), 0
			l.seen.merge(known)
			if seq = l.tail(); l.Following {
				l.last()
			} else if l.Selected == 0 {
				l.first()
			}
			l.settle()
		}
	}
	return l.task(func(ctx context.Context, src Source, p *Progress) (func(), error) {
		at, done, err := pages(ctx, src, id, filter, seq, last, p, false, put)
		return func() {
			if !fits() {
				return
			}
			l.atEnd, l.looked = done, max(at, l.looked)
			l.Following = l.Following && (l.Session.Live || !done) // that was the last look
			l.settle()
		}, err
	})
}

// before reads what comes before a seq.
func (l *Messages) before(seq int64) *Task {
	id, filter, last := l.Session.ID, l.Filter, l.Session.LastSeq
	fits := func() bool { return l.toEnd || len(l.items) == 0 || l.items[0].Seq == seq }
	put := func(items []Item, known *seen) func() {
		return func() {
			if len(items) == 0 || !fits() {
				return
			}
			if l.toEnd {
				l.items, l.toEnd, l.atEnd = nil, false, true
			}
			slices.Reverse(items)
			l.items = slices.Concat(items, l.items)
			l.seen.merge(known)
			if seq = items[0].Seq; l.Following || l.Selected == 0 {
				l.last()
			}
			l.settle()
		}
	}
	return l.task(func(ctx context.Context, src Source, p *Progress) (func(), error) {
		_, done, err := pages(ctx, src, id, filter, seq, last, p, true, put)
		return func() {
			if !fits() {
				return
			}
			if l.toEnd {
				l.toEnd, l.atEnd, l.items = false, true, nil
			}
			l.atStart = done
			l.Following = l.Following && l.Session.Live // that was the last look
			l.settle()
		}, err
	})
}

// pages reads rows behind, or with back before, a seq, until there are enough
// for now, and shows them as they come. It returns up to where it has looked,
// and whether that is all there is. No filter needs no looking.
func pages(ctx context.Context, src Source, id int64, f *store.Filter, seq, last int64, p *Progress, back bool,
	put func([]Item, *seen) func()) (at int64, done bool, err error) {
	if f == nil {
		read := src.After
		if back {
			read = src.Before
		}
		rows, err := read(ctx, id, seq, chunk)
		if back {
			slices.Reverse(rows)
		}
		if err == nil {
			p.Show(put(itemsOf(rows)))
		}
		return 0, len(rows) == 0, err
	}
	scan := src.Scan(id, f, seq, back)
	for found := 0; !scan.Done() && found < chunk; {
		rows, err := scan.Next(ctx)
		if err != nil {
			return 0, false, err
		}
		if found += len(rows); len(rows) > 0 {
			p.Show(put(itemsOf(rows)))
		}
		if back {
			p.Set(min(seq, last+1)-scan.At(), last)
		} else {
			p.Set(scan.At()-seq, last-seq)
		}
	}
	return scan.At(), scan.Done(), nil
}

// look asks how the session stands.
func (l *Messages) look() *Task {
	id := l.Session.ID
	return l.task(func(ctx context.Context, src Source, _ *Progress) (func(), error) {
		s, err := src.Session(ctx, id)
		return func() {
			l.refreshed(s)
			l.settle()
		}, err
	})
}

func (l *Messages) settle() {
	l.carryOn()
	l.scroll()
	l.trim()
}

// refreshed takes in how the session stands. While it is live there may be
// more at its end; once it has ended, one last look finds the rest.
func (l *Messages) refreshed(s store.Session) {
	grown := s.LastSeq > l.Session.LastSeq || s.Live != l.Session.Live
	l.Session, l.stale = s, false
	if !grown {
		return
	}
	if l.Following && s.LastSeq-l.tail() > maxItems && l.Filter == nil {
		l.toEnd = true
	}
	l.atEnd = false
}

// carryOn moves the rest of the way that an action wanted to go.
func (l *Messages) carryOn() {
	blocked := l.carry > 0 && l.atEnd || l.carry < 0 && l.atStart
	n := l.carry
	l.carry = 0
	if n != 0 && len(l.items) > 0 {
		l.step(n)
		if blocked {
			l.carry = 0
		}
	}
}

// move is what the user does: it ends the following.
func (l *Messages) move(n int) {
	l.Following = false
	if len(l.items) == 0 {
		return
	}
	l.step(n)
	l.scroll()
	l.trim()
}

// step moves the selection as far as the window goes; the rest is carried.
func (l *Messages) step(n int) {
	i := l.index(l.Selected) + l.carry + n
	l.carry = 0
	switch {
	case i < 0 && !l.atStart:
		l.carry = i
	case i >= len(l.items) && !l.atEnd:
		l.carry = i - len(l.items) + 1
	}
	l.Selected = l.items[min(max(i, 0), len(l.items)-1)].Seq
}

func (l *Messages) toFirst() {
	l.Following = false
	if !l.atStart {
		l.renew(window{atStart: true})
		return
	}
	l.carry = 0
	l.first()
	l.scroll()
}

func (l *Messages) toLast() {
	l.Following = l.Session.Live
	if !l.atEnd {
		l.renew(window{toEnd: true})
		return
	}
	l.carry = 0
	l.last()
	l.scroll()
}

// goTo selects the message of that seq, or else the nearest there is.
func (l *Messages) goTo(seq int64) {
	l.Following = false
	if i := l.index(seq); i < len(l.items) && l.items[i].Seq == seq {
		l.Selected, l.carry = seq, 0
		l.scroll()
		return
	}
	l.renew(window{goal: seq, centre: true})
}

func (l *Messages) first() {
	if len(l.items) > 0 {
		l.Selected = l.items[0].Seq
	}
}

func (l *Messages) last() {
	if len(l.items) > 0 {
		l.Selected = l.items[len(l.items)-1].Seq
	}
}

// scroll brings the selection onto the screen and fills the screen.
func (l *Messages) scroll() {
	if len(l.items) == 0 {
		return
	}
	top, selected := l.index(l.top), l.index(l.Selected)
	if l.centre {
		top = selected - l.height/2
		l.centre = top < 0 && !l.atStart
	}
	top = min(top, selected)
	top = max(top, selected-l.height+1)
	top = max(0, min(top, len(l.items)-l.height))
	l.top = l.items[top].Seq
}

// trim lets go of items far from the screen.
func (l *Messages) trim() {
	if len(l.items) <= maxItems {
		return
	}
	top := l.index(l.top)
	if from := top - 2*chunk; from > 0 {
		l.items = slices.Clone(l.items[from:])
		l.atStart = false
		top -= from
	}
	if to := top + l.height + 2*chunk; to < len(l.items) {
		l.items = slices.Clip(l.items[:to])
		l.atEnd = false
	}
}

// Name is MessageList.
func (l *Messages) Name() Name { return MessageList }

// Place is the selected message.
func (l *Messages) Place() Place {
	return Place{Session: l.Session, Filter: l.Filter, Seq: cmp.Or(l.Selected, l.goal)} // the goal while it is on its way there
}

// Visit goes to a message of the session.
func (l *Messages) Visit(at Place) {
	if at.Seq != 0 {
		l.goTo(at.Seq)
	}
}

// Title is the session with the figures of its ledger. Whether it goes on comes
// first: what does not fit is cut.
func (l *Messages) Title() string {
	s := &l.Session
	title := Printable(s.Name) + "  "
	if state := standing(s); state != "" {
		title += strings.ToUpper(state)
		if l.Following {
			title += ", followed"
		}
		title += "  "
	}
	return title + fmt.Sprintf("%s, %s, lost %s  %s", count(s.Messages(), "message"), count(s.Gaps, "gap"), lost(s), Printable(s.Broker))
}

// Resize leaves a line for the titles of the columns.
func (l *Messages) Resize(_, height int) {
	l.height = max(height-1, 1)
	l.scroll()
}

// Tick has a session that is being recorded looked at again.
func (l *Messages) Tick() { l.stale = l.Session.Live }

// Do does an action of the list.
func (l *Messages) Do(m *Model, action string) bool {
	if n, ok := Steps(action, l.height); ok {
		l.steps(n)
		return true
	}
	do, ok := messageActions[action]
	if ok {
		do(l, m)
	}
	return ok
}

func (l *Messages) steps(n int) {
	switch n {
	case -Far:
		l.toFirst()
	case Far:
		l.toLast()
	default:
		l.move(n)
	}
}

var messageActions = map[string]func(*Messages, *Model){
	"follow":       (*Messages).follow,
	"time":         func(l *Messages, _ *Model) { l.Clock = (l.Clock + 1) % clocks },
	"view.detail":  func(l *Messages, m *Model) { l.read(m, Detail) },
	"view.raw":     func(l *Messages, m *Model) { l.read(m, Raw) },
	"view.hex":     func(l *Messages, m *Model) { l.read(m, Hex) },
	"filter":       func(l *Messages, m *Model) { m.askFilter(l.Filter.String()) },
	"filter.clear": func(_ *Messages, m *Model) { m.SetFilter(nil) },
	"filter.value": func(l *Messages, m *Model) { m.filterBy(l.terms()) },
	"search":       (*Messages).askSearch,
	"search.next":  func(l *Messages, m *Model) { l.seek(m, false) },
	"search.prev":  func(l *Messages, m *Model) { l.seek(m, true) },
	"mark":         func(l *Messages, m *Model) { m.toggleMark(l.Selected) },
	"mark.note":    func(l *Messages, m *Model) { m.askMark(l.Selected) },
	"mark.next":    func(l *Messages, m *Model) { l.toMark(m, 1) },
	"mark.prev":    func(l *Messages, m *Model) { l.toMark(m, -1) },
	"copy":         (*Messages).copy,
	"export":       func(_ *Messages, m *Model) { m.askExport() },
}

// terms accepts messages like the selected one.
func (l *Messages) terms() string {
	item, ok := l.item(l.Selected)
	if !ok {
		return ""
	}
	var terms []string
	for _, t := range [][2]string{{"agent", item.Agent}, {"name", item.Name}} {
		if text := term(t[0], t[1]); t[1] != "" && text != "" {
			terms = append(terms, text)
		}
	}
	return strings.Join(terms, " && ")
}

// item returns the item of a seq, if the window holds it.
func (l *Messages) item(seq int64) (Item, bool) {
	if i := l.index(seq); i < len(l.items) && l.items[i].Seq == seq {
		return l.items[i], true
	}
	return Item{}, false
}

func (l *Messages) follow(m *Model) {
	if l.Following {
		l.Following = false
		return
	}
	if !l.Session.Live {
		m.Notice = "this session is not being recorded: there is nothing to follow"
		return
	}
	l.toLast()
}

// read shows the selected message, and the reader then follows the selection.
func (l *Messages) read(m *Model, v Name) {
	if l.Selected == 0 {
		return
	}
	m.Reader.open(v, 0)
	m.Push(&m.Reader)
}

// Click selects a message; the selected one is read.
func (l *Messages) Click(m *Model, _, y int) {
	seen := l.Visible()
	if y < 1 || y > len(seen) {
		return
	}
	l.Following = false
	if seq := seen[y-1].Seq; seq != l.Selected {
		l.Selected = seq
		return
	}
	l.read(m, Detail)
}

// messageColumns are those of seq, time, direction, agent, name and summary.
// Long numbers move the others to the right.
func messageColumns(last int64) []int {
	columns := []int{0, 8, 21, 24, 33, 50}
	for i := range columns[1:] {
		columns[1+i] += seqWidth(last) - seqLeast
	}
	return columns
}

// seqLeast is how many columns a seq has at the least.
const seqLeast = 6

func seqWidth(last int64) int { return max(len(strconv.FormatInt(last, 10)), seqLeast) }

// Draw shows one message a line.
func (l *Messages) Draw(c Canvas) {
	width, _ := c.Size()
	columns := messageColumns(l.Session.LastSeq)
	Columns(c, 0, Title, columns, fmt.Sprintf("%*s", columns[1]-1, "SEQ"), clockTitles[l.Clock], "", "AGENT", "NAME", "WHAT")
	if l.Filter != nil {
		text := "filter: " + Printable(l.Filter.String())
		if n, first := l.Filter.Failures(); n > 0 {
			text += fmt.Sprintf("  (%d could not be judged: %s)", n, Printable(first.Error()))
		}
		c.Put(columns[5]+6, 0, width, text, Mark)
	}
	items := l.Visible()
	switch {
	case len(items) > 0:
	case l.Session.LastSeq == 0:
		c.Put(2, 2, width, "no messages yet", Dim)
	case l.Filter != nil && l.atEnd && l.atStart:
		c.Put(2, 2, width, `no message passes the filter: / changes it, \ takes it away`, Dim)
	}
	for i := range items {
		l.drawItem(c, 1+i, columns, &items[i])
	}
}

func (l *Messages) drawItem(c Canvas, y int, columns []int, item *Item) {
	style, what, sign := styleOf(item), item.Summary, " "
	if mark, ok := l.marks.at(item.Seq); ok {
		sign = "*"
		if mark.Text != "" {
			what = "[" + Printable(mark.Text) + "] " + what
		}
		if style == Plain || style == Command {
			style = Mark
		}
	}
	if item.Seq == l.Selected {
		style = style.Selected()
		c.Fill(y, style)
	}
	Columns(c, y, style, columns, fmt.Sprintf("%s%*d", sign, columns[1]-2, item.Seq), l.clock(item), arrows[item.Direction], item.Agent, item.Name, what)
}

func styleOf(item *Item) Style {
	switch {
	case item.Direction == capture.GapRow:
		return GapLine
	case item.Severity == 3:
		return Error
	case item.Severity == 2:
		return Warning
	case item.Direction == capture.Command:
		return Command
	}
	return Plain
}

// arrows show a message's way, GC on the right.
var arrows = map[capture.Direction]string{
	capture.Command: "->", capture.Event: "<-", capture.Peer: "==", capture.GapRow: "!!", capture.Note: "..",
}

var clockTitles = [clocks]string{"TIME", "SINCE ABOVE", "SINCE MARK"}

// clock is an item's time of day, or how long after the item above it, or the
// mark above it, it came.
func (l *Messages) clock(item *Item) string {
	switch l.Clock {
	case SinceAbove:
		if above, ok := l.Before(item.Seq); ok {
			return distance(item.Mono - above.Mono)
		}
		return ""
	case SinceMark:
		if mark, ok := l.marks.above(item.Seq); ok {
			return distance(item.Mono - mark.mono)
		}
		return ""
	}
	return item.At.Local().Format("15:04:05.000")
}

func distance(d time.Duration) string {
	return fmt.Sprintf("%+11.3fs", d.Round(time.Millisecond).Seconds())
}
