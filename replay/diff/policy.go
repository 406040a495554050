package diff

import (
	"hash/maphash"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"gctap/decode"
	"gctap/decode/flow"
)

// settings are what decides, beside Options, whether two values are the same.
// They are known for certain only when both sessions have been read.
type settings struct {
	names   flow.Mapping // of the left side to those of the right
	crossed bool         // one side's events are text, the other's JSON
	noise   *noise
}

// same reports whether digests that were made under s hold under t for
// messages of a name.
func (s *settings) same(t *settings, left bool, name string) bool {
	if s.crossed != t.crossed || left && !sameNames(&s.names, &t.names) {
		return false
	}
	return s.noise == t.noise || !s.noise.about(name) && !t.noise.about(name)
}

func sameNames(a, b *flow.Mapping) bool {
	return maps.Equal(a.Agents, b.Agents) && maps.Equal(a.Exts, b.Exts) && maps.Equal(a.Dests, b.Dests)
}

// A policy decides which values are compared, and how: by decode's table, by
// Options, and by settings. It is used by one goroutine.
type policy struct {
	opts *Options
	settings
	rules  *ruleTable
	tables map[tableKey]*columns
	size   int // columns in all tables
}

type tableKey struct {
	spec *decode.Spec
	name string
}

// columns are those of messages with one name.
type columns struct {
	byRow  map[string]*column
	always []*column // as the last message had them: the next mostly has the same
}

// A column is what is known of a field before its value is seen.
type column struct {
	row    string // path in the table, without indexes
	hash   uint64
	name   string // last part of the path
	class  decode.Class
	id     bool // made by GC: compared through the mapping
	only   bool // in one of the formats only, or laid out otherwise
	first  int  // the rule that leaves it out whatever it holds; 0: none
	format int  // the rule that leaves it out between two formats
	then   int  // the rule that leaves it out if format does not
}

// columnsMost bounds what a policy remembers: call variables have names that
// clients make up.
const columnsMost = 20_000

func newPolicy(opts *Options, s settings, rules *ruleTable) *policy {
	return &policy{opts: opts, settings: s, rules: rules, tables: map[tableKey]*columns{}}
}

// table returns the columns of a message.
func (p *policy) table(msg *decode.Message) *columns {
	key := tableKey{msg.Spec(), msg.Name}
	t, ok := p.tables[key]
	if !ok {
		if p.size > columnsMost {
			clear(p.tables)
			p.size = 0
		}
		t = &columns{byRow: map[string]*column{}}
		p.tables[key] = t
	}
	return t
}

// A part of a message that is no field of the table has a row of its own.
const (
	agentRow = "\x00agent"        // the id in the JMSType or head
	bodyRow  = "\x00body"         // of a message that nothing could be made of
	countRow = "\x00participants" // how many there are
)

// column returns the n-th column that a message of table t comes to.
func (p *policy) column(t *columns, n int, msg *decode.Message, row []byte) *column {
	if n < len(t.always) && t.always[n].row == string(row) {
		return t.always[n]
	}
	col, ok := t.byRow[string(row)]
	if !ok {
		col = p.newColumn(msg, string(row))
		t.byRow[col.row] = col
		p.size++
	}
	switch {
	case n < len(t.always):
		t.always[n] = col
	case n == len(t.always) && n < 64:
		t.always = append(t.always, col)
	}
	return col
}

func (p *policy) newColumn(msg *decode.Message, row string) *column {
	plain := strings.TrimPrefix(row, "\x00")
	col := &column{row: row, hash: maphash.String(seed, plain), name: lastName(plain)}
	volatile := false
	switch row {
	case agentRow:
		col.class = decode.ClassAgent
	case bodyRow, countRow:
		col.class = decode.ClassText
	default:
		trait := msg.Trait(row)
		col.class, volatile = trait.Class, trait.Volatile
	}
	if rule := p.opts.Rules.leavesOut(msg.Name, plain); rule != "" {
		col.first = p.rules.number(rule)
	} else if p.opts.ignores(msg.Name, plain) {
		col.first = p.rules.number("ignore:" + col.name)
	}
	if p.crossed && msg.Kind == decode.KindEvent {
		col.format, col.only = p.rules.number("format:"+col.name), inOneFormat(msg.Name, plain)
	}
	switch {
	case p.noise.wobbles(msg.Name, plain):
		col.then = p.rules.number(p.noise.rule(msg.Name, plain))
	case col.name == "associatedDialogId" || col.class == decode.ClassDialog:
		col.id = true
	case volatile || col.class == decode.ClassTime || col.class == decode.ClassSecret:
		col.then = p.rules.number("volatile:" + col.name)
	}
	return col
}

// value returns how a value is compared: as text in the names of the right
// side, as an id, or not at all because of a rule.
func (p *policy) value(col *column, raw string, left bool) (text string, rule int, id bool) {
	text = raw
	if left {
		text = p.rename(col.class, raw)
	}
	if col.first != 0 {
		return text, col.first, false
	}
	if col.format != 0 {
		if col.only || raw == "" || strings.EqualFold(raw, "null") { // the one leaves out what the other leaves empty
			return text, col.format, false
		}
		if col.class == decode.ClassBool || strings.EqualFold(raw, "true") || strings.EqualFold(raw, "false") {
			text = strings.ToLower(text)
		}
	}
	return text, col.then, col.id
}

// rename gives a left value the name that it has on the right side.
func (p *policy) rename(class decode.Class, raw string) string {
	switch class {
	case decode.ClassAgent:
		return mapped(p.names.Agents, raw)
	case decode.ClassExt:
		return mapped(p.names.Exts, raw)
	case decode.ClassDest:
		return mapped(p.names.Dests, raw)
	}
	if flow.FreeText(class) {
		return mapped(p.names.Texts, raw)
	}
	return raw
}

// inOneFormat reports whether a field cannot be compared between a text event
// and a JSON one: the other format has no such field, or lays it out otherwise.
func inOneFormat(message, row string) bool {
	root, _, _ := strings.Cut(row, ".")
	if root == "agent" || root == "participants" || root == "agentId" && message != "State" {
		return true // the receiver, who is the conversation
	}
	text, json := decode.LookupEvent(message), decode.LookupJSONEvent(message)
	return text == nil || json == nil || !hasField(text, root) || !hasField(json, root)
}

func hasField(s *decode.Spec, field string) bool {
	if s.Arg(field) != nil {
		return true
	}
	return slices.ContainsFunc(s.Keys, func(k decode.Key) bool { return k.Name == field })
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
func (o *Options) ignores(name, path string) bool {
	return slices.ContainsFunc(o.Ignore, func(rule string) bool { return namesField(rule, name, path) })
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

// A ruleTable numbers the names of rules, from 1. All goroutines of a Compare
// share one.
type ruleTable struct {
	mu      sync.Mutex
	numbers map[string]int
	names   []string
}

func newRuleTable() *ruleTable { return &ruleTable{numbers: map[string]int{}, names: []string{""}} }

func (t *ruleTable) number(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.numbers[name]
	if !ok {
		n = len(t.names)
		t.numbers[name] = n
		t.names = append(t.names, name)
	}
	return n
}

func (t *ruleTable) name(number int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.names[number]
}

// seed is that of all digests. They tell equal texts from different ones and
// nothing else: no output depends on their values.
var seed = maphash.MakeSeed()

// mix makes one digest of two in their order.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo
}

// digest returns 64 bits of texts.
func digest(parts ...string) (sum uint64) {
	for _, p := range parts {
		sum = mix(sum+1, maphash.String(seed, p))
	}
	return sum
}
