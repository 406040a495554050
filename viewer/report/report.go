// Package report writes a session, or a comparison of two, as one HTML page
// for people who do not have the program; and the ladder of a session as text,
// for Mermaid, and as SVG.
//
// A page needs nothing from outside itself, and no script to be read: a small
// one filters tables and folds, and a content security policy lets no other
// run. Whatever a message holds is text: html/template escapes it where it
// stands. Passwords are masked once more, also those of sessions that were
// recorded with them.
//
// A page is bounded: it holds so many findings, messages and arrows, and says
// what it leaves out. The same session gives the same bytes.
package report

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/check"
	"gctap/decode/flow"
	"gctap/replay/diff"
	"gctap/store"
)

// What one page holds at the most.
const (
	maxFindings = 1000
	maxMessages = 400
	maxEntries  = 20_000 // of the timeline: the longest; and of the sessions
	maxBody     = 4000   // bytes of a body that are shown
)

// Options say what a report shows of a session. The zero value is the default.
type Options struct {
	Zone    *time.Location // of days and times; nil: UTC
	Off     []string       // rules of check that are left out
	Filter  *store.Filter  // what the page is about; nil: the whole session
	Late    time.Duration
	Ladder  LadderOptions                                         // the stretch of the ladder; zero: around the worst finding
	Program string                                                // name and version, for the foot of the page
	Summary func(rec *capture.Record, msg *decode.Message) string // one printable line about a message
	Show    func(string) string                                   // makes control characters visible
}

// A Page is a report before it is written.
type Page struct {
	Title    string
	Program  string
	Zone     string
	Session  *store.Session
	Ledger   []capture.Counts
	Stats    *check.Summary
	Tally    check.Tally
	Findings []check.Finding
	Audit    *check.AuditResult
	Sessions []check.Entry
	Messages []Message // of interest: those that the findings name
	Diff     *diff.Report
	Groups   []*diff.Group // of its differences

	ladder   *Ladder
	timeline *timePicture
	location *time.Location
	notes    []string
}

// A Message is one that the page shows in full.
type Message struct {
	Seq       int64
	Time      string
	Direction string
	Agent     string
	Name      string
	Summary   string
	Type      string
	To        string
	Body      string
	Cut       int // bytes of the body that are not shown
	Findings  []decode.Finding
}

// Session reads a session and makes its report. It reads the records twice:
// for the figures, and for the ladder around the worst of what was found.
func Session(ctx context.Context, s *store.Store, one store.Session, o Options) (*Page, error) {
	o.fill()
	p := &Page{Title: "Session " + one.Name, Program: o.Program, Zone: o.Zone.String(), Session: &one, location: o.Zone}
	ledger, err := s.Ledger(ctx, one.ID)
	if err != nil {
		return nil, err
	}
	p.Ledger = ledger
	clean := newCleaner(o.Show, !one.Redacted)
	part := s.Select(one.ID, o.Filter)
	worst, entries, err := p.figures(clean.watch(part.Records(ctx)), part, &one, o)
	if err != nil {
		return nil, err
	}
	ladder := o.Ladder
	ladder.Text = clean.text
	ladder.Zone, ladder.Only = o.Zone, part.Only()
	if ladder.From == 0 && ladder.To == 0 && ladder.Conversation == "" && ladder.Dialog == "" && worst > DefaultRungs*2/3 {
		ladder.From = worst - DefaultRungs*2/3
		ladder.To = worst + DefaultRungs/3
	}
	p.ladder = NewLadder(ladder)
	if err := check.Run(until(part.Records(ctx), p.ladder.opts.To), check.Options{Flow: flow.Options{Late: o.Late}}, p.ladder); err != nil {
		return nil, err
	}
	p.timeline = timeline(entries, p.Audit.Gaps, p.Audit.From, p.Audit.To, o.Zone)
	p.clean(clean)
	return p, p.messages(ctx, s, part, &o, clean)
}

// tellSlice says that the page is not about the whole session.
func (p *Page) tellSlice(slice *store.Slice, show func(string) string) {
	if slice == nil {
		return
	}
	note := fmt.Sprintf("A slice: this page is about %d of %d messages, those that the filter %s accepts.", slice.Messages, slice.Of, show(slice.Filter))
	if p.Session != nil {
		note += " The ledger is that of the whole session."
	}
	p.notes = append(p.notes, note)
}

