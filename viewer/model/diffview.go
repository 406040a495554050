package model

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay/diff"
	"gctap/store"
)

// DiffView is two sessions side by side.
const DiffView Name = "diff"

// diffKeys are the keys of the diff view.
func diffKeys() []Binding {
	return append(scrolling(DiffView, "message"),
		Binding{DiffView, "n", "diff.next", "next difference"},
		Binding{DiffView, "N", "diff.prev", "difference before"},
		Binding{DiffView, "p", "diff.prev", ""},
		Binding{DiffView, "i", "diff.ignored", "show what rules and noise leave out, and stop at it too, or not"},
		Binding{DiffView, "o", "diff.only", "only what differs, or everything"},
		Binding{DiffView, "Tab", "diff.side", "the other side"},
		Binding{DiffView, "Enter", "diff.open", "the message in its session, on the side that is marked"},
		Binding{DiffView, "R", "diff.again", "compare again, after it was stopped"},
	)
}

// A Comparison is two sessions, and how they are compared.
type Comparison struct {
	Left, Right store.Session
	// Compare compares them with whatever options there are. It tells pair of
	// each pair, and ends soon after ctx.
	Compare func(ctx context.Context, p *Progress, pair func(*diff.Pair) error) (*diff.Report, error)
}

// TwoSources is one Source of two: the sessions of right have negative ids.
func TwoSources(left, right Source) Source { return twoSources{left, right} }

type twoSources struct{ left, right Source }

func (s twoSources) of(id int64) (Source, int64) {
	if id < 0 {
		return s.right, -id
	}
	return s.left, id
}

func (s twoSources) Sessions(ctx context.Context) ([]store.Session, error) {
	return s.left.Sessions(ctx)
}

func (s twoSources) Session(ctx context.Context, id int64) (store.Session, error) {
	src, own := s.of(id)
	one, err := src.Session(ctx, own)
	one.ID = id
	return one, err
}

func (s twoSources) After(ctx context.Context, id, seq int64, n int) ([]store.Row, error) {
	src, own := s.of(id)
	return src.After(ctx, own, seq, n)
}

func (s twoSources) Before(ctx context.Context, id, seq int64, n int) ([]store.Row, error) {
	src, own := s.of(id)
	return src.Before(ctx, own, seq, n)
}

func (s twoSources) Scan(id int64, f *store.Filter, seq int64, back bool) *store.Scan {
	src, own := s.of(id)
	return src.Scan(own, f, seq, back)
}

func (s twoSources) Marks(ctx context.Context, id int64) ([]store.Annotation, error) {
	src, own := s.of(id)
	return src.Marks(ctx, own)
}

// A DiffScreen shows what a comparison has aligned. The pairs stand in a spool;
// in memory are what differs, and the messages on the screen.
type DiffScreen struct {
	what   Comparison
	report *diff.Report // nil until the comparison is done
	pairs  *pairSpool
	failed bool

	width, height int
	top, at       int // rows: of the pairs, or of those that differ
	onlyDiffer    bool
	ignored       bool // what is left out counts as a difference
	right         bool // the side that is marked
	shown         map[int]*pairShown
}

// pairShown is a pair with its messages.
type pairShown struct {
	pairRow
	left, right *side
}

// side is one message of a pair.
type side struct {
	item   Item
	values map[string]string
	order  []string
}

// Compare shows two sessions side by side, on top of what is shown. The
// model's Source must be TwoSources.
func (m *Model) Compare(c Comparison) {
	c.Right.ID = -c.Right.ID
	m.Push(&DiffScreen{what: c, shown: map[int]*pairShown{}})
}

// Name is DiffView.
func (v *DiffScreen) Name() Name { return DiffView }

// Title is both sessions, the verdict and what was found.
func (v *DiffScreen) Title() string {
	title := Printable(v.what.Left.Name) + " | " + Printable(v.what.Right.Name)
	if v.report == nil {
		return title
	}
	title += "  " + v.report.Verdict
	if v.report.Incomplete && v.report.Verdict != diff.Incomplete {
		title += ", incomplete"
	}
	if n, all := v.place(); all > 0 && n > 0 {
		title += fmt.Sprintf("  %d of %s", n, count(int64(all), "difference"))
	} else {
		title += "  " + count(int64(all), "difference")
	}
	if v.ignored {
		title += ", those left out too"
	}
	return title
}

// place is which difference the selection is on, from 1, and how many there
// are. 0: on none.
func (v *DiffScreen) place() (n, all int) {
	stops := v.stops()
	i := sort.SearchInts(stops, v.row())
	if i < len(stops) && stops[i] == v.row() {
		n = i + 1
	}
	return n, len(stops)
}

