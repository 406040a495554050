package gcsim_test

import (
	"context"
	"errors"
	"os"
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

// serve starts a simulated GC on a broker.
func serve(t *testing.T, b *brokertest.Broker, cfg gcsim.Config) (dial func() (capture.Link, error), s *gcsim.Server) {
	t.Helper()
	dial = dialer(t, b)
	l, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s, err = gcsim.Serve(t.Context(), l, "Connector1", cfg, func(line string) { t.Error(line) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return dial, s
}

// process starts a broker in this process.
func process(t *testing.T) *brokertest.Broker {
	t.Helper()
	b, err := brokertest.Start(t.Context(), brokertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// activeMQ starts a real broker. Where there is none the test is skipped, but
// in a build job, which sets GCTAP_REQUIRE_ACTIVEMQ.
func activeMQ(t *testing.T) *brokertest.Broker {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	b, err := brokertest.StartActiveMQ(ctx, brokertest.Options{})
	if errors.Is(err, brokertest.ErrNoActiveMQ) && os.Getenv("GCTAP_REQUIRE_ACTIVEMQ") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// Over a broker the shift of four teams goes through, a connection for each
// agent, and the book names the supervisor of a forced logout.
func TestOverBroker(t *testing.T) {
	brokers := map[string]func(*testing.T) *brokertest.Broker{"process": process, "activemq": activeMQ}
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			t.Run("shift", func(t *testing.T) { shiftOver(t, b) })
			t.Run("forced logout", func(t *testing.T) { forcedLogoutOver(t, b) })
		})
	}
}

func shiftOver(t *testing.T, b *brokertest.Broker) {
	site := gcsim.NewTeams(4, 4)
	sc, err := gcsim.Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	dial, s := serve(t, b, gcsim.Config{Site: site, Seed: 3, DelayMax: 5 * time.Millisecond})
	if err := gcsim.RunScenario(t.Context(), dial, sc); err != nil {
		t.Fatal(err)
	}
	if c := s.Counts(); c.LoggedIn != 0 || c.Dialogs != 0 || c.Ignored != 0 {
		t.Errorf("left behind: %+v", c)
	}
}

// forcedLogoutOver: the supervisor's command came over the connection that its
// own Login came over.
func forcedLogoutOver(t *testing.T, b *brokertest.Broker) {
	site := gcsim.NewSite(1)
	dial, s := serve(t, b, gcsim.Config{Site: site})
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
	book := s.Book().Agent("1001")
	if len(book.Sessions) != 1 || book.Sessions[0].How != "forced" || book.Sessions[0].By != "2001" {
		t.Errorf("sessions %+v, want one forced by 2001", book.Sessions)
	}
}

// A connection that cannot be had is the scenario's failure.
func TestScenarioWithoutBroker(t *testing.T) {
	site := gcsim.NewSite(4)
	sc, err := gcsim.Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	dial, _ := serve(t, process(t), gcsim.Config{Site: site})
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