func (o *Options) fill() {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Show == nil {
		o.Show = func(s string) string { return s }
	}
	if o.Summary == nil {
		o.Summary = func(rec *capture.Record, msg *decode.Message) string { return msg.Name }
	}
}

// figures makes what check knows of the session. It returns the seq of the
// worst finding, the first of those, and the entries for the timeline.
func (p *Page) figures(records iter.Seq2[capture.Record, error], part *store.Selection, one *store.Session, o Options) (worst int64, entries []check.Entry, err error) {
	rank := 0
	checker := check.NewChecker(check.CheckOptions{Off: o.Off, Late: o.Late}, func(f check.Finding) {
		if !part.Holds(f.Seq) && f.Rule != check.Overflow {
			return
		}
		p.Tally.Add(&f)
		if r := check.Rank(f.Severity); r > rank && len(p.Findings) < maxFindings {
			rank, worst = r, f.Seq
		}
		if len(p.Findings) < maxFindings {
			p.Findings = append(p.Findings, f)
		}
	})
	var left int64
	shown := longest{most: maxEntries}
	audit := check.NewAudit(check.AuditOptions{Zone: o.Zone, Only: part.Only()}, func(e *check.Entry) {
		switch {
		case e.Kind != check.KindSession && e.Kind != check.KindState && e.Kind != check.KindCall:
		case e.Kind != check.KindSession:
			shown.add(e)
		case len(p.Sessions) >= maxEntries:
			left++
		default:
			p.Sessions = append(p.Sessions, *e)
		}
	})
	stats := check.NewStats()
	stats.Only = part.Only()
	opts := check.Options{Flow: flow.Options{Late: o.Late}}
	if one.EndedAt != nil {
		opts.Until = *one.EndedAt
	}
	if err := check.Run(records, opts, checker, audit, stats); err != nil {
		return 0, nil, err
	}
	p.Stats, p.Audit = stats.Summary(), audit.Result()
	p.tellSlice(part.Slice(), o.Show)
	entries, short := shown.result()
	if left += short; left > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%d more stretches of time are not in the timeline and the list of sign-ins; the totals hold them.", left))
	}
	return worst, entries, nil
}

// until ends a session's records behind a seq; 0: at their end.
func until(records iter.Seq2[capture.Record, error], last int64) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for rec, err := range records {
			if last > 0 && rec.Seq > last || !yield(rec, err) {
				return
			}
		}
	}
}

// messages fetches the messages that the findings name, in order.
func (p *Page) messages(ctx context.Context, s *store.Store, part *store.Selection, o *Options, clean *cleaner) error {
	var seqs []int64
	for i := range p.Findings {
		seqs = append(seqs, p.Findings[i].Seqs...)
		if len(seqs) > 4*maxMessages {
			break
		}
	}
	slices.Sort(seqs)
	seqs = slices.DeleteFunc(slices.Compact(seqs), func(seq int64) bool { return !part.Holds(seq) })
	if len(seqs) > maxMessages {
		p.notes = append(p.notes, fmt.Sprintf("Only the first %d of the messages that the findings name are shown in full.", maxMessages))
		seqs = seqs[:maxMessages]
	}
	for _, seq := range seqs {
		rows, err := s.After(ctx, p.Session.ID, seq-1, 1)
		if err != nil {
			return err
		}
		if len(rows) == 1 && rows[0].Seq == seq {
			p.Messages = append(p.Messages, p.message(&rows[0], o, clean))
		}
	}
	return nil
}

func (p *Page) message(row *store.Row, o *Options, clean *cleaner) Message {
	rec := clean.record(row.Record)
	msg := flow.Decode(&rec, decode.Options{})
	m := Message{
		Seq: rec.Seq, Time: rec.CapturedAt.In(p.location).Format("2006-01-02 15:04:05.000"), Direction: string(rec.Direction), Agent: clean.text(msg.Agent),
		Name: clean.text(msg.Name), Summary: clean.text(o.Summary(&rec, &msg)), Type: clean.text(rec.Type()), To: clean.text(rec.To),
	}
	body := string(rec.Body)
	if len(body) > maxBody {
		m.Cut = len(body) - maxBody
		body = strings.ToValidUTF8(body[:maxBody], "")
	}
	m.Body = clean.text(body)
	for _, f := range msg.Findings {
		f.Text, f.Field = clean.text(f.Text), clean.text(f.Field)
		m.Findings = append(m.Findings, f)
	}
	return m
}

