package model

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// A Prompt is a line that the user writes. While there is one, it lies over the
// last lines of the screen, and keys go to it: those that are bound in
// PromptLine act, all other characters are written.
type Prompt struct {
	Label   string
	History *History                         // nil: none is kept
	Check   func(text string) *Problem       // nil: anything goes
	Suggest func(before string) []string     // ways to go on; nil: none are known
	Accept  func(m *Model, text string) bool // false: the user is to mend it

	text    []rune
	pos     int
	problem *Problem
	choices []string // ways to go on from base
	chosen  int      // -1: none
	base    string   // what stood before the cursor when choices were made
	back    int      // how far back in the history; 0: not
	draft   []rune   // what was written before going back
}

// A Problem says what is wrong with a text, and where.
type Problem struct {
	Column int // in characters, from 1; 0: it is about the whole
	Text   string
}

// A History is what was written before, oldest first.
type History struct{ lines []string }

// maxHistory bounds a History.
const maxHistory = 200

// maxLine is how many characters are written on a line at the most: it is
// checked with each of them.
const maxLine = 2000

// NewHistory returns a history that begins with lines.
func NewHistory(lines []string) *History {
	h := &History{}
	for _, line := range lines {
		h.add(line)
	}
	return h
}

// Lines returns what was written, oldest first, each line once.
func (h *History) Lines() []string { return h.lines }

func (h *History) add(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	h.lines = slices.DeleteFunc(h.lines, func(old string) bool { return old == line })
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
}

// Ask lets the user write a line, which begins with text.
func (m *Model) Ask(p *Prompt, text string) {
	p.set([]rune(text), -1)
	m.prompt = p
}

// Asking returns the line that the user writes; nil: none.
func (m *Model) Asking() *Prompt { return m.prompt }

// key does what a key does to the line. Of the keys that act everywhere, those
// that are characters are written.
func (p *Prompt) key(m *Model, key string) bool {
	if do, ok := promptActions[actionIn(PromptLine, key)]; ok {
		do(p, m)
		return true
	}
	if key == "Space" {
		key = " "
	}
	r := []rune(key)
	if do, ok := actions[actionIn(Everywhere, key)]; ok && len(r) > 1 {
		do(m)
		return true
	}
	if len(r) == 1 && len(p.text) >= maxLine {
		m.Notice = "the line is full"
		return true
	}
	if len(r) == 1 && unicode.IsPrint(r[0]) {
		p.set(slices.Insert(slices.Clone(p.text), p.pos, r[0]), p.pos+1)
		return true
	}
	return false
}

var promptActions = map[string]func(*Prompt, *Model){
	"line.accept": (*Prompt).accept,
	"line.cancel": func(_ *Prompt, m *Model) { m.prompt = nil },
	"line.next":   func(p *Prompt, _ *Model) { p.choose(1) },
	"line.prev":   func(p *Prompt, _ *Model) { p.choose(-1) },
	"line.older":  func(p *Prompt, _ *Model) { p.remember(1) },
	"line.newer":  func(p *Prompt, _ *Model) { p.remember(-1) },
	"line.left":   func(p *Prompt, _ *Model) { p.set(p.text, max(p.pos-1, 0)) },
	"line.right":  func(p *Prompt, _ *Model) { p.set(p.text, min(p.pos+1, len(p.text))) },
	"line.home":   func(p *Prompt, _ *Model) { p.set(p.text, 0) },
	"line.end":    func(p *Prompt, _ *Model) { p.set(p.text, len(p.text)) },
	"line.rub":    func(p *Prompt, _ *Model) { p.cut(max(p.pos-1, 0), p.pos) },
	"line.delete": func(p *Prompt, _ *Model) { p.cut(p.pos, min(p.pos+1, len(p.text))) },
	"line.word":   func(p *Prompt, _ *Model) { p.cut(p.word(), p.pos) },
	"line.head":   func(p *Prompt, _ *Model) { p.cut(0, p.pos) },
	"line.tail":   func(p *Prompt, _ *Model) { p.cut(p.pos, len(p.text)) },
}

// set gives the line a text; the cursor goes to pos, or with -1 to the end.
func (p *Prompt) set(text []rune, pos int) {
	if pos < 0 {
		pos = len(text)
	}
	p.text, p.pos, p.chosen, p.problem = text, pos, -1, nil
	if p.Check != nil {
		p.problem = p.Check(string(text))
	}
	p.suggest()
}

