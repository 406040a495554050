package model

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/decode"
)

// A spot is a byte of a message: of its JMSType, or of its body.
type spot struct {
	offset int
	inType bool
}

// A span is a stretch of bytes that stands on one row.
type span struct {
	from, to int
	inType   bool
}

// A page is the bytes of a message in rows, those of the JMSType first, each of
// the two under a line that says what it is.
type page struct {
	rec      *capture.Record
	typ      []byte
	hex      bool
	typRows  []span
	bodyRows []span // as text; in hex they are worked out
	shown    int    // bytes of the body that are shown
}

// rawLimit is how much of a body is shown as text.
const rawLimit = 1 << 20

const hexRow = 16

func newPage(rec *capture.Record, hex bool, width int) *page {
	p := &page{rec: rec, typ: []byte(rec.Type()), hex: hex, shown: len(rec.Body)}
	if hex {
		for from := 0; from < len(p.typ); from += hexRow {
			p.typRows = append(p.typRows, span{from, min(from+hexRow, len(p.typ)), true})
		}
		return p
	}
	p.shown = min(p.shown, rawLimit)
	p.typRows = fold(p.typ, width, true)
	p.bodyRows = fold(rec.Body[:p.shown], width, false)
	return p
}

// fold cuts a text into rows: behind each line feed, and where a row is full.
func fold(text []byte, width int, inType bool) []span {
	var rows []span
	from, cells := 0, 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		wide := seenWidth(r)
		if cells+wide > width && i > from {
			rows = append(rows, span{from, i, inType})
			from, cells = i, 0
		}
		i += n
		if cells += wide; r == '\n' {
			rows = append(rows, span{from, i, inType})
			from, cells = i, 0
		}
	}
	if from < len(text) {
		rows = append(rows, span{from, len(text), inType})
	}
	return rows
}

// seenWidth is how many columns a character takes once it is made printable:
// most that have no width of their own are then visible.
func seenWidth(r rune) int {
	if w := runewidth.RuneWidth(r); w > 0 {
		return w
	}
	return runewidth.StringWidth(Printable(string(r)))
}

func (p *page) rows() int {
	if p.hex {
		return len(p.typRows) + (p.shown+hexRow-1)/hexRow
	}
	return len(p.typRows) + len(p.bodyRows)
}

func (p *page) row(i int) span {
	switch j := i - len(p.typRows); {
	case j < 0:
		return p.typRows[i]
	case p.hex:
		return span{j * hexRow, min(j*hexRow+hexRow, p.shown), false}
	default:
		return p.bodyRows[j]
	}
}

// rowOf returns the row that a byte stands on, else the last.
func (p *page) rowOf(at spot) int {
	if p.hex && !at.inType {
		return min(len(p.typRows)+at.offset/hexRow, max(p.rows()-1, 0))
	}
	for i := range p.rows() {
		if r := p.row(i); r.inType == at.inType && at.offset < r.to {
			return i
		}
	}
	return max(p.rows()-1, 0)
}

// line returns the line of the view that a row stands on.
func (p *page) line(row int) int {
	if row < len(p.typRows) {
		return 1 + row
	}
	return 2 + row
}

func (p *page) lines() int {
	n := p.rows() + 2
	if p.shown < len(p.rec.Body) {
		n++
	}
	return n
}

// text returns a line; the bytes of lit are lit, and the one at the cursor is
// selected.
func (p *page) text(i int, lit span, at spot) Line {
	typ := p.rec.JMSType
	switch {
	case i == 0 && typ == nil:
		return Line{Style: Dim, Label: "JMSType", Text: "absent"}
	case i == 0:
		return Line{Style: Dim, Label: "JMSType", Text: fmt.Sprintf("%d bytes", len(p.typ))}
	case i <= len(p.typRows):
		return p.bytes(p.row(i-1), lit, at)
	case i == len(p.typRows)+1:
		return Line{Style: Dim, Label: "body", Text: Printable(bodySays(p.rec))}
	case i-2 < p.rows():
		return p.bytes(p.row(i-2), lit, at)
	}
	return Line{Style: Warning, Text: fmt.Sprintf("%d bytes more: the hex view has them all", len(p.rec.Body)-p.shown)}
}

// styled is the style of a byte.
func styled(i int, inType bool, lit span) Style {
	s := Plain
	if lit.inType == inType && i >= lit.from && i < lit.to {
		s = s.Lit()
	}
	return s
}

func (p *page) bytes(row, lit span, at spot) Line {
	text := p.rec.Body
	if row.inType {
		text = p.typ
	}
	var l Line
	if p.hex {
		l.hexBytes(text, row, lit, at)
	} else {
		l.textBytes(text, row, lit, at)
	}
	for _, part := range l.Parts {
		l.Text += part.Text
	}
	return l
}

func (l *Line) textBytes(text []byte, row, lit span, at spot) {
	for i := row.from; i < row.to; {
		_, n := utf8.DecodeRune(text[i:])
		n = min(n, row.to-i)
		style := styled(i, row.inType, lit)
		if at.inType == row.inType && at.offset >= i && at.offset < i+n {
			style = style.Selected()
		}
		l.part(Printable(string(text[i:i+n])), style)
		i += n
	}
}

