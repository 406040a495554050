package gcsim

import (
	"bytes"
	"strings"

	"gctap/decode"
)

// A request is a command as the simulator reads it.
type request struct {
	decode.Message
	Command
}

// handlers carry out the commands of an agent whom GC knows. Which commands
// there are, and how their arguments are written, is decode's to say; a test
// holds this list against its table.
var handlers = map[string]func(*Sim, *agent, *request){
	"Login":            (*Sim).login,
	"MobileAgentLogin": (*Sim).mobileLogin,
	"Logout":           (*Sim).logoutPlain,
	"LogoutWithReason": (*Sim).logoutWithReason,
	"ForceLogout":      (*Sim).forceLogout,
	"Refresh":          func(s *Sim, a *agent, _ *request) { s.tellState(a, nil) },

	"GetState":               func(s *Sim, a *agent, _ *request) { s.emit(a.topic, stateEvent(a, a), nil) },
	"MakeNotReady":           func(s *Sim, a *agent, _ *request) { s.change(a, "NOT_READY", Reason{}) },
	"MakeNotReadyWithReason": (*Sim).notReadyWithReason,
	"MakeReady":              func(s *Sim, a *agent, _ *request) { s.change(a, "READY", Reason{}) },
	"MakeWorkReady":          func(s *Sim, a *agent, _ *request) { s.change(a, "WORK_READY", Reason{}) },
	"MakeWorkNotReady":       func(s *Sim, a *agent, _ *request) { s.change(a, "WORK", Reason{}) },

	"MakeCall":           (*Sim).makeCall,
	"AnswerCall":         (*Sim).answerCall,
	"ReleaseCall":        (*Sim).releaseCall,
	"HoldCall":           (*Sim).holdCall,
	"RetrieveCall":       (*Sim).retrieveCall,
	"BlindTransfer":      (*Sim).blindTransfer,
	"ConsultCall":        (*Sim).consultCall,
	"TransferCall":       (*Sim).transferCall,
	"ConferenceCall":     (*Sim).conferenceCall,
	"GetDialogState":     (*Sim).getDialogState,
	"WrapUp":             (*Sim).wrapUp,
	"UpdateCallVariable": (*Sim).updateCallVariable,

	"ReasonCodeLogout":     func(s *Sim, a *agent, _ *request) { s.reasons(a, "LOGOUT", s.cfg.Site.Logout) },
	"ReasonCodeNotReady":   func(s *Sim, a *agent, _ *request) { s.reasons(a, "NOT_READY", s.cfg.Site.NotReady) },
	"WrapUpReasonCode":     func(s *Sim, a *agent, _ *request) { s.reasons(a, "Wrap_Up", s.cfg.Site.WrapUp) },
	"GetPhonebooks":        (*Sim).getPhonebooks,
	"GetPhonebookContacts": (*Sim).getContacts,
	"GetTeamPhonebooks":    (*Sim).getTeamPhonebooks,
	"GetQueueList":         (*Sim).getQueueList,
	"GetSkillGroup":        (*Sim).getSkillGroup,
	"GetSupervisor":        (*Sim).getSupervisor,
	"GetAgentExtension":    (*Sim).getAgentExtension,

	"SilentMonitor":    (*Sim).silentMonitor,
	"EndSilentMonitor": (*Sim).endSilentMonitor,
	"BargeIn":          (*Sim).bargeIn,
	"DropParticipant":  (*Sim).dropParticipant,
	"GetTeamUsers":     (*Sim).getTeamUsers,
	"GetTeamUserState": (*Sim).getTeamUserState,

	"AcceptOutboundPreview":   (*Sim).acceptPreview,
	"RejectOutboundPreview":   (*Sim).declinePreview,
	"CloseOutboundPreview":    (*Sim).declinePreview,
	"ScheduleCallback":        (*Sim).callback,
	"UpdateCallback":          (*Sim).callback,
	"CancelScheduledCallback": (*Sim).callback,
	"ReclassifyCall":          (*Sim).callback,

	// No document says that anything answers these.
	"ZoomPauseRecording":  func(*Sim, *agent, *request) {},
	"ZoomResumeRecording": func(*Sim, *agent, *request) {},
}

// obey carries out one command.
func (s *Sim) obey(r *request) {
	if s.hindered(r) {
		return
	}
	switch r.Name {
	case "Hello":
		s.hello(r)
		return
	case "Beat":
		s.beat(r)
		return
	}
	if s.down { // after OUT_OF_SERVICE GC takes no commands
		s.counts.Ignored++
		return
	}
	if r.Name == "Connect" {
		s.connect(r)
		return
	}
	a := s.agents[r.Agent]
	if a == nil || !a.known {
		s.reLogin(r.Agent, s.topicFor(a, r))
		return
	}
	do, ok := handlers[r.Name]
	switch {
	case !ok:
		s.refuse(a, "PLEASE_RETRY") // "invalid request params"
	case s.cfg.Camp > 0 && s.early(r):
		s.park(a, r)
	default:
		do(s, a, r)
	}
}

