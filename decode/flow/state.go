package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"gctap/decode"
)

// A state is a Flow between two records, as bytes: the same Flow gives the
// same bytes, and one that is loaded from them goes on exactly as the one that
// was saved. It holds what is open, no bodies and no passwords: agents,
// numbers, ids and call variables stand in it as they do in the messages.
//
// A text is written once and then named by its number. Everything is in the
// order in which it was touched, because that decides what the limits drive out.

const (
	stateMagic   = "gctap flow "
	stateVersion = 2 // another for every change of what is written, or of what it means
)

// Errors of Load.
var (
	ErrNoState      = errors.New("not a saved state of a flow")
	ErrOtherVersion = errors.New("saved by another version of gctap: read the session from its beginning")
	ErrDamaged      = errors.New("damaged state of a flow: read the session from its beginning")
)

// Save returns the state of the Flow.
func (f *Flow) Save() []byte {
	w := &stateWriter{texts: map[string]uint64{}}
	w.bytes = append(append(w.bytes, stateMagic...), stateVersion)
	f.gather(w)
	f.saveHead(w)
	f.tracker.save(w)
	w.objects()
	saveAging(w, f.dialogs, func(_ string, d *Dialog) { w.dialog(d) })
	saveAging(w, f.agents, func(_ string, a *Agent) { w.agent(a) })
	saveAging(w, f.phones, func(number, agent string) { w.all(number, agent) })
	saveAging(w, f.open.way.watched, func(queue string, _ struct{}) { w.text(queue) })
	saveAging(w, f.births.known, func(p place, _ struct{}) { w.all(p.conversation, p.value) })
	saveAging(w, f.births.counts, func(k Key, n int) { w.key(k); w.number(int64(n)) })
	w.size(len(f.leaving))
	for _, d := range f.leaving {
		w.all(d.dialog, d.agent)
		w.number(int64(d.since))
	}
	return binary.LittleEndian.AppendUint32(w.bytes, crc32.ChecksumIEEE(w.bytes))
}

// Load returns a Flow that goes on where the one went on whose state was saved.
func Load(state []byte) (*Flow, error) {
	head := len(stateMagic) + 1
	switch {
	case len(state) < head+4 || string(state[:len(stateMagic)]) != stateMagic:
		return nil, ErrNoState
	case state[head-1] != stateVersion:
		return nil, fmt.Errorf("version %d, and this is %d: %w", state[head-1], stateVersion, ErrOtherVersion)
	case crc32.ChecksumIEEE(state[:len(state)-4]) != binary.LittleEndian.Uint32(state[len(state)-4:]):
		return nil, ErrDamaged
	}
	r := &stateReader{rest: state[head : len(state)-4]}
	f := New(Options{Late: r.limit(), Window: r.limit(), Forget: r.limit(), Limit: int(r.number())})
	f.load(r)
	if r.err == nil && len(r.rest) > 0 {
		r.err = ErrDamaged
	}
	if r.err != nil {
		return nil, r.err
	}
	return f, nil
}

// saveHead writes settings, time and counts.
func (f *Flow) saveHead(w *stateWriter) {
	for _, n := range []int64{int64(f.opts.Late), int64(f.opts.Window), int64(f.opts.Forget), int64(f.opts.Limit),
		int64(f.now), int64(f.clock.last), f.open.dropped, f.births.dropped} {
		w.number(n)
	}
	w.flag(!f.clock.start.IsZero())
	if !f.clock.start.IsZero() {
		w.number(f.clock.start.Unix())
		w.number(int64(f.clock.start.Nanosecond()))
	}
	w.size(len(f.counts))
	for _, reason := range slices.Sorted(maps.Keys(f.counts)) {
		w.text(string(reason))
		w.number(f.counts[reason])
	}
}

func (f *Flow) load(r *stateReader) {
	f.now, f.clock.last = r.duration(), r.duration()
	if r.now = f.now; f.now < 0 || f.clock.last < f.now {
		r.fail(ErrDamaged)
	}
	f.open.dropped, f.births.dropped = r.number(), r.number()
	if r.flag() {
		f.clock.start = time.Unix(r.number(), r.number())
	}
	for range r.size() {
		reason := Reason(r.text())
		f.counts[reason] = r.number()
	}
	f.tracker.load(r)
	r.objects(f)
	loadAging(r, f.dialogs, func() (string, *Dialog) { d := r.dialog(); return d.ID, d })
	loadAging(r, f.agents, func() (string, *Agent) { a := r.agent(); return a.ID, a })
	loadAging(r, f.phones, func() (string, string) { return r.text(), r.text() })
	loadAging(r, f.open.way.watched, func() (string, struct{}) { return r.text(), struct{}{} })
	loadAging(r, f.births.known, func() (place, struct{}) { return place{r.text(), r.text()}, struct{}{} })
	loadAging(r, f.births.counts, func() (Key, int) { return r.key(), int(r.number()) })
	for range r.size() {
		f.leaving = append(f.leaving, departure{r.text(), r.text(), r.past(r.number())})
	}
}

// gather numbers all that the flow's open exchanges, calls and agents point to.
func (f *Flow) gather(w *stateWriter) {
	for e := f.open.order.Front(); e != nil; e = e.Next() {
		w.exchanges.number(e.Value.(*Exchange))
	}
	w.open = len(w.exchanges.list)
	for _, d := range f.dialogs.all {
		w.calls.number(d.call)
	}
	for _, a := range f.agents.all {
		w.stimuli.number(a.stimulus)
	}
}

func (t *Tracker) save(w *stateWriter) {
	saveAging(w, t.bound, func(agent string, b binding) { w.all(agent, b.topic, b.conn, b.login) })
	for _, m := range []*aging[string, []string]{t.topics, t.conns, t.logins} {
		saveAging(w, m, func(key string, agents []string) { w.text(key); w.list(agents) })
	}
}

func (t *Tracker) load(r *stateReader) {
	loadAging(r, t.bound, func() (string, binding) { return r.text(), binding{r.text(), r.text(), r.text()} })
	for _, m := range []*aging[string, []string]{t.topics, t.conns, t.logins} {
		loadAging(r, m, func() (string, []string) { return r.text(), r.list() })
	}
}

func saveAging[K comparable, V any](w *stateWriter, a *aging[K, V], entry func(K, V)) {
	w.size(a.len())
	for k, v := range a.all {
		entry(k, v)
	}
}

func loadAging[K comparable, V any](r *stateReader, a *aging[K, V], entry func() (K, V)) {
	n := r.size()
	for i := range n {
		k, v := entry()
		if r.err != nil {
			return
		}
		if a.put(k, v); a.len() != i+1 {
			r.fail(ErrDamaged) // an entry twice, or more than the limit
			return
		}
	}
}

// expected returns the places of what x still expects in its row.
func (x *Exchange) expected() (places []int64) {
	row := expectations(x.spec)
	i := 0
	for _, e := range x.rest {
		for row[i] != e {
			i++
		}
		places = append(places, int64(i))
		i++
	}
	return places
}

// expect sets what x expects to places in its row.
func (x *Exchange) expect(places []int64) error {
	row := expectations(x.spec)
	for _, i := range places {
		if i < 0 || i >= int64(len(row)) {
			return ErrOtherVersion
		}
		x.rest = append(x.rest, row[i])
	}
	return nil
}

// specOf returns the row of a saved command.
func specOf(known bool, name string) (*decode.Spec, error) {
	if !known {
		return nil, nil
	}
	if spec := decode.LookupCommand(name); spec != nil {
		return spec, nil
	}
	return nil, ErrOtherVersion
}
