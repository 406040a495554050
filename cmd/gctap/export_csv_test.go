package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"gctap/capture"
	"gctap/store"
)

// A table on a terminal lets no message act on it; in a file it is as it came.
func TestCSVOnATerminal(t *testing.T) {
	row := &store.Row{Record: capture.Record{Seq: 1, CapturedAt: nine, Direction: capture.Event, BodyKind: capture.Text, Body: []byte("a\x1b[2Jb\u009b")}}
	for _, visible := range []bool{true, false} {
		var text bytes.Buffer
		print, finish := csvRows(bufio.NewWriter(&text), visible)
		if err := print(nil, row); err != nil {
			t.Fatal(err)
		}
		if err := finish(); err != nil {
			t.Fatal(err)
		}
		if acts := strings.ContainsFunc(text.String(), forbidden); acts == visible {
			t.Errorf("visible %v: %q", visible, text.String())
		}
	}
}
