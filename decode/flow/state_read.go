package flow

import (
	"encoding/binary"
	"time"
)

// A stateReader reads what a stateWriter wrote. After an error it gives zero
// values.
type stateReader struct {
	rest  []byte
	texts []string
	err   error
	now   time.Duration // nothing happened later

	exchanges []*Exchange
	calls     []*Call
	stimuli   []*Stimulus
}

func (r *stateReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

func (r *stateReader) number() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail(ErrDamaged)
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *stateReader) duration() time.Duration { return time.Duration(r.number()) }

// past checks a time that has been.
func (r *stateReader) past(n int64) time.Duration {
	if n < 0 || n > int64(r.now) {
		r.fail(ErrDamaged)
		return 0
	}
	return time.Duration(n)
}

// limit reads a setting that is a length of time.
func (r *stateReader) limit() time.Duration {
	const years = 10 * 365 * 24 * time.Hour
	d := r.duration()
	if d <= 0 || d > years {
		r.fail(ErrDamaged)
	}
	return d
}

func (r *stateReader) index() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail(ErrDamaged)
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// size reads how much of something there is; each takes a byte at least.
func (r *stateReader) size() int {
	n := r.index()
	if n > uint64(len(r.rest)) {
		r.fail(ErrDamaged)
		return 0
	}
	return int(n)
}

func (r *stateReader) flag() bool {
	if len(r.rest) == 0 {
		r.fail(ErrDamaged)
		return false
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b == 1
}

func (r *stateReader) text() string {
	n := r.index()
	switch {
	case r.err != nil:
		return ""
	case n > uint64(len(r.texts)):
		r.fail(ErrDamaged)
		return ""
	case n > 0:
		return r.texts[n-1]
	}
	size := r.size()
	s := string(r.rest[:size])
	r.rest = r.rest[size:]
	r.texts = append(r.texts, s)
	return s
}

func (r *stateReader) key() Key {
	return Key{Conversation: r.text(), Path: r.text(), Cause: r.number(), N: int(r.number())}
}

func (r *stateReader) list() (texts []string) {
	for range r.size() {
		texts = append(texts, r.text())
	}
	return texts
}

func (r *stateReader) numbers() (list []int64) {
	for range r.size() {
		list = append(list, r.number())
	}
	return list
}

// some reads a list of numbers that has to have a length.
func (r *stateReader) some(n int) []int64 {
	list := r.numbers()
	if len(list) != n {
		r.fail(ErrDamaged)
		return make([]int64, n)
	}
	return list
}

func (r *stateReader) pairs() map[string]string {
	m := map[string]string{}
	for range r.size() {
		k := r.text()
		m[k] = r.text()
	}
	return m
}

// of returns what an index names; nil for 0.
func of[T any](r *stateReader, list []*T) *T {
	n := r.index()
	if n > uint64(len(list)) {
		r.fail(ErrDamaged)
		return nil
	}
	if n == 0 {
		return nil
	}
	return list[n-1]
}

func made[T any](n int) []*T {
	list := make([]*T, n)
	for i := range list {
		list[i] = new(T)
	}
	return list
}

// objects reads the lists, and opens the exchanges that were open.
func (r *stateReader) objects(f *Flow) {
	exchanges, calls, stimuli, open := r.size(), r.size(), r.size(), r.size()
	if open > exchanges || open > f.opts.Limit || 8*(exchanges+calls+stimuli) > len(r.rest) { // each takes more than that
		r.fail(ErrDamaged)
		return
	}
	r.exchanges, r.calls, r.stimuli = made[Exchange](exchanges), made[Call](calls), made[Stimulus](stimuli)
	for _, s := range r.stimuli {
		n := r.some(2)
		s.Seq, s.At = n[0], r.past(n[1])
		s.Kind, s.Agent, s.Number, s.Dialog, s.Type = StimulusKind(r.text()), r.text(), r.text(), r.text(), r.text()
		has, vars := r.flag(), r.pairs()
		if has {
			s.Vars = vars
		}
	}
	for _, c := range r.calls {
		c.Dialogs = r.list()
		c.Stimulus = of(r, r.stimuli)
		for range r.size() {
			if x := of(r, r.exchanges); x != nil {
				c.commands = append(c.commands, x)
			}
		}
		n := r.some(2)
		c.touched, c.ended, c.hungUp = r.past(n[0]), r.past(n[1]), r.flag()
	}
	for _, x := range r.exchanges {
		r.whole(x)
	}
	if r.err != nil {
		return
	}
	for _, x := range r.exchanges[:open] {
		f.open.add(x)
	}
}

// whole reads an exchange.
func (r *stateReader) whole(x *Exchange) {
	n := r.some(3)
	x.Seq, x.At, x.Latency = n[0], r.past(n[1]), r.past(n[2])
	x.Conversation, x.Agent, x.Sender, x.Name, x.Dialog = r.text(), r.text(), r.text(), r.text(), r.text()
	x.Outcome, x.Code, x.dest = Outcome(r.text()), r.text(), r.text()
	x.Numbers, x.Answers = r.list(), r.numbers()
	spec, err := specOf(r.flag(), x.Name)
	if err == nil {
		x.spec = spec
		err = x.expect(r.numbers())
	}
	if err != nil {
		r.fail(err)
	}
	x.call = of(r, r.calls)
	for range r.size() {
		x.born = append(x.born, r.key())
	}
	x.Queue, x.message, x.Watched = r.text(), r.text(), r.flag()
	if r.flag() {
		n := r.some(2)
		x.Delivery = &Delivery{Seq: n[0], Times: int(n[1]), Consumer: r.text(), Acked: r.flag(), NoAck: r.flag()}
	}
}

func (r *stateReader) dialog() *Dialog {
	d := &Dialog{ID: r.text(), From: r.text(), Type: r.text()}
	n := r.some(3)
	d.Born, d.BornAt, d.Ended = n[0], r.past(n[1]), n[2]
	d.States, d.Linked, d.Received = r.pairs(), r.list(), r.list()
	if d.call = of(r, r.calls); d.call == nil {
		r.fail(ErrDamaged)
	}
	d.leaving = r.flag()
	return d
}

func (r *stateReader) agent() *Agent {
	a := &Agent{ID: r.text(), Extension: r.text(), State: r.text(), last: step{r.text(), r.text(), r.text(), r.text()}}
	n := r.some(4)
	a.Since, a.Seq, a.touched, a.command = r.past(n[0]), n[1], r.past(n[2]), n[3]
	a.dialogs = r.list()
	a.stimulus = of(r, r.stimuli)
	a.direct, a.leaving = r.flag(), r.flag()
	return a
}
