package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gctap/decode/check"
	"gctap/decode/flow"
	"gctap/store"
	"gctap/viewer/model"
	"gctap/viewer/report"
)

type auditFlags struct {
	agent, team, from, to, zone, format, filter string
	asJSON, details                             bool
}

func auditCommand(a *app) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit SESSION",
		Short: "Say what each agent did: sign-ins, time in states, calls, supervisor actions",
		Long: `Add up, by agent and day: sign-ins and sign-outs and who forced them, the time in each
state and reason, calls taken, made, held, transferred, conferenced and released and their
lengths, wrap-ups, callbacks, and what supervisors did to whom.

Time is counted by the tap's clock, from the event that tells a state to the one that
tells another. Every total names the messages it comes from; --details lists every stretch
of time that was added up, with the time that the State event itself gives. What a gap in
the recording makes uncertain is told with every total.

Who sent a command is known by the connection over which an agent logged in; where the
recording cannot tell, the sign-out says so.

` + sliceHelp + ` A stretch
of time counts with the message that it begins with, as a call with its ringing.

Exit status: 0, or 3 when the session has gaps.`,
		Example: "  gctap audit @last --agent 1001\n  gctap audit monday --tz Europe/Berlin --from 2026-11-23 --format csv\n  gctap audit monday --filter 'fields.state == \"NOT_READY\"' --details",
		Args:    oneSession,
		RunE: func(cmd *cobra.Command, args []string) error {
			return auditSession(cmd.Context(), a, args[0], &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.agent, "agent", "", "this login id only")
	flags.StringVar(&f.team, "team", "", "agents of this team (its id) only")
	flags.StringVar(&f.from, "from", "", "from this time on: RFC 3339, or a day such as 2026-11-21")
	flags.StringVar(&f.to, "to", "", "up to this time; a day is included")
	flags.StringVar(&f.zone, "tz", "", "time zone of days and times, such as Europe/Berlin (default: the session's)")
	flags.StringVar(&f.format, "format", "table", "table, json (one object a line), csv or html")
	flags.BoolVar(&f.asJSON, "json", false, "the same as --format json")
	filterFlag(flags, &f.filter, "only what begins with a message that this expression accepts")
	flags.BoolVar(&f.details, "details", false, "also every entry that the totals come from; with csv: instead of them")
	return cmd
}

// options checks the flags.
func (f *auditFlags) options(one *store.Session) (o check.AuditOptions, err error) {
	if f.asJSON {
		f.format = "json"
	}
	if f.format != "table" && f.format != "json" && f.format != "csv" && f.format != "html" {
		return o, usagef("--format %s: it is table, json, csv or html", f.format)
	}
	if o.Zone, err = zone(f.zone, one.SiteTZ); err != nil {
		return o, err
	}
	o.Agent, o.Team = f.agent, f.team
	if o.From, err = auditTime("--from", f.from, o.Zone, 0); err != nil {
		return o, err
	}
	if o.To, err = auditTime("--to", f.to, o.Zone, 1); err != nil {
		return o, err
	}
	if !o.To.IsZero() && !o.From.Before(o.To) {
		return o, usagef("--from %s is not before --to %s", f.from, f.to)
	}
	return o, nil
}

// auditTime reads a time, or a day and how many to add to it.
func auditTime(flag, text string, zone *time.Location, add int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return time.Date(day.Year(), day.Month(), day.Day()+add, 0, 0, 0, 0, zone), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, usagef("%s %s: give a time such as 2026-11-21T09:00:00Z, or a day such as 2026-11-21", flag, text)
	}
	return at, nil
}

func auditSession(ctx context.Context, a *app, ref string, f *auditFlags) error {
	filter, err := store.CompileFilter(f.filter)
	if err != nil {
		return err
	}
	s, one, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return err
	}
	defer s.Close()
	o, err := f.options(&one)
	if err != nil {
		return err
	}
	part := s.Select(one.ID, filter)
	o.Only = part.Only()
	out := bufio.NewWriter(a.Out)
	print := auditPrinter(out, f, o.Zone, one.Name)
	audit := check.NewAudit(o, func(e *check.Entry) {
		if err == nil {
			err = print.entry(e)
		}
	})
	if e := analyse(ctx, part, &one, flow.DefaultLate, audit); e != nil {
		out.Flush()
		return e
	}
	if err == nil {
		err = print.result(audit.Result(), part.Slice())
	}
	tellSlice(a.Err, part)
	if err == nil {
		err = out.Flush()
	}
	switch {
	case err != nil:
		return fmt.Errorf("write the audit: %w", err)
	case one.Gaps > 0:
		return incomplete
	}
	return nil
}

// auditOutput prints the entries and totals of one format.
type auditOutput interface {
	entry(e *check.Entry) error
	result(r *check.AuditResult, slice *store.Slice) error // slice: nil for the whole session
}

