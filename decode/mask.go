package decode

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"gctap/decode/xuc"
)

// masked is what stands in place of a secret.
const masked = "***"

// A Mask says which bytes of a masked text stand in place of a secret. Field
// is the path of the field; with "type:" in front Start and End are places in
// the JMSType, else in the body. Field is "" when what held the secret could
// not be told from the rest: the whole body, or the whole body of a REST
// command.
type Mask struct {
	Field      string
	Start, End int
}

// A Masker hides secrets: passwords where the grammar knows them, and any
// secret of 4 bytes or more that it has seen before, wherever it turns up. It
// remembers them in memory only. A Masker may be used by several goroutines.
//
// Passwords may hold a ',' although the protocol has no escape for it, and
// extensions do not, so masking is anchored from the right (names.md 1.10):
// more is hidden rather than less. Masking again changes nothing.
type Masker struct {
	mu    sync.RWMutex
	known secretSet
}

// NewMasker returns a Masker that knows no secret yet.
func NewMasker() *Masker { return &Masker{} }

// Mask returns the message without its secrets, and what was masked. The
// secrets of this message are known from the next one on. in is not changed;
// out shares its memory when nothing was masked.
func (k *Masker) Mask(in Input) (out Input, masks []Mask) {
	text, jmsType := string(in.Body), ""
	if in.Type != nil {
		jmsType = *in.Type
	}
	found := findSecrets(jmsType, text, in.Direction)
	k.mu.RLock()
	body := k.known.find(found.body, text)
	body = k.known.findEscaped(body, text)
	typ := k.known.find(nil, jmsType)
	k.mu.RUnlock()
	for _, s := range found.learn {
		k.Learn(s)
	}
	out = in
	if len(body) == 0 && len(typ) == 0 {
		return out, nil
	}
	nameRegions(in, body, typ)
	if len(typ) > 0 {
		hidden, more := replace(jmsType, typ, "type:")
		out.Type = &hidden
		masks = more
	}
	if len(body) > 0 {
		hidden, more := replace(text, body, "")
		out.Body = []byte(hidden)
		masks = append(masks, more...)
	}
	return out, masks
}

// Learn tells the Masker a secret, as one given on the command line.
func (k *Masker) Learn(secret string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known.learn(secret)
	if quoted := appendString(nil, secret); len(quoted) != len(secret)+2 {
		k.known.learn(string(quoted[1 : len(quoted)-1])) // as JSON spells it
	}
}

// Text masks a line of a log, a header or an address: the values of password,
// passcode, token and secret, a password in front of a host name, and every
// secret seen before.
func (k *Masker) Text(s string) string {
	list := addressSecrets(s, true, textStops)
	k.mu.RLock()
	list = k.known.find(list, s)
	k.mu.RUnlock()
	if len(list) == 0 {
		return s
	}
	text, _ := replace(s, list, "")
	return text
}

// A region is a secret's place in a text that is to be masked.
type region struct {
	start, end int
	field      string
	whole      bool // field is to stay empty
	with       string
}

// replace puts *** in place of the regions, which are in order and apart.
func replace(text string, list []region, prefix string) (string, []Mask) {
	var b strings.Builder
	masks := make([]Mask, 0, len(list))
	at := 0
	for _, r := range list {
		b.WriteString(text[at:r.start])
		start := b.Len()
		b.WriteString(r.with)
		end := b.Len()
		if r.with == quotedMask {
			start, end = start+1, end-1
		}
		field := r.field
		if !r.whole {
			field = prefix + field
		}
		masks = append(masks, Mask{Field: field, Start: start, End: end})
		at = r.end
	}
	b.WriteString(text[at:])
	return b.String(), masks
}

// quotedMask stands in place of a JSON value that is no string.
const quotedMask = `"***"`

// nameRegions fills in the fields of regions that have none.
func nameRegions(in Input, body, typ []region) {
	open := func(r region) bool { return r.field == "" && !r.whole }
	if !slices.ContainsFunc(body, open) && !slices.ContainsFunc(typ, open) {
		return
	}
	m := Decode(in, Options{Limit: max(len(in.Body), 1)})
	places := m.Places()
	nameFrom(places, body, false, "body")
	nameFrom(places, typ, true, "type")
}

