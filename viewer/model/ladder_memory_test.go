package model

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode/check"
	"gctap/store"
)

// taped is a source with one session of given rows.
type taped struct {
	fake
	rows []store.Row
	read int // rows handed out
}

func (s *taped) After(_ context.Context, _, seq int64, n int) ([]store.Row, error) {
	from := min(int(seq), len(s.rows))
	page := s.rows[from:min(from+n, len(s.rows))]
	s.read += len(page)
	return page, nil
}

func (s *taped) Before(_ context.Context, _, seq int64, n int) ([]store.Row, error) {
	to := min(int(seq-1), len(s.rows))
	page := s.rows[max(to-n, 0):to]
	s.read += len(page)
	return page, nil
}

// TestAWindowKnowsWhatBeganLongBefore: a call that rings at the beginning of
// the session ends far below. Whoever has scrolled there knows since when it
// has lasted, and has not read everything again; whoever has jumped there does
// not.
func TestAWindowKnowsWhatBeganLongBefore(t *testing.T) {
	const calls, window = 3 * warmRows, 200
	s := &taped{}
	add := func(body string) {
		seq := int64(len(s.rows) + 1)
		at := time.Duration(seq) * time.Second / 20
		s.rows = append(s.rows, store.Row{Record: capture.Record{Seq: seq, Mono: at, CapturedAt: time.Unix(1000, 0).Add(at), Source: "stomp",
			Direction: capture.Event, To: "topic://T1", Body: []byte(body)}, Conversation: "1001", Subject: "1001"})
	}
	call := func(state string) string {
		return "1001#InboundCall#" + state + "#DialogID:700#42512#ani=42512#t#CallType:ACD_IN#ParticipantsCount:0#participants:"
	}
	add(call("ACTIVE"))
	for i := range calls {
		add(fmt.Sprintf("1001#Control#PrintStatusBar#%d", i))
	}
	add(call("DROPPED"))
	last := int64(len(s.rows))
	born := func(known *memory, first int64) (seq int64) {
		err := watch(t.Context(), s, known, 1, nil, first, func(seen *check.Seen) bool {
			if seen.Record.Seq == last {
				seq = seen.Dialog.Born
			}
			return seen.Record.Seq < min(first+window, last)
		})
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	if got := born(&memory{}, last-10); got != last {
		t.Errorf("after a jump the call began with message %d, which the window cannot know", got)
	}
	var known memory
	s.read = 0
	for first := int64(1); first < last-10; first += window {
		born(&known, first)
	}
	if got := born(&known, last-10); got != 1 {
		t.Errorf("after scrolling the call began with message %d, want 1", got)
	}
	if most := 8 * len(s.rows); s.read > most { // a page is more than a window
		t.Errorf("%d rows were read to scroll over %d", s.read, len(s.rows))
	}
	if len(known.marks) != marksKept {
		t.Errorf("%d states are kept, want %d", len(known.marks), marksKept)
	}
}