// topicFor is where an agent who is not known can be told so.
func (s *Sim) topicFor(a *agent, r *request) string {
	if r.ReplyTo != "" {
		return r.ReplyTo
	}
	if a != nil && a.topic != "" {
		return a.topic
	}
	s.counts.Ignored++
	return ""
}

// hello makes a destination known and says whether GC is in service.
func (s *Sim) hello(r *request) {
	dest := r.Text("clientDestination")
	if dest == "" {
		s.counts.Ignored++
		return
	}
	s.dests[dest] = true
	s.emit(topic(dest), systemEvent(s.down), nil)
}

// beat asks for the same, of a destination that must be known already.
func (s *Sim) beat(r *request) {
	dest := r.Text("clientDestination")
	switch {
	case dest == "":
		s.counts.Ignored++
	case s.down || s.dests[dest]:
		s.emit(topic(dest), systemEvent(s.down), nil)
	default:
		s.emit(topic(dest), reconnectEvent(dest), nil)
	}
}

// reLogin tells a client that GC does not know its agent.
func (s *Sim) reLogin(agent, to string) {
	if agent != "" {
		s.emit(to, reLoginEvent(agent), nil)
	}
}

// connect binds an agent to a topic. Success is silent (inventory A-08).
func (s *Sim) connect(r *request) {
	dest := r.Text("clientDestination")
	if dest == "" || r.Agent == "" {
		s.counts.Ignored++
		return
	}
	s.dests[dest] = true
	to := topic(dest)
	a := s.agents[r.Agent]
	if a == nil && s.cfg.Open {
		a = s.hire(r.Agent)
	}
	if a == nil || !s.cfg.Open && !a.admits(r.Body) {
		s.emit(to, errorEvent(r.Agent, "SUBSCRIPTION_FAILED"), nil)
		return
	}
	if a.known && a.topic != to && a.loggedIn() {
		s.invalidate(a)
	}
	a.topic, a.known = to, true
}

// hire adds somebody whom the site does not have.
func (s *Sim) hire(id string) *agent {
	p := &Person{ID: id, FirstName: "Agent", LastName: id, LoginName: "agent" + id}
	if len(s.cfg.Site.Teams) > 0 {
		p.Team = s.cfg.Site.Teams[0].ID
	}
	a := newAgent(p)
	s.agents[id], s.people = a, append(s.people, a)
	return a
}

// admits checks the credentials of a Connect. A password may hold a comma,
// which the protocol cannot escape: what follows the first one is the
// password, or the password, a comma and the word for single sign-on.
func (a *agent) admits(body []byte) bool {
	_, given, ok := bytes.Cut(body, []byte(","))
	if !ok || a.Password == "" {
		return false
	}
	if string(given) == a.Password {
		return true
	}
	return a.SSO && strings.HasPrefix(string(given), a.Password+",")
}

// invalidate ends the session of an agent who logs in from a new destination.
// The documents do not agree on the order of the two events.
func (s *Sim) invalidate(a *agent) {
	s.refuse(a, "SESSION_INVALIDATED")
	s.out(a, Reason{Code: "-1"}, exit{How: "session invalidated"})
}

// login logs an agent in on a phone.
func (s *Sim) login(a *agent, r *request) { s.logIn(a, r, 1) }

// mobileLogin does the same with two more arguments, which change nothing here.
func (s *Sim) mobileLogin(a *agent, r *request) { s.logIn(a, r, 3) }

// logIn reads the password and, behind it, the given number of arguments, the
// first of them the extension.
func (s *Sim) logIn(a *agent, r *request, behind int) {
	password, rest := fromRight(string(r.Body), behind)
	extension := ""
	if len(rest) > 0 {
		extension = strings.TrimSpace(rest[0])
	}
	if code := s.refusal(a, password, extension); code != "" {
		s.refuse(a, code)
		return
	}
	a.conn = r.Conn
	again := a.loggedIn()
	a.extension = extension
	s.users[extension], s.phones[extension] = a, true
	s.emit(a.topic, infoEvent(a, s.cfg.Site.teamsOf(a.ID)), nil)
	if again {
		s.tellState(a, nil)
	} else {
		s.in(a)
	}
	s.emit(a.topic, dialogStatusEvent(a), nil)
}

