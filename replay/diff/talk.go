package diff

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"time"

	"gctap/capture"
	"gctap/decode"
)

// A talk is a conversation of a side in memory: all its messages, or its
// commands only.
type talk struct {
	*conv
	side    *side
	entries []*entry
	own     []*cause         // its commands, in order
	strange map[int64]*cause // commands of other conversations
}

// directions are those of messages, by the byte that the spool has for them.
var directions = []capture.Direction{capture.Command, capture.Event, capture.Peer}

// The first byte of a spooled message.
const (
	flagBy      = 1 << 2 // has a cause
	flagForeign = 1 << 3 // in another conversation
	flagTyped   = 1 << 4 // has a JMSType
)

// append writes a message for the spool: its length, then what parse reads.
func (e *entry) append(to []byte, conv string, marks []byte, rec *capture.Record) []byte {
	flags := byte(max(0, slices.Index(directions, e.direction)))
	if e.by != nil {
		flags |= flagBy
		if e.by.conv != conv {
			flags |= flagForeign
		}
	}
	if rec.JMSType != nil {
		flags |= flagTyped
	}
	to = append(to, 0, 0, 0, 0, flags) // the length is known in the end
	to = binary.AppendUvarint(to, uint64(e.seq))
	to = binary.AppendUvarint(to, uint64(e.at))
	to = binary.LittleEndian.AppendUint64(to, e.key)
	to = appendText(to, e.name)
	to = appendText(to, e.state)
	to = append(to, byte(e.lane.kind))
	to = appendText(to, e.dialog)
	switch e.lane.kind {
	case dialogLane:
		to = binary.AppendUvarint(to, uint64(e.lane.born))
	case stateLane:
		to = appendText(to, e.lane.of)
	}
	if e.by != nil {
		to = binary.AppendUvarint(to, uint64(e.by.seq))
		to = binary.AppendUvarint(to, uint64(e.by.at))
		to = appendText(to, e.by.name)
		if flags&flagForeign != 0 {
			to = appendText(to, e.by.conv)
		}
		to = binary.AppendUvarint(to, uint64(e.met))
	}
	to = binary.AppendUvarint(to, uint64(len(marks)))
	to = append(to, marks...)
	to = appendText(to, rec.Type())
	to = binary.AppendUvarint(to, uint64(len(rec.Body)))
	to = append(to, rec.Body...)
	binary.LittleEndian.PutUint32(to, uint32(len(to)-4))
	return to
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// A cursor reads what append wrote.
type cursor struct{ rest string }

func (c *cursor) take(n uint64) string {
	s := c.rest[:n]
	c.rest = c.rest[n:]
	return s
}

func (c *cursor) number() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := c.rest[0]
		c.rest = c.rest[1:]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (c *cursor) text() string { return c.take(c.number()) }

func (c *cursor) word() (n uint64) {
	for i, b := range []byte(c.take(8)) {
		n |= uint64(b) << (8 * i)
	}
	return n
}

// mark reads the next mark; false at the end.
func (c *cursor) mark() (m mark, ok bool) {
	if c.rest == "" {
		return m, false
	}
	return mark{c.word(), c.word(), int(c.number())}, true
}

// load reads a conversation back. The digests are made again where those of
// the pass do not hold under the settings of d.
func (s *side) load(c *conv, d *digester, commandsOnly bool) (*talk, error) {
	blocks, err := s.spool.read(&c.chain)
	if err != nil {
		return nil, err
	}
	t := &talk{conv: c, side: s}
	slab := make([]entry, 0, c.size)
	for _, block := range blocks {
		for in := (cursor{block}); in.rest != ""; {
			size := in.take(4)
			m := cursor{in.take(uint64(size[0]) | uint64(size[1])<<8 | uint64(size[2])<<16 | uint64(size[3])<<24)}
			if commandsOnly && directions[m.rest[0]&3] != capture.Command {
				continue
			}
			slab = append(slab, entry{place: len(slab)})
			t.parse(&slab[len(slab)-1], m)
		}
	}
	t.entries = make([]*entry, len(slab))
	for i := range slab {
		t.entries[i] = &slab[i]
	}
	t.digest(d)
	return t, nil
}

func (t *talk) parse(e *entry, in cursor) {
	flags := in.take(1)[0]
	e.direction, e.typed = directions[flags&3], flags&flagTyped != 0
	e.seq, e.at = int64(in.number()), time.Duration(in.number())
	e.key = in.word()
	e.name, e.state = in.text(), in.text()
	e.lane.kind = laneKind(in.take(1)[0])
	e.dialog = in.text()
	switch e.lane.kind {
	case dialogLane:
		e.lane.of, e.lane.born = e.dialog, int64(in.number())
	case stateLane:
		e.lane.of = in.text()
	case eventLane:
		e.lane.of = e.name
	}
	if flags&flagBy != 0 {
		by := cause{link: link{int64(in.number()), time.Duration(in.number())}, name: in.text(), conv: t.name}
		if flags&flagForeign != 0 {
			by.conv = in.text()
		}
		e.by, e.met = t.cause(&by), time.Duration(in.number())
	}
	e.marks = in.text()
	e.jmsType, e.body = in.text(), in.text()
	if e.direction == capture.Command {
		e.self = &cause{link: link{e.seq, e.at}, name: e.name, conv: t.name}
		t.own = append(t.own, e.self)
	}
}

// cause returns the one cause that all events of a command share.
func (t *talk) cause(by *cause) *cause {
	if by.conv == t.name {
		if i, ok := sort.Find(len(t.own), func(i int) int { return cmp.Compare(by.seq, t.own[i].seq) }); ok {
			return t.own[i]
		}
	}
	known, ok := t.strange[by.seq]
	if !ok {
		known = by
		known.foreign = true
		if from := t.side.byName[by.conv]; from != nil {
			known.partner = from.link(by.seq)
		}
		if t.strange == nil {
			t.strange = map[int64]*cause{}
		}
		t.strange[by.seq] = known
	}
	return known
}

// digest makes the keys and marks again that do not hold.
func (t *talk) digest(d *digester) {
	for _, e := range t.entries {
		if !t.side.made.same(&d.policy.settings, t.side.left, e.name) {
			msg := decode.Decode(e.input(), t.side.opts.Decode)
			key, marks := d.digest(&msg, nil)
			e.key, e.marks = e.identity(key), string(marks)
		}
		e.cause = e.key
	}
}
