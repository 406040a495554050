package diff

import (
	"fmt"
	"iter"
	"strings"
	"sync/atomic"

	"gctap/capture"
)

// noise is what wobbles among recordings of one build: fields by message name,
// and whole differences by class, name and state. What is missing in one
// recording is extra in another, so that the two are one class here.
type noise struct {
	runs     int
	fields   map[string]int  // "State.label": runs in which it differed
	whole    map[string]int  // "missing State READY"
	messages map[string]bool // those with such fields
}

// learnNoise compares the left session with each further recording of its
// build, under the same options and rules.
func learnNoise(left *side, opts *Options, rules *ruleTable) (*noise, error) {
	if len(opts.Noise) == 0 {
		return nil, nil
	}
	n := &noise{fields: map[string]int{}, whole: map[string]int{}, messages: map[string]bool{}}
	all := *opts
	all.Only, all.Pairs = nil, nil // they know the seqs of the two sessions only
	for _, records := range opts.Noise {
		if err := n.learn(left, records, &all, rules); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// learn takes in one further recording.
func (n *noise) learn(left *side, records iter.Seq2[capture.Record, error], opts *Options, rules *ruleTable) error {
	p := newPass(false, opts, settings{}, rules)
	defer p.spool.close()
	if err := p.read(records, new(atomic.Bool), func(*side) {}); err != nil {
		return err
	}
	c := newComparison(left, p.side, opts, nil, rules)
	if err := c.compare(); err != nil {
		return err
	}
	n.runs++
	seen := map[string]bool{}
	once := func(counts map[string]int, key string) {
		if !seen[key] {
			seen[key] = true
			counts[key]++
		}
	}
	for i := range c.differences {
		d := &c.differences[i]
		if d.Class != Changed {
			once(n.whole, wholeKey(d))
		}
		for _, f := range d.Fields {
			n.messages[d.Name] = true
			once(n.fields, d.Name+"."+withoutIndexes(f.Field))
		}
	}
	return nil
}

// about reports whether fields of messages with a name wobble.
func (n *noise) about(message string) bool { return n != nil && n.messages[message] }

func wholeKey(d *Difference) string {
	class := d.Class
	if class == Extra {
		class = Missing
	}
	return strings.TrimRight(class+" "+d.Name+" "+d.State, " ")
}

// wobbles reports whether a field differed between recordings of one build.
func (n *noise) wobbles(message, path string) bool {
	return n != nil && n.fields[message+"."+withoutIndexes(path)] > 0
}

// rule is what a report calls the noise of a field.
func (n *noise) rule(message, path string) string {
	return "noise:" + message + "." + withoutIndexes(path)
}

// excused reports whether a rule or noise makes a difference none; it counts
// what it leaves out.
func (c *comparison) excused(d *Difference) bool {
	if c.opts.Rules.excuse(d, func(rule string) { c.pass(c.rules.number(rule)) }) {
		return true
	}
	if c.noise == nil || d.Class == Changed || c.noise.whole[wholeKey(d)] == 0 {
		return false
	}
	c.pass(c.rules.number("noise:" + wholeKey(d)))
	return true
}

// why explains a rule of the report.
func (c *comparison) why(rule string) string {
	if key, ok := strings.CutPrefix(rule, "noise:"); ok && c.noise != nil {
		n := c.noise.fields[key]
		if n == 0 {
			n = c.noise.whole[key]
		}
		return fmt.Sprintf("wobbled in %d of %d baseline runs", n, c.noise.runs)
	}
	return c.opts.Rules.reason(rule)
}
