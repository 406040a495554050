package viewer

import (
	"fmt"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"

	"gctap/capture"
	"gctap/store"
	"gctap/viewer/model"
)

// A theme gives roles their looks. The terminal's own colours are kept, so that
// it fits a light and a dark one.
type theme struct {
	bar      tcell.Style
	selected tcell.Style
	lines    map[model.Style]tcell.Style
	command  tcell.Style
	gap      tcell.Style
	plain    bool
}

func themeOf(plain bool) theme {
	def := tcell.StyleDefault
	t := theme{
		bar:      def.Reverse(true),
		selected: def.Reverse(true),
		command:  def.Bold(true),
		gap:      def.Bold(true).Underline(true),
		lines: map[model.Style]tcell.Style{
			model.Plain: def, model.Dim: def.Dim(true), model.Title: def.Bold(true),
			model.Warning: def.Underline(true), model.Error: def.Bold(true).Underline(true),
		},
		plain: plain,
	}
	if plain {
		return t
	}
	t.command = def.Foreground(tcell.ColorTeal)
	t.gap = def.Foreground(tcell.ColorFuchsia).Bold(true)
	t.lines[model.Warning] = def.Foreground(tcell.ColorOlive)
	t.lines[model.Error] = def.Foreground(tcell.ColorMaroon).Bold(true)
	return t
}

// Draw puts the model on the screen. It changes nothing but the screen's cells.
// progress is what the user waits for; empty where nothing takes long.
func Draw(s tcell.Screen, m *model.Model, t theme, progress string) {
	s.Clear()
	width, height := m.Size()
	p := painter{s, t, width}
	p.fill(0, t.bar)
	switch m.View() {
	case model.SessionList:
		p.sessions(&m.Sessions)
	case model.MessageList:
		p.messages(&m.Messages)
	default:
		p.reader(m)
	}
	p.foot(height-1, m, progress)
}

type painter struct {
	s     tcell.Screen
	theme theme
	width int
}

// put writes text from column x on, up to column limit, and returns the column
// behind it. The text is printable already.
func (p *painter) put(x, y, limit int, text string, style tcell.Style) int {
	limit = min(limit, p.width)
	for text != "" && x < limit {
		rest, width := p.s.Put(x, y, text, style)
		if x+width > limit { // half of a wide character
			p.s.Put(x, y, " ", style)
			width = 1
		}
		if len(rest) >= len(text) {
			break
		}
		text, x = rest, x+max(width, 0)
	}
	return x
}

func (p *painter) fill(y int, style tcell.Style) {
	for x := range p.width {
		p.s.Put(x, y, " ", style)
	}
}

// columns writes texts at fixed columns; the last has the rest of the line.
func (p *painter) columns(y int, style tcell.Style, starts []int, texts ...string) {
	for i, text := range texts {
		limit := p.width
		if i+1 < len(starts) {
			limit = starts[i+1] - 1
		}
		p.put(starts[i], y, limit, text, style)
	}
}

// foot is the last line: what went wrong, or is awaited, or can be done.
func (p *painter) foot(y int, m *model.Model, progress string) {
	style, text := p.theme.lines[model.Dim], model.Hints(m.View())
	switch {
	case m.Notice != "":
		style, text = p.theme.lines[model.Error], m.Notice
	case progress != "":
		text = progress
	}
	p.put(0, y, p.width, text, style)
}

func (p *painter) sessions(l *model.Sessions) {
	p.put(1, 0, p.width, "gctap  sessions", p.theme.bar)
	starts := sessionColumns(p.width)
	p.columns(1, p.theme.lines[model.Title], starts, "  ID", "NAME", "ORIGIN", "STATE", "STARTED", "MESSAGES", "GAPS", "LOST", "NOTE")
	if l.Empty() {
		p.put(2, 3, p.width, "no sessions: gctap record makes one", p.theme.lines[model.Dim])
	}
	for i, one := range l.Visible() {
		style := p.theme.lines[model.Plain]
		if one.Crashed() {
			style = p.theme.lines[model.Warning]
		}
		if one.ID == l.Selected {
			style = p.theme.selected
			p.fill(2+i, style)
		}
		p.columns(2+i, style, starts, fmt.Sprintf("%4d", one.ID), model.Printable(one.Name), one.Origin, standing(&one),
			one.StartedAt.Local().Format("2006-01-02 15:04"), fmt.Sprintf("%8d", one.Messages()),
			fmt.Sprintf("%4d", one.Gaps), lost(&one), model.Printable(one.Note))
	}
}

