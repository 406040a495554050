package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"gctap/capture"
	"gctap/replay/diff"
	"gctap/store"
)

// A failure is what shrink looks for: see its help.
type failure struct {
	class  string        // of a difference; "different" is any; "" looks at messages of GC
	filter *store.Filter // nil: all
	left   map[int64]bool
	like   map[string]bool // what the whole session showed; nil before
}

var failureClass = regexp.MustCompile(`^\s*(different|changed|missing|extra|reordered|late|duplicated)\s*(?::(.*))?$`)

// newFailure reads the expression of --fail-on.
func newFailure(ctx context.Context, expression string, from *store.Store, source store.Session) (*failure, error) {
	f := &failure{}
	text := expression
	if m := failureClass.FindStringSubmatch(expression); m != nil {
		f.class, text = m[1], m[2]
		if strings.Contains(expression, ":") && strings.TrimSpace(text) == "" {
			return nil, usagef("--fail-on %q: a filter follows the colon", expression)
		}
	}
	var err error
	if f.filter, err = store.CompileFilter(text); err != nil {
		return nil, usagef("--fail-on: %w", err)
	}
	if f.class == "" || f.filter == nil {
		return f, nil
	}
	f.left = map[int64]bool{}
	for row, err := range from.Filtered(ctx, source.ID, f.filter, 1) {
		if err != nil {
			return nil, err
		}
		f.left[row.Seq] = true
	}
	return f, nil
}

// sent reports whether GC sent a message that the filter accepts.
func (f *failure) sent(records []capture.Record) bool {
	for rec := range f.accepted(records) {
		if records[rec-1].Direction == capture.Event {
			return true
		}
	}
	return false
}

// accepted returns the records that the filter accepts, by seq.
func (f *failure) accepted(records []capture.Record) map[int64]bool {
	seqs, sieve := map[int64]bool{}, store.NewSieve(f.filter)
	for i := range records {
		if sieve.Keep(&records[i]) {
			seqs[records[i].Seq] = true
		}
	}
	return seqs
}

// differs reports whether a difference of the class is in a message that the
// filter accepts, and is like one that the whole session showed: it is asked
// about that first.
func (f *failure) differs(found []diff.Difference, records []capture.Record) bool {
	right := f.accepted(records)
	shown := map[string]bool{}
	for i := range found {
		d := &found[i]
		if f.class != "different" && d.Class != f.class {
			continue
		}
		if f.filter != nil && (d.Right != nil && !right[*d.Right] || d.Right == nil && (d.Left == nil || !f.left[*d.Left])) {
			continue
		}
		shown[likeness(d)] = true
	}
	if len(f.like) == 0 {
		f.like = shown
	}
	for like := range shown {
		if f.like[like] {
			return true
		}
	}
	return false
}

// likeness is what two differences share that have one reason.
func likeness(d *diff.Difference) string {
	var fields []string
	for i := range d.Fields {
		fields = append(fields, d.Fields[i].Field)
	}
	return fmt.Sprint(d.Class, " ", d.Conversation, " ", d.Name, " ", fields)
}
