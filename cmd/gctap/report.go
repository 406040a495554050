package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gctap/decode/check"
	"gctap/decode/flow"
	"gctap/replay/diff"
	"gctap/store"
	"gctap/viewer/model"
	"gctap/viewer/report"
)

type reportFlags struct {
	output, zone, ladder, filter string
	off                          []string
	stretch                      report.LadderOptions
}

func reportCommand(a *app) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report SESSION|DIFF",
		Short: "Write one HTML page for people without the program",
		Long: `Write a session as one HTML page: loss ledger, findings, ladder and timeline, what agents
did, latencies, and the messages that the findings name. Or write what "diff --format json"
said, from its file. The page loads nothing from anywhere, needs no script to be read,
holds no password, and runs nothing that a message holds.

` + sliceHelp + ` The
ledger stays that of the whole session.

The ladder shows 300 messages around the worst finding; --conversation, --dialog,
--from-seq and --to-seq choose others. --ladder writes the ladder alone.`,
		Example: "  gctap report @last -o report.html\n  gctap diff 3 4 --format json > d.json; gctap report d.json -o d.html\n  gctap report incident --ladder mermaid --conversation 1001",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("report needs a session, or the file that 'diff --format json' wrote")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeReport(cmd.Context(), a, args[0], &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "-", "file to write; - is standard output")
	flags.StringVar(&f.zone, "tz", "", "time zone of days and times (default: the session's)")
	flags.StringSliceVar(&f.off, "off", nil, "rule of check to leave out")
	filterFlag(flags, &f.filter, "only messages that this expression accepts")
	flags.StringVar(&f.ladder, "ladder", "", "the ladder alone: text, mermaid or svg")
	flags.StringVar(&f.stretch.Conversation, "conversation", "", "ladder: this agent or conversation only")
	flags.StringVar(&f.stretch.Dialog, "dialog", "", "ladder: the call of this id only")
	flags.Int64Var(&f.stretch.From, "from-seq", 0, "ladder: from this message on")
	flags.Int64Var(&f.stretch.To, "to-seq", 0, "ladder: up to this message")
	flags.IntVar(&f.stretch.Limit, "limit", report.DefaultRungs, "ladder: messages at the most")
	return cmd
}

func (f *reportFlags) check() error {
	switch f.ladder {
	case "", "text", "mermaid", "svg":
	default:
		return usagef("--ladder %s: it is text, mermaid or svg", f.ladder)
	}
	if f.stretch.Limit < 1 {
		return usagef("--limit %d: give at least 1", f.stretch.Limit)
	}
	if err := check.CheckRules(f.off); err != nil {
		return usagef("--off: %w", err)
	}
	return nil
}

func writeReport(ctx context.Context, a *app, ref string, f *reportFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	filter, err := store.CompileFilter(f.filter)
	if err != nil {
		return err
	}
	d, err := readDiff(ref)
	if err != nil {
		return err
	}
	switch {
	case d != nil && f.ladder != "":
		return usagef("--ladder: a comparison has none; name a session")
	case d != nil && filter != nil:
		return usagef("--filter: a comparison is what it is; give the filter to 'gctap diff'")
	}
	o := report.Options{Off: f.off, Late: flow.DefaultLate, Ladder: f.stretch, Program: "gctap " + version, Summary: model.Summary, Show: model.Printable}
	if d != nil {
		if o.Zone, err = zone(f.zone, "UTC"); err != nil {
			return err
		}
		return output(a, f.output, report.Comparison(d, o).Write)
	}
	s, one, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return err
	}
	defer s.Close()
	if o.Zone, err = zone(f.zone, one.SiteTZ); err != nil {
		return err
	}
	if f.ladder != "" {
		return writeLadder(ctx, a, s.Select(one.ID, filter), &one, f, o.Zone)
	}
	o.Filter = filter
	defer tellFailures(a.Err, filter)
	page, err := report.Session(ctx, s, one, o)
	if err != nil {
		return err
	}
	return output(a, f.output, page.Write)
}

// zone finds a time zone: the one asked for, else the session's.
func zone(name, or string) (*time.Location, error) {
	if name == "" {
		name = or
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, usagef("--tz %s: no such time zone; give one such as Europe/Berlin or UTC", name)
	}
	return z, nil
}

func writeLadder(ctx context.Context, a *app, part *store.Selection, one *store.Session, f *reportFlags, z *time.Location) error {
	o := f.stretch
	o.Zone, o.Text, o.Only = z, model.Printable, part.Only()
	l := report.NewLadder(o)
	if err := analyse(ctx, part, one, flow.DefaultLate, l); err != nil {
		return err
	}
	tellSlice(a.Err, part)
	return output(a, f.output, func(w io.Writer) (err error) {
		switch f.ladder {
		case "svg":
			err = l.SVG(w)
		case "mermaid":
			_, err = io.WriteString(w, l.Mermaid())
		default:
			_, err = io.WriteString(w, l.Text())
		}
		return err
	})
}

// readDiff reads what diff wrote; nil where ref is no such file, but a session.
func readDiff(ref string) (*diff.Report, error) {
	info, err := os.Stat(ref)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	file, err := os.Open(ref)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	head, err := in.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) || !bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) {
		return nil, nil // a store, or nothing of ours: OpenSession says which
	}
	var d diff.Report
	if err := json.NewDecoder(in).Decode(&d); err != nil {
		return nil, fmt.Errorf("report %s: not what 'diff --format json' writes: %w", ref, err)
	}
	if d.Verdict == "" {
		return nil, fmt.Errorf("report %s: has no verdict: give the file that 'diff --format json' wrote", ref)
	}
	return &d, nil
}

// output writes to standard output, or a file which appears only once it is
// whole, and which only this user may read.
func output(a *app, name string, write func(io.Writer) error) (err error) {
	if name == "-" {
		out := bufio.NewWriter(a.Out)
		if err := write(&printableWriter{Writer: out}); err != nil {
			return err
		}
		return out.Flush()
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".gctap-report-*")
	if err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	out := bufio.NewWriter(file)
	if err = write(&printableWriter{Writer: out}); err == nil {
		err = out.Flush()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	return nil
}
