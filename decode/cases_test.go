package decode_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"gctap/decode"
)

// generated makes a case of every command and every form of every event, right
// and damaged: an argument missing, one too many, blanks around the separators,
// everything empty. The answers in testdata/forms.jsonl were read by people;
// `go test ./decode -run TestForms -update` shows what a change makes of them.
func generated(t *testing.T) []byte {
	var out bytes.Buffer
	add := func(id, note string, in decode.Input) {
		m := decode.Decode(in, decode.Options{})
		way := "command"
		if in.Direction == decode.FromGC {
			way = "event"
		}
		head, err := json.Marshal(struct {
			ID        string  `json:"id"`
			Note      string  `json:"note"`
			Type      *string `json:"type"`
			Body      string  `json:"body"`
			Direction string  `json:"direction"`
		}{id, note, in.Type, string(in.Body), way})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s,\"want\":%s}\n", head[:len(head)-1], m.AppendJSON(nil, decode.JSONOptions{ShowSecrets: true}))
	}
	for _, s := range append(decode.Commands(), decode.Events()...) {
		for i := range s.Forms {
			m := s.Example(&s.Forms[i])
			in, err := decode.Encode(&m)
			if err != nil {
				t.Fatal(err)
			}
			id := strings.TrimSuffix(s.Kind+"-"+s.Name+"-"+s.Forms[i].Variant, "-")
			sep := "#"
			if s.Kind == decode.KindCommand {
				sep = ","
			}
			add(id, "right", in)
			for _, d := range damages(string(in.Body), sep) {
				damaged := in
				damaged.Body = []byte(d[1])
				add(id+"-"+d[0], d[0], damaged)
			}
		}
	}
	return out.Bytes()
}

// damages returns what can be wrong with a body: a name and the body.
func damages(body, sep string) [][2]string {
	list := [][2]string{{"surplus", body + sep + "x" + sep + " y "}}
	if body == "" {
		list[0][1] = "x" + sep + " y "
		return list
	}
	if i := strings.LastIndex(body, sep); i > 0 {
		list = append(list, [2]string{"cut", body[:i]})
	} else if sep == "," {
		list = append(list, [2]string{"cut", ""})
	}
	list = append(list, [2]string{"blanks", " " + strings.ReplaceAll(body, sep, " "+sep+" ") + " "})
	tokens := strings.Split(body, sep)
	for i := range tokens {
		if sep == "," || i > 1 {
			tokens[i] = ""
		}
	}
	return append(list, [2]string{"empty", strings.Join(tokens, sep)})
}

func TestForms(t *testing.T) {
	want := generated(t)
	const file = "testdata/forms.jsonl"
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, cases := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	if len(old) != len(cases) {
		t.Fatalf("%s has %d lines, the table makes %d: run go test -run TestForms -update and read the difference", file, len(old), len(cases))
	}
	for i := range cases {
		if old[i] != cases[i] {
			t.Errorf("line %d\n%s\nis now\n%s", i+1, old[i], cases[i])
		}
	}
}
