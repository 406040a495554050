package stomptap

import (
	"fmt"
	"strings"
)

// A pattern is a topic's name in which * stands for one part between dots and a
// > at the end for whatever follows: the wildcards of ActiveMQ, which capture/link
// writes as another kind of broker wants them.
type pattern []string

// isPattern reports whether a topic's name holds wildcards.
func isPattern(topic string) bool { return strings.ContainsAny(topic, "*>") }

// CheckQueue returns why a command queue cannot be asked for, nil where it can.
func CheckQueue(queue string) error {
	if queue == "" || strings.ContainsAny(queue, "*>,") {
		return fmt.Errorf("%q: give the name of one queue, without wildcards and commas", queue)
	}
	return nil
}

// CheckTopic returns why a topic cannot be asked for, nil where it can. A name
// may hold wildcards.
func CheckTopic(topic string) error {
	if topic == "" {
		return fmt.Errorf("it is empty: give the name of a topic")
	}
	if strings.Contains(topic, ",") {
		return fmt.Errorf("%q is several: give one topic at a time", topic)
	}
	parts := strings.Split(topic, ".")
	for i, part := range parts {
		switch {
		case part == "*", !isPattern(part):
		case part != ">":
			return fmt.Errorf("in %q a wildcard is a whole part between dots, as in 192.168.*.7 or 192.168.>", topic)
		case i < len(parts)-1:
			return fmt.Errorf("in %q the > stands at the end, for all that follows", topic)
		}
	}
	return nil
}

// destination is the pattern as a subscription names it.
func (p pattern) destination() string { return "topic://" + strings.Join(p, ".") }

// matches reports whether the pattern takes in a topic's name.
func (p pattern) matches(topic string) bool {
	parts := strings.Split(topic, ".")
	for i, want := range p {
		switch {
		case want == ">":
			return true
		case i >= len(parts), want != "*" && want != parts[i]:
			return false
		}
	}
	return len(p) == len(parts)
}
