package flow

import (
	"strings"
	"testing"
)

// TestALateCopyIsNoChange: what a supervisor is told of an agent may come after
// what followed, and before the agent's own.
func TestALateCopyIsNoChange(t *testing.T) {
	at := func(line, time string) string { return strings.ReplaceAll(line, "10:00:00", time) }
	f := New(Options{})
	got := story(t, f, `
		< T1 `+at(state("1001", "1001", "NOT_READY"), "10:00:00")+`
		< T2 `+at(state("2001", "1001", "NOT_READY"), "10:00:00")+`
		< T1 `+at(state("1001", "1001", "READY"), "10:00:01")+`
		< T1 `+at(state("1001", "1001", "RESERVED"), "10:00:02")+`
		< T2 `+at(state("2001", "1001", "READY"), "10:00:01")+`
		< T2 `+at(state("2001", "1001", "RESERVED"), "10:00:02")+`
		< T2 `+at(state("2001", "1001", "TALKING"), "10:00:03")+`
		< T1 `+at(state("1001", "1001", "TALKING"), "10:00:03"))
	want(t, got, `
		1 State 1001:>NOT_READY
		2 State
		3 State 1001:NOT_READY>READY
		4 State 1001:READY>RESERVED
		5 State
		6 State
		7 State
		8 State 1001:RESERVED>TALKING`)
	if a := f.Agent("1001"); a.State != "TALKING" || a.Seq != 8 {
		t.Errorf("the agent is %s since message %d", a.State, a.Seq)
	}
}

// TestCopiesCountWhereThereIsNothingElse: of an agent whose own events the tap
// does not see, a supervisor's are believed, once each.
func TestCopiesCountWhereThereIsNothingElse(t *testing.T) {
	got := story(t, New(Options{}), `
		< T2 `+state("2001", "1001", "NOT_READY")+`
		< T3 `+state("2002", "1001", "NOT_READY")+`
		< T2 `+state("2001", "1001", "READY"))
	want(t, got, `
		1 State 1001:>NOT_READY
		2 State
		3 State 1001:NOT_READY>READY`)
}
