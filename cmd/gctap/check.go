package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
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

type checkFlags struct {
	failOn, format, filter string
	platform               string
	off                    []string
	late                   time.Duration
	asJSON, list           bool
}

func checkCommand(a *app) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check SESSION",
		Short: "Find what goes against the protocol",
		Long: `Read a session and report commands without an answer or with a late one, missing,
unexpected and doubled events, impossible changes of an agent's state, calls out of
order, errors and loops of them, malformed messages, and gaps. Next to a gap nobody is
accused: what may be missing there is a note, marked uncertain.

` + sliceHelp + ` A finding
is about the message that it names first: of an answer that did not come, the command.

Exit status: 0 nothing of --fail-on or worse, 1 something, 3 nothing, but the session
has gaps.`,
		Example: "  gctap check @last\n  gctap check incident --off unasked-message --fail-on error --format junit\n  gctap check incident --filter 'agent == \"1001\"'\n  gctap check --list",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.list {
				return cobra.NoArgs(cmd, args)
			}
			return oneSession(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if f.list {
				return listRules(a.Out, f.format == "json")
			}
			return checkSession(cmd.Context(), a, args[0], &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.failOn, "fail-on", "warning", "note, warning or error: findings of this severity or worse make the exit status 1")
	flags.StringVar(&f.format, "format", "text", "text, json (one object a line) or junit")
	flags.BoolVar(&f.asJSON, "json", false, "the same as --format json")
	flags.StringSliceVar(&f.off, "off", nil, "rule not to look for; repeat, or separate by commas")
	flags.BoolVar(&f.list, "list", false, "list the rules")
	flags.DurationVar(&f.late, "late", flow.DefaultLate, "an answer is late after this")
	flags.StringVar(&f.platform, "platform", "", "ucce or uccx, the platform behind GC: UCCX does not tell of holds, and is not accused of that")
	filterFlag(flags, &f.filter, "only findings about messages that this expression accepts")
	return cmd
}

func (f *checkFlags) check() error {
	if f.asJSON {
		f.format = "json"
	}
	switch {
	case f.format != "text" && f.format != "json" && f.format != "junit":
		return usagef("--format %s: it is text, json or junit", f.format)
	case check.Rank(f.failOn) < 1:
		return usagef("--fail-on %s: it is note, warning or error", f.failOn)
	case f.platform != "" && !strings.EqualFold(f.platform, check.UCCE) && !strings.EqualFold(f.platform, check.UCCX):
		return usagef("--platform %s: it is ucce or uccx", f.platform)
	case f.late <= 0:
		return usagef("--late %s: give a duration such as 2s", f.late)
	}
	if err := check.CheckRules(f.off); err != nil {
		return usagef("--off: %w; 'gctap check --list' explains them", err)
	}
	return nil
}

// analyse shows a session to observers.
func analyse(ctx context.Context, part *store.Selection, one *store.Session, late time.Duration, observers ...check.Observer) error {
	o := check.Options{Flow: flow.Options{Late: late}}
	if one.EndedAt != nil {
		o.Until = *one.EndedAt
	}
	return check.Run(part.Records(ctx), o, observers...)
}

// checkSession prints findings as they come, or all at the end for junit, and
// ends with the verdict's status.
func checkSession(ctx context.Context, a *app, ref string, f *checkFlags) error {
	filter, err := store.CompileFilter(f.filter)
	if err != nil {
		return err
	}
	s, one, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return err
	}
	defer s.Close()
	out := bufio.NewWriter(a.Out)
	var tally check.Tally
	print := findingPrinter(out, f, &one)
	part := s.Select(one.ID, filter)
	checker := check.NewChecker(check.CheckOptions{Off: f.off, Late: f.late, Platform: strings.ToUpper(f.platform)}, func(x check.Finding) {
		if err == nil && (part.Holds(x.Seq) || x.Rule == check.Overflow) {
			tally.Add(&x)
			err = print.finding(&x)
		}
	})
	if e := analyse(ctx, part, &one, f.late, checker); e != nil {
		out.Flush()
		return e
	}
	if err == nil {
		err = print.end(&tally)
	}
	if err == nil {
		err = out.Flush()
	}
	tellSlice(a.Err, part)
	switch {
	case err != nil:
		return fmt.Errorf("write the findings: %w", err)
	case tally.AtLeast(f.failOn) > 0:
		return negative
	case one.Gaps > 0:
		return incomplete
	}
	return nil
}

// printer prints the findings of one format.
type printer interface {
	finding(x *check.Finding) error
	end(t *check.Tally) error
}

