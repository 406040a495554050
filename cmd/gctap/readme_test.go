package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"gctap/capture/stomptap"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeConfiguration: the lines that a broker's administrator pastes are
// those of help and doctor, which other tests run a broker with.
func TestReadmeConfiguration(t *testing.T) {
	text := readme(t)
	for _, mode := range []stomptap.Mode{stomptap.Mirror, stomptap.Durable, stomptap.Composite} {
		if xml := stomptap.BrokerXML(mode, []string{defaultQueue}); !strings.Contains(text, "```xml\n"+xml+"```") {
			t.Errorf("the README lacks the lines for mode %s:\n%s", mode, xml)
		}
	}
	if strings.Contains(text, "@@") {
		t.Error("the README has a placeholder left")
	}
}

// TestReadmeCommands: every gctap command line in the README is one that the
// program takes.
func TestReadmeCommands(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	found := 0
	for _, block := range blocks {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
			if line, ok := strings.CutPrefix(line, "gctap "); ok {
				found++
				checkCommandLine(t, line)
			}
		}
	}
	if found < 5 {
		t.Errorf("found %d command lines", found)
	}
}

func checkCommandLine(t *testing.T, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, " | ")
	root := newRoot(stdio{strings.NewReader(""), io.Discard, io.Discard})
	cmd, args, err := root.Find(words(line))
	if err != nil || cmd == root {
		t.Errorf("gctap %s: %v", line, err)
		return
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(args); err != nil {
		t.Errorf("gctap %s: %v", line, err)
		return
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("gctap %s: %v", line, err)
	}
}

// words cuts a line as a shell does, as far as the README goes: at blanks, but
// not inside quotes.
func words(line string) (all []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|\S+`).FindAllStringSubmatch(line, -1) {
		switch {
		case strings.HasPrefix(m[0], "'"):
			all = append(all, m[1])
		case strings.HasPrefix(m[0], `"`):
			all = append(all, m[2])
		default:
			all = append(all, m[0])
		}
	}
	return all
}

// TestReadmeService: the unit's command line is one that the program takes.
func TestReadmeService(t *testing.T) {
	m := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/gctap (.*)$`).FindStringSubmatch(readme(t))
	if m == nil {
		t.Fatal("no ExecStart line")
	}
	checkCommandLine(t, m[1])
}
