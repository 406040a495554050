package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gctap/decode/check"
	"gctap/decode/flow"
	"gctap/store"
)

type statsFlags struct {
	asJSON bool
	top    int
	late   time.Duration
	filter string
}

// statsJSON are the keys of stats --json.
type statsJSON struct {
	*check.Summary
	Slice *store.Slice `json:"slice,omitempty"`
}

func statsCommand(a *app) *cobra.Command {
	var f statsFlags
	cmd := &cobra.Command{
		Use:   "stats SESSION",
		Short: "Count a session: rates, latency per command, errors, busiest agents",
		Long: `Count the messages of a session by name, agent and destination, over time, and how
long the first answer to each command took. Latency is measured by the tap's clock, from
the command to its first answer; percentiles are within 1 %, the maximum is exact.

` + sliceHelp + ` A latency
counts with its command, and rates are over the time of the whole session.

Exit status: 0, or 3 when the session has gaps.`,
		Example: "  gctap stats @last\n  gctap stats incident --filter 'agent == \"1001\"' --json",
		Args:    oneSession,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.top < 1 {
				return usagef("--top %d: give at least 1", f.top)
			}
			return statsSession(cmd.Context(), a, args[0], &f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.asJSON, "json", false, "one JSON object, with complete lists")
	flags.IntVar(&f.top, "top", 10, "length of the lists of names, agents and destinations")
	flags.DurationVar(&f.late, "late", flow.DefaultLate, "an answer is late after this")
	filterFlag(flags, &f.filter, "only messages that this expression accepts")
	return cmd
}

func statsSession(ctx context.Context, a *app, ref string, f *statsFlags) error {
	filter, err := store.CompileFilter(f.filter)
	if err != nil {
		return err
	}
	s, one, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return err
	}
	defer s.Close()
	stats := check.NewStats()
	part := s.Select(one.ID, filter)
	stats.Only = part.Only()
	if err := analyse(ctx, part, &one, f.late, stats); err != nil {
		return err
	}
	tellSlice(a.Err, part)
	sum := stats.Summary()
	if f.asJSON {
		err = jsonLines(a.Out).Encode(statsJSON{sum, part.Slice()})
	} else {
		err = printStats(a.Out, sum, f.top)
	}
	if err == nil && one.Gaps > 0 {
		err = incomplete
	}
	return err
}

// printStats prints tables for people.
func printStats(w io.Writer, sum *check.Summary, top int) error {
	fmt.Fprintf(w, "%s to %s, %s\n", tableTime(sum.From), tableTime(sum.To), time.Duration(sum.Seconds*float64(time.Second)).Round(time.Millisecond))
	fmt.Fprintf(w, "%d messages (%.1f a second): %d commands, %d events, %d between connectors; bodies %d bytes, the largest %d\n",
		sum.Messages, sum.PerSec, sum.Commands, sum.Events, sum.Peers, sum.Bytes, sum.Largest)
	if g := sum.Gaps; g.Count > 0 {
		lost := fmt.Sprintf("%d messages known to be missing", g.Lost)
		if g.Unknown > 0 {
			lost += fmt.Sprintf("; of %d gaps nobody knows how many", g.Unknown)
		}
		fmt.Fprintf(w, "%d gaps, %.3f s: %s\n", g.Count, g.Seconds, lost)
	}
	printRate(w, &sum.Rate)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\ncommand\tanswered\tp50\tp95\tp99\tmax ms\tlate\terrors\tunanswered\tsilent\t")
	for _, l := range sum.Latency {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t\n", printable(l.Name), l.Count, milli(l, l.P50), milli(l, l.P95), milli(l, l.P99), milli(l, l.Max),
			l.Late, l.Errors, l.Unanswered, l.Silent)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, list := range []struct {
		title  string
		counts []check.Count
	}{{"messages", sum.Names}, {"agents", sum.Agents}, {"destinations", sum.Destinations}, {"errors", sum.Errors}} {
		printCounts(w, list.title, list.counts, top)
	}
	return nil
}

// milli is a latency, or a dash where nothing was measured.
func milli(l check.Latency, ms float64) string {
	if l.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", ms)
}

func printCounts(w io.Writer, title string, counts []check.Count, top int) {
	if len(counts) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s (%d)\n", title, len(counts))
	for _, c := range counts[:min(top, len(counts))] {
		name := c.Name
		if c.Direction != "" {
			name = c.Direction + " " + name
		}
		fmt.Fprintf(w, "%9d  %s\n", c.Count, printable(name))
	}
}

// printRate draws messages over time, at most forty rows of bars.
func printRate(w io.Writer, r *check.Rate) {
	const rows, width = 40, 50
	group := max(1, (len(r.Commands)+rows-1)/rows)
	var most int64
	var sums [][2]int64
	for i := 0; i < len(r.Commands); i += group {
		var sum [2]int64
		for j := i; j < min(i+group, len(r.Commands)); j++ {
			sum[0] += r.Commands[j]
			sum[1] += r.Events[j]
		}
		most = max(most, sum[0]+sum[1])
		sums = append(sums, sum)
	}
	if most == 0 {
		return
	}
	step := time.Duration(r.StepSeconds*float64(time.Second)) * time.Duration(group)
	fmt.Fprintf(w, "\nevery %s: commands =, events -\n", step)
	for i, sum := range sums {
		commands := int(sum[0] * width / most)
		events := int((sum[0]+sum[1])*width/most) - commands
		fmt.Fprintf(w, "%10s %7d %s%s\n", time.Duration(i)*step, sum[0]+sum[1], strings.Repeat("=", commands), strings.Repeat("-", events))
	}
}
