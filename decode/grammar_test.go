package decode_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"gctap/decode"
)

var update = flag.Bool("update", false, "write GRAMMAR.md")

func TestGrammarIsCurrent(t *testing.T) {
	want := decode.Grammar()
	if *update {
		if err := os.WriteFile("GRAMMAR.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("GRAMMAR.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("GRAMMAR.md is behind the tables; run: go generate ./decode")
	}
}
