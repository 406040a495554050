package gcsim

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkCalls is what one call costs, from ringing to the end, with a
// thousand agents logged in.
func BenchmarkCalls(b *testing.B) {
	r := newRig(b, Config{Site: NewSite(1000)})
	for i := range r.sim.cfg.Site.People {
		r.login(r.sim.cfg.Site.People[i].ID)
	}
	s := r.sim
	send := func(jmsType, body string) { s.Command(r.now, Command{Type: jmsType, Body: []byte(body)}) }
	b.ReportAllocs()
	events := 0
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprintf("1%04d", i%1000+1)
		r.now = r.now.Add(time.Millisecond)
		send("MakeReady#"+id, "")
		if err := s.Stimulate(r.now, Stimulus{Do: DoCall, From: "5550100", To: id}); err != nil {
			b.Fatal(err)
		}
		call := s.agents[id].legs[0].dialog.id
		send("AnswerCall#"+id, call)
		send("ReleaseCall#"+id, call)
		send("MakeNotReady#"+id, "")
		events += len(s.Advance(r.now))
	}
	b.ReportMetric(float64(events)/float64(b.N), "events/op")
}