// nameFrom walks beside the regions, which are in order: the innermost place
// that holds a region's first byte names it.
func nameFrom(all []Place, list []region, inType bool, fallback string) {
	var places []Place
	for _, p := range all {
		if p.InType == inType && p.Start < p.End {
			places = append(places, p)
		}
	}
	slices.SortStableFunc(places, func(a, b Place) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return b.End - a.End
	})
	var around []Place // those that hold the place reached, the innermost last
	for i := range list {
		r := &list[i]
		for len(places) > 0 && places[0].Start <= r.start {
			around = append(outOf(around, places[0].Start), places[0])
			places = places[1:]
		}
		around = outOf(around, r.start)
		if r.field != "" || r.whole {
			continue
		}
		if r.field = fallback; len(around) > 0 {
			r.field = around[len(around)-1].Path
		}
	}
}

// outOf leaves the places that end before at.
func outOf(around []Place, at int) []Place {
	for len(around) > 0 && around[len(around)-1].End <= at {
		around = around[:len(around)-1]
	}
	return around
}

// secretsOf is what findSecrets finds in a message.
type secretsOf struct {
	body  []region
	learn []string
}

// findSecrets finds the secrets that the grammar knows of.
func findSecrets(jmsType, body string, way Direction) secretsOf {
	var f secretsOf
	if body == "" {
		return f
	}
	if jmsType != "" {
		f.command(jmsType, body, 0, way != FromGC)
	}
	switch {
	case beginsJSON(body):
		f.json(body)
	case len(f.body) == 0:
		f.agentState(body)
		fallthrough
	default:
		f.addresses(body, textStops)
	}
	f.body = apart(f.body)
	return f
}

// apart puts regions in order and makes one of those that overlap.
func apart(list []region) []region {
	slices.SortStableFunc(list, func(a, b region) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && r.start < out[n-1].end {
			out[n-1].end = max(out[n-1].end, r.end)
			continue
		}
		out = append(out, r)
	}
	return out
}

// whole masks a body whose secret cannot be told from the rest.
func (f *secretsOf) whole(body string, base int) {
	f.body = append(f.body, region{start: base, end: base + len(body), whole: true, with: masked})
}

// command masks the body of a text command that stands at base.
func (f *secretsOf) command(jmsType, body string, base int, near bool) {
	if body == "" {
		return
	}
	word, _, _ := strings.Cut(jmsType, "#")
	word = trimText(word)
	entry, known := commandWords.find(word)
	if !known {
		if like := nearSecret(word); near && like != "" {
			f.whole(body, base)
			f.learnLike(like, body)
		}
		return
	}
	args := entry.spec.Forms[0].Args
	at := slices.IndexFunc(args, func(a Arg) bool { return a.Class == ClassSecret })
	if at < 0 {
		return
	}
	start, end, ok := secretPlace(body, at, len(args))
	if !ok {
		f.whole(body, base)
		if at == 0 { // what stands first is the password, if anything is
			first, _, _ := strings.Cut(body, ",")
			f.learn = append(f.learn, first)
		}
		return
	}
	if start == end {
		return
	}
	f.body = append(f.body, region{start: base + start, end: base + end, field: args[at].Name, with: masked})
	f.learn = append(f.learn, body[start:end])
	if at > 0 { // the last argument may be another, as SSO
		if i := strings.LastIndexByte(body[start:end], argSep); i >= 0 {
			f.learn = append(f.learn, body[start:start+i])
		}
	}
}

// secretPlace finds the password in a command's body: the first argument, up
// to where the n-1 others begin, counted from the right; or all that follows
// the at-th ','. ok is false when the body has too few arguments.
func secretPlace(body string, at, n int) (start, end int, ok bool) {
	if at > 0 {
		for range at {
			i := strings.IndexByte(body[start:], argSep)
			if i < 0 {
				return 0, 0, false
			}
			start += i + 1
		}
		return start, len(body), true
	}
	end = len(body)
	for range n - 1 {
		if end = strings.LastIndexByte(body[:end], argSep); end < 0 {
			return 0, 0, false
		}
	}
	return 0, end, true
}

