package model

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/store"
)

// A Line is one printable line of a text, with a label in front.
type Line struct {
	Style Style
	Label string
	Text  string
	Parts []Part // the text in several styles; nil: all of it is in Style

	path  string // of the field that the line shows
	value string // that it shows, to be copied
	term  string // of a filter, for messages that have that value too
}

// A Part is a stretch of a line.
type Part struct {
	Text  string
	Style Style
}

// A Text is any number of lines, made when they are asked for.
type Text struct {
	Len  int
	Line func(i int) Line
}

func textOf(lines []Line) Text {
	return Text{len(lines), func(i int) Line { return lines[i] }}
}

// A Scroll is a text of which a part is on the screen.
type Scroll struct {
	text   Text
	offset int
	height int
}

// Visible returns the lines on the screen.
func (s *Scroll) Visible() []Line {
	lines := make([]Line, 0, s.height)
	for i := s.offset; i < min(s.text.Len, s.offset+s.height); i++ {
		lines = append(lines, s.text.Line(i))
	}
	return lines
}

// Position says where in the text the screen is.
func (s *Scroll) Position() string {
	return fmt.Sprintf("lines %d-%d of %d", min(s.offset+1, s.text.Len), min(s.text.Len, s.offset+s.height), s.text.Len)
}

func (s *Scroll) by(n int) { s.offset = max(0, min(s.offset+n, s.text.Len-s.height)) }

// Draw shows the lines on the screen.
func (s *Scroll) Draw(c Canvas) {
	width, _ := c.Size()
	for y, line := range s.Visible() {
		x := 0
		if line.Label != "" {
			c.Put(0, y, width, line.Label, Dim)
			x = TextColumn(line.Label)
		}
		line.draw(c, x, y, width)
	}
}

func (l *Line) draw(c Canvas, x, y, width int) {
	if l.Parts == nil {
		c.Put(x, y, width, l.Text, l.Style)
	}
	for _, part := range l.Parts {
		x = c.Put(x, y, width, part.Text, part.Style)
	}
}

// A Reader shows one message: decoded, as it came, or in hex. What is selected
// is a field and a byte of it: in one way the bytes of the field are lit, in the
// others the field follows the byte.
type Reader struct {
	Scroll
	page    *page     // as it came, or in hex; nil: decoded
	path    string    // of the selected field; empty: none
	at      spot      // the selected byte
	line    int       // the selected line, decoded
	list    *Messages // whose selected message is read
	seq     int64     // that is read instead; 0: the selected one
	session int64
	record  *store.Row
	msg     decode.Message
	missing int64 // seq of a message that could not be read
	view    Name  // Detail, Raw or Hex
	width   int
}

// open begins to read a message; with seq 0 the one that the list has selected.
func (r *Reader) open(v Name, seq int64) {
	if r.seq, r.missing = seq, 0; !r.holds() {
		r.record = nil
	}
	r.path, r.at, r.line, r.offset = "", spot{}, 0, 0
	r.turnTo(v)
}

// wanted returns the message that is to be shown.
func (r *Reader) wanted() int64 {
	if r.seq != 0 {
		return r.seq
	}
	return r.list.Selected
}

// holds reports whether the reader has the message that is to be shown.
func (r *Reader) holds() bool {
	return r.record != nil && r.session == r.list.Session.ID && r.record.Seq == r.wanted()
}

// Record returns the message that is read; nil while it is on its way.
func (r *Reader) Record() *store.Row { return r.record }

// Message returns what decode makes of it.
func (r *Reader) Message() *decode.Message { return &r.msg }

// Name is that of the way in which the message is shown.
func (r *Reader) Name() Name { return r.view }

// Title names the message and says where in it the screen is.
func (r *Reader) Title() string {
	return fmt.Sprintf("%s  message %d of %s  %s", r.view, r.wanted(), Printable(r.list.Session.Name), r.Position())
}

// Place is the message.
func (r *Reader) Place() Place {
	at := r.list.Place()
	at.Seq = r.wanted()
	return at
}

