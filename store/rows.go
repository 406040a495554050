package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"gctap/capture"
)

// A Row is a record with what the index knows of it. Gap rows and notes have
// no index.
type Row struct {
	capture.Record
	Name         string
	Agent        string
	Conversation string
	Subject      string
	Sender       string // of a command: agent whose client sent it, a hint
	Basis        string // of Sender
	Dialog       string
	Severity     int // of the worst finding: 0 none, 1 note, 2 warning, 3 error
}

// How much one page holds at the most: what a read transaction lasts for, and
// what a reader keeps in memory.
const (
	pageRows  = 500
	pageBytes = 4 << 20
)

// followEvery is how often Follow looks for new rows.
const followEvery = 100 * time.Millisecond

// Records yields the records of a session from Seq from on, in order, up to
// those stored when it gets there. A crashed session ends with its gap row.
// After an error it yields nothing more.
func (s *Store) Records(ctx context.Context, session, from int64) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for row, err := range s.Rows(ctx, session, from) {
			if !yield(row.Record, err) {
				return
			}
		}
	}
}

// Rows is Records with the index beside each record.
func (s *Store) Rows(ctx context.Context, session, from int64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for after := max(from, 1) - 1; ; {
			page, err := s.After(ctx, session, after, pageRows)
			if err != nil {
				yield(Row{}, err)
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

// Follow is Rows that waits for more as long as the session is being written.
func (s *Store) Follow(ctx context.Context, session, from int64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for {
			before, err := s.Session(ctx, session)
			if err != nil {
				yield(Row{}, err)
				return
			}
			for row, err := range s.Rows(ctx, session, from) {
				if !yield(row, err) || err != nil {
					return
				}
				from = row.Seq + 1
			}
			if !before.Live {
				return
			}
			select {
			case <-ctx.Done():
				yield(Row{}, context.Cause(ctx))
				return
			case <-tick.C:
			}
		}
	}
}

// After returns up to n rows that follow seq, in order; fewer where bodies are
// large, none at the end of the session.
func (s *Store) After(ctx context.Context, session, seq int64, n int) ([]Row, error) {
	page, err := s.page(ctx, pageAfter, key(session, seq), key(session, maxSeq), max(n, 0))
	if len(page) == 0 && err == nil {
		return s.crashRow(ctx, session, func(gap int64) bool { return gap > seq })
	}
	return page, err
}

// Before returns up to n rows that come before seq, in order; fewer where
// bodies are large. Any seq beyond the last, math.MaxInt64 too, stands for the end.
func (s *Store) Before(ctx context.Context, session, seq int64, n int) ([]Row, error) {
	seq = min(seq, maxSeq)
	gap, err := s.crashRow(ctx, session, func(gap int64) bool { return gap < seq })
	if err != nil {
		return nil, err
	}
	page, err := s.page(ctx, pageBefore, key(session, 0), key(session, seq), max(n-len(gap), 0))
	slices.Reverse(page)
	return append(page, gap...), err
}

// Recent returns the message-ids of the last n records of a session that have
// one, oldest first: what a recording that goes on must know to drop doubles.
func (s *Store) Recent(ctx context.Context, session int64, n int) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT message_id FROM records WHERE id BETWEEN ? AND ? AND message_id <> '' ORDER BY id DESC LIMIT ?`,
		key(session, 0), key(session, maxSeq), n)
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, explain(s.path, err)
		}
		ids = append(ids, id)
	}
	slices.Reverse(ids)
	return ids, explain(s.path, rows.Err())
}

// crashRow returns the gap row that a crashed session lacks, if wanted accepts
// its seq.
func (s *Store) crashRow(ctx context.Context, session int64, wanted func(seq int64) bool) ([]Row, error) {
	one, err := s.Session(ctx, session)
	if err != nil || one.EndedAt != nil || one.Live || !wanted(one.LastSeq) {
		return nil, err
	}
	one.LastSeq-- // crashGap counts from what is stored
	return []Row{{Record: one.crashGap(time.Time{})}}, nil
}

const (
	pageSelect = `SELECT r.id, captured_at, mono, sent_at, sent_ns, direction, source, via, conn, "from", "to",
		original_to, reply_to, message_id, correlation_id, jms_type, body_kind, body, headers, masked, truncated,
		coalesce(name, 0), coalesce(agent, 0), coalesce(conversation, 0), coalesce(subject, 0), coalesce(sender, 0),
		coalesce(basis, 0), coalesce(dialog, 0), coalesce(severity, 0)`
	pageJoin    = ` LEFT JOIN messages m ON m.id = r.id`
	pageColumns = pageSelect + ` FROM records r` + pageJoin
	pageByKeys  = `WITH wanted (id) AS MATERIALIZED (SELECT value FROM json_each(?)) ` + pageSelect + ` FROM wanted w CROSS JOIN records r ON r.id = w.id` + pageJoin
	pageAfter   = pageColumns + ` WHERE r.id > ? AND r.id <= ? ORDER BY r.id LIMIT ?`
	pageBefore  = pageColumns + ` WHERE r.id >= ? AND r.id < ? ORDER BY r.id DESC LIMIT ?`
)

// page reads one page in one statement, which is one read transaction.
func (s *Store) page(ctx context.Context, query string, args ...any) ([]Row, error) {
	page, numbers, err := s.scanPage(ctx, query, args...)
	if err != nil {
		return nil, explain(s.path, err)
	}
	var texts [namesInRow]string
	for i := range page {
		err := s.names.resolve(ctx, s.db, numbers[i][:], texts[:])
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("store %s: record %d names what is not there: the session was deleted meanwhile, or the file is damaged", s.path, page[i].Seq)
		}
		if err != nil {
			return nil, explain(s.path, err)
		}
		page[i].setNames(&texts)
	}
	return page, nil
}

// namesInRow is the number of columns of a page that hold a name.
const namesInRow = 14

func (row *Row) setNames(texts *[namesInRow]string) {
	for i, field := range [namesInRow]*string{
		&row.Source, &row.Via, &row.Conn, &row.From, &row.To, &row.OriginalTo, &row.ReplyTo,
		&row.Name, &row.Agent, &row.Conversation, &row.Subject, &row.Sender, &row.Basis, &row.Dialog,
	} {
		*field = texts[i]
	}
}

func (s *Store) scanPage(ctx context.Context, query string, args ...any) (page []Row, numbers [][namesInRow]int64, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	size := 0
	for size < pageBytes && rows.Next() {
		var row Row
		var names [namesInRow]int64
		if err := scanRow(rows, &row, &names); err != nil {
			return nil, nil, err
		}
		size += len(row.Body)
		page, numbers = append(page, row), append(numbers, names)
	}
	return page, numbers, rows.Err()
}

func scanRow(rows *sql.Rows, row *Row, names *[namesInRow]int64) error {
	var (
		id, captured, mono, direction, kind int64
		sentAt, sentNS                      sql.NullInt64
		headers, masked                     *string
	)
	err := rows.Scan(&id, &captured, &mono, &sentAt, &sentNS, &direction,
		&names[0], &names[1], &names[2], &names[3], &names[4], &names[5], &names[6],
		&row.MessageID, &row.CorrelationID, &row.JMSType, &kind, &row.Body, &headers, &masked, &row.Truncated,
		&names[7], &names[8], &names[9], &names[10], &names[11], &names[12], &names[13], &row.Severity)
	if err != nil {
		return err
	}
	row.Seq = id & maxSeq
	row.CapturedAt, row.Mono = fromNano(captured), time.Duration(mono)
	if sentAt.Valid {
		sent := time.Unix(sentAt.Int64, sentNS.Int64).UTC()
		row.SentAt = &sent
	}
	if direction < 1 || int(direction) >= len(directions) || kind < 0 || int(kind) >= len(bodyKinds) {
		return fmt.Errorf("record %d is damaged: direction %d, body kind %d", row.Seq, direction, kind)
	}
	row.Direction, row.BodyKind = directions[direction], bodyKinds[kind]
	if row.Headers, err = readHeaders(headers); err == nil {
		row.Masked, err = readMasks(masked)
	}
	if err != nil {
		return fmt.Errorf("record %d is damaged: %w", row.Seq, err)
	}
	return nil
}
