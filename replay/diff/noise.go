package diff

import (
	"fmt"
	"strings"

	"gctap/decode"
)

// noise is what wobbles among recordings of one build: fields by message name,
// and whole differences by class, name and state. What is missing in one
// recording is extra in another, so that the two are one class here.
type noise struct {
	runs   int
	fields map[string]int // "State.label": runs in which it differed
	whole  map[string]int // "missing State READY"
}

// learnNoise compares the left session with each further recording of its
// build, under the same options and rules.
func learnNoise(left *side, opts Options) (*noise, error) {
	n := &noise{fields: map[string]int{}, whole: map[string]int{}}
	opts.Only = nil // it knows the seqs of the two sessions only
	for _, records := range opts.Noise {
		other, err := readSide(records, opts)
		if err != nil {
			return nil, err
		}
		c := newComparison(left, other, opts)
		c.compare()
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
				once(n.fields, d.Name+"."+withoutIndexes(f.Field))
			}
		}
	}
	return n, nil
}

func wholeKey(d *Difference) string {
	class := d.Class
	if class == Extra {
		class = Missing
	}
	return strings.TrimRight(class+" "+d.Name+" "+d.state, " ")
}

// wobbles reports whether a field differed between recordings of one build.
func (n *noise) wobbles(message, path string) bool {
	return n != nil && len(n.fields) > 0 && n.fields[message+"."+withoutIndexes(path)] > 0
}

// rule is what a report calls the noise of a field.
func (n *noise) rule(message, path string) string {
	return "noise:" + message + "." + withoutIndexes(path)
}

// excused reports whether a rule or noise makes a difference none; it counts
// what it leaves out.
func (c *comparison) excused(d *Difference) bool {
	if c.opts.Rules.excuse(d, c.ignore) {
		return true
	}
	if c.noise == nil || d.Class == Changed || c.noise.whole[wholeKey(d)] == 0 {
		return false
	}
	c.ignore("noise:" + wholeKey(d))
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

// otherwise reports whether a value cannot be compared between a text event and
// a JSON one: the other format has no such field, or lays it out otherwise. It
// evens out how the formats write the rest.
func (f *flattener) otherwise(v *leaf, class decode.Class) bool {
	if f.msg.Kind != decode.KindEvent {
		return false
	}
	root, _, _ := strings.Cut(withoutIndexes(v.path), ".")
	if root == "agent" || root == "agentId" && f.msg.Name != "State" {
		return true // the receiver, who is the conversation
	}
	if v.raw == "" || strings.EqualFold(v.raw, "null") {
		return true // the one leaves out what the other leaves empty
	}
	if class == decode.ClassBool || strings.EqualFold(v.raw, "true") || strings.EqualFold(v.raw, "false") {
		v.text = strings.ToLower(v.text)
	}
	text, json := decode.LookupEvent(f.msg.Name), decode.LookupJSONEvent(f.msg.Name)
	return text == nil || json == nil || !hasField(text, root) || !hasField(json, root) || root == "participants"
}

func hasField(s *decode.Spec, field string) bool {
	if s.Arg(field) != nil {
		return true
	}
	for i := range s.Keys {
		if s.Keys[i].Name == field {
			return true
		}
	}
	return false
}
