package decode

import (
	"math/bits"
	"strings"
)

// The separators and escapes of the protocol. Each level is cut in one place
// only. The protocol has no escape but the '#' replacement below; what could
// not be read back is refused when writing (encode.go).
const (
	tokenSep  = '#' // tokens of an event; word and id of a JMSType
	argSep    = ',' // arguments of a command, parts of records, plain lists
	keySep    = ':' // keyed tokens and record parts: at the first one only, times hold more
	pieceSep  = '|' // call variables, participants, teams, controls, users
	assignSep = '=' // call variables and AgentsList: at the first one only
)

// The forms of the "binary number" that GC sends for a '#' inside data. The
// documents do not give the number (inventory A-43).
const (
	hash8 = "00100011" // restored in text
	hash6 = "100011"   // left alone: it may be an ordinary number
)

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trim cuts blanks off both ends of a span of text.
func trim(text string, s span) span {
	for s.start < s.end && blank(text[s.start]) {
		s.start++
	}
	for s.start < s.end && blank(text[s.end-1]) {
		s.end--
	}
	return s
}

func trimText(s string) string { return strings.Trim(s, " \t\r\n") }

// allBlank reports whether text is empty, blanks aside.
func allBlank(text string) bool {
	for i := 0; i < len(text); i++ {
		if !blank(text[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func letter(c byte) bool { c = lower(c); return 'a' <= c && c <= 'z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }

// equalFold compares without regard to the case of ASCII letters. The
// documents mix Hello with HELLO and Conferencecall with ConferenceCall
// (inventory A-04).
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// fold writes the lower-case form of s into buf; false when it does not fit.
func fold(buf []byte, s string) ([]byte, bool) {
	if len(s) > cap(buf) {
		return nil, false
	}
	buf = buf[:len(s)]
	for i := range buf {
		buf[i] = lower(s[i])
	}
	return buf, true
}

// cutTokens appends the spans between the separators of text[s] to dst: one
// more than there are separators. Tokens are short, so it looks at 8 bytes at a
// time rather than for one separator after the other.
func cutTokens(dst []span, text string, s span, sep byte) []span {
	const low = 0x7f7f7f7f7f7f7f7f
	pattern := uint64(sep) * 0x0101010101010101
	start, i := s.start, s.start
	for ; i+8 <= s.end; i += 8 {
		x := eightBytes(text[i:i+8]) ^ pattern // a separator becomes 0
		for zeros := ^((x&low + low) | x | low); zeros != 0; zeros &= zeros - 1 {
			at := i + int32(bits.TrailingZeros64(zeros)>>3)
			dst = append(dst, span{start, at})
			start = at + 1
		}
	}
	for ; i < s.end; i++ {
		if text[i] == sep {
			dst = append(dst, span{start, i})
			start = i + 1
		}
	}
	return append(dst, span{start, s.end})
}

// eightBytes reads 8 bytes, the first lowest.
func eightBytes(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// next cuts a span at its first separator. more is false for the last piece.
func next(text string, s span, sep byte) (piece, rest span, more bool) {
	i := strings.IndexByte(text[s.start:s.end], sep)
	if i < 0 {
		return s, span{s.end, s.end}, false
	}
	at := s.start + int32(i)
	return span{s.start, at}, span{at + 1, s.end}, true
}

// pieces returns s without a closing separator: one empty piece at the end of
// a list that is cut at '|' is not counted.
func pieces(text string, s span) span {
	if s.start < s.end && text[s.end-1] == pieceSep {
		s.end--
	}
	return s
}

// cutKey cuts a keyed token at its first colon only. ok is false when there is
// no colon.
func cutKey(text string, s span) (key, value span, ok bool) {
	key, value, ok = next(text, s, keySep)
	return key, value, ok
}

// hasKey reports whether a token begins, blanks aside, with the key and ':'.
func hasKey(text string, s span, name string) bool {
	key, _, ok := cutKey(text, s)
	return ok && equalFold(trim(text, key).of(text), name)
}
