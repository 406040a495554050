package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/decode/flow"
	"gctap/replay"
	"gctap/replay/diff"
	"gctap/store"
	"gctap/viewer/model"
	"gctap/viewer/report"
)

type diffFlags struct {
	ignore []string
	format string
	late   time.Duration
	maps   []string
	failOn string
	rules  string
	noise  []string
	view   *viewFlags // the comparison is looked at in the viewer; nil: it is written
	filter string
}

func diffCommand(a *app) *cobra.Command {
	var f diffFlags
	look := false
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Say what session B does differently from session A",
		Long: `Compare two sessions conversation by conversation, message by message and field by
field. What differs from run to run by the protocol itself (times, passwords, topics) is
left out, ids of calls are compared through a mapping, and the order of participants and
of call variables counts for nothing. A session in the text format can be compared with
one in the JSON format: fields that only one of them has are left out.

With --filter everything is still read and aligned; what is said is about the messages of
A that the expression accepts, and where A has none about those of B.

--noise names further sessions of A's own build: what wobbles among them is left out and
counted. --rules names a YAML file; each rule needs a reason, which the report repeats:

  ignore:                          # fields, or whole messages
    - {field: State.label, reason: labels are translated on the new build}
  tolerate:                        # differences that are known
    - {class: missing, message: Phonebooks, conversation: "1001", reason: ticket 4711}
    - {message: State, field: reasonCode, reason: under discussion}
  order-free:                      # messages whose place counts for nothing
    - {message: InboundCall, state: HELD, reason: sent by another thread}

Exit status: 0 same, 1 different, 3 same as far as the evidence goes (gaps, or a replay
that had to stop).`,
		Example: "  gctap diff incident @last\n  gctap diff 3 4 --ignore State.label --format json\n  gctap diff 3 4 --filter 'agent == \"1001\"'\n  gctap diff incident @last --view",
		Args:    twoSessions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if look {
				f.view = &viewFlags{background: "auto"}
			}
			return diffSessions(cmd.Context(), a, args[0], args[1], f)
		},
	}
	f.register(cmd)
	filterFlag(cmd.Flags(), &f.filter, "only messages that this expression accepts")
	cmd.Flags().BoolVar(&look, "view", false, "show the sessions side by side in the terminal viewer")
	cmd.Flags().StringArrayVar(&f.maps, "map", nil, "name of A and of B: agent:1001=2001, ext:3001=4001, dest:A=B, text:5=12 for any other value; a replay's own mapping is known")
	return cmd
}

// register adds the flags that diff and replay --diff share.
func (f *diffFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.ignore, "ignore", nil, "field to leave out: reasonCode, or State.reasonCode")
	flags.StringVar(&f.format, "format", "text", "text, json, junit or html")
	flags.DurationVar(&f.late, "late", diff.DefaultLate, "an event is late this long after its command, if it also takes three times as long as in A")
	flags.StringVar(&f.rules, "rules", "", "YAML file of what is no difference: lists ignore, tolerate and order-free, each rule with a reason")
	flags.StringArrayVar(&f.noise, "noise", nil, "further session of A's build: what wobbles between it and A is no difference; may be given several times")
	flags.StringVar(&f.failOn, "fail-on", "", "latency: slower answers make the verdict different")
}

func (f *diffFlags) check() error {
	switch f.format {
	case "text", "json", "junit", "html":
	default:
		return usagef("--format %s: it is text, json, junit or html", f.format)
	}
	if f.failOn != "" && f.failOn != "latency" {
		return usagef("--fail-on %s: it is latency", f.failOn)
	}
	return nil
}

func twoSessions(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usagef("%s needs two sessions: gctap %s A B; 'gctap sessions' lists them", cmd.Name(), cmd.Name())
	}
	return nil
}

// options turns the flags into what Compare takes.
func (f *diffFlags) options() (diff.Options, error) {
	opts := diff.Options{Late: f.late, Ignore: f.ignore, FailLatency: f.failOn == "latency"}
	var names replay.Mapping
	for _, m := range f.maps {
		if err := names.Set(m); err != nil {
			return opts, usagef("--%w", err)
		}
	}
	opts.Map = flow.Mapping{Agents: names.Agents, Exts: names.Exts, Dests: names.Dests, Texts: names.Texts}
	if f.rules == "" {
		return opts, nil
	}
	file, err := os.Open(f.rules)
	if err != nil {
		return opts, usagef("--rules: %w", err)
	}
	defer file.Close()
	if opts.Rules, err = diff.ReadRules(file); err != nil {
		return opts, usagef("--rules %s: %w", f.rules, err)
	}
	return opts, nil
}

// addNoise opens the sessions of --noise.
func (f *diffFlags) addNoise(ctx context.Context, a *app, opts *diff.Options) (closeAll func(), err error) {
	var open []*store.Store
	closeAll = func() {
		for _, s := range open {
			s.Close()
		}
	}
	for _, ref := range f.noise {
		s, session, err := store.OpenSession(ctx, a.db, ref)
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("--noise: %w", err)
		}
		open = append(open, s)
		opts.Noise = append(opts.Noise, s.Records(ctx, session.ID, 1))
	}
	return closeAll, nil
}

