package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"gctap/capture"
)

// A Writer is the one writer of a session. It is a capture.Sink. Its methods
// may be called from any goroutine, and one does its work at a time.
type Writer struct {
	store *Store
	conn  *sql.Conn
	lock  *lock
	turn  chan struct{} // holds a token while nobody writes

	session Session
	names   *dictionary
	index   *indexer
	insert  statements
	chain   chain
	ended   bool
	batch   int // records that are copied at once
}

type statements struct{ record, message, ledger, session *sql.Stmt }

func (s *statements) close() (err error) {
	for _, stmt := range []*sql.Stmt{s.record, s.message, s.ledger, s.session} {
		if stmt != nil {
			err = errors.Join(err, stmt.Close())
		}
	}
	return err
}

// NewSession begins a session and takes its lock. Sessions that crashed are
// given their gap row and their end first.
func (s *Store) NewSession(ctx context.Context, info SessionInfo) (*Writer, error) {
	return s.newSession(ctx, info, lineage{name: newChainName()})
}

// A lineage is where a new session's chain comes from.
type lineage struct {
	name    []byte // of the chain
	derived string // JSON of a Derived, empty for an original
	copied  bool   // the chain is a copy: its checkpoints come with it
}

func (s *Store) newSession(ctx context.Context, info SessionInfo, from lineage) (*Writer, error) {
	if s.mode != Record {
		return nil, fmt.Errorf("store %s: is not open for recording", s.path)
	}
	if err := s.tidy(ctx); err != nil {
		return nil, err
	}
	info.StartedAt = info.StartedAt.Round(0)
	if info.StartedAt.IsZero() {
		info.StartedAt = s.now().Round(0)
	}
	var id int64
	var held *lock
	err := s.change(ctx, func(ctx context.Context, conn *sql.Conn) (err error) {
		if id, err = insertSession(ctx, conn, &info, from); err != nil {
			return err
		}
		// Before anybody can see the session, so that nobody takes it for crashed.
		if held, err = mustLock(s.path, id); err != nil || from.copied {
			return err
		}
		return s.annotate(ctx, conn, id, AnnotatedName, 0, info.Name)
	})
	if err != nil {
		return nil, releaseAfter(held, err)
	}
	return s.writerOf(ctx, id, held, from.copied)
}

