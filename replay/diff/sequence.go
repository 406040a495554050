package diff

import "slices"

// match pairs an element of the left sequence with one of the right.
type match struct{ left, right int }

// cells bounds the table of one exact alignment; longer stretches are cut at
// what both sides have once.
const cells = 4 << 20

// matchSequences pairs the elements of two sequences in order so that the sum
// of their scores is greatest. Equal keys score best; score tells how well two
// elements with different keys go together, 0: not at all. Of several best
// ways it takes the one that pairs early.
func matchSequences(left, right []uint64, score func(i, j int) int) []match {
	var out []match
	head := 0
	for head < len(left) && head < len(right) && left[head] == right[head] {
		out = append(out, match{head, head})
		head++
	}
	tail := 0
	for tail < len(left)-head && tail < len(right)-head && left[len(left)-1-tail] == right[len(right)-1-tail] {
		tail++
	}
	l, r := left[head:len(left)-tail], right[head:len(right)-tail]
	middle := matchMiddle(l, r, func(i, j int) int { return score(i+head, j+head) })
	for _, m := range middle {
		out = append(out, match{m.left + head, m.right + head})
	}
	for k := tail; k > 0; k-- {
		out = append(out, match{len(left) - k, len(right) - k})
	}
	return out
}

// same is the score of equal keys; score must stay below it.
const same = 100

func matchMiddle(left, right []uint64, score func(i, j int) int) []match {
	if len(left) == 0 || len(right) == 0 {
		return nil
	}
	if len(left)*len(right) <= cells {
		return matchExact(left, right, score)
	}
	anchors := uniqueAnchors(left, right)
	if len(anchors) == 0 {
		return matchHalves(left, right, score)
	}
	var out []match
	i, j := 0, 0
	for _, a := range append(anchors, match{len(left), len(right)}) {
		part := matchMiddle(left[i:a.left], right[j:a.right], func(x, y int) int { return score(x+i, y+j) })
		for _, m := range part {
			out = append(out, match{m.left + i, m.right + j})
		}
		if a.left < len(left) {
			out = append(out, a)
		}
		i, j = a.left+1, a.right+1
	}
	return out
}

// matchHalves cuts two long sequences that share no anchor in the middle. What
// belongs together across the cut is not found; there is hardly such a thing.
func matchHalves(left, right []uint64, score func(i, j int) int) []match {
	i, j := len(left)/2, len(right)/2
	if i == 0 || j == 0 {
		i, j = len(left), min(len(right), cells/len(left))
		return matchExact(left[:i], right[:j], score)
	}
	out := matchMiddle(left[:i], right[:j], score)
	for _, m := range matchMiddle(left[i:], right[j:], func(x, y int) int { return score(x+i, y+j) }) {
		out = append(out, match{m.left + i, m.right + j})
	}
	return out
}

// matchExact fills the whole table, from the ends to the beginnings, and walks
// it from the beginnings.
func matchExact(left, right []uint64, score func(i, j int) int) []match {
	n, m := len(left), len(right)
	best := make([]int32, (n+1)*(m+1))
	at := func(i, j int) *int32 { return &best[i*(m+1)+j] }
	points := func(i, j int) int32 {
		if left[i] == right[j] {
			return same
		}
		return int32(min(score(i, j), same-1))
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			b := max(*at(i+1, j), *at(i, j+1))
			if p := points(i, j); p > 0 {
				b = max(b, p+*at(i+1, j+1))
			}
			*at(i, j) = b
		}
	}
	var out []match
	for i, j := 0, 0; i < n && j < m; {
		p := points(i, j)
		switch {
		case p > 0 && *at(i, j) == p+*at(i+1, j+1):
			out = append(out, match{i, j})
			i, j = i+1, j+1
		case *at(i, j) == *at(i+1, j):
			i++
		default:
			j++
		}
	}
	return out
}

// uniqueAnchors pairs the keys that stand once on each side, as many as are in
// the same order.
func uniqueAnchors(left, right []uint64) []match {
	where := map[uint64]int{}
	times := map[uint64][2]int{}
	for i, k := range left {
		t := times[k]
		t[0]++
		times[k], where[k] = t, i
	}
	for _, k := range right {
		t := times[k]
		t[1]++
		times[k] = t
	}
	var pairs []match
	for j, k := range right {
		if times[k] == [2]int{1, 1} {
			pairs = append(pairs, match{where[k], j})
		}
	}
	slices.SortFunc(pairs, func(a, b match) int { return a.left - b.left })
	rights := make([]int, len(pairs))
	for i, p := range pairs {
		rights[i] = p.right
	}
	var kept []match
	for i, in := range inOrder(rights) {
		if in {
			kept = append(kept, pairs[i])
		}
	}
	return kept
}

// inOrder marks a longest rising subsequence of values that are all different.
// What is not marked has changed its place.
func inOrder(values []int) []bool {
	var tails []int // indexes of the last element of the best run of each length
	before := make([]int, len(values))
	for i, v := range values {
		k, _ := slices.BinarySearchFunc(tails, v, func(t, v int) int { return values[t] - v })
		before[i] = -1
		if k > 0 {
			before[i] = tails[k-1]
		}
		if k == len(tails) {
			tails = append(tails, i)
		} else {
			tails[k] = i
		}
	}
	marks := make([]bool, len(values))
	if len(tails) > 0 {
		for i := tails[len(tails)-1]; i >= 0; i = before[i] {
			marks[i] = true
		}
	}
	return marks
}
