package model

import (
	"context"
	"fmt"
	"strings"
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
		c.Put(x, y, width, line.Text, line.Style)
	}
}

// A Reader shows one message: decoded, as it came, or in hex.
type Reader struct {
	Scroll
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

// Resize folds the text anew.
func (r *Reader) Resize(width, height int) {
	r.width, r.height = width, height
	offset := r.offset
	r.turnTo(r.view)
	r.offset = offset
	r.by(0)
}

// Tick is the list's: it goes on under what is read.
func (r *Reader) Tick() { r.list.Tick() }

// Click does nothing: there is nothing to select.
func (r *Reader) Click(*Model, int, int) {}

// turnTo shows the message in a way.
func (r *Reader) turnTo(v Name) {
	r.view, r.offset = v, 0
	switch {
	case r.missing != 0 && r.missing == r.wanted():
		r.text = textOf([]Line{{Style: Warning, Text: fmt.Sprintf("message %d could not be read", r.missing)}})
	case r.record == nil:
		r.text = Text{}
	case v == Raw:
		r.text = rawText(&r.record.Record, r.width)
	case v == Hex:
		r.text = hexText(r.record.Body)
	default:
		r.text = detailText(r.record, &r.msg, r.width)
	}
}

var turn = map[Name]Name{Detail: Raw, Raw: Hex, Hex: Detail}

// Do does an action of the reader.
func (r *Reader) Do(m *Model, action string) bool {
	if n, ok := Steps(action, r.height); ok {
		r.by(n)
		return true
	}
	switch action {
	case "filter.value":
		m.filterBy("")
	case "mark":
		m.toggleMark(r.wanted())
	case "mark.note":
		m.askMark(r.wanted())
	case "copy":
	case "copy.message":
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
type helpView struct{ Scroll }

func newHelp(of Name) *helpView { return &helpView{Scroll{text: helpText(of)}} }

// Name is Help.
func (h *helpView) Name() Name { return Help }

// Title says where in the help the screen is.
func (h *helpView) Title() string { return "gctap  help  " + h.Position() }

// Resize does not fold the lines.
func (h *helpView) Resize(_, height int) {
	h.height = height
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

// rawLimit is how much of a body the raw view shows.
const rawLimit = 1 << 20

func rawText(rec *capture.Record, width int) Text {
	t := builder{width: width}
	if rec.JMSType == nil {
		t.add(Dim, "JMSType", "absent")
	} else {
		t.add(Plain, "JMSType", *rec.JMSType)
	}
	t.add(Dim, "body", bodySays(rec))
	t.line(Line{})
	body := rec.Body[:min(len(rec.Body), rawLimit)]
	for line := range strings.SplitAfterSeq(string(body), "\n") {
		t.wrap(Plain, "", line)
	}
	if rest := len(rec.Body) - len(body); rest > 0 {
		t.add(Warning, "", fmt.Sprintf("%d bytes more: the hex view has them all", rest))
	}
	return textOf(t.lines)
}

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

// hexText makes its lines when they are looked at: a body may be large.
func hexText(body []byte) Text {
	if len(body) == 0 {
		return textOf([]Line{{Style: Dim, Text: "no bytes"}})
	}
	return Text{(len(body) + 15) / 16, func(i int) Line {
		part := body[i*16 : min(len(body), i*16+16)]
		var hex, text strings.Builder
		for j, b := range part {
			if j == 8 {
				hex.WriteByte(' ')
			}
			fmt.Fprintf(&hex, "%02x ", b)
			if b < ' ' || b > '~' {
				b = '.'
			}
			text.WriteByte(b)
		}
		return Line{Text: fmt.Sprintf("%08x  %-49s |%s|", i*16, hex.String(), text.String())}
	}}
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
	}
	if spec := msg.Spec(); spec != nil {
		t.wrap(Dim, "", spec.Doc)
	}
	t.line(Line{})
	for _, f := range msg.Fields {
		t.field(0, f.Name, f.Value)
	}
	if len(msg.Fields) == 0 {
		t.add(Dim, "", "no fields")
	}
	if len(msg.Findings) > 0 {
		t.heading("Findings")
		for _, f := range msg.Findings {
			t.wrap(severityStyle[f.Severity], f.Code, strings.TrimSpace(f.Field+" "+f.Text)+fmt.Sprintf(" (byte %d)", f.Offset))
		}
	}
	t.heading("Message")
	t.facts(row, msg)
	if len(row.Headers) > 0 {
		t.heading("Headers")
		for _, h := range row.Headers {
			t.wrap(Plain, h.Name, h.Value)
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
	for _, fact := range [][2]string{
		{"protocol", msg.Protocol + ", " + msg.Kind},
		{"captured", row.CapturedAt.UTC().Format(stamp)},
		{"sent", sent},
		{"destination", row.To},
		{"originally", row.OriginalTo},
		{"from", row.From},
		{"reply to", row.ReplyTo},
		{"connection", row.Conn},
		{"message id", row.MessageID},
		{"correlation", row.CorrelationID},
		{"type", row.Type()},
		{"body", bodySays(&row.Record)},
		{"agent", msg.Agent},
		{"conversation", row.Conversation},
		{"subject", row.Subject},
		{"sender", sender},
		{"seen by", strings.TrimSpace(row.Source + " " + row.Via)},
	} {
		if fact[1] != "" {
			t.wrap(Plain, fact[0], fact[1])
		}
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
	t.line(Line{style, Printable(label), Printable(text)})
}

func (t *builder) heading(text string) {
	t.line(Line{})
	t.line(Line{Style: Title, Text: text})
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
		t.line(Line{style, label, part})
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
func (t *builder) field(depth int, name string, v decode.Value) {
	label := strings.Repeat("  ", min(depth, depthLimit)) + name
	if v.Secret() {
		t.add(Plain, label, "***")
		return
	}
	if text, ok := v.Scalar(); ok {
		if text == "" {
			t.add(Dim, label, `""`)
		} else {
			t.wrap(Plain, label, clip(text))
		}
		return
	}
	v = v.Expand()
	switch {
	case v.Kind == decode.KindJSON || depth > depthLimit:
		t.wrap(Plain, label, clip(v.Text))
		return
	case len(v.Parts) == 0 && v.Kind == decode.KindList:
		t.add(Dim, label, "[]")
	case len(v.Parts) == 0:
		t.add(Dim, label, "{}")
	default:
		t.add(Plain, label, "")
	}
	for i, p := range v.Parts {
		if len(t.lines) > partsLimit {
			t.add(Dim, label, fmt.Sprintf("%d more", len(v.Parts)-i))
			return
		}
		if v.Kind == decode.KindList {
			p.Name = fmt.Sprintf("[%d]", i)
		}
		t.field(depth+1, p.Name, p.Value)
	}
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
