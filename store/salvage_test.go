package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gctap/capture"
)

// recordInto writes n records of a session, which name more and more agents.
func recordInto(t *testing.T, s *Store, name string, n int64) {
	t.Helper()
	w := newSession(t, s, name)
	var batch []capture.Record
	for seq := int64(1); seq <= n; seq++ {
		rec := call(seq)
		rec.To = fmt.Sprint("topic://client.", seq*150/n) // more names than a page holds, only later
		rec.Headers = []capture.Header{{Name: "filler", Value: strings.Repeat("x", 150)}}
		if batch = append(batch, rec); len(batch) == 100 || seq == n {
			write(t, w, batch...)
			batch = batch[:0]
		}
	}
	if err := errors.Join(w.End(t.Context(), "stopped"), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// liveStore is a store of many sessions as it lies in the user's folder.
func liveStore(t *testing.T, sessions int, each int64) []byte {
	s := newStore(t)
	for i := range sessions {
		recordInto(t, s, fmt.Sprint("session-", i+1), each)
	}
	return closedFile(t, s)
}

func exportedFile(t *testing.T, n int64, filter string) []byte {
	s := newStore(t)
	recordInto(t, s, "exported", n)
	var wanted *Filter
	if filter != "" {
		wanted = mustFilter(t, filter)
	}
	path := filepath.Join(t.TempDir(), "exported.gctap")
	if _, err := s.ExportFile(t.Context(), 1, path, wanted); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// However a file is cut, what comes out of it is as much of its beginning as
// is there, but for the pages of tables that stand before all records.
func TestSalvageOfEveryCut(t *testing.T) {
	const small, large = 28 << 10, 88 << 10
	for name, test := range map[string]struct {
		file  []byte
		total int64 // rows
		head  int   // bytes
	}{
		"small":  {exportedFile(t, 240, ""), 240, small},
		"medium": {exportedFile(t, 3_000, ""), 3_000, small},
		"slice":  {exportedFile(t, 1_000, "seq % 2 == 0"), 500, small + 20<<10}, // and the proofs of a batch
		"live":   {liveStore(t, 1, 3_000), 3_000, large},
		"many":   {liveStore(t, 40, 50), 2_000, large},
	} {
		for percent := 10; percent <= 90; percent += 10 {
			cut := test.file[:len(test.file)*percent/100]
			path := filepath.Join(t.TempDir(), "cut.db")
			if err := os.WriteFile(path, cut, 0o600); err != nil {
				t.Fatal(err)
			}
			s := newStore(t)
			list, err := s.Salvage(t.Context(), path)
			var taken int64
			for _, c := range list {
				taken += c.Records
			}
			least := int64(len(cut)-test.head) * test.total / int64(len(test.file)) * 95 / 100 // rows are not all of one size
			if err != nil && (least > 0 || !strings.Contains(err.Error(), "nothing can be taken")) || taken < least {
				t.Errorf("%s cut to %d %%: %d of %d records, at least %d were there; %v", name, percent, taken, test.total, least, err)
			}
			for _, c := range list {
				checkBeginning(t, fmt.Sprintf("%s cut to %d %%", name, percent), records(t, s, c.Session.ID, 1), c.Records)
			}
		}
	}
}

// checkBeginning checks that what came out of a file is recordInto's, in order,
// with a gap where it breaks off.
func checkBeginning(t *testing.T, what string, all []capture.Record, salvaged int64) {
	t.Helper()
	last := int64(0)
	for i, rec := range all {
		gap, isGap := rec.Gap()
		switch {
		case isGap && i == len(all)-1 && gap.Reason == capture.GapCrash:
		case rec.Seq <= last || string(rec.Body) != string(call(rec.Seq).Body):
			t.Fatalf("%s: record %d of %d is %+v", what, i+1, salvaged, rec)
		}
		last = rec.Seq
	}
}

// Where a row in the middle is gone, the good beginning ends there: in a cut
// file nothing else would tell of it.
func TestSalvageStopsAtAHole(t *testing.T) {
	file := exportedFile(t, 300, "")
	for at := len(file) * 6 / 10 / smallPage * smallPage; ; at -= smallPage {
		if columns, first, last, ok := readLeaf(file[at : at+smallPage]); ok && columns == salvaged["records"].most && last > first {
			clear(file[at : at+smallPage])
			s, path := newStore(t), filepath.Join(t.TempDir(), "cut.db")
			if err := os.WriteFile(path, file[:len(file)*9/10], 0o600); err != nil {
				t.Fatal(err)
			}
			list, err := s.Salvage(t.Context(), path)
			if err != nil || len(list) != 1 || list[0].Records != first&maxSeq-1 || list[0].Session.Lost != 300-list[0].Records {
				t.Errorf("%+v, %v; the hole is at %d", list, err, first&maxSeq)
			}
			return
		}
	}
}

// Records of a session that is not listed any more come under one that is made
// up, and said to be.
func TestSalvageWithoutTheSession(t *testing.T) {
	taken := 0
	s, path := newStore(t), filepath.Join(t.TempDir(), "cut.db")
	file := liveStore(t, 40, 50)
	if err := os.WriteFile(path, file[:len(file)*3/10], 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := s.Salvage(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if strings.HasPrefix(c.Session.Name, "salvaged-") {
			taken += int(c.Records)
			if !strings.Contains(c.Session.Note, "made up") || c.Session.Gaps != 1 || !c.Session.Crashed() {
				t.Errorf("%+v", c.Session)
			}
		}
	}
	if taken == 0 {
		t.Errorf("no session was made up: %+v", list)
	}
}

func TestVarint(t *testing.T) {
	for _, n := range []int64{0, 1, 127, 128, 1 << 14, 1<<40 + 1, 1<<56 - 1, 1 << 56, 1<<63 - 1, -1} {
		if got, rest, ok := varint(append(appendVarint(nil, n), 7)); got != n || !ok || len(rest) != 1 {
			t.Errorf("%d: %d, %v, %v", n, got, rest, ok)
		}
	}
}
