package gcsim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
)

// served runs f with a simulated GC on a bus, in simulated time.
func served(t *testing.T, cfg Config, f func(t *testing.T, ctx context.Context, b *bus, s *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		link, err := b.dial()
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		s, err := Serve(t.Context(), link, "", cfg, func(line string) { said = append(said, line) })
		if err != nil {
			t.Fatal(err)
		}
		f(t, t.Context(), b, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := link.Close(); err != nil {
			t.Error(err)
		}
		for _, line := range said {
			t.Error("the simulator says:", line)
		}
	})
}

// The shift goes through, whatever the delays, and the book has what it did.
func TestShift(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			site := NewSite(4)
			sc, err := Shift(site)
			if err != nil {
				t.Fatal(err)
			}
			cfg := Config{Site: site, Seed: seed, DelayMax: time.Duration(seed) * 100 * time.Millisecond}
			served(t, cfg, func(t *testing.T, ctx context.Context, b *bus, s *Server) {
				if err := RunScenario(ctx, b.dial, sc); err != nil {
					t.Fatal(err)
				}
				checkShift(t, s)
			})
		})
	}
}

func checkShift(t *testing.T, s *Server) {
	t.Helper()
	want := map[string]Figures{
		"1001": {Taken: 3, Released: 2, Held: 1, Retrieved: 1, Consulted: 1, Transferred: 1, WrapUps: 1},
		"1002": {Taken: 1, Made: 1, Released: 2},
		"1003": {Taken: 2, Released: 1, Consulted: 1, Conferenced: 1},
		"1004": {Taken: 2, Released: 1, Transferred: 1},
		"2001": {Released: 1},
	}
	book := s.Book()
	for id, figures := range want {
		b := book.Agent(id)
		if b == nil {
			t.Errorf("%s is not in the book", id)
			continue
		}
		if b.Figures != figures {
			t.Errorf("%s: figures %+v, want %+v", id, b.Figures, figures)
		}
		if len(b.Sessions) != 1 || b.Sessions[0].How != "logout" {
			t.Errorf("%s: sessions %+v", id, b.Sessions)
		}
	}
	if c := s.Counts(); c.LoggedIn != 0 || c.Dialogs != 0 || c.Waiting != 0 || c.Ignored != 0 {
		t.Errorf("left behind: %+v", c)
	}
	if p := s.Planted(); len(p) > 0 {
		t.Errorf("planted %+v without being asked", p)
	}
}

// What the builds do wrong shows in a shift, and only that.
func TestBuildsInShift(t *testing.T) {
	cases := []struct {
		build   string
		planted []string // classes, names and fields
	}{
		{"a", nil},
		{"b", []string{"changed InboundCall participants[1].time", "changed NewInboundCall callType", "changed State reasonCode"}},
		{"c", []string{"duplicated ReasonCodes", "extra Control", "late Phonebooks", "missing ConsultCall", "reordered InboundCall"}},
	}
	for _, c := range cases {
		t.Run(c.build, func(t *testing.T) {
			site := NewSite(4)
			sc, err := Shift(site)
			if err != nil {
				t.Fatal(err)
			}
			served(t, Config{Site: site, Build: c.build}, func(t *testing.T, ctx context.Context, b *bus, s *Server) {
				if err := RunScenario(ctx, b.dial, sc); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, d := range s.Planted() {
					got = append(got, strings.TrimSpace(d.Class+" "+d.Name+" "+d.Field))
				}
				slices.Sort(got)
				if got = slices.Compact(got); !slices.Equal(got, c.planted) {
					t.Errorf("planted %q\nwant    %q", got, c.planted)
				}
			})
		})
	}
}

// Four teams work side by side, on one link.
func TestShiftOfTeams(t *testing.T) {
	site := NewTeams(4, 4)
	sc, err := Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	if len(sc.Scripts) != 20 {
		t.Fatalf("%d scripts, want 20", len(sc.Scripts))
	}
	served(t, Config{Site: site, DelayMax: 200 * time.Millisecond}, func(t *testing.T, ctx context.Context, b *bus, s *Server) {
		link, _ := b.dial()
		if err := RunScenario(ctx, func() (capture.Link, error) { return link, nil }, sc); err != nil {
			t.Fatal(err)
		}
		checkShift(t, s)
	})
}

// An agent waits until GC is in service.
func TestHelloUntilInService(t *testing.T) {
	site := NewSite(1)
	served(t, Config{Site: site}, func(t *testing.T, ctx context.Context, b *bus, s *Server) {
		if err := s.Stimulate(Stimulus{Do: DoOutOfService}); err != nil {
			t.Fatal(err)
		}
		link, _ := b.dial()
		defer link.Close()
		a, err := NewDesk(link, "").Seat(ctx, *site.Person("1001"))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(10*time.Second, func() {
			if err := s.Stimulate(Stimulus{Do: DoInService}); err != nil {
				t.Error(err)
			}
		})
		began := time.Now()
		if err := a.Login(ctx, time.Minute); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("logged in after %s, want 10s", took)
		}
	})
}

// A step that fails says which, of whom and why; the others stop.
func TestScenarioFailure(t *testing.T) {
	site := NewSite(4)
	sc, err := Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	for fault, want := range map[string]string{
		"error:HoldCall=CF_RESOURCE_BUSY@1": "scenario shift: step 14: HoldCall: agent 1001: got the error CF_RESOURCE_BUSY",
		"missing:1003/State:LOGOUT":         "agent 1003: waited 10s for [State LOGOUT]: no such event came",
	} {
		cfg := Config{Site: site, Faults: []string{fault}}
		served(t, cfg, func(t *testing.T, ctx context.Context, b *bus, _ *Server) {
			if err := RunScenario(ctx, b.dial, sc); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v\nwant %s", fault, err, want)
			}
		})
	}
}

