package model

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"gctap/store"
)

// A search is what the user looks for in the list.
type search struct {
	text    string
	history *History
	back    bool
	from    int64 // seq that it begins behind
	asked   bool  // it is to be done
}

// askSearch lets the user write what to look for.
func (l *Messages) askSearch(m *Model) {
	if l.search.history == nil {
		l.search.history = NewHistory(nil)
	}
	m.Ask(&Prompt{
		Label:   "search:",
		History: l.search.history,
		Accept: func(m *Model, text string) bool {
			l.search.text = text
			l.seek(m, false)
			return true
		},
	}, "")
}

// seek looks for the text from the selected message on, or with back before it.
func (l *Messages) seek(m *Model, back bool) {
	if l.search.text == "" {
		m.Notice = "nothing to look for: s begins a search"
		return
	}
	l.Following = false
	l.search.back, l.search.from, l.search.asked = back, l.Selected, true
}

// next returns the task that looks, where one is asked for.
func (s *search) next(l *Messages) *Task {
	if s.asked = s.asked && l.Selected == s.from; !s.asked { // the user went elsewhere
		return nil
	}
	id, filter, last, text, from, back := l.Session.ID, l.Filter, l.Session.LastSeq, s.text, s.from, s.back
	m := newMatcher(text)
	return &Task{
		What: fmt.Sprintf("looking for %q", Printable(text)),
		Wanted: func() bool {
			return l.search.asked && l.search.text == text && l.search.from == from && l.search.back == back && l.Selected == from
		},
		Failed: func(error) { l.search.asked = false },
		Do: func(ctx context.Context, src Source, p *Progress) (func(), error) {
			for scan := src.Scan(id, filter, from, back); !scan.Done(); {
				rows, err := scan.Next(ctx)
				if err != nil {
					return nil, err
				}
				for i := range rows {
					if m.matches(&rows[i]) {
						return func() { l.search.asked = false; l.goTo(rows[i].Seq) }, nil
					}
				}
				if back {
					p.Set(from-scan.At(), from)
				} else {
					p.Set(scan.At()-from, last-from)
				}
			}
			return nil, fmt.Errorf("%q is not found %s message %d", text, map[bool]string{false: "behind", true: "before"}[back], from)
		},
	}
}

// A matcher finds a text, in any case, in what a message holds and is called.
type matcher struct{ lower []byte }

func newMatcher(text string) matcher { return matcher{[]byte(strings.ToLower(text))} }

func (m matcher) matches(row *store.Row) bool {
	for _, text := range []string{row.Type(), row.Name, row.Agent, row.Dialog, row.To} {
		if bytes.Contains([]byte(strings.ToLower(text)), m.lower) {
			return true
		}
	}
	return bytes.Contains(bytes.ToLower(row.Body), m.lower)
}
