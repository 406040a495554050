package store

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Verdict is what Verify found.
type Verdict struct {
	Chained     bool      // the session has a chain; one of an older gctap has none
	Sealed      bool      // the final checkpoint is there and holds
	Records     int64     // that were checked against a signed checkpoint
	Unsealed    int64     // after the last checkpoint: their hashes fit, but nobody signed for them
	Checkpoints int64     // whose signatures hold
	Pruned      int64     // records that were pruned, under a signed word of it
	Annotations int64     // names, notes, marks and accesses whose chain holds
	Head        string    // of the last checkpoint, in hexadecimal
	HeadAt      time.Time // when it was signed
	Keys        []Key     // that signed, in the order of their first signature
	Broken      *Break    // nil: nothing is
	Derived     *Derived  // what the session was made of; nil: it is an original
	Proven      int64     // records of a slice that stand in signed blocks of the original
}

// A Key is one that signed in a session.
type Key struct {
	Public ed25519.PublicKey
	Known  bool // one of those that Verify was told to trust
}

// A Break is the first place at which a session is not what was signed.
type Break struct {
	Seq     int64 // of the record; 0: it is not about one
	Problem string
}

func (b *Break) Error() string {
	if b.Seq == 0 {
		return b.Problem
	}
	return fmt.Sprintf("record %d: %s", b.Seq, b.Problem)
}

// A Derived says what a chain was made of. It stands in the first value of the
// chain, and is signed by the checkpoint before its first record.
type Derived struct {
	How       string `json:"how"`              // slice, pseudonymise, salvage
	Filter    string `json:"filter,omitempty"` // of a slice
	Chain     string `json:"chain"`            // name of the source's chain, in hexadecimal; empty: it had none
	Head      string `json:"head"`             // of its last checkpoint
	Count     int64  `json:"count"`            // records up to there
	Key       string `json:"key"`              // that signed it
	Signature string `json:"signature"`        // of that checkpoint
	Records   int64  `json:"records"`          // of the source, sealed or not
	By        string `json:"by,omitempty"`     // fingerprint of a pseudonymising key

	Of *Derived `json:"of,omitempty"` // what the source was made of itself; nil: it was an original
}

// OK reports whether everything was checked, holds, is sealed and was signed by
// known keys.
func (v *Verdict) OK() bool {
	return v.Broken == nil && v.Chained && v.Sealed && v.Unsealed == 0 && v.known()
}

func (v *Verdict) known() bool {
	return len(v.Keys) > 0 && !slices.ContainsFunc(v.Keys, func(k Key) bool { return !k.Known })
}

// Verify checks a session against its chain, its signed checkpoints and its
// annotations. It needs public keys only: those given, or where there are none
// this user's own. An error is returned only where the session cannot be read
// at all; what is wrong with it stands in the Verdict.
func (s *Store) Verify(ctx context.Context, session int64, trusted []ed25519.PublicKey) (Verdict, error) {
	one, err := s.Session(ctx, session)
	if err != nil {
		return Verdict{}, err
	}
	if trusted == nil {
		if own := OwnPublicKey(); own != nil {
			trusted = []ed25519.PublicKey{own}
		}
	}
	v := &verifier{store: s, session: one, trusted: trusted}
	if one.chain == nil {
		v.Unsealed = one.rows()
		return v.Verdict, nil
	}
	v.Chained = true
	err = v.run(ctx)
	if found, ok := errors.AsType[*Break](err); ok {
		v.Broken, err = found, nil
	}
	return v.Verdict, err
}

// maxBlock is more records than any block has: a stranger's file may claim what
// it wants.
const maxBlock = 1 << 20

// A verifier is one run of Verify. Its methods return a *Break as an error.
type verifier struct {
	Verdict
	store   *Store
	session Session
	trusted []ed25519.PublicKey
	pruned  [][2]int64 // blocks, from and to
	head    digest
	count   int64
	last    int64 // seq of the last record that was looked at
	buf     []byte
}

