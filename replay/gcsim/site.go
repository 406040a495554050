package gcsim

import (
	"fmt"
	"strings"
	"time"
)

// A Site is the contact centre that the simulator serves: its people and what
// an administrator has set up for them. The zero value serves nobody; NewSite
// makes one with everything in it. A Site is not changed once it is in use.
type Site struct {
	People     []Person
	Teams      []Team
	Queues     []string    // names of the queues
	Phones     []string    // extensions that exist beside those of People
	NotReady   []Reason    // not-ready reasons
	Logout     []Reason    // logout reasons
	WrapUp     []Reason    // wrap-up reasons
	Phonebooks []Phonebook // Team empty: a global one
}

// A Person is somebody who can log in.
type Person struct {
	ID         string // login id
	Password   string
	Extension  string // the phone that is this person's own; any other free one of the site will do
	FirstName  string
	LastName   string
	LoginName  string
	Team       string // id of the team this person is a member of
	Supervisor bool
	WrapUp     string // a wrap-up mode of the protocol; empty: OPTIONAL
	SSO        bool   // may send the third argument of Connect
}

// FullName is the name as events carry it.
func (p *Person) FullName() string { return p.FirstName + " " + p.LastName }

// wrapUp is the person's wrap-up mode.
func (p *Person) wrapUp() string {
	if p.WrapUp == "" {
		return "OPTIONAL"
	}
	return p.WrapUp
}

// A Team is a group of people with their supervisors.
type Team struct {
	ID          string
	Name        string
	Supervisors []string // login ids
}

// A Reason is a code with its label.
type Reason struct{ Code, Label string }

// A Phonebook is a list of contacts, of one team or of all.
type Phonebook struct {
	ID, Name string
	Team     string // empty: GLOBAL
	Contacts []Contact
}

// A Contact is an entry of a Phonebook.
type Contact struct{ ID, Description, FirstName, LastName, Phone string }

// teamSize is how many agents NewSite gives to one supervisor.
const teamSize = 20

// names are given to the people of NewSite in turn. They are of the kind that
// breaks tools: accents, an apostrophe, several scripts.
var names = []struct{ first, last string }{
	{"José", "Müller"}, {"Siân", "O'Connor"}, {"Łukasz", "Żak"}, {"Anne-Marie", "Lefèvre"},
	{"Grace", "Okafor"}, {"Fatima", "Al Zahra"}, {"Jürgen", "Groß"}, {"Dimitra", "Παππά"},
	{"Ayşe", "Yılmaz"}, {"Chen", "王伟"}, {"Priya", "Raman"}, {"Søren", "Ødegård"},
}

// NewSite returns a site of the given number of agents, and one supervisor for
// every twenty of them. With fewer than a thousand agents the login ids are
// 1001, 1002, … with the extensions 3001, 3002, …, the supervisors 2001, …
// with 4001, …; with more, the numbers have more digits. The password of each
// is PasswordOf its login id.
func NewSite(agents int) *Site { return newSite(agents, teamSize) }

// NewTeams returns a site like NewSite's, of teams of the given size.
func NewTeams(teams, size int) *Site { return newSite(teams*size, size) }

func newSite(agents, size int) *Site {
	s := &Site{
		Queues:   []string{"Sales", "Support"},
		NotReady: []Reason{{"1", "Lunch"}, {"2", "Break"}, {"22", "Meeting"}},
		Logout:   []Reason{{"10", "End of shift"}, {"11", "System failure"}},
		WrapUp:   []Reason{{"101", "Sale"}, {"102", "No sale"}, {"103", "Call back"}},
	}
	digits := max(3, len(fmt.Sprint(agents)))
	number := func(first, n int) string { return fmt.Sprintf("%d%0*d", first, digits, n) }
	for i := range agents {
		if i%size == 0 {
			s.addTeam(i/size+1, number)
		}
		team := s.Teams[len(s.Teams)-1].ID
		s.People = append(s.People, newPerson(number(1, i+1), number(3, i+1), team, i))
	}
	s.Phonebooks = append(s.Phonebooks, Phonebook{ID: "1", Name: "Company", Contacts: []Contact{
		{"11", "Front desk", "Reception", "Main", "5551000"},
		{"12", "Night shift", "Óscar", "Núñez", "5551001"},
	}})
	return s
}

