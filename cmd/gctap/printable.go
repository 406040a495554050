package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"gctap/viewer/model"
)

// printable makes the control characters of captured text visible, so that no
// message can act on a terminal.
func printable(s string) string { return model.Printable(s) }

// printableWriter makes control characters visible, line ends apart.
type printableWriter struct{ io.Writer }

func (w printableWriter) Write(p []byte) (int, error) {
	lines := strings.Split(string(p), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	if _, err := io.WriteString(w.Writer, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// jsonLines returns what writes one value a line. No message can act on a
// terminal there either.
func jsonLines(w io.Writer) *json.Encoder {
	out := json.NewEncoder(jsonWriter{w})
	out.SetEscapeHTML(false)
	return out
}

// jsonWriter escapes the control characters that JSON allows in its strings:
// those of eight bits, with which some terminals begin a sequence, and DEL.
type jsonWriter struct{ io.Writer }

func (w jsonWriter) Write(p []byte) (int, error) {
	text := string(p)
	if strings.ContainsFunc(text, eightBitControl) {
		var b strings.Builder
		for _, r := range text {
			if eightBitControl(r) {
				fmt.Fprintf(&b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
		text = b.String()
	}
	if _, err := io.WriteString(w.Writer, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

func eightBitControl(r rune) bool { return r >= 0x7f && unicode.IsControl(r) }
