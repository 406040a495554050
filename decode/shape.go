package decode

import "strings"

// The shapes inside a token (names.md 1.5 and 1.6).

// argument reads one argument and appends its field.
func (d *decoder) argument(fields []Field, arg *Arg, tok span) []Field {
	if arg.Shape == Literal {
		d.literal(arg, tok)
		return fields
	}
	p := field(arg.Name)
	if arg.Key != "" {
		tok = d.unkey(arg, tok, &p)
	}
	switch arg.Shape {
	case List:
		return append(fields, Field{arg.Name, d.list(arg, tok, &p)})
	case Pairs:
		return d.pairs(fields, arg, tok, &p)
	case Pieces:
		return append(fields, Field{arg.Name, d.pieces(arg, tok, &p)})
	case Users:
		return append(fields, Field{arg.Name, d.users(arg, tok, &p)})
	case Rest:
		return append(fields, Field{arg.Name, d.value(tok)})
	}
	return append(fields, Field{arg.Name, d.scalar(arg, tok, &p)})
}

// literal checks a word that is no field.
func (d *decoder) literal(arg *Arg, tok span) {
	p := field(arg.Of)
	word := trim(d.src.text, tok)
	if word != tok {
		d.add(Whitespace, &p, "blanks around the word before it", tok.start)
	}
	if !equalFold(word.of(d.src.text), arg.Word) {
		d.add(BadKey, &p, "another word before it", word.start)
	}
}

// unkey returns the value of a keyed token.
func (d *decoder) unkey(arg *Arg, tok span, p *path) span {
	text := d.src.text
	key, value, ok := cutKey(text, tok)
	if !ok {
		d.add(BadKey, p, "no key in front", tok.start)
		return tok
	}
	name := trim(text, key)
	if !equalFold(name.of(text), arg.Key) {
		d.add(BadKey, p, "another key in front", tok.start)
		if !letters(name.of(text)) {
			return tok
		}
	} else if arg.AltKey != "" {
		d.add(Alias, p, "a key that newer releases leave out", tok.start)
	}
	if name != key {
		d.add(Whitespace, p, "blanks around the key", key.start)
	}
	return value
}

// letters reports whether s is ASCII letters only, at least one.
func letters(s string) bool {
	for i := 0; i < len(s); i++ {
		if !letter(s[i]) {
			return false
		}
	}
	return s != ""
}

// scalar reads a single value: trims, checks and unescapes it by its class.
func (d *decoder) scalar(arg *Arg, tok span, p *path) Value {
	s := tok
	if arg.Class > ClassSecret {
		if s = trim(d.src.text, tok); s != tok {
			d.add(Whitespace, p, "blanks around the value", tok.start)
		}
	}
	v := d.value(s)
	if v.Text == "" {
		return v
	}
	switch {
	case arg.Values != nil:
		d.check(arg.Values, v.Text, p, s.start)
	case arg.Class == ClassNum:
		if !number(v.Text) {
			d.add(BadValue, p, "not a number", s.start)
		}
	case arg.Class == ClassSecret:
		v.flags |= valueSecret
		d.add(SecretField, p, "a password", s.start)
	}
	if d.hashed && arg.Hash != HashNone {
		d.unhash(arg.Hash, &v, p, s.start)
	}
	return v
}

// check compares a value with its closed list.
func (d *decoder) check(list *ValueList, text string, p *path, at int32) {
	switch list.check(text) {
	case isAlias:
		d.add(Alias, p, "another spelling of the value", at)
	case notInList:
		code := BadValue
		if list.open {
			code = UnknownErrorCode
		}
		d.add(code, p, list.fault, at)
	}
}

// number reports whether s is digits, with or without a leading '-'.
func number(s string) bool {
	if s[0] == '-' {
		s = s[1:]
	}
	for i := 0; i < len(s); i++ {
		if !digit(s[i]) {
			return false
		}
	}
	return s != ""
}

