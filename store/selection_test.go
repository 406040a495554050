package store

import (
	"slices"
	"testing"

	"gctap/capture"
)

// A selection yields everything and holds what the filter accepts, and gaps.
func TestSelection(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "whole")
	const far = 1 << 32 // seqs may have holes
	for _, seq := range []int64{1, 2, 63, 64, 65, 4096, 4097, far} {
		rec := call(seq)
		if seq == 64 {
			rec = capture.Gap{From: noon, To: noon, Reason: capture.GapStopped}.Record()
			rec.Seq = seq
		}
		write(t, w, rec)
	}
	for _, c := range []struct {
		filter string
		want   []int64
		slice  *Slice
	}{
		{"", []int64{1, 2, 63, 64, 65, 4096, 4097, far}, nil},
		{"seq in [2, 63, 4097]", []int64{2, 63, 64, 4097}, &Slice{"seq in [2, 63, 4097]", 3, 7}},
		{"seq > 4096", []int64{64, 4097, far}, &Slice{"seq > 4096", 2, 7}},
		{`agent == "nobody"`, []int64{64}, &Slice{`agent == "nobody"`, 0, 7}},
	} {
		part := s.Select(w.session.ID, mustFilter(t, c.filter))
		for range 2 { // it may be read again
			var all, held []int64
			for rec, err := range part.Records(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, rec.Seq)
			}
			for _, seq := range []int64{1, 2, 3, 63, 64, 65, 66, 4096, 4097, far, far + 1} {
				if part.Holds(seq) && slices.Contains(all, seq) {
					held = append(held, seq)
				}
			}
			if len(all) != 8 || !slices.Equal(held, c.want) {
				t.Errorf("%q holds %v of %v", c.filter, held, all)
			}
		}
		got := part.Slice()
		if (got == nil) != (c.slice == nil) || got != nil && *got != *c.slice || (part.Only() == nil) != (c.filter == "") {
			t.Errorf("%q is %+v", c.filter, got)
		}
	}
}
