package check

import (
	"fmt"
	"math"
	"testing"
	"time"

	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay/gcsim"
)

// audited runs an Audit over a floor.
func audited(t testing.TB, f *floor, o AuditOptions) (*AuditResult, []*Entry) {
	t.Helper()
	var entries []*Entry
	a := NewAudit(o, func(e *Entry) { entries = append(entries, e) })
	if err := Run(f.all, Options{Until: f.end}, a); err != nil {
		t.Fatal(err)
	}
	return a.Result(), entries
}

const tenth = 100 * time.Millisecond

func apart(a, b time.Duration) bool { return math.Abs(float64(a-b)) > float64(tenth) }

// nights are when the runs begin: in the day, before midnight, and before the
// clocks change in spring and autumn.
func nights(t *testing.T) []time.Time {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no zone data: ", err)
	}
	return []time.Time{
		time.Date(2026, 11, 21, 9, 0, 0, 0, berlin),
		time.Date(2026, 11, 21, 23, 40, 0, 0, berlin),
		time.Date(2026, 3, 29, 1, 40, 0, 0, berlin),
		time.Date(2026, 10, 25, 2, 40, 0, 0, berlin), // 2:40 comes twice
		time.Date(2026, 10, 24, 23, 50, 0, 0, berlin),
	}
}

// TestAuditEqualsTheBook holds an audit against the simulator's own book.
func TestAuditEqualsTheBook(t *testing.T) {
	starts := nights(t)
	for seed := uint64(1); seed <= seeds; seed++ {
		start := starts[seed%uint64(len(starts))]
		length := 45 * time.Minute
		if seed%10 == 0 {
			length = 3 * time.Hour
		}
		f := play(t, floorOptions{seed: seed, start: start, length: length, agents: 5 + int(seed%7), zone: start.Location()})
		result, entries := audited(t, f, AuditOptions{Zone: start.Location()})
		book := f.sim.Book(f.end)
		for i := range book.Agents {
			compareBook(t, fmt.Sprintf("seed %d, %s", seed, book.Agents[i].Agent), &book.Agents[i], result, entries)
		}
		for _, d := range result.Days {
			if d.Uncertain != 0 {
				t.Errorf("seed %d: %s on %s is uncertain by %s without a gap", seed, d.Agent, d.Day, d.Uncertain)
			}
		}
		compareDays(t, seed, book, result, start.Location())
	}
}

// TestAuditOfACampaign holds an audit against the book where a dialler takes
// agents: previews that are accepted and declined, calls that are put through,
// callbacks.
func TestAuditOfACampaign(t *testing.T) {
	taken, declined, previews, callbacks := 0, 0, 0, 0
	for seed := uint64(1); seed <= seeds; seed++ {
		f := play(t, floorOptions{seed: seed, length: 40 * time.Minute, dialer: true})
		result, entries := audited(t, f, AuditOptions{})
		book := f.sim.Book(f.end)
		for i := range book.Agents {
			compareBook(t, fmt.Sprintf("seed %d, %s", seed, book.Agents[i].Agent), &book.Agents[i], result, entries)
		}
		for i := range f.records {
			switch m := flow.Decode(&f.records[i], decode.Options{}); m.Name {
			case "NewOutboundCall":
				taken++
			case "RejectOutboundPreview", "CloseOutboundPreview":
				declined++
			case "AcceptOutboundPreview":
				previews++
			case "Callback":
				callbacks++
			}
		}
	}
	if taken == 0 || declined == 0 || previews == 0 || callbacks == 0 {
		t.Errorf("%d calls were put through, %d previews accepted, %d declined, %d callbacks: all must happen", taken, previews, declined, callbacks)
	}
}

