package check

import "time"

// suspicions wait to be looked at again, in the order of their time.
type suspicions struct{ list []suspicion }

type suspicion struct {
	due  time.Duration
	look func()
}

// add puts a suspicion off; due never runs back.
func (q *suspicions) add(due time.Duration, look func()) {
	q.list = append(q.list, suspicion{due, look})
}

func (q *suspicions) clear() { q.list = nil }

// settle looks at what is due before now.
func (c *Checker) settle(now time.Duration) {
	for len(c.doubt.list) > 0 && c.doubt.list[0].due < now {
		look := c.doubt.list[0].look
		c.doubt.list = c.doubt.list[1:]
		look()
	}
}
