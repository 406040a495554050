package model

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gctap/capture"
	"gctap/decode/check"
	"gctap/decode/flow"
	"gctap/store"
)

// A spool holds what an audit says of a session's agents in a file without a
// name, so that the timeline of a session of any length needs the memory of a
// screen. It is written once, by makeSpool, and then only read.
type spool struct {
	file     *os.File
	entries  int64
	agents   []timeAgent // by login id
	places   []int       // where an agent stands among them, by the number that entries carry
	states   []string    // by the number that entries carry
	from, to time.Time   // of the session
	seq      int64       // of the last record
	gaps     []check.AuditGap
	gapCount int
}

// timeAgent is an agent that the timeline has a row for.
type timeAgent struct{ ID, Name string }

// An entry of the spool has entrySize bytes: kind, state, a spare one, length of
// the text; agent; when it was given out, from, to, uncertain, in nanoseconds;
// first and last seq; text.
const (
	entryHead = 4 + 4 + 6*8
	entryText = 72
	entrySize = entryHead + entryText
)

// A TimeEntry is something on the timeline.
type TimeEntry struct {
	Kind      string // of check's entries
	Agent     int    // row
	State     int    // number of the state; of a state only
	From, To  time.Time
	Uncertain time.Duration
	First     int64 // seq of the message that began it
	Last      int64 // … and of the last that belongs to it
	Text      string
}

// maxStates bounds the states that are told apart: the protocol has a dozen.
const maxStates = 32

// spoolWriter fills a spool.
type spoolWriter struct {
	spool  *spool
	out    *bufio.Writer
	rows   map[string]int
	states map[string]int
	now    time.Time
	err    error
	buf    [entrySize]byte
}

// makeSpool reads a session once. The spool must be closed by whoever gets it.
func makeSpool(ctx context.Context, src Source, session store.Session, progress func(done, all int64)) (_ *spool, err error) {
	file, err := unnamed("gctap-timeline-*")
	if err != nil {
		return nil, err
	}
	w := &spoolWriter{spool: &spool{file: file}, out: bufio.NewWriterSize(file, 256<<10), rows: map[string]int{}, states: map[string]int{}}
	defer func() {
		if err != nil {
			w.spool.close()
		}
	}()
	audit := check.NewAudit(check.AuditOptions{}, w.entry)
	opts := check.Options{}
	if session.EndedAt != nil {
		opts.Until = *session.EndedAt
	}
	records := func(yield func(capture.Record, error) bool) {
		for row, err := range rowsOf(ctx, src, session.ID, 0) {
			if err == nil {
				err = w.err
			}
			if row.Seq%1000 == 0 {
				progress(row.Seq, session.LastSeq)
			}
			w.spool.seq = max(w.spool.seq, row.Seq)
			if !yield(row.Record, err) {
				return
			}
		}
	}
	if err = check.Run(records, opts, spoolClock{w}, audit); err != nil {
		return nil, err
	}
	return w.finish(audit.Result())
}

// spoolClock tells a spoolWriter the time before the audit gives out anything.
type spoolClock struct{ w *spoolWriter }

func (c spoolClock) Observe(s *check.Seen) { c.w.now = s.Time }
func (c spoolClock) Close(e *check.End)    { c.w.now = e.Time }

// rowsOf yields the rows of a session behind a seq.
func rowsOf(ctx context.Context, src Source, session, after int64) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		for {
			page, err := src.After(ctx, session, after, 500)
			if err != nil {
				yield(store.Row{}, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
				after = row.Seq
			}
		}
	}
}

// finish knows all agents, and sorts them.
func (w *spoolWriter) finish(result *check.AuditResult) (*spool, error) {
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err != nil {
		return nil, w.err
	}
	s := w.spool
	s.from, s.to, s.gaps, s.gapCount = result.From, result.To, result.Gaps, result.GapCount
	for _, d := range result.Days {
		if i, ok := w.rows[d.Agent]; ok && d.Name != "" {
			s.agents[i].Name = d.Name
		}
	}
	ids := s.agents
	order := make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(len(ids[a].ID), len(ids[b].ID)), cmp.Compare(ids[a].ID, ids[b].ID))
	})
	s.agents, s.places = make([]timeAgent, len(ids)), make([]int, len(ids))
	for place, i := range order {
		s.agents[place], s.places[i] = ids[i], place
	}
	return s, nil
}

// row returns the number of an agent.
func (w *spoolWriter) row(agent string) int {
	row, ok := w.rows[agent]
	if !ok {
		row = len(w.spool.agents)
		w.rows[agent] = row
		w.spool.agents = append(w.spool.agents, timeAgent{ID: agent})
	}
	return row
}

