package gcsim

// lead checks that a supervisor's command is about an agent of a team of its
// own, who is logged in, and refuses it otherwise.
func (s *Sim) lead(boss *agent, extension string) *agent {
	target := s.users[extension]
	switch {
	case !boss.Supervisor:
		s.refuse(boss, "AUTHORIZATION_FAILURE")
	case target == nil || target == boss:
		s.refuse(boss, "NOT_FOUND")
	case !s.supervises(boss, target.Team):
		s.refuse(boss, "AUTHORIZATION_FAILURE")
	default:
		return target
	}
	return nil
}

func (s *Sim) supervises(boss *agent, team string) bool {
	t := s.cfg.Site.team(team)
	return t != nil && t.supervisedBy(boss.ID)
}

// talking is the agent's place in the call it is talking in.
func (a *agent) talking() *leg {
	for _, l := range a.legs {
		if l.state == "ACTIVE" && !l.listened {
			return l
		}
	}
	return nil
}

// silentMonitor lets a supervisor listen: a call of its own, of the type SM,
// which the agent is told of too.
func (s *Sim) silentMonitor(boss *agent, r *request) {
	target := s.lead(boss, r.Text("extension"))
	if target == nil {
		return
	}
	heard := target.talking()
	if boss.state != "NOT_READY" || heard == nil {
		s.refuse(boss, "CF_INVALID_OBJECT_STATE")
		return
	}
	d := s.newDialog(boss.address(), target.address(), "SM", nil, nil)
	d.monitors = heard
	l := s.join(d, boss, "INITIATING")
	s.settle(boss)
	s.tell(l, "INITIATING", nil)
	s.move(l, "INITIATED")
	there := s.join(d, target, "ACTIVE")
	there.listened = true
	s.emit(target.topic, newCallEvent(there, d.callType), nil)
	s.act(boss, "SilentMonitor", target.ID, heard.dialog.id)
	s.move(l, "ACTIVE")
	s.tell(there, "ACTIVE", nil)
}

func (s *Sim) endSilentMonitor(boss *agent, r *request) {
	l := s.ownLeg(boss, r)
	switch {
	case l == nil:
	case l.dialog.monitors == nil || l.listened:
		s.unfit(boss)
	default:
		heard := l.dialog.monitors
		s.act(boss, "EndSilentMonitor", heard.agent.ID, heard.dialog.id)
		s.tell(l, "ACTIVE", nil)
		s.end(l.dialog)
	}
}

// barge finds the call that a BargeIn is about: the one being listened to, or
// one that the agent is in. monitor is the supervisor's own place in the
// listening; nil where it does not listen.
func (s *Sim) barge(boss, target *agent, id string) (heard, monitor *leg) {
	for _, l := range boss.legs {
		if m := l.dialog.monitors; m != nil && m.agent == target {
			monitor = l
		}
	}
	if monitor != nil && (monitor.dialog.id == id || monitor.dialog.monitors.dialog.id == id) {
		return monitor.dialog.monitors, monitor
	}
	return target.leg(id), monitor
}

// bargeIn brings a supervisor into an agent's call. GC lets the agent consult
// the supervisor and makes a conference of the two calls; both see the steps.
func (s *Sim) bargeIn(boss *agent, r *request) {
	target := s.lead(boss, r.Text("extension"))
	if target == nil {
		return
	}
	if r.Text("dialogId") == "" {
		s.refuse(boss, "MISSING_DIALOG_ID")
		return
	}
	heard, monitor := s.barge(boss, target, r.Text("dialogId"))
	switch {
	case heard == nil:
		s.refuse(boss, "NO_DIALOG_ID")
		return
	case heard.state != "ACTIVE" || heard.listened || monitor == nil && boss.state != "NOT_READY":
		s.refuse(boss, "CF_INVALID_OBJECT_STATE")
		return
	}
	s.act(boss, "BargeIn", target.ID, heard.dialog.id)
	c := s.consult(heard.dialog, target, boss.address())
	in := s.join(c.dialog, boss, "ALERTING")
	in.incoming, in.reserves = true, "TALKING"
	if monitor != nil {
		s.tell(monitor, "ACTIVE", nil)
		s.end(monitor.dialog)
	}
	s.settle(boss)
	s.confer(heard, c, in)
}