// sessionColumns gives names what 80 columns leave over, up to a point.
func sessionColumns(width int) []int {
	more := min(max(width-80, 0)/2, 20)
	starts := []int{0, 5, 30, 37, 45, 62, 71, 76, 81}
	for i := range starts[2:] {
		starts[2+i] += more
	}
	return starts
}

// lost never says 0 where there are gaps that do not know.
func lost(s *store.Session) string {
	switch {
	case s.Gaps == 0:
		return "0"
	case s.Lost == 0:
		return "?"
	}
	return fmt.Sprint("≥", s.Lost)
}

func standing(s *store.Session) string {
	switch {
	case s.Live:
		return "live"
	case s.Crashed():
		return "crashed"
	}
	return ""
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// messageColumns are those of seq, time, direction, agent, name and summary.
var messageColumns = []int{0, 8, 21, 24, 33, 50}

func (p *painter) messages(l *model.Messages) {
	s := &l.Session
	head := fmt.Sprintf("%s  %s, %s, lost %s", model.Printable(s.Name), count(s.Messages(), "message"), count(s.Gaps, "gap"), lost(s))
	if state := standing(s); state != "" {
		head += "  " + strings.ToUpper(state)
	}
	if l.Following {
		head += ", followed"
	}
	x := p.put(1, 0, p.width, head, p.theme.bar)
	p.put(x+2, 0, p.width, model.Printable(s.Broker), p.theme.bar)
	p.columns(1, p.theme.lines[model.Title], messageColumns, "    SEQ", "TIME", "", "AGENT", "NAME", "WHAT")
	items := l.Visible()
	if len(items) == 0 && s.LastSeq == 0 {
		p.put(2, 3, p.width, "no messages yet", p.theme.lines[model.Dim])
	}
	for i := range items {
		p.message(2+i, l, &items[i])
	}
}

func (p *painter) message(y int, l *model.Messages, item *model.Item) {
	style := p.theme.lines[model.Plain]
	switch {
	case item.Direction == capture.GapRow:
		style = p.theme.gap
	case item.Severity == 3:
		style = p.theme.lines[model.Error]
	case item.Severity == 2:
		style = p.theme.lines[model.Warning]
	case item.Direction == capture.Command:
		style = p.theme.command
	}
	if item.Seq == l.Selected {
		style = p.theme.selected
		p.fill(y, style)
	}
	p.columns(y, style, messageColumns, fmt.Sprintf("%7d", item.Seq), clock(l, item), arrows[item.Direction], item.Agent, item.Name, item.Summary)
}

// arrows show a message's way, GC on the right.
var arrows = map[capture.Direction]string{
	capture.Command: "->", capture.Event: "<-", capture.Peer: "==", capture.GapRow: "!!", capture.Note: "..",
}

// clock is an item's time of day, or how long after the item above it came.
func clock(l *model.Messages, item *model.Item) string {
	if l.Delta {
		above, ok := l.Before(item.Seq)
		if !ok {
			return ""
		}
		return fmt.Sprintf("%+11.3fs", (item.Mono - above.Mono).Round(time.Millisecond).Seconds())
	}
	return item.At.Local().Format("15:04:05.000")
}

func (p *painter) reader(m *model.Model) {
	head := "gctap  help"
	if m.View() != model.Help {
		head = fmt.Sprintf("%s  message %d of %s", m.View(), m.Messages.Selected, model.Printable(m.Messages.Session.Name))
	}
	first, last, all := m.Reader.Position()
	p.put(1, 0, p.width, fmt.Sprintf("%s  lines %d-%d of %d", head, first, last, all), p.theme.bar)
	for i, line := range m.Reader.Visible() {
		style := p.theme.lines[line.Style]
		x := 0
		if line.Label != "" {
			p.put(0, 1+i, p.width, line.Label, p.theme.lines[model.Dim])
			x = model.TextColumn(line.Label)
		}
		p.put(x, 1+i, p.width, line.Text, style)
	}
}
