package store

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"gctap/capture"
)

// When a checkpoint is written: after so many records, or so long after the
// one before.
const (
	blockRecords = 1000
	blockTime    = time.Minute
)

// A Checkpoint is a signed statement about a chain up to one of its records.
type Checkpoint struct {
	Chain     []byte
	Number    int64 // 0 is the beginning
	First     int64 // seq of the block's first record; 0: the block is empty
	Last      int64 // seq of the last record so far
	Count     int64 // records of the chain so far
	Head      digest
	Root      digest // Merkle root of the block
	Facts     digest // what the session says of itself
	Sealed    bool   // the final one
	At        time.Time
	Key       ed25519.PublicKey
	Signature []byte
}

// message is what is signed.
func (p *Checkpoint) message() []byte {
	c := newCanon(nil, "gctap checkpoint 1")
	c.bytes(p.Chain)
	for _, n := range [...]int64{p.Number, p.First, p.Last, p.Count, p.At.UnixNano()} {
		c.int(n)
	}
	for _, d := range [...]digest{p.Head, p.Root, p.Facts} {
		c.bytes(d[:])
	}
	c.bool(p.Sealed)
	return c.buf
}

func (p *Checkpoint) valid() bool {
	return len(p.Key) == ed25519.PublicKeySize && ed25519.Verify(p.Key, p.message(), p.Signature)
}

// A chain is what a Writer knows of its session's chain. It is a value: what a
// transaction that failed did to a copy is forgotten with the copy.
type chain struct {
	name    []byte // nil: the session has none
	head    digest
	count   int64
	number  int64 // of the next checkpoint
	first   int64 // seq of the block's first record
	last    int64
	block   []digest // since the last checkpoint
	since   time.Time
	private ed25519.PrivateKey // nil: nothing is signed
	copied  bool               // the checkpoints are the original's: none is made
	unsign  error              // why nothing is signed

	hasher hash.Hash
	buf    []byte
}

func newChainName() []byte {
	name := make([]byte, sha256.Size)
	rand.Read(name) // never fails
	return name
}

// add takes the next record in and returns its rh.
func (c *chain) add(rec *capture.Record, seq int64) digest {
	var rh digest
	rh, c.buf = hashRecord(c.buf, rec, seq)
	c.take(rh, seq)
	return rh
}

func (c *chain) take(rh digest, seq int64) {
	if c.hasher == nil {
		c.hasher = sha256.New()
	}
	c.head = hashLink(c.hasher, c.head, rh)
	if len(c.block) == 0 {
		c.first = seq
	}
	if c.private != nil {
		c.block = append(c.block, rh)
	}
	c.count++
	c.last = seq
}

// due reports whether it is time for a checkpoint. A clock that was set back
// makes none wait.
func (c *chain) due(now time.Time) bool {
	passed := now.Sub(c.since)
	return len(c.block) > 0 && (passed >= blockTime || passed < 0)
}

// checkpoint signs the chain as it stands and begins the next block. It returns
// nil where nothing is signed.
func (c *chain) checkpoint(facts digest, now time.Time, sealed bool) *Checkpoint {
	if c.private == nil || c.copied {
		return nil
	}
	p := &Checkpoint{Chain: c.name, Number: c.number, Last: c.last, Count: c.count, Head: c.head, Root: merkleRoot(c.block),
		Facts: facts, Sealed: sealed, At: now.Round(0), Key: c.private.Public().(ed25519.PublicKey)}
	if len(c.block) > 0 {
		p.First = c.first
	}
	p.Signature = ed25519.Sign(c.private, p.message())
	c.number++
	c.block = c.block[len(c.block):]
	if cap(c.block) < blockRecords {
		c.block = make([]digest, 0, 4*blockRecords)
	}
	c.since = now
	return p
}

const insertCheckpoint = `INSERT INTO checkpoints (session, chain, number, first, last, count, head, root, facts, sealed, at, key, signature)
	VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`

func saveCheckpoint(ctx context.Context, conn *sql.Conn, session int64, p *Checkpoint) error {
	if p == nil {
		return nil
	}
	_, err := conn.ExecContext(ctx, insertCheckpoint, session, p.Chain, p.Number, p.First, p.Last, p.Count, p.Head[:], p.Root[:], p.Facts[:],
		p.Sealed, p.At.UnixNano(), []byte(p.Key), p.Signature)
	return err
}

