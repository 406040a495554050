package model

import (
	"slices"
	"sync"

	"gctap/decode/flow"
)

// A memory holds what flow knew at some places of sessions, so that a window
// further on starts there, with calls and exchanges that began long before.
// Tasks use it from goroutines of their own.
type memory struct {
	mu    sync.Mutex
	marks []waymark // the one used longest ago first
}

// waymark is the state of a flow that has seen a session up to a seq.
type waymark struct {
	session, seq int64
	state        []byte
}

// marksKept is how many states are kept; each is some kilobytes.
const marksKept = 64

// before returns the flow that has seen most of a session before a seq, and up
// to where. It is nil where none has come near enough: then it is quicker to
// read the last messages again.
func (m *memory) before(session, seq int64) (f *flow.Flow, seen int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	best := -1
	for i, k := range m.marks {
		if k.session == session && k.seq < seq && seq-k.seq <= warmRows && (best < 0 || k.seq > m.marks[best].seq) {
			best = i
		}
	}
	if best < 0 {
		return nil, 0
	}
	k := m.marks[best]
	m.marks = append(slices.Delete(m.marks, best, best+1), k)
	f, err := flow.Load(k.state)
	if err != nil { // saved by this very program: not reached
		return nil, 0
	}
	return f, k.seq
}

// keep takes in what a flow knows after a seq.
func (m *memory) keep(session, seq int64, f *flow.Flow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.marks, func(k waymark) bool { return k.session == session && k.seq == seq }) {
		return
	}
	if len(m.marks) == marksKept {
		m.marks = slices.Delete(m.marks, 0, 1)
	}
	m.marks = append(m.marks, waymark{session, seq, f.Save()})
}