// addTeam adds team n (from 1) with its supervisor and its phone book.
func (s *Site) addTeam(n int, number func(first, n int) string) {
	id := fmt.Sprint(n + 4) // 5, 6, …: never mistaken for a count
	boss := newPerson(number(2, n), number(4, n), id, n+5)
	boss.Supervisor = true
	s.People = append(s.People, boss)
	s.Teams = append(s.Teams, Team{ID: id, Name: fmt.Sprintf("Team %d", n), Supervisors: []string{boss.ID}})
	s.Phonebooks = append(s.Phonebooks, Phonebook{
		ID: fmt.Sprint(10000 + n), Name: fmt.Sprintf("Book of team %d", n), Team: id,
		Contacts: []Contact{{fmt.Sprint(20000 + n), "Escalation", boss.FirstName, boss.LastName, boss.Extension}},
	})
}

func newPerson(id, extension, team string, n int) Person {
	name := names[n%len(names)]
	return Person{
		ID: id, Password: PasswordOf(id), Extension: extension, Team: team,
		FirstName: name.first, LastName: name.last, LoginName: "agent" + id,
	}
}

// PasswordOf is the password that NewSite gives to a login id.
func PasswordOf(id string) string { return "secret-" + id }

// Person returns who logs in under id, nil where nobody does.
func (s *Site) Person(id string) *Person {
	for i := range s.People {
		if s.People[i].ID == id {
			return &s.People[i]
		}
	}
	return nil
}

func (s *Site) team(id string) *Team {
	for i := range s.Teams {
		if s.Teams[i].ID == id {
			return &s.Teams[i]
		}
	}
	return nil
}

// teamsOf returns the teams that id supervises.
func (s *Site) teamsOf(id string) (teams []Team) {
	for _, t := range s.Teams {
		if t.supervisedBy(id) {
			teams = append(teams, t)
		}
	}
	return teams
}

func (t *Team) supervisedBy(id string) bool {
	for _, s := range t.Supervisors {
		if s == id {
			return true
		}
	}
	return false
}

// phones are all the extensions somebody can log in on.
func (s *Site) phones() map[string]bool {
	phones := map[string]bool{}
	for i := range s.People {
		phones[s.People[i].Extension] = true
	}
	for _, p := range s.Phones {
		phones[p] = true
	}
	return phones
}

// label returns the label of a reason code; ok is false for an unknown code.
func label(reasons []Reason, code string) (text string, ok bool) {
	for _, r := range reasons {
		if r.Code == code {
			return r.Label, true
		}
	}
	return "", false
}

// columns splits reasons into what two lists of an event hold.
func columns(reasons []Reason) (codes, labels []string) {
	for _, r := range reasons {
		codes, labels = append(codes, r.Code), append(labels, r.Label)
	}
	return codes, labels
}

// check finds mistakes in a site before anything depends on it.
func (s *Site) check() error {
	seen := map[string]bool{}
	for i := range s.People {
		p := &s.People[i]
		switch {
		case p.ID == "" || strings.ContainsAny(p.ID, "#,| "):
			return fmt.Errorf("login id %q: give one without blank, comma, # and |", p.ID)
		case seen[p.ID]:
			return fmt.Errorf("login id %s is given twice: give each person its own", p.ID)
		case p.Team != "" && s.team(p.Team) == nil:
			return fmt.Errorf("login id %s is in team %s, which does not exist: add the team", p.ID, p.Team)
		}
		seen[p.ID] = true
	}
	return nil
}

// wireTime writes a time as GC does: local, to the second, without a zone.
func wireTime(t time.Time) string { return t.Format("2006-01-02 15:04:05") }
