package check

import (
	"hash/fnv"
	"time"

	"gctap/decode/flow"
)

// doubles remembers what went to and came from each client a moment ago.
type doubles struct {
	events   map[string][]sighting // by destination
	commands map[string]sent       // by conversation
}

type sighting struct {
	hash uint64
	of   string // what it tells about
	at   time.Duration
	seq  int64
}

type sent struct {
	sighting
	x *flow.Exchange
}

// sightingsKept is how many events to one client are looked back on.
const sightingsKept = 64

func (d *doubles) init() {
	d.events, d.commands = map[string][]sighting{}, map[string]sent{}
}

// about says what an event tells about: a call, an agent, or nothing but itself.
func about(s *Seen) string {
	if s.Dialog != nil {
		return "call " + s.Dialog.ID
	}
	if s.Message.Name == "State" {
		return "state " + s.Subject
	}
	return s.Message.Name
}

// event takes in an event and returns the seq of the same one that the client
// got within the time, if nothing else was told about the same since; 0 when
// there is none.
func (d *doubles) event(s *Seen, within time.Duration) (first int64) {
	h := fnv.New64a()
	h.Write(s.Record.Body)
	hash := h.Sum64()
	of := about(s)
	list := d.events[s.Record.To]
	for len(list) > 0 && (s.At-list[0].at > within || len(list) >= sightingsKept) {
		list = list[1:]
	}
	for _, e := range list {
		if e.of == of {
			first = 0 // only the last that was told counts
			if e.hash == hash {
				first = e.seq
			}
		}
	}
	if len(d.events) >= maxTracked {
		clear(d.events)
	}
	d.events[s.Record.To] = append(list, sighting{hash, of, s.At, s.Record.Seq})
	return first
}

// command takes in a command and returns the seq of the same one, if it was
// the conversation's last, was sent within the time and has no answer yet.
func (d *doubles) command(s *Seen, within time.Duration) (first int64) {
	if s.Message.Name == "Hello" || s.Message.Name == "Beat" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(s.Record.Type() + "\x00"))
	h.Write(s.Record.Body)
	now := sent{sighting{h.Sum64(), "", s.At, s.Record.Seq}, s.Opened}
	last, ok := d.commands[s.Conversation]
	if ok && last.hash == now.hash && s.At-last.at <= within && last.x != nil && last.x.Outcome == flow.Waiting {
		first = last.seq
	}
	if len(d.commands) >= maxTracked {
		clear(d.commands)
	}
	d.commands[s.Conversation] = now
	return first
}
