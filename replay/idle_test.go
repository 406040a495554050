package replay

import (
	"testing"
	"time"
)

func TestSkipIdle(t *testing.T) {
	p := plan(t, shortCall) // commands at 0, 0.2, 0.2, 1, 6 and 8 s; the call at 5 s
	if skipped := p.SkipIdle(2 * time.Second); skipped != 2*time.Second {
		t.Errorf("skipped %s, want 2s: from the command at 1s to the call at 5s", skipped)
	}
	var at []time.Duration
	for _, s := range p.Steps {
		at = append(at, s.At)
	}
	want := []time.Duration{0, 200 * time.Millisecond, 200 * time.Millisecond, time.Second, 4 * time.Second, 6 * time.Second}
	for i := range want {
		if at[i] != want[i] {
			t.Errorf("commands at %v, want %v", at, want)
			break
		}
	}
	if due := p.Stimuli[0].Due; due != 3*time.Second {
		t.Errorf("the call is due at %s, want 3s", due)
	}
	if skipped := p.SkipIdle(2 * time.Second); skipped != 0 {
		t.Errorf("a second time %s", skipped)
	}
}
