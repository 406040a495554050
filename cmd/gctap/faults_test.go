package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture/brokertest"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
)

// deviations are faults of every class that diff tells apart, some variants of
// each. Late ones are over twice --late, what GC takes anyway is far under half
// of it.
var deviations = map[string][]string{
	"field":        {"change:State:READY.reasonCode=77@1", "change:State:READY.reasonCode=77@2", "change:AgentInfo.firstName=Nobody@3"},
	"label":        {"change:State:NOT_READY.label=Luncheon@2", "change:State:NOT_READY.label=Luncheon@1", "change:State:LOGOUT.label=Gone@1"},
	"call type":    {"change:NewInboundCall.callType=OTHER_IN@1", "change:InboundCall:ACTIVE.callType=OTHER_IN@2", "change:NewInboundCall.callType=OTHER_IN@3"},
	"error code":   {"change:Error.errorCode=GENERIC_ERROR@1", "change:Error.errorCode=GENERIC_ERROR@2", "change:Error.errorCode=CF_RESOURCE_BUSY@1"},
	"missing":      {"missing:ReasonCodes@1", "missing:Phonebooks@1", "missing:InboundCall:HELD@1"},
	"extra":        {"extra:PhonebookContacts@1", "extra:State:TALKING@2", "extra:InboundCall:HELD@1"},
	"reordered":    {"reorder:ConsultCall:INITIATING@1", "reorder:ConsultCall:INITIATING@2", "reorder:ConsultCall:INITIATING@3"},
	"duplicated":   {"double:InboundCall:ACTIVE@2", "double:ReasonCodes@1", "double:InboundCall:HELD@1"},
	"late":         {"late:InboundCall:HELD@1:2500ms", "late:InboundCall:HELD@2:2500ms", "late:DialogState@1:2500ms"},
	"none planted": {"", "", ""},
}

// plantAndFind replays to GCs that lab starts, with one deviation of every
// class each, and wants exactly that to be found. GCs on brokers of their own
// can be at work in parallel.
func plantAndFind(t *testing.T, db, credentials string, seed int, parallel bool, lab func(t *testing.T, seed uint64, faults ...string) laboratory) {
	for i, class := range slices.Sorted(maps.Keys(deviations)) {
		var faults []string
		if fault := deviations[class][seed]; fault != "" {
			faults = append(faults, fault)
		}
		t.Run(fmt.Sprint(seed, " ", class, " ", faults), func(t *testing.T) {
			db := db
			if parallel {
				t.Parallel()
				db = copyOf(t, db)
			}
			lab := lab(t, uint64(300+100*seed+i), faults...)
			p := gctap(t, db, "replay", "incident", "--to", lab.URL(), "--sync", "cause", "--stimulus", "sim", "--look", "50ms",
				"--allow-source", "--credentials", credentials, "--diff", "--late", "1s", "--timeout", "4s", "--format", "json")
			code := p.end(nil)
			planted := lab.gc.Planted()
			lab.gc.Close()
			var r diff.Report
			if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
				t.Fatalf("exit %d: %v: %s", code, err, p.said())
			}
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

// copyOf copies a store that nobody has open.
func copyOf(t *testing.T, db string) string {
	t.Helper()
	data, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "t.db")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestFaultsOverABroker plants over three seeds: ids, delays and the place of
// the fault are others each time. All but the first take long.
func TestFaultsOverABroker(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, dir)
	for seed := range 3 {
		if seed > 0 && os.Getenv("GCTAP_SLOW") == "" {
			break
		}
		plantAndFind(t, db, credentials, seed, true, startLaboratory)
	}
}

// TestFaultsOnActiveMQ is one seed of it on a real broker.
func TestFaultsOnActiveMQ(t *testing.T) {
	slow(t)
	b := startActiveMQ(t, brokertest.Options{Mirror: true})
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShiftOn(t, startGC(t, b, shiftSite, 1), shiftSite, db, 20*time.Millisecond)
	credentials, _ := credentialsFile(t, dir)
	plantAndFind(t, db, credentials, 0, false, func(t *testing.T, seed uint64, faults ...string) laboratory {
		return startGC(t, b, shiftSite, seed, faults...)
	})
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
