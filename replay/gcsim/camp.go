package gcsim

import "time"

// A parked command waits for another agent, see Config.Camp.
type parked struct {
	agent *agent
	req   *request
	until time.Time
}

// park keeps a command whose time has not come.
func (s *Sim) park(a *agent, r *request) {
	p := &parked{agent: a, req: r, until: s.now.Add(s.cfg.Camp)}
	s.parked = append(s.parked, p)
	s.at(p.until, func() {}) // a look at the latest then
}

// unpark carries out the commands that have waited long enough.
func (s *Sim) unpark() {
	if len(s.parked) == 0 {
		return
	}
	waiting := s.parked
	s.parked = nil
	for _, p := range waiting {
		if s.now.Before(p.until) && s.early(p.req) {
			s.parked = append(s.parked, p)
		} else {
			handlers[p.req.Name](s, p.agent, p.req)
		}
	}
}

// early reports whether a command would fail only because another agent is not
// yet where it will be.
func (s *Sim) early(r *request) bool {
	switch r.Name {
	case "MakeCall", "ConsultCall", "BlindTransfer":
		number := r.Text("toAddress")
		return s.phones[number] && s.reaches(number).cause != ""
	case "SilentMonitor":
		target := s.users[r.Text("extension")]
		return s.phones[r.Text("extension")] && (target == nil || target.talking() == nil)
	case "BargeIn":
		target := s.users[r.Text("extension")]
		return target != nil && target.talking() == nil
	}
	return false
}
