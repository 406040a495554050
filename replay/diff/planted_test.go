package diff_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gctap/replay"
	"gctap/replay/diff"
)

// drawFault makes a fault of every class from a seed: a field, a label, a call
// type, a missing, extra, doubled, late or reordered event, another error code.
func drawFault(seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 7))
	late := fmt.Sprintf("%ds", 8+rng.IntN(4))
	faults := [][]string{
		{"change:State:NOT_READY.label=Luncheon@%d", "change:State:READY.reasonCode=77@%d"},
		{"change:NewInboundCall.callType=OTHER_IN@%d", "change:InboundCall:ACTIVE.callType=OTHER_IN@%d"},
		{"missing:Phonebooks@1", "missing:InboundCall:HELD@%d", "missing:ReasonCodes@%d"},
		{"extra:State:TALKING@%d", "extra:PhonebookContacts@1", "extra:InboundCall:HELD@%d"},
		{"double:ReasonCodes@%d", "double:InboundCall:ACTIVE@%d", "double:State:READY@%d"},
		{"late:Phonebooks@1:" + late, "late:InboundCall:HELD@%d:" + late},
		{"reorder:InboundCall:HELD@1"},
		{"change:Error.errorCode=GENERIC_ERROR@1"},
	}
	class := faults[seed%uint64(len(faults))]
	fault := class[rng.IntN(len(class))]
	if strings.Contains(fault, "%d") {
		return fmt.Sprintf(fault, rng.IntN(2)+1)
	}
	return fault
}

// TestEveryPlantedFaultIsFoundAndNothingElse replays the shift on 50 GCs, each
// with ids, delays and one fault of its own.
func TestEveryPlantedFaultIsFoundAndNothingElse(t *testing.T) {
	classes := map[string]int{}
	for seed := range uint64(50) {
		fault := drawFault(seed)
		t.Run(fmt.Sprint(seed, " ", fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				recording := steady(t, seed)
				cfg := plain(500+seed, fault)
				cfg.Camp = time.Minute // others wait for whoever waits for what is missing
				p := play(t, recording, cfg, replay.PlayOptions{Timeout: 15 * time.Second})
				r := compare(t, recording, p.records, diff.Options{})
				if len(p.planted) != 1 {
					t.Fatalf("planted %+v", p.planted)
				}
				want := p.planted[0]
				classes[want.Class]++
				if len(r.Differences) != 1 {
					t.Fatalf("planted %+v, found:\n%s", want, text(r))
				}
				if d := r.Differences[0]; d.Class != want.Class || d.Conversation != want.Conversation || d.Name != want.Name {
					t.Errorf("planted %+v, found:\n%s", want, text(r))
				}
			})
		})
	}
	if len(classes) != 6 {
		t.Errorf("only classes %v were planted", classes)
	}
}
