package gcsim

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/decode"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the conversations under testdata")

// TestConversations plays testdata/*.txt, whose lines are what rig takes, and
// compares the events, which stand indented below each input. A file begins
// with the agents who are logged in, as "# with 1001 2001".
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no conversations found", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := converse(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s (-want +got):\n%s", file, cmp.Diff(string(want), got))
			}
		})
	}
}

// converse plays the inputs of a conversation and returns it with the events
// that really came.
func converse(t *testing.T, text string) string {
	r := newRig(t, Config{Site: wrapUpSite(), RingTime: 20 * time.Second, WrapUpTime: 30 * time.Second})
	var b strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		plain := strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "\t"):
			continue
		case strings.HasPrefix(line, "# with "):
			r.login(strings.Fields(plain)[2:]...)
		case plain != "" && !strings.HasPrefix(plain, "#"):
			b.WriteString(line)
			for _, e := range r.play(plain) {
				b.WriteString("\t" + r.line(e) + "\n")
			}
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// wrapUpSite is NewSite(5) with one agent of each wrap-up mode that matters.
func wrapUpSite() *Site {
	s := NewSite(5)
	s.Person("1004").WrapUp = "REQUIRED"
	s.Person("1005").WrapUp = "REQUIRED_WITH_WRAP_UP_DATA"
	return s
}

// Every command of the protocol is handled, and nothing else.
func TestHandlersAreTheGrammar(t *testing.T) {
	known := map[string]bool{"Hello": true, "Beat": true, "Connect": true}
	for name := range handlers {
		known[name] = true
	}
	for _, spec := range decode.Commands() {
		if !known[spec.Name] {
			t.Errorf("command %s has no handler", spec.Name)
		}
		delete(known, spec.Name)
	}
	for name := range known {
		t.Errorf("handler of %s: no such command", name)
	}
}

// The events that the documents expect of a command come, in their order. Of
// the sequences that the documents give from two points of view, all agents'
// events are taken together.
func TestExpectedEvents(t *testing.T) {
	const ring = `! {"do":"call","from":"42512","to":"1001"}`
	const talk = "1001 MakeReady\n" + ring + "\n1001 AnswerCall d1\n"
	const consulted = talk + "1002 MakeReady\n1001 ConsultCall 3002 d1\n1002 AnswerCall d2\n"
	const preview = "1001 MakeReady\n" + `! {"do":"reserve-outbound","agent":"1001","from":"5550100"}` + "\n"
	cases := []struct{ prelude, command string }{
		{"", "1001 Logout"},
		{"", "1001 LogoutWithReason 10"},
		{"", "1001 ForceLogout"},
		{"", "1001 GetState"},
		{"1001 MakeReady", "1001 MakeNotReady"},
		{"", "1001 MakeNotReadyWithReason 2"},
		{"", "1001 MakeReady"},
		{"", "1001 MakeCall 5551000\n+1s"},
		{"1001 MakeReady\n" + ring, "1001 AnswerCall d1"},
		{talk, "1001 ReleaseCall d1"},
		{talk, "1001 HoldCall d1"},
		{talk + "1001 HoldCall d1", "1001 RetrieveCall d1"},
		{talk + "1002 MakeReady", "1001 BlindTransfer 3002 d1"},
		{talk + "1002 MakeReady", "1001 ConsultCall 3002 d1\n1002 AnswerCall d2"},
		{consulted, "1001 ConferenceCall 3002 d1"},
		{talk, "1001 GetDialogState d1"},
		{talk, "1001 UpdateCallVariable d1,callVariable4=gold"},
		{"", "1001 ReasonCodeLogout"},
		{"", "1001 ReasonCodeNotReady"},
		{"", "1001 WrapUpReasonCode"},
		{"", "1001 GetPhonebooks"},
		{"", "1001 GetPhonebookContacts 1"},
		{"", "1001 GetTeamPhonebooks 5"},
		{"", "1001 GetQueueList"},
		{"", "1001 GetSkillGroup"},
		{"", "1001 GetSupervisor"},
		{"", "1001 GetAgentExtension 5551000"},
		{talk, "2001 SilentMonitor 3001"},
		{talk + "2001 SilentMonitor 3001", "2001 EndSilentMonitor d2"},
		{talk + "2001 SilentMonitor 3001", "2001 BargeIn 3001 d2"},
		{talk + "2001 BargeIn 3001 d1", "2001 DropParticipant 3001 d1"},
		{"", "2001 GetTeamUsers 5 true"},
		{"", "2001 GetTeamUserState 1001"},
		{preview, "1001 AcceptOutboundPreview d1 ACCEPT\n+1s"},
		{preview, "1001 RejectOutboundPreview d1 REJECT"},
		{preview, "1001 CloseOutboundPreview d1 CLOSE"},
		{talk, "1001 ScheduleCallback 3001,d1,2026-11-22 10:00,5550100"},
		{talk, "1001 UpdateCallback 3001,d1,2026-11-22 11:00,5550100"},
		{talk, "1001 CancelScheduledCallback 3001 d1"},
		{talk, "1001 ReclassifyCall 3001 d1 BUSY"},
	}
	for _, c := range cases {
		name := strings.Fields(c.command)[1]
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{})
			r.login("1001", "1002", "2001")
			if c.prelude != "" {
				r.lines(c.prelude)
			}
			before := len(r.all)
			r.lines(c.command)
			for _, seq := range decode.LookupCommand(name).Expects {
				if seq.Before || seq.Platform == "UCCX" {
					continue
				}
				who := "1001"
				if seq.For == decode.Supervisor || strings.HasPrefix(c.command, "2001") && seq.For == "" {
					who = "2001"
				}
				expectInOrder(t, r, who, r.all[before:], seq.Events)
			}
		})
	}
}

