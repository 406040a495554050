package decode

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

var jsonTexts = []string{
	`{}`, `[]`, ` { } `, `[[],{}]`, `{"a":{},"b":[ ]}`, `{"a":1,"a":2}`, `[1,-0,0.5,1e9,1E-2,-1.25e+3]`, `"a\"\\\/\b\f\n\r\té\ud83d\ude00"`,
	`true`, `false`, `null`, `{"a":[{"b":[1,2,{"c":null}]},"x"]}`, "[1\t,\r\n2]",
	``, ` `, `{`, `[`, `{]`, `[}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{"a" 1}`, `{a:1}`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `--1`, `0x1`,
	`NaN`, `tru`, `nulll`, `"a`, `"\x"`, `"\u12g4"`, `"\u12`, "\"\n\"", `{} {}`, `[1] 2`, `[1 2]`, `{"a":1 "b":2}`, `[[[`, `[]]`, `{"a":1}}`, `"\`, "\"\x00\"", `{"":""}`,
}

// The reader takes what encoding/json takes, and finds the same texts.
func TestJSONAgrees(t *testing.T) {
	for _, s := range jsonTexts {
		agree(t, s)
	}
	deep := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)
	if end, ok := skipValue(deep, 0); !ok || end != len(deep) {
		t.Errorf("a million brackets: stopped at %d", end)
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range jsonTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if utf8.ValidString(s) && strings.Count(s, "[")+strings.Count(s, "{") < 10_000 {
			agree(t, s)
		}
	})
}

func agree(t *testing.T, s string) {
	t.Helper()
	list, end, ok := readMembers(s, skipSpace(s, 0), nil)
	if ok {
		end = skipSpace(s, end)
		ok = end == len(s)
	}
	if ok != json.Valid([]byte(s)) {
		t.Fatalf("%q: valid is %v, stopped at %d", s, ok, end)
	}
	if end < 0 || end > len(s) {
		t.Fatalf("%q: stopped at %d", s, end)
	}
	if !ok {
		return
	}
	if start := skipSpace(s, 0); s[start] == '"' {
		sameString(t, s[start:end], unquote(s[start+1:len(strings.TrimRight(s, " \t\r\n"))-1]))
	}
	for _, m := range list {
		v := Value{Kind: KindJSON, Text: m.value.of(s)}
		if v.Text[0] == '"' {
			sameString(t, v.Text, unquote(v.Text[1:len(v.Text)-1]))
		}
		compact := v.AppendJSON(nil)
		if !json.Valid(compact) {
			t.Errorf("%q is written %q", v.Text, compact)
		}
	}
}

// sameString compares with encoding/json, and with writing the text again; the
// places of an unquoted text are in order.
func sameString(t *testing.T, quoted, got string) {
	t.Helper()
	var want string
	if err := json.Unmarshal([]byte(quoted), &want); err != nil || got != want {
		t.Errorf("%q is read as %q, want %q (%v)", quoted, got, want, err)
	}
	var again string
	if err := json.Unmarshal(appendString(nil, got), &again); err != nil || again != got {
		t.Errorf("%q is written so that it is read as %q (%v)", got, again, err)
	}
	raw := strings.TrimSpace(quoted)
	raw = raw[1 : len(raw)-1]
	text, places := unquotePlaces(raw)
	if text != got || len(places) != len(text)+1 || int(places[len(text)]) != len(raw) {
		t.Errorf("places of %q: %v", quoted, places)
	}
}