// Audited makes the page of an audit alone; slice is nil where it is of the
// whole session. The texts in it are changed to what
// can be shown.
func Audited(title string, result *check.AuditResult, sessions []check.Entry, slice *store.Slice, o Options) *Page {
	o.fill()
	p := &Page{Title: title, Program: o.Program, Zone: o.Zone.String(), Audit: result, Sessions: sessions, Stats: &check.Summary{}, timeline: &timePicture{}, location: o.Zone}
	p.tellSlice(slice, o.Show)
	p.clean(newCleaner(o.Show, false))
	return p
}

// clean makes the texts of findings and entries fit to be shown.
func (p *Page) clean(c *cleaner) {
	for i := range p.Findings {
		f := &p.Findings[i]
		f.Text, f.Says, f.Agent, f.Conversation, f.Name, f.Dialog = c.text(f.Text), c.text(f.Says), c.text(f.Agent), c.text(f.Conversation), c.text(f.Name), c.text(f.Dialog)
	}
	for i := range p.timeline.Bars {
		p.timeline.Bars[i].Title, p.timeline.Bars[i].Text = c.text(p.timeline.Bars[i].Title), c.text(p.timeline.Bars[i].Text)
	}
	for i := range p.timeline.Agents {
		p.timeline.Agents[i].Name = c.text(p.timeline.Agents[i].Name)
	}
	for i := range p.Sessions {
		e := &p.Sessions[i]
		e.Agent, e.Extension, e.Reason, e.By = c.text(e.Agent), c.text(e.Extension), c.text(e.Reason), c.text(e.By)
	}
	for _, d := range p.Audit.Days {
		d.Agent, d.Name, d.Team = c.text(d.Agent), c.text(d.Name), c.text(d.Team)
		for _, s := range d.States {
			s.State, s.Reason, s.Label = c.text(s.State), c.text(s.Reason), c.text(s.Label)
		}
		for i := range d.Actions {
			d.Actions[i].Target = c.text(d.Actions[i].Target)
		}
	}
	for _, list := range [][]check.Count{p.Stats.Names, p.Stats.Agents, p.Stats.Destinations, p.Stats.Errors} {
		for i := range list {
			list[i].Name = c.text(list[i].Name)
		}
	}
	for i := range p.Stats.Latency {
		p.Stats.Latency[i].Name = c.text(p.Stats.Latency[i].Name)
	}
}

// A cleaner makes texts fit to be shown: no password, no control character.
type cleaner struct {
	masker *decode.Masker
	show   func(string) string
	learn  bool // the session holds passwords
}

func newCleaner(show func(string) string, learn bool) *cleaner {
	return &cleaner{decode.NewMasker(), show, learn}
}

