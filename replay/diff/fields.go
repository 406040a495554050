package diff

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"gctap/decode"
)

// A walker goes through the values of a message. Participants stand under
// their address, so that their order does not count; call variables have names
// anyway.
type walker struct {
	policy  *policy
	left    bool
	msg     *decode.Message
	columns *columns
	n       int    // columns so far
	path    []byte // "participants[3001].state"
	row     []byte // "participants.state"
	indexed bool   // path is not row
	seen    map[string]int
	leaf    func(col *column, raw string)
}

func (w *walker) walk(msg *decode.Message) {
	w.msg, w.columns, w.n = msg, w.policy.table(msg), 0
	clear(w.seen)
	if msg.Agent != "" {
		w.special("agent", agentRow, msg.Agent)
	}
	for i := range msg.Fields {
		f := &msg.Fields[i]
		w.path, w.row = append(w.path[:0], f.Name...), append(w.row[:0], f.Name...)
		w.value(&f.Value)
	}
	if msg.Name == "" {
		w.special("body", bodyRow, string(rawBody(msg)))
	}
}

// special visits what is no field of the table.
func (w *walker) special(path, row, raw string) {
	w.path, w.row = append(w.path[:0], path...), append(w.row[:0], row...)
	w.visit(raw)
}

func (w *walker) visit(raw string) {
	col := w.policy.column(w.columns, w.n, w.msg, w.row)
	w.n++
	w.leaf(col, raw)
}

// value visits what is below the path.
func (w *walker) value(v *decode.Value) {
	var expanded decode.Value
	if v.Kind == decode.KindJSON {
		expanded = v.Expand()
		v = &expanded
	}
	switch v.Kind {
	case decode.KindRecord:
		path, row := len(w.path), len(w.row)
		for i := range v.Parts {
			part := &v.Parts[i]
			w.path = append(append(w.path[:path], '.'), part.Name...)
			w.row = append(append(w.row[:row], '.'), part.Name...)
			w.value(&part.Value)
		}
		w.path, w.row = w.path[:path], w.row[:row]
	case decode.KindList:
		w.list(v)
	default:
		w.visit(v.Text)
	}
}

// list visits the elements of a list: participants under their address.
func (w *walker) list(v *decode.Value) {
	path, people := len(w.path), string(w.row) == "participants"
	if people {
		w.row = append(w.row[:0], countRow...)
		w.visit(strconv.Itoa(len(v.Parts)) + " participants")
		w.row = append(w.row[:0], "participants"...)
	}
	before := w.indexed
	w.indexed = true
	for i := range v.Parts {
		w.path = append(w.path[:path], '[')
		address, ok := decode.Value{}, false
		if people {
			address, ok = v.Parts[i].Value.Get("address")
		}
		if ok {
			w.path = append(w.path, w.unique(w.address(strings.TrimSpace(address.Text)))...)
		} else {
			w.path = strconv.AppendInt(w.path, int64(i), 10)
		}
		w.path = append(w.path, ']')
		w.value(&v.Parts[i].Value)
	}
	w.path, w.indexed = w.path[:path], before
}

// address gives a participant the address that it has on the right side.
func (w *walker) address(address string) string {
	if !w.left {
		return address
	}
	return w.policy.rename(w.msg.Trait("participants.address").Class, address)
}

// unique tells apart what comes twice.
func (w *walker) unique(key string) string {
	if w.seen == nil {
		w.seen = map[string]int{}
	}
	w.seen[key]++
	if n := w.seen[key]; n > 1 {
		return key + "/" + strconv.Itoa(n)
	}
	return key
}

// rawBody gives back the bytes of a message that nothing could be made of.
func rawBody(msg *decode.Message) []byte {
	in, err := decode.Encode(msg)
	if err != nil {
		return nil
	}
	return in.Body
}

// A digester works out what stands for a message when it is aligned and, where
// nothing differs, compared: a key that is the same for all values that should
// be equal, and marks of those that are no difference or ids.
type digester struct {
	walker
	key   uint64
	ids   []byte
	nIDs  int
	rules []mark
}

// A mark is a value that a rule leaves out.
type mark struct {
	path, text uint64 // digests
	rule       int
}

func newDigester(p *policy, left bool) *digester {
	d := &digester{walker: walker{policy: p, left: left}}
	d.leaf = d.add
	return d
}

func (d *digester) add(col *column, raw string) {
	path := col.hash
	if d.indexed {
		path = maphash.Bytes(seed, d.path)
	}
	text, rule, id := d.policy.value(col, raw, d.left)
	switch {
	case rule != 0:
		d.rules = append(d.rules, mark{path, maphash.String(seed, text), rule})
	case id:
		d.nIDs++
		d.ids = binary.LittleEndian.AppendUint64(d.ids, path)
		d.ids = appendText(d.ids, raw)
	default: // the order of the values counts for nothing
		d.key += mix(path, maphash.String(seed, text))
	}
}