// learnLike learns the password of a misspelt command.
func (f *secretsOf) learnLike(like, body string) {
	at, n := 0, 2
	switch like {
	case "connect":
		at = 1
	case "password":
		return
	}
	if start, end, ok := secretPlace(body, at, n); ok {
		f.learn = append(f.learn, body[start:end])
	}
}

// nearSecret returns which word of secret commands an unknown word contains or
// is within two letters of, "" for none.
func nearSecret(word string) string {
	word = strings.ToLower(word)
	letters := []rune(word[:min(len(word), 64)]) // longer ones are further off
	for _, w := range [...]string{"login", "logon", "connect", "password"} {
		if strings.Contains(word, w) || max(len(letters)-len(w), len(w)-len(letters)) <= 2 && Distance(letters, []rune(w)) <= 2 {
			return w
		}
	}
	return ""
}

// agentState masks the GC-to-GC event, with an id in front or without:
// AgentState#id#password#extension#time.
func (f *secretsOf) agentState(body string) {
	first, rest, more := strings.Cut(body, "#")
	start := len(first) + 1
	if !equalFold(trimText(first), "AgentState") {
		var second string
		second, _, _ = strings.Cut(rest, "#")
		if e, ok := eventWords.find(trimText(first)); !more || ok && e.spec.Headless || !equalFold(trimText(second), "AgentState") {
			return
		}
		start += len(second) + 1
	}
	begin := -1
	if start <= len(body) {
		begin = strings.IndexByte(body[start:], tokenSep)
	}
	begin += start + 1
	end := strings.LastIndexByte(body, tokenSep)
	if end > 0 {
		end = strings.LastIndexByte(body[:end], tokenSep)
	}
	if begin <= start || end < begin {
		f.whole(body, 0)
		return
	}
	if begin == end {
		return
	}
	f.body = append(f.body, region{start: begin, end: end, field: "password", with: masked})
	f.learn = append(f.learn, body[begin:end])
}

// json masks the values of secret keys at any depth, and what a REST envelope
// holds as a text command does.
func (f *secretsOf) json(body string) {
	start := skipSpace(body, 0)
	list, end, ok := readMembers(body, start, nil)
	if !ok || skipSpace(body, end) != len(body) {
		if holdsSecretWord(body) {
			f.whole(body, 0)
		} else {
			f.addresses(body, textStops)
		}
		return
	}
	bodies := f.rest(body, list)
	for i := start; i < end; i++ {
		if body[i] != '"' {
			continue
		}
		from := i
		i, _ = skipString(body, i)
		if len(bodies) > 0 && from >= int(bodies[0].start) { // masked by rest
			if from == int(bodies[0].start) {
				i--
				bodies = bodies[1:]
				continue
			}
			bodies = bodies[1:]
		}
		f.stringAddresses(body, span{int32(from), int32(i)})
		colon := skipSpace(body, i)
		if colon == len(body) || body[colon] != ':' || !xuc.Secret(strings.ToLower(unquote(body[from+1:i-1]))) {
			i--
			continue
		}
		value := skipSpace(body, colon+1)
		i, _ = skipValue(body, value)
		f.jsonValue(body, span{int32(value), int32(i)})
		i--
	}
}

// stringAddresses masks the secrets in an address that a JSON string holds.
func (f *secretsOf) stringAddresses(body string, s span) {
	if !mayHoldAddress(s.of(body)) {
		return
	}
	outer := source{text: body}
	src := outer.quotedSource(s)
	var inner secretsOf
	inner.addresses(src.text, stringStops)
	f.take(&inner, &src)
}

// take adds what was found in a part of the body.
func (f *secretsOf) take(inner *secretsOf, src *source) {
	f.learn = append(f.learn, inner.learn...)
	for _, r := range inner.body {
		r.start, r.end = int(src.place(int32(r.start))), int(src.place(int32(r.end)))
		f.body = append(f.body, r)
	}
}

// jsonValue masks the value of a secret key.
func (f *secretsOf) jsonValue(body string, s span) {
	raw := s.of(body)
	if raw == "null" || raw == `""` {
		return
	}
	r := region{start: int(s.start), end: int(s.end), with: quotedMask}
	if raw[0] == '"' {
		r = region{start: r.start + 1, end: r.end - 1, with: masked}
		f.learn = append(f.learn, unquote(raw[1:len(raw)-1]))
	} else if raw[0] == '-' || digit(raw[0]) {
		f.learn = append(f.learn, raw)
	}
	f.body = append(f.body, r)
}