// refusal is the error code for a Login that cannot be; "" for one that can.
func (s *Sim) refusal(a *agent, password, extension string) string {
	user := s.users[extension]
	switch {
	case password == "":
		return "MISSING_PASSWORD"
	case extension == "":
		return "MISSING_EXTENSION"
	case strings.ContainsFunc(extension, func(c rune) bool { return c < '0' || c > '9' }):
		return "WRONG_EXTENSION"
	case !s.cfg.Open && password != a.Password:
		return "CF_INVALID_PASSWORD_SPECIFIED"
	case !s.cfg.Open && !s.phones[extension], a.loggedIn() && user != a:
		return "CF_INVALID_LOGON_DEVICE_SPECIFIED"
	case user != nil && user != a:
		return "CF_RESOURCE_BUSY"
	case user == nil && s.cfg.Licenses > 0 && len(s.users) >= s.cfg.Licenses:
		return "LICENSES_EXCEEDED"
	}
	return ""
}

// fromRight cuts n arguments off the end of a body; what is left in front of
// them is the password, commas and all. With fewer arguments the last are
// missing.
func fromRight(body string, n int) (password string, rest []string) {
	args := strings.Split(body, ",")
	n = min(n, len(args)-1)
	cut := len(args) - n
	return strings.Join(args[:cut], ","), args[cut:]
}

// in is the change from LOGOUT by way of LOGIN, which is transient and not
// sent, to the first NOT_READY.
func (s *Sim) in(a *agent) {
	a.resume = resume{state: "NOT_READY", reason: Reason{Code: "-1"}}
	s.enter(a, "NOT_READY", Reason{Code: "-1"})
	if s.cfg.ConnectorSync {
		s.sync(a)
	}
}

// sync tells other connectors of an agent, password and all, as GC does.
func (s *Sim) sync(a *agent) { s.emit("topic://ConnectorSync", syncEvent(a, s.wire()), nil) }

func (s *Sim) logoutPlain(a *agent, _ *request) { s.logout(a, Reason{Code: "-1"}) }

func (s *Sim) logoutWithReason(a *agent, r *request) {
	if why, ok := s.reasonGiven(a, r, s.cfg.Site.Logout); ok {
		s.logout(a, why)
	}
}

func (s *Sim) notReadyWithReason(a *agent, r *request) {
	if why, ok := s.reasonGiven(a, r, s.cfg.Site.NotReady); ok {
		s.change(a, "NOT_READY", why)
	}
}

// reasonGiven reads the reason code of a command and refuses one that is
// missing or that nobody has set up.
func (s *Sim) reasonGiven(a *agent, r *request, reasons []Reason) (why Reason, ok bool) {
	why.Code = r.Text("reasonCode")
	if why.Code == "" {
		s.refuse(a, "MISSING_REASON_CODE")
		return why, false
	}
	why.Label, ok = label(reasons, why.Code)
	if !ok {
		s.refuse(a, "PLEASE_RETRY")
	}
	return why, ok
}

// logout is only possible from NOT_READY, whoever asks for it.
func (s *Sim) logout(a *agent, why Reason) {
	if !a.loggedIn() || !possible(a.state, "LOGOUT") {
		s.refuse(a, "CF_INVALID_OBJECT_STATE")
		return
	}
	s.out(a, why, exit{How: "logout"})
}

// out ends an agent's calls, its session and what it is subscribed to.
func (s *Sim) out(a *agent, why Reason, e exit) {
	for _, l := range append([]*leg(nil), a.legs...) {
		s.leave(l)
	}
	s.leaveReservation(a)
	a.book.leaving = e
	s.enter(a, "LOGOUT", why)
	delete(s.users, a.extension)
	a.extension = ""
	s.watch(a, "", false)
}

// forceLogout is a supervisor's; it works from every state and ends the calls
// the agent is in. The transition table has no row for it.
func (s *Sim) forceLogout(a *agent, r *request) {
	if !a.loggedIn() {
		s.refuse(a, "CF_INVALID_OBJECT_STATE")
		return
	}
	boss := s.sender(a, r)
	if boss != nil {
		s.act(boss, "ForceLogout", a.ID, "")
	}
	s.out(a, Reason{Code: "-1"}, exit{How: "forced", By: idOf(boss)})
}

// sender is who sent a command about another agent, as far as the producer's
// connection tells: the only other agent that logged in over it.
func (s *Sim) sender(a *agent, r *request) (boss *agent) {
	if r.Conn == "" || a.conn == r.Conn {
		return nil
	}
	for _, other := range s.people {
		if other.conn == r.Conn && other.loggedIn() {
			if boss != nil {
				return nil
			}
			boss = other
		}
	}
	return boss
}

func idOf(a *agent) string {
	if a == nil {
		return ""
	}
	return a.ID
}