// digest returns the key of a message and appends its marks to into.
func (d *digester) digest(msg *decode.Message, into []byte) (key uint64, marks []byte) {
	d.key, d.ids, d.nIDs, d.rules = 0, d.ids[:0], 0, d.rules[:0]
	d.walk(msg)
	into = binary.AppendUvarint(into, uint64(d.nIDs))
	into = append(into, d.ids...)
	if len(d.rules) > 1 {
		slices.SortStableFunc(d.rules, func(a, b mark) int {
			if a.path < b.path {
				return -1
			} else if a.path > b.path {
				return 1
			}
			return 0
		})
	}
	for _, m := range d.rules {
		into = binary.LittleEndian.AppendUint64(into, m.path)
		into = binary.LittleEndian.AppendUint64(into, m.text)
		into = binary.AppendUvarint(into, uint64(m.rule))
	}
	return d.key, into
}

// sameMarks compares two messages with the same key. It reports false when an
// id differs or is missing: then the fields have to be looked at.
func (c *comparison) sameMarks(left, right string, at time.Duration) bool {
	l, r := cursor{left}, cursor{right}
	n := l.number()
	if r.number() != n {
		return false
	}
	for range n {
		lp, lid := l.word(), l.text()
		rp, rid := r.word(), r.text()
		if lp != rp || !c.ids.same(lid, rid, at) {
			return false
		}
	}
	c.leftOut(l, r)
	return true
}

// leftOut counts the values that differ and that a rule leaves out.
func (c *comparison) leftOut(l, r cursor) {
	lm, lok := l.mark()
	rm, rok := r.mark()
	for lok || rok {
		switch {
		case lok && rok && lm.path == rm.path:
			if lm.text != rm.text {
				c.pass(lm.rule)
			}
			lm, lok = l.mark()
			rm, rok = r.mark()
		case lok && (!rok || lm.path < rm.path):
			c.pass(lm.rule)
			lm, lok = l.mark()
		default:
			c.pass(rm.rule)
			rm, rok = r.mark()
		}
	}
}

// pass counts a value or message that a rule leaves out.
func (c *comparison) pass(rule int) {
	if c.muted {
		return
	}
	for len(c.passed) <= rule {
		c.passed = append(c.passed, 0)
	}
	c.passed[rule]++
	if c.opts.Pairs != nil {
		c.rested = append(c.rested, rule)
	}
}

// leaf is one value of a message, in the names of the right session.
type leaf struct {
	path string
	text string
	raw  string // as the message has it
	rule int
	id   bool
}

// A flattener lists the values of a message.
type flattener struct {
	walker
	leaves []leaf
}

func newFlattener(p *policy, left bool) *flattener {
	f := &flattener{walker: walker{policy: p, left: left}}
	f.leaf = f.add
	return f
}

func (f *flattener) add(col *column, raw string) {
	text, rule, id := f.policy.value(col, raw, f.left)
	f.leaves = append(f.leaves, leaf{string(f.path), text, raw, rule, id})
}

func (f *flattener) flatten(e *entry, o decode.Options) []leaf {
	f.leaves = f.leaves[:0]
	msg := decode.Decode(e.input(), o)
	f.walk(&msg)
	return f.leaves
}

// fields compares the values of a message that both sides have.
func (c *comparison) fields(p pair) []FieldChange {
	if p.left.key == p.right.key && c.sameMarks(p.left.marks, p.right.marks, p.left.at) {
		return nil
	}
	left, right := c.flat[0].flatten(p.left, c.opts.Decode), c.flat[1].flatten(p.right, c.opts.Decode)
	var changes []FieldChange
	if samePaths(left, right) {
		for i := range left {
			changes = c.value(changes, &left[i], &right[i], p.left.at)
		}
		return changes
	}
	there := make(map[string]*leaf, len(right))
	for i := range right {
		there[right[i].path] = &right[i]
	}
	for i := range left {
		a := &left[i]
		b := there[a.path]
		delete(there, a.path)
		changes = c.value(changes, a, b, p.left.at)
	}
	for i := range right {
		if b := &right[i]; there[b.path] == b {
			changes = c.value(changes, nil, b, p.left.at)
		}
	}
	return changes
}

func samePaths(left, right []leaf) bool {
	return slices.EqualFunc(left, right, func(a, b leaf) bool { return a.path == b.path })
}

// value compares one value at a time of the left session; nil is an absent one.
func (c *comparison) value(changes []FieldChange, a, b *leaf, at time.Duration) []FieldChange {
	either := a
	if either == nil {
		either = b
	}
	switch {
	case a != nil && b != nil && a.text == b.text && !either.id:
		return changes
	case either.rule != 0:
		if a == nil || b == nil || a.text != b.text {
			c.pass(either.rule)
		}
		return changes
	case either.id && a != nil && b != nil && c.ids.same(a.raw, b.raw, at):
		return changes
	}
	return append(changes, FieldChange{Field: either.path, Left: rawOf(a), Right: rawOf(b)})
}

func rawOf(v *leaf) *string {
	if v == nil {
		return nil
	}
	raw := strings.Clone(v.raw) // of a whole body
	return &raw
}