func findingPrinter(w *bufio.Writer, f *checkFlags, one *store.Session) printer {
	switch f.format {
	case "json":
		out := jsonLines(w)
		return jsonFindings{out}
	case "junit":
		return &junitFindings{w: &printableWriter{Writer: w}, session: strings.TrimSpace(one.Name + " " + f.filter), failOn: f.failOn, off: f.off, cases: map[string][]check.Finding{}, more: map[string]int{}}
	}
	return &textFindings{w: w, gaps: one.Gaps}
}

type jsonFindings struct{ out *json.Encoder }

func (p jsonFindings) finding(x *check.Finding) error { return p.out.Encode(x) }
func (p jsonFindings) end(*check.Tally) error         { return nil }

// textFindings are lines for people.
type textFindings struct {
	w    *bufio.Writer
	gaps int64
	said map[string]bool
}

func (p *textFindings) finding(x *check.Finding) error {
	severity := x.Severity
	if x.Uncertain {
		severity += "?"
	}
	_, err := fmt.Fprintf(p.w, "%-8s  %-17s  %s  %s  %s\n", severity, x.Rule, x.Time.Local().Format("2006-01-02 15:04:05.000"), seqList(x.Seqs), printable(x.Text))
	if p.said == nil {
		p.said = map[string]bool{}
	}
	if err == nil && !p.said[x.Rule+x.Says] && len(p.said) < 1000 {
		p.said[x.Rule+x.Says] = true
		_, err = fmt.Fprintf(p.w, "          %s\n", printable(x.Says))
	}
	return err
}

func (p *textFindings) end(t *check.Tally) error {
	fmt.Fprintf(p.w, "%d errors, %d warnings, %d notes", t.Errors, t.Warnings, t.Notes)
	if p.gaps > 0 {
		fmt.Fprintf(p.w, "; %d gaps: %d findings are uncertain", p.gaps, t.Uncertain)
	}
	_, err := fmt.Fprintln(p.w)
	return err
}

// seqList names messages: #12, #12 #15.
func seqList(seqs []int64) string {
	words := make([]string, len(seqs))
	for i, seq := range seqs {
		words[i] = fmt.Sprint("#", seq)
	}
	return strings.Join(words, " ")
}

// junitMost is how many findings of a rule are printed; the rest is counted.
const junitMost = 1000

// junitFindings is a test suite with a case for every rule.
type junitFindings struct {
	w       io.Writer
	session string
	failOn  string
	off     []string
	cases   map[string][]check.Finding
	more    map[string]int
}

func (p *junitFindings) finding(x *check.Finding) error {
	if len(p.cases[x.Rule]) >= junitMost {
		p.more[x.Rule]++
		return nil
	}
	p.cases[x.Rule] = append(p.cases[x.Rule], *x)
	return nil
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure"`
	Skipped *struct{}     `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func (p *junitFindings) end(*check.Tally) error {
	suite := junitSuite{Name: "gctap check " + p.session}
	for _, rule := range check.Rules() {
		c := p.testCase(&rule)
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Skipped != nil {
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(p.w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(p.w)
	out.Indent("", "  ")
	if err := out.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(p.w, "\n")
	return err
}

// testCase is the case of one rule: it fails if a finding is bad enough.
func (p *junitFindings) testCase(rule *check.Rule) junitCase {
	c := junitCase{Class: "gctap.check", Name: rule.ID}
	for _, id := range p.off {
		if id == rule.ID {
			c.Skipped = &struct{}{}
		}
	}
	var lines strings.Builder
	failed := 0
	for _, x := range p.cases[rule.ID] {
		if check.Rank(x.Severity) >= check.Rank(p.failOn) {
			failed++
		}
		fmt.Fprintf(&lines, "%s %s %s %s\n", x.Severity, x.Time.UTC().Format(time.RFC3339Nano), seqList(x.Seqs), printable(x.Text))
	}
	if n := p.more[rule.ID]; n > 0 {
		fmt.Fprintf(&lines, "and %d more\n", n)
	}
	if failed > 0 {
		c.Failure = &junitFailure{Message: fmt.Sprintf("%d findings: %s", len(p.cases[rule.ID])+p.more[rule.ID], rule.Doc), Type: rule.Severity, Text: lines.String()}
	} else {
		c.Out = lines.String()
	}
	return c
}

// listRules prints the rules.
func listRules(w io.Writer, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		for _, r := range check.Rules() {
			if err := out.Encode(map[string]string{"rule": r.ID, "severity": r.Severity, "doc": r.Doc, "says": r.Says}); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range check.Rules() {
		fmt.Fprintf(t, "%s\t%s\t%s\n\t\t%s\n", r.ID, r.Severity, r.Doc, r.Says)
	}
	return t.Flush()
}
