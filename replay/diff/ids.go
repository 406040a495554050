package diff

import (
	"strings"
	"time"

	"gctap/decode/flow"
)

// idMap maps ids of calls in the left session to those of the right, one to
// one. An id that is given again long after its call has ended is another one.
type idMap struct {
	pairs       []idPair
	there, back map[string]int32 // the first pair of an id
}

// idPair is two ids that stand for each other around a time of the left session.
type idPair struct {
	left, right         string
	first, last         time.Duration
	nextLeft, nextRight int32 // the next pair of the same left, or right, id; 0: none
}

func newIDMap() *idMap {
	return &idMap{pairs: make([]idPair, 1), there: map[string]int32{}, back: map[string]int32{}}
}

// same reports whether two ids stand for each other at a time. A pair of ids
// that are both new is taken in.
func (m *idMap) same(left, right string, at time.Duration) bool {
	if left == "" || right == "" {
		return left == right
	}
	to, lastTo := m.at(m.there[left], at, func(p *idPair) int32 { return p.nextLeft })
	from, lastFrom := m.at(m.back[right], at, func(p *idPair) int32 { return p.nextRight })
	if to == nil && from == nil {
		m.add(left, right, at, lastTo, lastFrom)
		return true
	}
	if to == nil || from == nil || to.right != right || from.left != left {
		return false
	}
	for _, p := range []*idPair{to, from} {
		p.first, p.last = min(p.first, at), max(p.last, at)
	}
	return true
}

// at returns the pair whose call is not long over, or long in coming, at a
// time, from the i-th on; nil when there is none, and then the last pair.
// Conversations are compared one after the other, so that times do not come in
// order.
func (m *idMap) at(i int32, at time.Duration, next func(*idPair) int32) (found *idPair, last int32) {
	for ; i != 0; i = next(&m.pairs[i]) {
		p := &m.pairs[i]
		if at >= p.first-flow.DefaultForget && at <= p.last+flow.DefaultForget {
			return p, i
		}
		last = i
	}
	return nil, last
}

func (m *idMap) add(left, right string, at time.Duration, lastLeft, lastRight int32) {
	left, right = strings.Clone(left), strings.Clone(right) // of a whole block
	n := int32(len(m.pairs))
	m.pairs = append(m.pairs, idPair{left: left, right: right, first: at, last: at})
	if lastLeft == 0 {
		m.there[left] = n
	} else {
		m.pairs[lastLeft].nextLeft = n
	}
	if lastRight == 0 {
		m.back[right] = n
	} else {
		m.pairs[lastRight].nextRight = n
	}
}

// report lists the pairs by field; of an id that was given twice the first.
func (m *idMap) report() map[string]map[string]string {
	all := map[string]map[string]string{}
	if len(m.there) == 0 {
		return all
	}
	ids := make(map[string]string, len(m.there))
	for left, i := range m.there {
		first := &m.pairs[i]
		for ; i != 0; i = m.pairs[i].nextLeft {
			if m.pairs[i].first < first.first {
				first = &m.pairs[i]
			}
		}
		ids[left] = first.right
	}
	all["dialogId"] = ids
	return all
}