// expectInOrder looks for the events of a sequence among those for one agent.
func expectInOrder(t *testing.T, r *rig, who string, events []said, want []decode.Expect) {
	t.Helper()
	var heard []string
	for i := range events {
		if events[i].Event.Agent != who && events[i].Event.Agent != "" {
			continue
		}
		heard = append(heard, r.line(events[i]))
		if len(want) > 0 && want[0].Matches(&events[i].Message) {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Errorf("%s does not hear %v in its turn; heard:\n%s", who, want, strings.Join(heard, "\n"))
	}
}

// A Login that cannot be is refused with the code of the documents.
func TestLoginRefusals(t *testing.T) {
	site := NewSite(3)
	site.Person("1002").Password = "a,b"
	cases := []struct{ name, play, want string }{
		{"wrong password at Connect", "1001 Connect desk,wrong", "1001 Error SUBSCRIPTION_FAILED"},
		{"no password at Connect", "1001 Connect desk", "1001 Error SUBSCRIPTION_FAILED"},
		{"unknown user", "9999 Connect desk,x", "9999 Error SUBSCRIPTION_FAILED"},
		{"single sign-on without leave", "1001 Connect desk,secret-1001,SSO", "1001 Error SUBSCRIPTION_FAILED"},
		{"no extension", "1001 Connect desk,secret-1001\n1001 Login secret-1001", "1001 Error MISSING_EXTENSION"},
		{"empty extension", "1001 Connect desk,secret-1001\n1001 Login secret-1001,", "1001 Error MISSING_EXTENSION"},
		{"no password", "1001 Connect desk,secret-1001\n1001 Login ,3001", "1001 Error MISSING_PASSWORD"},
		{"nothing", "1001 Connect desk,secret-1001\n1001 Login", "1001 Error MISSING_PASSWORD"},
		{"letters", "1001 Connect desk,secret-1001\n1001 Login secret-1001,30o1", "1001 Error WRONG_EXTENSION"},
		{"no such phone", "1001 Connect desk,secret-1001\n1001 Login secret-1001,3999", "1001 Error CF_INVALID_LOGON_DEVICE_SPECIFIED"},
		{"wrong password", "1001 Connect desk,secret-1001\n1001 Login wrong,3001", "1001 Error CF_INVALID_PASSWORD_SPECIFIED"},
		{"phone of another", "1002 Connect desk,a,b\n1002 Login a,b,3001\n1001 Connect desk,secret-1001\n1001 Login secret-1001,3001", "1001 Error CF_RESOURCE_BUSY"},
		{"a comma in the password", "1002 Connect desk,a,b\n1002 Login a,b,3002", "1002#DialogStatus###"},
		{"mobile, a comma in the password", "1002 Connect desk,a,b\n1002 MobileAgentLogin a,b,3002,5551234,true", "1002#DialogStatus###"},
		{"no licence left", "1002 Connect desk,a,b\n1002 Login a,b,3002\n1003 Connect desk,secret-1003\n1003 Login secret-1003,3003\n1001 Connect desk,secret-1001\n1001 Login secret-1001,3001", "1001 Error LICENSES_EXCEEDED"},
		{"never connected", "1001 Login secret-1001,3001", ""},
		{"before the login", "1001 Connect desk,secret-1001\n1001 MakeReady", "1001 Error CF_INVALID_OBJECT_STATE"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := newRig(t, Config{Site: site, Licenses: 2}).lines(c.play)
			last := ""
			if len(got) > 0 {
				last = got[len(got)-1]
			}
			if last != c.want {
				t.Errorf("%s\ngot  %q\nwant %q", c.play, got, c.want)
			}
		})
	}
}