// none returns the empty list of a token without content; ok is false when
// there is content.
func (d *decoder) none(tok span, p *path) (Value, bool) {
	if !allBlank(tok.of(d.src.text)) {
		return Value{}, false
	}
	if tok.len() > 0 {
		d.add(Whitespace, p, "blanks in place of a list", tok.start)
	}
	return Value{Kind: KindList, at: d.src.at(tok)}, true
}

// list reads values separated by ','. Its elements are trimmed, of any class.
func (d *decoder) list(arg *Arg, tok span, p *path) Value {
	if v, ok := d.none(tok, p); ok {
		return v
	}
	text := d.src.text
	v := Value{Kind: KindList, at: d.src.at(tok), Parts: make([]Field, 0, 1+strings.Count(tok.of(text), ","))}
	rest, more := tok, true
	for more {
		var piece span
		piece, rest, more = next(text, rest, argSep)
		q := p.element(len(v.Parts))
		s := trim(text, piece)
		if s != piece {
			d.add(Whitespace, &q, "blanks around the value", piece.start)
		}
		v.Parts = append(v.Parts, Field{Value: d.scalar(arg, s, &q)})
	}
	return v
}

// pieces reads pieces separated by '|'.
func (d *decoder) pieces(arg *Arg, tok span, p *path) Value {
	if v, ok := d.none(tok, p); ok {
		return v
	}
	text := d.src.text
	rest, more := pieces(text, tok), true
	n := 1 + strings.Count(rest.of(text), "|")
	d.reserve(n + strings.Count(rest.of(text), ",") + 1)
	v := Value{Kind: KindList, at: d.src.at(tok), Parts: make([]Field, 0, n)}
	for more {
		var piece span
		piece, rest, more = next(text, rest, pieceSep)
		q := p.element(len(v.Parts))
		v.Parts = append(v.Parts, Field{Value: d.piece(arg, piece, &q)})
	}
	return v
}

// piece reads the parts of one piece.
func (d *decoder) piece(arg *Arg, tok span, p *path) Value {
	text := d.src.text
	n := 1 + strings.Count(tok.of(text), ",")
	v := Value{Kind: KindRecord, at: d.src.at(tok), Parts: d.take(min(n, len(arg.Parts)+1))}
	rest, more := tok, true
	for i := range arg.Parts {
		part := &arg.Parts[i]
		q := p.member(part.Name)
		if !more {
			d.add(MissingField, &q, "the piece ends before it", tok.end)
			continue
		}
		s := rest
		if arg.Cut == CutFirst && i == len(arg.Parts)-1 {
			more = false
		} else {
			s, rest, more = next(text, rest, argSep)
		}
		v.Parts = append(v.Parts, Field{part.Name, d.scalar(part, s, &q)})
	}
	if more {
		q := p.member("extra")
		d.add(ExtraField, &q, "more parts than the piece has", rest.start)
		v.Parts = d.surplus(v.Parts, "extra", cutTokens(nil, text, rest, argSep))
	}
	return v
}

// pairs reads call variables: name=value separated by '|', or bare values
// separated by ','.
func (d *decoder) pairs(fields []Field, arg *Arg, tok span, p *path) []Field {
	text := d.src.text
	if tok.len() == 0 {
		return append(fields, Field{arg.Name, Value{Kind: KindRecord, at: d.src.at(tok)}})
	}
	if strings.IndexAny(tok.of(text), "=|") < 0 {
		return d.bareValues(fields, arg, tok, p)
	}
	rest, more := pieces(text, tok), true
	r := pairReader{d: d, arg: arg, path: p, nameSet: nameSet{fields: d.take(1 + strings.Count(rest.of(text), "|"))}}
	for more {
		var piece span
		piece, rest, more = next(text, rest, pieceSep)
		r.piece(piece)
	}
	r.flush()
	d.joined = false
	return append(fields, Field{arg.Name, Value{Kind: KindRecord, at: d.src.at(tok), Parts: r.fields}})
}

// A pairReader gathers name=value pairs; a value lasts until the next name.
type pairReader struct {
	d    *decoder
	arg  *Arg
	path *path
	nameSet
	name  span
	value span
	open  bool // name and value hold a pair
}