func broken(seq int64, format string, args ...any) error {
	return &Break{seq, fmt.Sprintf(format, args...)}
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.derived(); err != nil {
		return err
	}
	if err := v.annotations(ctx); err != nil {
		return err
	}
	v.head = chainStart(v.session.chain, v.session.derived)
	var last *Checkpoint
	for number := int64(0); ; {
		list, err := checkpoints(ctx, v.store.db, v.session.ID, v.session.chain, number, 100)
		if err != nil {
			return explain(v.store.path, err)
		}
		if len(list) == 0 {
			break
		}
		for i := range list {
			p := &list[i]
			if p.Number != number {
				return broken(0, "checkpoint %d is missing", number)
			}
			if err := v.block(ctx, p, last); err != nil {
				return err
			}
			last = p
			number++
		}
	}
	if err := v.end(ctx, last); err != nil {
		return err
	}
	return v.proofs(ctx)
}

func (v *verifier) derived() error {
	if v.session.derived == "" {
		return nil
	}
	v.Derived = &Derived{}
	if err := json.Unmarshal([]byte(v.session.derived), v.Derived); err != nil {
		return broken(0, "what it was made of cannot be read: %v", err)
	}
	return nil
}

func (v *verifier) signed(key ed25519.PublicKey) {
	if slices.ContainsFunc(v.Keys, func(k Key) bool { return k.Public.Equal(key) }) {
		return
	}
	known := slices.ContainsFunc(v.trusted, func(k ed25519.PublicKey) bool { return k.Equal(key) })
	v.Keys = append(v.Keys, Key{key, known})
}

// block checks a checkpoint and the records between the one before and it.
func (v *verifier) block(ctx context.Context, p, before *Checkpoint) error {
	if !p.valid() {
		return broken(0, "checkpoint %d was changed: its signature does not hold", p.Number)
	}
	size := p.Count
	if before != nil {
		if size -= before.Count; size < 0 || p.Last < before.Last {
			return broken(0, "checkpoint %d does not follow the one before", p.Number)
		}
	}
	if size > maxBlock {
		return broken(0, "checkpoint %d claims a block of %d records", p.Number, size)
	}
	v.signed(p.Key)
	block, seqs, err := v.records(ctx, p.Last, size)
	if err != nil {
		return err
	}
	if len(block) == 0 && size > 0 && v.wasPruned(p.Number) {
		v.Pruned += size
		v.head, v.count, v.last = p.Head, p.Count, p.Last
		v.noteHead(p)
		return nil
	}
	switch {
	case int64(len(block)) < size:
		return broken(missing(seqs, p, size), "%d of the %d records up to checkpoint %d are missing", size-int64(len(block)), size, p.Number)
	case int64(len(block)) > size:
		return broken(v.last, "a record too many before checkpoint %d", p.Number)
	case size > 0 && (seqs[0] != p.First || seqs[len(seqs)-1] != p.Last):
		return broken(seqs[0], "the block of checkpoint %d goes from %d to %d, the records from %d to %d", p.Number, p.First, p.Last, seqs[0], seqs[len(seqs)-1])
	case merkleRoot(block) != p.Root:
		return broken(first(seqs), "a record of the block up to checkpoint %d, records %d to %d, was changed together with its hash", p.Number, p.First, p.Last)
	}
	hasher := sha256.New()
	for _, rh := range block {
		v.head = hashLink(hasher, v.head, rh)
	}
	if v.head != p.Head {
		return broken(first(seqs), "the chain does not lead to checkpoint %d", p.Number)
	}
	v.count += size
	v.Records += size
	v.noteHead(p)
	return nil
}

func (v *verifier) noteHead(p *Checkpoint) {
	v.Checkpoints++
	v.Head, v.HeadAt = hex.EncodeToString(p.Head[:]), p.At
}

func first(seqs []int64) int64 {
	if len(seqs) == 0 {
		return 0
	}
	return seqs[0]
}

// missing returns the first seq that is not there, where the block had no holes.
func missing(seqs []int64, p *Checkpoint, size int64) int64 {
	if p.Last-p.First+1 != size {
		return first(seqs)
	}
	for i := range size {
		if i >= int64(len(seqs)) || seqs[i] != p.First+i {
			return p.First + i
		}
	}
	return p.Last
}

