package gcsim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gctap/capture"
)

// A Scenario is what several agents do, as data.
type Scenario struct {
	Name    string
	Queue   string        // of commands; empty: DefaultQueue
	Within  time.Duration // how long a step waits at the most; 0: 10 s
	Think   time.Duration // how long everybody thinks before a command and after a meeting
	Scripts []Script
}

// A Script is what one agent does: it logs in, goes through its steps and
// leaves, logged in or not.
type Script struct {
	Person Person
	Steps  []Step
}

// A Step is a meeting, a pause, a stimulus, a command and the events that must
// come, in this order, each if it is there.
type Step struct {
	Meet     string        // wait for all other scripts that have a step with this Meet
	Pause    time.Duration // do nothing for so long
	Login    bool          // Hello, Connect and Login
	Stimulus *Stimulus     // ask the simulator for something
	Send     string        // canonical name of a command
	As       string        // id in its JMSType; empty: the agent's own
	With     []string      // its arguments; "$name" is the id of a call
	Want     []Want        // wait for all of these
}

// RunScenario plays all scripts at once and returns the first failure, with
// the others stopped. Every script gets a link of its own from dial, unless
// dial returns the same one again; they are closed at the end.
func RunScenario(ctx context.Context, dial func() (capture.Link, error), sc Scenario) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	links := map[capture.Link]bool{}
	desks := make([]*Desk, len(sc.Scripts))
	defer func() {
		for l := range links {
			_ = l.Close() // the scenario is over; what it sent has been synced
		}
	}()
	for i := range sc.Scripts {
		link, err := dial()
		if err != nil {
			return fmt.Errorf("scenario %s: %w", sc.Name, err)
		}
		links[link] = true
		desks[i] = NewDesk(link, sc.Queue)
	}
	meetings := sc.meetings()
	var all sync.WaitGroup
	for i := range sc.Scripts {
		all.Go(func() {
			if err := play(ctx, desks[i], &sc, &sc.Scripts[i], meetings); err != nil {
				cancel(fmt.Errorf("scenario %s: %w", sc.Name, err))
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// play goes through one script.
func play(ctx context.Context, d *Desk, sc *Scenario, script *Script, meetings map[string]*meeting) (err error) {
	a, err := d.Seat(ctx, script.Person)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Leave()) }()
	within := sc.Within
	if within == 0 {
		within = 10 * time.Second
	}
	for i := range script.Steps {
		st := script.Steps[i]
		if st.Send != "" || st.Meet != "" {
			st.Pause += sc.Think
		}
		if err := a.Do(ctx, &st, within, meetings); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return d.link.Sync(ctx)
}

// Do carries out one step. A nil meetings lets it meet nobody.
func (a *Agent) Do(ctx context.Context, st *Step, within time.Duration, meetings map[string]*meeting) error {
	if m := meetings[st.Meet]; m != nil {
		if err := m.wait(ctx); err != nil {
			return err
		}
	}
	if err := pause(ctx, st.Pause); err != nil {
		return err
	}
	if st.Login {
		if err := a.Login(ctx, within); err != nil {
			return err
		}
	}
	if st.Stimulus != nil {
		if err := a.desk.link.Send(ctx, st.Stimulus.Message()); err != nil {
			return fmt.Errorf("agent %s: stimulus %s: %w", a.ID, st.Stimulus.Do, err)
		}
	}
	if st.Send != "" {
		if err := a.SendAs(ctx, orText(st.As, a.ID), st.Send, st.With...); err != nil {
			return err
		}
	}
	if len(st.Want) == 0 {
		return nil
	}
	if err := a.Await(ctx, within, st.Want...); err != nil {
		return fmt.Errorf("%s: %w", orText(st.Send, "waiting"), err)
	}
	return nil
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A meeting lets scripts go on together.
type meeting struct {
	mu      sync.Mutex
	missing int
	here    chan struct{}
}

func (sc *Scenario) meetings() map[string]*meeting {
	all := map[string]*meeting{}
	for _, script := range sc.Scripts {
		for _, st := range script.Steps {
			if st.Meet == "" {
				continue
			}
			if all[st.Meet] == nil {
				all[st.Meet] = &meeting{here: make(chan struct{})}
			}
			all[st.Meet].missing++
		}
	}
	return all
}

func (m *meeting) wait(ctx context.Context) error {
	m.mu.Lock()
	if m.missing--; m.missing == 0 {
		close(m.here)
	}
	m.mu.Unlock()
	select {
	case <-m.here:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// The rows of a script.

func wants(w ...Want) []Want { return w }

func state(s string) Want { return Want{Event: "State", State: s} }

// rings is the arrival of a call, whose id is kept under a name.
func rings(call string) Want { return Want{Event: "NewInboundCall", Keep: call} }

func inbound(s, call string) Want { return Want{Event: "InboundCall", State: s, Call: call} }

func consult(s, call string) Want { return Want{Event: "ConsultCall", State: s, Call: call} }

// becomes is a call that has become one of another type, and its id.
func becomes(callType, call string) Want {
	return Want{Event: "InboundCall", State: "ACTIVE", Type: callType, Keep: call}
}

// first is the first event of a call that the agent makes: it brings the id.
func first(eventName, call string) Want {
	return Want{Event: eventName, State: "INITIATING", Keep: call}
}

func anyOf(eventName string) Want { return Want{Event: eventName} }

func failing(code string) Want { return Want{Event: "Error", Code: code} }

func meet(name string) Step { return Step{Meet: name} }

func do(command string, with []string, want ...Want) Step {
	return Step{Send: command, With: with, Want: want}
}

func with(args ...string) []string { return args }

// called is a call that comes in for a person, and is answered.
func called(p Person, from, call string) []Step {
	return []Step{
		{Stimulus: &Stimulus{Do: DoCall, From: from, To: p.ID, Variables: map[string]string{"callVariable1": "from " + from, "callVariable2": ""}},
			Want: wants(state("RESERVED"), rings(call))},
		answer(call),
	}
}

// answer answers a call that rings, by an agent who then talks.
func answer(call string) Step {
	return do("AnswerCall", with("$"+call), inbound("ACTIVE", call), state("TALKING"))
}

// hangUpIn releases the agent's only call and waits for the state after it.
func hangUpIn(call, after string) Step {
	return do("ReleaseCall", with("$"+call), inbound("DROPPED", call), state(after))
}

func steps(parts ...[]Step) (all []Step) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// Shift is a working day in small, of every team of a site that has a
// supervisor and four agents or more: everything that the demo shows, and most
// of what agents do. It needs a simulator of CallsDriven for a site of agents
// whose wrap-up mode is OPTIONAL, as NewSite and NewTeams make them.
func Shift(site *Site) (Scenario, error) {
	sc := Scenario{Name: "shift"}
	for _, t := range site.Teams {
		var team []Person
		for _, p := range site.People {
			if p.Team == t.ID && !p.Supervisor {
				team = append(team, p)
			}
		}
		if len(team) >= 4 && len(t.Supervisors) > 0 && site.Person(t.Supervisors[0]) != nil {
			sc.Scripts = append(sc.Scripts, crew(*site.Person(t.Supervisors[0]), team[:4], t.ID)...)
		}
	}
	if len(sc.Scripts) == 0 {
		return sc, errors.New("scenario shift: needs a team of four agents with a supervisor")
	}
	return sc, nil
}

// crew is the part of one team. Its meetings are its own.
func crew(boss Person, team []Person, teamID string) []Script {
	a, b, c, d := team[0], team[1], team[2], team[3]
	scripts := []Script{
		{boss, bossScript(c, teamID)},
		{a, firstScript(a, b, teamID)},
		{b, secondScript(b)},
		{c, thirdScript(c, d)},
		{d, fourthScript(d, a)},
	}
	for _, script := range scripts {
		for i := range script.Steps {
			if st := &script.Steps[i]; st.Meet != "" {
				st.Meet = "team " + teamID + ": " + st.Meet
			}
		}
	}
	return scripts
}

// comes is how every agent of the shift begins: the supervisor is there first,
// so that it sees every state.
func comes() []Step {
	return []Step{meet("supervisor is watching"), aside, {Login: true}}
}

// goes is how every agent ends, from READY.
func goes() []Step {
	return []Step{
		do("MakeNotReady", nil, state("NOT_READY")),
		do("LogoutWithReason", with("10"), state("LOGOUT")),
	}
}

// aside keeps what one person does apart from what the others do by more than
// a broker's delays: a replay knows nothing of a meeting, only its times.
var aside = Step{Pause: 300 * time.Millisecond}

// firstScript: lists, a call held and retrieved, a consult and a transfer, and
// at the end a call transferred to it unasked.
func firstScript(p, second Person, teamID string) []Step {
	return steps(comes(), []Step{
		do("Beat", nil, anyOf("System")),
		do("ReasonCodeNotReady", nil, anyOf("ReasonCodes")),
		do("ReasonCodeLogout", nil, anyOf("ReasonCodes")),
		do("GetPhonebooks", nil, anyOf("Phonebooks")),
		do("GetTeamPhonebooks", with(teamID), anyOf("TeamPhonebooks")),
		do("GetPhonebookContacts", with("1"), anyOf("PhonebookContacts")),
		do("MakeNotReadyWithReason", with("2"), state("NOT_READY")),
		do("MakeReady", nil, state("READY")),
	}, called(p, "5552001", "one"), []Step{
		do("HoldCall", with("$one"), inbound("HELD", "one"), state("HOLD")),
		do("GetDialogState", with("$one"), Want{Event: "DialogState", State: "HELD", Call: "one"}),
		do("RetrieveCall", with("$one"), inbound("ACTIVE", "one"), state("TALKING")),
		do("UpdateCallVariable", with("$one", "callVariable3=gold"), inbound("ACTIVE", "one")),
		hangUpIn("one", "READY"),
		do("WrapUp", with("Sale", "$one")),
	}, called(p, "5552002", "two"), []Step{
		meet("second is ready"),
		do("ConsultCall", with(second.Extension, "$two"), inbound("HELD", "two"), first("ConsultCall", "consult"), consult("ACTIVE", "consult")),
		do("TransferCall", with(second.Extension, "$two"), inbound("DROPPED", "two"), consult("DROPPED", "consult"), state("READY")),
		meet("first is ready"),
		{Want: wants(rings("three"))},
		answer("three"),
		do("MakeNotReadyWithReason", with("1"), state("TALKING")),
		do("ReleaseCall", with("$three"), inbound("DROPPED", "three"), state("NOT_READY")),
		do("Logout", nil, state("LOGOUT")),
	})
}

// secondScript: takes over the first one's call, then calls out.
func secondScript(p Person) []Step {
	return steps(comes(), []Step{
		do("MakeReady", nil, state("READY")),
		meet("second is ready"),
		{Want: wants(rings("consult"))},
		answer("consult"),
		{Want: wants(becomes("TRANSFER", "main"), inbound("DROPPED", "consult"))},
		hangUpIn("main", "READY"),
		do("MakeNotReadyWithReason", with("22"), state("NOT_READY")),
		do("HoldCall", with("1"), failing("NO_DIALOG_ID")),
		do("MakeCall", nil, failing("MISSING_NUMBER")),
		do("MakeCall", with("5553001"), state("TALKING"), first("InboundCall", "out"), inbound("ACTIVE", "out")),
		hangUpIn("out", "NOT_READY"),
		do("MakeReady", nil, state("READY")),
	}, goes())
}

// thirdScript: a consult and a conference, which the supervisor listens to and
// joins; then a caller who hangs up.
func thirdScript(p, fourth Person) []Step {
	return steps(comes(), []Step{
		do("MakeReady", nil, state("READY")),
	}, called(p, "5552003", "one"), []Step{
		meet("third is talking"),
		{Want: wants(inbound("HELD", "one"), becomes("CONFERENCE", "one"))},
		meet("supervisor has joined"),
		meet("supervisor has left"),
		meet("fourth is ready"),
		do("ConsultCall", with(fourth.Extension, "$one"), inbound("HELD", "one"), first("ConsultCall", "consult"), consult("ACTIVE", "consult")),
		do("ConferenceCall", with(fourth.Extension, "$one"), consult("DROPPED", "consult"), becomes("CONFERENCE", "one")),
		meet("conference"),
		hangUpIn("one", "READY"),
		meet("third has left"),
	}, called(p, "5552004", "two"), []Step{
		{Stimulus: &Stimulus{Do: DoHangup, Agent: p.ID}, Want: wants(inbound("DROPPED", "two"), state("READY"))},
	}, goes())
}

// fourthScript: comes into a conference, and gives a call away unasked.
func fourthScript(p, firstOne Person) []Step {
	return steps(comes(), []Step{
		do("MakeReady", nil, state("READY")),
		meet("fourth is ready"),
		{Want: wants(rings("consult"))},
		answer("consult"),
		{Want: wants(inbound("DROPPED", "consult"), becomes("CONFERENCE", "main"))},
		meet("conference"),
		meet("third has left"),
		hangUpIn("main", "READY"),
	}, called(p, "5552005", "gift"), []Step{
		meet("first is ready"),
		do("BlindTransfer", with(firstOne.Extension, "$gift"), first("ConsultCall", "gone"), consult("DROPPED", "gone"), inbound("DROPPED", "gift"), state("READY")),
	}, goes())
}

// bossScript: watches the team, listens to the third agent's call, joins it
// and leaves.
func bossScript(third Person, teamID string) []Step {
	return []Step{
		{Login: true},
		do("GetTeamUsers", with(teamID, "true"), anyOf("TeamUsersList")),
		meet("supervisor is watching"),
		meet("third is talking"),
		do("SilentMonitor", with(third.Extension), first("InboundCall", "listening"), inbound("ACTIVE", "listening")),
		do("BargeIn", with(third.Extension, "$listening"), inbound("DROPPED", "listening"), becomes("CONFERENCE", "joined")),
		meet("supervisor has joined"),
		do("ReleaseCall", with("$joined"), inbound("DROPPED", "joined"), state("NOT_READY")),
		meet("supervisor has left"),
		do("Logout", nil, state("LOGOUT")),
	}
}
