package gcsim

import "time"

// ownLeg finds the agent's place in the call that a command names, and refuses
// a command that names none.
func (s *Sim) ownLeg(a *agent, r *request) *leg {
	id := r.Text("dialogId")
	if id == "" {
		s.refuse(a, "MISSING_DIALOG_ID")
		return nil
	}
	l := a.leg(id)
	if l == nil {
		s.refuse(a, "NO_DIALOG_ID")
	}
	return l
}

// unfit refuses a command that the call is in the wrong state for.
func (s *Sim) unfit(a *agent) { s.refuse(a, "CF_GENERIC_UNSPECIFIED") }

// makeCall places a call, which by the transition table an agent may do only
// from NOT_READY.
func (s *Sim) makeCall(a *agent, r *request) {
	number := r.Text("toAddress")
	switch {
	case number == "":
		s.refuse(a, "MISSING_NUMBER")
		return
	case a.state != "NOT_READY":
		s.refuse(a, "CF_INVALID_OBJECT_STATE")
		return
	}
	d := s.newDialog(a.address(), number, "OUT", nil, nil)
	l := s.join(d, a, "INITIATING")
	s.settle(a)
	s.tell(l, "INITIATING", func(at time.Time) { a.book.Made++ })
	s.move(l, "INITIATED")
	s.dial(l, number, "AGENT_INSIDE")
}

// dial leads a call that an agent has begun to whoever is at a number. It
// reports whether anybody can be.
func (s *Sim) dial(l *leg, number, callType string) bool {
	to := s.reaches(number)
	switch {
	case to.cause != "":
		s.fail(l, to.cause)
		return false
	case to.agent != nil:
		s.ring(l.dialog, to.agent, callType)
	default:
		o := s.joinOutside(l.dialog, number, "ALERTING")
		s.after(s.cfg.AnswerTime, func() {
			if !o.gone {
				s.turn(o, "ACTIVE")
				s.answered(o)
			}
		})
	}
	return true
}

// answered joins those who waited for the one who has just answered.
func (s *Sim) answered(by *leg) {
	rest := by.dialog.present()
	for _, l := range rest {
		if l != by && l.state != "ACTIVE" && l.state != "HELD" {
			s.turn(l, "ACTIVE")
		}
	}
	for _, l := range append([]*leg{by}, without(rest, by)...) {
		s.tell(l, "ACTIVE", nil)
		if l.agent != nil {
			s.settle(l.agent)
		}
	}
}

func without(legs []*leg, out *leg) (rest []*leg) {
	for _, l := range legs {
		if l != out {
			rest = append(rest, l)
		}
	}
	return rest
}

func (s *Sim) answerCall(a *agent, r *request) {
	l := s.ownLeg(a, r)
	switch {
	case l == nil:
	case l.state != "ALERTING" || !l.incoming || l.dialog.outbound != "":
		s.unfit(a)
	default:
		s.turn(l, "ACTIVE")
		a.book.Taken++
		s.answered(l)
	}
}

func (s *Sim) releaseCall(a *agent, r *request) {
	l := s.ownLeg(a, r)
	switch {
	case l == nil:
	case l.listened:
		s.unfit(a) // only the supervisor ends silent monitoring
	default:
		a.book.Released++
		s.leave(l)
		s.settle(a)
	}
}

func (s *Sim) holdCall(a *agent, r *request) {
	l := s.ownLeg(a, r)
	switch {
	case l == nil:
	case l.state != "ACTIVE" || l.listened:
		s.unfit(a)
	default:
		a.book.Held++
		s.move(l, "HELD")
		s.settle(a)
	}
}

// retrieveCall takes a call back, once no other is being talked in.
func (s *Sim) retrieveCall(a *agent, r *request) {
	l := s.ownLeg(a, r)
	switch {
	case l == nil:
	case l.state != "HELD" || a.callState() == "TALKING":
		s.unfit(a)
	default:
		a.book.Retrieved++
		s.move(l, "ACTIVE")
		s.settle(a)
	}
}

// mainLeg is ownLeg for a call that another call can be made about.
func (s *Sim) mainLeg(a *agent, r *request, number string) *leg {
	l := s.ownLeg(a, r)
	switch {
	case l == nil:
	case number == "":
		s.refuse(a, "MISSING_NUMBER")
	case l.consult, l.listened, l.state != "ACTIVE" && l.state != "HELD":
		s.unfit(a)
	default:
		return l
	}
	return nil
}

// consultCall holds the call and makes another about it.
func (s *Sim) consultCall(a *agent, r *request) {
	number := r.Text("toAddress")
	l := s.mainLeg(a, r, number)
	if l == nil {
		return
	}
	if a.about(l.dialog) != nil {
		s.unfit(a)
		return
	}
	if l.state == "ACTIVE" {
		s.move(l, "HELD")
	}
	a.book.Consulted++
	c := s.consult(l.dialog, a, number)
	s.settle(a)
	s.tell(c, "INITIATING", nil)
	s.move(c, "INITIATED")
	if s.dial(c, number, "CONSULT_IN") {
		s.move(c, "ALERTING")
	}
}

// consult begins the call of an agent about another.
func (s *Sim) consult(main *dialog, a *agent, number string) *leg {
	d := s.newDialog(a.address(), number, "CONSULT_IN", own(main.vars), main)
	l := s.join(d, a, "INITIATING")
	l.consult = true
	return l
}

// own are the variables of a call without those that GC puts in front.
func own(vars []variable) (rest []variable) {
	for _, v := range vars {
		if v.name != "ani" && v.name != "associatedDialogId" {
			rest = append(rest, v)
		}
	}
	return rest
}

