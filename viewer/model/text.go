package model

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gctap/capture"
	"gctap/decode"
)

// Printable makes captured text safe to print: control characters become
// visible ones, and so do the marks that would turn the direction of a line.
// Bytes that are not UTF-8 become U+FFFD. No message can act on a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return '␉'
		case r < ' ':
			return '␀' + r
		case r == 0x7f:
			return '␡'
		case r >= 0x80 && r < 0xa0, unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return utf8.RuneError
		}
		return r
	}, s)
}

// RowName is what a row is called in a list: its message's name, or of a note of
// the wire what kind it is.
func RowName(rec *capture.Record, msg *decode.Message) string {
	if rec.Direction == capture.Note {
		return rec.Header("amq.note")
	}
	return msg.Name
}

// summaryLimit bounds a Summary in bytes; no line is longer.
const summaryLimit = 500

// Summary is one printable line that says what is in a record: the decoded
// fields that hold something, then what is wrong with it.
func Summary(rec *capture.Record, msg *decode.Message) string {
	if gap, ok := rec.Gap(); ok {
		if place := rec.GapPlace(); place != "" {
			return gapSummary(gap) + "; " + Printable(place)
		}
		return gapSummary(gap)
	}
	var b strings.Builder
	if len(msg.Fields) == 0 && (msg.Name == "" || msg.Protocol == decode.Unknown) {
		fmt.Fprintf(&b, "%.*s %.*s", summaryLimit, rec.Type(), summaryLimit, rec.Body)
	}
	for _, f := range msg.Fields {
		if b.Len() > summaryLimit {
			break
		}
		if text := brief(f.Name, f.Value); text != "" {
			b.WriteString(text)
			b.WriteByte(' ')
		}
	}
	for _, f := range msg.Findings {
		if f.Severity != "note" && b.Len() < summaryLimit {
			fmt.Fprintf(&b, " !%s %s", f.Code, f.Field)
		}
	}
	text := Printable(strings.TrimSpace(b.String()))
	if len(text) > summaryLimit {
		text = strings.ToValidUTF8(text[:summaryLimit], "") + "…"
	}
	return text
}

func gapSummary(gap capture.Gap) string {
	lost := "unknown"
	if gap.Lost != nil {
		lost = fmt.Sprint(*gap.Lost)
	}
	const clock = "15:04:05.000Z"
	when := "after " + gap.From.UTC().Format(clock)
	if gap.To.After(gap.From) {
		when = gap.From.UTC().Format(clock) + " to " + gap.To.UTC().Format(clock)
	}
	return fmt.Sprintf("%s: lost %s, %s", gap.Reason, lost, when)
}

// brief writes one field; empty where there is nothing to see.
func brief(name string, v decode.Value) string {
	if v.Secret() {
		return name + "=***"
	}
	if text, ok := v.Scalar(); ok {
		if text == "" {
			return ""
		}
		return fmt.Sprintf("%s=%.*s", name, summaryLimit, text)
	}
	v = v.Expand()
	switch {
	case len(v.Parts) == 0:
		return ""
	case v.Kind == decode.KindList:
		return fmt.Sprintf("%s[%d]", name, len(v.Parts))
	}
	var parts []string
	for _, p := range v.Parts {
		if text := brief(p.Name, p.Value); text != "" && len(parts) < 3 {
			parts = append(parts, text)
		}
	}
	if rest := len(v.Parts) - len(parts); rest > 0 {
		parts = append(parts, fmt.Sprint("+", rest))
	}
	return name + "{" + strings.Join(parts, " ") + "}"
}
