package gcsim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The book holds what happened, to the nanosecond of the simulator's clock,
// across midnight and the end of daylight saving time.
func TestBook(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here:", err)
	}
	r := newRig(t, Config{Zone: zone})
	r.now = time.Date(2026, 10, 25, 0, 59, 50, 0, zone) // clocks go back at 03:00
	r.login("1001", "2001")
	for _, line := range strings.Split(`+10s
1001 MakeReady
+2h
! {"do":"call","from":"42512","to":"1001"}
+5s
1001 AnswerCall d1
2001 SilentMonitor 3001
+10s
1001 HoldCall d1
+20s
1001 RetrieveCall d1
2001 BargeIn 3001 d2
+1s
1001 MakeNotReadyWithReason 1
+4s
1001 ReleaseCall d1
+30s
2001>1001 ForceLogout
+1m`, "\n") {
		r.play(line)
	}
	book := r.sim.Book(r.now)
	agent, boss := book.Agent("1001"), book.Agent("2001")
	if agent == nil || boss == nil {
		t.Fatalf("the book has %v", book.Agents)
	}
	var states []string
	for _, s := range agent.States {
		states = append(states, fmt.Sprint(s.State, s.Reason, " ", s.To.Sub(s.From)))
	}
	want := "NOT_READY-1 10s, READY 2h0m0s, RESERVED 5s, TALKING 10s, HOLD 20s, TALKING 5s, NOT_READY1 30s"
	if got := strings.Join(states, ", "); got != want {
		t.Errorf("states\ngot  %s\nwant %s", got, want)
	}
	if got := agent.InState()[StateReason{"TALKING", ""}]; got != 15*time.Second {
		t.Errorf("talked %s, want 15s", got)
	}
	if want := (Figures{Taken: 1, Held: 1, Retrieved: 1, Released: 1}); agent.Figures != want {
		t.Errorf("figures %+v, want %+v", agent.Figures, want)
	}
	if len(agent.Sessions) != 1 || agent.Sessions[0].How != "forced" || agent.Sessions[0].By != "2001" || agent.Sessions[0].To.Sub(agent.Sessions[0].From) != 2*time.Hour+80*time.Second {
		t.Errorf("sessions %+v", agent.Sessions)
	}
	if len(agent.Calls) != 1 || agent.Calls[0].To.Sub(agent.Calls[0].From) != 35*time.Second || !agent.Calls[0].Incoming {
		t.Errorf("calls %+v", agent.Calls)
	}
	var acts []string
	for _, a := range boss.Actions {
		acts = append(acts, a.Do+" "+a.Target+" "+r.born(a.DialogID))
	}
	if got, want := strings.Join(acts, ", "), "SilentMonitor 1001 d1, BargeIn 1001 d1, ForceLogout 1001 "; got != want {
		t.Errorf("actions\ngot  %s\nwant %s", got, want)
	}
	if len(boss.Sessions) != 1 || boss.Sessions[0].How != "open" || !boss.Sessions[0].To.Equal(r.now) {
		t.Errorf("the supervisor's sessions %+v", boss.Sessions)
	}
}

// With delays the book follows the events, not the commands.
func TestBookFollowsEvents(t *testing.T) {
	r := newRig(t, Config{DelayMin: time.Second, DelayMax: time.Second, Faults: []string{"late:State:READY:7s"}})
	r.login("1001")
	r.lines("+10s\n1001 MakeReady\n+10s\n1001 MakeNotReady\n+10s")
	b := r.sim.Book(r.now).Agent("1001")
	if len(b.States) != 3 {
		t.Fatalf("states %+v", b.States)
	}
	if from, to := b.States[1].From.Sub(morning), b.States[1].To.Sub(morning); from != 11*time.Second || to != 21*time.Second {
		t.Errorf("READY from %s to %s, want 11s to 21s", from, to)
	}
}
