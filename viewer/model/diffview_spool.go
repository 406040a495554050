package model

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"gctap/replay/diff"
)

// A pairSpool holds the pairs of a comparison in a file without a name, in the
// order in which they were told. In memory are the differences, and which pairs
// they are of.
type pairSpool struct {
	file     *os.File
	out      *bufio.Writer
	count    int
	differ   []int // pairs with a difference
	restless []int // those, and pairs of which a rule or noise leaves something out
	found    []diff.Difference
	names    []string // of conversations and rules
	places   map[string]uint32
}

// A pair of the spool has pairSize bytes: left and right seq; conversation; the
// first of its differences; how many there are; up to pairRules rules.
const (
	pairRules = 6
	pairSize  = 8 + 8 + 4 + 4 + 4 + 4*pairRules
)

// pairRow is a pair as the spool gives it back.
type pairRow struct {
	Left, Right  int64
	Conversation string
	Class        string // of the first difference; empty: there is none
	Found        []diff.Difference
	LeftOut      []string // rules, the first few
}

// restless reports whether a rule or noise leaves out something of a pair: what
// the protocol itself changes from run to run is no news.
func (r *pairRow) restless() bool { return slices.ContainsFunc(r.LeftOut, isNews) }

func isNews(rule string) bool { return !strings.HasPrefix(rule, "volatile:") }

func newPairSpool() (*pairSpool, error) {
	file, err := unnamed("gctap-diff-*")
	if err != nil {
		return nil, err
	}
	return &pairSpool{file: file, out: bufio.NewWriterSize(file, 256<<10), places: map[string]uint32{}}, nil
}

// unnamed makes a file that is gone when it is closed, or when nothing holds it
// any more.
func unnamed(pattern string) (*os.File, error) {
	file, err := os.CreateTemp("", pattern)
	if err != nil {
		return nil, fmt.Errorf("the view needs room for a temporary file: %w", err)
	}
	os.Remove(file.Name())
	return file, nil
}

// add writes a pair.
func (s *pairSpool) add(p *diff.Pair) error {
	if s.count == math.MaxInt32 {
		return fmt.Errorf("more than %d messages to show side by side", s.count)
	}
	rules := slices.Clone(p.LeftOut)
	slices.SortStableFunc(rules, func(a, b string) int { // news first
		switch {
		case isNews(a) == isNews(b):
			return 0
		case isNews(a):
			return -1
		}
		return 1
	})
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, pairSize), uint64(p.Left))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Right))
	for _, n := range []uint32{s.name(p.Conversation), uint32(len(s.found)), uint32(len(p.Found))} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for _, rule := range rules[:min(len(rules), pairRules)] {
		b = binary.LittleEndian.AppendUint32(b, s.name(rule))
	}
	b = b[:pairSize]
	if len(p.Found) > 0 {
		s.differ = append(s.differ, s.count)
	}
	if len(p.Found) > 0 || len(rules) > 0 && isNews(rules[0]) {
		s.restless = append(s.restless, s.count)
	}
	s.found = append(s.found, p.Found...)
	s.count++
	if _, err := s.out.Write(b); err != nil {
		return fmt.Errorf("the view needs room for a temporary file: %w", err)
	}
	return nil
}

// name returns the number of a name, from 1.
func (s *pairSpool) name(name string) uint32 {
	n, ok := s.places[name]
	if !ok {
		s.names = append(s.names, name)
		n = uint32(len(s.names))
		s.places[name] = n
	}
	return n
}

func (s *pairSpool) flush() error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("the view needs room for a temporary file: %w", err)
	}
	return nil
}

func (s *pairSpool) close() { s.file.Close() }

// read reads one pair.
func (s *pairSpool) read(i int) (p pairRow, err error) {
	var b [pairSize]byte
	if _, err := s.file.ReadAt(b[:], int64(i)*pairSize); err != nil {
		return p, fmt.Errorf("the view's temporary file: %w", err)
	}
	n := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	p.Left, p.Right = int64(binary.LittleEndian.Uint64(b[:])), int64(binary.LittleEndian.Uint64(b[8:]))
	p.Conversation = s.names[n(16)-1]
	if found := n(20); n(24) > 0 {
		p.Found = s.found[found : found+n(24)]
		p.Class = p.Found[0].Class
	}
	for at := 28; at < pairSize && n(at) > 0; at += 4 {
		p.LeftOut = append(p.LeftOut, s.names[n(at)-1])
	}
	return p, nil
}
