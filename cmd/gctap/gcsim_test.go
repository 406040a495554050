package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture/brokertest"
)

// The command serves agents on a real connection and writes the book at the
// end.
func TestGCSimShift(t *testing.T) {
	b, err := brokertest.Start(t.Context(), brokertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	book := filepath.Join(t.TempDir(), "book.json")
	var out, errs bytes.Buffer
	f := gcsimFlags{on: b.URL(), queue: "Q", agents: 4, calls: "driven", shift: true, book: book}
	f.sim.Build, f.sim.Seed, f.sim.DelayMax = "a", 7, 5*time.Millisecond
	if err := runGCSim(t.Context(), &app{stdio: stdio{Out: &out, Err: &errs}}, f); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	for _, want := range []string{"build a, on queue Q", "1001 (extension 3001) … 1004 (extension 3004)", "2001 (extension 4001)", "secret-1001"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, out.String())
		}
	}
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Book struct {
			Agents []struct {
				Agent string `json:"agent"`
				Taken int    `json:"taken"`
			} `json:"agents"`
		} `json:"book"`
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for _, a := range kept.Book.Agents {
		taken += a.Taken
	}
	if taken != 8 {
		t.Errorf("%d calls taken in the book, want 8:\n%s", taken, text)
	}
}

// Stopped by its user, it has done its job.
func TestGCSimStops(t *testing.T) {
	b, err := brokertest.Start(t.Context(), brokertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	out := &firstWrite{first: func() { cancel(errInterrupted) }}
	f := gcsimFlags{on: b.URL(), queue: "Q", agents: 1, calls: "auto"}
	if err := runGCSim(ctx, &app{stdio: stdio{Out: out, Err: &bytes.Buffer{}}}, f); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// firstWrite calls first at the first write.
type firstWrite struct{ first func() }

func (w *firstWrite) Write(p []byte) (int, error) {
	if w.first != nil {
		w.first()
		w.first = nil
	}
	return len(p), nil
}