// records returns the hashes and seqs of the records up to a seq, worked out
// from what the records hold, and at most one more than size.
func (v *verifier) records(ctx context.Context, to, size int64) (block []digest, seqs []int64, err error) {
	for v.last < to && int64(len(block)) <= size {
		page, err := v.page(ctx, to)
		if err != nil {
			return nil, nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if r.err != nil {
				return nil, nil, r.err
			}
			if int64(len(block)) <= size {
				block, seqs = append(block, r.rh), append(seqs, r.seq)
			}
			v.last = r.seq
		}
	}
	v.last = max(v.last, to)
	return block, seqs, nil
}

type verifiedRecord struct {
	seq int64
	rh  digest
	err error
}

// page reads the records that follow the last one looked at, up to a seq.
func (v *verifier) page(ctx context.Context, to int64) ([]verifiedRecord, error) {
	low, high := key(v.session.ID, v.last), key(v.session.ID, to)
	page, err := v.store.page(ctx, pageAfter, low, high, pageRows)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, v.unreadable(ctx, low, high, err)
	}
	if len(page) == 0 {
		return nil, nil
	}
	hashes, err := v.hashes(ctx, low, key(v.session.ID, page[len(page)-1].Seq))
	if err != nil {
		return nil, err
	}
	list := make([]verifiedRecord, len(page))
	for i := range page {
		r := &list[i]
		r.seq = page[i].Seq
		r.rh, v.buf = hashRecord(v.buf, &page[i].Record, r.seq)
		switch {
		case i >= len(hashes) || hashes[i].seq != r.seq || !hashes[i].there:
			r.err = broken(r.seq, "it was added: it has no hash")
		case hashes[i].rh != r.rh:
			r.err = broken(r.seq, "it was changed: its hash does not fit")
		}
	}
	return list, nil
}

// unreadable finds the record at which a page cannot be read.
func (v *verifier) unreadable(ctx context.Context, low, high int64, cause error) error {
	for n := 0; n < pageRows; n++ {
		page, err := v.store.page(ctx, pageAfter, low, high, 1)
		if err != nil {
			var seq int64
			if v.store.db.QueryRowContext(ctx, `SELECT min(id) FROM records WHERE id > ? AND id <= ?`, low, high).Scan(&seq) == nil {
				return broken(seq&maxSeq, "it cannot be read: %v", err)
			}
			return broken(0, "it cannot be read after record %d: %v", low&maxSeq, err)
		}
		if len(page) == 0 {
			break
		}
		low = key(v.session.ID, page[0].Seq)
	}
	return cause
}

// A storedHash is what stands in a record's column rh.
type storedHash struct {
	seq   int64
	rh    digest
	there bool
}

func (v *verifier) hashes(ctx context.Context, low, high int64) ([]storedHash, error) {
	rows, err := v.store.db.QueryContext(ctx, `SELECT id, rh FROM records WHERE id > ? AND id <= ? ORDER BY id`, low, high)
	if err != nil {
		return nil, explain(v.store.path, err)
	}
	defer rows.Close()
	hashes := make([]storedHash, 0, pageRows)
	for rows.Next() {
		var id int64
		var rh sql.RawBytes
		if err := rows.Scan(&id, &rh); err != nil {
			return nil, explain(v.store.path, err)
		}
		h := storedHash{seq: id & maxSeq, there: len(rh) == sha256.Size}
		copy(h.rh[:], rh)
		hashes = append(hashes, h)
	}
	return hashes, explain(v.store.path, rows.Err())
}

func (v *verifier) wasPruned(number int64) bool {
	return slices.ContainsFunc(v.pruned, func(p [2]int64) bool { return p[0] <= number && number <= p[1] })
}

