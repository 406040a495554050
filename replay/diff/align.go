package diff

import (
	"cmp"
	"slices"
	"strings"
)

// convPair is a conversation of both sides, or one that only a side has.
type convPair struct{ left, right *conv }

// name is what differences call the conversation.
func (p convPair) name() string {
	if p.left != nil {
		return strings.TrimPrefix(p.left.name, "dest:")
	}
	return strings.TrimPrefix(p.right.name, "dest:")
}

// pair is a message of both sides, or one that only a side has.
type pair struct{ left, right *entry }

// pairConversations finds the right conversation of each left one by the
// mapping. Topics that no mapping names are paired by the agents that connect
// to them, and then in their order.
func (c *comparison) pairConversations() []convPair {
	taken := map[*conv]bool{}
	find := func(name string) *conv {
		r := c.right.byName[name]
		if r == nil || taken[r] {
			return nil
		}
		taken[r] = true
		return r
	}
	pairs := make([]convPair, len(c.left.convs))
	for i, l := range c.left.convs {
		pairs[i] = convPair{l, find(c.rightName(l.name))}
	}
	for i, p := range pairs {
		if topic, ok := topicOf(p.left.name); ok && p.right == nil {
			pairs[i].right = c.topicByAgents(topic, taken)
		}
	}
	for i, p := range pairs {
		if _, ok := topicOf(p.left.name); ok && p.right == nil {
			pairs[i].right = nextTopic(c.right.convs, taken)
		}
	}
	for _, r := range c.right.convs {
		if !taken[r] {
			pairs = append(pairs, convPair{nil, r})
		}
	}
	return pairs
}

// rightName is the name that a left conversation has on the right side.
func (c *comparison) rightName(name string) string {
	switch prefix, rest, ok := strings.Cut(name, ":"); {
	case !ok:
		return mapped(c.names.Agents, name)
	case prefix == "dest":
		return "dest:" + mapped(c.names.Dests, rest)
	case prefix == "peer":
		return "peer:" + mapped(c.names.Agents, rest)
	}
	return name
}

func mapped(m map[string]string, name string) string {
	if to, ok := m[name]; ok {
		return to
	}
	return name
}

// topicByAgents finds the topic that the same first agent connects to.
func (c *comparison) topicByAgents(topic string, taken map[*conv]bool) *conv {
	agents := c.left.agents[topic]
	if len(agents) == 0 {
		return nil
	}
	first := mapped(c.names.Agents, agents[0])
	for _, r := range c.right.convs {
		to, ok := topicOf(r.name)
		if !ok || taken[r] {
			continue
		}
		if theirs := c.right.agents[to]; len(theirs) > 0 && theirs[0] == first {
			taken[r] = true
			return r
		}
	}
	return nil
}

func nextTopic(convs []*conv, taken map[*conv]bool) *conv {
	for _, r := range convs {
		if _, ok := topicOf(r.name); ok && !taken[r] {
			taken[r] = true
			return r
		}
	}
	return nil
}

// alignCommands pairs the commands of a conversation. Those of all
// conversations come first: events are paired by the commands behind them.
func (c *comparison) alignCommands(p convPair) []pair {
	if p.left == nil || p.right == nil {
		return nil
	}
	c.keys(p)
	return c.alignLane(lane(p.left, commandLane), lane(p.right, commandLane))
}

// align pairs the events of a conversation: call by call, then lane by lane.
func (c *comparison) align(p convPair) []pair {
	if p.left == nil || p.right == nil {
		return unpaired(p)
	}
	c.causeKeys(p)
	left, right := lanes(p.left), lanes(p.right)
	var pairs []pair
	for _, d := range c.pairDialogs(left, right) {
		pairs = append(pairs, c.alignLane(left.entries[d[0]], right.entries[d[1]])...)
	}
	seen := map[string]bool{}
	for _, name := range append(slices.Clone(left.order), right.order...) {
		if strings.HasPrefix(name, "dialog ") || name == commandLane {
			continue
		}
		there := name
		if subject, ok := strings.CutPrefix(name, "state "); ok && left.entries[name] != nil {
			there = "state " + mapped(c.names.Agents, subject)
		}
		if seen[there] {
			continue
		}
		seen[there] = true
		pairs = append(pairs, c.alignLane(left.entries[name], right.entries[there])...)
	}
	return pairs
}

