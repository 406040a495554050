package model

import (
	"context"
	"fmt"
	"sort"
	"time"

	"gctap/store"
)

// marks are those of the session, in the order of their messages.
type marks struct {
	all   []marked
	stale bool
}

// A marked is a mark and when its message came, by the tap's clock.
type marked struct {
	store.Annotation
	mono time.Duration
}

// index returns where the mark of a seq is or would be.
func (k *marks) index(seq int64) int {
	return sort.Search(len(k.all), func(i int) bool { return k.all[i].Seq >= seq })
}

func (k *marks) at(seq int64) (marked, bool) {
	if i := k.index(seq); i < len(k.all) && k.all[i].Seq == seq {
		return k.all[i], true
	}
	return marked{}, false
}

// above returns the last mark that is not behind a message.
func (k *marks) above(seq int64) (marked, bool) {
	if i := k.index(seq + 1); i > 0 {
		return k.all[i-1], true
	}
	return marked{}, false
}

// readMarks reads the marks and the times of their messages.
func (l *Messages) readMarks() *Task {
	id := l.Session.ID
	return &Task{
		What:   "reading the marks",
		Wanted: func() bool { return l.Session.ID == id },
		Failed: func(error) { l.marks.stale = false },
		Do: func(ctx context.Context, src Source, _ *Progress) (func(), error) {
			all, err := src.Marks(ctx, id)
			if err != nil {
				return nil, err
			}
			var list []marked
			for _, a := range all {
				rows, err := src.After(ctx, id, a.Seq-1, 1)
				if err != nil {
					return nil, err
				}
				if len(rows) == 1 && rows[0].Seq == a.Seq { // else it was pruned
					list = append(list, marked{a, rows[0].Mono})
				}
			}
			return func() { l.marks = marks{all: list} }, nil
		},
	}
}

// toMark selects the next mark, or the one before.
func (l *Messages) toMark(m *Model, n int) {
	i := l.marks.index(l.Selected)
	if n > 0 {
		i = l.marks.index(l.Selected + 1)
	} else {
		i--
	}
	switch {
	case len(l.marks.all) == 0:
		m.Notice = "nothing is marked: m marks a message"
	case i < 0 || i >= len(l.marks.all):
		m.Notice = "no mark further on"
	default:
		l.goTo(l.marks.all[i].Seq)
	}
}

// toggleMark marks a message, or takes its mark away.
func (m *Model) toggleMark(seq int64) {
	if _, ok := m.Messages.marks.at(seq); ok {
		m.changeMark(seq, func(ctx context.Context, session int64) error { return m.Desk.Unmark(ctx, session, seq) })
		return
	}
	m.mark(seq, "")
}

// askMark lets the user write why a message is marked.
func (m *Model) askMark(seq int64) {
	if seq == 0 {
		return
	}
	old, _ := m.Messages.marks.at(seq)
	m.Ask(&Prompt{
		Label:  fmt.Sprintf("note on message %d:", seq),
		Accept: func(m *Model, text string) bool { m.mark(seq, text); return true },
	}, old.Text)
}

func (m *Model) mark(seq int64, text string) {
	m.changeMark(seq, func(ctx context.Context, session int64) error { return m.Desk.Mark(ctx, session, seq, text) })
}

func (m *Model) changeMark(seq int64, change func(ctx context.Context, session int64) error) {
	if seq == 0 {
		return
	}
	if m.Desk.Mark == nil {
		m.Notice = "marks cannot be saved here"
		return
	}
	id := m.Messages.Session.ID
	m.Later(&Task{
		What: "saving the mark",
		Do: func(ctx context.Context, _ Source, _ *Progress) (func(), error) {
			return m.marksChanged, change(ctx, id)
		},
	})
}

// marksChanged has the marks read again, by all that show them.
func (m *Model) marksChanged() {
	m.Messages.marks.stale = true
	if v, ok := m.tabs[Ladder].(*LadderView); ok {
		v.marks.stale = true
	}
}