// end checks what follows the last checkpoint, and the seal.
func (v *verifier) end(ctx context.Context, last *Checkpoint) error {
	sealed := last != nil && last.Sealed
	for {
		page, err := v.page(ctx, maxSeq)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			switch {
			case r.err != nil:
				return r.err
			case v.session.Sealed:
				return broken(r.seq, "it was added after the seal")
			}
			v.last = r.seq
			v.Unsealed++
		}
	}
	switch {
	case v.session.Sealed && !sealed:
		return broken(0, "the seal is missing: the session was cut after record %d", v.last)
	case !v.session.Sealed:
		if sealed && v.session.EndedAt != nil {
			return broken(0, "the session says that it is not sealed, but it is")
		}
		return nil
	}
	ledger, err := v.store.Ledger(ctx, v.session.ID)
	if err != nil {
		return err
	}
	if v.session.facts(ledger) != last.Facts {
		return broken(0, "what the session says of itself (origin, broker, times, totals, ledger) was changed after it was sealed")
	}
	v.Sealed = true
	return nil
}

// annotations checks the chain of names, notes, marks and accesses.
func (v *verifier) annotations(ctx context.Context) error {
	list, err := v.store.Annotations(ctx, v.session.ID)
	if err != nil {
		return err
	}
	head := annotationStart(v.session.chain)
	name, note := "", ""
	for i := range list {
		a := &list[i]
		head = a.next(head)
		if a.Number != int64(i+1) || a.head != head {
			return broken(0, "annotation %d, a %s, was changed, added or removed", i+1, a.Kind)
		}
		if len(a.key) > 0 {
			if len(a.key) != ed25519.PublicKeySize || !ed25519.Verify(a.key, annotationMessage(v.session.chain, head), a.signed) {
				return broken(0, "annotation %d, a %s, was changed: its signature does not hold", i+1, a.Kind)
			}
			v.signed(a.key)
		}
		switch a.Kind {
		case AnnotatedName:
			name = a.Text
		case AnnotatedNote:
			note = a.Text
		case AnnotatedPrune:
			var from, to int64
			if _, err := fmt.Sscanf(a.Text, "blocks %d to %d", &from, &to); err == nil && len(a.key) > 0 {
				v.pruned = append(v.pruned, [2]int64{from, to})
			}
		}
		v.Annotations++
	}
	if len(list) > 0 && name != v.session.Name {
		return broken(0, "the session's name was changed without a word of it: it was %q", name)
	}
	if noted := slices.ContainsFunc(list, func(a Annotation) bool { return a.Kind == AnnotatedNote }); noted && note != v.session.Note {
		return broken(0, "the session's note was changed without a word of it: it was %q", note)
	}
	return nil
}

// proofs checks the records of a slice against signed blocks of the original.
func (v *verifier) proofs(ctx context.Context) error {
	if v.Derived == nil || v.Derived.How != "slice" || v.Derived.Chain == "" {
		return nil
	}
	chain, err := hex.DecodeString(v.Derived.Chain)
	if err != nil {
		return broken(0, "the name of the original's chain cannot be read")
	}
	blocks := map[int64]*Checkpoint{}
	for after := key(v.session.ID, 0); ; {
		rows, err := v.proofPage(ctx, after)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		for i := range rows {
			after = rows[i].id
			if err := v.proof(ctx, chain, blocks, &rows[i]); err != nil {
				return err
			}
		}
	}
}

type proofRow struct {
	id, block  int64
	leaf, size int
	path, rh   []byte
}

func (v *verifier) proofPage(ctx context.Context, after int64) ([]proofRow, error) {
	rows, err := v.store.db.QueryContext(ctx, `SELECT p.id, block, leaf, size, path, rh FROM proofs p JOIN records r ON r.id = p.id
		WHERE p.id > ? AND p.id <= ? ORDER BY p.id LIMIT ?`, after, key(v.session.ID, maxSeq), pageRows)
	if err != nil {
		return nil, explain(v.store.path, err)
	}
	defer rows.Close()
	var list []proofRow
	for rows.Next() {
		var p proofRow
		if err := rows.Scan(&p.id, &p.block, &p.leaf, &p.size, &p.path, &p.rh); err != nil {
			return nil, explain(v.store.path, err)
		}
		list = append(list, p)
	}
	return list, explain(v.store.path, rows.Err())
}

