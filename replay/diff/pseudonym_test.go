package diff_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
	"gctap/store"
)

// strangers is a site whose names and numbers are unmistakable: what it is made
// of can be searched for byte by byte. It returns them too.
func strangers(seed uint64) (*gcsim.Site, []string) {
	rng := rand.New(rand.NewPCG(seed, 7))
	var all []string
	number := func() string {
		all = append(all, fmt.Sprintf("%d%08d", 1+rng.IntN(9), rng.IntN(1e8)))
		return all[len(all)-1]
	}
	word := func() string {
		b := []rune{rune('A' + rng.IntN(26))}
		for range 8 + rng.IntN(4) {
			b = append(b, []rune("abcdefghijklmnopqrstuvwxyzüéßжשع田")[rng.IntN(33)])
		}
		all = append(all, string(b))
		return string(b)
	}
	s := gcsim.NewSite(5)
	ids := map[string]string{}
	for i := range s.People {
		p := &s.People[i]
		ids[p.ID] = number()
		p.ID, p.Extension, p.FirstName, p.LastName, p.LoginName = ids[p.ID], number(), word(), word(), word()
		p.Password = gcsim.PasswordOf(p.ID)
		all = append(all, p.Password)
	}
	for i := range s.Teams {
		s.Teams[i].Name = word()
		for j, id := range s.Teams[i].Supervisors {
			s.Teams[i].Supervisors[j] = ids[id]
		}
	}
	for _, list := range [][]gcsim.Reason{s.NotReady, s.Logout, s.WrapUp} {
		for i := range list {
			list[i].Label = word()
		}
	}
	for i := range s.Queues {
		s.Queues[i] = word()
	}
	for i := range s.Phonebooks {
		s.Phonebooks[i].Name = word()
		for j := range s.Phonebooks[i].Contacts {
			c := &s.Phonebooks[i].Contacts[j]
			c.Description, c.FirstName, c.LastName, c.Phone = word(), word(), word(), number()
		}
	}
	return s, all
}

// tokenSite is a site as a pseudonymised session of it says it is.
func tokenSite(s *gcsim.Site, p *store.Pseudonymiser) *gcsim.Site {
	t := *s
	t.People, t.Teams, t.Queues, t.Phonebooks = slices.Clone(s.People), slices.Clone(s.Teams), slices.Clone(s.Queues), slices.Clone(s.Phonebooks)
	hide := func(texts ...*string) {
		for _, text := range texts {
			*text = p.Text(*text)
		}
	}
	for i := range t.People {
		a := &t.People[i]
		hide(&a.ID, &a.Extension, &a.FirstName, &a.LastName, &a.LoginName, &a.Team)
	}
	for i := range t.Teams {
		hide(&t.Teams[i].ID, &t.Teams[i].Name)
		t.Teams[i].Supervisors = slices.Clone(t.Teams[i].Supervisors)
		for j := range t.Teams[i].Supervisors {
			hide(&t.Teams[i].Supervisors[j])
		}
	}
	for i := range t.Queues {
		hide(&t.Queues[i])
	}
	for _, list := range []*[]gcsim.Reason{&t.NotReady, &t.Logout, &t.WrapUp} {
		*list = slices.Clone(*list)
		for i := range *list {
			hide(&(*list)[i].Label)
		}
	}
	for i := range t.Phonebooks {
		b := &t.Phonebooks[i]
		hide(&b.ID, &b.Name, &b.Team)
		b.Contacts = slices.Clone(b.Contacts)
		for j := range b.Contacts {
			c := &b.Contacts[j]
			hide(&c.ID, &c.Description, &c.FirstName, &c.LastName, &c.Phone)
		}
	}
	return &t
}

// hidden is a session after a pseudonymised export, and the file.
func hidden(t *testing.T, records []capture.Record, p *store.Pseudonymiser) (got []capture.Record, file string) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "gctap.db"), store.Record)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := s.NewSession(t.Context(), store.SessionInfo{Name: "source", Origin: store.OriginRecord, StartedAt: records[0].CapturedAt, Redacted: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), capture.Batch{Records: slices.Clone(records)}); err != nil {
		t.Fatal(err)
	}
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "hidden.gctap")
	_, report, err := s.ExportPseudonymised(t.Context(), w.Session().ID, file, nil, p)
	if err != nil {
		t.Fatal(err)
	}
	if report.Masked > 0 {
		t.Errorf("masked whole: %v", report.Hidden)
	}
	out, err := store.Open(t.Context(), file, store.Read)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for rec, err := range out.Records(t.Context(), 1, 1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec)
	}
	return got, file
}

