package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// judge turns the aligned messages of a conversation into differences.
func (c *comparison) judge(p convPair, pairs []pair) {
	name := p.name()
	moved := c.ordered(pairs)
	late := c.lateOnes(pairs, moved)
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(orderOf(a), orderOf(b)) })
	for _, p := range pairs {
		if c.muted = !c.counts(p); !c.muted {
			c.asked++
		}
		switch {
		case p.right == nil:
			c.missing(name, p.left)
		case p.left == nil:
			c.extra(name, p.right, pairs)
		default:
			c.both(name, p, moved[p.left], late[p.left])
		}
	}
}

// orderOf sorts pairs by their place in the left session; what only the right
// one has comes after the message it follows there.
func orderOf(p pair) int {
	if p.left != nil {
		return 2 * p.left.place
	}
	return 2*p.right.place + 1
}

// both judges a message that both sides have.
func (c *comparison) both(name string, p pair, moved, late bool) {
	d := Difference{Conversation: name, Name: p.left.name, Left: &p.left.seq, Right: &p.right.seq, state: p.left.state}
	clean := true
	if changes := c.fields(p); len(changes) > 0 {
		changed := d
		changed.Class, changed.Fields, changed.Why = Changed, changes, whyChanged(changes)
		c.add(changed, int64(p.left.place))
		clean = false
	}
	if late {
		d.Class = Late
		d.Why = fmt.Sprintf("%s after its %s, on the left %s", round(p.right.at-c.partner[p.left.by].at), p.left.by.name, round(p.left.latency()))
		c.add(d, int64(p.left.place))
		clean = false
	} else if moved {
		d.Class, d.Why = Reordered, "another place among the events of its call or command"
		c.add(d, int64(p.left.place))
		clean = false
	}
	if clean && !c.muted {
		c.found.Matched++
	}
}