func insertSession(ctx context.Context, conn *sql.Conn, info *SessionInfo, from lineage) (int64, error) {
	var err error
	if info.Name == "" {
		info.Name, err = madeName(ctx, conn, info)
	} else if err = checkName(info.Name); err == nil {
		err = free(ctx, conn, info.Name, 0)
	}
	if err != nil {
		return 0, err
	}
	started, err := nano(info.StartedAt)
	if err != nil {
		return 0, err
	}
	res, err := conn.ExecContext(ctx, `INSERT INTO sessions (name, origin, broker, identity, addresses, host, mode, queues, topics,
		site_tz, tz_assumed, redacted, parent, note, program, started_at, seen_at, end_reason, indexed, chain, derived, command)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,'',?,?,?,?)`,
		info.Name, info.Origin, info.Broker, info.Identity, lines(info.Addresses), info.Host, info.Mode, lines(info.Queues), lines(info.Topics),
		info.SiteTZ, info.TZAssumed, info.Redacted, orNull(info.Parent), info.Note, info.Program, started, started, indexVersion, from.name, from.derived, info.Command)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

func orNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// Resume takes a session up again that has ended or crashed. After a crash a
// gap row up to now comes first.
func (s *Store) Resume(ctx context.Context, id int64) (*Writer, error) {
	if s.mode != Record {
		return nil, fmt.Errorf("store %s: is not open for recording", s.path)
	}
	held, err := mustLock(s.path, id)
	if err != nil {
		return nil, err
	}
	w, err := s.writer(ctx, id, held)
	if err != nil {
		return nil, err
	}
	if err := w.reopen(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// reopen takes the end back, and stores the gap of a crash that no writer has
// stored yet.
func (w *Writer) reopen(ctx context.Context) error {
	if w.session.EndedAt == nil {
		if err := w.store.intact(ctx); err != nil {
			return err
		}
		return w.Write(ctx, capture.Batch{Records: []capture.Record{w.session.crashGap(w.store.now())}})
	}
	w.session.EndedAt, w.session.EndReason = nil, ""
	return w.store.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return one(conn.ExecContext(ctx, `UPDATE sessions SET ended_at = NULL, end_reason = '', sealed = 0, seen_at = ? WHERE id = ?`,
			w.store.now().UnixNano(), w.session.ID))
	})
}

func mustLock(path string, id int64) (*lock, error) {
	held, err := takeLock(path, id)
	if err != nil {
		return nil, fmt.Errorf("store %s: its lock file: %w", path, cause(err))
	}
	if held == nil {
		return nil, fmt.Errorf("session %d is being recorded by another gctap", id)
	}
	return held, nil
}

func releaseAfter(held *lock, err error) error {
	if held != nil {
		err = errors.Join(err, held.release())
	}
	return err
}

// tidy stores the gap and the end of crashed sessions and goes on with
// deletions that were cut off.
func (s *Store) tidy(ctx context.Context) error {
	open, err := s.readSessions(ctx, "ended_at IS NULL")
	if err != nil {
		return err
	}
	for _, one := range open {
		if err := s.settle(ctx, one.ID); err != nil {
			return err
		}
	}
	return s.sweep(ctx)
}

// intact looks through the whole file, as is due when it was not closed: a
// machine that lost its power may have lied about what is on its disk.
func (s *Store) intact(ctx context.Context) error {
	var first string
	if err := s.db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&first); err != nil {
		return explain(s.path, err)
	}
	if first != "ok" {
		return fmt.Errorf("store %s: is damaged after an unclean end (%s): record into another file with --db, and `gctap import --salvage` what is good of a copy of this one", s.path, first)
	}
	return nil
}

// settle ends a session if it crashed; if it lives it is left alone.
func (s *Store) settle(ctx context.Context, id int64) error {
	held, err := takeLock(s.path, id)
	if held == nil || err != nil {
		return err
	}
	w, err := s.writer(ctx, id, held)
	if err != nil {
		return err
	}
	if w.session.EndedAt != nil { // by its own writer or another tidier, meanwhile
		return w.Close()
	}
	last := w.session.seenAt
	if err = s.intact(ctx); err == nil {
		err = w.write(ctx, capture.Batch{Records: []capture.Record{w.session.crashGap(last)}}, last)
	}
	if err == nil {
		err = w.end(ctx, EndCrash, last)
	}
	return errors.Join(err, w.Close())
}

// writer makes the Writer of an existing session, whose lock it takes over.
func (s *Store) writer(ctx context.Context, id int64, held *lock) (*Writer, error) {
	return s.writerOf(ctx, id, held, false)
}

func (s *Store) writerOf(ctx context.Context, id int64, held *lock, copied bool) (*Writer, error) {
	w := &Writer{store: s, lock: held, index: newIndexer(), turn: make(chan struct{}, 1), chain: chain{copied: copied}, batch: copyBatch}
	w.turn <- struct{}{}
	found, err := s.readSessions(ctx, "id = ?", id)
	if err == nil && len(found) == 0 {
		err = &UnknownSession{Store: s.path, Ref: fmt.Sprint(id)}
	}
	if err != nil {
		return nil, releaseAfter(held, err)
	}
	w.session = found[0]
	w.session.Live = true
	if w.conn, err = s.db.Conn(ctx); err != nil {
		return nil, releaseAfter(held, explain(s.path, err))
	}
	if err := w.prepare(context.WithoutCancel(ctx)); err != nil {
		return nil, errors.Join(explain(s.path, err), w.Close())
	}
	return w, nil
}

