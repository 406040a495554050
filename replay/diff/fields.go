package diff

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gctap/decode"
	"gctap/decode/flow"
)

// leaf is one value of a message, in the names of the right session.
type leaf struct {
	path string // "participants[3001].state"; lists whose order does not count have their key in place of the number
	text string
	raw  string // as the message has it
	rule string // "" when it is compared, else what leaves it out
	id   bool   // made by GC: compared through the mapping
	name string // of an id: the field whose ids are mapped together
}

// fields compares the values of a message that both sides have.
func (c *comparison) fields(p pair) []FieldChange {
	l, r := decode.Decode(p.left.input(), c.opts.Decode), decode.Decode(p.right.input(), c.opts.Decode)
	c.leaves[0] = c.flatten(c.leaves[0][:0], &l, true)
	c.leaves[1] = c.flatten(c.leaves[1][:0], &r, false)
	left, right := c.leaves[0], c.leaves[1]
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
	case either.rule != "":
		if a == nil || b == nil || a.text != b.text {
			c.ignore(either.rule)
		}
		return changes
	case either.id && a != nil && b != nil && c.ids.same(either.name, a.raw, b.raw, at):
		return changes
	}
	return append(changes, FieldChange{Field: either.path, Left: rawOf(a), Right: rawOf(b)})
}

func rawOf(v *leaf) *string {
	if v == nil {
		return nil
	}
	raw := v.raw // the leaf's place is used again
	return &raw
}

// flatten adds the values of a message to into. Participants stand under their
// address, so that their order does not count; call variables have names
// anyway.
func (c *comparison) flatten(into []leaf, msg *decode.Message, left bool) []leaf {
	f := flattener{c: c, msg: msg, left: left, leaves: into}
	if msg.Agent != "" {
		f.leaf("agent", decode.ClassAgent, false, msg.Agent)
	}
	for i := range msg.Fields {
		f.walk(msg.Fields[i].Name, msg.Fields[i].Name, msg.Fields[i].Value)
	}
	if msg.Name == "" {
		f.leaf("body", decode.ClassText, false, string(rawBody(msg)))
	}
	return f.leaves
}

// rawBody gives back the bytes of a message that nothing could be made of.
func rawBody(msg *decode.Message) []byte {
	in, err := decode.Encode(msg)
	if err != nil {
		return nil
	}
	return in.Body
}

type flattener struct {
	c      *comparison
	msg    *decode.Message
	left   bool
	leaves []leaf
	seen   map[string]int
}

// walk lists the values below a field. row is the field's path in the table,
// without indexes.
func (f *flattener) walk(path, row string, v decode.Value) {
	v = v.Expand()
	switch v.Kind {
	case decode.KindRecord:
		for _, part := range v.Parts {
			f.walk(path+"."+part.Name, row+"."+part.Name, part.Value)
		}
	case decode.KindList:
		f.list(path, row, v)
	default:
		class, volatile := f.row(row)
		f.leaf(path, class, volatile, v.Text)
	}
}

// list lists the elements of a list: participants under their address.
func (f *flattener) list(path, row string, v decode.Value) {
	if row == "participants" {
		f.leaf(path, decode.ClassText, false, strconv.Itoa(len(v.Parts))+" participants")
	}
	for i, part := range v.Parts {
		index := strconv.Itoa(i)
		if row == "participants" {
			if address, ok := part.Value.Get("address"); ok {
				class, _ := f.row(row + ".address")
				index = f.unique(f.rename(class, strings.TrimSpace(address.Text)))
			}
		}
		f.walk(path+"["+index+"]", row, part.Value)
	}
}

// unique tells apart what comes twice.
func (f *flattener) unique(key string) string {
	if f.seen == nil {
		f.seen = map[string]int{}
	}
	f.seen[key]++
	if n := f.seen[key]; n > 1 {
		return key + "/" + strconv.Itoa(n)
	}
	return key
}

// row returns what decode's table says of a field.
func (f *flattener) row(row string) (decode.Class, bool) {
	if row == "clientDestination" { // of Hello and Beat it stands in the JMSType, which has no row
		return decode.ClassDest, true
	}
	spec := f.msg.Spec()
	if spec == nil {
		return decode.ClassText, false
	}
	if arg := spec.Arg(row); arg != nil {
		return arg.Class, arg.Volatile
	}
	for i := range spec.Keys {
		if spec.Keys[i].Name == row {
			return spec.Keys[i].Class, spec.Keys[i].Volatile
		}
	}
	return decode.ClassText, false
}