// Visit reads another message.
func (r *Reader) Visit(at Place) { r.open(r.view, at.Seq) }

// Resize folds the text anew. The last line says what is selected.
func (r *Reader) Resize(width, height int) {
	r.width, r.height = width, max(height-1, 1)
	r.turnTo(r.view)
}

// Tick is the list's: it goes on under what is read.
func (r *Reader) Tick() { r.list.Tick() }

// Click selects a line, or a byte.
func (r *Reader) Click(_ *Model, x, y int) {
	i := r.offset + y
	switch {
	case r.record == nil || y >= r.height || i >= r.text.Len:
	case r.page == nil:
		r.selectLine(i)
	case i >= 1 && i <= len(r.page.typRows):
		r.selectByte(r.page.under(i-1, x))
	case i >= len(r.page.typRows)+2 && i-2 < r.page.rows():
		r.selectByte(r.page.under(i-2, x))
	}
}

// turnTo shows the message in a way, with the same field selected.
func (r *Reader) turnTo(v Name) {
	r.view, r.page = v, nil
	switch {
	case r.missing != 0 && r.missing == r.wanted():
		r.text = textOf([]Line{{Style: Warning, Text: fmt.Sprintf("message %d could not be read", r.missing)}})
	case r.record == nil:
		r.text = Text{}
	case v == Detail:
		r.text = detailText(r.record, &r.msg, r.width)
		r.selectLine(r.lineOf(r.path))
	default:
		r.page = newPage(&r.record.Record, v == Hex, r.width)
		r.text = Text{r.page.lines(), func(i int) Line { return r.page.text(i, r.lit(), r.at) }}
		r.selectByte(r.at)
	}
	r.by(0)
}

// lineOf returns the first line that shows a field, else the selected one.
func (r *Reader) lineOf(path string) int {
	for i := 0; path != "" && i < r.text.Len; i++ {
		if r.text.Line(i).path == path {
			return i
		}
	}
	return r.line
}

// selectLine selects a line, and the field that it shows.
func (r *Reader) selectLine(i int) {
	r.line = min(max(i, 0), max(r.text.Len-1, 0))
	r.see(r.line)
	if r.text.Len == 0 {
		return
	}
	if r.path = r.text.Line(r.line).path; r.path != "" {
		lit := r.lit()
		r.at = spot{lit.from, lit.inType}
	}
}

// selectByte selects a byte, and the field that holds it.
func (r *Reader) selectByte(at spot) {
	if at.inType && len(r.page.typ) == 0 || !at.inType && r.page.shown == 0 {
		at = spot{0, !at.inType}
	}
	at.offset = min(max(at.offset, 0), max(r.page.size(at.inType)-1, 0))
	r.at = at
	if lit := r.lit(); lit.inType != at.inType || at.offset < lit.from || at.offset >= lit.to {
		r.path = r.msg.FieldAt(at.offset, at.inType)
	}
	r.see(r.page.line(r.page.rowOf(at)))
}

// see brings a line onto the screen.
func (r *Reader) see(i int) {
	if i <= 2 { // with what stands above the first
		i = 0
	}
	r.offset = max(min(r.offset, i), i-r.height+1)
}

// lit returns where the selected field stands; the zero span: nowhere.
func (r *Reader) lit() span {
	for _, p := range r.msg.Places() {
		if p.Path == r.path && r.path != "" {
			return span{p.Start, p.End, p.InType}
		}
	}
	return span{}
}

// Draw shows the text, and on the last line the selected field and its bytes.
func (r *Reader) Draw(c Canvas) {
	width, height := c.Size()
	if r.page == nil && r.record != nil && r.height < height {
		c.Fill(r.line-r.offset, Plain.Selected())
	}
	for y, line := range r.Visible() {
		x := 0
		label := Dim
		if r.page == nil && r.record != nil && y+r.offset == r.line {
			line.Style, label = line.Style.Selected(), label.Selected()
		}
		if line.Label != "" {
			c.Put(0, y, width, line.Label, label)
			x = TextColumn(line.Label)
		}
		line.draw(c, x, y, width)
	}
	if r.record != nil && height > r.height {
		r.drawStatus(c, height-1)
	}
}

