package store

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"gctap/capture"
)

type digest = [sha256.Size]byte

// A canon writes values in the one form that hashes and signatures are over:
// numbers as 8 bytes, the highest first; texts with their length in front;
// what may be absent with a byte 0 or 1 in front. Each use begins with a line
// that says what it is, so that no hash of one kind can be taken for another.
type canon struct{ buf []byte }

func newCanon(buf []byte, what string) canon { return canon{append(append(buf[:0], what...), '\n')} }

func (c *canon) int(n int64) { c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(n)) }

func (c *canon) bool(b bool) {
	if b {
		c.buf = append(c.buf, 1)
	} else {
		c.buf = append(c.buf, 0)
	}
}

func (c *canon) text(s string) {
	c.int(int64(len(s)))
	c.buf = append(c.buf, s...)
}

func (c *canon) bytes(b []byte) {
	c.int(int64(len(b)))
	c.buf = append(c.buf, b...)
}

func (c *canon) texts(list []string) {
	c.int(int64(len(list)))
	for _, s := range list {
		c.text(s)
	}
}

func (c *canon) time(t *time.Time) {
	c.bool(t != nil)
	if t != nil {
		c.int(t.Unix())
		c.int(int64(t.Nanosecond()))
	}
}

func (c *canon) sum() digest { return sha256.Sum256(c.buf) }

// hashRecord returns the rh of a record and the buffer it used: the hash of
// everything that was seen, and of nothing that was worked out.
func hashRecord(buf []byte, rec *capture.Record, seq int64) (digest, []byte) {
	c := newCanon(buf, "gctap record 1")
	c.int(seq)
	c.int(rec.CapturedAt.UnixNano())
	c.int(int64(rec.Mono))
	c.time(rec.SentAt)
	for _, s := range [...]string{string(rec.Direction), rec.Source, rec.Via, rec.Conn, rec.From, rec.To, rec.OriginalTo, rec.ReplyTo,
		rec.MessageID, rec.CorrelationID, string(rec.BodyKind)} {
		c.text(s)
	}
	c.bool(rec.JMSType != nil)
	c.text(rec.Type())
	c.bool(rec.Body != nil)
	c.bytes(rec.Body)
	c.int(int64(len(rec.Headers)))
	for _, h := range rec.Headers {
		c.text(h.Name)
		c.text(h.Value)
	}
	c.int(int64(len(rec.Masked)))
	for _, m := range rec.Masked {
		c.text(m.Field)
		c.int(int64(m.Start))
		c.int(int64(m.End))
	}
	c.int(rec.Truncated)
	return c.sum(), c.buf
}

// hashLink returns the chain's next value.
func hashLink(h hash.Hash, previous, rh digest) (next digest) {
	h.Reset()
	h.Write(previous[:])
	h.Write(rh[:])
	h.Sum(next[:0])
	return next
}

// chainStart returns the chain's value before its first record.
func chainStart(chain []byte, derived string) digest {
	c := newCanon(nil, "gctap chain 1")
	c.bytes(chain)
	c.text(derived)
	return c.sum()
}

// The Merkle tree over a block is that of RFC 6962: a byte in front tells
// leaves from nodes, and the left half is the largest power of two below the
// number of leaves.

func merkleLeaf(rh digest) digest { return sha256.Sum256(append([]byte{0}, rh[:]...)) }

func merkleNode(left, right digest) digest {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// merkleRoot returns the root over a block; of an empty one it is zero.
func merkleRoot(block []digest) digest {
	switch len(block) {
	case 0:
		return digest{}
	case 1:
		return merkleLeaf(block[0])
	}
	k := merkleSplit(len(block))
	return merkleNode(merkleRoot(block[:k]), merkleRoot(block[k:]))
}

func merkleSplit(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// A merkleTree is the tree over a block, level by level: the leaves first, the
// root last. What has no neighbour goes up as it is.
type merkleTree [][]digest

func newMerkleTree(block []digest) merkleTree {
	level := make([]digest, len(block))
	for i := range block {
		level[i] = merkleLeaf(block[i])
	}
	tree := merkleTree{level}
	for len(level) > 1 {
		above := make([]digest, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			above = append(above, merkleNode(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			above = append(above, level[len(level)-1])
		}
		tree, level = append(tree, above), above
	}
	return tree
}

// path returns the hashes that lead from a leaf to the root, the lowest first.
func (t merkleTree) path(leaf int) (path []byte) {
	for _, level := range t {
		if beside := leaf ^ 1; beside < len(level) {
			path = append(path, level[beside][:]...)
		}
		leaf /= 2
	}
	return path
}

// merkleClimb returns the root that a leaf and its path lead to; ok is false
// for a path of the wrong length.
func merkleClimb(rh digest, leaf, size int, path []byte) (root digest, ok bool) {
	if leaf < 0 || leaf >= size {
		return root, false
	}
	if size == 1 {
		return merkleLeaf(rh), len(path) == 0
	}
	if len(path) < sha256.Size {
		return root, false
	}
	up := digest(path[len(path)-sha256.Size:])
	path = path[:len(path)-sha256.Size]
	k := merkleSplit(size)
	if leaf < k {
		below, ok := merkleClimb(rh, leaf, k, path)
		return merkleNode(below, up), ok
	}
	below, ok := merkleClimb(rh, leaf-k, size-k, path)
	return merkleNode(up, below), ok
}
