package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// A Pseudonymiser gives every word and number a token: always the same for the
// same key, another for another word, and of the same shape. A digit becomes a
// digit (a number does not begin with 0 unless it did), a letter a letter of
// its alphabet and case, and everything else stays, so nothing gains a
// separator and no byte moves. Whoever has the key can go back.
//
// The token of a word is worked out by a Feistel network over its letters
// (format-preserving encryption, HMAC-SHA-256 in each round); there is no table
// that would have to be kept, and nothing that grows with a session. Words of
// the protocol, and the sentinels, are their own tokens.
type Pseudonymiser struct {
	key    []byte
	words  *vocabulary
	mu     sync.Mutex
	tokens map[string]string // of words met lately
}

// PseudonymKeySize is the length of a key, in bytes.
const PseudonymKeySize = 32

// NewPseudonymiser returns one for a secret key.
func NewPseudonymiser(key []byte) *Pseudonymiser {
	return &Pseudonymiser{key: append([]byte(nil), key...), words: protocolWords(), tokens: map[string]string{}}
}

// Fingerprint names the key without telling it.
func (p *Pseudonymiser) Fingerprint() string {
	sum := sha256.Sum256(append([]byte("gctap pseudonym key 1\n"), p.key...))
	return hex.EncodeToString(sum[:8])
}

// Text returns a text with every word and number in it replaced.
func (p *Pseudonymiser) Text(s string) string {
	return p.replace(s, lettersOf(s, false), nil)
}

// Reveal returns what a text was before Text.
func (p *Pseudonymiser) Reveal(s string) string {
	items := lettersOf(s, false)
	return rewriteRuns(s, items, func(_, _ int, word []rune) []rune { return p.turn(word, true) })
}

// replace replaces the words of a text, but for those that keep says are to
// stay; keep gets the place of a word in s.
func (p *Pseudonymiser) replace(s string, items []letter, keep func(start, end int, word string) bool) string {
	return rewriteRuns(s, items, func(start, end int, word []rune) []rune {
		if keep != nil && keep(start, end, string(word)) {
			return word
		}
		return p.token(word)
	})
}

// A letter is one character of a text and where it stands.
type letter struct {
	r          rune // of a byte that is no UTF-8: rawByte + the byte
	start, end int
	escaped    bool // it is written as \uXXXX
}

// rawByte is added to bytes that are no UTF-8.
const rawByte = 0x200000

// lettersOf cuts a text into characters. With escapes it is the inside of a
// JSON string: an escape of JSON is one character, of a control character or a
// surrogate a separator.
func lettersOf(s string, escapes bool) []letter {
	items := make([]letter, 0, len(s))
	for i := 0; i < len(s); {
		l := letter{start: i}
		switch {
		case escapes && s[i] == '\\' && i+1 < len(s):
			l.r, l.end, l.escaped = escapeAt(s, i)
		case s[i] < utf8.RuneSelf:
			l.r, l.end = rune(s[i]), i+1
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if l.r, l.end = r, i+n; r == utf8.RuneError && n == 1 {
				l.r = rawByte + rune(s[i])
			}
		}
		items = append(items, l)
		i = l.end
	}
	return items
}

func escapeAt(s string, i int) (r rune, end int, escaped bool) {
	if s[i+1] != 'u' || i+6 > len(s) {
		return ' ', i + 2, false
	}
	b, err := hex.DecodeString(s[i+2 : i+6])
	if err != nil {
		return ' ', i + 2, false
	}
	r = rune(binary.BigEndian.Uint16(b))
	if r >= 0xd800 && r < 0xe000 || r < 0x80 && !isWordRune(r) {
		return ' ', i + 6, false
	}
	return r, i + 6, true
}

func isWordRune(r rune) bool {
	switch {
	case r >= rawByte:
		return r-rawByte >= 0xc0
	case r < utf8.RuneSelf:
		return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// rewriteRuns replaces each word of a text by what f says, letter by letter.
func rewriteRuns(s string, items []letter, f func(start, end int, word []rune) []rune) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(items); {
		if !isWordRune(items[i].r) {
			b.WriteString(s[items[i].start:items[i].end])
			i++
			continue
		}
		j := i
		var word []rune
		for ; j < len(items) && isWordRune(items[j].r); j++ {
			word = append(word, items[j].r)
		}
		for k, r := range f(items[i].start, items[j-1].end, word) {
			writeLetter(&b, s, items[i+k], r)
		}
		i = j
	}
	return b.String()
}

func writeLetter(b *strings.Builder, s string, l letter, r rune) {
	switch {
	case r == l.r:
		b.WriteString(s[l.start:l.end])
	case l.escaped:
		const digits = "0123456789abcdef"
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(digits[r>>shift&15])
		}
	case r >= rawByte:
		b.WriteByte(byte(r - rawByte))
	default:
		b.WriteRune(r)
	}
}

// tokenLimit bounds the tokens that are remembered; a full memory starts afresh.
const tokenLimit = 1 << 12