// consulted finds both calls that a transfer or a conference joins: the
// agent's places in them and that of the consulted party, who must be the one
// whose extension the command names.
func (s *Sim) consulted(a *agent, r *request) (main, consult, other *leg) {
	main = s.mainLeg(a, r, r.Text("extension"))
	if main == nil {
		return nil, nil, nil
	}
	consult = a.about(main.dialog)
	if consult == nil || consult.state != "ACTIVE" {
		s.unfit(a)
		return nil, nil, nil
	}
	other = consult.dialog.other(consult)
	if other == nil || other.address != r.Text("extension") {
		s.unfit(a)
		return nil, nil, nil
	}
	return main, consult, other
}

// transferCall gives the call to the consulted party, whose events come between
// the agent's in the order that the Developer Guide prints.
func (s *Sim) transferCall(a *agent, r *request) {
	main, consult, other := s.consulted(a, r)
	if main == nil {
		return
	}
	a.book.Transferred++
	main.dialog.callType = "TRANSFER"
	in := s.bring(main.dialog, other)
	s.part(main)
	s.part(consult)
	s.tell(in, "ACTIVE", nil)
	s.settle(a)
	s.end(consult.dialog)
	s.ifForsaken(main.dialog)
}

// conferenceCall makes one call of the two.
func (s *Sim) conferenceCall(a *agent, r *request) {
	main, consult, other := s.consulted(a, r)
	if main == nil {
		return
	}
	a.book.Conferenced++
	s.move(main, "ACTIVE")
	main.dialog.callType = "CONFERENCE"
	s.bring(main.dialog, other)
	s.end(consult.dialog)
	s.tellAll(main.dialog)
}

// bring adds the party of one call to another.
func (s *Sim) bring(d *dialog, from *leg) *leg {
	if from.agent == nil {
		return s.joinOutside(d, from.address, "ACTIVE")
	}
	l := s.join(d, from.agent, "ACTIVE")
	l.incoming = true
	return l
}

// tellAll sends the call to every agent who talks in it.
func (s *Sim) tellAll(d *dialog) {
	for _, l := range d.present() {
		if l.state == "ACTIVE" {
			s.tell(l, "ACTIVE", nil)
		}
	}
}

// ifForsaken ends a call that no agent is in any more.
func (s *Sim) ifForsaken(d *dialog) {
	for _, l := range d.present() {
		if l.agent != nil {
			return
		}
	}
	s.end(d)
}

// blindTransfer gives the call away unasked. GC does it by a consult call that
// it drops at once, as the events of the Developer Guide show.
func (s *Sim) blindTransfer(a *agent, r *request) {
	number := r.Text("toAddress")
	main := s.mainLeg(a, r, number)
	if main == nil {
		return
	}
	s.turn(main, "HELD")
	s.settle(a)
	c := s.consult(main.dialog, a, number)
	s.settle(a)
	s.tell(main, "ACTIVE", nil)
	s.tell(c, "INITIATING", nil)
	s.move(c, "INITIATED")
	to := s.reaches(number)
	if to.cause != "" {
		s.fail(c, to.cause)
		return
	}
	a.book.Transferred++
	s.move(c, "ALERTING")
	s.turn(main, "ACTIVE")
	s.end(c.dialog)
	s.tell(main, "ACTIVE", nil)
	s.tellState(a, nil)
	s.hand(main, to, number)
	s.settle(a)
}

// hand lets a call ring where it is transferred to, without the agent.
func (s *Sim) hand(main *leg, to reach, number string) {
	main.dialog.callType = "TRANSFER"
	if to.agent != nil {
		s.ring(main.dialog, to.agent, "TRANSFER")
	} else {
		s.joinOutside(main.dialog, number, "ACTIVE")
	}
	s.part(main)
	s.ifForsaken(main.dialog)
}

// getDialogState answers for any call, also one that is not the agent's.
func (s *Sim) getDialogState(a *agent, r *request) {
	id := r.Text("dialogId")
	state := "NOT_FOUND"
	if l := a.leg(id); l != nil {
		state = l.state
	}
	s.emit(a.topic, dialogStateEvent(a, id, state), nil)
}

// wrapUp takes the reason of a call that goes on or has just ended. Success is
// silent.
func (s *Sim) wrapUp(a *agent, r *request) {
	id := r.Text("dialogId")
	switch {
	case id == "":
		s.refuse(a, "MISSING_DIALOG_ID")
	case a.leg(id) == nil && id != a.lastID:
		s.refuse(a, "E_CTI_INVALID_CALL_ID")
	default:
		a.wrapped = a.wrapped || id == a.lastID
		a.book.WrapUps++
	}
}

// updateCallVariable changes what the call carries and tells all agents in it.
func (s *Sim) updateCallVariable(a *agent, r *request) {
	l := a.leg(r.Text("dialogId"))
	vars := variablesIn(&r.Message)
	if l == nil || len(vars) == 0 {
		s.refuse(a, "INVALID_CALL_DATA")
		return
	}
	for _, v := range vars {
		l.dialog.set(v)
	}
	for _, o := range l.dialog.present() {
		if o.state == "ACTIVE" || o.state == "HELD" {
			s.tell(o, o.state, nil)
		}
	}
}

// set gives a call variable its value.
func (d *dialog) set(v variable) {
	for i := range d.vars {
		if d.vars[i].name == v.name {
			d.vars[i].value = v.value
			return
		}
	}
	d.vars = append(d.vars, v)
}
