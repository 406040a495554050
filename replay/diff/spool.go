package diff

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
)

// A spool keeps the messages of one side until their conversation is compared:
// an append-only log of blocks, each with messages of one conversation and the
// place of the block before it. What is read again is always a whole
// conversation, front to back, so that this is all the database it takes.
//
// Up to spoolMemory bytes stay in memory; a longer log goes to a file in the
// folder for temporary files ($TMPDIR), readable by its owner only and without
// a name where the system allows that, so that nothing is left of it however
// the program ends. It takes about the space of the session's bodies and 100
// bytes a message.
type spool struct {
	file    *os.File
	written int64  // bytes of the log that are in file
	tail    []byte // the rest of it
	waiting int    // bytes in the buffers of all chains
	chains  []*chain
}

// A chain is the blocks of one conversation.
type chain struct {
	last   block
	buffer []byte // the next block
	open   bool   // in spool.chains
}

// A block is a stretch of the log; its first bytes tell the block before it.
type block struct{ at, size int64 }

const (
	spoolMemory = 4 << 20   // of a log, before there is a file
	spoolWrite  = 256 << 10 // at a time
	blockSize   = 16 << 10
	buffersMost = 2 << 20 // in all chains together
	blockHead   = 16
)

// add appends a message to a conversation.
func (s *spool) add(c *chain, message []byte) error {
	if !c.open {
		c.open = true
		s.chains = append(s.chains, c)
	}
	c.buffer = append(c.buffer, message...)
	s.waiting += len(message)
	switch {
	case len(c.buffer) >= blockSize:
		return s.put(c)
	case s.waiting >= buffersMost:
		return s.flush()
	}
	return nil
}

// flush puts what the buffers hold into the log.
func (s *spool) flush() error {
	for _, c := range s.chains {
		if err := s.put(c); err != nil {
			return err
		}
		c.buffer, c.open = nil, false
	}
	s.chains = s.chains[:0]
	return nil
}

// put appends the buffer of a chain to the log.
func (s *spool) put(c *chain) error {
	if len(c.buffer) == 0 {
		return nil
	}
	at := s.written + int64(len(s.tail))
	s.tail = binary.LittleEndian.AppendUint64(s.tail, uint64(c.last.at))
	s.tail = binary.LittleEndian.AppendUint64(s.tail, uint64(c.last.size))
	s.tail = append(s.tail, c.buffer...)
	c.last = block{at, blockHead + int64(len(c.buffer))}
	s.waiting -= len(c.buffer)
	c.buffer = c.buffer[:0]
	if s.file == nil && len(s.tail) < spoolMemory || len(s.tail) < spoolWrite {
		return nil
	}
	return s.write()
}

// write moves the tail of the log to the file.
func (s *spool) write() error {
	if s.file == nil {
		file, err := os.CreateTemp("", "gctap-diff-*")
		if err != nil {
			return fmt.Errorf("make a temporary file (TMPDIR names the folder): %w", err)
		}
		s.file = file
		_ = os.Remove(file.Name()) // where an open file cannot be removed, close does it
	}
	n, err := s.file.Write(s.tail)
	if err != nil {
		return fmt.Errorf("write a temporary file of %d MiB (TMPDIR names the folder): %w", (s.written+int64(n))>>20, err)
	}
	s.written += int64(n)
	s.tail = s.tail[:0]
	return nil
}

// read returns the blocks of a chain, the first first. Several chains may be
// read at once when all has been flushed.
func (s *spool) read(c *chain) (blocks []string, err error) {
	var buffer []byte
	for b := c.last; b.size > 0; {
		buffer = slices.Grow(buffer[:0], int(b.size))[:b.size]
		if err := s.readAt(buffer, b.at); err != nil {
			return nil, err
		}
		b.at, b.size = int64(binary.LittleEndian.Uint64(buffer)), int64(binary.LittleEndian.Uint64(buffer[8:]))
		blocks = append(blocks, string(buffer[blockHead:]))
	}
	slices.Reverse(blocks)
	return blocks, nil
}

func (s *spool) readAt(into []byte, at int64) error {
	if at >= s.written {
		copy(into, s.tail[at-s.written:])
		return nil
	}
	if _, err := s.file.ReadAt(into, at); err != nil {
		return fmt.Errorf("read a temporary file: %w", err)
	}
	return nil
}

// close gives the file back.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()           // nothing was written that anybody wants
		_ = os.Remove(s.file.Name()) // gone already on most systems
		s.file = nil
	}
}
