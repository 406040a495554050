package store

import (
	"fmt"
	"testing"
	"time"
)

// pruneStore has two ended sessions of 20 records in blocks of 5, one signed a
// record an hour from noon on, the other a day later.
func pruneStore(t *testing.T) *Store {
	s := newStore(t)
	s.block = 5
	now := noon
	s.now = func() time.Time { return now }
	for _, name := range []string{"old", "new"} {
		w := newSession(t, s, name)
		for n := int64(1); n <= 20; n++ {
			rec := call(n)
			rec.CapturedAt = now
			rec.Body = append(rec.Body, make([]byte, 4000)...)
			write(t, w, rec)
			now = now.Add(30 * time.Second)
		}
		if err := w.End(t.Context(), "stopped"); err != nil {
			t.Fatal(err)
		}
		now = noon.Add(24 * time.Hour)
	}
	return s
}

func TestPruneByAgeLeavesWhatVerifies(t *testing.T) {
	s := pruneStore(t)
	cut := noon.Add(4 * time.Minute)
	dry, err := s.Prune(t.Context(), PruneOptions{Before: cut, DryRun: true})
	if err != nil || len(dry) != 1 || len(records(t, s, 1, 1)) != 20 {
		t.Fatal(dry, err)
	}
	done, err := s.Prune(t.Context(), PruneOptions{Before: cut})
	if err != nil || fmt.Sprint(done) != fmt.Sprint(dry) || done[0].Records == 0 || done[0].Records == 20 {
		t.Fatalf("%v, %v, the dry run said %v", done, err, dry)
	}
	left := records(t, s, 1, 1)
	if int64(len(left)) != 20-done[0].Records || left[0].Seq != done[0].Records+1 {
		t.Errorf("left: %s", seqs(left, bySeq))
	}
	v := verdict(t, s, 1)
	if !v.OK() || v.Pruned != done[0].Records || v.Records != int64(len(left)) {
		t.Errorf("%v", v.Describe())
	}
	if again, err := s.Prune(t.Context(), PruneOptions{Before: cut}); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	// What is gone beyond that is still found.
	if _, err := s.db.Exec(`DELETE FROM records WHERE id = ?`, key(1, 20)); err != nil {
		t.Fatal(err)
	}
	if v := verdict(t, s, 1); v.Broken == nil {
		t.Error("a record removed after pruning is not found")
	}
	if v := verdict(t, s, 2); !v.OK() || v.Pruned != 0 {
		t.Errorf("the other session: %v", v.Describe())
	}
}

func TestPruneAllLeavesCheckpointsAndNoName(t *testing.T) {
	s := pruneStore(t)
	if _, err := s.Prune(t.Context(), PruneOptions{Before: noon.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if v := verdict(t, s, 1); !v.OK() || v.Pruned != 20 {
		t.Errorf("%v", v.Describe())
	}
	var names int
	if err := s.db.QueryRow(`SELECT count(*) FROM names WHERE session = 1`).Scan(&names); err != nil || names != 0 {
		t.Errorf("%d names are left, %v", names, err)
	}
}

func TestPruneBySizeTakesTheOldestFirst(t *testing.T) {
	s := pruneStore(t)
	p := &pruner{store: s}
	used, err := p.used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	limit := used - 30_000
	if _, err := s.Prune(t.Context(), PruneOptions{MaxBytes: limit}); err != nil {
		t.Fatal(err)
	}
	now, err := p.used(t.Context())
	if err != nil || now > limit || now < limit-40_000 {
		t.Errorf("%d bytes in use, %d were, %d are allowed; %v", now, used, limit, err)
	}
	if n := len(records(t, s, 2, 1)); n != 20 {
		t.Errorf("the newer session has %d records", n)
	}
	for session := int64(1); session <= 2; session++ {
		if v := verdict(t, s, session); !v.OK() {
			t.Errorf("%v", v.Describe())
		}
	}
}

// A session that nobody signed goes as a whole, and only by age.
func TestPruneUnsignedSession(t *testing.T) {
	path := oldStore(t, 2, 3)
	s := open(t, path, Edit)
	if done, err := s.Prune(t.Context(), PruneOptions{MaxBytes: 1}); err != nil || len(done) != 0 {
		t.Errorf("by size: %v, %v", done, err)
	}
	done, err := s.Prune(t.Context(), PruneOptions{Before: noon.Add(time.Second)})
	if err != nil || len(done) != 1 || !done[0].Whole {
		t.Errorf("by age: %v, %v", done, err)
	}
	if all, err := s.Sessions(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}
