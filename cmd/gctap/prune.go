package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gctap/store"
)

func pruneCommand(a *app) *cobra.Command {
	var age, size string
	var dry bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove old records and keep the proof of what is left",
		Long: `Remove the oldest records of the store, in whole signed blocks. Their checkpoints stay
with a signed word of what went, so 'gctap verify' still holds. A session that was
never signed goes as a whole. To remove one session: 'gctap sessions delete'.`,
		Example: "  gctap prune --older-than 90d --dry-run\n  gctap prune --max-size 20GiB",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := store.PruneOptions{DryRun: dry}
			var err error
			if options.MaxBytes, err = parseSize(size); err != nil {
				return err
			}
			keep, err := parseAge(age)
			if err != nil {
				return err
			}
			if keep > 0 {
				options.Before = time.Now().Add(-keep)
			}
			if keep == 0 && size == "" {
				return usagef("prune needs --older-than or --max-size, as in --older-than 90d")
			}
			s, err := store.Open(cmd.Context(), a.db, store.Edit)
			if err != nil {
				return err
			}
			defer s.Close()
			pruned, err := s.Prune(cmd.Context(), options)
			a.tellPruned(pruned, dry)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&age, "older-than", "", "remove what was recorded longer ago than this, as 90d, 36h")
	flags.StringVar(&size, "max-size", "", "remove the oldest until the store takes up no more, as 500MB, 20GiB")
	flags.BoolVar(&dry, "dry-run", false, "say what would go, and keep it")
	return cmd
}

func (a *app) tellPruned(pruned []store.Pruned, dry bool) {
	verb := "removed"
	if dry {
		verb = "would remove"
	}
	for _, p := range pruned {
		what := fmt.Sprintf("%d records in %d blocks", p.Records, p.Blocks)
		if p.Whole {
			what = fmt.Sprintf("the whole session, %d records that nobody signed", p.Records)
		}
		fmt.Fprintf(a.Out, "session %d, %s: %s %s\n", p.Session.ID, printable(p.Session.Name), verb, what)
	}
	if len(pruned) == 0 {
		fmt.Fprintln(a.Err, "nothing to remove")
	}
}

// parseAge reads a duration, which may be in days.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.Atoi(number); err == nil && days > 0 && days < 100_000 {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, usagef("--older-than %s: write it as 90d or 36h", text)
	}
	return d, nil
}

// sizeUnits are the longest suffix first.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1}}

// parseSize reads a number of bytes with its unit.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := strings.ToLower(strings.TrimSpace(text)), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) || n*float64(unit) > 1e18 {
		return 0, usagef("--max-size %s: write it as 500MB or 20GiB", text)
	}
	return int64(n * float64(unit)), nil
}