func (p *Pseudonymiser) token(word []rune) []rune {
	key := string(word)
	if strings.ContainsRune(key, utf8.RuneError) {
		return p.turn(word, false) // bytes that are no UTF-8 make no key
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	token, ok := p.tokens[key]
	if !ok {
		if len(p.tokens) >= tokenLimit {
			clear(p.tokens)
		}
		token = string(p.turn(word, false))
		p.tokens[key] = token
	}
	return []rune(token)
}

// turn works a token out, or with back the word of a token. It goes round until
// the result is no word of the protocol and has an escaped '#' just where the
// word has one: so a token is read as the word is, and is still the only one.
func (p *Pseudonymiser) turn(word []rune, back bool) []rune {
	if p.words.holds(string(word)) {
		return word
	}
	w := shapeOf(word)
	if len(w.slots) == 0 {
		return word
	}
	for {
		w.feistel(p.key, back)
		out := w.runes()
		if !p.words.holds(string(out)) && sameEscapes(word, out) {
			return out
		}
	}
}

// hashEscapes are what GC may write for a '#', the longer form first.
var hashEscapes = []string{"00100011", "100011"}

func sameEscapes(a, b []rune) bool {
	for i := range a {
		if escapeAtWord(a[i:]) != escapeAtWord(b[i:]) {
			return false
		}
	}
	return true
}

// escapeAtWord returns the length of the escaped '#' that a word begins with,
// 0 where it begins with none.
func escapeAtWord(word []rune) int {
	for _, escape := range hashEscapes {
		if len(word) >= len(escape) && string(word[:len(escape)]) == escape {
			return len(escape)
		}
	}
	return 0
}

// A wordShape is a word taken apart into what may change and what stays.
type wordShape struct {
	word  []rune
	slots []slot
	tweak []byte // says the shape
}

// A slot is a letter that may change: the n-th of its alphabet.
type slot struct {
	at       int
	n        int
	alphabet []rune
}

var (
	digits  = []rune("0123456789")
	leading = []rune("123456789")
	lower   = []rune("abcdefghijklmnopqrstuvwxyz")
	upper   = []rune("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	high    = func() (bytes []rune) {
		for b := rune(0xc0); b <= 0xff; b++ {
			bytes = append(bytes, rawByte+b)
		}
		return bytes
	}()
)

func shapeOf(word []rune) *wordShape {
	w := &wordShape{word: append([]rune(nil), word...), tweak: []byte("gctap pseudonym 1\n")}
	fixed := 0 // letters of an escape that are still to come
	for i, r := range word {
		fixed = max(fixed, escapeAtWord(word[i:]))
		var alphabet []rune
		if fixed > 0 {
			fixed--
		} else {
			alphabet = alphabetOf(r, i == 0 || !isDigit(word[i-1]))
		}
		if len(alphabet) < 2 {
			w.tweak = append(w.tweak, 0)
			w.tweak = binary.BigEndian.AppendUint32(w.tweak, uint32(r))
			continue
		}
		w.tweak = append(w.tweak, 1)
		w.tweak = binary.BigEndian.AppendUint32(w.tweak, uint32(alphabet[0]))
		for n, a := range alphabet {
			if a == r {
				w.slots = append(w.slots, slot{at: i, n: n, alphabet: alphabet})
			}
		}
	}
	return w
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// alphabetOf returns the letters that one may be replaced by, itself among
// them; they take as many bytes.
func alphabetOf(r rune, first bool) []rune {
	switch {
	case r == '_' || r == '0' && first:
		return nil
	case isDigit(r) && first:
		return leading
	case isDigit(r):
		return digits
	case 'a' <= r && r <= 'z':
		return lower
	case 'A' <= r && r <= 'Z':
		return upper
	case r >= rawByte:
		return high
	}
	// Of the 64 characters that share all bytes but the last: those of its kind.
	var kin []rune
	for k := r &^ 63; k < r&^63+64; k++ {
		if k >= utf8.RuneSelf && sameKind(k, r) {
			kin = append(kin, k)
		}
	}
	return kin
}

func sameKind(a, b rune) bool {
	for _, kind := range []*unicode.RangeTable{unicode.Ll, unicode.Lu, unicode.Lo, unicode.Lt, unicode.Lm, unicode.N, unicode.M} {
		if unicode.Is(kind, b) {
			return unicode.Is(kind, a)
		}
	}
	return false
}

func (w *wordShape) runes() []rune {
	for _, s := range w.slots {
		w.word[s.at] = s.alphabet[s.n]
	}
	return append([]rune(nil), w.word...)
}

const feistelRounds = 10

// feistel turns the letters once. Each round adds to one half what the key, the
// shape, the round and the other half give, so it can be taken away again.
func (w *wordShape) feistel(key []byte, back bool) {
	half := len(w.slots) / 2
	left, right := w.slots[:half], w.slots[half:]
	for i := range feistelRounds {
		round := i
		if back {
			round = feistelRounds - 1 - i
		}
		change, by := left, right
		if round%2 == 1 {
			change, by = right, left
		}
		w.round(key, round, change, by, back)
	}
}

func (w *wordShape) round(key []byte, round int, change, by []slot, back bool) {
	mac := hmac.New(sha256.New, key)
	var sum []byte
	for i := range change {
		if i%8 == 0 { // 32 bytes serve eight letters
			mac.Reset()
			mac.Write(w.tweak)
			head := binary.BigEndian.AppendUint32([]byte{byte(round)}, uint32(i/8))
			mac.Write(head)
			for _, s := range by {
				mac.Write(binary.BigEndian.AppendUint32(nil, uint32(s.n)))
			}
			sum = mac.Sum(sum[:0])
		}
		size := len(change[i].alphabet)
		add := int(binary.BigEndian.Uint32(sum[4*(i%8):]) % uint32(size))
		if back {
			add = size - add
		}
		change[i].n = (change[i].n + add) % size
	}
}