// querier is a store's database or one connection of it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// checkpoints returns those of one chain of a session from a number on, at most
// n of them.
func checkpoints(ctx context.Context, db querier, session int64, chain []byte, from int64, n int) ([]Checkpoint, error) {
	rows, err := db.QueryContext(ctx, `SELECT chain, number, first, last, count, head, root, facts, sealed, at, key, signature
		FROM checkpoints WHERE session = ? AND chain = ? AND number >= ? ORDER BY number LIMIT ?`, session, chain, from, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Checkpoint
	for rows.Next() {
		var p Checkpoint
		var head, root, facts, key []byte
		var at int64
		if err := rows.Scan(&p.Chain, &p.Number, &p.First, &p.Last, &p.Count, &head, &root, &facts, &p.Sealed, &at, &key, &p.Signature); err != nil {
			return nil, err
		}
		if copy(p.Head[:], head) != len(p.Head) || copy(p.Root[:], root) != len(p.Root) || copy(p.Facts[:], facts) != len(p.Facts) {
			p.Signature = nil // such a row was never signed
		}
		p.At, p.Key = fromNano(at), key
		list = append(list, p)
	}
	return list, rows.Err()
}

// lastCheckpoint returns nil where a chain has none.
func lastCheckpoint(ctx context.Context, db querier, session int64, chain []byte) (*Checkpoint, error) {
	var number sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT max(number) FROM checkpoints WHERE session = ? AND chain = ?`, session, chain).Scan(&number); err != nil || !number.Valid {
		return nil, err
	}
	list, err := checkpoints(ctx, db, session, chain, number.Int64, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// facts returns the hash of what a session says of itself, apart from what may
// change after it is sealed: its name and its note.
func (s *Session) facts(ledger []capture.Counts) digest {
	c := newCanon(nil, "gctap session 1")
	for _, t := range [...]string{s.Origin, s.Broker, s.Identity, s.Host, s.Mode, s.SiteTZ, s.Program, s.EndReason} {
		c.text(t)
	}
	c.texts(s.Addresses)
	c.texts(s.Queues)
	c.texts(s.Topics)
	c.bool(s.TZAssumed)
	c.bool(s.Redacted)
	c.time(&s.StartedAt)
	c.time(s.EndedAt)
	for _, n := range [...]int64{s.Commands, s.Events, s.Peers, s.Gaps, s.Notes, s.Lost, s.LastSeq} {
		c.int(n)
	}
	c.int(int64(len(ledger)))
	for _, l := range ledger {
		c.text(l.Destination)
		for _, n := range [...]int64{l.Received, l.Stored, l.Doubled, l.Filtered, l.Lost, l.Foreign} {
			c.int(n)
		}
	}
	return c.sum()
}

// startChain makes the chain of a new session and its first checkpoint.
func (w *Writer) startChain(ctx context.Context) error {
	c, s := &w.chain, &w.session
	c.name, c.since = s.chain, w.store.now()
	if c.name == nil {
		return nil
	}
	if !c.copied {
		c.private, c.unsign = w.store.signer()
	}
	last, err := lastCheckpoint(ctx, w.conn, s.ID, c.name)
	if err != nil {
		return err
	}
	c.head = chainStart(c.name, s.derived)
	if last == nil {
		if err := w.chainFrom(ctx, 0); err != nil || s.LastSeq > 0 {
			return err
		}
		return saveCheckpoint(ctx, w.conn, s.ID, c.checkpoint(s.facts(nil), w.store.now(), false))
	}
	c.head, c.count, c.number, c.last, c.since = last.Head, last.Count, last.Number+1, last.Last, last.At
	return w.chainFrom(ctx, last.Last)
}

// seal returns the final checkpoint of the session as it is about to end; nil
// where nothing is signed.
func (w *Writer) seal(ctx context.Context, s *Session, c *chain) (*Checkpoint, error) {
	if c.private == nil || c.name == nil || c.copied {
		return nil, nil
	}
	ledger, err := ledgerOf(ctx, w.conn, s.ID)
	if err != nil {
		return nil, err
	}
	return c.checkpoint(s.facts(ledger), w.store.now(), true), nil
}

// chainFrom takes the stored records that follow seq into the chain.
func (w *Writer) chainFrom(ctx context.Context, seq int64) error {
	rows, err := w.conn.QueryContext(ctx, `SELECT id, rh FROM records WHERE id > ? AND id <= ? ORDER BY id`, key(w.session.ID, seq), key(w.session.ID, maxSeq))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var rh []byte
		if err := rows.Scan(&id, &rh); err != nil {
			return err
		}
		if len(rh) != sha256.Size {
			return fmt.Errorf("record %d has no hash: the file is damaged", id&maxSeq)
		}
		w.chain.take(digest(rh), id&maxSeq)
	}
	return rows.Err()
}

// Unsigned returns why the session is not being signed, nil when it is. Its
// records are chained all the same.
func (w *Writer) Unsigned() error { return w.chain.unsign }

// signer returns this user's key, which is read once.
func (s *Store) signer() (ed25519.PrivateKey, error) {
	s.keyOnce.Do(func() { s.key, s.keyErr = signingKey() })
	return s.key, s.keyErr
}

// An Annotation is what was said of a session beside its records.
type Annotation struct {
	Number int64
	At     time.Time
	Kind   string // one of the Annotated…
	Seq    int64  // of the record it is about; 0: the session
	Text   string
	head   digest
	key    ed25519.PublicKey // empty: not signed
	signed []byte
}

// The kinds of annotations.
const (
	AnnotatedName   = "name"
	AnnotatedNote   = "note"
	AnnotatedMark   = "mark"
	AnnotatedUnmark = "unmark"
	AnnotatedPrune  = "prune"
	AnnotatedExport = "export"
	AnnotatedImport = "import"
)

func annotationStart(chain []byte) digest {
	c := newCanon(nil, "gctap annotations 1")
	c.bytes(chain)
	return c.sum()
}

// next returns the value of the annotations' chain after a.
func (a *Annotation) next(previous digest) digest {
	c := newCanon(nil, "gctap annotation 1")
	c.bytes(previous[:])
	c.int(a.Number)
	c.int(a.At.UnixNano())
	c.text(a.Kind)
	c.int(a.Seq)
	c.text(a.Text)
	return c.sum()
}

// annotate adds to a session's annotations, inside a write transaction.
func (s *Store) annotate(ctx context.Context, conn *sql.Conn, session int64, kind string, seq int64, text string) error {
	var chain []byte
	err := conn.QueryRowContext(ctx, `SELECT chain FROM sessions WHERE id = ?`, session).Scan(&chain)
	if errors.Is(err, sql.ErrNoRows) || chain == nil {
		return nil // deleted, or of a time before annotations
	}
	if err != nil {
		return err
	}
	a := Annotation{Number: 1, At: s.now().Round(0), Kind: kind, Seq: seq, Text: text}
	var head []byte
	previous := annotationStart(chain)
	err = conn.QueryRowContext(ctx, `SELECT number, head FROM annotations WHERE session = ? ORDER BY number DESC LIMIT 1`, session).Scan(&a.Number, &head)
	switch {
	case err == nil:
		a.Number++
		copy(previous[:], head)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	a.head = a.next(previous)
	if private, err := s.signer(); err == nil {
		a.key = private.Public().(ed25519.PublicKey)
		a.signed = ed25519.Sign(private, annotationMessage(chain, a.head))
	}
	return saveAnnotation(ctx, conn, session, &a)
}

func annotationMessage(chain []byte, head digest) []byte {
	c := newCanon(nil, "gctap annotation signature 1")
	c.bytes(chain)
	c.bytes(head[:])
	return c.buf
}

func saveAnnotation(ctx context.Context, conn *sql.Conn, session int64, a *Annotation) error {
	_, err := conn.ExecContext(ctx, `INSERT INTO annotations (session, number, at, kind, seq, text, head, key, signature) VALUES (?,?,?,?,?,?,?,?,?)`,
		session, a.Number, a.At.UnixNano(), a.Kind, a.Seq, a.Text, a.head[:], orEmpty(a.key), orEmpty(a.signed))
	return err
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Annotations returns what was said of a session, in order.
func (s *Store) Annotations(ctx context.Context, session int64) ([]Annotation, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT number, at, kind, seq, text, head, key, signature FROM annotations WHERE session = ? ORDER BY number`, session)
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var list []Annotation
	for rows.Next() {
		var a Annotation
		var at int64
		var head, key []byte
		if err := rows.Scan(&a.Number, &at, &a.Kind, &a.Seq, &a.Text, &head, &key, &a.signed); err != nil {
			return nil, explain(s.path, err)
		}
		if copy(a.head[:], head) != len(a.head) {
			a.signed = nil
		}
		a.At, a.key = fromNano(at), key
		list = append(list, a)
	}
	return list, explain(s.path, rows.Err())
}