func (l *Line) hexBytes(text []byte, row, lit span, at spot) {
	style := func(i int) Style {
		s := styled(i, row.inType, lit)
		if (at == spot{i, row.inType}) {
			s = s.Selected()
		}
		return s
	}
	l.part(fmt.Sprintf("%08x  ", row.from), Dim)
	for j := range hexRow {
		i := row.from + j
		if j == hexRow/2 {
			l.part(" ", Plain)
		}
		if i >= row.to {
			l.part("   ", Plain)
			continue
		}
		l.part(fmt.Sprintf("%02x", text[i]), style(i))
		l.part(" ", Plain)
	}
	l.part(" |", Plain)
	for i := row.from; i < row.to; i++ {
		b := text[i]
		if b < ' ' || b > '~' {
			b = '.'
		}
		l.part(string(b), style(i))
	}
	l.part("|", Plain)
}

// part adds a text to the line.
func (l *Line) part(text string, style Style) {
	if n := len(l.Parts); n > 0 && l.Parts[n-1].Style == style {
		l.Parts[n-1].Text += text
		return
	}
	l.Parts = append(l.Parts, Part{text, style})
}

// size returns how many bytes of the JMSType, or of the body, are shown.
func (p *page) size(inType bool) int {
	if inType {
		return len(p.typ)
	}
	return p.shown
}

// step returns the byte n characters on; in hex, n bytes on. JMSType and body
// follow each other.
func (p *page) step(at spot, n int) spot {
	for ; n > 0; n-- {
		next := at.offset + p.runeLen(at)
		switch {
		case next < p.size(at.inType):
			at.offset = next
		case at.inType && p.shown > 0:
			at = spot{0, false}
		}
	}
	for ; n < 0; n++ {
		switch {
		case at.offset > 0:
			at.offset = p.runeStart(spot{at.offset - 1, at.inType})
		case !at.inType && len(p.typ) > 0:
			at = spot{p.runeStart(spot{len(p.typ) - 1, true}), true}
		}
	}
	return at
}

func (p *page) part(at spot) []byte {
	if at.inType {
		return p.typ
	}
	return p.rec.Body
}

func (p *page) runeLen(at spot) int {
	if p.hex || at.offset >= len(p.part(at)) {
		return 1
	}
	_, n := utf8.DecodeRune(p.part(at)[at.offset:])
	return n
}

func (p *page) runeStart(at spot) int {
	if p.hex {
		return at.offset
	}
	_, n := utf8.DecodeLastRune(p.part(at)[:at.offset+1])
	return at.offset + 1 - n
}

// moveRows returns the byte n rows on, about as far from the left.
func (p *page) moveRows(at spot, n int) spot {
	if p.rows() == 0 {
		return at
	}
	row := p.rowOf(at)
	column := at.offset - p.row(row).from
	to := p.row(min(max(row+n, 0), p.rows()-1))
	next := spot{min(to.from+max(column, 0), to.to-1), to.inType}
	next.offset = max(p.runeStart(next), to.from)
	return next
}

// under returns the byte that stands at a column of a row.
func (p *page) under(row, x int) spot {
	r := p.row(row)
	if p.hex {
		j := (x - 10) / 3
		switch {
		case x >= 61:
			j = x - 61
		case x >= 10+hexRow/2*3+1:
			j = (x - 11) / 3
		}
		return spot{min(r.from+max(j, 0), r.to-1), r.inType}
	}
	i, cells := r.from, 0
	for i < r.to {
		c, n := utf8.DecodeRune(p.part(spot{0, r.inType})[i:])
		if cells += seenWidth(c); cells > x || i+n >= r.to {
			break
		}
		i += n
	}
	return spot{i, r.inType}
}

// excerpt is the bytes around a field on one line.
func (p *page) excerpt(lit span, width int) Line {
	text := p.part(spot{0, lit.inType})
	from := max(0, lit.from-width/4)
	for from > 0 && !utf8.RuneStart(text[from]) {
		from--
	}
	row := span{from, min(len(text), from+width), lit.inType}
	var l Line
	if from > 0 {
		l.part("…", Dim)
	}
	l.textBytes(text, row, lit, spot{-1, false})
	return l
}

// meaning explains a value that is one of the protocol's words: empty where it
// is none. The tables are decode's.
func meaning(field, text string) string {
	name := strings.ToLower(field[strings.LastIndexByte(field, '.')+1:])
	switch {
	case text == "":
		return ""
	case strings.HasSuffix(name, "state"):
		return stateMeaning(text, decode.AgentStates(), decode.DialogStates())
	case name == "calltype":
		return stateMeaning(text, decode.CallTypes())
	case strings.Contains(name, "cause"):
		return stateMeaning(text, decode.FailureCauses())
	case strings.Contains(name, "error") || name == "code":
		if e := decode.LookupError(text); e != nil {
			return e.Meaning
		}
	}
	return ""
}

func stateMeaning(word string, lists ...[]decode.StateInfo) string {
	for _, list := range lists {
		for _, s := range list {
			if !strings.EqualFold(s.Name, word) {
				continue
			}
			if s.Doc != "" {
				return s.Doc
			}
			return s.Text
		}
	}
	return ""
}
