package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"gctap/capture"
	"gctap/decode"
)

// Origins of a session.
const (
	OriginRecord = "record"
	OriginReplay = "replay"
	OriginMock   = "mock"
	OriginImport = "import"
	OriginDemo   = "demo"
	OriginSim    = "sim"
	OriginRing   = "ring"
)

// EndCrash is the end reason of a session whose writer died.
const EndCrash = "crash"

// SessionInfo is what a writer knows of its session.
type SessionInfo struct {
	Name      string    // empty: made from host and time
	Origin    string    // OriginRecord, …
	Broker    string    // URL, without password
	Identity  string    // of the broker's process
	Addresses []string  // that the broker was reached at, host:port
	Host      string    // host name of the broker
	Mode      string    // how commands were tapped
	Queues    []string  // command queues
	Topics    []string  // named by the user
	SiteTZ    string    // time zone of the times inside messages
	TZAssumed bool      // nobody said so: it is the recorder's own
	Redacted  bool      // secrets were masked
	Parent    int64     // the session it was made from; 0: none
	Note      string    // free text
	Program   string    // version of gctap that writes it
	Command   string    // what the recording was asked, in the words of whoever asks
	StartedAt time.Time // zero: now
}

// A Session is one session of a store, as it stood when it was read.
type Session struct {
	ID int64
	SessionInfo
	EndedAt   *time.Time // nil: it goes on, or it crashed
	EndReason string     // the writer's word, or EndCrash
	Live      bool       // its writer is alive

	// Totals of what is stored. A crash gap that readers see counts.
	Commands, Events, Peers, Gaps, Notes int64
	Lost                                 int64 // sum over the gaps that know
	LastSeq                              int64
	Sealed                               bool // the final checkpoint of its chain was written

	chain    []byte // name of its chain; nil: written before there were chains
	derived  string
	seenAt   time.Time
	lastMono time.Duration
}

// Messages is the number of records that stand for a message.
func (s *Session) Messages() int64 { return s.Commands + s.Events + s.Peers }

// rows is the number of records of any kind that were stored.
func (s *Session) rows() int64 { return s.Messages() + s.Gaps + s.Notes }

// Plus returns counts that are the sums of both sessions', and nothing else.
func (s *Session) Plus(other Session) Session {
	return Session{
		Commands: s.Commands + other.Commands, Events: s.Events + other.Events, Peers: s.Peers + other.Peers,
		Gaps: s.Gaps + other.Gaps, Notes: s.Notes + other.Notes, Lost: s.Lost + other.Lost,
	}
}

// Crashed reports whether the writer died without ending the session.
func (s *Session) Crashed() bool { return s.EndReason == EndCrash || s.EndedAt == nil && !s.Live }

// crashGap is the row that stands for everything after the last sign of life.
// until is when recording went on, or zero.
func (s *Session) crashGap(until time.Time) capture.Record {
	if until.Before(s.seenAt) {
		until = s.seenAt
	}
	rec := capture.Gap{From: s.seenAt, To: until, Reason: capture.GapCrash}.Record()
	rec.Seq = s.LastSeq + 1
	rec.Mono = max(s.lastMono, until.Sub(s.StartedAt))
	return rec
}

const sessionColumns = `id, name, origin, broker, identity, addresses, host, mode, queues, topics,
	site_tz, tz_assumed, redacted, parent, note, program, started_at, seen_at, ended_at, end_reason,
	last_seq, last_mono, commands, events, peers, gaps, notes, lost, sealed, chain, derived, command`

// Sessions returns all sessions, oldest first.
func (s *Store) Sessions(ctx context.Context) ([]Session, error) {
	return s.sessions(ctx, "1 ORDER BY id")
}

// Session returns the session with the given id.
func (s *Store) Session(ctx context.Context, id int64) (Session, error) {
	found, err := s.sessions(ctx, "id = ?", id)
	if err != nil {
		return Session{}, err
	}
	if len(found) == 0 {
		return Session{}, &UnknownSession{Store: s.path, Ref: fmt.Sprint(id)}
	}
	return found[0], nil
}