// Mark sets a mark on a record of a session, with a word on why. A record has
// one mark: a later one takes its place.
func (s *Store) Mark(ctx context.Context, session, seq int64, text string) error {
	return s.annotateRecord(ctx, session, AnnotatedMark, seq, text)
}

// Unmark takes the mark of a record away. That it was there stays known.
func (s *Store) Unmark(ctx context.Context, session, seq int64) error {
	return s.annotateRecord(ctx, session, AnnotatedUnmark, seq, "")
}

func (s *Store) annotateRecord(ctx context.Context, session int64, kind string, seq int64, text string) error {
	return s.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		var chained bool
		err := conn.QueryRowContext(ctx, `SELECT chain IS NOT NULL FROM sessions WHERE id = ?`, session).Scan(&chained)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("no session %d", session)
		case err != nil:
			return err
		case !chained:
			return fmt.Errorf("session %d was recorded before there were marks: it cannot hold any", session)
		}
		return s.annotate(ctx, conn, session, kind, seq, text)
	})
}

// Marks returns the marks that stand in a session, in the order of their
// records.
func (s *Store) Marks(ctx context.Context, session int64) ([]Annotation, error) {
	all, err := s.Annotations(ctx, session)
	if err != nil {
		return nil, err
	}
	stand := map[int64]Annotation{}
	for _, a := range all {
		switch a.Kind {
		case AnnotatedMark:
			stand[a.Seq] = a
		case AnnotatedUnmark:
			delete(stand, a.Seq)
		}
	}
	return slices.SortedFunc(maps.Values(stand), func(a, b Annotation) int { return cmp.Compare(a.Seq, b.Seq) }), nil
}

// Accessed notes that a session was handed on or taken over.
func (s *Store) Accessed(ctx context.Context, session int64, kind, text string) error {
	return s.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return s.annotate(ctx, conn, session, kind, 0, text)
	})
}
