package model

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/decode"
	"gctap/store"
)

// A Style is the role of a line; the viewer gives it its colour.
type Style int

// The styles.
const (
	Plain Style = iota
	Dim
	Title
	Warning
	Error
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

// A Reader shows one message, or the help, as a text that scrolls.
type Reader struct {
	session int64
	record  *store.Row
	msg     decode.Message
	text    Text
	view    View
	offset  int
	height  int
}

// Has reports whether the reader holds that message.
func (r *Reader) Has(session, seq int64) bool {
	return r.record != nil && r.session == session && r.record.Seq == seq
}

// Record returns the message that is read; nil while it is on its way.
func (r *Reader) Record() *store.Row { return r.record }

// Message returns what decode makes of it.
func (r *Reader) Message() *decode.Message { return &r.msg }

// Visible returns the lines on the screen.
func (r *Reader) Visible() []Line {
	lines := make([]Line, 0, r.height)
	for i := r.offset; i < min(r.text.Len, r.offset+r.height); i++ {
		lines = append(lines, r.text.Line(i))
	}
	return lines
}

// Position says where in the text the screen is, in lines.
func (r *Reader) Position() (first, last, all int) {
	return min(r.offset+1, r.text.Len), min(r.text.Len, r.offset+r.height), r.text.Len
}

func (r *Reader) show(v View, record *store.Row, msg decode.Message, width int) {
	r.record, r.msg, r.view, r.offset = record, msg, v, 0
	if record == nil {
		r.text = Text{}
		return
	}
	switch v {
	case Raw:
		r.text = rawText(&record.Record, width)
	case Hex:
		r.text = hexText(record.Body)
	default:
		r.text = detailText(record, &msg, width)
	}
}

func (r *Reader) resize(width int) {
	if r.record != nil && r.view != Help { // the help is not folded
		offset := r.offset
		r.show(r.view, r.record, r.msg, width)
		r.offset = offset
	}
	r.scrollBy(0)
}

func (r *Reader) scrollBy(n int) {
	r.offset = max(0, min(r.offset+n, r.text.Len-r.height))
}

func (r *Reader) jump(toEnd bool) {
	r.offset = 0
	if toEnd {
		r.scrollBy(r.text.Len)
	}
}

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
	if gap, ok := row.Gap(); ok {
		t.wrap(Warning, "gap", gapSummary(gap))
		return textOf(t.lines)
	}
	if msg.Name == "" {
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