// drawStatus says which field is selected and where it stands.
func (r *Reader) drawStatus(c Canvas, y int) {
	width, _ := c.Size()
	x := 0
	lit := r.lit()
	if r.page != nil {
		where := "body"
		if r.at.inType {
			where = "JMSType"
		}
		x = c.Put(0, y, width, fmt.Sprintf("byte %d of the %s  ", r.at.offset, where), Dim)
	}
	if r.path == "" {
		return
	}
	x = c.Put(x, y, width, r.path+" ", Title)
	if r.page != nil {
		line := r.text0(r.path)
		c.Put(x, y, width, line, Plain)
		return
	}
	if lit.to > lit.from {
		x = c.Put(x, y, width, fmt.Sprintf("bytes %d-%d  ", lit.from, lit.to-1), Dim)
		excerpt := newPage(&r.record.Record, true, width).excerpt(lit, width-x)
		excerpt.draw(c, x, y, width)
	}
}

// text0 is the value of a field and what it means.
func (r *Reader) text0(path string) string {
	v, ok := r.msg.Get(path)
	if !ok {
		return ""
	}
	text := "***"
	if !v.Secret() {
		text = valueText(v)
	}
	if m := meaning(path, text); m != "" {
		text += "  " + m
	}
	return Printable(text)
}

// valueText is a value as one text.
func valueText(v decode.Value) string {
	if text, ok := v.Scalar(); ok {
		return clip(text)
	}
	return clip(string(v.AppendJSON(nil)))
}

var turn = map[Name]Name{Detail: Raw, Raw: Hex, Hex: Detail}

// Do does an action of the reader.
func (r *Reader) Do(m *Model, action string) bool {
	if n, ok := Steps(action, r.height); ok {
		r.steps(n)
		return true
	}
	switch action {
	case "byte.next":
		r.byte(1)
	case "byte.prev":
		r.byte(-1)
	case "filter":
		m.askFilter(r.list.Filter.String())
	case "filter.value":
		m.filterBy(r.term())
	case "mark":
		m.toggleMark(r.wanted())
	case "mark.note":
		m.askMark(r.wanted())
	case "copy":
		r.copy(m)
	case "copy.message":
		if r.record != nil {
			m.Copy(fmt.Sprint("message ", r.record.Seq), messageText(r.record))
		}
	case "message.next":
		r.neighbour(1)
	case "message.prev":
		r.neighbour(-1)
	case "view.detail":
		r.turnTo(Detail)
	case "view.raw":
		r.turnTo(Raw)
	case "view.hex":
		r.turnTo(Hex)
	case "view.turn":
		r.turnTo(turn[r.view])
	default:
		return false
	}
	return true
}

// steps moves what is selected by lines.
func (r *Reader) steps(n int) {
	switch {
	case r.record == nil:
	case r.page == nil:
		r.selectLine(r.line + n)
	case n == Far:
		r.selectByte(r.page.moveRows(spot{r.page.shown, false}, Far))
	default:
		r.selectByte(r.page.moveRows(r.at, n))
	}
}

// byte moves by bytes; where fields are shown, by fields.
func (r *Reader) byte(n int) {
	switch {
	case r.record == nil:
	case r.page != nil:
		r.selectByte(r.page.step(r.at, n))
	default:
		for i := r.line + n; i >= 0 && i < r.text.Len; i += n {
			if path := r.text.Line(i).path; path != "" && path != r.path {
				r.selectLine(i)
				return
			}
		}
	}
}

// selected returns the line of the selected field, or of whatever is selected.
func (r *Reader) selected() Line {
	switch {
	case r.record == nil || r.text.Len == 0:
		return Line{}
	case r.page == nil:
		return r.text.Line(r.line)
	}
	v, ok := r.msg.Get(r.path)
	if !ok || v.Secret() {
		return Line{}
	}
	return fieldLine(r.path, v)
}

