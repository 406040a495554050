package replay

import (
	"slices"
	"time"
)

// A pace lets so many commands a second pass, evenly. Who comes early queues.
type pace struct {
	gap   time.Duration // between two; 0: no limit
	free  time.Time     // when the next may go
	lanes []*lane       // the queue
}

func (r *pace) limit(rate float64) {
	if rate > 0 {
		r.gap = time.Duration(float64(time.Second) / rate)
	}
}

// turn reports whether the lane may send now, and queues it if not.
func (r *pace) turn(l *lane, now time.Time) bool {
	if r.gap == 0 || l.paced {
		return true
	}
	if slices.Contains(r.lanes, l) {
		return false
	}
	if len(r.lanes) > 0 || now.Before(r.free) {
		r.lanes = append(r.lanes, l)
		return false
	}
	l.paced = true
	r.free = now.Add(r.gap)
	return true
}

// next takes the lane out of the queue that may send now; nil: none.
func (r *pace) next(now time.Time) *lane {
	for len(r.lanes) > 0 && !now.Before(r.free) {
		l := r.lanes[0]
		r.lanes = r.lanes[1:]
		if !l.over {
			l.paced = true
			r.free = r.after(now)
			return l
		}
	}
	return nil
}

// after returns when the next may go after one out of the queue. One that goes
// late by less than a tenth of the gap does not push the next, so that the rate
// is reached; a second holds one more than the rate at the most.
func (r *pace) after(now time.Time) time.Time {
	next := r.free.Add(r.gap)
	if late := now.Add(r.gap - r.gap/10); next.Before(late) {
		return late
	}
	return next
}