// leaf adds one value with the rule that leaves it out, if one does.
func (f *flattener) leaf(path string, class decode.Class, volatile bool, raw string) {
	v := leaf{path: path, raw: raw, text: f.rename(class, raw)}
	name := lastName(path)
	switch {
	case f.c.opts.Rules.leavesOut(f.msg.Name, path) != "":
		v.rule = f.c.opts.Rules.leavesOut(f.msg.Name, path)
	case f.c.ignores(f.msg.Name, path):
		v.rule = "ignore:" + name
	case f.c.crossed && f.otherwise(&v, class):
		v.rule = "format:" + name
	case f.c.noise.wobbles(f.msg.Name, path):
		v.rule = f.c.noise.rule(f.msg.Name, path)
	case name == "associatedDialogId" || class == decode.ClassDialog:
		v.id, v.name = true, "dialogId"
	case volatile || class == decode.ClassTime || class == decode.ClassSecret:
		v.rule = f.c.volatile(name)
	}
	f.leaves = append(f.leaves, v)
}

// volatile is the rule that leaves out a field by decode's table.
func (c *comparison) volatile(name string) string {
	rule, ok := c.rules[name]
	if !ok {
		rule = "volatile:" + name
		c.rules[name] = rule
	}
	return rule
}

// rename gives a left value the name that it has on the right side.
func (f *flattener) rename(class decode.Class, raw string) string {
	if !f.left {
		return raw
	}
	switch class {
	case decode.ClassAgent:
		return mapped(f.c.names.Agents, raw)
	case decode.ClassExt:
		return mapped(f.c.names.Exts, raw)
	case decode.ClassDest:
		return mapped(f.c.names.Dests, raw)
	}
	return raw
}

func lastName(path string) string {
	if i := strings.LastIndexAny(path, ".]"); i >= 0 && path[i] == '.' {
		return path[i+1:]
	}
	name, _, _ := strings.Cut(path, "[")
	return name
}

// ignores reports whether --ignore names the field: "reasonCode",
// "State.reasonCode", "participants.state" or "callVariables.ani".
func (c *comparison) ignores(name, path string) bool {
	return slices.ContainsFunc(c.opts.Ignore, func(rule string) bool { return namesField(rule, name, path) })
}

// namesField reports whether a rule names a field of a message.
func namesField(rule, name, path string) bool {
	plain := withoutIndexes(path)
	return rule == plain || rule == name+"."+plain || rule == lastName(path)
}

func withoutIndexes(path string) string {
	var b strings.Builder
	depth := 0
	for _, r := range path {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// idMap maps ids of the left session to those of the right, one to one. An id
// that is given again long after its call has ended is another one.
type idMap struct{ there, back map[idKey][]idPair }

type idKey struct{ field, id string }

// idPair is what an id stands for around a time of the left session.
type idPair struct {
	other       string
	first, last time.Duration
}

func newIDMap() *idMap { return &idMap{map[idKey][]idPair{}, map[idKey][]idPair{}} }

// same reports whether two ids stand for each other at a time. A pair of ids
// that are both new is taken in.
func (m *idMap) same(field, left, right string, at time.Duration) bool {
	if left == "" || right == "" {
		return left == right
	}
	to, from := pairAt(m.there[idKey{field, left}], at), pairAt(m.back[idKey{field, right}], at)
	if to == nil && from == nil {
		m.there[idKey{field, left}] = append(m.there[idKey{field, left}], idPair{right, at, at})
		m.back[idKey{field, right}] = append(m.back[idKey{field, right}], idPair{left, at, at})
		return true
	}
	if to == nil || from == nil || to.other != right || from.other != left {
		return false
	}
	for _, p := range []*idPair{to, from} {
		p.first, p.last = min(p.first, at), max(p.last, at)
	}
	return true
}

// pairAt returns the pair whose call is not long over, or long in coming, at a
// time; nil when there is none. Conversations are compared one after the other,
// so that times do not come in order.
func pairAt(pairs []idPair, at time.Duration) *idPair {
	for i := range pairs {
		if p := &pairs[i]; at >= p.first-flow.DefaultForget && at <= p.last+flow.DefaultForget {
			return p
		}
	}
	return nil
}

// report lists the pairs by field; of an id that was given twice the first.
func (m *idMap) report() map[string]map[string]string {
	all := map[string]map[string]string{}
	for key, pairs := range m.there {
		if all[key.field] == nil {
			all[key.field] = map[string]string{}
		}
		first := slices.MinFunc(pairs, func(a, b idPair) int { return cmp.Compare(a.first, b.first) })
		all[key.field][key.id] = first.other
	}
	return all
}