// stops are the rows that differ.
func (v *DiffScreen) stops() []int {
	if v.pairs == nil {
		return nil
	}
	if v.ignored {
		return v.pairs.restless
	}
	return v.pairs.differ
}

// rows is how many rows there are to scroll through.
func (v *DiffScreen) rows() int {
	switch {
	case v.pairs == nil:
		return 0
	case v.onlyDiffer:
		return len(v.stops())
	}
	return v.pairs.count
}

// rowAt is the pair that stands in a row.
func (v *DiffScreen) rowAt(i int) int {
	if v.onlyDiffer {
		return v.stops()[i]
	}
	return i
}

// row is the selected pair; -1: none.
func (v *DiffScreen) row() int {
	if v.at < 0 || v.at >= v.rows() {
		return -1
	}
	return v.rowAt(v.at)
}

// Resize keeps the selection on the screen.
func (v *DiffScreen) Resize(width, height int) {
	v.width, v.height = width, height
	v.settle()
}

// Tick has nothing to do.
func (v *DiffScreen) Tick() {}

// tellLines is how many lines tell about the selected pair.
const tellLines = 6

// page is how many rows fit: one line names the sessions.
func (v *DiffScreen) page() int { return max(v.height-1-tellLines, 1) }

func (v *DiffScreen) settle() {
	v.at = max(0, min(v.at, v.rows()-1))
	v.top = max(0, min(v.top, v.at, v.rows()-v.page()))
	v.top = max(v.top, v.at-v.page()+1)
}

// goTo selects the row that a pair stands in, or the next there is.
func (v *DiffScreen) goTo(pair int) {
	v.at = pair
	if v.onlyDiffer {
		v.at = sort.SearchInts(v.stops(), pair)
	}
	v.settle()
}

// Do does what a key is bound to.
func (v *DiffScreen) Do(m *Model, action string) bool {
	if n, ok := Steps(action, v.page()); ok {
		v.at += n
		v.settle()
		return true
	}
	pair := max(v.row(), 0)
	switch action {
	case "diff.next", "diff.prev":
		v.jump(m, action == "diff.next")
	case "diff.ignored":
		v.ignored = !v.ignored
		v.goTo(pair)
	case "diff.only":
		v.onlyDiffer = !v.onlyDiffer
		v.goTo(pair)
	case "diff.side":
		v.right = !v.right
	case "diff.open":
		v.open(m)
	case "diff.again":
		v.failed = false
	default:
		return false
	}
	return true
}

// jump goes to the next difference, or the one before.
func (v *DiffScreen) jump(m *Model, on bool) {
	stops, at := v.stops(), v.row()
	i := sort.SearchInts(stops, at+1)
	if !on {
		i = sort.SearchInts(stops, at) - 1
	}
	if i < 0 || i >= len(stops) {
		m.Notice = "no difference before this one"
		if on {
			m.Notice = "no difference after this one"
		}
		return
	}
	v.leap(stops[i])
}

// leap goes to a pair; one that is off the screen comes to its middle.
func (v *DiffScreen) leap(pair int) {
	top := v.top
	if v.goTo(pair); v.top != top {
		v.top = v.at - v.page()/2
		v.settle()
	}
}

// open shows the session of the marked side, at the message.
func (v *DiffScreen) open(m *Model) {
	shown := v.shown[v.row()]
	if shown == nil {
		return
	}
	session, seq := v.what.Left, shown.Left
	if v.right {
		session, seq = v.what.Right, shown.Right
	}
	if seq == 0 {
		m.Notice = "this side has no such message: Tab goes to the other one"
		return
	}
	m.Open(session)
	m.Goto(seq)
}

// Click selects a pair and a side; the selected one is opened.
func (v *DiffScreen) Click(m *Model, x, y int) {
	i := v.top + y - 1
	if y < 1 || y > v.page() || i >= v.rows() {
		return
	}
	again := i == v.at && v.right == (x > v.width/2)
	v.at, v.right = i, x > v.width/2
	if again {
		v.open(m)
	}
}

// Next has the sessions compared, then the messages on the screen read.
func (v *DiffScreen) Next() *Task {
	if v.failed {
		return nil
	}
	if v.report == nil {
		return v.compare()
	}
	return v.read()
}

func (v *DiffScreen) compare() *Task {
	return &Task{
		What: "comparing",
		Do: func(ctx context.Context, _ Source, p *Progress) (func(), error) {
			w, err := newPairSpool()
			if err != nil {
				return nil, err
			}
			report, err := v.what.Compare(ctx, p, w.add)
			if err == nil {
				err = w.flush()
			}
			if err != nil {
				w.close()
				return nil, err
			}
			return func() {
				v.report, v.pairs = report, w
				v.settle()
				if len(w.differ) > 0 {
					v.leap(w.differ[0])
				}
			}, nil
		},
		Failed: func(error) { v.failed = true },
	}
}

