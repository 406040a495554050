package diff_test

import (
	"errors"
	"slices"
	"testing"

	"gctap/replay/diff"
)

// TestPairsAreTold: each message of both sessions once, each difference with
// the message it is about, and what a rule leaves out.
func TestPairsAreTold(t *testing.T) {
	left := session(t, `
		0s > MakeReady#1001
		10ms < desk 1001#State#READY#0###2026-11-21 09:00:00#A#1001#3001#label#A#a
		1s > MakeNotReady#1001
		1010ms < desk 1001#State#NOT_READY#7###2026-11-21 09:00:01#A#1001#3001#label#A#a
		2s < desk 1001#Control#PrintStatusBar#hello
		3s > MakeReady#1002
		3010ms < desk 1002#State#READY#0###2026-11-21 09:00:03#B#1002#3002#label#B#b`)
	right := session(t, `
		0s > MakeReady#1001
		10ms < desk 1001#State#READY#0###2026-11-21 10:00:00#A#1001#3001#label#A#a
		1s > MakeNotReady#1001
		1010ms < desk 1001#State#NOT_READY#8###2026-11-21 10:00:01#A#1001#3001#other#A#a
		3s > MakeReady#1002
		3010ms < desk 1002#State#READY#0###2026-11-21 10:00:03#B#1002#3002#label#B#b
		4s < desk 1002#Control#PrintStatusBar#bye`)
	seen := [2]map[int64]bool{{}, {}}
	var found []diff.Difference
	rules := map[string][]int64{}
	opts := diff.Options{Ignore: []string{"State.label"}, Pairs: func(p *diff.Pair) error {
		for side, seq := range []int64{p.Left, p.Right} {
			if seq != 0 && seen[side][seq] {
				t.Errorf("message %d comes twice", seq)
			}
			seen[side][seq] = true
		}
		for _, d := range p.Found {
			if d.Left != nil && *d.Left != p.Left || d.Right != nil && *d.Right != p.Right || d.Conversation != p.Conversation {
				t.Errorf("%+v is told with %+v", d, p)
			}
		}
		found = append(found, p.Found...)
		for _, rule := range p.LeftOut {
			rules[rule] = append(rules[rule], p.Left)
		}
		return nil
	}}
	report := compare(t, left, right, opts)
	if len(seen[0]) != len(left)+1 || len(seen[1]) != len(right)+1 {
		t.Errorf("%d and %d messages are told", len(seen[0])-1, len(seen[1])-1)
	}
	if len(found) != 3 || len(found) != len(report.Differences) {
		t.Errorf("%d differences are told, the report has %d: %s", len(found), len(report.Differences), text(report))
	}
	if got := rules["ignore:label"]; !slices.Equal(got, []int64{4}) {
		t.Errorf("the rule is told of %v, of all %v", got, rules)
	}
	if got := rules["volatile:stateChangeTime"]; !slices.Equal(got, []int64{2, 4, 7}) {
		t.Errorf("volatile fields are told of %v, of all %v", got, rules)
	}
}

func TestPairsCanEndAComparison(t *testing.T) {
	enough := errors.New("enough")
	records := session(t, "0s > MakeReady#1001\n1s > MakeReady#1002\n2s > MakeReady#1003")
	told := 0
	_, err := diff.Compare(seq(records), seq(records), diff.Options{Pairs: func(*diff.Pair) error { told++; return enough }})
	if !errors.Is(err, enough) || told != 1 {
		t.Errorf("%v after %d pairs", err, told)
	}
}
