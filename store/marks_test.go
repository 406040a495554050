package store

import (
	"testing"
)

func TestMarksStandAfterSealingAndAreVerified(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "marked")
	write(t, w, call(1), call(2), call(3))
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	mark := func(seq int64, text string) {
		t.Helper()
		if err := s.Mark(t.Context(), 1, seq, text); err != nil {
			t.Fatal(err)
		}
	}
	mark(3, "late")
	mark(1, "first")
	mark(2, "wrong")
	mark(3, "too late")
	if err := s.Unmark(t.Context(), 1, 2); err != nil {
		t.Fatal(err)
	}
	marks, err := s.Marks(t.Context(), 1)
	if err != nil || len(marks) != 2 || marks[0].Seq != 1 || marks[0].Text != "first" || marks[1].Seq != 3 || marks[1].Text != "too late" {
		t.Errorf("marks %+v, %v", marks, err)
	}
	if err := s.Mark(t.Context(), 77, 1, ""); err == nil {
		t.Error("a session that is not there is marked")
	}
	v, err := s.Verify(t.Context(), 1, nil)
	if err != nil || v.Broken != nil || v.Annotations != 6 {
		t.Errorf("verdict %+v, %v", v, err)
	}
}
