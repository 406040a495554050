package decode_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gctap/decode"
)

// A corpusCase is a message and the answer that the decoder must give.
type corpusCase struct {
	ID         string
	Note       string
	Type       *string
	Body       *string
	BodyBase64 []byte
	Direction  string
	Want       map[string]any
}

func (c *corpusCase) input() decode.Input {
	in := decode.Input{Type: c.Type, Body: c.BodyBase64}
	if c.Body != nil {
		in.Body = []byte(*c.Body)
	}
	switch c.Direction {
	case "command":
		in.Direction = decode.ToGC
	case "event":
		in.Direction = decode.FromGC
	}
	return in
}

// corpusFiles returns the project's own cases, and the shared ones when they
// stand beside the checkout.
func corpusFiles(t testing.TB) []string {
	own, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(own) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	shared, err := filepath.Glob("../../shared/corpus/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return append(own, shared...)
}

func readCorpus(t testing.TB, file string) []corpusCase {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []corpusCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		var c corpusCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestCorpus(t *testing.T) {
	for _, file := range corpusFiles(t) {
		for _, c := range readCorpus(t, file) {
			t.Run(filepath.Base(file)+"/"+c.ID, func(t *testing.T) { checkCase(t, &c) })
		}
	}
}

func checkCase(t *testing.T, c *corpusCase) {
	in := c.input()
	m := decode.Decode(in, decode.Options{})
	var got map[string]any
	line := m.AppendJSON(nil, decode.JSONOptions{ShowSecrets: true, Spans: true})
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%s: not JSON: %v\n%s", c.Note, err, line)
	}
	delete(got, "wire")
	got["findings"] = codes(got["findings"])
	want := c.Want
	want["findings"] = codes(want["findings"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%q %q\n(-want +got)\n%s", c.Note, text(in.Type), in.Body, diff)
	}
	checkSame(t, in, &m)
	checkPlaces(t, in, &m)
}

// codes reduces findings to what cases give: code and field, in any order.
func codes(findings any) []string {
	list := []string{}
	for _, f := range findings.([]any) {
		f := f.(map[string]any)
		list = append(list, fmt.Sprint(f["code"], " ", f["field"]))
	}
	slices.Sort(list)
	return list
}

func text(s *string) string {
	if s == nil {
		return "<nil>"
	}
	return *s
}

// checkSame checks that encoding gives the bytes back.
func checkSame(t testing.TB, in decode.Input, m *decode.Message) {
	t.Helper()
	out, err := decode.Encode(m)
	if err != nil {
		t.Errorf("Encode(Decode(%q, %q)): %v", text(in.Type), in.Body, err)
	}
	if text(in.Type) != text(out.Type) || !bytes.Equal(in.Body, out.Body) || (in.Body == nil) != (out.Body == nil) || in.Direction != out.Direction {
		t.Errorf("Encode(Decode(%q, %q)) is %q, %q", text(in.Type), in.Body, text(out.Type), out.Body)
	}
}

// checkPlaces checks that every place is inside the text it is a place in, that
// a list or record holds its parts, and that findings are in order.
func checkPlaces(t testing.TB, in decode.Input, m *decode.Message) {
	t.Helper()
	places := map[string]decode.Place{}
	for _, p := range m.Places() {
		size := len(in.Body)
		if p.InType {
			size = len(*in.Type)
		}
		if p.Start < 0 || p.Start > p.End || p.End > size {
			t.Errorf("%q %q: %s stands at [%d,%d) of %d", text(in.Type), in.Body, p.Path, p.Start, p.End, size)
		}
		places[p.Path] = p
		if i := strings.LastIndexByte(p.Path, '['); i > 0 && p.Path[len(p.Path)-1] == ']' {
			if list, ok := places[p.Path[:i]]; ok && (p.Start < list.Start || p.End > list.End) {
				t.Errorf("%q: %s at [%d,%d) is outside of its list at [%d,%d)", in.Body, p.Path, p.Start, p.End, list.Start, list.End)
			}
		}
	}
	last := decode.Finding{InType: true}
	for _, f := range m.Findings {
		size := len(in.Body)
		if f.InType {
			size = len(*in.Type)
		}
		if f.Offset < 0 || f.Offset > size {
			t.Errorf("%q %q: finding %s %s at %d of %d", text(in.Type), in.Body, f.Code, f.Field, f.Offset, size)
		}
		if f.InType == last.InType && f.Offset < last.Offset || f.InType && !last.InType {
			t.Errorf("%q %q: finding %s %s is out of order", text(in.Type), in.Body, f.Code, f.Field)
		}
		last = f
	}
}
