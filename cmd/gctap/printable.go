package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gctap/viewer/model"
)

// printable makes the control characters of captured text visible, so that no
// message can act on a terminal.
func printable(s string) string { return model.Printable(s) }

// printableWriter makes control characters visible, line ends apart. What is
// written to it may be cut within a character, and ends with a whole one.
type printableWriter struct {
	io.Writer
	rest []byte // the beginning of a character
}

func (w *printableWriter) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	whole := wholeCharacters(text)
	w.rest = slices.Clone(text[whole:])
	lines := strings.Split(string(text[:whole]), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	if _, err := io.WriteString(w.Writer, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// plainCell keeps a spreadsheet from taking a text for a formula; numbers stay.
func plainCell(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return s
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	return "'" + s
}

// wholeCharacters returns where in a text the character begins that is cut at its
// end; else its length.
func wholeCharacters(text []byte) int {
	for i := len(text) - 1; i >= max(len(text)-utf8.UTFMax, 0); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
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