// sessions reads rows and finds out which of the unended ones are alive. A
// writer says that it ended before it lets its lock go, so a session without
// an end and without a lock is read once more before it counts as crashed.
func (s *Store) sessions(ctx context.Context, where string, args ...any) ([]Session, error) {
	found, err := s.readSessions(ctx, where, args...)
	if err != nil {
		return nil, err
	}
	for i := range found {
		one := &found[i]
		if one.EndedAt != nil {
			continue
		}
		if one.Live, err = locked(s.path, one.ID); err != nil {
			return nil, fmt.Errorf("store %s: its lock file: %w", s.path, cause(err))
		}
		if one.Live {
			continue
		}
		again, err := s.readSessions(ctx, "id = ?", one.ID)
		if err != nil {
			return nil, err
		}
		if len(again) == 1 {
			*one = again[0]
		}
		if one.EndedAt == nil {
			one.Gaps++
			one.LastSeq++
		}
	}
	return found, nil
}

// readSessions reads rows as they are stored: Live is false.
func (s *Store) readSessions(ctx context.Context, where string, args ...any) ([]Session, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+sessionColumns+" FROM sessions WHERE "+where, args...)
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var found []Session
	for rows.Next() {
		one, err := scanSession(rows)
		if err != nil {
			return nil, explain(s.path, err)
		}
		found = append(found, one)
	}
	return found, explain(s.path, rows.Err())
}

func scanSession(rows *sql.Rows) (Session, error) {
	var (
		s                         Session
		addresses, queues, topics string
		parent, ended             sql.NullInt64
		started, seen, mono       int64
	)
	err := rows.Scan(&s.ID, &s.Name, &s.Origin, &s.Broker, &s.Identity, &addresses, &s.Host, &s.Mode, &queues, &topics,
		&s.SiteTZ, &s.TZAssumed, &s.Redacted, &parent, &s.Note, &s.Program, &started, &seen, &ended, &s.EndReason,
		&s.LastSeq, &mono, &s.Commands, &s.Events, &s.Peers, &s.Gaps, &s.Notes, &s.Lost, &s.Sealed, &s.chain, &s.derived, &s.Command)
	s.Addresses, s.Queues, s.Topics = list(addresses), list(queues), list(topics)
	s.Parent = parent.Int64
	s.StartedAt, s.seenAt, s.lastMono = fromNano(started), fromNano(seen), time.Duration(mono)
	if ended.Valid {
		end := fromNano(ended.Int64)
		s.EndedAt = &end
	}
	return s, err
}

func fromNano(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// list and lines are the two ways of a list of words in one column.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func lines(words []string) string { return strings.Join(words, "\n") }

// Rename gives a session another name.
func (s *Store) Rename(ctx context.Context, id int64, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		if err := free(ctx, conn, name, id); err != nil {
			return err
		}
		if err := one(conn.ExecContext(ctx, `UPDATE sessions SET name = ? WHERE id = ?`, name, id)); err != nil {
			return err
		}
		return s.annotate(ctx, conn, id, AnnotatedName, 0, name)
	})
}

// SetNote replaces the note of a session.
func (s *Store) SetNote(ctx context.Context, id int64, note string) error {
	return s.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		if err := one(conn.ExecContext(ctx, `UPDATE sessions SET note = ? WHERE id = ?`, note, id)); err != nil {
			return err
		}
		return s.annotate(ctx, conn, id, AnnotatedNote, 0, note)
	})
}

// one checks that a statement changed one row.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errors.New("the session is gone"))
	}
	return nil
}

// checkName refuses names that a reader could take for an id, for @last or for
// a file.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a session's name is not empty")
	case strings.Trim(name, "0123456789") == "":
		return fmt.Errorf("session name %q: would be read as an id: add a letter", name)
	case strings.HasPrefix(name, "@"):
		return fmt.Errorf("session name %q: must not begin with @", name)
	case strings.ContainsAny(name, `/\#`) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("session name %q: must not hold /, \\, # or control characters", name)
	}
	return nil
}

// free checks that no session but one has the name.
func free(ctx context.Context, conn *sql.Conn, name string, but int64) error {
	var id int64
	err := conn.QueryRowContext(ctx, `SELECT id FROM sessions WHERE name = ? AND id <> ?`, name, but).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("session name %q: session %d has it: choose another", name, id)
}

