package diff

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestASpoolGivesBackWhatItTook writes more than stays in memory, to many
// conversations in turn, and reads every one of them whole and in order.
func TestASpoolGivesBackWhatItTook(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, tt := range []struct {
		name           string
		chains, rounds int
		file           bool
	}{{"in memory", 3, 10, false}, {"long conversations", 7, 20_000, true}, {"many conversations", 20_000, 9, true}, {"none", 0, 0, false}} {
		t.Run(tt.name, func(t *testing.T) {
			var s spool
			defer s.close()
			chains := make([]chain, tt.chains)
			message := func(round, chain int) string {
				return fmt.Sprintf("<%d of %d %s>", round, chain, strings.Repeat("x", 60+chain%13))
			}
			for round := range tt.rounds {
				for i := range chains {
					if err := s.add(&chains[i], []byte(message(round, i))); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			if (s.file != nil) != tt.file || s.waiting != 0 {
				t.Errorf("a file: %v, waiting: %d", s.file != nil, s.waiting)
			}
			for i := range chains {
				blocks, err := s.read(&chains[i])
				if err != nil {
					t.Fatal(err)
				}
				rest := strings.Join(blocks, "")
				for round := range tt.rounds {
					var ok bool
					if rest, ok = strings.CutPrefix(rest, message(round, i)); !ok {
						t.Fatalf("conversation %d, round %d: %.80q", i, round, rest)
					}
				}
				if rest != "" {
					t.Errorf("conversation %d: %d bytes too many", i, len(rest))
				}
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestASpoolSaysWhereItCannotWrite fills memory where no file can be made.
func TestASpoolSaysWhereItCannotWrite(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	var s spool
	defer s.close()
	var c chain
	message := []byte(strings.Repeat("x", 10_000))
	for range spoolMemory/len(message) + 10 {
		if err := s.add(&c, message); err != nil {
			if !strings.Contains(err.Error(), "TMPDIR") || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
			return
		}
	}
	t.Error("no error")
}
