package flow

import (
	"encoding/binary"
	"maps"
	"slices"
)

// A stateWriter writes a state. Exchanges, calls and stimuli that several
// others point to are written once, in lists, and named by their number from 1;
// 0 is none.
type stateWriter struct {
	bytes []byte
	texts map[string]uint64

	exchanges numbered[Exchange]
	calls     numbered[Call]
	stimuli   numbered[Stimulus]
	open      int // of the exchanges, the first
}

func (w *stateWriter) number(n int64) { w.bytes = binary.AppendVarint(w.bytes, n) }
func (w *stateWriter) index(n uint64) { w.bytes = binary.AppendUvarint(w.bytes, n) }
func (w *stateWriter) size(n int)     { w.index(uint64(n)) }
func (w *stateWriter) flag(b bool)    { w.bytes = append(w.bytes, map[bool]byte{true: 1}[b]) }
func (w *stateWriter) key(k Key) {
	w.all(k.Conversation, k.Path)
	w.number(k.Cause)
	w.number(int64(k.N))
}

// text writes a text, or the number of one that was written before.
func (w *stateWriter) text(s string) {
	n, ok := w.texts[s]
	if ok {
		w.index(n)
		return
	}
	w.texts[s] = uint64(len(w.texts) + 1)
	w.index(0)
	w.size(len(s))
	w.bytes = append(w.bytes, s...)
}

func (w *stateWriter) all(texts ...string) {
	for _, s := range texts {
		w.text(s)
	}
}

func (w *stateWriter) list(texts []string) {
	w.size(len(texts))
	w.all(texts...)
}

func (w *stateWriter) numbers(list []int64) {
	w.size(len(list))
	for _, n := range list {
		w.number(n)
	}
}

func (w *stateWriter) pairs(m map[string]string) {
	w.size(len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.all(k, m[k])
	}
}

// numbered is a list in which everything stands once.
type numbered[T any] struct {
	numbers map[*T]uint64
	list    []*T
}

// number returns the number of x, a new one where it has none; 0 for nil.
func (n *numbered[T]) number(x *T) uint64 {
	if x == nil {
		return 0
	}
	if n.numbers == nil {
		n.numbers = map[*T]uint64{}
	}
	if n.numbers[x] == 0 {
		n.list = append(n.list, x)
		n.numbers[x] = uint64(len(n.list))
	}
	return n.numbers[x]
}

// objects writes the lists. What they point to among themselves is gathered
// first.
func (w *stateWriter) objects() {
	for x, c := 0, 0; x < len(w.exchanges.list) || c < len(w.calls.list); {
		if x < len(w.exchanges.list) {
			w.calls.number(w.exchanges.list[x].call)
			x++
			continue
		}
		for _, command := range w.calls.list[c].commands {
			w.exchanges.number(command)
		}
		w.stimuli.number(w.calls.list[c].Stimulus)
		c++
	}
	w.size(len(w.exchanges.list))
	w.size(len(w.calls.list))
	w.size(len(w.stimuli.list))
	w.size(w.open)
	for _, s := range w.stimuli.list {
		w.numbers([]int64{s.Seq, int64(s.At)})
		w.all(string(s.Kind), s.Agent, s.Number, s.Dialog, s.Type)
		w.flag(s.Vars != nil)
		w.pairs(s.Vars)
	}
	for _, c := range w.calls.list {
		w.list(c.Dialogs)
		w.index(w.stimuli.number(c.Stimulus))
		w.size(len(c.commands))
		for _, x := range c.commands {
			w.index(w.exchanges.number(x))
		}
		w.numbers([]int64{int64(c.touched), int64(c.ended)})
		w.flag(c.hungUp)
	}
	for _, x := range w.exchanges.list {
		w.whole(x)
	}
}

// whole writes an exchange.
func (w *stateWriter) whole(x *Exchange) {
	w.numbers([]int64{x.Seq, int64(x.At), int64(x.Latency)})
	w.all(x.Conversation, x.Agent, x.Sender, x.Name, x.Dialog, string(x.Outcome), x.Code, x.dest)
	w.list(x.Numbers)
	w.numbers(x.Answers)
	w.flag(x.spec != nil)
	w.numbers(x.expected())
	w.index(w.calls.number(x.call))
	w.size(len(x.born))
	for _, k := range x.born {
		w.key(k)
	}
	w.all(x.Queue, x.message)
	w.flag(x.Watched)
	w.flag(x.Delivery != nil)
	if d := x.Delivery; d != nil {
		w.numbers([]int64{d.Seq, int64(d.Times)})
		w.text(d.Consumer)
		w.flag(d.Acked)
		w.flag(d.NoAck)
	}
}

func (w *stateWriter) dialog(d *Dialog) {
	w.all(d.ID, d.From, d.Type)
	w.numbers([]int64{d.Born, int64(d.BornAt), d.Ended})
	w.pairs(d.States)
	w.list(d.Linked)
	w.list(d.Received)
	w.index(w.calls.number(d.call))
	w.flag(d.leaving)
}

func (w *stateWriter) agent(a *Agent) {
	w.all(a.ID, a.Extension, a.State, a.last.state, a.last.reason, a.last.time, a.last.receiver)
	w.numbers([]int64{int64(a.Since), a.Seq, int64(a.touched), a.command})
	w.list(a.dialogs)
	w.index(w.stimuli.number(a.stimulus))
	w.flag(a.direct)
	w.flag(a.leaving)
}