func whyChanged(changes []FieldChange) string {
	names := make([]string, len(changes))
	for i, f := range changes {
		names[i] = f.Field
	}
	return strings.Join(names, ", ") + " not volatile, and no rule leaves it out"
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// missing reports a message that the right side lacks, unless the replay did
// not get so far.
func (c *comparison) missing(name string, e *entry) {
	if c.notReached(e) || c.afterWatch(c.left, e) {
		return
	}
	why := "the right session has no such message in this conversation"
	if e.by != nil {
		why = "nothing like it follows " + e.by.name
	}
	c.add(Difference{Class: Missing, Conversation: name, Name: e.name, Left: &e.seq, state: e.state, Why: why}, int64(e.place))
}

// notReached reports whether a left message lies behind the place where the
// replay had to stop: in its own conversation, or because the command that
// brings it about was not sent, or the call it belongs to not made.
func (c *comparison) notReached(e *entry) bool {
	if after, ok := c.cut[e.conv]; ok && e.seq > after {
		return true
	}
	if e.by != nil && e.by != e {
		if after, ok := c.cut[e.by.conv]; ok && e.by.seq > after {
			return true
		}
	}
	if subject, ok := strings.CutPrefix(e.lane, "state "); ok {
		if after, cut := c.cut[subject]; cut && e.seq > after {
			return true
		}
	}
	return len(c.cut) > 0 && e.dialog != "" && c.lostDialogs()[e.dialog]
}

// afterStop reports whether a right message came after the last command that a
// replay sent in a conversation that it stopped: what it lacked may be why.
func (c *comparison) afterStop(e *entry) bool {
	if !slices.ContainsFunc(c.right.stops, func(s flow.Stop) bool { return s.Conversation == e.conv }) {
		return false
	}
	entries := c.right.byName[e.conv].entries
	return !slices.ContainsFunc(entries[e.place+1:], func(later *entry) bool { return later.direction == capture.Command })
}

// afterWatch reports whether a message is the State of another agent that a
// supervisor is told around the logout, no copy of which the other session has
// from there on. How many of them still come depends on what agents do who do
// not wait for each other.
func (c *comparison) afterWatch(s *side, e *entry) bool {
	agent, ok := strings.CutPrefix(e.lane, "state ")
	if !ok || agent == e.conv {
		return false
	}
	conv := s.byName[e.conv]
	for _, later := range conv.entries[e.place+1:] {
		if later.lane == e.lane && c.partner[later] != nil {
			return false
		}
	}
	for _, logout := range slices.Backward(conv.entries) {
		if logout.name == "State" && logout.state == "LOGOUT" && logout.lane == "state "+e.conv {
			if e.at < logout.at-c.opts.Late {
				return false
			}
			c.ignore("order:State of others around logout")
			return true
		}
	}
	return false
}

// lostDialogs are the left calls in which something was not reached.
func (c *comparison) lostDialogs() map[string]bool {
	if c.lost == nil {
		c.lost = map[string]bool{}
		for _, conv := range c.left.convs {
			after, ok := c.cut[conv.name]
			if !ok {
				continue
			}
			for _, e := range conv.entries {
				if e.dialog != "" && e.seq > after && c.partner[e] == nil {
					c.lost[e.dialog] = true
				}
			}
		}
	}
	return c.lost
}

// extra reports a message that the left side lacks; a copy of one that it has
// is a duplicate.
func (c *comparison) extra(name string, e *entry, pairs []pair) {
	if c.afterWatch(c.right, e) || c.afterStop(e) {
		return
	}
	d := Difference{Class: Extra, Conversation: name, Name: e.name, Right: &e.seq, state: e.state}
	d.Why = "the left session has no such message in this conversation"
	if original := c.original(e, pairs); original != nil {
		d.Class, d.Why = Duplicated, fmt.Sprintf("the same as %d", original.right.seq)
		if original.left != nil {
			d.Left = &original.left.seq
		}
	}
	c.add(d, int64(e.place))
}

// original returns the aligned message that e repeats: the message right before
// it in the lane that is the same but for what is volatile, or the same bytes
// there; which of two equal ones was aligned is chance.
func (c *comparison) original(e *entry, pairs []pair) *pair {
	var before, copied, after *pair
	for i, p := range pairs {
		if p.right == nil || p.right.lane != e.lane || p.right == e {
			continue
		}
		if p.right.place > e.place {
			if p.left != nil && string(p.right.body) == string(e.body) && (after == nil || p.right.place < after.right.place) {
				after = &pairs[i]
			}
			continue
		}
		if before == nil || p.right.place > before.right.place {
			before = &pairs[i]
		}
		if p.left != nil && string(p.right.body) == string(e.body) && (copied == nil || p.right.place > copied.right.place) {
			copied = &pairs[i]
		}
	}
	if before != nil && before.left != nil && before.right.key == e.key {
		return before
	}
	return cmp.Or(copied, after)
}

// lateOnes marks the events that come late. One that only follows another late
// one of the same command is not late itself. One that came so late that it
// stands among the events of a later command is late too, not reordered.
func (c *comparison) lateOnes(pairs []pair, moved map[*entry]bool) map[*entry]bool {
	late := map[*entry]bool{}
	var events []pair
	for _, p := range pairs {
		if p.left == nil || p.right == nil || p.left.by == nil {
			continue
		}
		if by := c.partner[p.left.by]; by != nil && (by == p.right.by || moved[p.left]) {
			events = append(events, p)
		}
	}
	slices.SortFunc(events, func(a, b pair) int { return cmp.Compare(a.right.place, b.right.place) })
	last := map[*entry]time.Duration{} // by command: when its last late event came
	for _, p := range events {
		by := c.partner[p.left.by]
		l, r := p.left.latency(), p.right.at-by.at
		if r <= c.opts.Late || r <= 3*l {
			continue
		}
		before, ok := last[by]
		last[by] = p.right.at
		if ok && p.right.at-before <= c.opts.Late {
			continue
		}
		late[p.left] = true
	}
	return late
}

// keys works out, for each message of a conversation, the key by which it is
// aligned: equal for messages that should be equal in both sessions.
func (c *comparison) keys(p convPair) {
	for _, e := range p.left.entries {
		e.key = c.key(e, true)
		e.cause = e.key
	}
	for _, e := range p.right.entries {
		e.key = c.key(e, false)
		e.cause = e.key
	}
}

// The order of the values counts for nothing: their digests are added up.
func (c *comparison) key(e *entry, left bool) uint64 {
	msg := decode.Decode(e.input(), c.opts.Decode)
	key := digest(string(e.direction), e.name, e.state)
	c.scratch = c.flatten(c.scratch[:0], &msg, left)
	for i := range c.scratch {
		if v := &c.scratch[i]; v.rule == "" && !v.id {
			key += digest(v.path, v.text)
		}
	}
	return key
}
