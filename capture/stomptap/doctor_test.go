package stomptap

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
)

func examine(t *testing.T, link *fakeLink, during func()) *Examination {
	t.Helper()
	var got *Examination
	synctest.Test(t, func(t *testing.T) {
		link.subs = map[string]func(capture.Delivery){}
		link.added = make(chan string, 10)
		cfg := Config{
			Queues: []string{"Connector1"}, Consumer: "gctap",
			Handshake: func(r *capture.Record) []string { return []string{"desk"} },
			IsEvent:   func(r *capture.Record) bool { return string(r.Body) == "1001#State#READY" },
		}
		done := make(chan error)
		go func() {
			e, err := Examine(t.Context(), link, cfg, 15*time.Second)
			got = e
			done <- err
		}()
		synctest.Wait()
		if during != nil {
			during()
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for len(link.added) > 0 {
			if dest := <-link.added; dest != everyTopic {
				t.Errorf("examined by subscribing to %s", dest)
			}
		}
	})
	return got
}

func evidence(e *Examination) map[Mode]Evidence {
	m := map[Mode]Evidence{}
	for _, f := range e.Modes {
		m[f.Mode] = f.Evidence
	}
	return m
}

func TestExamine(t *testing.T) {
	link := &fakeLink{}
	e := examine(t, link, func() {
		link.message("topic://VirtualTopic.Mirror.Connector1", "Hello#desk", "")
		link.message("topic://desk", "", "System#IN_SERVICE")
		link.message("topic://other", "", "1001#State#READY")
		link.message("topic://stocks", "", "12.5")
	})
	want := map[Mode]Evidence{Mirror: Seen, Composite: NotSeen, Durable: Untried, Events: Seen}
	for mode, ev := range want {
		if got := evidence(e)[mode]; got != ev {
			t.Errorf("%s: %s, want %s", mode, got, ev)
		}
	}
	if !e.Complete() || e.Foreign != 1 || len(e.Clients) != 2 || e.Waited != 15*time.Second {
		t.Errorf("%+v", e)
	}
}

func TestExamineQuietAndRefused(t *testing.T) {
	e := examine(t, &fakeLink{}, nil)
	if e.Complete() || evidence(e)[Events] != NotSeen {
		t.Errorf("a quiet broker: %+v", e)
	}
	e = examine(t, &fakeLink{refuse: everyTopic}, nil)
	if e.Complete() || evidence(e)[Events] != Refused || !strings.Contains(e.Modes[0].Words, "not authorized") {
		t.Errorf("a broker that refuses: %+v", e)
	}
}
