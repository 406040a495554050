package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"gctap/capture"
	"gctap/capture/brokertest"
)

func TestDoctor(t *testing.T) {
	for _, c := range []struct {
		name    string
		options brokertest.Options
		code    int
		modes   map[string]string
	}{
		{"mirrored", brokertest.Options{Mirror: true}, exitOK, map[string]string{"mirror": "works", "composite": "not seen", "events": "works"}},
		{"composite", brokertest.Options{Composite: []string{"Connector1"}}, exitOK, map[string]string{"mirror": "not seen", "composite": "works"}},
		{"bare", brokertest.Options{}, exitNegative, map[string]string{"mirror": "not seen", "events": "works", "durable": "untried", "browse": "untried", "consume": "untried"}},
		{"closed", brokertest.Options{Mirror: true, Readable: []string{"queue://>"}}, exitNegative, map[string]string{"mirror": "refused", "events": "refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			broker := startBroker(t, c.options)
			conn := dialBroker(t, broker.URL())
			p := gctap(t, t.TempDir()+"/t.db", "doctor", broker.URL(), "--wait", "1s", "--json")
			ctx, stop := context.WithCancel(t.Context())
			traffic := make(chan struct{})
			go func() { // for as long as the doctor listens
				defer close(traffic)
				for ctx.Err() == nil {
					conn.Send(ctx, capture.Outgoing{To: "queue://Connector1", JMSType: new("Hello#desk")})
					conn.Send(ctx, capture.Outgoing{To: "topic://desk", Body: []byte("1001#Control#PrintStatusBar#hello")})
					conn.Sync(ctx)
				}
			}()
			if code := p.end(nil); code != c.code {
				t.Errorf("exit %d, want %d: %s", code, c.code, p.said())
			}
			stop()
			<-traffic
			var got struct {
				Modes         []struct{ Mode, Evidence string }
				Configuration string
			}
			if err := json.Unmarshal(p.out.Bytes(), &got); err != nil {
				t.Fatal(err, p.out.String())
			}
			for _, m := range got.Modes {
				if want, ok := c.modes[m.Mode]; ok && m.Evidence != want {
					t.Errorf("%s: %s, want %s", m.Mode, m.Evidence, want)
				}
			}
			if missing := c.code != exitOK; missing != strings.Contains(got.Configuration, "mirroredQueue") {
				t.Errorf("configuration to add: %q", got.Configuration)
			}
		})
	}
}