// causeKeys gives events keys by which they are aligned: what should be equal,
// and the command behind them. A late answer is then not taken for that of a
// later command.
func (c *comparison) causeKeys(p convPair) {
	for _, e := range p.left.entries {
		e.cause = e.key
		if e.by != nil && c.partner[e.by] != nil {
			e.cause = digest(itoa(int64(e.key)), itoa(e.by.seq))
		}
	}
	for _, e := range p.right.entries {
		e.cause = e.key
		if e.by != nil && c.partner[e.by] != nil {
			e.cause = digest(itoa(int64(e.key)), itoa(c.partner[e.by].seq))
		}
	}
}

func unpaired(p convPair) (pairs []pair) {
	if p.left != nil {
		for _, e := range p.left.entries {
			pairs = append(pairs, pair{left: e})
		}
	}
	if p.right != nil {
		for _, e := range p.right.entries {
			pairs = append(pairs, pair{right: e})
		}
	}
	return pairs
}

func lane(c *conv, name string) (entries []*entry) {
	for _, e := range c.entries {
		if e.lane == name {
			entries = append(entries, e)
		}
	}
	return entries
}

// laneSet is the messages of a conversation by lane.
type laneSet struct {
	order   []string
	entries map[string][]*entry
}

func lanes(c *conv) laneSet {
	s := laneSet{entries: map[string][]*entry{}}
	for _, e := range c.entries {
		if s.entries[e.lane] == nil {
			s.order = append(s.order, e.lane)
		}
		s.entries[e.lane] = append(s.entries[e.lane], e)
	}
	return s
}

// alignLane pairs the messages of one lane: in order as far as they go
// together, then what has changed its place.
func (c *comparison) alignLane(left, right []*entry) []pair {
	keys := func(es []*entry) []uint64 {
		ks := make([]uint64, len(es))
		for i, e := range es {
			ks[i] = e.cause
		}
		return ks
	}
	l, r := make([]*entry, len(left)), make([]*entry, len(right)) // partners
	for _, m := range matchSequences(keys(left), keys(right), func(i, j int) int { return c.likeness(left[i], right[j]) }) {
		l[m.left], r[m.right] = right[m.right], left[m.left]
	}
	pairMoved(left, right, l, r, func(e *entry) uint64 { return e.cause })
	pairMoved(left, right, l, r, func(e *entry) uint64 { return e.key })
	var pairs []pair
	for i, e := range left {
		pairs = append(pairs, pair{e, l[i]})
		if l[i] != nil {
			c.partner[e], c.partner[l[i]] = l[i], e
		}
	}
	for j, e := range right {
		if r[j] == nil {
			pairs = append(pairs, pair{right: e})
		}
	}
	return pairs
}

// pairMoved pairs what is left over on both sides and is the same.
func pairMoved(left, right, l, r []*entry, key func(*entry) uint64) {
	free := map[uint64][]int{}
	for j, e := range right {
		if r[j] == nil {
			free[key(e)] = append(free[key(e)], j)
		}
	}
	for i, e := range left {
		if js := free[key(e)]; l[i] == nil && len(js) > 0 {
			l[i], r[js[0]] = right[js[0]], e
			free[key(e)] = js[1:]
		}
	}
}

// likeness tells how well two messages with different keys go together: not
// at all with another name, better with the same state and cause.
func (c *comparison) likeness(l, r *entry) int {
	if l.name != r.name || l.direction != r.direction {
		return 0
	}
	n := 20
	if l.state == r.state {
		n += 30
	}
	if l.key == r.key {
		n += 20
	}
	if l.by != nil && r.by != nil && c.partner[l.by] == r.by {
		n += 20
	}
	return n
}

