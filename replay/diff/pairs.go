package diff

import "slices"

// A Pair is a message as it was aligned: in both sessions, or in one of them.
type Pair struct {
	Conversation string
	Name         string
	Left, Right  int64        // seqs; 0: that session has none
	Found        []Difference // what differs; good until the next Pair
	LeftOut      []string     // rules, as in Report.Ignored, that leave out something which differs
}

// tell tells Options.Pairs of a pair that was judged when so many differences
// had been found before.
func (c *comparison) tell(p pair, before int) error {
	if c.opts.Pairs == nil || c.muted {
		return nil
	}
	told := Pair{Conversation: c.matter.name(), Found: c.differences[before:]}
	if p.right != nil {
		told.Name, told.Right = p.right.name, p.right.seq
	}
	if p.left != nil {
		told.Name, told.Left = p.left.name, p.left.seq
	}
	for _, rule := range c.rested {
		told.LeftOut = append(told.LeftOut, c.rules.name(rule))
	}
	slices.Sort(told.LeftOut) // rules have their numbers by chance
	told.LeftOut = slices.Compact(told.LeftOut)
	c.rested = c.rested[:0]
	return c.opts.Pairs(&told)
}