// rest masks data.body of a REST envelope and returns the strings that it has
// dealt with. Keys that come again are none the less looked at: whichever
// counts, nothing is to be left in clear, and where more than one word has a
// password each body is hidden as a whole.
func (f *secretsOf) rest(body string, list []member) (done []span) {
	var words []string
	var texts []span
	for _, data := range list {
		if data.key != "data" || body[data.value.start] != '{' {
			continue
		}
		inner, _, _ := readMembers(body, int(data.value.start), nil)
		for _, m := range inner {
			switch {
			case m.key == "type" && body[m.value.start] == '"':
				words = append(words, unquote(inside(m.value).of(body)))
			case m.key == "body":
				texts = append(texts, m.value)
			}
		}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return !secretWord(w) })
	outer := source{text: body}
	for _, text := range texts {
		src := outer.restBody(text)
		inner := restSecrets(words, src.text)
		if src.flags&valueQuoted != 0 {
			inner.addresses(src.text, stringStops)
			done = append(done, text)
			f.take(&inner, &src)
			continue
		}
		f.learn = append(f.learn, inner.learn...)
		if len(inner.body) > 0 {
			r := inner.body[0]
			r.start, r.end, r.with = int(text.start), int(text.end), quotedMask
			f.body = append(f.body, r)
		}
	}
	return done
}

// restSecrets finds the password in a REST body by the words that it may belong
// to.
func restSecrets(words []string, body string) secretsOf {
	var f secretsOf
	for _, w := range words {
		f.command(w, body, 0, true)
	}
	if len(words) > 1 && body != "" {
		f.body = nil
		f.whole(body, 0)
	}
	return f
}

// secretWord reports whether a JMSType is that of a command with a password.
func secretWord(jmsType string) bool {
	var f secretsOf
	f.command(jmsType, "-,-,-,-,-", 0, true)
	return len(f.body) > 0
}

// holdsSecretWord reports whether a broken JSON text may hold a secret.
func holdsSecretWord(body string) bool {
	b := bytes.ToLower([]byte(body))
	for _, w := range [...]string{"password", "passcode", "token", "secret", "login", "connect", "agentstate"} {
		if bytes.Contains(b, []byte(w)) {
			return true
		}
	}
	return false
}

// Where the value of a secret in an address ends: in a text, where tokens and
// pieces do; in a JSON string nothing but the address ends it. A ',' may be part
// of a password.
const (
	textStops   = "&#|\"' \t\r\n<>"
	stringStops = "&\"' \t\r\n<>"
)