// term accepts messages with the selected value.
func (r *Reader) term() string { return r.selected().term }

// copy puts the selected value on the clipboard.
func (r *Reader) copy(m *Model) {
	line := r.selected()
	switch {
	case line.path != "":
		m.Copy(line.path, line.value)
	case line.value != "":
		m.Copy("the value", line.value)
	default:
		m.Notice = "there is no value here: Y copies the message"
	}
}

// neighbour moves the list's selection, which is then read.
func (r *Reader) neighbour(n int) {
	if r.seq != 0 && r.seq != r.list.Selected {
		r.list.goTo(r.seq)
	}
	r.seq, r.missing = 0, 0
	r.list.move(n)
}

// Next asks for the message, and then for what the list needs.
func (r *Reader) Next() *Task {
	seq, id := r.wanted(), r.list.Session.ID
	if seq == 0 || seq == r.missing || r.holds() {
		return r.list.Next()
	}
	return &Task{
		What:   fmt.Sprint("reading message ", seq),
		Wanted: func() bool { return r.wanted() == seq },
		Do: func(ctx context.Context, src Source, _ *Progress) (func(), error) {
			rows, err := src.After(ctx, id, seq-1, 1)
			if err != nil {
				return nil, err
			}
			if len(rows) == 0 || rows[0].Seq != seq {
				return nil, fmt.Errorf("message %d is gone from the store", seq)
			}
			msg := flow.Decode(&rows[0].Record, decode.Options{})
			return func() {
				r.session, r.record, r.msg = id, &rows[0], msg
				r.at, r.line, r.offset = spot{}, 0, 0 // the same field, if there is one
				r.turnTo(r.view)
			}, nil
		},
		Failed: func(error) {
			r.missing, r.record = seq, nil
			r.turnTo(r.view)
		},
	}
}

// A helpView is the help screen, over the view that it explains.
type helpView struct {
	Scroll
	of Name
}

func newHelp(of Name) *helpView { return &helpView{of: of} }

// Name is Help.
func (h *helpView) Name() Name { return Help }

// Title says where in the help the screen is.
func (h *helpView) Title() string { return "gctap  help  " + h.Position() }

// Resize folds the text anew.
func (h *helpView) Resize(width, height int) {
	h.text, h.height = helpText(h.of, width), height
	h.by(0)
}

// Do scrolls.
func (h *helpView) Do(_ *Model, action string) bool {
	n, ok := Steps(action, h.height)
	if ok {
		h.by(n)
	}
	return ok
}

// Click does nothing.
func (h *helpView) Click(*Model, int, int) {}

// Tick does nothing.
func (h *helpView) Tick() {}

// Next needs nothing.
func (h *helpView) Next() *Task { return nil }

func bodySays(rec *capture.Record) string {
	text := fmt.Sprintf("%s, %d bytes", rec.BodyKind, len(rec.Body))
	if rec.Body == nil {
		text = string(rec.BodyKind) + ", none"
	}
	if rec.Truncated > 0 {
		text += fmt.Sprintf(", %d more were not kept", rec.Truncated)
	}
	return text
}

