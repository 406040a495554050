package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDiffFormatsAndRules compares a recording with a replay on a build that
// has other labels: as a page, for a build server, with rules and with noise.
func TestDiffFormatsAndRules(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, t.TempDir())
	for _, name := range []string{"one", "two"} {
		lab := startLaboratory(t, 41, "change:State:NOT_READY.label=Luncheon@2")
		p := gctap(t, db, "replay", "incident", "--to", lab.URL(), "--sync", "cause", "--stimulus", "sim", "--look", "50ms",
			"--allow-source", "--credentials", credentials, "--name", name)
		if code := p.end(nil); code != exitOK {
			t.Fatalf("replay: exit %d: %s", code, p.said())
		}
	}
	rules, broken := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(rules, []byte("ignore:\n  - {field: State.label, reason: translated}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, []byte("ignore:\n  - {field: State.label}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want, said string
		code             int
		args             []string
	}{
		{"junit", `<failure message="1 differences" type="changed">`, "", exitNegative, []string{"--format", "junit"}},
		{"html", "<!DOCTYPE html>", "", exitNegative, []string{"--format", "html"}},
		{"rules", "left out   rule:ignore State.label: 1 (translated)", "", exitOK, []string{"--rules", rules}},
		{"noise", "left out   noise:State.label: 1 (wobbled in 1 of 1 baseline runs)", "", exitOK, []string{"--noise", "two"}},
		{"broken rules", "", "give a reason", exitFailed, []string{"--rules", broken}},
		{"colour", "\x1b[1;33mchanged\x1b[0m    state not_ready (label)", "", exitNegative, []string{"--color", "always"}},
		{"kinds", "about      data 1\nchanged ", "", exitNegative, nil},
		{"no rules", "", "--rules", exitFailed, []string{"--rules", filepath.Join(dir, "nothing")}},
		{"no noise", "", "--noise", exitFailed, []string{"--noise", "nothing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := gctap(t, db, append([]string{"diff", "incident", "one"}, tt.args...)...)
			if code := p.end(nil); code != tt.code || !strings.Contains(strings.ToLower(p.out.String()), strings.ToLower(tt.want)) || !strings.Contains(p.said(), tt.said) {
				t.Errorf("exit %d: %.2000s%s", code, p.out.String(), p.said())
			}
		})
	}
}
