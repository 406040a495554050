package model

import (
	"context"
	"fmt"
	"math"

	"gctap/decode"
	"gctap/decode/flow"
	"gctap/store"
)

// A Source is where the model's rows come from: a *store.Store.
type Source interface {
	Sessions(ctx context.Context) ([]store.Session, error)
	Session(ctx context.Context, id int64) (store.Session, error)
	After(ctx context.Context, session, seq int64, n int) ([]store.Row, error)
	Before(ctx context.Context, session, seq int64, n int) ([]store.Row, error)
}

// A Request is what the model needs from its Source next: plain data, so that
// whoever drives the model can have it done where it does not block the screen.
type Request struct {
	kind    kind
	session int64
	seq     int64
	window  int // the list it was asked for; an answer for another is dropped
}

type kind int

const (
	wantSessions kind = iota + 1
	wantSession
	wantAfter
	wantBefore
	wantRecord
)

// String says what is being done, for the progress line.
func (r Request) String() string {
	switch r.kind {
	case wantSessions:
		return "reading the list of sessions"
	case wantRecord:
		return fmt.Sprint("reading message ", r.seq)
	}
	return "reading messages"
}

// A Result is the answer to a Request.
type Result struct {
	request  Request
	sessions []store.Session
	items    []Item
	record   *store.Row
	msg      decode.Message
	err      error
}

// chunk is how many rows one Request brings.
const chunk = 200

// end is a seq behind every record.
const end = math.MaxInt64

// Load does a Request. It touches nothing of the model and may run in a
// goroutine of its own.
func Load(ctx context.Context, src Source, r Request) Result {
	res := Result{request: r}
	var rows []store.Row
	switch r.kind {
	case wantSessions:
		res.sessions, res.err = src.Sessions(ctx)
	case wantSession:
		var one store.Session
		one, res.err = src.Session(ctx, r.session)
		res.sessions = []store.Session{one}
	case wantAfter:
		rows, res.err = src.After(ctx, r.session, r.seq, chunk)
	case wantBefore:
		rows, res.err = src.Before(ctx, r.session, r.seq, chunk)
	case wantRecord:
		if rows, res.err = src.After(ctx, r.session, r.seq-1, 1); len(rows) == 1 && rows[0].Seq == r.seq {
			res.record = &rows[0]
			res.msg = flow.Decode(&rows[0].Record, decode.Options{})
			return res
		}
	}
	for i := range rows {
		res.items = append(res.items, itemOf(&rows[i]))
	}
	return res
}