// A text that holds a separator of its place is sent without it.
func TestSeparatorsInTexts(t *testing.T) {
	site := NewSite(1)
	site.NotReady = []Reason{{"1", "Lunch, late #2"}}
	site.Person("1001").LastName = "Smith#Jones"
	r := newRig(t, Config{Site: site})
	r.login("1001")
	got := r.lines("1001 ReasonCodeNotReady\n1001 MakeNotReadyWithReason 1")
	want := []string{"1001#ReasonCodes#Category:NOT_READY#1#Labels:Lunch; late  2#José Smith Jones", "1001 State NOT_READY 1 Lunch, late #2"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// An open simulator lets anybody in.
func TestOpen(t *testing.T) {
	got := newRig(t, Config{Open: true}).lines("4711 Connect desk,whatever\n4711 Login ***,5501\n4711 MakeReady")
	want := []string{"4711 AgentInfo Agent 4711 False OPTIONAL 5 Agent 4711 agent4711", "4711 State NOT_READY -1", "4711#DialogStatus###", "4711 State READY"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A command of an agent whom GC does not know is answered on its reply-to.
func TestReLoginGoesToReplyTo(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Command(morning, Command{Type: "GetState#4711", ReplyTo: "topic://desk.9"})
	got := s.Advance(morning)
	if len(got) != 1 || got[0].To != "topic://desk.9" || string(got[0].Body) != "4711#State#RE_LOGIN" {
		t.Errorf("got %q, want RE_LOGIN on topic://desk.9", got)
	}
}

// The same seed gives the same run to the byte, another one other ids.
func TestSeedDecides(t *testing.T) {
	run := func(seed uint64) (bodies []string) {
		r := newRig(t, Config{Seed: seed, Calls: CallsAuto, DelayMin: time.Millisecond, DelayMax: 200 * time.Millisecond})
		r.login("1001", "1002")
		r.lines("1001 MakeReady\n1002 MakeReady")
		for range 600 {
			r.play("+1s")
		}
		for _, e := range r.all {
			bodies = append(bodies, string(e.Body))
		}
		return bodies
	}
	one, again, other := run(1), run(1), run(2)
	if !slices.Equal(one, again) {
		t.Error("two runs of seed 1 differ")
	}
	if slices.Equal(one, other) {
		t.Error("seeds 1 and 2 give the same run")
	}
	if len(one) < 20 {
		t.Errorf("%d events in ten minutes of automatic calls, want more", len(one))
	}
}
