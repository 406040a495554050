package flow

import "container/list"

// aging is a map that holds a bounded number of entries: when one is added
// over the limit, the one that was not touched for longest goes.
type aging[K comparable, V any] struct {
	limit   int
	entries map[K]*list.Element
	order   *list.List // of *agingEntry, the longest untouched first
	evicted func(K, V) // told of what the limit drove out; may be nil
}

type agingEntry[K comparable, V any] struct {
	key   K
	value V
}

func newAging[K comparable, V any](limit int, evicted func(K, V)) *aging[K, V] {
	return &aging[K, V]{limit: limit, entries: make(map[K]*list.Element), order: list.New(), evicted: evicted}
}

// get returns the entry of key and touches it.
func (a *aging[K, V]) get(key K) (V, bool) {
	if e, ok := a.entries[key]; ok {
		a.order.MoveToBack(e)
		return e.Value.(*agingEntry[K, V]).value, true
	}
	var none V
	return none, false
}

// peek returns the entry of key and does not touch it.
func (a *aging[K, V]) peek(key K) (V, bool) {
	if e, ok := a.entries[key]; ok {
		return e.Value.(*agingEntry[K, V]).value, true
	}
	var none V
	return none, false
}

// put sets the entry of key and touches it.
func (a *aging[K, V]) put(key K, value V) {
	if e, ok := a.entries[key]; ok {
		e.Value.(*agingEntry[K, V]).value = value
		a.order.MoveToBack(e)
		return
	}
	a.entries[key] = a.order.PushBack(&agingEntry[K, V]{key, value})
	for len(a.entries) > a.limit {
		old := a.order.Front().Value.(*agingEntry[K, V])
		a.drop(old.key)
		if a.evicted != nil {
			a.evicted(old.key, old.value)
		}
	}
}

// drop forgets key.
func (a *aging[K, V]) drop(key K) {
	if e, ok := a.entries[key]; ok {
		a.order.Remove(e)
		delete(a.entries, key)
	}
}

func (a *aging[K, V]) len() int { return len(a.entries) }

// all yields the entries, the longest untouched first. The loop may drop the
// entry it was given.
func (a *aging[K, V]) all(yield func(K, V) bool) {
	for e := a.order.Front(); e != nil; {
		next := e.Next()
		entry := e.Value.(*agingEntry[K, V])
		if !yield(entry.key, entry.value) {
			return
		}
		e = next
	}
}