// mayHoldAddress is a quick look that finds no address in most texts.
func mayHoldAddress(text string) bool {
	return strings.IndexByte(text, '=') >= 0 && strings.ContainsAny(text, `?&\`) || strings.Contains(text, ":/") || strings.Contains(text, `:\`)
}

// addresses masks secrets in web addresses that a text holds, outside of what
// is masked already. A separator in front of that stays.
func (f *secretsOf) addresses(text, stops string) {
	if !mayHoldAddress(text) {
		return
	}
	at := 0
	within := func(end int) {
		for _, r := range addressSecrets(text[at:end], false, stops) {
			r.start, r.end = r.start+at, r.end+at
			f.body = append(f.body, r)
			f.learn = append(f.learn, text[r.start:r.end])
		}
	}
	for _, r := range slices.Clone(f.body) {
		end := max(at, r.start)
		if end > at && (text[end-1] == argSep || text[end-1] == tokenSep) {
			end--
		}
		within(end)
		at = max(at, r.end)
	}
	within(len(text))
}

// addressSecrets finds name=value with one of the secret names, behind ? or &;
// in any text also name:value, and the password of user:password@host.
func addressSecrets(s string, anyText bool, stops string) []region {
	var list []region
	for i := 0; i < len(s); i++ {
		r, ok := region{}, false
		switch c := s[i]; {
		case c == ':' && strings.HasPrefix(s[i:], "://"):
			r, ok = userInfo(s, i+3)
		case c == ':' && strings.HasPrefix(s[i:], `:\/\/`): // in JSON that is cut
			r, ok = userInfo(s, i+5)
		case c == '=' || anyText && c == ':':
			r, ok = namedSecret(s, i, anyText, stops)
		}
		if ok {
			list = append(list, r)
			i = r.end - 1
		}
	}
	return list
}

// namedSecret finds the value of a secret name, which ends at the separator
// s[i].
func namedSecret(s string, i int, anyText bool, stops string) (region, bool) {
	end := i
	for anyText && end > 0 && (blank(s[end-1]) || s[end-1] == '"') {
		end--
	}
	name := end
	for name > 0 && letter(s[name-1]) {
		name--
	}
	front := name > 0 && (s[name-1] == '?' || s[name-1] == '&')
	if !xuc.Secret(strings.ToLower(s[name:end])) || !front && !anyText {
		return region{}, false
	}
	start := i + 1
	for anyText && start < len(s) && (blank(s[start]) || s[start] == '"') {
		start++
	}
	end = start
	for end < len(s) && strings.IndexByte(stops, s[end]) < 0 {
		end++
	}
	return region{start: start, end: end, with: masked}, end > start
}

// userInfo finds the password in user:password@host, which begins at i.
func userInfo(s string, i int) (region, bool) {
	colon := -1
	for ; i < len(s) && strings.IndexByte("/?# \t\r\n\"'<>", s[i]) < 0; i++ {
		switch {
		case s[i] == ':' && colon < 0:
			colon = i
		case s[i] == '@' && colon >= 0 && i > colon+1:
			return region{start: colon + 1, end: i, with: masked}, true
		}
	}
	return region{}, false
}

// mostSecrets is how many secrets are remembered; the oldest is forgotten.
const mostSecrets = 10_000

// A secretSet holds secrets of 4 bytes or more and finds them in one pass.
type secretSet struct {
	byStart map[[4]byte][]string // in order: tokens all begin alike
	first   [256]bool
	age     []string // oldest at next, once there are mostSecrets
	next    int
}

func (k *secretSet) empty() bool { return len(k.byStart) == 0 }

func (k *secretSet) learn(s string) {
	if len(s) < 4 || s == masked {
		return
	}
	start := [4]byte([]byte(s[:4]))
	list := k.byStart[start]
	i, found := slices.BinarySearch(list, s)
	if found {
		return
	}
	if k.byStart == nil {
		k.byStart = make(map[[4]byte][]string)
	}
	k.byStart[start] = slices.Insert(list, i, s)
	k.first[s[0]] = true
	if len(k.age) < mostSecrets {
		k.age = append(k.age, s)
		return
	}
	k.forget(k.age[k.next])
	k.age[k.next] = s
	k.next = (k.next + 1) % mostSecrets
}

func (k *secretSet) forget(s string) {
	start := [4]byte([]byte(s[:4]))
	list := k.byStart[start]
	if i, found := slices.BinarySearch(list, s); found {
		list = slices.Delete(list, i, i+1)
	}
	if k.byStart[start] = list; len(list) == 0 {
		delete(k.byStart, start)
	}
}

// find returns the regions given and those of the secrets in text that do not
// touch them, in order.
func (k *secretSet) find(given []region, text string) []region {
	if k.empty() {
		return given
	}
	var list []region
	for i := 0; i < len(text); i++ {
		if len(given) > 0 && i >= given[0].start {
			list = append(list, given[0])
			i = max(i, given[0].end) - 1
			given = given[1:]
			continue
		}
		end := len(text)
		if len(given) > 0 {
			end = given[0].start
		}
		if n := k.at(text[i:end]); n > 0 {
			list = append(list, region{start: i, end: i + n, with: masked})
			i += n - 1
		}
	}
	return append(list, given...)
}

// findEscaped adds the secrets that JSON strings spell with escapes.
func (k *secretSet) findEscaped(given []region, body string) []region {
	if k.empty() || !beginsJSON(body) || strings.IndexByte(body, '\\') < 0 {
		return given
	}
	n := len(given)
	outer := source{text: body}
	for i := 0; i < len(body); i++ {
		if body[i] != '"' {
			continue
		}
		end, ok := skipString(body, i)
		if !ok {
			break
		}
		s := span{int32(i), int32(end)}
		if i = end - 1; strings.IndexByte(s.of(body), '\\') < 0 {
			continue
		}
		src := outer.quotedSource(s)
		for _, r := range k.find(nil, src.text) {
			r.start, r.end = int(src.place(int32(r.start))), int(src.place(int32(r.end)))
			given = append(given, r)
		}
	}
	if len(given) == n {
		return given
	}
	return apart(given)
}

// at returns the length of the longest secret that text begins with.
func (k *secretSet) at(text string) int {
	if len(text) < 4 || !k.first[text[0]] {
		return 0
	}
	list := k.byStart[[4]byte{text[0], text[1], text[2], text[3]}]
	for len(list) > 0 {
		i, found := slices.BinarySearch(list, text)
		if found {
			return len(text)
		}
		if i == 0 {
			break
		}
		near := list[i-1] // what text begins with is this, or shorter and before it
		n := common(near, text)
		if n == len(near) {
			return n
		}
		list, text = list[:i-1], text[:n]
	}
	return 0
}

// common returns how many bytes two texts have in common at their beginning.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// Masked returns the message with the fields that are read once its secrets are
// masked as a Masker that knows no secret masks them; places are still those in
// the unmasked bytes, and what the message is and its findings are as they were.
// A name that is in no table, and an agent, are masked too where a secret stands
// in them. Without a secret it is m itself.
func (m *Message) Masked() *Message {
	if m.input&decoded == 0 {
		return m.hiddenFields()
	}
	found := findSecrets(m.jmsType, m.raw, m.dir)
	if len(found.body) == 0 {
		return m
	}
	text, _ := replace(m.raw, found.body, "")
	if text == m.raw {
		return m
	}
	in, o := m.wire(), m.opts
	in.Body = []byte(text)
	if len(m.raw) <= limit(o) {
		o.Limit = max(limit(o), len(text))
	}
	read := Decode(in, o)
	h := *m
	h.raw, h.Fields = text, nil
	if len(m.Fields) > 0 && read.Protocol == m.Protocol && read.Kind == m.Kind {
		h.Fields = read.Fields
		moveBack(h.Fields, newBackward(found.body))
	}
	if !m.inType {
		if m.spec == nil && touches(found.body, m.nameAt) {
			h.Name = read.Name
		}
		if touches(found.body, m.agentAt) {
			h.Agent = read.Agent
		}
	}
	return &h
}

// touches reports whether one of the regions holds a part of s.
func touches(list []region, s span) bool {
	return slices.ContainsFunc(list, func(r region) bool { return r.start < int(s.end) && int(s.start) < r.end })
}

// hiddenFields masks the secrets of a message that was built from fields.
func (m *Message) hiddenFields() *Message {
	spec := m.Spec()
	h := *m
	h.Fields = slices.Clone(m.Fields)
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Value.Text == "" || f.Value.Kind != KindText {
			continue
		}
		if a := specArg(spec, f.Name); a != nil && a.Class == ClassSecret || xuc.Secret(strings.ToLower(f.Name)) {
			f.Value.Text = masked
		}
	}
	return &h
}

func specArg(s *Spec, name string) *Arg {
	if s == nil {
		return nil
	}
	return s.Arg(name)
}

// moveBack turns places in the masked body into places in the unmasked one.
func moveBack(fields []Field, b backward) {
	for i := range fields {
		v := &fields[i].Value
		if v.flags&valueInType == 0 {
			v.at = span{b.place(v.at.start), b.place(v.at.end)}
		}
		moveBack(v.Parts, b)
	}
}

// backward says where the places in a masked text were before.
type backward struct {
	list []region
	at   []int32 // where the mask of each region begins
}

func newBackward(list []region) backward {
	b := backward{list, make([]int32, len(list))}
	ahead := 0 // the unmasked text is this much ahead
	for i, r := range list {
		b.at[i] = int32(r.start - ahead)
		ahead += r.end - r.start - len(r.with)
	}
	return b
}

func (b backward) place(at int32) int32 {
	i, _ := slices.BinarySearch(b.at, at) // the masks before i begin before at
	if i == 0 {
		return at
	}
	r := &b.list[i-1]
	end := b.at[i-1] + int32(len(r.with))
	if at < end {
		return int32(r.start)
	}
	return int32(r.end) + at - end
}
