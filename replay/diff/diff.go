// Package diff compares two sessions and says what the right one does
// differently: conversation by conversation, message by message, field by
// field.
//
// What differs from run to run by the protocol's own table is no difference:
// times, passwords, topics. Ids of calls are compared through a mapping that
// must be one to one. The order of participants and of call variables counts
// for nothing, the order of events only where flow orders them: in one dialog,
// in one agent's states, and among the answers of one command. The same input
// gives the same bytes.
//
// Each session is read once, with one flow pass, and its messages are put aside
// by conversation in a temporary file, with digests of what is to be compared.
// Then one conversation after the other is read back, aligned and released; a
// message is decoded again only when something in it differs. Memory holds the
// two longest conversations, about 1 KB a message. What grows with the whole
// length is what the report says: pairs of ids, differences, and 8 bytes for
// each command's latency.
package diff

import (
	"cmp"
	"encoding/json"
	"io"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// DefaultLate is how long after its command an event may come.
const DefaultLate = 2 * time.Second

// Options are the settings of Compare. The zero value is the default.
type Options struct {
	Late        time.Duration // 0: DefaultLate
	Ignore      []string      // fields, as "reasonCode" or "State.reasonCode"
	Map         flow.Mapping  // names of the left session to those of the right
	Decode      decode.Options
	FailLatency bool // a regressed latency makes the verdict different
	Rules       Rules
	// Noise are further recordings of the left session's build: what wobbles
	// among them is no difference.
	Noise []iter.Seq2[capture.Record, error]

	Left, Right Name // of the sessions, for the report

	// Only is asked, when both sessions have been read, whether a message of
	// one of them counts; nil: all do. Everything is read and aligned; what is
	// reported is about the messages that count: the left session's, and where
	// it has none the right one's.
	Only func(right bool, seq int64) bool

	// Pairs is told, message by message, how the sessions were aligned; nil:
	// nobody wants to know. An error ends the comparison.
	Pairs func(*Pair) error
}

// Name says which session a side is.
type Name struct {
	Session int64  `json:"session,omitempty"`
	Name    string `json:"name"`
}

// Classes of a Difference.
const (
	Changed    = "changed"
	Missing    = "missing"
	Extra      = "extra"
	Reordered  = "reordered"
	Late       = "late"
	Duplicated = "duplicated"
)

// Verdicts of a Report.
const (
	Same       = "same"
	Different  = "different"
	Incomplete = "incomplete" // no difference found, and the evidence has gaps
)

// A Report is what Compare found, in the form of `diff --format json`.
type Report struct {
	Verdict     string                       `json:"verdict"`
	Incomplete  bool                         `json:"incomplete"`
	Left        Side                         `json:"left"`
	Right       Side                         `json:"right"`
	Counts      Counts                       `json:"counts"`
	Differences []Difference                 `json:"differences"`
	Ignored     []Ignored                    `json:"ignored"`
	IDs         map[string]map[string]string `json:"ids"`
	Latency     []Latency                    `json:"latency"`

	conversations []string // all that were compared, as differences name them
	failLatency   bool     // a regressed latency counts
}

// A Side is one of the sessions.
type Side struct {
	Name
	Messages int    `json:"messages"`
	Commands int    `json:"commands"`
	Events   int    `json:"events"`
	Gaps     int    `json:"gaps"`
	Filter   string `json:"filter,omitempty"`   // whoever calls says what Only asks for,
	Selected *int64 `json:"selected,omitempty"` // and how many messages that are
	Stopped  []Stop `json:"stopped,omitempty"`  // conversations that a replay did not play to the end
}

// A Stop is a conversation that a replay did not play to its end.
type Stop struct {
	Conversation string `json:"conversation"`
	Reason       string `json:"reason"`
}

// Counts are the messages by class. A message that differs in several ways
// counts in each.
type Counts struct {
	Matched    int `json:"matched"`
	Changed    int `json:"changed"`
	Missing    int `json:"missing"`
	Extra      int `json:"extra"`
	Reordered  int `json:"reordered"`
	Late       int `json:"late"`
	Duplicated int `json:"duplicated"`
}

// A Difference is one message that the right session has differently.
type Difference struct {
	Class        string        `json:"class"`
	Kind         string        `json:"kind"` // what it is about
	Conversation string        `json:"conversation"`
	Name         string        `json:"name"`
	State        string        `json:"state,omitempty"` // that the message tells: of agent or call, status, error code
	Left         *int64        `json:"left"`            // seq; null where absent
	Right        *int64        `json:"right"`
	Fields       []FieldChange `json:"fields,omitempty"`
	Why          string        `json:"why"`
}

// A FieldChange is a field with another value; null where it is absent.
type FieldChange struct {
	Field string  `json:"field"`
	Left  *string `json:"left"`
	Right *string `json:"right"`
}

// Ignored is how many values or messages differ that a rule leaves out.
type Ignored struct {
	Rule  string `json:"rule"`
	Count int    `json:"count"`
	Why   string `json:"why,omitempty"`
}

// Compare reads both sessions, each in a goroutine of its own, and compares
// them. It returns the first error of left, right or noise, or of the temporary
// files.
func Compare(left, right iter.Seq2[capture.Record, error], opts Options) (*Report, error) {
	if opts.Late <= 0 {
		opts.Late = DefaultLate
	}
	rules := newRuleTable()
	l, r, err := readSides(left, right, &opts, rules)
	defer l.spool.close()
	defer r.spool.close()
	if err != nil {
		return nil, err
	}
	learned, err := learnNoise(l, &opts, rules)
	if err != nil {
		return nil, err
	}
	c := newComparison(l, r, &opts, learned, rules)
	if err := c.compare(); err != nil {
		return nil, err
	}
	return c.report(), nil
}

// readSides reads both sessions at once. The digests of the left one hold in
// the names of the right one, which a replay tells before its first message:
// for that much the left one waits.
func readSides(left, right iter.Seq2[capture.Record, error], opts *Options, rules *ruleTable) (l, r *side, err error) {
	var stop atomic.Bool
	names := make(chan flow.Mapping, 1)
	rp := newPass(false, opts, settings{}, rules)
	done := make(chan error, 1)
	go func() {
		told := false
		err := rp.read(right, &stop, func(s *side) { names <- namesOf(s, opts); told = true })
		if err != nil {
			stop.Store(true)
		}
		if !told {
			names <- opts.Map
		}
		done <- err
	}()
	lp := newPass(true, opts, settings{names: <-names}, rules)
	err = lp.read(left, &stop, func(*side) {})
	if err != nil {
		stop.Store(true)
	}
	if rightErr := <-done; err == nil {
		err = rightErr
	}
	return lp.side, rp.side, err
}

// namesOf is what the names of the left side are on the right one.
func namesOf(right *side, opts *Options) flow.Mapping {
	if right.mapping == nil {
		return opts.Map
	}
	return merged(*right.mapping, opts.Map)
}

// comparison is a Compare under way.
type comparison struct {
	settings
	opts        *Options
	rules       *ruleTable
	left, right *side
	pairs       []convPair
	ids         *idMap
	passed      []int // values and messages that a rule leaves out, by its number
	found       Counts
	differences []Difference
	flat        [2]*flattener
	lost        map[string]bool  // left calls that the replay did not get through
	cut         map[string]int64 // by left conversation: the last command that the right one played

	matter *matter // being judged
	muted  bool    // the pair being judged is not asked for
	asked  int     // pairs that are
	rested []int   // rules that leave out something of it, where Options.Pairs wants to know
	copies *copies // of it; nil until they are asked for
}

func newComparison(l, r *side, opts *Options, learned *noise, rules *ruleTable) *comparison {
	s := settings{names: namesOf(r, opts), crossed: l.json != r.json, noise: learned}
	p := newPolicy(opts, s, rules)
	return &comparison{
		settings: s, opts: opts, rules: rules, left: l, right: r, ids: newIDMap(), cut: map[string]int64{}, lost: map[string]bool{},
		flat: [2]*flattener{newFlattener(p, true), newFlattener(p, false)}, pairs: pairConversations(l, r, &s.names),
	}
}

// merged adds the names of b to a; b's count.
func merged(a, b flow.Mapping) flow.Mapping {
	join := func(a, b map[string]string) map[string]string {
		all := map[string]string{}
		for k, v := range a {
			all[k] = v
		}
		for k, v := range b {
			all[k] = v
		}
		return all
	}
	return flow.Mapping{Agents: join(a.Agents, b.Agents), Exts: join(a.Exts, b.Exts), Dests: join(a.Dests, b.Dests), Texts: join(a.Texts, b.Texts)}
}

// compare compares each pair of conversations, in the order of the left
// session, those that only the right one has at the end.
func (c *comparison) compare() error {
	for _, stop := range c.right.stops {
		for _, p := range c.pairs {
			if p.right != nil && p.right.name == stop.Conversation && p.left != nil {
				c.cut[p.left.name] = stop.After
			}
		}
	}
	a := newAligner(c.left, c.right, c.opts, c.settings, c.rules)
	for _, p := range c.pairs {
		p.forget()
	}
	for _, p := range c.pairs {
		if err := a.link(p); err != nil {
			return err
		}
	}
	for _, p := range c.pairs {
		if p.left == nil || !c.isCut(p.left.name) {
			continue
		}
		m, err := a.matter(p)
		if err != nil {
			return err
		}
		c.loseDialogs(m)
	}
	return c.judgeAll(a)
}

func (c *comparison) isCut(conversation string) bool {
	_, ok := c.cut[conversation]
	return ok
}

// judgeAll judges one pair of conversations while the next is read back and
// aligned. The order of judging decides which ids belong together.
func (c *comparison) judgeAll(a *aligner) error {
	matters, enough := make(chan *matter), make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(matters)
		for _, p := range c.pairs {
			m, err := a.matter(p)
			if err != nil {
				failed <- err
				return
			}
			select {
			case matters <- m:
			case <-enough:
				return
			}
		}
	}()
	for m := range matters {
		if err := c.judge(m); err != nil {
			close(enough)
			for range matters { // until the other goroutine has ended
			}
			return err
		}
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// add takes in a difference that no rule and no noise explains.
func (c *comparison) add(d Difference, e *entry) {
	if c.muted || c.excused(&d) {
		return
	}
	cause := ""
	if e.by != nil {
		cause = e.by.name
	}
	d.Kind = kindOf(&d, cause)
	switch d.Class {
	case Changed:
		c.found.Changed++
	case Missing:
		c.found.Missing++
	case Extra:
		c.found.Extra++
	case Reordered:
		c.found.Reordered++
	case Late:
		c.found.Late++
	case Duplicated:
		c.found.Duplicated++
	}
	c.differences = append(c.differences, d.apart())
}

// counts reports whether a pair of messages is among those that are asked for.
func (c *comparison) counts(p pair) bool {
	switch {
	case c.opts.Only == nil:
		return true
	case p.left != nil:
		return c.opts.Only(false, p.left.seq)
	}
	return c.opts.Only(true, p.right.seq)
}

// apart returns d without parts of the conversation it was found in, which is
// given back to memory.
func (d Difference) apart() Difference {
	own := func(n *int64) *int64 {
		if n == nil {
			return nil
		}
		seq := *n
		return &seq
	}
	d.Left, d.Right = own(d.Left), own(d.Right)
	d.Name, d.State = strings.Clone(d.Name), strings.Clone(d.State)
	return d
}

func (c *comparison) report() *Report {
	r := &Report{
		failLatency: c.opts.FailLatency, Left: c.left.summary(c.opts.Left), Right: c.right.summary(c.opts.Right), Counts: c.found,
		Differences: c.differences, Ignored: []Ignored{}, IDs: c.ids.report(), Latency: c.latencyReport(),
	}
	for _, p := range c.pairs {
		r.conversations = append(r.conversations, p.name())
	}
	if r.Differences == nil {
		r.Differences = []Difference{}
	}
	for number, n := range c.passed {
		if rule := c.rules.name(number); n > 0 {
			r.Ignored = append(r.Ignored, Ignored{rule, n, c.why(rule)})
		}
	}
	slices.SortFunc(r.Ignored, func(a, b Ignored) int { return cmp.Compare(a.Rule, b.Rule) })
	nothing := r.Left.Messages+r.Right.Messages == 0 || c.opts.Only != nil && c.asked == 0 // two empty recordings prove nothing
	r.Incomplete = nothing || c.left.gaps+c.right.gaps+len(c.right.stops)+len(c.left.stops) > 0
	r.Verdict = Same
	regressed := slices.ContainsFunc(r.Latency, func(l Latency) bool { return l.Regressed })
	switch {
	case len(r.Differences) > 0 || c.opts.FailLatency && regressed:
		r.Verdict = Different
	case r.Incomplete:
		r.Verdict = Incomplete
	}
	return r
}

// WriteJSON writes the report as one object with a line end.
func (r *Report) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return out.Encode(r)
}
