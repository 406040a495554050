package gcsim_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
	"gctap/replay/gcsim"
)

// dialer returns what opens connections to the broker.
func dialer(t *testing.T, b *brokertest.Broker) func() (capture.Link, error) {
	t.Helper()
	broker, err := link.ParseBroker(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	return func() (capture.Link, error) { return link.Open(context.Background(), link.Config{Broker: broker}) }
}

// serve starts a broker in this process and a simulated GC on it.
func serve(t *testing.T, cfg gcsim.Config) (dial func() (capture.Link, error), s *gcsim.Server) {
	t.Helper()
	b, err := brokertest.Start(t.Context(), brokertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	dial = dialer(t, b)
	l, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s, err = gcsim.Serve(t.Context(), l, "Connector1", cfg, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return dial, s
}

// The shift goes through over a broker, a connection for each agent.
func TestShiftOverBroker(t *testing.T) {
	site := gcsim.NewSite(4)
	sc, err := gcsim.Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	dial, s := serve(t, gcsim.Config{Site: site, Seed: 3, DelayMax: 5 * time.Millisecond})
	if err := gcsim.RunScenario(t.Context(), dial, sc); err != nil {
		t.Fatal(err)
	}
	if c := s.Counts(); c.LoggedIn != 0 || c.Dialogs != 0 || c.Ignored != 0 {
		t.Errorf("left behind: %+v", c)
	}
}

// The book names the supervisor of a forced logout: its command came over the
// connection that its own Login came over.
func TestForcedLogoutNamesSupervisor(t *testing.T) {
	site := gcsim.NewSite(1)
	dial, s := serve(t, gcsim.Config{Site: site})
	agents := map[string]*gcsim.Agent{}
	for _, id := range []string{"1001", "2001"} {
		l, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		a, err := gcsim.NewDesk(l, "").Seat(t.Context(), *site.Person(id))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Login(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		agents[id] = a
	}
	if err := agents["2001"].SendAs(t.Context(), "1001", "ForceLogout"); err != nil {
		t.Fatal(err)
	}
	if err := agents["1001"].Await(t.Context(), 10*time.Second, gcsim.Want{Event: "State", State: "LOGOUT"}); err != nil {
		t.Fatal(err)
	}
	b := s.Book().Agent("1001")
	if len(b.Sessions) != 1 || b.Sessions[0].How != "forced" || b.Sessions[0].By != "2001" {
		t.Errorf("sessions %+v, want one forced by 2001", b.Sessions)
	}
}

// A connection that cannot be had is the scenario's failure.
func TestScenarioWithoutBroker(t *testing.T) {
	site := gcsim.NewSite(4)
	sc, err := gcsim.Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	dial, s := serve(t, gcsim.Config{Site: site})
	_ = s
	n := 0
	err = gcsim.RunScenario(t.Context(), func() (capture.Link, error) {
		if n++; n > 2 {
			return nil, context.DeadlineExceeded
		}
		return dial()
	}, sc)
	if err == nil || !strings.HasPrefix(err.Error(), "scenario shift: ") {
		t.Errorf("got %v", err)
	}
}