// read fetches the pairs on the screen and a page on both sides.
func (v *DiffScreen) read() *Task {
	var missing []int
	near := map[int]*pairShown{}
	for i := max(v.top-v.page(), 0); i < min(v.top+2*v.page(), v.rows()); i++ {
		pair := v.rowAt(i)
		if shown := v.shown[pair]; shown != nil {
			near[pair] = shown
		} else {
			missing = append(missing, pair)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	left, right, pairs, top := v.what.Left.ID, v.what.Right.ID, v.pairs, v.top
	return &Task{
		What:   "reading messages",
		Wanted: func() bool { return v.top == top },
		Failed: func(error) { v.failed = true },
		Do: func(ctx context.Context, src Source, _ *Progress) (func(), error) {
			for _, i := range missing {
				shown := &pairShown{}
				var err error
				if shown.pairRow, err = pairs.read(i); err == nil {
					shown.left, err = readSide(ctx, src, left, shown.Left)
				}
				if err == nil {
					shown.right, err = readSide(ctx, src, right, shown.Right)
				}
				if err != nil {
					return nil, err
				}
				near[i] = shown
			}
			return func() { v.shown = near }, nil
		},
	}
}

// readSide reads one message of a pair; nil where there is none.
func readSide(ctx context.Context, src Source, session, seq int64) (*side, error) {
	if seq == 0 {
		return nil, nil
	}
	rows, err := src.After(ctx, session, seq-1, 1)
	if err != nil || len(rows) == 0 || rows[0].Seq != seq {
		return nil, err
	}
	s := &side{item: itemOf(&rows[0], &seen{}), values: map[string]string{}}
	msg := flow.Decode(&rows[0].Record, decode.Options{})
	for i := range msg.Fields {
		s.flatten(msg.Fields[i].Name, msg.Fields[i].Value)
	}
	return s, nil
}

// maxValues bounds what is shown of a message.
const maxValues = 200

// flatten lists the values of a message by their paths.
func (s *side) flatten(path string, v decode.Value) {
	if len(s.order) >= maxValues {
		return
	}
	text, ok := v.Scalar()
	if v.Secret() {
		text, ok = "***", true
	}
	if ok {
		path = Printable(path)
		if _, twice := s.values[path]; !twice {
			s.order = append(s.order, path)
		}
		s.values[path] = Printable(text)
		return
	}
	v = v.Expand()
	for i, part := range v.Parts {
		name := "." + part.Name
		if v.Kind == decode.KindList {
			name = fmt.Sprintf("[%d]", i)
		}
		s.flatten(path+name, part.Value)
	}
}

// signs stand between the sides.
var signs = map[string]string{
	"": " ", diff.Changed: "≠", diff.Missing: "<", diff.Extra: ">", diff.Reordered: "↕", diff.Late: "◷", diff.Duplicated: "2",
}

// looks are the styles of what differs.
var looks = map[string]Style{
	diff.Changed: Warning, diff.Missing: Error, diff.Extra: Error, diff.Reordered: Warning, diff.Late: Warning, diff.Duplicated: Warning,
}

// Draw draws the pairs, and below what there is to say about the selected one.
func (v *DiffScreen) Draw(c Canvas) {
	half := (v.width - 3) / 2
	c.Put(0, 0, half, "  "+mark(!v.right)+Printable(v.what.Left.Name), Title)
	c.Put(half+3, 0, v.width, "  "+mark(v.right)+Printable(v.what.Right.Name), Title)
	switch {
	case v.failed:
		c.Put(2, 1, v.width, "stopped: R tries again", Dim)
		return
	case v.report == nil:
		c.Put(2, 1, v.width, "comparing …", Dim)
		return
	case v.rows() == 0:
		c.Put(2, 1, v.width, "no message differs", Dim)
		return
	}
	for y := range min(v.page(), v.rows()-v.top) {
		v.pair(c, 1+y, v.top+y, half)
	}
	v.tell(c, 1+v.page())
}

func mark(on bool) string {
	if on {
		return "▸ "
	}
	return "  "
}

// pair draws one row.
func (v *DiffScreen) pair(c Canvas, y, row, half int) {
	shown := v.shown[v.rowAt(row)]
	if shown == nil {
		c.Put(0, y, v.width, "…", Dim)
		return
	}
	style, sign := Plain, signs[shown.Class]
	switch {
	case shown.Class != "":
		style = looks[shown.Class]
	case shown.Left == 0 || shown.Right == 0:
		style, sign = Dim, "·"
	case v.ignored && shown.restless():
		style, sign = Dim, "·"
	}
	if row == v.at {
		style = style.Selected()
		c.Fill(y, style)
	}
	for i, s := range []*side{shown.left, shown.right} {
		if s == nil {
			continue
		}
		x := i * (half + 3)
		c.Put(x, y, x+7, fmt.Sprintf("%7d", s.item.Seq), style)
		c.Put(x+8, y, x+half, arrows[s.item.Direction]+" "+v.says(shown, s, i), style)
	}
	c.Put(half+1, y, half+2, sign, style)
	if conv := shown.Conversation; row == v.top || v.shown[v.rowAt(row-1)] == nil || v.shown[v.rowAt(row-1)].Conversation != conv {
		text := " " + runewidth.Truncate(Printable(conv), 16, "…")
		c.Put(max(half-runewidth.StringWidth(text), 0), y, half, text, style.Of(4))
	}
}

// says is a message in a row: what differs in it, else what is in it.
func (v *DiffScreen) says(shown *pairShown, s *side, right int) string {
	var parts []string
	for i := range shown.Found {
		for _, f := range shown.Found[i].Fields {
			value := []*string{f.Left, f.Right}[right]
			if value != nil {
				parts = append(parts, f.Field+"="+Printable(*value))
			}
		}
	}
	if len(parts) == 0 || s.item.Direction == capture.GapRow {
		parts = []string{s.item.Summary}
	}
	return s.item.Name + " " + strings.Join(parts, " ")
}

// tell says what is different in the selected pair, and why it counts or not.
func (v *DiffScreen) tell(c Canvas, y int) {
	c.Put(0, y, v.width, strings.Repeat("─", v.width), Dim)
	shown := v.shown[v.row()]
	if shown == nil {
		return
	}
	lines := v.lines(shown)
	if rest := len(lines) - (tellLines - 1); rest > 0 {
		lines = append(lines[:tellLines-2], Line{Style: Dim, Text: fmt.Sprintf("%d more; Enter shows the message", rest+1)})
	}
	for i, line := range lines {
		c.Put(0, y+1+i, v.width, line.Text, line.Style)
	}
}

// lines are what there is to say about a pair.
func (v *DiffScreen) lines(shown *pairShown) (lines []Line) {
	for i := range shown.Found {
		d := &shown.Found[i]
		lines = append(lines, Line{Style: looks[d.Class], Text: fmt.Sprintf("%s %s: %s", d.Class, Printable(d.Name), Printable(d.Why))})
		for _, f := range d.Fields {
			lines = append(lines, Line{Text: fmt.Sprintf("  %s: %s → %s", Printable(f.Field), orNone(f.Left), orNone(f.Right))})
		}
	}
	if len(lines) == 0 {
		text := "the same, but for what the protocol itself changes from run to run"
		switch {
		case shown.Left == 0 || shown.Right == 0:
			text = "one side only: a rule leaves it out, or the replay did not get there"
		case len(shown.LeftOut) == 0:
			text = "the same"
		}
		lines = append(lines, Line{Style: Dim, Text: text})
	}
	if v.ignored {
		for _, rule := range shown.LeftOut {
			lines = append(lines, Line{Style: Dim, Text: "left out: " + Printable(rule) + v.why(rule)})
		}
		lines = append(lines, leftValues(shown)...)
	}
	return lines
}

// why is the reason that a rule gives.
func (v *DiffScreen) why(rule string) string {
	for _, i := range v.report.Ignored {
		if i.Rule == rule && i.Why != "" {
			return ": " + Printable(i.Why)
		}
	}
	return ""
}

// leftValues are the values that differ and are no difference.
func leftValues(shown *pairShown) (lines []Line) {
	if shown.left == nil || shown.right == nil {
		return nil
	}
	told := map[string]bool{}
	for i := range shown.Found {
		for _, f := range shown.Found[i].Fields {
			told[f.Field] = true
		}
	}
	paths := slices.Clone(shown.left.order)
	for _, path := range shown.right.order {
		if _, ok := shown.left.values[path]; !ok {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		l, inLeft := shown.left.values[path]
		r, inRight := shown.right.values[path]
		if l == r && inLeft == inRight || told[path] {
			continue
		}
		value := func(s string, ok bool) *string {
			if !ok {
				return nil
			}
			return &s
		}
		lines = append(lines, Line{Style: Dim, Text: fmt.Sprintf("  %s: %s → %s", path, orNone(value(l, inLeft)), orNone(value(r, inRight)))})
	}
	return lines
}

func orNone(s *string) string {
	switch {
	case s == nil:
		return "(absent)"
	case *s == "":
		return `""`
	}
	return Printable(*s)
}
