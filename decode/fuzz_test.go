package decode_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gctap/decode"
)

// seeds are the examples of the table and the cases of the corpus, so that a
// new row is fuzzed on the day it is added.
func seeds(f *testing.F, add func(in decode.Input)) {
	example := func(s *decode.Spec, form *decode.Form) {
		m := s.Example(form)
		in, err := decode.Encode(&m)
		if err != nil {
			f.Fatal(err)
		}
		add(in)
		if m.Protocol == decode.GCText && m.Kind == decode.KindCommand {
			m.Protocol = decode.GCREST
			if in, err = decode.Encode(&m); err != nil {
				f.Fatal(err)
			}
			add(in)
		}
	}
	for _, s := range append(decode.Commands(), decode.Events()...) {
		for i := range s.Forms {
			example(s, &s.Forms[i])
		}
	}
	for _, s := range decode.JSONEvents() {
		example(s, nil)
	}
	for _, file := range corpusFiles(f) {
		for _, c := range readCorpus(f, file) {
			add(c.input())
		}
	}
}

// wireInput makes an input of fuzzed parts; no JMSType is "\x00".
func wireInput(jmsType string, body []byte, way uint8) decode.Input {
	in := decode.Input{Body: body, Direction: decode.Direction(way % 3)}
	if jmsType != "\x00" {
		in.Type = &jmsType
	}
	return in
}

func fuzzedType(in decode.Input) string {
	if in.Type == nil {
		return "\x00"
	}
	return *in.Type
}

// FuzzDecode: no input panics, and the bytes, the JSON and the places are right
// for every one.
func FuzzDecode(f *testing.F) {
	seeds(f, func(in decode.Input) { f.Add(fuzzedType(in), in.Body, uint8(in.Direction), "") })
	f.Fuzz(func(t *testing.T, jmsType string, body []byte, way uint8, token string) {
		in := wireInput(jmsType, body, way)
		m := decode.Decode(in, decode.Options{HashToken: token})
		checkSame(t, in, &m)
		checkPlaces(t, in, &m)
		checkFindings(t, &m)
		for _, o := range []decode.JSONOptions{{}, {Spans: true}, {ShowSecrets: true}} {
			line := m.AppendJSON(nil, o)
			if !json.Valid(line) || bytes.IndexByte(line, '\n') >= 0 || !utf8.Valid(line) {
				t.Errorf("%q %q: not one line of JSON: %s", jmsType, body, line)
			}
		}
		for _, p := range m.Places() {
			if p.Head {
				continue
			}
			if _, ok := m.Get(p.Path); !ok {
				t.Errorf("%q %q: no value at %q", jmsType, body, p.Path)
			}
		}
	})
}

// checkFindings checks that a code is given once per field and has a severity.
func checkFindings(t testing.TB, m *decode.Message) {
	t.Helper()
	seen := map[[2]string]bool{}
	for _, f := range m.Findings {
		if f.Severity == "" || f.Text == "" {
			t.Errorf("finding %s on %q says too little", f.Code, f.Field)
		}
		if key := [2]string{f.Code, f.Field}; seen[key] {
			t.Errorf("finding %s on %q comes twice", f.Code, f.Field)
		} else {
			seen[key] = true
		}
	}
}

// FuzzMask: masks lie over ***, masking again changes nothing, and what was
// masked still decodes.
func FuzzMask(f *testing.F) {
	seeds(f, func(in decode.Input) { f.Add(fuzzedType(in), in.Body, uint8(in.Direction)) })
	for _, c := range maskCases {
		f.Add(fuzzedType(c.in), c.in.Body, uint8(c.in.Direction))
	}
	f.Fuzz(func(t *testing.T, jmsType string, body []byte, way uint8) {
		in := wireInput(jmsType, body, way)
		out, masks := decode.NewMasker().Mask(in)
		last := 0
		for _, m := range masks {
			if m.Start < last || m.End > len(out.Body) || string(out.Body[m.Start:m.End]) != "***" {
				t.Fatalf("%q %q: mask %v of %q", jmsType, body, m, out.Body)
			}
			last = m.End
		}
		again, masksAgain := decode.NewMasker().Mask(out)
		if !bytes.Equal(again.Body, out.Body) || len(masksAgain) > len(masks) {
			t.Errorf("%q %q is masked %q, and again %q", jmsType, body, out.Body, again.Body)
		}
		decode.Decode(out, decode.Options{})
		k := decode.NewMasker()
		if text := k.Text(string(body)); k.Text(text) != text {
			t.Errorf("%q is masked %q, and again %q", body, text, k.Text(text))
		}
	})
}

// FuzzEncode: what is written is read as it was meant, or refused.
func FuzzEncode(f *testing.F) {
	seeds(f, func(in decode.Input) {
		m := decode.Decode(in, decode.Options{})
		f.Add(m.AppendJSON(nil, decode.JSONOptions{ShowSecrets: true}))
	})
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode.FromJSON(line)
		if err != nil {
			return
		}
		in, err := decode.Encode(&m)
		if err != nil {
			return
		}
		got := decode.Decode(in, decode.Options{Limit: len(in.Body) + 1})
		if m.Agent != "" && got.Agent != m.Agent || m.Variant != "" && got.Variant != m.Variant {
			t.Errorf("%s is written %q %q and read as %s %s", line, text(in.Type), in.Body, got.Variant, got.Agent)
		}
		for _, want := range m.Fields {
			v, ok := got.Get(want.Name)
			w, isScalar := want.Value.Scalar()
			if g, _ := v.Scalar(); !ok || isScalar && g != w {
				t.Errorf("%s is written %q %q: %s is %q", line, text(in.Type), in.Body, want.Name, g)
			}
		}
	})
}

// FuzzRewrite: a change that is accepted is read back, and the bytes around it
// are as they were.
func FuzzRewrite(f *testing.F) {
	seeds(f, func(in decode.Input) {
		f.Add(fuzzedType(in), in.Body, uint8(in.Direction), uint8(3), "4711")
		f.Add(fuzzedType(in), in.Body, uint8(in.Direction), uint8(1), "a,b#c|d")
	})
	f.Fuzz(func(t *testing.T, jmsType string, body []byte, way, place uint8, value string) {
		in := wireInput(jmsType, body, way)
		m := decode.Decode(in, decode.Options{})
		places := m.Places()
		if len(places) == 0 {
			return
		}
		p := places[int(place)%len(places)]
		if p.Head && p.Path == "name" {
			return
		}
		out, err := decode.Rewrite(&m, map[string]string{p.Path: value})
		if err != nil {
			return
		}
		before, after := string(in.Body), string(out.Body)
		if p.InType {
			before, after = *in.Type, *out.Type
		}
		front, back := before[:p.Start], before[p.End:]
		if !strings.HasPrefix(after, front) || !strings.HasSuffix(after, back) || len(after) < len(front)+len(back) {
			t.Errorf("%q with %s = %q became %q", before, p.Path, value, after)
		}
	})
}

// The own cases under testdata are named and not empty.
func TestOwnCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases of our own")
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}