// pairDialogs pairs the calls of a conversation: those that answers of the
// same command tell of, and the rest by who calls and how the call goes on.
func (c *comparison) pairDialogs(left, right laneSet) [][2]string {
	l, r := dialogLanes(left), dialogLanes(right)
	keys := func(s laneSet, names []string) []uint64 {
		ks := make([]uint64, len(names))
		for i, name := range names {
			parts := []string{itoa(int64(s.entries[name][0].cause))}
			for _, e := range s.entries[name] {
				parts = append(parts, e.name, e.state)
			}
			ks[i] = digest(parts...)
		}
		return ks
	}
	ms := matchSequences(keys(left, l), keys(right, r), func(i, j int) int {
		return c.dialogLikeness(left.entries[l[i]], right.entries[r[j]])
	})
	var pairs [][2]string
	usedL, usedR := map[int]bool{}, map[int]bool{}
	for _, m := range ms {
		pairs = append(pairs, [2]string{l[m.left], r[m.right]})
		usedL[m.left], usedR[m.right] = true, true
	}
	for i, name := range l {
		if !usedL[i] {
			pairs = append(pairs, [2]string{name, ""})
		}
	}
	for j, name := range r {
		if !usedR[j] {
			pairs = append(pairs, [2]string{"", name})
		}
	}
	return pairs
}

func dialogLanes(s laneSet) (names []string) {
	for _, name := range s.order {
		if strings.HasPrefix(name, "dialog ") {
			names = append(names, name)
		}
	}
	return names
}

// dialogLikeness tells how well two calls go together.
func (c *comparison) dialogLikeness(l, r []*entry) int {
	lb, rb := l[0].by, r[0].by
	if lb != nil && rb != nil && lb.conv == l[0].conv && rb.conv == r[0].conv {
		if c.partner[lb] == rb {
			return 95
		}
		if c.partner[lb] != nil || c.partner[rb] != nil {
			return 0
		}
	}
	n := 10
	if l[0].key == r[0].key {
		n += 50
	}
	if l[0].name == r[0].name {
		n += 10
	}
	if (lb == nil) == (rb == nil) {
		n += 10
	}
	return min(n+shared(l, r), 94)
}

// shared is up to 14 for the states that both calls go through.
func shared(l, r []*entry) int {
	count := map[string]int{}
	for _, e := range l {
		count[e.name+e.state]++
	}
	both := 0
	for _, e := range r {
		if count[e.name+e.state] > 0 {
			count[e.name+e.state]--
			both++
		}
	}
	return 14 * both / max(len(l), len(r))
}

// ordered marks, of the pairs of a conversation, those whose place flow does
// not let change and which has changed: the later check leaves them out when
// something else explains it.
func (c *comparison) ordered(pairs []pair) map[*entry]bool {
	groups := map[string][]pair{}
	var names []string
	put := func(group string, p pair) {
		if groups[group] == nil {
			names = append(names, group)
		}
		groups[group] = append(groups[group], p)
	}
	for _, p := range pairs {
		if p.left == nil || p.right == nil {
			continue
		}
		if strings.HasPrefix(p.left.lane, "dialog ") || strings.HasPrefix(p.left.lane, "state ") || p.left.lane == commandLane {
			put(p.left.lane, p)
		}
		if p.left.by != nil && p.right.by != nil && c.partner[p.left.by] == p.right.by {
			put("by "+p.left.by.conv+" "+itoa(p.left.by.seq), p)
		}
	}
	moved := map[*entry]bool{}
	for _, name := range names {
		group := groups[name]
		slices.SortFunc(group, func(a, b pair) int { return cmp.Compare(a.left.place, b.left.place) })
		places := make([]int, len(group))
		for i, p := range group {
			places[i] = p.right.place
		}
		for i, in := range inOrder(places) {
			if !in {
				moved[group[i].left] = true
			}
		}
	}
	return moved
}
