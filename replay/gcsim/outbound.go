package gcsim

import "time"

// A reservation is a dialler's wish for an agent.
type reservation struct {
	agent        *agent
	number, mode string
	vars         []variable
	until        time.Time
}

// grantReservations reserves the agents who have become ready. Wishes that have
// waited for longer than a caller would are forgotten.
func (s *Sim) grantReservations() {
	var rest []*reservation
	for _, r := range s.reservations {
		switch {
		case s.now.After(r.until):
		case r.agent.loggedIn() && r.agent.state == "READY":
			s.reserve(r.agent, r.number, r.mode, r.vars)
		default:
			rest = append(rest, r)
		}
	}
	s.reservations = rest
}

// reserve gives an agent a call of a campaign: a preview that it accepts,
// rejects or closes, or with the mode progressive a call that is put through
// as soon as the customer answers.
func (s *Sim) reserve(a *agent, number, mode string, vars []variable) {
	if mode == "progressive" {
		s.reserveProgressive(a, number, vars)
		return
	}
	d := s.newDialog(number, a.address(), "OUTBOUND_PREVIEW", vars, nil)
	d.outbound = "preview"
	dialler := s.joinOutside(d, number, "INITIATING")
	l := s.join(d, a, "ALERTING")
	l.incoming, l.reserves = true, "RESERVED_OUTBOUND_PREVIEW"
	s.emit(a.topic, newPreviewEvent(l), nil)
	s.settle(a)
	s.tell(l, "ACTIVE", nil)
	s.turn(dialler, "INITIATED")
	s.tell(l, "ACTIVE", nil)
	s.after(s.cfg.RingTime, func() {
		if !l.gone && l.state == "ALERTING" {
			s.end(d)
		}
	})
}

func (s *Sim) reserveProgressive(a *agent, number string, vars []variable) {
	d := s.newDialog(number, a.address(), "OUTBOUND", vars, nil)
	d.outbound = "progressive"
	o := s.joinOutside(d, number, "INITIATED")
	l := s.join(d, a, "ALERTING")
	l.incoming, l.reserves = true, "RESERVED_OUTBOUND"
	s.settle(a)
	s.after(s.cfg.AnswerTime, func() {
		if l.gone {
			return
		}
		s.turn(o, "ACTIVE")
		s.turn(l, "ACTIVE")
		s.emit(a.topic, newOutboundEvent(l), nil)
		s.tell(l, "ACTIVE", func(time.Time) { a.book.Taken++ })
		s.settle(a)
	})
}

// leaveReservation ends what an agent was reserved for by a dialler.
func (s *Sim) leaveReservation(a *agent) {
	for _, l := range append([]*leg(nil), a.legs...) {
		if l.dialog.outbound == "progressive" && l.state == "ALERTING" {
			l.gone, l.dialog.over = true, true
			a.drop(l)
			delete(s.dialogs, l.dialog.id)
		}
	}
}

// preview finds the reservation that a command is about.
func (s *Sim) preview(a *agent, r *request, action string) *leg {
	l := s.ownLeg(a, r)
	switch {
	case l == nil:
	case l.dialog.outbound != "preview" || l.state != "ALERTING" || !sameWord(r.Text("action"), action):
		s.unfit(a)
	default:
		return l
	}
	return nil
}

// acceptPreview calls the customer: the reservation ends and a call of its own
// begins.
func (s *Sim) acceptPreview(a *agent, r *request) {
	l := s.preview(a, r, "ACCEPT")
	if l == nil {
		return
	}
	p := l.dialog
	d := s.newDialog(p.from, a.address(), "OUTBOUND", own(p.vars), nil)
	out := s.join(d, a, "INITIATING")
	out.incoming = true // it is the campaign's, and followed by wrap-up
	s.move(l, "ACCEPTED")
	s.tell(l, "INITIATING", nil)
	s.end(p)
	s.tell(out, "INITIATING", func(time.Time) { a.book.Taken++ })
	s.move(out, "INITIATED")
	s.dial(out, p.from, "OUTBOUND")
}

// declinePreview ends a reservation, for this time or for good.
func (s *Sim) declinePreview(a *agent, r *request) {
	action := "REJECT"
	if r.Name == "CloseOutboundPreview" {
		action = "CLOSE"
	}
	if l := s.preview(a, r, action); l != nil {
		s.tell(l, "ACTIVE", nil)
		s.end(l.dialog)
	}
}

// callbackTexts are what the agent is told of each of the commands on
// callbacks. No document gives the words of the Callback event.
var callbackTexts = map[string]struct{ first, event, last string }{
	"ScheduleCallback":        {"Callback is being scheduled", "callback scheduled", "Callback has been scheduled"},
	"UpdateCallback":          {"Callback is being updated", "callback updated", "Callback has been updated"},
	"CancelScheduledCallback": {"", "callback canceled", "Callback has been canceled"},
	"ReclassifyCall":          {"", "reclassify", "Call has been reclassified"},
}

// callback schedules, updates or cancels a callback for the customer of a
// call, or says what kind of call it was.
func (s *Sim) callback(a *agent, r *request) {
	l := s.ownLeg(a, r)
	if l == nil {
		return
	}
	if l.dialog.outbound == "preview" || r.Text("targetMediaAddress") != l.address {
		s.unfit(a)
		return
	}
	text := callbackTexts[r.Name]
	if text.first != "" {
		s.emit(a.topic, printEvent(a.ID, text.first), nil)
		s.tell(l, "ACTIVE", nil)
	}
	l.dialog.set(variable{"BAResponse", response(r)})
	s.emit(a.topic, callbackEvent(text.event), func(time.Time) { a.book.Callbacks++ })
	s.emit(a.topic, printEvent(a.ID, text.last), nil)
	s.tell(l, "ACTIVE", nil)
}

// response is the value that Finesse keeps in BAResponse.
func response(r *request) string {
	switch r.Name {
	case "CancelScheduledCallback":
		return "Cancel Reservation"
	case "ReclassifyCall":
		return r.Text("value")
	}
	return "Callback " + r.Text("callbackTime")
}
