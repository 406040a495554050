package main

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPrintableWriterKeepsCharactersWhole, wherever those who write to it cut
// their pieces: an XML encoder does so every 4096 bytes.
func TestPrintableWriterKeepsCharactersWhole(t *testing.T) {
	text := strings.Repeat("é漢🙂 José\n", 3000)
	for _, size := range []int{1, 2, 3, 5, 4096} {
		var out bytes.Buffer
		w := &printableWriter{Writer: &out}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if got, err := w.Write([]byte(rest[:n])); got != n || err != nil {
				t.Fatalf("wrote %d of %d, %v", got, n, err)
			}
			rest = rest[n:]
		}
		if out.String() != text {
			t.Errorf("pieces of %d bytes: the text comes out changed", size)
		}
	}
	var out bytes.Buffer
	if err := xml.NewEncoder(&printableWriter{Writer: &out}).EncodeElement("x"+text, xml.StartElement{Name: xml.Name{Local: "text"}}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\ufffd"); n > 0 {
		t.Errorf("%d characters of the XML are broken", n)
	}
	out.Reset()
	w := &printableWriter{Writer: &out}
	for _, piece := range []string{"a\xc3", "b\x1b\xe6\xbc", "\n"} {
		if _, err := w.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); strings.Contains(got, "\x1b") || !utf8.ValidString(got) || !strings.HasSuffix(got, "\n") || !strings.Contains(got, "b␛") {
		t.Errorf("what is no UTF-8 comes out as %q", got)
	}
}