func (w *Writer) prepare(ctx context.Context) (err error) {
	w.names, err = newDictionary(ctx, w.conn, w.session.ID)
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&w.insert.record, insertRecord},
		{&w.insert.message, insertMessage},
		{&w.insert.ledger, insertLedger},
		{&w.insert.session, updateSession},
	} {
		if err == nil {
			*p.stmt, err = w.conn.PrepareContext(ctx, p.text)
		}
	}
	if err == nil {
		err = w.startChain(ctx)
	}
	return err
}

const (
	insertRecord = `INSERT INTO records (id, captured_at, mono, sent_at, sent_ns, direction, source, via, conn, "from", "to",
		original_to, reply_to, message_id, correlation_id, jms_type, body_kind, body, headers, masked, truncated, rh)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	insertMessage = `INSERT INTO messages (id, name, agent, conversation, subject, sender, basis, dialog, severity)
		VALUES (?,?,?,?,?,?,?,?,?)`
	insertLedger = `INSERT OR REPLACE INTO ledger (session, destination, received, stored, doubled, filtered, lost, "foreign")
		VALUES (?,?,?,?,?,?,?,?)`
	updateSession = `UPDATE sessions SET seen_at = ?, last_seq = ?, last_mono = ?, commands = ?, events = ?, peers = ?, gaps = ?,
		notes = ?, lost = ? WHERE id = ?`
)

// Spare keeps the write-ahead log from being folded back from now on: on a full
// disk that would take the room that the last records need.
func (w *Writer) Spare(ctx context.Context) error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	_, err := w.conn.ExecContext(ctx, `PRAGMA wal_autocheckpoint=0`)
	return explain(w.store.path, err)
}

// Session returns the session as it stands.
func (w *Writer) Session() Session {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	return w.session
}

// Write stores a batch: all of it or, with an error, nothing. When it returns
// nil the batch is on the disk. Records must rise in Seq; one with Seq 0 gets
// the next. An empty batch is a sign of life. Cancelling ctx keeps it from
// beginning.
func (w *Writer) Write(ctx context.Context, b capture.Batch) error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	return w.write(ctx, b, w.store.now())
}

func (w *Writer) write(ctx context.Context, b capture.Batch, now time.Time) error {
	if w.ended {
		return fmt.Errorf("session %d has ended", w.session.ID)
	}
	entries := make([]*entry, len(b.Records))
	for i := range b.Records {
		entries[i] = w.index.entry(&b.Records[i])
	}
	next := w.session
	if now.After(next.seenAt) {
		next.seenAt = now.Round(0)
	}
	links := w.chain
	err := transact(ctx, w.conn, func(ctx context.Context, _ *sql.Conn) error {
		for i := range b.Records {
			if err := w.add(ctx, &next, &links, &b.Records[i], entries[i]); err != nil {
				return err
			}
			if len(links.block) >= w.store.block {
				if err := saveCheckpoint(ctx, w.conn, next.ID, links.checkpoint(digest{}, now, false)); err != nil {
					return err
				}
			}
		}
		if links.due(now) {
			if err := saveCheckpoint(ctx, w.conn, next.ID, links.checkpoint(digest{}, now, false)); err != nil {
				return err
			}
		}
		for _, c := range b.Ledger {
			if _, err := w.insert.ledger.ExecContext(ctx, next.ID, c.Destination, c.Received, c.Stored, c.Doubled, c.Filtered, c.Lost, c.Foreign); err != nil {
				return err
			}
		}
		_, err := w.insert.session.ExecContext(ctx, next.seenAt.UnixNano(), next.LastSeq, int64(next.lastMono),
			next.Commands, next.Events, next.Peers, next.Gaps, next.Notes, next.Lost, next.ID)
		return err
	})
	if err != nil {
		w.names.rolledBack()
		return explain(w.store.path, err)
	}
	w.names.committed()
	w.session, w.chain = next, links
	return nil
}

// add stores one record with its entry, counts it in s and links it to c.
func (w *Writer) add(ctx context.Context, s *Session, c *chain, rec *capture.Record, e *entry) error {
	seq := rec.Seq
	if seq == 0 {
		seq = s.LastSeq + 1
	}
	if seq <= s.LastSeq || seq > maxSeq {
		return fmt.Errorf("record %d comes after record %d of session %d", seq, s.LastSeq, s.ID)
	}
	row, err := w.recordRow(ctx, key(s.ID, seq), rec)
	if err != nil {
		return err
	}
	if c.name != nil {
		rh := c.add(rec, seq)
		row[len(row)-1] = rh[:]
	}
	if _, err := w.insert.record.ExecContext(ctx, row...); err != nil {
		return err
	}
	if e != nil {
		row, err := w.messageRow(ctx, key(s.ID, seq), e)
		if err != nil {
			return err
		}
		if _, err := w.insert.message.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	s.count(rec)
	s.LastSeq, s.lastMono = seq, max(s.lastMono, rec.Mono)
	if rec.CapturedAt.After(s.seenAt) {
		s.seenAt = rec.CapturedAt.Round(0)
	}
	return nil
}

func (s *Session) count(rec *capture.Record) {
	switch rec.Direction {
	case capture.Command:
		s.Commands++
	case capture.Event:
		s.Events++
	case capture.Peer:
		s.Peers++
	case capture.Note:
		s.Notes++
	case capture.GapRow:
		s.Gaps++
		if gap, ok := rec.Gap(); ok && gap.Lost != nil {
			s.Lost += *gap.Lost
		}
	}
}

// recordRow returns the values of insertRecord, the last of them left out.
func (w *Writer) recordRow(ctx context.Context, id int64, rec *capture.Record) ([]any, error) {
	captured, err := nano(rec.CapturedAt)
	if err != nil {
		return nil, err
	}
	direction, kind := slices.Index(directions, rec.Direction), slices.Index(bodyKinds, rec.BodyKind)
	if direction < 1 || kind < 0 {
		return nil, fmt.Errorf("record %d: direction %q, body kind %q: not known", rec.Seq, rec.Direction, rec.BodyKind)
	}
	var sentAt, sentNS any
	if rec.SentAt != nil {
		sentAt, sentNS = rec.SentAt.Unix(), int64(rec.SentAt.Nanosecond())
	}
	var jmsType any
	if rec.JMSType != nil {
		jmsType = *rec.JMSType
	}
	row := make([]any, 0, 22)
	row = append(row, id, captured, int64(rec.Mono), sentAt, sentNS, int64(direction))
	if row, err = w.appendNames(ctx, row, rec.Source, rec.Via, rec.Conn, rec.From, rec.To, rec.OriginalTo, rec.ReplyTo); err != nil {
		return nil, err
	}
	return append(row, rec.MessageID, rec.CorrelationID, jmsType, int64(kind), rec.Body,
		headerLines(rec.Headers), maskLines(rec.Masked), rec.Truncated, nil), nil
}

// messageRow returns the values of insertMessage.
func (w *Writer) messageRow(ctx context.Context, id int64, e *entry) ([]any, error) {
	row := append(make([]any, 0, 9), id)
	row, err := w.appendNames(ctx, row, e.name, e.agent, e.place.Conversation, e.place.Subject, e.place.Sender, e.place.Basis, e.dialog)
	return append(row, int64(e.severity)), err
}

func (w *Writer) appendNames(ctx context.Context, row []any, texts ...string) ([]any, error) {
	for _, text := range texts {
		n, err := w.names.number(ctx, text)
		if err != nil {
			return nil, err
		}
		row = append(row, n)
	}
	return row, nil
}

// directions and bodyKinds are the numbers of the columns of that name.
var (
	directions = []capture.Direction{"", capture.Command, capture.Event, capture.Peer, capture.GapRow, capture.Note}
	bodyKinds  = []capture.BodyKind{"", capture.Text, capture.Bytes, capture.Map, capture.Null, capture.None, capture.Unknown}
)

// nano returns t as the columns hold it. Only the tap's own clock and a
// session's times are kept so; none of them is outside of 1678 to 2262.
func nano(t time.Time) (int64, error) {
	if t.Year() < 1678 || t.Year() > 2261 {
		return 0, fmt.Errorf("a time of %s cannot be stored", t.Format(time.RFC3339))
	}
	return t.UnixNano(), nil
}

// A record's key is its session and its seq in one number: records of a
// session lie together, and an index on any column keeps them in order.
const (
	seqBits = 40
	maxSeq  = 1<<seqBits - 1
)

func key(session, seq int64) int64 { return session<<seqBits | seq }

// Amend changes what is known of the session while it is written: the mode
// that was found, the broker's identity. Name, origin and start stay.
func (w *Writer) Amend(ctx context.Context, change func(*SessionInfo)) error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	info := w.session.SessionInfo
	change(&info)
	info.Name, info.Origin, info.StartedAt = w.session.Name, w.session.Origin, w.session.StartedAt
	err := transact(ctx, w.conn, func(ctx context.Context, conn *sql.Conn) error {
		return one(conn.ExecContext(ctx, `UPDATE sessions SET broker = ?, identity = ?, addresses = ?, host = ?, mode = ?, queues = ?,
			topics = ?, site_tz = ?, tz_assumed = ?, redacted = ?, parent = ?, note = ?, program = ? WHERE id = ?`,
			info.Broker, info.Identity, lines(info.Addresses), info.Host, info.Mode, lines(info.Queues), lines(info.Topics),
			info.SiteTZ, info.TZAssumed, info.Redacted, orNull(info.Parent), info.Note, info.Program, w.session.ID))
	})
	if err != nil {
		return explain(w.store.path, err)
	}
	w.session.SessionInfo = info
	return nil
}

// End ends the session with the writer's word for why, and closes the Writer.
func (w *Writer) End(ctx context.Context, reason string) error {
	return w.EndAt(ctx, reason, time.Time{})
}

// EndAt ends the session of something that is over: at is when it ended, by
// its own clock. A zero time, and one before the session's start, is now.
func (w *Writer) EndAt(ctx context.Context, reason string, at time.Time) error {
	<-w.turn
	if at.Before(w.session.StartedAt) {
		at = w.store.now()
		if at.Before(w.session.seenAt) {
			at = w.session.seenAt
		}
	}
	err := w.end(ctx, reason, at)
	w.turn <- struct{}{}
	if err != nil {
		return err
	}
	return w.Close()
}

func (w *Writer) end(ctx context.Context, reason string, at time.Time) error {
	if w.ended {
		return nil
	}
	at = at.Round(0)
	next, links := w.session, w.chain
	next.EndedAt, next.EndReason, next.Live = &at, reason, false
	err := transact(ctx, w.conn, func(ctx context.Context, conn *sql.Conn) error {
		seal, err := w.seal(ctx, &next, &links)
		if err != nil {
			return err
		}
		next.Sealed = seal != nil
		if err := saveCheckpoint(ctx, conn, next.ID, seal); err != nil {
			return err
		}
		return one(conn.ExecContext(ctx, `UPDATE sessions SET ended_at = ?, end_reason = ?, seen_at = ?, sealed = ? WHERE id = ?`,
			at.UnixNano(), reason, at.UnixNano(), next.Sealed, next.ID))
	})
	if err != nil {
		return explain(w.store.path, err)
	}
	w.session, w.chain, w.ended = next, links, true
	// Whoever copies the file must find the session in it, not in the log
	// beside it. SQLite does this when its last connection closes, but not when
	// that is a reader's. Where another writer is busy, that one will do it.
	var busy, pages, folded int
	_ = w.conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &folded)
	return nil
}

// Close lets the session go. One that has not been ended looks crashed from
// then on, which is what it is.
func (w *Writer) Close() error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.ended = true
	var err error
	if w.conn != nil {
		// A statement that is left open keeps SQLite from folding the log back
		// into the file when the store is closed.
		err = errors.Join(w.names.close(), w.insert.close(), w.conn.Close())
		w.conn = nil
	}
	if w.lock != nil {
		err = errors.Join(err, w.lock.release())
		w.lock = nil
	}
	return err
}
