package diff

import (
	"cmp"
	"slices"
	"strings"

	"gctap/decode/flow"
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

// forget drops what an earlier comparison found out about the conversations.
func (p convPair) forget() {
	for _, c := range []*conv{p.left, p.right} {
		if c != nil {
			c.links = nil
		}
	}
}

// pair is a message of both sides, or one that only a side has.
type pair struct{ left, right *entry }

// pairConversations finds the right conversation of each left one by the
// mapping. Topics that no mapping names are paired by the agents that connect
// to them, and then in their order.
func pairConversations(left, right *side, names *flow.Mapping) []convPair {
	taken := map[*conv]bool{}
	take := func(r *conv) *conv {
		if r == nil || taken[r] {
			return nil
		}
		taken[r] = true
		return r
	}
	pairs := make([]convPair, len(left.convs))
	for i, l := range left.convs {
		pairs[i] = convPair{l, take(right.byName[rightName(l.name, names)])}
	}
	topics := topicsByAgent(right)
	for i, p := range pairs {
		topic, ok := topicOf(p.left.name)
		if !ok || p.right != nil || left.agents[topic] == "" {
			continue
		}
		for _, r := range topics[mapped(names.Agents, left.agents[topic])] {
			if pairs[i].right = take(r); pairs[i].right != nil {
				break
			}
		}
	}
	rest := right.convs
	for i, p := range pairs {
		if _, ok := topicOf(p.left.name); !ok || p.right != nil {
			continue
		}
		for len(rest) > 0 && pairs[i].right == nil {
			if _, ok := topicOf(rest[0].name); ok {
				pairs[i].right = take(rest[0])
			}
			rest = rest[1:]
		}
	}
	for _, r := range right.convs {
		if !taken[r] {
			pairs = append(pairs, convPair{nil, r})
		}
	}
	return pairs
}

// topicsByAgent lists the conversations of topics by the first agent that
// connects to each.
func topicsByAgent(s *side) map[string][]*conv {
	topics := map[string][]*conv{}
	for _, c := range s.convs {
		if topic, ok := topicOf(c.name); ok && s.agents[topic] != "" {
			topics[s.agents[topic]] = append(topics[s.agents[topic]], c)
		}
	}
	return topics
}

// rightName is the name that a left conversation has on the right side.
func rightName(name string, names *flow.Mapping) string {
	switch prefix, rest, ok := strings.Cut(name, ":"); {
	case !ok:
		return mapped(names.Agents, name)
	case prefix == "dest":
		return "dest:" + mapped(names.Dests, rest)
	case prefix == "peer":
		return "peer:" + mapped(names.Agents, rest)
	}
	return name
}

func mapped(m map[string]string, name string) string {
	if to, ok := m[name]; ok {
		return to
	}
	return name
}

// An aligner pairs the messages of conversations. It is used by one goroutine.
type aligner struct {
	left, right *side
	digests     [2]*digester
}

func newAligner(left, right *side, opts *Options, s settings, rules *ruleTable) *aligner {
	p := newPolicy(opts, s, rules)
	return &aligner{left, right, [2]*digester{newDigester(p, true), newDigester(p, false)}}
}

// A matter is a pair of conversations, aligned.
type matter struct {
	convPair
	l, r  *talk // nil where absent
	pairs []pair
}

// matter reads a pair of conversations back and aligns them.
func (a *aligner) matter(p convPair) (m *matter, err error) {
	m = &matter{convPair: p}
	if m.l, m.r, err = a.load(p, false); err != nil {
		return nil, err
	}
	if m.l == nil || m.r == nil {
		m.pairs = unpaired(m.l, m.r)
		return m, nil
	}
	m.pairs = a.align(m.l, m.r)
	return m, nil
}

func (a *aligner) load(p convPair, commandsOnly bool) (l, r *talk, err error) {
	if p.left != nil {
		l, err = a.left.load(p.left, a.digests[0], commandsOnly)
	}
	if p.right != nil && err == nil {
		r, err = a.right.load(p.right, a.digests[1], commandsOnly)
	}
	return l, r, err
}

// link finds out what the commands are aligned with that brought something
// about in other conversations: the events there are paired by them.
func (a *aligner) link(p convPair) error {
	if p.left == nil || p.right == nil || len(p.left.foreign)+len(p.right.foreign) == 0 {
		return nil
	}
	l, r, err := a.load(p, true)
	if err != nil {
		return err
	}
	alignLane(l.entries, r.entries)
	for _, t := range []*talk{l, r} {
		slices.Sort(t.foreign)
		t.foreign = slices.Compact(t.foreign)
		t.links = make([]link, len(t.foreign))
		for _, e := range t.entries {
			if i, ok := slices.BinarySearch(t.foreign, e.seq); ok {
				t.links[i] = e.self.partner
			}
		}
	}
	return nil
}

// align pairs the messages of a conversation: the commands, then the events,
// call by call and lane by lane.
func (a *aligner) align(l, r *talk) []pair {
	left, right := lanes(l), lanes(r)
	commands := lane{kind: commandLane}
	pairs := alignLane(left.entries[commands], right.entries[commands])
	causeKeys(l, r)
	for _, d := range pairDialogs(left, right) {
		pairs = append(pairs, alignLane(left.entries[d[0]], right.entries[d[1]])...)
	}
	seen := map[lane]bool{}
	for _, name := range left.order {
		if name.kind == dialogLane || name.kind == commandLane {
			continue
		}
		there := name
		if name.kind == stateLane {
			there.of = mapped(a.digests[0].policy.names.Agents, name.of)
		}
		theirs := right.entries[there]
		if seen[there] { // two agents became one
			theirs = nil
		}
		seen[there] = true
		pairs = append(pairs, alignLane(left.entries[name], theirs)...)
	}
	for _, name := range right.order {
		if name.kind != dialogLane && name.kind != commandLane && !seen[name] {
			pairs = append(pairs, alignLane(nil, right.entries[name])...)
		}
	}
	return pairs
}

// causeKeys gives events keys by which they are aligned: what should be equal,
// and the command behind them. A late answer is then not taken for that of a
// later command.
func causeKeys(l, r *talk) {
	for _, e := range l.entries {
		if e.by != nil && e.by.partner.seq != 0 {
			e.cause = mix(e.key, uint64(e.by.seq))
		}
	}
	for _, e := range r.entries {
		if e.by != nil && e.by.partner.seq != 0 {
			e.cause = mix(e.key, uint64(e.by.partner.seq))
		}
	}
}

func unpaired(l, r *talk) (pairs []pair) {
	if l != nil {
		for _, e := range l.entries {
			pairs = append(pairs, pair{left: e})
		}
	}
	if r != nil {
		for _, e := range r.entries {
			pairs = append(pairs, pair{right: e})
		}
	}
	return pairs
}

// laneSet is the messages of a conversation by lane.
type laneSet struct {
	order   []lane
	entries map[lane][]*entry
}

func lanes(t *talk) laneSet {
	s := laneSet{entries: map[lane][]*entry{}}
	for _, e := range t.entries {
		if s.entries[e.lane] == nil {
			s.order = append(s.order, e.lane)
		}
		s.entries[e.lane] = append(s.entries[e.lane], e)
	}
	return s
}

// alignLane pairs the messages of one lane: in order as far as they go
// together, then what has changed its place.
func alignLane(left, right []*entry) []pair {
	keys := func(es []*entry) []uint64 {
		ks := make([]uint64, len(es))
		for i, e := range es {
			ks[i] = e.cause
		}
		return ks
	}
	l, r := make([]*entry, len(left)), make([]*entry, len(right)) // partners
	for _, m := range matchSequences(keys(left), keys(right), func(i, j int) int { return likeness(left[i], right[j]) }) {
		l[m.left], r[m.right] = right[m.right], left[m.left]
	}
	pairMoved(left, right, l, r, func(e *entry) uint64 { return e.cause })
	pairMoved(left, right, l, r, func(e *entry) uint64 { return e.key })
	var pairs []pair
	for i, e := range left {
		pairs = append(pairs, pair{e, l[i]})
		if l[i] != nil {
			e.meet(l[i])
		}
	}
	for j, e := range right {
		if r[j] == nil {
			pairs = append(pairs, pair{right: e})
		}
	}
	return pairs
}

// meet makes partners of two messages.
func (e *entry) meet(right *entry) {
	e.partner, right.partner = right, e
	if e.self != nil && right.self != nil {
		e.self.partner, right.self.partner = right.self.link, e.self.link
	}
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
func likeness(l, r *entry) int {
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
	if l.by != nil && r.by != nil && l.by.alignedWith(r.by) {
		n += 20
	}
	return n
}

// pairDialogs pairs the calls of a conversation: those that answers of the
// same command tell of, and the rest by who calls and how the call goes on.
func pairDialogs(left, right laneSet) [][2]lane {
	l, r := dialogLanes(left), dialogLanes(right)
	keys := func(s laneSet, names []lane) []uint64 {
		ks := make([]uint64, len(names))
		for i, name := range names {
			ks[i] = s.entries[name][0].cause
			for _, e := range s.entries[name] {
				ks[i] = mix(ks[i], digest(e.name, e.state))
			}
		}
		return ks
	}
	ms := matchSequences(keys(left, l), keys(right, r), func(i, j int) int {
		return dialogLikeness(left.entries[l[i]], right.entries[r[j]])
	})
	var pairs [][2]lane
	usedL, usedR := map[int]bool{}, map[int]bool{}
	for _, m := range ms {
		pairs = append(pairs, [2]lane{l[m.left], r[m.right]})
		usedL[m.left], usedR[m.right] = true, true
	}
	for i, name := range l {
		if !usedL[i] {
			pairs = append(pairs, [2]lane{name, {}})
		}
	}
	for j, name := range r {
		if !usedR[j] {
			pairs = append(pairs, [2]lane{{}, name})
		}
	}
	return pairs
}

func dialogLanes(s laneSet) (names []lane) {
	for _, name := range s.order {
		if name.kind == dialogLane {
			names = append(names, name)
		}
	}
	return names
}

// dialogLikeness tells how well two calls go together.
func dialogLikeness(l, r []*entry) int {
	lb, rb := l[0].by, r[0].by
	if lb != nil && rb != nil && !lb.foreign && !rb.foreign {
		if lb.alignedWith(rb) {
			return 95
		}
		if lb.partner.seq != 0 || rb.partner.seq != 0 {
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

// A strand is messages that have an order among them: a lane, or what one
// command brought about.
type strand struct {
	lane lane
	by   int64
}

// ordered marks, of the pairs of a conversation, those whose place flow does
// not let change and which has changed: the later check leaves them out when
// something else explains it.
func ordered(pairs []pair) map[*entry]bool {
	strands := map[strand][]pair{}
	var names []strand
	put := func(s strand, p pair) {
		if strands[s] == nil {
			names = append(names, s)
		}
		strands[s] = append(strands[s], p)
	}
	for _, p := range pairs {
		if p.left == nil || p.right == nil {
			continue
		}
		switch p.left.lane.kind {
		case dialogLane, stateLane, commandLane:
			put(strand{lane: p.left.lane}, p)
		}
		if p.left.by != nil && p.right.by != nil && p.left.by.alignedWith(p.right.by) {
			put(strand{by: p.left.by.seq}, p)
		}
	}
	moved := map[*entry]bool{}
	for _, name := range names {
		pairs := strands[name]
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.left.place, b.left.place) })
		places := make([]int, len(pairs))
		for i, p := range pairs {
			places[i] = p.right.place
		}
		for i, in := range inOrder(places) {
			if !in {
				moved[pairs[i].left] = true
			}
		}
	}
	return moved
}
