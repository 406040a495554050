package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/replay/gcsim"
)

// TestMock lets the simulated agents work their shift with a recording of it in
// GC's place.
func TestMock(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShift(t, db)
	_, secrets := credentialsFile(t, t.TempDir())
	b := startBroker(t, brokertest.Options{})
	p := gctap(t, db, "mock", "incident", "--on", b.URL(), "--look", "50ms", "--allow-source", "--name", "played")
	p.until("playing GC")
	shift, err := gcsim.Shift(shiftSite)
	if err != nil {
		t.Fatal(err)
	}
	if err := gcsim.RunScenario(t.Context(), func() (capture.Link, error) { return dialBroker(t, b.URL()), nil }, shift); err != nil {
		t.Errorf("%v: %s", err, p.said())
	}
	if code := p.end(os.Interrupt); code != exitOK || !strings.Contains(p.said(), ", 0 not; ") {
		t.Errorf("exit %d: %s", code, p.said())
	}
	list := gctap(t, db, "sessions", "--json")
	list.end(nil)
	if !strings.Contains(list.out.String(), `"name":"played","origin":"mock"`) {
		t.Errorf("no session of the mock in %s", list.out.String())
	}
	noSecrets(t, dir, secrets, p)
}

// TestMockForJMSClients is the same on a real ActiveMQ for clients that speak
// JMS over OpenWire, as those at a customer's site do.
func TestMockForJMSClients(t *testing.T) {
	slow(t)
	b := startActiveMQ(t, brokertest.Options{})
	classPath, err := brokertest.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	classes := compileJMSLink(t, classPath)
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	p := gctap(t, db, "mock", "incident", "--on", b.URL(), "--look", "50ms", "--allow-source", "--fallback", "silent")
	p.until("playing GC")
	shift, err := gcsim.Shift(shiftSite)
	if err != nil {
		t.Fatal(err)
	}
	jms := dialJMS(t, classes, classPath, b.OpenWire(), "", "")
	if err := gcsim.RunScenario(t.Context(), func() (capture.Link, error) { return jms, nil }, shift); err != nil {
		t.Errorf("%v: %s", err, p.said())
	}
	if code := p.end(os.Interrupt); code != exitOK || !strings.Contains(p.said(), "68 commands, 68 answered from the recording, 0 not; ") {
		t.Errorf("exit %d: %s", code, p.said())
	}
	if len(jms.notText) != 0 {
		t.Errorf("a JMS client got what is no TextMessage: %v", jms.notText)
	}
}

// TestMockFallback asks for what the recording does not have.
func TestMockFallback(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	for _, tt := range []struct {
		fallback string
		want     gcsim.Want
	}{
		{"error", gcsim.Want{Event: "Error", Code: "GENERAL_ERROR"}},
		{"sim", gcsim.Want{Event: "InboundCall", State: "INITIATED"}},
	} {
		t.Run(tt.fallback, func(t *testing.T) {
			b := startBroker(t, brokertest.Options{})
			p := gctap(t, db, "mock", "incident", "--on", b.URL(), "--allow-live", "--allow-source", "--fallback", tt.fallback)
			p.until("playing GC")
			strange := gcsim.Scenario{Name: "strange", Scripts: []gcsim.Script{{Person: shiftSite.People[0], Steps: []gcsim.Step{
				{Login: true},
				{Send: "MakeCall", With: []string{"5559999"}, Want: []gcsim.Want{tt.want}},
			}}}}
			if err := gcsim.RunScenario(t.Context(), func() (capture.Link, error) { return dialBroker(t, b.URL()), nil }, strange); err != nil {
				t.Errorf("%v: %s", err, p.said())
			}
			if code := p.end(os.Interrupt); code != exitOK || !strings.Contains(p.said(), "MakeCall of "+shiftSite.People[0].ID+": the closest is #") {
				t.Errorf("exit %d: %s", code, p.said())
			}
		})
	}
}

func TestMockRefuses(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	b := startBroker(t, brokertest.Options{})
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"the source's host", "--allow-source", []string{"mock", "incident", "--on", b.URL()}},
		{"no broker", "--on", []string{"mock", "incident"}},
		{"a wrong --fallback", "--fallback", []string{"mock", "incident", "--on", b.URL(), "--fallback", "prayer"}},
		{"a wrong --map", "--map", []string{"mock", "incident", "--on", b.URL(), "--map", "x"}},
		{"not to listen", "--allow-live", []string{"mock", "incident", "--on", b.URL(), "--allow-source", "--look", "0s"}},
		{"a session that is not there", "no session", []string{"mock", "nothing", "--on", b.URL()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := gctap(t, db, tt.args...)
			if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), tt.want) {
				t.Errorf("exit %d, want %q: %s", code, tt.want, p.said())
			}
		})
	}
	conn := dialBroker(t, b.URL())
	p := gctap(t, db, "mock", "incident", "--on", b.URL(), "--look", "1m", "--allow-source")
	p.until("listening")
	stop, ended := make(chan struct{}), make(chan int)
	go func() { ended <- p.end(nil) }()
	go func() { // until it is heard: the subscription may come after the line
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = conn.Send(t.Context(), capture.Outgoing{To: "topic://desk7", Body: []byte("7777#State#READY####t#A B#7777#3777##A B#ab")})
			}
		}
	}()
	if code := <-ended; code != exitFailed || !strings.Contains(p.said(), "7777") {
		t.Errorf("exit %d: %s", code, p.said())
	}
	close(stop)
}
