package main

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeated is a reader of the same text n times.
type repeated struct {
	text string
	n    int
	rest string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// The memory of decode does not grow with the number of lines.
func TestDecodeStreams(t *testing.T) {
	line := `{"body":"1001#State#READY####2026-11-21 09:00:02#José Müller#1001#3001##José Müller#jmuller"}` + "\n"
	live := func(lines int) uint64 {
		var most uint64
		seen := 0
		cmd := decodeCommand(&app{stdio: stdio{In: &repeated{text: line, n: lines}, Out: writerFunc(func(p []byte) {
			seen += strings.Count(string(p), "\n")
			if seen%10_000 < 200 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}), Err: io.Discard}})
		cmd.SetArgs([]string{"--json"})
		if err := cmd.ExecuteContext(context.Background()); err != nil {
			t.Fatal(err)
		}
		if seen != lines {
			t.Errorf("%d lines out, %d in", seen, lines)
		}
		return most
	}
	few, many := live(1_000), live(50_000)
	if many > few+1<<20 {
		t.Errorf("%d bytes live with 1,000 lines, %d with 50,000", few, many)
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// A separator cannot stand for a '#': every message would be read wrongly.
func TestDecodeHashToken(t *testing.T) {
	for token, refused := range map[string]bool{"#": true, ",": true, ":": true, "|": true, "=": true, "a#b": true, "none": false, "00100011": false} {
		cmd := decodeCommand(&app{stdio: stdio{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}})
		cmd.SetArgs([]string{"--hash-token", token, "--body", "1#State#READY"})
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if err := cmd.Execute(); (err != nil) != refused {
			t.Errorf("%q: %v", token, err)
		}
	}
}
