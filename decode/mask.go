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
	list := addressSecrets(s, true)
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
	var m *Message
	name := func(r *region, inType bool, fallback string) {
		if r.field != "" || r.whole {
			return
		}
		if m == nil {
			d := Decode(in, Options{Limit: max(len(in.Body), 1)})
			m = &d
		}
		if r.field = m.FieldAt(r.start, inType); r.field == "" {
			r.field = fallback
		}
	}
	for i := range body {
		name(&body[i], false, "body")
	}
	for i := range typ {
		name(&typ[i], true, "type")
	}
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
	if len(f.body) > 0 {
		return f
	}
	if beginsJSON(body) {
		f.json(body)
	} else {
		f.agentState(body)
	}
	if len(f.body) == 0 && strings.Contains(body, "://") {
		f.addresses(body)
	}
	slices.SortFunc(f.body, func(a, b region) int { return a.start - b.start })
	return f
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
	if len(word) > 256 {
		word = word[:256]
	}
	word = strings.ToLower(word)
	for _, w := range [...]string{"login", "logon", "connect", "password"} {
		if strings.Contains(word, w) || distance(word, w) <= 2 {
			return w
		}
	}
	return ""
}

// distance is the number of letters to insert, delete or change.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
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
		}
		return
	}
	f.rest(body, list)
	for i := start; i < end; i++ {
		if body[i] != '"' {
			continue
		}
		from := i
		i, _ = skipString(body, i)
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
	}
	f.body = append(f.body, r)
}

// rest masks data.body of a REST envelope. Keys that come again are none the
// less looked at: whichever counts, nothing is to be left in clear.
func (f *secretsOf) rest(body string, list []member) {
	var words, texts []span
	for _, data := range list {
		if data.key != "data" || body[data.value.start] != '{' {
			continue
		}
		inner, _, _ := readMembers(body, int(data.value.start), nil)
		for _, m := range inner {
			switch {
			case m.key == "type" && body[m.value.start] == '"':
				words = append(words, m.value)
			case m.key == "body":
				texts = append(texts, m.value)
			}
		}
	}
	if len(words) > 1 {
		words = slices.DeleteFunc(words, func(w span) bool { return !secretWord(unquote(inside(w).of(body))) })
	}
	if len(words) == 0 {
		return
	}
	outer := source{text: body}
	for _, text := range texts {
		src := outer.restBody(text)
		var inner secretsOf
		inner.command(unquote(inside(words[0]).of(body)), src.text, 0, true)
		f.learn = append(f.learn, inner.learn...)
		for _, r := range inner.body {
			r.start, r.end = int(src.place(int32(r.start))), int(src.place(int32(r.end)))
			if src.flags&valueQuoted == 0 {
				r.start, r.end, r.with = int(text.start), int(text.end), quotedMask
			}
			f.body = append(f.body, r)
		}
	}
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

// addresses masks secrets in web addresses that a body holds.
func (f *secretsOf) addresses(body string) {
	for _, r := range addressSecrets(body, false) {
		f.body = append(f.body, r)
		f.learn = append(f.learn, body[r.start:r.end])
	}
}

// addressSecrets finds name=value with one of the secret names, behind ? or &;
// in any text also name:value, and the password of user:password@host.
func addressSecrets(s string, anyText bool) []region {
	var list []region
	for i := 0; i < len(s); i++ {
		r, ok := region{}, false
		switch c := s[i]; {
		case c == ':' && strings.HasPrefix(s[i:], "://"):
			r, ok = userInfo(s, i+3)
		case c == '=' || anyText && c == ':':
			r, ok = namedSecret(s, i, anyText)
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
func namedSecret(s string, i int, anyText bool) (region, bool) {
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
	for end < len(s) && strings.IndexByte("&#|,;\"' \t\r\n<>", s[end]) < 0 {
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

// A secretSet holds secrets of 4 bytes or more and finds them in one pass.
type secretSet struct {
	byStart map[[4]byte][]string // the longest first
	first   [256]bool
}

func (k *secretSet) learn(s string) {
	if len(s) < 4 || s == masked {
		return
	}
	start := [4]byte([]byte(s[:4]))
	list := k.byStart[start]
	if slices.Contains(list, s) {
		return
	}
	if k.byStart == nil {
		k.byStart = make(map[[4]byte][]string)
	}
	list = append(slices.Clone(list), s)
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	k.byStart[start] = list
	k.first[s[0]] = true
}

// find returns the regions given and those of the secrets in text that do not
// touch them, in order.
func (k *secretSet) find(given []region, text string) []region {
	if len(k.byStart) == 0 {
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

// at returns the length of the longest secret that text begins with.
func (k *secretSet) at(text string) int {
	if len(text) < 4 || !k.first[text[0]] {
		return 0
	}
	for _, s := range k.byStart[[4]byte{text[0], text[1], text[2], text[3]}] {
		if strings.HasPrefix(text, s) {
			return len(s)
		}
	}
	return 0
}

// Masked returns the message as it reads once its secrets are masked as a
// Masker that knows no secret masks them; its places are still those in the
// unmasked bytes. Without a secret it is m itself.
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
	in := m.wire()
	in.Body = []byte(text)
	h := Decode(in, m.opts)
	h.moveBack(found.body)
	return &h
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
func (m *Message) moveBack(list []region) {
	back := func(at int32) int32 { return unmasked(list, at) }
	if !m.inType {
		m.nameAt = span{back(m.nameAt.start), back(m.nameAt.end)}
		m.agentAt = span{back(m.agentAt.start), back(m.agentAt.end)}
	}
	var walk func(fields []Field)
	walk = func(fields []Field) {
		for i := range fields {
			v := &fields[i].Value
			if v.flags&valueInType == 0 {
				v.at = span{back(v.at.start), back(v.at.end)}
			}
			walk(v.Parts)
		}
	}
	walk(m.Fields)
	for i := range m.Findings {
		if f := &m.Findings[i]; !f.InType {
			f.Offset = int(back(int32(f.Offset)))
		}
	}
}

// unmasked returns where a place in the masked text was before.
func unmasked(list []region, at int32) int32 {
	ahead := int32(0) // the unmasked text is this much ahead
	for _, r := range list {
		start := int32(r.start) - ahead
		end := start + int32(len(r.with))
		if at <= start {
			break
		}
		if at < end {
			return int32(r.start)
		}
		ahead = int32(r.end) - end
	}
	return at + ahead
}
