package gcsim

import (
	"math"
	"time"
)

// incoming lets a call come in, for one agent or for any (nil). It waits until
// that agent is ready, and no longer than a caller's patience lasts.
func (s *Sim) incoming(from string, to *agent, callType string, vars []variable) *dialog {
	d := s.newDialog(from, addressOf(to), callType, vars, nil)
	d.target = to
	s.joinOutside(d, from, "ACTIVE")
	s.waiting = append(s.waiting, d)
	s.offer = true
	s.after(s.cfg.Patience, func() {
		if s.unqueue(d) {
			s.end(d)
		}
	})
	return d
}

func addressOf(a *agent) string {
	if a == nil {
		return ""
	}
	return a.address()
}

// unqueue takes a call off the waiting ones and reports whether it was there.
func (s *Sim) unqueue(d *dialog) bool {
	for i, w := range s.waiting {
		if w == d {
			s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// offerWaiting lets waiting calls ring at agents who have become ready, the
// oldest first.
func (s *Sim) offerWaiting() {
	if !s.offer {
		return
	}
	s.offer = false
	s.grantReservations()
	for _, d := range append([]*dialog(nil), s.waiting...) {
		if a := s.free(d); a != nil {
			s.unqueue(d)
			s.ring(d, a, d.callType)
		}
	}
}

// free is who may get a call now; nil if nobody.
func (s *Sim) free(d *dialog) *agent {
	if d.target != nil {
		if d.target.loggedIn() && d.target.state == "READY" {
			return d.target
		}
		return nil
	}
	for i := range s.people { // in turn
		a := s.people[(s.turnOf+i)%len(s.people)]
		if a.loggedIn() && a.state == "READY" {
			s.turnOf = (s.turnOf + i + 1) % len(s.people)
			return a
		}
	}
	return nil
}

// nextAuto plans the next call of CallsAuto: gaps between calls are
// exponential, as those of real callers.
func (s *Sim) nextAuto() {
	gap := -math.Log(1-s.rng.Float64()) * float64(s.cfg.Auto.Every)
	s.after(min(time.Duration(gap), 10*s.cfg.Auto.Every), func() {
		if !s.down {
			s.autoCall()
		}
		s.nextAuto()
	})
}

// autoCall lets a customer call who hangs up when the talk is over, or when it
// was held up for too long.
func (s *Sim) autoCall() {
	from := "555" + decimal(int(1000000+s.rng.Int64N(9000000)))
	vars := []variable{{"callVariable1", "customer " + decimal(int(s.rng.Int64N(10000)))}}
	d := s.incoming(from, nil, "ACD_IN", vars)
	s.after(s.between(s.cfg.Auto.TalkMin, s.cfg.Auto.TalkMax), func() {
		if !d.over && !s.unqueue(d) {
			s.hangUp(d)
		} else if !d.over {
			s.end(d)
		}
	})
}

// hangUp lets the outside end of a call go; a call of agents only ends.
func (s *Sim) hangUp(d *dialog) {
	for _, l := range d.present() {
		if l.agent == nil {
			s.leave(l)
			return
		}
	}
	s.end(d)
}
