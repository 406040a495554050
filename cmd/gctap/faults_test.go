package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

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

// TestTwentyAgentsOverABroker wants the machine to itself: set GCTAP_SOAK. A session of four teams
// is recorded and replayed three times in a row in each way of synchronising.
func TestTwentyAgentsOverABroker(t *testing.T) {
	if os.Getenv("GCTAP_SOAK") == "" {
		t.Skip("wants the machine to itself: set GCTAP_SOAK=1")
	}
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	teams := gcsim.NewTeams(4, 5)
	recordShiftOf(t, teams, db)
	credentials, _ := credentialsFileOf(t, teams, dir)
	for _, sync := range []string{"cause", "both", "clock"} {
		for n := range 3 {
			t.Run(fmt.Sprint(sync, n+1), func(t *testing.T) {
				lab := startLaboratoryOf(t, teams, uint64(400+n))
				args := []string{"replay", "incident", "--to", lab.URL(), "--sync", sync, "--stimulus", "sim", "--look", "50ms",
					"--allow-source", "--credentials", credentials, "--diff"}
				if sync == "clock" {
					args = append(args, "--speed", "0.1")
				}
				p := gctap(t, db, args...)
				if code := p.end(nil); code != exitOK {
					t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
				}
			})
		}
	}
}
