package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode/flow"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// judge turns the aligned messages of a conversation into differences.
func (c *comparison) judge(m *matter) error {
	name, pairs := m.name(), m.pairs
	moved := ordered(pairs)
	late := c.lateOnes(pairs, moved)
	c.matter, c.copies = m, nil
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(orderOf(a), orderOf(b)) })
	for _, p := range pairs {
		if c.muted = !c.counts(p); !c.muted {
			c.asked++
		}
		before := len(c.differences)
		switch {
		case p.right == nil:
			c.missing(name, p.left)
		case p.left == nil:
			c.extra(name, p.right)
		default:
			c.both(name, p, moved[p.left], late[p.left])
		}
		if err := c.tell(p, before); err != nil {
			return err
		}
	}
	return nil
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
	d := Difference{Conversation: name, Name: p.left.name, Left: &p.left.seq, Right: &p.right.seq, State: p.left.state}
	clean := true
	if changes := c.fields(p); len(changes) > 0 {
		changed := d
		changed.Class, changed.Fields, changed.Why = Changed, changes, whyChanged(changes)
		c.add(changed, p.left)
		clean = false
	}
	if late {
		d.Class = Late
		since := "its " + p.left.by.name
		if p.left.met > 0 && p.right.met > 0 {
			since = "what " + since + " waited for"
		}
		l, r := latencies(p, p.left.by.partner)
		d.Why = fmt.Sprintf("%s after %s, on the left %s", round(r), since, round(l))
		c.add(d, p.left)
		clean = false
	} else if moved {
		d.Class, d.Why = Reordered, "another place among the events of its call or command"
		c.add(d, p.left)
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
	if c.notReached(e) || c.afterWatch(c.matter.l, e) {
		return
	}
	why := "the right session has no such message in this conversation"
	if e.by != nil {
		why = "nothing like it follows " + e.by.name
	}
	c.add(Difference{Class: Missing, Conversation: name, Name: e.name, Left: &e.seq, State: e.state, Why: why}, e)
}

// notReached reports whether a left message lies behind the place where the
// replay had to stop: in its own conversation, or because the command that
// brings it about was not sent, or the call it belongs to not made.
func (c *comparison) notReached(e *entry) bool {
	if len(c.cut) == 0 {
		return false
	}
	behind := func(conversation string, seq int64) bool {
		after, ok := c.cut[conversation]
		return ok && seq > after
	}
	return behind(c.matter.left.name, e.seq) || e.by != nil && behind(e.by.conv, e.by.seq) ||
		e.lane.kind == stateLane && behind(e.lane.of, e.seq) || e.dialog != "" && c.lost[e.dialog]
}

// afterStop reports whether a right message came after the last command that a
// replay sent in a conversation that it stopped: what it lacked may be why.
func (c *comparison) afterStop(e *entry) bool {
	m := c.matter
	if !slices.ContainsFunc(c.right.stops, func(s flow.Stop) bool { return s.Conversation == m.right.name }) {
		return false
	}
	return !slices.ContainsFunc(m.r.entries[e.place+1:], func(later *entry) bool { return later.direction == capture.Command })
}

// afterWatch reports whether a message is the State of another agent that a
// supervisor is told around the logout, no copy of which the other session has
// from there on. How many of them still come depends on what agents do who do
// not wait for each other.
func (c *comparison) afterWatch(t *talk, e *entry) bool {
	if e.lane.kind != stateLane || e.lane.of == t.name {
		return false
	}
	for _, later := range t.entries[e.place+1:] {
		if later.lane == e.lane && later.partner != nil {
			return false
		}
	}
	own := lane{kind: stateLane, of: t.name}
	for _, logout := range slices.Backward(t.entries) {
		if logout.name == "State" && logout.state == "LOGOUT" && logout.lane == own {
			if e.at < logout.at-c.opts.Late {
				return false
			}
			c.pass(c.rules.number("order:State of others around logout"))
			return true
		}
	}
	return false
}

// loseDialogs finds the left calls in which something was not reached: what
// others miss of them is no difference either.
func (c *comparison) loseDialogs(m *matter) {
	after, ok := c.cut[m.left.name]
	if !ok {
		return
	}
	for _, e := range m.l.entries {
		if e.dialog != "" && e.seq > after && e.partner == nil {
			c.lost[strings.Clone(e.dialog)] = true
		}
	}
}

// extra reports a message that the left side lacks; a copy of one that it has
// is a duplicate.
func (c *comparison) extra(name string, e *entry) {
	if c.afterWatch(c.matter.r, e) || c.afterStop(e) {
		return
	}
	d := Difference{Class: Extra, Conversation: name, Name: e.name, Right: &e.seq, State: e.state}
	d.Why = "the left session has no such message in this conversation"
	if original := c.original(e); original != nil {
		d.Class, d.Why = Duplicated, fmt.Sprintf("the same as %d", original.seq)
		if original.partner != nil {
			d.Left = &original.partner.seq
		}
	}
	c.add(d, e)
}

// original returns the aligned message that e repeats: the message right before
// it in the lane that is the same but for what is volatile, or the same bytes
// there; which of two equal ones was aligned is chance.
func (c *comparison) original(e *entry) *entry {
	if c.copies == nil {
		c.copies = copiesOf(c.matter.r)
	}
	mates := c.copies.lanes[e.lane]
	if i, _ := slices.BinarySearchFunc(mates, e.place, comparePlace); i > 0 {
		if before := mates[i-1]; before.partner != nil && before.key == e.key {
			return before
		}
	}
	same := c.copies.bodies[laneBody{e.lane, e.body}]
	i, _ := slices.BinarySearchFunc(same, e.place, comparePlace)
	if i > 0 {
		return same[i-1]
	}
	if i < len(same) {
		return same[i]
	}
	return nil
}

func comparePlace(e *entry, place int) int { return cmp.Compare(e.place, place) }

// copies is where in a conversation equal messages stand.
type copies struct {
	lanes  map[lane][]*entry
	bodies map[laneBody][]*entry // those that have a partner
}

type laneBody struct {
	lane lane
	body string
}

func copiesOf(t *talk) *copies {
	c := &copies{lanes(t).entries, map[laneBody][]*entry{}}
	for _, e := range t.entries {
		if e.partner != nil {
			at := laneBody{e.lane, e.body}
			c.bodies[at] = append(c.bodies[at], e)
		}
	}
	return c
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
		if by := p.left.by; by.partner.seq != 0 && (p.right.by != nil && by.alignedWith(p.right.by) || moved[p.left]) {
			events = append(events, p)
		}
	}
	slices.SortFunc(events, func(a, b pair) int { return cmp.Compare(a.right.place, b.right.place) })
	last := map[int64]time.Duration{} // by command: when its last late event came
	for _, p := range events {
		by := p.left.by.partner
		l, r := latencies(p, by)
		if r <= c.opts.Late || r <= 3*l {
			continue
		}
		before, ok := last[by.seq]
		last[by.seq] = p.right.at
		if ok && p.right.at-before <= c.opts.Late {
			continue
		}
		late[p.left] = true
	}
	return late
}