// proof checks one. The rh of the row has been checked against the record.
func (v *verifier) proof(ctx context.Context, chain []byte, blocks map[int64]*Checkpoint, row *proofRow) error {
	seq := row.id & maxSeq
	p := blocks[row.block]
	if p == nil {
		list, err := checkpoints(ctx, v.store.db, v.session.ID, chain, row.block, 1)
		if err != nil {
			return explain(v.store.path, err)
		}
		if len(list) == 0 || list[0].Number != row.block {
			return broken(seq, "the original's checkpoint %d is missing", row.block)
		}
		p = &list[0]
		if !p.valid() {
			return broken(0, "the original's checkpoint %d was changed: its signature does not hold", p.Number)
		}
		v.signed(p.Key)
		clear(blocks) // records come in order: one block at a time
		blocks[row.block] = p
	}
	if len(row.rh) != sha256.Size || row.size > maxBlock {
		return broken(seq, "its place in the original cannot be read")
	}
	root, ok := merkleClimb(digest(row.rh), row.leaf, row.size, row.path)
	if !ok || root != p.Root || seq < p.First || seq > p.Last {
		return broken(seq, "it does not stand in the original's checkpoint %d", p.Number)
	}
	v.Proven++
	return nil
}

// Describe says in one line each what Verify found, the verdict first.
func (v *Verdict) Describe() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch {
	case v.Broken != nil:
		add("broken: %v", v.Broken)
	case !v.Chained:
		add("not chained: %d records were written by a gctap that kept no evidence", v.Unsealed)
	case v.Sealed:
		add("sealed: %d records are what was signed", v.Records)
	default:
		add("not sealed: %d records are what was signed; %d after the last checkpoint are chained, and nobody has signed for them", v.Records, v.Unsealed)
	}
	if v.Pruned > 0 {
		add("pruned: %d records are gone, under a signed word of it; their checkpoints hold", v.Pruned)
	}
	if d := v.Derived; d != nil {
		add("made from chain %s (%d records): %s", short(d.Chain), d.Records, strings.TrimSpace(d.How+" "+d.Filter))
		for up := d.Of; up != nil; up = up.Of {
			add("which was made from chain %s (%d records): %s", short(up.Chain), up.Records, strings.TrimSpace(up.How+" "+up.Filter))
		}
		if d.How == "slice" && v.Broken == nil {
			add("%d records stand in signed blocks of the original", v.Proven)
		}
	}
	add("%d checkpoints, %d annotations", v.Checkpoints, v.Annotations)
	if v.Head != "" {
		add("head %s, signed at %s", v.Head, v.HeadAt.UTC().Format(time.RFC3339))
	}
	for _, k := range v.Keys {
		if k.Known {
			add("key %s: known", Fingerprint(k.Public))
		} else {
			add("key %s: unknown: compare it with its owner, and give the public key with --key", Fingerprint(k.Public))
		}
	}
	return lines
}

func short(hex string) string {
	if hex == "" {
		return "(none)"
	}
	return hex[:min(16, len(hex))]
}

// VerifyHead checks that a session's chain goes through a head that was lodged
// elsewhere, in hexadecimal; where it does not, the verdict is broken.
func (s *Store) VerifyHead(ctx context.Context, session int64, head string, v *Verdict) error {
	want, err := hex.DecodeString(strings.TrimSpace(head))
	if err != nil || len(want) != sha256.Size {
		return fmt.Errorf("head %q: is not 64 hexadecimal digits, as --print-head writes them", head)
	}
	var found bool
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM checkpoints c JOIN sessions s ON s.id = c.session AND s.chain = c.chain
		WHERE s.id = ? AND head = ?`, session, want).Scan(&found)
	if err != nil {
		return explain(s.path, err)
	}
	if !found && v.Broken == nil {
		v.Broken = &Break{Problem: "the chain does not go through the head that was lodged: it is another session, or was written anew"}
	}
	return nil
}
