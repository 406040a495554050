package viewer

import (
	"github.com/gdamore/tcell/v2"

	"gctap/viewer/model"
)

// A theme gives roles their looks. The terminal's own colours are kept, so that
// it fits a light and a dark one.
type theme struct {
	roles map[model.Style]tcell.Style
	hues  [model.Hues]tcell.Color
	plain bool
}

// themeOf returns that of a terminal without colours, or with a light or a dark
// background: colours of middling brightness are told apart on both, yellow and
// cyan only on a dark one.
func themeOf(plain, light bool) theme {
	def := tcell.StyleDefault
	t := theme{
		roles: map[model.Style]tcell.Style{
			model.Plain: def, model.Dim: def.Dim(true), model.Title: def.Bold(true),
			model.Warning: def.Underline(true), model.Error: def.Bold(true).Underline(true),
			model.Bar: def.Reverse(true), model.Command: def.Bold(true), model.GapLine: def.Bold(true).Underline(true),
			model.Mark: def.Bold(true),
		},
		hues: [model.Hues]tcell.Color{tcell.ColorTeal, tcell.ColorOlive, tcell.ColorGreen, tcell.ColorPurple,
			tcell.ColorNavy, tcell.ColorMaroon, tcell.ColorFuchsia, tcell.ColorBlue},
		plain: plain,
	}
	if plain {
		return t
	}
	command, gap, warning, fault, mark := tcell.ColorAqua, tcell.ColorFuchsia, tcell.ColorYellow, tcell.ColorRed, tcell.ColorLime
	if light {
		command, gap, warning, fault, mark = tcell.ColorNavy, tcell.ColorPurple, tcell.ColorOlive, tcell.ColorMaroon, tcell.ColorGreen
	} else {
		t.hues = [model.Hues]tcell.Color{tcell.ColorAqua, tcell.ColorYellow, tcell.ColorLime, tcell.ColorFuchsia,
			tcell.ColorTeal, tcell.ColorOlive, tcell.ColorGreen, tcell.ColorRed}
	}
	t.roles[model.Command] = def.Foreground(command)
	t.roles[model.GapLine] = def.Foreground(gap).Bold(true)
	t.roles[model.Warning] = def.Foreground(warning)
	t.roles[model.Error] = def.Foreground(fault).Bold(true)
	t.roles[model.Mark] = def.Foreground(mark).Bold(true)
	return t
}

// look is how a style looks on this terminal.
func (t theme) look(s model.Style) tcell.Style {
	if s.IsSelected() {
		return tcell.StyleDefault.Reverse(true)
	}
	look := t.roles[s.Role()]
	if hue := s.Hue(); hue >= 0 && !t.plain {
		look = look.Foreground(t.hues[hue])
	}
	if s.IsLit() {
		look = look.Reverse(true)
	}
	return look
}

// Draw puts the model on the screen. It changes nothing but the screen's cells.
func Draw(s tcell.Screen, m *model.Model, t theme) {
	s.Clear()
	width, height := m.Size()
	all := &painter{s: s, theme: t, width: width, height: height}
	all.Fill(0, model.Bar)
	limit := width
	for _, tab := range m.TabBar() {
		style := model.Bar
		if tab.Shown {
			style = model.Title
		}
		all.Put(tab.X, 0, width, tab.Text, style)
		limit = min(limit, tab.X-1)
	}
	all.Put(1, 0, limit, m.Top().Title(), model.Bar)
	m.Top().Draw(&painter{s: s, theme: t, top: 1, width: width, height: max(height-2, 0)})
	text, style := m.Foot()
	all.Put(0, height-1, width, text, style)
	if x, ok := m.DrawPrompt(all); ok {
		s.ShowCursor(x, height-1)
	} else {
		s.HideCursor()
	}
}

// A painter is the Canvas on a part of the screen.
type painter struct {
	s             tcell.Screen
	theme         theme
	top           int
	width, height int
}

// Size is that of the part.
func (p *painter) Size() (width, height int) { return p.width, p.height }

// Put writes text; a wide character is not halved.
func (p *painter) Put(x, y, limit int, text string, style model.Style) int {
	if y < 0 || y >= p.height {
		return x
	}
	look := p.theme.look(style)
	limit = min(limit, p.width)
	for text != "" && x < limit {
		rest, width := p.s.Put(x, p.top+y, text, look)
		if x+width > limit {
			p.s.Put(x, p.top+y, " ", look)
			width = 1
		}
		if len(rest) >= len(text) {
			break
		}
		text, x = rest, x+max(width, 0)
	}
	return x
}

// Fill clears a line.
func (p *painter) Fill(y int, style model.Style) {
	if y < 0 || y >= p.height {
		return
	}
	look := p.theme.look(style)
	for x := range p.width {
		p.s.Put(x, p.top+y, " ", look)
	}
}