// watch passes records on and learns the secrets in them.
func (c *cleaner) watch(records iter.Seq2[capture.Record, error]) iter.Seq2[capture.Record, error] {
	if !c.learn {
		return records
	}
	return func(yield func(capture.Record, error) bool) {
		for rec, err := range records {
			if err == nil {
				c.record(rec)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// record returns a record with its secrets masked, if any are left in it.
func (c *cleaner) record(rec capture.Record) capture.Record {
	if rec.Direction == capture.GapRow || rec.Direction == capture.Note {
		return rec
	}
	in := decode.Input{Type: rec.JMSType, Body: rec.Body, Direction: decode.FromGC}
	if rec.Direction == capture.Command {
		in.Direction = decode.ToGC
	}
	out, _ := c.masker.Mask(in)
	rec.JMSType, rec.Body = out.Type, out.Body
	return rec
}

func (c *cleaner) text(s string) string {
	if c.learn {
		s = c.masker.Text(s)
	}
	return c.show(s)
}

//go:embed page.tmpl
var pageText string

//go:embed page.css
var styleText string

//go:embed page.js
var scriptText string

// style and script are the program's own, and the only ones that the page's
// policy lets in, by their hashes.
var (
	style  = template.CSS(styleText)
	script = template.JS(scriptText)
)

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var templates = template.Must(template.New("page").Funcs(template.FuncMap{
	"length":  length,
	"ms":      func(f float64) string { return fmt.Sprintf("%.1f", f) },
	"left":    func(p *string) string { return orAbsent(p) },
	"took":    func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) },
	"several": several[int],
}).Parse(pageText))

func orAbsent(p *string) string {
	if p == nil {
		return "(absent)"
	}
	return *p
}

// view is what the template sees.
type view struct {
	*Page
	Policy   string
	Style    template.CSS
	Script   template.JS
	Picture  *ladderPicture
	Timeline *timePicture
	Notes    []string
	Figures  []check.FigureInfo
	Verdict  string
}

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	v := view{Page: p, Style: style, Script: script, Timeline: p.timeline, Notes: p.notes, Figures: check.Figures()}
	v.Policy = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + hash(styleText) + "; script-src " + hash(scriptText)
	if p.ladder != nil {
		v.Picture = p.ladder.picture(p.has)
		if p.ladder.Omitted > 0 {
			v.Notes = append(slices.Clone(v.Notes), fmt.Sprintf("The ladder leaves out %d messages of its stretch.", p.ladder.Omitted))
		}
	}
	if p.Session != nil {
		v.Verdict = p.verdict()
	}
	return templates.Lookup("page").Execute(w, v)
}

// verdict sums up what was found, in a sentence.
func (p *Page) verdict() string {
	t := &p.Tally
	text := "Nothing against the protocol was found"
	if t.Errors+t.Warnings > 0 {
		text = fmt.Sprintf("%s and %s against the protocol", several(t.Errors, "error"), several(t.Warnings, "warning"))
	}
	if g := p.Session.Gaps; g > 0 {
		text += "; the recording has " + several(g, "gap")
		if t.Uncertain > 0 {
			text += ", which make " + several(t.Uncertain, "finding") + " uncertain"
		}
	}
	return text + "."
}

// several counts things.
func several[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// LadderText is the ladder for those who cannot see the picture.
func (p *Page) LadderText() string { return p.ladder.Text() }

// has reports whether the page shows a message in full.
func (p *Page) has(seq int64) bool {
	_, ok := slices.BinarySearchFunc(p.Messages, seq, func(m Message, seq int64) int { return int(m.Seq - seq) })
	return ok
}

// When writes a time in the page's zone.
func (p *Page) When(t time.Time) string { return t.In(p.location).Format("2006-01-02 15:04:05.000") }

// Beyond is how many findings there are beyond those shown.
func (p *Page) Beyond() int { return p.Tally.AtLeast(decode.Note) - len(p.Findings) }

// A link is a message by its seq.
type link struct {
	Seq   int64
	Shown bool
}

// Links returns the first few messages of a list.
func (p *Page) Links(seqs []int64) (links []link) {
	for _, seq := range seqs[:min(len(seqs), 16)] {
		links = append(links, link{seq, p.has(seq)})
	}
	return links
}

// Actions reports whether a supervisor did anything.
func (p *Page) Actions() bool {
	return slices.ContainsFunc(p.Audit.Days, func(d *check.Day) bool { return len(d.Actions) > 0 })
}

// Comparison makes the page of a comparison.
func Comparison(d *diff.Report, o Options) *Page {
	o.fill()
	p := &Page{Title: "Comparison", Program: o.Program, Zone: o.Zone.String(), Diff: d, location: o.Zone}
	if slice := d.Slice(); slice != "" {
		p.notes = append(p.notes, o.Show(slice)+".")
	}
	if p.Groups = d.Groups(); len(p.Groups) > maxFindings {
		p.Groups = p.Groups[:maxFindings]
	}
	if len(d.Differences) > maxFindings {
		p.notes = append(p.notes, fmt.Sprintf("Only the first %d of %d differences are shown.", maxFindings, len(d.Differences)))
		shown := *d
		shown.Differences = d.Differences[:maxFindings]
		p.Diff = &shown
	}
	return p
}
