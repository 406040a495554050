// Package decode holds the grammar of the GC protocol and nothing else: it
// turns messages into fields and back, says what is wrong with them, finds the
// secrets in them, and knows what the documents know about errors, states and
// expected events. It does no I/O, knows no clock, keeps no state and never
// panics on input.
//
// The grammar is one table, the rows of [Commands], [Events] and [JSONEvents]
// with the closed lists of [ValueLists] and the knowledge beside them; reader,
// writer, findings, masking and GRAMMAR.md all read it. xuc frames, whose
// tables are in decode/xuc, are read here too.
//
// [Decode] reads one message and never fails: what it cannot read is in
// Findings, and the bytes are kept. [Encode] gives them back byte for byte, or
// writes a message that was built from names and fields. [Rewrite] replaces
// values in the bytes and touches nothing else. [Masker] hides passwords.
//
// Sources of protocol knowledge are named by the documents' numbers ([Sources])
// and the contradictions between them by the ids of [Ambiguities].
package decode

import (
	"strings"
	"unicode/utf8"
)

// defaultLimit is how much of a body is decoded unless Options say otherwise.
const defaultLimit = 1 << 20

// Decode reads one message. It never fails: the worst input gives protocol and
// kind Unknown, with the bytes kept for Encode. A JMSType makes a command,
// unless the direction says event; else a body that begins with { or [ is
// JSON; else a body is a text event, unless the direction says command.
func Decode(in Input, o Options) Message {
	d := decoder{hash: hashSetting(o.HashToken)}
	m := &d.m
	m.opts, m.dir, m.input = o, in.Direction, decoded
	m.raw = string(in.Body)
	if in.Body != nil {
		m.input |= hasBody
	}
	if in.Type != nil {
		m.input |= hasType
		m.jmsType = *in.Type
	}
	body := source{text: m.raw}
	large := len(m.raw) > limit(o)
	if large {
		d.src = body
		d.note(TooLarge, "", "over the limit of what is decoded", 0)
		if head := headText(m.raw); !utf8.ValidString(m.raw) {
			body = fromWindows1252(head)
		}
	} else if !utf8.ValidString(m.raw) {
		d.src = body
		d.note(BadEncoding, "", "not UTF-8, read as Windows-1252", int32(invalidAt(m.raw)))
		body = fromWindows1252(m.raw)
	}
	switch {
	case m.jmsType != "" && in.Direction != FromGC:
		d.textCommand(m.jmsType, body, large)
	case beginsJSON(m.raw):
		d.json(body, large)
	case in.Direction != ToGC:
		d.textEvent(body, large)
	default:
		d.unknown(large)
	}
	m.Findings = d.notes.sorted()
	m.Omitted = d.notes.omitted
	return d.m
}

// headText is the part of a text event that the name and the agent stand in.
func headText(raw string) string {
	end := 0
	for range 3 {
		i := strings.IndexByte(raw[end:], tokenSep)
		if i < 0 {
			return raw
		}
		end += i + 1
	}
	return raw[:end]
}

// limit is the greatest body decoded; places are 32 bit.
func limit(o Options) int {
	const most = 1<<31 - 2
	if o.Limit <= 0 {
		return defaultLimit
	}
	return min(o.Limit, most)
}

func beginsJSON(body string) bool {
	for i := 0; i < len(body); i++ {
		if !blank(body[i]) {
			return body[i] == '{' || body[i] == '['
		}
	}
	return false
}

// A source is a text that is being read and where it stands in the message's
// bytes: at base, or at table[i] where its bytes are spelt otherwise there.
type source struct {
	text  string
	table []int32
	base  int32
	flags valueFlags // of the values read from it
}

func (s *source) inType() bool { return s.flags&valueInType != 0 }

func (s *source) whole() span { return span{0, int32(len(s.text))} }

func (s *source) place(i int32) int32 {
	if s.table != nil {
		return s.table[i]
	}
	return s.base + i
}

func (s *source) at(p span) span { return span{s.place(p.start), s.place(p.end)} }

// A decoder holds one message while it is being read.
type decoder struct {
	m     Message
	src   source
	notes notebook
	trail
	hash    hashing
	hashed  bool    // an event: values may hold an escaped '#'
	joined  bool    // the value being read was realigned: a '#' in it is unescaped
	closing bool    // and it is part of a record: empty tokens in it are skipped
	slab    []Field // parts of lists and records are cut from it
}

// add gives a finding about the field being read, at a place in the text
// being read.
func (d *decoder) add(code, text string, at int32) {
	var room [64]byte
	d.notes.add(code, d.trail.append(room[:0]), text, d.src.place(at), d.src.inType())
}

// note gives a finding about a field, "" for the whole body.
func (d *decoder) note(code, field, text string, at int32) {
	var room [64]byte
	d.notes.add(code, append(room[:0], field...), text, d.src.place(at), d.src.inType())
}

// value fills in a text value from a span.
func (d *decoder) value(v *Value, s span) {
	v.Text = d.src.text[s.start:s.end]
	if d.src.table == nil {
		v.at = span{d.src.base + s.start, d.src.base + s.end}
	} else {
		v.at = d.src.at(s)
	}
	v.flags = d.src.flags
}

// manyParts is how much room is made at once on the strength of separators that
// were counted: a hostile body may hold them by the million.
const manyParts = 1024

// take returns an empty slice with room for n fields.
func (d *decoder) take(n int) []Field {
	if n > cap(d.slab)-len(d.slab) {
		d.slab = make([]Field, 0, max(n, min(2*cap(d.slab), manyParts)))
	}
	at := len(d.slab)
	d.slab = d.slab[:at+n]
	return d.slab[at : at : at+n]
}

// reserve makes room for n fields that will be taken bit by bit.
func (d *decoder) reserve(n int) {
	if n > cap(d.slab)-len(d.slab) {
		d.slab = make([]Field, 0, n)
	}
}

// unknown is a message that no rule reads.
func (d *decoder) unknown(large bool) {
	d.m.Protocol, d.m.Kind = Unknown, Unknown
	if !large {
		d.note(UnknownName, "name", "not a message of the protocol", 0)
	}
}

// invalidAt returns where a text stops being UTF-8.
func invalidAt(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(s)
}

// windows1252 are the characters 0x80 to 0x9F. The five that are open there are
// read as the control characters of the same number.
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8D, 'Ž', 0x8F,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9D, 'ž', 'Ÿ',
}

// fromWindows1252 reads bytes as Windows-1252, remembering their places.
func fromWindows1252(raw string) source {
	var b strings.Builder
	b.Grow(len(raw) + len(raw)/4)
	table := make([]int32, 0, len(raw)+len(raw)/4+1)
	for i := 0; i < len(raw); i++ {
		before := b.Len()
		switch c := raw[i]; {
		case c < 0x80:
			b.WriteByte(c)
		case c < 0xA0:
			b.WriteRune(windows1252[c-0x80])
		default:
			b.WriteRune(rune(c))
		}
		for range b.Len() - before {
			table = append(table, int32(i))
		}
	}
	return source{text: b.String(), table: append(table, int32(len(raw)))}
}