// detailText is the message decoded: what it is, its fields, what is wrong with
// it, and what came with it.
func detailText(row *store.Row, msg *decode.Message, width int) Text {
	t := builder{width: width}
	if _, ok := row.Gap(); ok {
		t.wrap(Warning, "gap", Summary(&row.Record, msg))
		return textOf(t.lines)
	}
	if kind := RowName(&row.Record, msg); row.Direction == capture.Note && kind != "" {
		t.add(Title, "", kind+", seen on the wire")
	} else if msg.Name == "" {
		t.add(Title, "", "not a message of the protocol")
	} else {
		t.add(Title, "", strings.TrimSpace(msg.Name+" "+msg.Variant))
		t.about(0, Line{value: msg.Name, term: term("name", msg.Name)})
	}
	if spec := msg.Spec(); spec != nil {
		t.wrap(Dim, "", spec.Doc)
	}
	t.line(Line{})
	for _, f := range msg.Fields {
		t.field(0, f.Name, f.Name, f.Value)
	}
	if len(msg.Fields) == 0 {
		t.add(Dim, "", "no fields")
	}
	if len(msg.Findings) > 0 {
		t.heading("Findings")
		for _, f := range msg.Findings {
			from := len(t.lines)
			t.wrap(severityStyle[f.Severity], f.Code, strings.TrimSpace(f.Field+" "+f.Text)+fmt.Sprintf(" (byte %d)", f.Offset))
			t.about(from, Line{path: f.Field, value: f.Text, term: fmt.Sprintf("finding(%q)", f.Code)})
		}
	}
	t.heading("Message")
	t.facts(row, msg)
	if len(row.Headers) > 0 {
		t.heading("Headers")
		for _, h := range row.Headers {
			from := len(t.lines)
			t.wrap(Plain, h.Name, h.Value)
			t.about(from, Line{value: h.Value, term: term("properties["+strconv.Quote(h.Name)+"]", h.Value)})
		}
	}
	return textOf(t.lines)
}

var severityStyle = map[string]Style{"note": Dim, "warning": Warning, "error": Error}

// facts are what is known of the message beside its content.
func (t *builder) facts(row *store.Row, msg *decode.Message) {
	const stamp = "2006-01-02 15:04:05.000000000 MST"
	sent := ""
	if row.SentAt != nil {
		sent = row.SentAt.UTC().Format(stamp)
	}
	sender := row.Sender
	if row.Basis != "" {
		sender = strings.TrimSpace(sender + " (" + row.Basis + ")")
	}
	for _, fact := range []struct{ label, text, name, value string }{
		{"protocol", msg.Protocol + ", " + msg.Kind, "protocol", msg.Protocol},
		{"captured", row.CapturedAt.UTC().Format(stamp), "capturedAt", row.CapturedAt.UTC().Format(time.RFC3339Nano)},
		{"sent", sent, "", ""},
		{"destination", row.To, "destination", row.To},
		{"originally", row.OriginalTo, "", ""},
		{"from", row.From, "from", row.From},
		{"reply to", row.ReplyTo, "replyTo", row.ReplyTo},
		{"connection", row.Conn, "connection", row.Conn},
		{"message id", row.MessageID, "messageId", row.MessageID},
		{"correlation", row.CorrelationID, "correlationId", row.CorrelationID},
		{"type", row.Type(), "jmsType", row.Type()},
		{"body", bodySays(&row.Record), "body", string(row.Body)},
		{"agent", msg.Agent, "agent", msg.Agent},
		{"conversation", row.Conversation, "conversation", row.Conversation},
		{"subject", row.Subject, "subject", row.Subject},
		{"sender", sender, "sender.agent", row.Sender},
		{"seen by", strings.TrimSpace(row.Source + " " + row.Via), "via", row.Via},
	} {
		if fact.text == "" {
			continue
		}
		from := len(t.lines)
		t.wrap(Plain, fact.label, fact.text)
		about := Line{value: fact.text}
		if fact.name != "" && fact.value != "" && len(fact.value) < termLimit {
			about.term, about.value = term(fact.name, fact.value), fact.value
		}
		t.about(from, about)
	}
	for _, mask := range row.Masked {
		t.wrap(Dim, "masked", fmt.Sprintf("%s, bytes %d to %d", orWhole(mask.Field), mask.Start, mask.End))
	}
}

func orWhole(field string) string {
	if field == "" {
		return "the whole body"
	}
	return field
}

// A builder collects lines, made printable and cut to the width.
type builder struct {
	width int
	lines []Line
}

// labelWidth is the column that texts begin in.
const labelWidth = 22

func (t *builder) line(l Line) { t.lines = append(t.lines, l) }

func (t *builder) add(style Style, label, text string) {
	t.line(Line{Style: style, Label: Printable(label), Text: Printable(text)})
}

