package diff

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// signature is what makes differences one group.
type signature struct{ class, name, state, fields string }

// group is the differences of one signature.
type group struct {
	signature
	count int
	first *Difference
	order int
}

// WriteText writes the report for people: grouped by signature, the most
// frequent first, with one example each.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d matched", r.Verdict, r.Counts.Matched)
	for _, c := range []struct {
		n    int
		name string
	}{{r.Counts.Changed, Changed}, {r.Counts.Missing, Missing}, {r.Counts.Extra, Extra}, {r.Counts.Reordered, Reordered},
		{r.Counts.Late, Late}, {r.Counts.Duplicated, Duplicated}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.name)
		}
	}
	b.WriteByte('\n')
	r.writeEvidence(&b)
	for _, g := range groups(r.Differences) {
		g.write(&b)
	}
	for _, l := range r.Latency {
		if l.Regressed {
			fmt.Fprintf(&b, "slower     %s: p95 %s, was %s\n", l.Name, round(l.Right.P95), round(l.Left.P95))
		}
	}
	for _, rule := range r.Ignored {
		fmt.Fprintf(&b, "left out   %s: %d", rule.Rule, rule.Count)
		if rule.Why != "" {
			fmt.Fprintf(&b, " (%s)", rule.Why)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
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
func (r *Report) writeEvidence(b *strings.Builder) {
	if slice := r.Slice(); slice != "" {
		fmt.Fprintln(b, slice)
	}
	for _, s := range []struct {
		which string
		side  Side
	}{{"left", r.Left}, {"right", r.Right}} {
		if s.side.Gaps > 0 {
			fmt.Fprintf(b, "incomplete the %s session has %d gaps\n", s.which, s.side.Gaps)
		}
		for _, stop := range s.side.Stopped {
			fmt.Fprintf(b, "incomplete %s of the %s session was not played to its end: %s\n", stop.Conversation, s.which, stop.Reason)
		}
	}
}

func groups(differences []Difference) []*group {
	bySignature := map[signature]*group{}
	var all []*group
	for i := range differences {
		d := &differences[i]
		s := signature{d.Class, d.Name, d.state, fieldNames(d.Fields)}
		g, ok := bySignature[s]
		if !ok {
			g = &group{signature: s, first: d, order: i}
			bySignature[s] = g
			all = append(all, g)
		}
		g.count++
	}
	slices.SortStableFunc(all, func(a, b *group) int { return cmp.Compare(b.count, a.count) })
	return all
}

func fieldNames(changes []FieldChange) string {
	names := make([]string, len(changes))
	for i, f := range changes {
		names[i] = withoutIndexes(f.Field)
	}
	return strings.Join(slices.Compact(names), ", ")
}

func (g *group) write(b *strings.Builder) {
	name := g.name
	if name == "" {
		name = "an unknown message"
	}
	if g.state != "" {
		name += " " + g.state
	}
	fmt.Fprintf(b, "%-10s %s", g.class, name)
	if g.fields != "" {
		fmt.Fprintf(b, " (%s)", g.fields)
	}
	if g.count > 1 {
		fmt.Fprintf(b, ", %d times", g.count)
	}
	fmt.Fprintf(b, "\n           in %s, %s: %s\n", g.first.Conversation, seqs(g.first), g.first.Why)
	for _, f := range g.first.Fields {
		fmt.Fprintf(b, "           %s: %s, was %s\n", f.Field, quoted(f.Right), quoted(f.Left))
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
