package decode_test

import (
	"testing"

	"pgregory.net/rapid"

	"gctap/decode"
)

// plain are texts that every place of the protocol can hold.
var plain = rapid.StringMatching(`[A-Za-zÀ-ÿ0-9_.@+/-]([A-Za-zÀ-ÿ0-9_.@+/ -]{0,8}[A-Za-zÀ-ÿ0-9_.@+/-])?`)

// valueFor draws a value that fits the argument.
func valueFor(t *rapid.T, a *decode.Arg) decode.Value {
	switch a.Shape {
	case decode.List:
		n := rapid.IntRange(1, 3).Draw(t, "elements")
		var list []decode.Value
		for range n {
			list = append(list, scalarFor(t, a))
		}
		return decode.ListOf(list...)
	case decode.Pairs:
		var fields []decode.Field
		for _, name := range rapid.SliceOfDistinct(rapid.StringMatching(`[A-Za-z][A-Za-z0-9.]{0,6}`), func(s string) string { return s }).Draw(t, "names") {
			fields = append(fields, decode.Field{Name: name, Value: scalarFor(t, a)})
		}
		return decode.RecordOf(fields...)
	case decode.Pieces, decode.Records, decode.Users:
		var list []decode.Value
		for range rapid.IntRange(1, 3).Draw(t, "records") {
			list = append(list, recordFor(t, a.Parts))
		}
		return decode.ListOf(list...)
	case decode.Group:
		return recordFor(t, a.Parts)
	}
	return scalarFor(t, a)
}

func recordFor(t *rapid.T, parts []decode.Arg) decode.Value {
	var fields []decode.Field
	for i := range parts {
		fields = append(fields, decode.Field{Name: parts[i].Name, Value: valueFor(t, &parts[i])})
	}
	return decode.RecordOf(fields...)
}

func scalarFor(t *rapid.T, a *decode.Arg) decode.Value {
	switch {
	case a.Values != nil:
		return decode.TextOf(rapid.SampledFrom(a.Values.Values).Draw(t, a.Name))
	case a.Class == decode.ClassNum:
		return decode.TextOf(rapid.StringMatching(`-?[0-9]{1,5}`).Draw(t, a.Name))
	}
	return decode.TextOf(plain.Draw(t, a.Name))
}

// Every form of the table takes ordinary values of all its fields, and reads
// them back.
func TestFormsHoldOrdinaryValues(t *testing.T) {
	for _, s := range append(decode.Commands(), decode.Events()...) {
		for i := range s.Forms {
			f := &s.Forms[i]
			example := s.Example(f)
			t.Run(s.Kind+" "+s.Name+" "+f.Variant, rapid.MakeCheck(func(t *rapid.T) {
				m := example
				m.Fields = nil
				for _, field := range example.Fields {
					v := field.Value
					if a := s.Arg(field.Name); a != nil && !keepsValue(s, f, field.Name) {
						v = valueFor(t, formArg(f, field.Name, a))
					}
					m.Fields = append(m.Fields, decode.Field{Name: field.Name, Value: v})
				}
				in, err := decode.Encode(&m)
				if err != nil {
					t.Fatal(err)
				}
				got := decode.Decode(in, decode.Options{})
				for _, finding := range got.Findings {
					if finding.Severity != decode.Note {
						t.Fatalf("%q %q: %s on %s", text(in.Type), in.Body, finding.Code, finding.Field)
					}
				}
				if got.Name != m.Name || got.Variant != f.Variant || got.Agent != m.Agent {
					t.Fatalf("%q %q is read as %s %s of %s", text(in.Type), in.Body, got.Name, got.Variant, got.Agent)
				}
				for _, field := range m.Fields {
					if v, _ := got.Get(field.Name); !v.Equal(field.Value) {
						t.Fatalf("%q %q: %s is %s, want %s", text(in.Type), in.Body, field.Name, v.AppendJSON(nil), field.Value.AppendJSON(nil))
					}
				}
			}))
		}
	}
}

// formArg is the argument of a form: the same field may have another list in
// another form.
func formArg(f *decode.Form, name string, other *decode.Arg) *decode.Arg {
	for i := range f.Args {
		if f.Args[i].Name == name {
			return &f.Args[i]
		}
	}
	return other
}

// keepsValue reports whether the form is chosen by the value of a field.
func keepsValue(s *decode.Spec, f *decode.Form, name string) bool {
	if f.Variant == "none" || f.Variant == "empty" {
		return true
	}
	for _, c := range s.Choice {
		if c.Arg > 0 && c.Arg <= len(f.Args) && f.Args[c.Arg-1].Name == name && c.Word != "" {
			return true
		}
	}
	return false
}

// What a change leaves alone stays as it was.
func TestRewriteTouchesNothingElse(t *testing.T) {
	var inputs []decode.Input
	for _, file := range corpusFiles(t) {
		for _, c := range readCorpus(t, file) {
			inputs = append(inputs, c.input())
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SampledFrom(inputs).Draw(t, "message")
		m := decode.Decode(in, decode.Options{})
		places := m.Places()
		if len(places) == 0 {
			return
		}
		p := rapid.SampledFrom(places).Draw(t, "place")
		if p.Head && p.Path == "name" {
			return
		}
		value := rapid.OneOf(plain, rapid.String()).Draw(t, "value")
		out, err := decode.Rewrite(&m, map[string]string{p.Path: value})
		if err != nil {
			return
		}
		n := decode.Decode(out, decode.Options{})
		for _, f := range m.Fields {
			if v, _ := m.Get(p.Path); v.Secret() || f.Name == p.Path || len(p.Path) > len(f.Name) && p.Path[:len(f.Name)] == f.Name {
				continue
			}
			if p.Head && f.Name == "agentId" && m.Protocol == decode.GCJSON {
				continue
			}
			if v, _ := n.Get(f.Name); !v.Equal(f.Value) {
				t.Fatalf("%q with %s = %q became %q: %s changed", in.Body, p.Path, value, out.Body, f.Name)
			}
		}
	})
}