// entry takes in what the audit gives out. What a supervisor does stands with
// both, and of a session only its end.
func (w *spoolWriter) entry(e *check.Entry) {
	switch e.Kind {
	case check.KindState, check.KindCall:
		w.put(w.row(e.Agent), e.Kind, e)
	case check.KindAction:
		w.put(w.row(e.Agent), e.Kind, e)
		if row, ok := w.rows[e.Target]; ok && e.Target != e.Agent {
			w.put(row, targetKind, e)
		}
	case check.KindSession:
		if !e.Open {
			end := *e
			end.From = e.To
			w.put(w.row(e.Agent), e.Kind, &end)
		}
	}
}

// targetKind is an action of a supervisor on the line of whom it was done to.
const targetKind = "target"

// spoolKinds are the kinds of entries that the spool holds, by their number.
var spoolKinds = []string{check.KindState, check.KindCall, check.KindSession, check.KindAction, targetKind}

func (w *spoolWriter) put(row int, kind string, e *check.Entry) {
	if w.err != nil {
		return
	}
	text := entrySays(e, kind)
	b := append(w.buf[:0], byte(slices.Index(spoolKinds, kind)), byte(w.state(e)), 0, byte(len(text)))
	b = binary.LittleEndian.AppendUint32(b, uint32(row))
	var first, last int64
	if n := len(e.Seqs); n > 0 {
		first, last = e.Seqs[0], e.Seqs[n-1]
	}
	if kind == check.KindSession {
		first = last // of the sign-out, not the sign-in
	}
	for _, n := range []int64{w.now.UnixNano(), e.From.UnixNano(), e.To.UnixNano(), int64(e.Uncertain), first, last} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, text...)
	clear(w.buf[len(b):])
	if _, err := w.out.Write(w.buf[:]); err != nil {
		w.err = fmt.Errorf("the view needs room for a temporary file: %w", err)
	}
	w.spool.entries++
}

// state returns the number of an entry's state.
func (w *spoolWriter) state(e *check.Entry) int {
	if e.Kind != check.KindState {
		return 0
	}
	i, ok := w.states[e.State]
	switch {
	case ok:
		return i
	case len(w.states) == maxStates:
		return maxStates - 1
	}
	i = len(w.states)
	w.states[e.State] = i
	w.spool.states = append(w.spool.states, e.State)
	return i
}

// entrySays is an entry's text, cut to what a spool keeps of it.
func entrySays(e *check.Entry, kind string) string {
	var parts []string
	switch kind {
	case check.KindState:
		parts = []string{e.State, e.Reason, e.Label}
	case check.KindCall:
		parts = []string{"call", e.Dialog, e.Number, e.CallType}
	case check.KindAction:
		parts = []string{e.What, e.Target}
		if e.Basis == flow.BasisUnknown {
			parts = append(parts, "(sender not known)")
		}
	case targetKind:
		parts = []string{e.What, "by", e.Agent}
	case check.KindSession:
		parts = []string{"signed out:", e.Ended()}
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	text := Printable(strings.Join(parts, " "))
	for len(text) > entryText {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

func (s *spool) close() { s.file.Close() }

// decode reads an entry as it stands in the spool.
func (s *spool) decode(b []byte) TimeEntry {
	n := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8+8*i:])) }
	return TimeEntry{
		Kind: spoolKinds[b[0]], State: int(b[1]), Agent: s.places[binary.LittleEndian.Uint32(b[4:])], From: time.Unix(0, n(1)), To: time.Unix(0, n(2)),
		Uncertain: time.Duration(n(3)), First: n(4), Last: n(5), Text: string(b[entryHead : entryHead+int(b[3])]),
	}
}

// each shows the entries that reach into a stretch of time of some agents. The
// entries stand in the order in which the audit gave them out, which is not
// before they ended: those before a stretch are passed over.
func (s *spool) each(ctx context.Context, from, to time.Time, rows map[int]int, show func(i int64, e *TimeEntry)) error {
	start, err := s.givenOut(from)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(io.NewSectionReader(s.file, start*entrySize, (s.entries-start)*entrySize), 256<<10)
	var b [entrySize]byte
	for i := start; i < s.entries; i++ {
		if i%10_000 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return fmt.Errorf("the view's temporary file: %w", err)
		}
		if _, ok := rows[s.places[binary.LittleEndian.Uint32(b[4:])]]; !ok {
			continue
		}
		if e := s.decode(b[:]); !e.From.After(to) && !e.To.Before(from) {
			show(i, &e)
		}
	}
	return nil
}

// givenOut returns how many entries had been given out before a time.
func (s *spool) givenOut(at time.Time) (int64, error) {
	low, high := int64(0), s.entries
	var b [8]byte
	for low < high {
		mid := (low + high) / 2
		if _, err := s.file.ReadAt(b[:], mid*entrySize+8); err != nil {
			return 0, fmt.Errorf("the view's temporary file: %w", err)
		}
		if int64(binary.LittleEndian.Uint64(b[:])) < at.UnixNano() {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}