// shape is what a message's reading must keep: findings' codes and the paths of
// its fields.
func shape(rec *capture.Record) string {
	m := flow.Decode(rec, decode.Options{})
	text := fmt.Sprint(m.Protocol, m.Kind, m.Variant, m.Name)
	for _, f := range m.Findings {
		text += " " + f.Code + " at " + f.Field
	}
	for _, p := range m.Places() {
		text += " " + p.Path
	}
	return text
}

// A pseudonymised recording names nobody, reads as before, compares as `same`
// with an equally pseudonymised replay, and can itself be replayed: on a GC that
// has its names, and with a map file where they came from.
func TestPseudonymisedRecordingIsReplayed(t *testing.T) {
	n := uint64(seeds)
	if testing.Short() {
		n = 5
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			site, secrets := strangers(seed)
			cfg := plain(seed)
			cfg.Site = site
			var recording []capture.Record
			var again played
			synctest.Test(t, func(t *testing.T) {
				recording = steadyAt(t, cfg)
				lab := cfg
				lab.Seed += 99
				again = play(t, recording, lab, replay.PlayOptions{Sync: replay.SyncCause})
				complete(t, again)
			})
			p := store.NewPseudonymiser(fmt.Appendf(nil, "%032d", seed))
			public, file := hidden(t, recording, p)
			readsTheSame(t, recording, public)
			namesNobody(t, file, append(secrets, customers(recording)...))
			replayed, _ := hidden(t, again.records, p)
			same(t, public, replayed)
			lab := plain(seed + 199)
			lab.Site = tokenSite(site, p)
			synctest.Test(t, func(t *testing.T) {
				third := play(t, public, lab, replay.PlayOptions{Sync: replay.SyncCause, Queue: gcsim.DefaultQueue})
				complete(t, third)
				same(t, public, third.records)
			})
			names := mapOf(t, file, p)
			var home played
			synctest.Test(t, func(t *testing.T) {
				lab := cfg
				lab.Seed += 299
				home = play(t, public, lab, replay.PlayOptions{Sync: replay.SyncCause, Map: names})
				complete(t, home)
				same(t, public, home.records)
			})
			back, _ := hidden(t, home.records, p)
			same(t, public, back)
			for i := range back {
				m, _ := flow.ReplayNote(&back[i])
				if m == nil {
					continue
				}
				for from, to := range m.Agents {
					if from != to {
						t.Errorf("agent %s is said to have become %s", from, to)
					}
				}
			}
		})
	}
}

// mapOf is what the map file of a pseudonymised session says.
func mapOf(t *testing.T, file string, p *store.Pseudonymiser) (names replay.Mapping) {
	t.Helper()
	s, err := store.Open(t.Context(), file, store.Read)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lines, err := s.MapLines(t.Context(), 1, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := names.Read(strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	return names
}

func same(t *testing.T, left, right []capture.Record) {
	t.Helper()
	if r := compare(t, left, right, diff.Options{}); r.Verdict != diff.Same || r.Counts.Matched < 100 {
		t.Errorf("%s", text(r))
	}
}

func readsTheSame(t *testing.T, before, after []capture.Record) {
	t.Helper()
	if len(before) != len(after) {
		t.Fatalf("%d of %d records", len(after), len(before))
	}
	for i := range before {
		if was, is := shape(&before[i]), shape(&after[i]); was != is {
			t.Errorf("record %d: %q\nwas   %s\nreads %s in %q", i+1, before[i].Body, was, is, after[i].Body)
		}
	}
}

// customers are the numbers of those who call, and what their calls carry.
func customers(records []capture.Record) (found []string) {
	for i := range records {
		m := flow.Decode(&records[i], decode.Options{})
		for _, path := range []string{"ani", "fromAddress", "callVariables.ani", "callVariables.callVariable1"} {
			if text := m.Text(path); len(text) > 5 && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	return found
}

func namesNobody(t *testing.T, file string, secrets []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in the file", secret)
		}
	}
	if len(secrets) < 50 {
		t.Errorf("only %q was searched for", secrets)
	}
}
