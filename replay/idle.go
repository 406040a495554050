package replay

import (
	"cmp"
	"slices"
	"time"
)

// SkipIdle shortens every stretch of the plan in which neither a command nor a
// stimulus is due to d at the most. Order stays; Span shrinks by as much. It
// returns how much time was taken out.
func (p *Plan) SkipIdle(d time.Duration) (skipped time.Duration) {
	var moments []*time.Duration
	for i := range p.Steps {
		moments = append(moments, &p.Steps[i].At)
	}
	for i := range p.Stimuli {
		moments = append(moments, &p.Stimuli[i].Due)
	}
	for i := range p.Conversations {
		moments = append(moments, &p.Conversations[i].EndAt)
	}
	slices.SortStableFunc(moments, func(a, b *time.Duration) int { return cmp.Compare(*a, *b) })
	last := time.Duration(0) // as it was
	for _, m := range moments {
		at := *m
		if idle := at - last; idle > d && at > 0 {
			skipped += idle - d
		}
		last = max(last, at)
		*m = at - skipped
	}
	p.Span = max(0, p.Span-skipped)
	return skipped
}
