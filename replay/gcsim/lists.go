package gcsim

// reasons answers with the codes that an administrator has set up.
func (s *Sim) reasons(a *agent, category string, reasons []Reason) {
	s.emit(a.topic, reasonsEvent(a, category, reasons), nil)
}

// getPhonebooks lists the global phone books and those of the agent's team.
func (s *Sim) getPhonebooks(a *agent, _ *request) {
	s.emit(a.topic, phonebooksEvent(a, "Phonebooks", s.books(func(b *Phonebook) bool {
		return b.Team == "" || b.Team == a.Team
	})), nil)
}

func (s *Sim) getTeamPhonebooks(a *agent, r *request) {
	team := r.Text("teamId")
	s.emit(a.topic, phonebooksEvent(a, "TeamPhonebooks", s.books(func(b *Phonebook) bool {
		return b.Team == team && team != ""
	})), nil)
}

func (s *Sim) books(want func(*Phonebook) bool) (books []*Phonebook) {
	for i := range s.cfg.Site.Phonebooks {
		if b := &s.cfg.Site.Phonebooks[i]; want(b) {
			books = append(books, b)
		}
	}
	return books
}

// getContacts lists a phone book; one that does not exist has no contacts.
func (s *Sim) getContacts(a *agent, r *request) {
	id := r.Text("phonebookId")
	var contacts []Contact
	for _, b := range s.books(func(b *Phonebook) bool { return b.ID == id }) {
		contacts = append(contacts, b.Contacts...)
	}
	s.emit(a.topic, contactsEvent(a, contacts), nil)
}

// getQueueList gives the figures of the moment. Every agent works for every
// queue; a call that waits for a certain agent counts for none.
func (s *Sim) getQueueList(a *agent, _ *request) {
	s.emit(a.topic, queueListEvent(a, s.cfg.Site.Queues, s.figures()), nil)
}

// figures are what QueueList says of a queue.
type figures struct {
	notReady, ready, inbound, internal, outbound, workNotReady, workReady, waiting int
	oldest                                                                         string // wire time; empty: none waits
}

func (s *Sim) figures() (f figures) {
	for _, a := range s.people {
		switch {
		case !a.loggedIn():
		case a.state == "NOT_READY":
			f.notReady++
		case a.state == "READY":
			f.ready++
		case a.state == "WORK":
			f.workNotReady++
		case a.state == "WORK_READY":
			f.workReady++
		case a.state == "TALKING":
			f.talking(a.talking())
		}
	}
	for _, d := range s.waiting {
		if d.target == nil {
			if f.waiting++; f.waiting == 1 {
				f.oldest = d.started
			}
		}
	}
	return f
}

// talking counts an agent by the kind of its call.
func (f *figures) talking(l *leg) {
	switch {
	case l == nil:
	case l.dialog.callType == "OUT" || l.dialog.callType == "OUTBOUND":
		f.outbound++
	case l.dialog.main != nil:
		f.internal++
	default:
		f.inbound++
	}
}

// The three lists below are documented as JSON only, their inside not at all.

func (s *Sim) getSkillGroup(a *agent, _ *request) {
	var skills []map[string]string
	for i, q := range s.cfg.Site.Queues {
		skills = append(skills, map[string]string{"id": decimal(i + 1), "name": q})
	}
	s.emit(a.topic, jsonEvent(a, "SkillGroups", "skills", skills), nil)
}

func (s *Sim) getSupervisor(a *agent, _ *request) {
	var bosses []map[string]string
	for _, p := range s.people {
		if p.Supervisor {
			bosses = append(bosses, map[string]string{"loginId": p.ID, "fullName": p.FullName()})
		}
	}
	s.emit(a.topic, jsonEvent(a, "Supervisors", "supervisors", bosses), nil)
}

func (s *Sim) getAgentExtension(a *agent, r *request) {
	s.emit(a.topic, jsonEvent(a, "AgentExtension", "agentExtension",
		map[string]string{"extension": a.address(), "dialNumber": r.Text("fNumber")}), nil)
}
