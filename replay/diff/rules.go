package diff

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Rules say what is no difference, each with the reason that somebody gave for
// it. A report counts what each left out.
type Rules struct {
	Ignore    []Rule `yaml:"ignore"`     // fields that are not compared, or whole messages
	Tolerate  []Rule `yaml:"tolerate"`   // differences that are known
	OrderFree []Rule `yaml:"order-free"` // messages whose place counts for nothing
}

// A Rule names messages, fields or differences. What is empty fits all.
type Rule struct {
	Message      string `yaml:"message"`      // canonical name
	Field        string `yaml:"field"`        // as --ignore takes it: "reasonCode" or "State.reasonCode"
	Class        string `yaml:"class"`        // of a difference
	State        string `yaml:"state"`        // of the message: state, status, error code
	Conversation string `yaml:"conversation"` // as the report names it
	Reason       string `yaml:"reason"`
}

// ReadRules reads a rules file. It refuses keys that it does not know and rules
// that say nothing or give no reason: each leaves something out for good.
func ReadRules(r io.Reader) (Rules, error) {
	var rules Rules
	in := yaml.NewDecoder(r)
	in.KnownFields(true)
	if err := in.Decode(&rules); err != nil && !errors.Is(err, io.EOF) {
		return Rules{}, err
	}
	for _, list := range []struct {
		name  string
		rules []Rule
	}{{"ignore", rules.Ignore}, {"tolerate", rules.Tolerate}, {"order-free", rules.OrderFree}} {
		for i := range list.rules {
			if err := list.rules[i].check(list.name); err != nil {
				return Rules{}, fmt.Errorf("rule %d of %s: %w", i+1, list.name, err)
			}
		}
	}
	return rules, nil
}

func (r *Rule) check(list string) error {
	classes := []string{"", Changed, Missing, Extra, Reordered, Late, Duplicated}
	switch {
	case r.Reason == "":
		return errors.New("give a reason")
	case !slices.Contains(classes, r.Class):
		return fmt.Errorf("class %q: it is one of %q", r.Class, classes[1:])
	case r.Message == "" && r.Field == "" && r.Class == "" && r.Conversation == "":
		return errors.New("name a message, a field, a class or a conversation: this fits everything")
	case list == "ignore" && r.Message == "" && r.Field == "":
		return errors.New("name a message or a field")
	case list == "ignore" && (r.Class != "" || r.State != "" || r.Conversation != ""):
		return errors.New("only message and field go here; tolerate takes class, state and conversation")
	case list == "order-free" && (r.Message == "" || r.Field != "" || r.Class != ""):
		return errors.New("name a message, and at most a state and a conversation")
	}
	return nil
}

// leavesOut returns the name of the rule that leaves a field out of the
// comparison; "" where none does.
func (r *Rules) leavesOut(message, path string) string {
	for i := range r.Ignore {
		rule := &r.Ignore[i]
		if rule.Field != "" && (rule.Message == "" || rule.Message == message) && namesField(rule.Field, message, path) {
			return rule.name("ignore")
		}
	}
	return ""
}

// name is what a report calls the rule.
func (r *Rule) name(list string) string {
	s := "rule:" + list
	for _, part := range []string{r.Class, r.Message, r.Field, r.State} {
		if part != "" {
			s += " " + part
		}
	}
	if r.Conversation != "" {
		s += " in " + r.Conversation
	}
	return s
}

// fits reports whether a rule is about a difference, fields apart.
func (r *Rule) fits(d *Difference) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(r.Message, d.Name) && is(r.Class, d.Class) && is(r.State, d.State) && is(r.Conversation, d.Conversation)
}

// excuse returns the name of the rule that makes a difference none. A
// tolerated field is taken out of d; the rest of it stays a difference.
func (r *Rules) excuse(d *Difference, count func(rule string)) bool {
	for i := range r.Ignore {
		if rule := &r.Ignore[i]; rule.Field == "" && rule.fits(d) {
			count(rule.name("ignore"))
			return true
		}
	}
	for i := range r.OrderFree {
		if rule := &r.OrderFree[i]; d.Class == Reordered && rule.fits(d) {
			count(rule.name("order-free"))
			return true
		}
	}
	for i := range r.Tolerate {
		rule := &r.Tolerate[i]
		if !rule.fits(d) {
			continue
		}
		if rule.Field == "" {
			count(rule.name("tolerate"))
			return true
		}
		if d.without(func(f *FieldChange) bool { return namesField(rule.Field, d.Name, f.Field) }) {
			count(rule.name("tolerate"))
			if len(d.Fields) == 0 {
				return true
			}
		}
	}
	return false
}

// without takes fields out of a changed message and reports whether there were
// any.
func (d *Difference) without(out func(*FieldChange) bool) bool {
	if d.Class != Changed {
		return false
	}
	n := len(d.Fields)
	d.Fields = slices.DeleteFunc(d.Fields, func(f FieldChange) bool { return out(&f) })
	if len(d.Fields) > 0 && len(d.Fields) < n {
		d.Why = whyChanged(d.Fields)
	}
	return len(d.Fields) < n
}

// reasons are those of the rules, by name.
func (r *Rules) reason(name string) string {
	for _, list := range []struct {
		name  string
		rules []Rule
	}{{"ignore", r.Ignore}, {"tolerate", r.Tolerate}, {"order-free", r.OrderFree}} {
		for i := range list.rules {
			if list.rules[i].name(list.name) == name {
				return list.rules[i].Reason
			}
		}
	}
	return ""
}