// compareBook holds one agent's totals over all days, sessions and actions
// against the book.
func compareBook(t *testing.T, who string, b *gcsim.AgentBook, r *AuditResult, entries []*Entry) {
	t.Helper()
	in := map[gcsim.StateReason]time.Duration{}
	var talk time.Duration
	calls := 0
	var counts [figures]int
	for _, d := range r.Days {
		if d.Agent != b.Agent {
			continue
		}
		for _, s := range d.States {
			in[gcsim.StateReason{State: s.State, Reason: s.Reason}] += s.Time
		}
		talk += d.Talk
		calls += d.Calls.Count
		for f := range counts {
			counts[f] += d.Counts[f].Count
		}
	}
	for key, want := range b.InState() {
		if apart(in[key], want) {
			t.Errorf("%s: %s %s for %s, the book has %s", who, key.State, key.Reason, in[key], want)
		}
		delete(in, key)
	}
	for key, got := range in {
		if got > tenth {
			t.Errorf("%s: %s %s for %s, which the book has not", who, key.State, key.Reason, got)
		}
	}
	if calls != len(b.Calls) {
		t.Errorf("%s: %d calls; the book has %d", who, calls, len(b.Calls))
	}
	compareCalls(t, who, b, entries, talk)
	want := [figures]int{Taken: b.Taken, Made: b.Made, Held: b.Held, Retrieved: b.Retrieved, Consulted: b.Consulted, Transferred: b.Transferred,
		Conferenced: b.Conferenced, Released: b.Released, WrapUps: b.WrapUps, Callbacks: b.Callbacks}
	if counts != want {
		t.Errorf("%s: counted %v, the book has %v, of %v", who, counts, want, Figures())
	}
	compareSessions(t, who, b, entries)
	compareActions(t, who, b, entries)
}

// compareCalls holds each call against the book's, which counts from the first
// event of those that one cause brings about at once.
func compareCalls(t *testing.T, who string, b *gcsim.AgentBook, entries []*Entry, talk time.Duration) {
	t.Helper()
	type in struct {
		long time.Duration
		n    int
		kind string
	}
	want := map[string]in{}
	for _, c := range b.Calls {
		w := want[c.DialogID]
		want[c.DialogID] = in{w.long + c.To.Sub(c.From), w.n + 1, fmt.Sprint(c.Consult, c.Listening)}
	}
	for _, e := range entries {
		if e.Kind == KindCall && e.Agent == b.Agent {
			talk -= e.To.Sub(e.From)
			w := want[e.Dialog]
			w.long -= e.To.Sub(e.From)
			if kind := fmt.Sprint(e.Consult, e.Listening); kind != w.kind && len(b.Actions) == 0 {
				t.Errorf("%s: call %s is %s (consult, listening), the book has %s", who, e.Dialog, kind, w.kind)
			}
			want[e.Dialog] = w
		}
	}
	for id, w := range want {
		if apart(w.long/time.Duration(max(w.n, 1)), 0) {
			t.Errorf("%s: call %s is %s shorter than in the book", who, id, w.long)
		}
	}
	if talk != 0 {
		t.Errorf("%s: the day's total is %s more than its calls", who, talk)
	}
}

func compareSessions(t *testing.T, who string, b *gcsim.AgentBook, entries []*Entry) {
	t.Helper()
	n := 0
	for _, e := range entries {
		if e.Kind != KindSession || e.Agent != b.Agent {
			continue
		}
		if n == len(b.Sessions) {
			t.Errorf("%s: a session that the book has not: %+v", who, e)
			return
		}
		s := b.Sessions[n]
		n++
		by := e.By
		if e.How == "logout" {
			by = "" // the book names only who forced it
		}
		if apart(e.From.Sub(s.From), 0) || apart(e.To.Sub(s.To), 0) || e.How != s.How || by != s.By || e.Reason != s.Reason || e.Extension != s.Extension || !e.SignedIn {
			t.Errorf("%s: session %+v\nbook %+v", who, *e, s)
		}
	}
	if n != len(b.Sessions) {
		t.Errorf("%s: %d sessions, the book has %d", who, n, len(b.Sessions))
	}
}

func compareActions(t *testing.T, who string, b *gcsim.AgentBook, entries []*Entry) {
	t.Helper()
	type act struct{ do, target string }
	got := map[act]int{}
	for _, e := range entries {
		switch {
		case e.Kind != KindAction || e.Agent != b.Agent:
		case e.What != "MakeReady" && e.What != "MakeNotReady" && e.What != "Logout": // the book has none of these
			got[act{e.What, e.Target}]++
		}
	}
	for _, a := range b.Actions {
		got[act{a.Do, a.Target}]--
	}
	for a, n := range got {
		if n != 0 {
			t.Errorf("%s: %s of %s: %d more than in the book", who, a.do, a.target, n)
		}
	}
}