// diffSessions opens two sessions and compares them.
func diffSessions(ctx context.Context, a *app, left, right string, f diffFlags) error {
	l, ls, err := store.OpenSession(ctx, a.db, left)
	if err != nil {
		return err
	}
	defer l.Close()
	r, rs, err := store.OpenSession(ctx, a.db, right)
	if err != nil {
		return err
	}
	defer r.Close()
	if f.view != nil {
		return viewComparison(ctx, twoSessionsOf{a, l, r, ls, rs, f, nil})
	}
	_, err = compareSessions(ctx, a, l, ls, r, rs, f, nil)
	return err
}

// compareSessions compares two sessions, prints the report and ends with the
// verdict's status. The report is there whenever the comparison came about.
// Of the left one, only what covers accepts counts; nil: everything.
func compareSessions(ctx context.Context, a *app, l *store.Store, ls store.Session, r *store.Store, rs store.Session, f diffFlags, covers func(*capture.Record) bool) (*diff.Report, error) {
	w := twoSessionsOf{a, l, r, ls, rs, f, covers}
	found, err := w.compare(ctx, func(bool, int64) {}, nil)
	if err != nil {
		return nil, err
	}
	switch f.format {
	case "json":
		err = found.WriteJSON(jsonWriter{a.Out})
	case "junit":
		err = found.WriteJUnit(&printableWriter{Writer: a.Out})
	case "html":
		err = writeComparison(a, found)
	default:
		err = found.WriteText(a.Out, paint(a.colours()))
	}
	if err != nil {
		return found, fmt.Errorf("write the report: %w", err)
	}
	switch found.Verdict {
	case diff.Different:
		return found, negative
	case diff.Incomplete:
		return found, incomplete
	}
	return found, nil
}

// twoSessionsOf are two open sessions that flags say how to compare.
type twoSessionsOf struct {
	app         *app
	left, right *store.Store
	ls, rs      store.Session
	flags       diffFlags
	covers      func(*capture.Record) bool // of the left one, what counts; nil: everything
}

// compare compares them. It tells seen of each record that is read, from two
// goroutines, and pairs, unless it is nil, how they are aligned.
func (w *twoSessionsOf) compare(ctx context.Context, seen func(right bool, seq int64), pairs func(*diff.Pair) error) (*diff.Report, error) {
	opts, err := w.flags.options()
	if err != nil {
		return nil, err
	}
	opts.Left, opts.Right = diff.Name{Session: w.ls.ID, Name: w.ls.Name}, diff.Name{Session: w.rs.ID, Name: w.rs.Name}
	opts.Pairs = pairs
	closeNoise, err := w.flags.addNoise(ctx, w.app, &opts)
	if err != nil {
		return nil, err
	}
	defer closeNoise()
	filter, err := store.CompileFilter(w.flags.filter)
	if err != nil {
		return nil, err
	}
	left, right := w.left.Select(w.ls.ID, filter), w.right.Select(w.rs.ID, filter)
	if filter != nil {
		opts.Only = func(inRight bool, seq int64) bool {
			if inRight {
				return right.Holds(seq)
			}
			return left.Holds(seq)
		}
	}
	found, err := diff.Compare(covered(telling(left.Records(ctx), false, seen), w.covers), telling(right.Records(ctx), true, seen), opts)
	if err != nil {
		return nil, err
	}
	sliced(&found.Left, left)
	sliced(&found.Right, right)
	tellFailures(w.app.Err, filter)
	return found, nil
}

// telling passes records on and tells of each.
func telling(records iter.Seq2[capture.Record, error], right bool, seen func(right bool, seq int64)) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for rec, err := range records {
			seen(right, rec.Seq)
			if !yield(rec, err) {
				return
			}
		}
	}
}

// covered yields the records that covers accepts.
func covered(records iter.Seq2[capture.Record, error], covers func(*capture.Record) bool) iter.Seq2[capture.Record, error] {
	if covers == nil {
		return records
	}
	return func(yield func(capture.Record, error) bool) {
		for rec, err := range records {
			if (err != nil || covers(&rec)) && !yield(rec, err) {
				return
			}
		}
	}
}

// sliced says in a report what was selected of a session.
func sliced(side *diff.Side, part *store.Selection) {
	if slice := part.Slice(); slice != nil {
		side.Filter, side.Selected = slice.Filter, &slice.Messages
	}
}

// writeComparison writes the page that report makes of a comparison.
func writeComparison(a *app, d *diff.Report) error {
	o := report.Options{Late: flow.DefaultLate, Zone: time.UTC, Program: "gctap " + version, Summary: model.Summary, Show: model.Printable}
	return output(a, "-", report.Comparison(d, o).Write)
}

// colours reports whether standard output is to be coloured.
func (a *app) colours() bool {
	return a.color == "always" || a.color == "auto" && os.Getenv("NO_COLOR") == "" && isTerminal(a.Out)
}

// paint makes control characters of a comparison's lines visible, and colours
// the word that says what a line is about.
func paint(coloured bool) diff.Paint {
	const red, green, yellow, magenta = 31, 32, 33, 35
	colours := map[string]int{
		diff.Same: green, diff.Different: red, diff.Incomplete: yellow, diff.Changed: yellow, diff.Missing: red, diff.Extra: red,
		diff.Duplicated: red, diff.Reordered: magenta, diff.Late: magenta,
	}
	return func(part, line string) string {
		line = printable(line)
		end := strings.IndexAny(line, ": ")
		colour, ok := colours[part]
		if !coloured || !ok || end < 0 {
			return line
		}
		return fmt.Sprintf("\x1b[1;%dm%s\x1b[0m%s", colour, line[:end], line[end:])
	}
}