func (p *Prompt) suggest() {
	p.base, p.choices = string(p.text[:p.pos]), nil
	if p.Suggest != nil {
		p.choices = p.Suggest(p.base)
	}
}

func (p *Prompt) cut(from, to int) {
	p.set(slices.Delete(slices.Clone(p.text), from, to), from)
}

// word returns where the word before the cursor begins.
func (p *Prompt) word() int {
	i := p.pos
	for i > 0 && p.text[i-1] == ' ' {
		i--
	}
	for i > 0 && p.text[i-1] != ' ' {
		i--
	}
	return i
}

// choose takes the next way to go on, or the one before.
func (p *Prompt) choose(n int) {
	if len(p.choices) == 0 {
		return
	}
	choices, base, rest := p.choices, p.base, p.text[p.pos:]
	next := p.chosen + n
	if p.chosen < 0 && n < 0 {
		next = len(choices) - 1
	}
	next = (next + len(choices)) % len(choices)
	text := append([]rune(choices[next]), rest...)
	p.set(text, len([]rune(choices[next])))
	if len(choices) > 1 { // another Tab goes on among the same
		p.choices, p.base, p.chosen = choices, base, next
	}
}

// remember goes back in the history by n lines.
func (p *Prompt) remember(n int) {
	if p.History == nil {
		return
	}
	lines := p.History.lines
	back := min(max(p.back+n, 0), len(lines))
	if p.back == 0 {
		p.draft = p.text
	}
	if p.back = back; back == 0 {
		p.set(p.draft, -1)
	} else {
		p.set([]rune(lines[len(lines)-back]), -1)
	}
}

func (p *Prompt) accept(m *Model) {
	text := string(p.text)
	if p.problem != nil {
		m.Notice = p.problem.Text
		return
	}
	m.prompt = nil
	if !p.Accept(m, text) {
		if m.prompt == nil {
			m.prompt = p
		}
		return
	}
	if p.History != nil {
		p.History.add(text)
	}
}

// draw puts the line at the foot of the screen and what helps to write it above
// it, and returns the column of the cursor.
func (p *Prompt) draw(c Canvas, notice string) (x int) {
	width, height := c.Size()
	c.Fill(height-1, Plain)
	start := c.Put(0, height-1, width, p.Label+" ", Title)
	text, shift := p.window(max(width-start-1, 1))
	c.Put(start, height-1, width, Printable(text), Plain)
	before := Printable(string(p.text[shift:p.pos]))
	x = start + runewidth.StringWidth(before)
	if height < 3 {
		return x
	}
	at := height - 2
	switch {
	case notice != "":
		c.Fill(at, Plain)
		c.Put(0, at, width, notice, Warning)
		at--
	case p.problem != nil && len(p.text) > 0:
		c.Fill(at, Plain)
		p.drawProblem(c, at, start, shift)
		at--
	}
	if len(p.choices) > 0 && at > 0 {
		c.Fill(at, Plain)
		p.drawChoices(c, at)
	}
	return x
}

// window returns the part of the text that fits, with the cursor in it, and
// where in the text it begins.
func (p *Prompt) window(width int) (text string, from int) {
	for from < p.pos && runewidth.StringWidth(Printable(string(p.text[from:p.pos]))) >= width {
		from++
	}
	return string(p.text[from:]), from
}

func (p *Prompt) drawProblem(c Canvas, y, start, shift int) {
	width, _ := c.Size()
	if p.problem.Column == 0 {
		c.Put(start, y, width, p.problem.Text, Error)
		return
	}
	column := min(max(p.problem.Column-1, shift), len(p.text))
	x := start + runewidth.StringWidth(Printable(string(p.text[shift:column])))
	room := width - x - 2
	if need := runewidth.StringWidth(p.problem.Text); need > room && x > need { // to the left of its mark
		c.Put(x-need-1, y, width, p.problem.Text+" ^", Error)
		return
	}
	c.Put(x, y, width, "^ "+p.problem.Text, Error)
}

// drawChoices shows the ways to go on, from the chosen one on where not all fit.
func (p *Prompt) drawChoices(c Canvas, y int) {
	width, _ := c.Size()
	common := strings.LastIndexAny(p.base, " (!") + 1
	x := 1
	for i := max(p.chosen, 0); i < len(p.choices) && x < width; i++ {
		style := Dim
		if i == p.chosen {
			style = Plain.Selected()
		}
		text := p.choices[i]
		if len(text) > common {
			text = text[common:]
		}
		x = c.Put(x, y, width, Printable(text), style) + 2
	}
}