// compareDays cuts the book's states at midnight and holds each day against
// the audit's.
func compareDays(t *testing.T, seed uint64, book *gcsim.Book, r *AuditResult, zone *time.Location) {
	t.Helper()
	type key struct{ agent, day string }
	want := map[key]time.Duration{}
	for i := range book.Agents {
		b := &book.Agents[i]
		for _, s := range b.States {
			for at := s.From; at.Before(s.To); {
				y, m, d := at.In(zone).Date()
				next := time.Date(y, m, d+1, 0, 0, 0, 0, zone)
				if next.After(s.To) {
					next = s.To
				}
				want[key{b.Agent, at.In(zone).Format(time.DateOnly)}] += next.Sub(at)
				at = next
			}
		}
	}
	for _, d := range r.Days {
		k := key{d.Agent, d.Day}
		if apart(d.LoggedIn, want[k]) {
			t.Errorf("seed %d: %s was logged in for %s on %s, the book has %s", seed, d.Agent, d.LoggedIn, d.Day, want[k])
		}
		delete(want, k)
	}
	for k, w := range want {
		if w > tenth {
			t.Errorf("seed %d: %s has no day %s, the book has %s", seed, k.agent, k.day, w)
		}
	}
}

// missed are the agents whose own states the tap missed between two times.
func (f *floor) missed(from, to time.Time) map[string]bool {
	missed := map[string]bool{}
	for i := range f.records {
		r := &f.records[i]
		m := flow.Decode(r, decode.Options{})
		if m.Name == "State" && m.Agent == m.Text("agentId") && r.CapturedAt.After(from) && r.CapturedAt.Before(to) {
			missed[m.Agent] = true
		}
	}
	return missed
}

// TestAuditAcrossAGap: what is certain is in the book, and what the book has
// is at most what is certain and what is not. Where no state was missed, the
// totals equal the book's.
func TestAuditAcrossAGap(t *testing.T) {
	exact, touched := 0, 0 // agents of whom the gap took nothing, and something
	for seed := uint64(1); seed <= seeds; seed++ {
		f := play(t, floorOptions{seed: seed, length: 40 * time.Minute})
		from := f.opts.start.Add(time.Duration(120+seed*37%2000) * time.Second)
		to := from.Add(time.Duration(1+seed) * time.Second)
		book := f.sim.Book(f.end)
		missed := f.missed(from, to)
		f.cut(from, to)
		result, _ := audited(t, f, AuditOptions{})
		if result.GapCount != 1 || len(result.Gaps) != 1 {
			t.Fatalf("seed %d: %d gaps", seed, result.GapCount)
		}
		for i := range book.Agents {
			b := &book.Agents[i]
			sure, told, unsure := map[gcsim.StateReason]time.Duration{}, map[gcsim.StateReason]time.Duration{}, time.Duration(0)
			for _, d := range result.Days {
				if d.Agent == b.Agent {
					for _, s := range d.States {
						key := gcsim.StateReason{State: s.State, Reason: s.Reason}
						told[key] += s.Time
						sure[key] += s.Time - s.Uncertain
					}
					unsure += d.Uncertain
				}
			}
			if !missed[b.Agent] {
				exact++
			} else {
				touched++
			}
			for key, want := range b.InState() {
				if !missed[b.Agent] && apart(told[key], want) {
					t.Errorf("seed %d: %s in %s %s for %s, the book has %s", seed, b.Agent, key.State, key.Reason, told[key], want)
				}
				if sure[key] > want+tenth || want > sure[key]+unsure+tenth {
					t.Errorf("seed %d: %s in %s %s: %s is sure, %s is not; the book has %s", seed, b.Agent, key.State, key.Reason, sure[key], unsure, want)
				}
			}
		}
	}
	if exact == 0 || touched == 0 {
		t.Errorf("gaps touched %d agents and left %d alone: both must happen", touched, exact)
	}
}