func (t *builder) heading(text string) {
	t.line(Line{})
	t.line(Line{Style: Title, Text: text})
}

// about says of the lines from an index on what they show.
func (t *builder) about(from int, what Line) {
	for i := from; i < len(t.lines); i++ {
		t.lines[i].path, t.lines[i].value, t.lines[i].term = what.path, what.value, what.term
	}
}

// termLimit bounds a value that is filtered by, in bytes.
const termLimit = 1000

// fieldLine is what a line that shows a field knows of it.
func fieldLine(path string, v decode.Value) Line {
	text := valueText(v)
	l := Line{path: path, value: text}
	if scalar, ok := v.Scalar(); ok && len(scalar) < termLimit {
		l.term = fieldTerm(path, scalar)
	}
	return l
}

// wrap adds a text that may need several lines.
func (t *builder) wrap(style Style, label, text string) {
	label, text = Printable(label), Printable(text)
	width := t.width
	if label != "" {
		width -= TextColumn(label)
	}
	for first := true; first || text != ""; first = false {
		var part string
		part, text = cut(text, max(width, 10))
		t.line(Line{Style: style, Label: label, Text: part})
		if label != "" {
			label = " "
		}
	}
}

// cut splits text where it fills width cells.
func cut(text string, width int) (part, rest string) {
	cells := 0
	for i, r := range text {
		if cells += runewidth.RuneWidth(r); cells > width && i > 0 {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// depthLimit and partsLimit bound what is shown of one value.
const (
	depthLimit = 20
	partsLimit = 5000
)

// field adds a value and, indented below it, its parts.
func (t *builder) field(depth int, path, name string, v decode.Value) {
	label := strings.Repeat("  ", min(depth, depthLimit)) + name
	from := len(t.lines)
	if v.Secret() {
		t.add(Plain, label, "***")
		t.about(from, Line{path: path})
		return
	}
	if text, ok := v.Scalar(); ok {
		switch m := meaning(path, text); {
		case text == "":
			t.add(Dim, label, `""`)
		case m != "":
			t.explained(label, text, m)
		default:
			t.wrap(Plain, label, clip(text))
		}
		t.about(from, fieldLine(path, v))
		return
	}
	v = v.Expand()
	switch {
	case v.Kind == decode.KindJSON || depth > depthLimit:
		t.wrap(Plain, label, clip(v.Text))
		t.about(from, Line{path: path, value: clip(v.Text)})
		return
	case len(v.Parts) == 0 && v.Kind == decode.KindList:
		t.add(Dim, label, "[]")
	case len(v.Parts) == 0:
		t.add(Dim, label, "{}")
	default:
		t.add(Plain, label, "")
	}
	t.about(from, Line{path: path, value: valueText(v)})
	for i, p := range v.Parts {
		if len(t.lines) > partsLimit {
			t.add(Dim, label, fmt.Sprintf("%d more", len(v.Parts)-i))
			return
		}
		below := path + "." + p.Name
		if v.Kind == decode.KindList {
			p.Name = fmt.Sprintf("[%d]", i)
			below = path + p.Name
		}
		t.field(depth+1, below, p.Name, p.Value)
	}
}

// explained adds a value that is one of the protocol's words, and what it means.
func (t *builder) explained(label, text, meaning string) {
	label, text, meaning = Printable(label), Printable(text), Printable(meaning)
	t.line(Line{Label: label, Text: text + "  " + meaning, Parts: []Part{{text, Plain}, {"  " + meaning, Dim}}})
}

// clip bounds a text to what a screen can be scrolled through.
func clip(text string) string {
	const limit = 64 << 10
	if len(text) <= limit {
		return text
	}
	to := limit
	for !utf8.RuneStart(text[to]) {
		to--
	}
	return text[:to] + fmt.Sprintf("… %d bytes more", len(text)-to)
}

// TextColumn is where the text of a line with that label begins.
func TextColumn(label string) int { return max(labelWidth, runewidth.StringWidth(label)+2) }