// madeName returns a name from host and time that no session has.
func madeName(ctx context.Context, conn *sql.Conn, info *SessionInfo) (string, error) {
	base := cmp.Or(info.Host, info.Origin, "session")
	base = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\#@`, r) || unicode.IsControl(r) {
			return '-'
		}
		return r
	}, base) + "-" + info.StartedAt.UTC().Format("20060102-150405")
	name := base
	for n := 2; ; n++ {
		var taken bool
		if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sessions WHERE name = ?`, name).Scan(&taken); err != nil || !taken {
			return name, err
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// Ledger returns the totals of every destination of a session, by name.
func (s *Store) Ledger(ctx context.Context, session int64) ([]capture.Counts, error) {
	ledger, err := ledgerOf(ctx, s.db, session)
	return ledger, explain(s.path, err)
}

func ledgerOf(ctx context.Context, db querier, session int64) ([]capture.Counts, error) {
	rows, err := db.QueryContext(ctx, `SELECT destination, received, stored, doubled, filtered, lost, "foreign"
		FROM ledger WHERE session = ? ORDER BY destination`, session)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ledger []capture.Counts
	for rows.Next() {
		var c capture.Counts
		if err := rows.Scan(&c.Destination, &c.Received, &c.Stored, &c.Doubled, &c.Filtered, &c.Lost, &c.Foreign); err != nil {
			return nil, err
		}
		ledger = append(ledger, c)
	}
	return ledger, rows.Err()
}

// deleteStep is how many records one transaction of Delete removes.
const deleteStep = 10_000

// Delete removes a session and everything that belongs to it. The session is
// gone at once; its rows are removed in steps, and where this is interrupted
// the next writer goes on. A session that is being written is refused.
func (s *Store) Delete(ctx context.Context, id int64) error {
	held, err := takeLock(s.path, id)
	if err != nil {
		return fmt.Errorf("store %s: its lock file: %w", s.path, cause(err))
	}
	if held == nil {
		return fmt.Errorf("session %d is being recorded: stop that first", id)
	}
	defer held.release()
	err = s.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		if err := one(conn.ExecContext(ctx, `DELETE FROM sessions WHERE id = ?`, id)); err != nil {
			return err
		}
		_, err := conn.ExecContext(ctx, `INSERT INTO deleted (session) VALUES (?)`, id)
		return err
	})
	if err != nil {
		return err
	}
	return s.sweep(ctx)
}

// sweep removes what deleted sessions left.
func (s *Store) sweep(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, `SELECT session FROM deleted`)
	if err != nil {
		return explain(s.path, err)
	}
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			rows.Close()
			return explain(s.path, err)
		}
		ids = append(ids, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return explain(s.path, err)
	}
	for _, id := range ids {
		if err := s.sweepSession(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) sweepSession(ctx context.Context, id int64) error {
	for done := false; !done; {
		err := s.change(ctx, func(ctx context.Context, conn *sql.Conn) (err error) {
			done, err = sweepStep(ctx, conn, id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func sweepStep(ctx context.Context, conn *sql.Conn, id int64) (done bool, err error) {
	var last sql.NullInt64
	err = conn.QueryRowContext(ctx, `SELECT max(id) FROM (SELECT id FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)`,
		key(id, 0), key(id, maxSeq), deleteStep).Scan(&last)
	if err != nil {
		return false, err
	}
	if last.Valid {
		for _, table := range []string{"messages", "proofs", "records"} {
			if _, err := conn.ExecContext(ctx, `DELETE FROM `+table+` WHERE id BETWEEN ? AND ?`, key(id, 0), last.Int64); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	for _, table := range []string{"names", "ledger", "checkpoints", "annotations", "deleted"} {
		if _, err := conn.ExecContext(ctx, `DELETE FROM `+table+` WHERE session = ?`, id); err != nil {
			return false, err
		}
	}
	return true, giveBack(ctx, conn)
}

// giveBack returns free pages to the file system, inside a write transaction.
func giveBack(ctx context.Context, conn *sql.Conn) error {
	// Not Exec: the pragma gives back a page for each row that is read.
	slots, err := conn.QueryContext(ctx, `PRAGMA incremental_vacuum`)
	if err != nil {
		return err
	}
	defer slots.Close()
	for slots.Next() {
	}
	return slots.Err()
}

// nearest returns the names most like ref, at most three.
func nearest(ref string, sessions []Session) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	folded := strings.ToLower(ref)
	for _, s := range sessions {
		name := strings.ToLower(s.Name)
		d := decode.Distance([]byte(folded), []byte(name))
		if strings.Contains(name, folded) {
			d = 1
		}
		if d <= max(2, len(ref)/3) {
			near = append(near, candidate{s.Name, d})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var names []string
	for _, c := range near[:min(3, len(near))] {
		names = append(names, c.name)
	}
	return names
}