func (r *pairReader) piece(s span) {
	name, value, ok := next(r.d.src.text, s, assignSep)
	if !ok && r.open {
		q := r.path.member(trim(r.d.src.text, r.name).of(r.d.src.text))
		r.d.add(BadKey, &q, "a piece without = belongs to it", s.start)
		r.value.end = s.end
		return
	}
	r.flush()
	r.name, r.value, r.open = name, value, true
	if !ok {
		q := r.path.member(trim(r.d.src.text, name).of(r.d.src.text))
		r.d.add(BadKey, &q, "no = after the name", s.start)
	}
}

// flush ends the pair that is open.
func (r *pairReader) flush() {
	if !r.open {
		return
	}
	d, text := r.d, r.d.src.text
	s := trim(text, r.name)
	name := s.of(text)
	q := r.path.member(name)
	if s != r.name {
		d.add(Whitespace, &q, "blanks around the name", r.name.start)
	}
	arg := Arg{Hash: r.arg.Hash}
	if d.hashed && arg.Hash == HashText && (equalFold(name, "ani") || equalFold(name, "associatedDialogId")) {
		arg.Hash = HashNumber
	}
	v := d.scalar(&arg, r.value, &q)
	if d.joined && strings.IndexByte(span{r.name.start, r.value.end}.of(text), tokenSep) >= 0 {
		d.add(UnescapedHash, &q, "a # inside it shifted the tokens", r.name.start)
	}
	if r.put(name, v) {
		d.add(BadKey, &q, "the name comes again", r.name.start)
	}
}

// A nameSet is a list of fields without a name twice: the last value counts,
// at the place of the first.
type nameSet struct {
	fields []Field
	index  map[string]int // of names, once there are many
}

// fewNames is how many are searched one by one before a map is worth it.
const fewNames = 32

// put adds or replaces a field and reports whether it replaced one.
func (s *nameSet) put(name string, v Value) (again bool) {
	if i, ok := s.find(name); ok {
		s.fields[i].Value = v
		return true
	}
	s.fields = append(s.fields, Field{name, v})
	if s.index != nil {
		s.index[name] = len(s.fields) - 1
	}
	return false
}

func (s *nameSet) find(name string) (int, bool) {
	if s.index == nil && len(s.fields) >= fewNames {
		s.index = make(map[string]int, 4*fewNames)
		for i := range s.fields {
			s.index[s.fields[i].Name] = i
		}
	}
	if s.index != nil {
		i, ok := s.index[name]
		return i, ok
	}
	for i := range s.fields {
		if s.fields[i].Name == name {
			return i, true
		}
	}
	return 0, false
}

// bareValues reads call variables without names (inventory A-54).
func (d *decoder) bareValues(fields []Field, arg *Arg, tok span, p *path) []Field {
	text := d.src.text
	v := Value{Kind: KindList, at: d.src.at(tok), Parts: make([]Field, 0, 1+strings.Count(tok.of(text), ","))}
	rest, more := tok, true
	if arg.First != nil {
		var first span
		first, rest, more = next(text, rest, argSep)
		q := field(arg.First.Name)
		fields = append(fields, Field{arg.First.Name, d.bareValue(arg.First, first, &q)})
		v.at = d.src.at(rest)
	}
	plain := Arg{Hash: arg.Hash}
	for more {
		var piece span
		piece, rest, more = next(text, rest, argSep)
		q := p.element(len(v.Parts))
		v.Parts = append(v.Parts, Field{Value: d.bareValue(&plain, piece, &q)})
	}
	d.joined = false
	return append(fields, Field{arg.Name, v})
}

func (d *decoder) bareValue(arg *Arg, s span, p *path) Value {
	if d.joined && strings.IndexByte(s.of(d.src.text), tokenSep) >= 0 {
		d.add(UnescapedHash, p, "a # inside it shifted the tokens", s.start)
	}
	return d.scalar(arg, s, p)
}