func auditPrinter(w *bufio.Writer, f *auditFlags, zone *time.Location, session string) auditOutput {
	switch f.format {
	case "html":
		return &auditHTML{w: w, zone: zone, title: "Audit of " + session}
	case "json":
		out := jsonLines(w)
		return &auditJSON{out, f.details}
	case "csv":
		return &auditCSV{csv.NewWriter(w), f.details, false}
	}
	return &auditTable{w: w, zone: zone, details: f.details}
}

type auditJSON struct {
	out     *json.Encoder
	details bool
}

func (p *auditJSON) entry(e *check.Entry) error {
	if !p.details {
		return nil
	}
	return p.out.Encode(e)
}

func (p *auditJSON) result(r *check.AuditResult, slice *store.Slice) error {
	if slice != nil {
		line := map[string]any{"kind": "slice", "filter": slice.Filter, "messages": slice.Messages, "of": slice.Of}
		if err := p.out.Encode(line); err != nil {
			return err
		}
	}
	for _, d := range r.Days {
		if err := p.out.Encode(d); err != nil {
			return err
		}
	}
	for _, g := range r.Gaps {
		line := map[string]any{"kind": "gap", "seq": g.Seq, "from": jsonTime(g.From), "to": jsonTime(g.To), "reason": g.Reason, "lost": g.Lost}
		if err := p.out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// auditCSV writes totals, one figure a row, or entries.
type auditCSV struct {
	w       *csv.Writer
	details bool
	begun   bool
}

func (p *auditCSV) row(cells ...string) error {
	for i := range cells {
		cells[i] = plainCell(printable(cells[i]))
	}
	return p.w.Write(cells)
}

func (p *auditCSV) entry(e *check.Entry) error {
	if !p.details {
		return nil
	}
	if err := p.head("kind", "agent", "name", "team", "day", "from", "to", "seconds", "uncertainSeconds", "open", "state", "reasonCode", "label", "wireTime",
		"what", "target", "dialogId", "number", "callType", "extension", "how", "by", "basis", "seqs"); err != nil {
		return err
	}
	return p.row(e.Kind, e.Agent, e.Name, e.Team, e.Day, jsonTime(e.From), jsonTime(e.To), seconds(e.To.Sub(e.From)), seconds(e.Uncertain), strconv.FormatBool(e.Open),
		e.State, e.Reason, e.Label, e.Wire, e.What, e.Target, e.Dialog, e.Number, e.CallType, e.Extension, e.How, e.By, e.Basis, numbers(e.Seqs))
}

func (p *auditCSV) head(names ...string) error {
	if p.begun {
		return nil
	}
	p.begun = true
	return p.row(names...)
}

func (p *auditCSV) result(r *check.AuditResult, _ *store.Slice) error {
	if p.details {
		p.w.Flush()
		return p.w.Error()
	}
	err := p.head("agent", "name", "team", "day", "figure", "state", "reasonCode", "label", "target", "count", "seconds", "uncertainSeconds", "seqs")
	for _, d := range r.Days {
		line := func(figure, state, reason, label, target string, t check.Total, took, unsure time.Duration) {
			if err == nil {
				err = p.row(d.Agent, d.Name, d.Team, d.Day, figure, state, reason, label, target, strconv.Itoa(t.Count), seconds(took), seconds(unsure), numbers(t.Seqs))
			}
		}
		line("loggedIn", "", "", "", "", check.Total{}, d.LoggedIn, d.Uncertain)
		line("signIns", "", "", "", "", d.SignIns, 0, 0)
		line("signOuts", "", "", "", "", d.SignOuts, 0, 0)
		line("forced", "", "", "", "", d.Forced, 0, 0)
		for _, s := range d.States {
			line("state", s.State, s.Reason, s.Label, "", s.Times, s.Time, s.Uncertain)
		}
		for i, t := range d.Counts {
			line(check.Figure(i).String(), "", "", "", "", t, 0, 0)
		}
		line("calls", "", "", "", "", d.Calls, d.Talk, d.TalkUncertain)
		for _, t := range d.Actions {
			line(t.What, "", "", "", t.Target, t.Total, 0, 0)
		}
	}
	p.w.Flush()
	if err == nil {
		err = p.w.Error()
	}
	return err
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

func numbers(seqs []int64) string {
	words := make([]string, len(seqs))
	for i, seq := range seqs {
		words[i] = strconv.FormatInt(seq, 10)
	}
	return strings.Join(words, " ")
}

// auditHTML is a page of its own, as report writes them.
type auditHTML struct {
	w        io.Writer
	zone     *time.Location
	title    string
	sessions []check.Entry
}

func (p *auditHTML) entry(e *check.Entry) error {
	if e.Kind == check.KindSession && len(p.sessions) < sessionsShown {
		p.sessions = append(p.sessions, *e)
	}
	return nil
}

func (p *auditHTML) result(r *check.AuditResult, slice *store.Slice) error {
	o := report.Options{Zone: p.zone, Program: "gctap " + version, Show: model.Printable}
	return report.Audited(p.title, r, p.sessions, slice, o).Write(&printableWriter{Writer: p.w})
}

// auditTable is for people.
type auditTable struct {
	w        io.Writer
	zone     *time.Location
	details  bool
	sessions []check.Entry
	more     int
}

// sessionsShown is how many sessions the table lists.
const sessionsShown = 10_000

func (p *auditTable) entry(e *check.Entry) error {
	if e.Kind == check.KindSession {
		if len(p.sessions) < sessionsShown {
			p.sessions = append(p.sessions, *e)
		} else {
			p.more++
		}
	}
	if !p.details {
		return nil
	}
	what := e.What + " " + e.Target
	switch e.Kind {
	case check.KindState:
		what = strings.TrimSpace(e.State+" "+e.Reason+" "+e.Label) + ", says " + e.Wire
	case check.KindCall:
		what = e.Dialog + " " + e.CallType + " " + e.Number
	case check.KindSession:
		what = e.Ended()
	}
	_, err := fmt.Fprintf(p.w, "%s  %-10s  %-8s  %-7s  %s  %s\n", p.time(e.From), clock(e.To.Sub(e.From), e.Uncertain), printable(e.Agent), e.Kind, printable(strings.TrimSpace(what)), seqList(e.Seqs))
	return err
}

func (p *auditTable) time(t time.Time) string { return t.In(p.zone).Format("2006-01-02 15:04:05.0") }

// clock is a length of time, and what of it is uncertain.
func clock(d, unsure time.Duration) string {
	d = d.Round(100 * time.Millisecond)
	text := fmt.Sprintf("%d:%02d:%04.1f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
	if unsure > 0 {
		text += " (" + clock(unsure, 0) + " uncertain)"
	}
	return text
}

func (p *auditTable) result(r *check.AuditResult, _ *store.Slice) error {
	fmt.Fprintf(p.w, "%s to %s, days and times in %s\n", p.time(r.From), p.time(r.To), r.Zone)
	if r.GapCount > 0 {
		fmt.Fprintf(p.w, "%d gaps: what they make uncertain is told with each total; counts may be more than was seen\n", r.GapCount)
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nAGENT\tNAME\tTEAM\tDAY\tSTATE\tREASON\tTIME\tTIMES\tMESSAGES")
	for _, d := range r.Days {
		who := fmt.Sprintf("%s\t%s\t%s\t%s", printable(d.Agent), printable(d.Name), printable(d.Team), d.Day)
		for _, s := range d.States {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", who, s.State, printable(strings.TrimSpace(s.Reason+" "+s.Label)), clock(s.Time, s.Uncertain), s.Times.Count, someSeqs(&s.Times))
		}
		fmt.Fprintf(t, "%s\tall\t\t%s\t\t\n", who, clock(d.LoggedIn, d.Uncertain))
	}
	fmt.Fprint(t, "\nAGENT\tDAY\tIN\tOUT\tFORCED")
	for _, info := range check.Figures() {
		fmt.Fprint(t, "\t", strings.ToUpper(info.Key))
	}
	fmt.Fprintln(t, "\tCALLS\tLENGTH\tLONGEST")
	for _, d := range r.Days {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d", printable(d.Agent), d.Day, d.SignIns.Count, d.SignOuts.Count, d.Forced.Count)
		for i := range d.Counts {
			fmt.Fprintf(t, "\t%d", d.Counts[i].Count)
		}
		fmt.Fprintf(t, "\t%d\t%s\t%s\n", d.Calls.Count, clock(d.Talk, d.TalkUncertain), clock(d.Longest, 0))
	}
	p.people(t, r)
	return t.Flush()
}

// people prints sessions and what supervisors did.
func (p *auditTable) people(t io.Writer, r *check.AuditResult) {
	fmt.Fprintln(t, "\nAGENT\tSIGNED IN\tUNTIL\tAT\tEND\tREASON\tMESSAGES")
	for i := range p.sessions {
		e := &p.sessions[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(e.Agent), p.time(e.From), p.time(e.To), printable(e.Extension), printable(e.Ended()), printable(e.Reason), seqList(e.Seqs))
	}
	if p.more > 0 {
		fmt.Fprintf(t, "and %d more: see --format json --details\n", p.more)
	}
	head := "\nSUPERVISOR\tDAY\tDID\tTO\tTIMES\tMESSAGES\n"
	for _, d := range r.Days {
		for i := range d.Actions {
			x := &d.Actions[i]
			fmt.Fprintf(t, "%s%s\t%s\t%s\t%s\t%d\t%s\n", head, printable(d.Agent), d.Day, x.What, printable(x.Target), x.Count, someSeqs(&x.Total))
			head = ""
		}
	}
	head = "\nGAP\tFROM\tTO\tREASON\n"
	for _, g := range r.Gaps {
		fmt.Fprintf(t, "%s#%d\t%s\t%s\t%s\n", head, g.Seq, p.time(g.From), p.time(g.To), printable(g.Reason))
		head = ""
	}
}

// someSeqs names the first messages of a total.
func someSeqs(t *check.Total) string {
	const most = 5
	text := seqList(t.Seqs[:min(most, len(t.Seqs))])
	if t.Count > most {
		text += " …"
	}
	return text
}
