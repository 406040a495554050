package diff

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Group is the differences of one signature: the same class, message, state
// and fields.
type Group struct {
	Class, Kind, Name, State, Fields string
	Count                            int
	First                            *Difference // an example
}

// A Paint makes of a line of the text what is printed. part is the class of the
// difference that the line begins, or the verdict, for colour; empty for all
// other lines.
type Paint func(part, line string) string

// text is a report being written, line by line.
type text struct {
	strings.Builder
	paint Paint
}

func (t *text) line(part, format string, args ...any) {
	t.WriteString(t.paint(part, fmt.Sprintf(format, args...)))
	t.WriteByte('\n')
}

// WriteText writes the report for people: grouped by signature, what is worst
// and most frequent first, with one example each. A nil paint prints the lines
// as they are.
func (r *Report) WriteText(w io.Writer, paint Paint) error {
	if paint == nil {
		paint = func(_, line string) string { return line }
	}
	t := text{paint: paint}
	t.line(r.Verdict, "%s: %d matched%s", r.Verdict, r.Counts.Matched, r.Counts.list())
	if len(r.Differences) > 0 {
		t.line("", "about      %s", r.kinds())
	}
	r.writeEvidence(&t)
	for _, g := range r.Groups() {
		g.write(&t)
	}
	for _, l := range r.Latency {
		if l.Regressed {
			t.line(Late, "slower     %s: p95 %s, was %s", l.Name, round(l.Right.P95), round(l.Left.P95))
		}
	}
	for _, rule := range r.Ignored {
		why := ""
		if rule.Why != "" {
			why = " (" + rule.Why + ")"
		}
		t.line("", "left out   %s: %d%s", rule.Rule, rule.Count, why)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// list names the classes of which there are any.
func (c *Counts) list() string {
	var b strings.Builder
	for _, one := range []struct {
		n    int
		name string
	}{{c.Changed, Changed}, {c.Missing, Missing}, {c.Extra, Extra}, {c.Reordered, Reordered}, {c.Late, Late}, {c.Duplicated, Duplicated}} {
		if one.n > 0 {
			fmt.Fprintf(&b, ", %d %s", one.n, one.name)
		}
	}
	return b.String()
}

// kinds counts the differences by what they are about.
func (r *Report) kinds() string {
	count := map[string]int{}
	for i := range r.Differences {
		count[r.Differences[i].Kind]++
	}
	var parts []string
	for _, kind := range kinds {
		if n := count[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", kind, n))
		}
	}
	return strings.Join(parts, ", ")
}

// Slice says in words which messages were compared, where it was not all.
func (r *Report) Slice() string {
	if r.Left.Filter == "" || r.Left.Selected == nil || r.Right.Selected == nil {
		return ""
	}
	return fmt.Sprintf("a slice: %d of %d messages on the left, %d of %d on the right, those that the filter %s accepts",
		*r.Left.Selected, r.Left.Messages, *r.Right.Selected, r.Right.Messages, r.Left.Filter)
}

// writeEvidence says why the comparison does not cover everything.
func (r *Report) writeEvidence(t *text) {
	if slice := r.Slice(); slice != "" {
		t.line("", "%s", slice)
	}
	for _, s := range []struct {
		which string
		side  Side
	}{{"left", r.Left}, {"right", r.Right}} {
		if s.side.Gaps > 0 {
			t.line("", "incomplete the %s session has %d gaps", s.which, s.side.Gaps)
		}
		for _, stop := range s.side.Stopped {
			t.line("", "incomplete %s of the %s session was not played to its end: %s", stop.Conversation, s.which, stop.Reason)
		}
	}
}

// Groups are the differences by signature: by what they are about, session
// failures and errors first, then the most frequent first.
func (r *Report) Groups() []*Group {
	bySignature := map[Group]*Group{}
	var all []*Group
	for i := range r.Differences {
		d := &r.Differences[i]
		signature := Group{Class: d.Class, Kind: d.Kind, Name: d.Name, State: d.State, Fields: fieldNames(d.Fields)}
		g, ok := bySignature[signature]
		if !ok {
			g = &Group{}
			*g = signature
			g.First = d
			bySignature[signature] = g
			all = append(all, g)
		}
		g.Count++
	}
	slices.SortStableFunc(all, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(b.Count, a.Count))
	})
	return all
}

func fieldNames(changes []FieldChange) string {
	names := make([]string, len(changes))
	for i, f := range changes {
		names[i] = withoutIndexes(f.Field)
	}
	return strings.Join(slices.Compact(names), ", ")
}

func (g *Group) write(t *text) {
	what := cmp.Or(g.Name, "an unknown message")
	if g.State != "" {
		what += " " + g.State
	}
	if g.Fields != "" {
		what += " (" + g.Fields + ")"
	}
	if g.Count > 1 {
		what += fmt.Sprintf(", %d times", g.Count)
	}
	t.line(g.Class, "%-10s %s", g.Class, what)
	t.line("", "           in %s, %s: %s", g.First.Conversation, seqs(g.First), g.First.Why)
	for _, f := range g.First.Fields {
		t.line("", "           %s: %s, was %s", f.Field, quoted(f.Right), quoted(f.Left))
	}
}

func seqs(d *Difference) string {
	left, right := "-", "-"
	if d.Left != nil {
		left = "#" + itoa(*d.Left)
	}
	if d.Right != nil {
		right = "#" + itoa(*d.Right)
	}
	return left + " / " + right
}

func quoted(s *string) string {
	if s == nil {
		return "absent"
	}
	return fmt.Sprintf("%q", *s)
}
