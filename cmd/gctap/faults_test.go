package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture/brokertest"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
)

// TestFaultsOverABroker replays over a broker to three GCs with random delays
// under half of --late, each with one fault, the late one over twice --late;
// and to one without: exactly the fault is found.
func TestFaultsOverABroker(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, t.TempDir())
	for seed, fault := range []string{"", "late:InboundCall:HELD@1:2500ms", "missing:ReasonCodes@1", "double:InboundCall:ACTIVE@2"} {
		t.Run(fmt.Sprint(seed, " ", fault), func(t *testing.T) {
			var faults []string
			if fault != "" {
				faults = append(faults, fault)
			}
			lab := startLaboratory(t, uint64(300+seed), faults...)
			p := gctap(t, db, "replay", "incident", "--to", lab.URL(), "--sync", "cause", "--stimulus", "sim", "--look", "50ms",
				"--allow-source", "--credentials", credentials, "--diff", "--late", "1s", "--format", "json")
			code := p.end(nil)
			var r diff.Report
			if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
				t.Fatalf("exit %d: %v: %s", code, err, p.said())
			}
			planted := lab.gc.Planted()
			if len(planted) != len(faults) || len(r.Differences) != len(faults) {
				t.Fatalf("exit %d: planted %+v, found %s", code, planted, p.out.String())
			}
			for i, want := range planted {
				if d := r.Differences[i]; d.Class != want.Class || d.Conversation != want.Conversation || d.Name != want.Name {
					t.Errorf("planted %+v, found %+v", want, d)
				}
			}
		})
	}
}

// TestTwentyAgentsOnActiveMQ records a session of four teams on a real ActiveMQ
// and replays it three times in a row in each way of synchronising to GCs that
// give other ids; then once without stimuli.
func TestTwentyAgentsOnActiveMQ(t *testing.T) {
	slow(t)
	b := startActiveMQ(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	teams := gcsim.NewTeams(4, 5)
	recordShiftOn(t, startGC(t, b, teams, 1), teams, db, 150*time.Millisecond)
	credentials, _ := credentialsFileOf(t, teams, t.TempDir())
	replayTo := func(t *testing.T, seed uint64, args ...string) (*process, int) {
		lab := startGC(t, b, teams, seed)
		p := gctap(t, db, append([]string{"replay", "incident", "--to", lab.URL(), "--look", "50ms", "--allow-source", "--credentials", credentials}, args...)...)
		code := p.end(nil)
		lab.gc.Close()
		return p, code
	}
	for _, sync := range []string{"cause", "both", "clock"} {
		for n := range 3 {
			t.Run(fmt.Sprint(sync, n+1), func(t *testing.T) {
				args := []string{"--sync", sync, "--stimulus", "sim", "--diff", "--name", fmt.Sprint(sync, n+1)}
				if sync == "clock" {
					args = append(args, "--speed", "0.4")
				}
				p, code := replayTo(t, uint64(400+n), args...)
				if code != exitOK || !strings.HasPrefix(p.out.String(), "same: ") || !strings.Contains(p.said(), "sent 272 of 272 commands") {
					t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
				}
			})
		}
	}
	t.Run("without stimuli", func(t *testing.T) {
		p, code := replayTo(t, 500, "--timeout", "2s")
		if code != exitIncomplete {
			t.Errorf("exit %d: %s", code, p.said())
		}
		for team := range 4 {
			for call, agent := range []int{1, 1, 3, 3, 4} {
				want := fmt.Sprintf("did not come: an inbound call from %d to agent %d (#", 5552001+call, 1000+5*team+agent)
				if !strings.Contains(p.said(), want) {
					t.Errorf("no %q in:\n%s", want, p.said())
				}
			}
		}
	})
}