// Passwords with a comma go through, from the client to the simulator.
func TestCommaInPassword(t *testing.T) {
	site := NewSite(1)
	site.Person("1001").Password = "open,sesame"
	served(t, Config{Site: site, ConnectorSync: true}, func(t *testing.T, ctx context.Context, b *bus, _ *Server) {
		link, _ := b.dial()
		defer link.Close()
		synced := make(chan string, 1)
		if _, err := link.Subscribe(ctx, capture.Subscription{Destination: "topic://ConnectorSync"}, func(d capture.Delivery) {
			synced <- string(d.Record.Body)
		}); err != nil {
			t.Fatal(err)
		}
		a, err := NewDesk(link, "").Seat(ctx, *site.Person("1001"))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Login(ctx, time.Second); err != nil {
			t.Fatal(err)
		}
		if body := <-synced; !strings.HasPrefix(body, "AgentState#1001#open,sesame#3001#") {
			t.Errorf("on ConnectorSync: %q", body)
		}
	})
}

// A thousand agents on one link work side by side.
func TestManyAgents(t *testing.T) {
	const agents = 1000
	site := NewSite(agents)
	cfg := Config{Site: site, DelayMax: 50 * time.Millisecond}
	sc := Scenario{Name: "many"}
	for _, p := range site.People {
		if p.Supervisor {
			continue
		}
		sc.Scripts = append(sc.Scripts, Script{p, steps([]Step{{Login: true}, do("MakeReady", nil, state("READY"))},
			called(p, "5550100", "one"), []Step{hangUpIn("one", "READY")}, goes())})
	}
	served(t, cfg, func(t *testing.T, ctx context.Context, b *bus, s *Server) {
		link, _ := b.dial()
		if err := RunScenario(ctx, func() (capture.Link, error) { return link, nil }, sc); err != nil {
			t.Fatal(err)
		}
		if c := s.Counts(); c.Commands != agents*8 || c.Dialogs != 0 {
			t.Errorf("%+v, want %d commands", c, agents*8)
		}
	})
}

// With automatic calls agents are kept busy for hours, and nothing is lost.
func TestAutomaticCalls(t *testing.T) {
	r := newRig(t, Config{Site: NewSite(3), Calls: CallsAuto, Auto: Auto{Every: 5 * time.Second}})
	r.login("1001", "1002", "1003")
	r.lines("1001 MakeReady\n1002 MakeReady\n1003 MakeReady")
	for range 3600 {
		for _, e := range r.play("+1s") {
			if e.Event.Name == "NewInboundCall" {
				r.command(e.Event.Agent + " AnswerCall " + e.Text("dialogId"))
			}
		}
	}
	book := r.sim.Book(r.now)
	taken := 0
	for i := range book.Agents {
		b := &book.Agents[i]
		taken += b.Taken
		var total time.Duration
		for _, d := range b.InState() {
			total += d
		}
		if total != time.Hour {
			t.Errorf("%s: states add up to %s, want 1h", b.Agent, total)
		}
	}
	if taken < 100 {
		t.Errorf("%d calls taken in an hour, want more", taken)
	}
}

// Stimuli that cannot be are refused with a reason.
func TestStimulusErrors(t *testing.T) {
	cases := []struct {
		st   Stimulus
		want string
	}{
		{Stimulus{Do: "jump"}, "not one of"},
		{Stimulus{Do: DoCall, From: "1", To: "9999"}, "nobody has"},
		{Stimulus{Do: DoCall, To: "1001"}, "give from"},
		{Stimulus{Do: DoHangup, Agent: "1001"}, "has no call"},
		{Stimulus{Do: DoHangup, Agent: "9999"}, "no such agent"},
		{Stimulus{Do: DoHangup, DialogID: "1"}, "no such call"},
		{Stimulus{Do: DoReserveOutbound, Agent: "1001"}, "give from"},
		{Stimulus{Do: DoReserveOutbound, Agent: "1001", From: "1", Mode: "blind"}, "neither preview nor"},
		{Stimulus{Do: DoReserveOutbound, Agent: "9999", From: "1"}, "no such agent"},
		{Stimulus{Do: DoReLogin, Agent: "9999"}, "no such agent"},
		{Stimulus{Do: DoConnectorSync, Agent: "9999"}, "no such agent"},
	}
	r := newRig(t, Config{})
	for _, c := range cases {
		if err := r.sim.Stimulate(r.now, c.st); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.st, err, c.want)
		}
	}
}

// A stimulus survives its JSON form; a key that does not exist is refused.
func TestStimulusJSON(t *testing.T) {
	st := Stimulus{Do: DoCall, From: "42512", To: "5000", Variables: map[string]string{"callVariable1": "x"}}
	m := st.Message()
	if want := `{"do":"call","from":"42512","to":"5000","variables":{"callVariable1":"x"}}`; string(m.Body) != want || m.To != ControlTopic {
		t.Errorf("got %s to %s\nwant %s", m.Body, m.To, want)
	}
	var back Stimulus
	if err := back.UnmarshalJSON(m.Body); err != nil || fmt.Sprint(back) != fmt.Sprint(st) {
		t.Errorf("read back %+v, %v", back, err)
	}
	if err := back.UnmarshalJSON([]byte(`{"do":"call","frm":"1"}`)); err == nil {
		t.Error("a wrong key is taken")
	}
}