// confer plays the steps by which the agent of a call brings in a supervisor.
func (s *Sim) confer(heard, consult, in *leg) {
	boss, main := in.agent, heard.dialog
	s.move(heard, "HELD")
	s.tell(consult, "INITIATING", nil)
	s.move(consult, "INITIATED")
	s.emit(boss.topic, newCallEvent(in, "CONSULT_OFFERED"), nil)
	s.emit(boss.topic, newCallEvent(in, "SUPERVISOR_BARGE_IN"), nil)
	s.move(heard, "ACTIVE")
	main.callType = "CONFERENCE"
	there := s.join(main, boss, "ACTIVE")
	there.why = "SUPERVISOR_BARGE_IN"
	consult.consult = false // the guide prints the end of this call as InboundCall
	s.end(consult.dialog)
	s.emit(boss.topic, newCallEvent(there, main.callType), nil)
	s.tellAll(main)
}

// dropParticipant takes somebody out of a call that the supervisor is in.
func (s *Sim) dropParticipant(boss *agent, r *request) {
	if !boss.Supervisor {
		s.refuse(boss, "AUTHORIZATION_FAILURE")
		return
	}
	l := s.ownLeg(boss, r)
	if l == nil {
		return
	}
	out := l.dialog.at(r.Text("extension"))
	if out == nil || out == l || l.state != "ACTIVE" {
		s.unfit(boss)
		return
	}
	s.act(boss, "DropParticipant", idOr(out.agent, out.address), l.dialog.id)
	s.leave(out)
	s.emit(boss.topic, printEvent(boss.ID, "Participant "+out.address+" has been dropped"), nil)
	if out.agent != nil {
		s.settle(out.agent)
	}
}

func idOr(a *agent, address string) string {
	if a == nil {
		return address
	}
	return a.ID
}

// getTeamUsers lists a team; with the second argument true the supervisor is
// sent the State events of its members from now on.
func (s *Sim) getTeamUsers(boss *agent, r *request) {
	team := r.Text("teamId")
	switch {
	case s.cfg.Site.team(team) == nil:
		s.refuse(boss, "NOT_FOUND")
	case !s.supervises(boss, team):
		s.refuse(boss, "AUTHORIZATION_FAILURE")
	default:
		if want := r.Text("subscribe"); want != "" {
			s.watch(boss, team, isTrue(want))
		}
		s.emit(boss.topic, teamUsersEvent(boss, s.members(team)), nil)
	}
}

func (s *Sim) members(team string) (members []*agent) {
	for _, a := range s.people {
		if a.Team == team {
			members = append(members, a)
		}
	}
	return members
}

// watch begins or ends the State events of a team's members; ending without a
// team ends all.
func (s *Sim) watch(boss *agent, team string, on bool) {
	var teams []string
	for _, t := range boss.watches {
		if t != team && team != "" {
			teams = append(teams, t)
		}
	}
	if on {
		teams = append(teams, team)
	}
	var watchers []*agent
	for _, a := range s.watchers {
		if a != boss {
			watchers = append(watchers, a)
		}
	}
	if boss.watches = teams; len(teams) > 0 {
		watchers = append(watchers, boss)
	}
	s.watchers = watchers
}

func (s *Sim) getTeamUserState(boss *agent, r *request) {
	member := s.agents[r.Text("loginId")]
	switch {
	case member == nil:
		s.refuse(boss, "NOT_FOUND")
	case !s.supervises(boss, member.Team):
		s.refuse(boss, "AUTHORIZATION_FAILURE")
	default:
		s.emit(boss.topic, memberEvent(boss, member), nil)
	}
}
