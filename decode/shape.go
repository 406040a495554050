package decode

import "strings"

// The shapes inside a token (names.md 1.5 and 1.6).

// argument reads one argument and appends its field.
func (d *decoder) argument(fields []Field, arg *Arg, tok span) []Field {
	if arg.Shape == Literal {
		d.literal(arg, tok)
		return fields
	}
	d.enter(arg.Name)
	if arg.Key != "" {
		tok = d.unkey(arg, tok)
	}
	if arg.Shape == Pairs {
		fields = d.pairs(fields, arg, tok)
		d.leave()
		return fields
	}
	fields, v := grow(fields, arg.Name)
	switch arg.Shape {
	case List:
		*v = d.list(arg, tok)
	case Pieces:
		*v = d.pieces(arg, tok)
	case Users:
		*v = d.users(arg, tok)
	case Rest:
		d.value(v, tok)
	default:
		d.scalar(v, arg, tok)
	}
	d.leave()
	return fields
}

// grow appends a field and returns its value, which is to be filled in.
func grow(fields []Field, name string) ([]Field, *Value) {
	n := len(fields)
	if n < cap(fields) {
		fields = fields[:n+1] // room that nobody has written to
	} else {
		fields = append(fields, Field{})
	}
	fields[n].Name = name
	return fields, &fields[n].Value
}

// literal checks a word that is no field.
func (d *decoder) literal(arg *Arg, tok span) {
	word := trim(d.src.text, tok)
	if word != tok {
		d.note(Whitespace, arg.Of, "blanks around the word before it", tok.start)
	}
	if !equalFold(word.of(d.src.text), arg.Word) {
		d.note(BadKey, arg.Of, "another word before it", word.start)
	}
}

// unkey returns the value of a keyed token.
func (d *decoder) unkey(arg *Arg, tok span) span {
	text := d.src.text
	key, value, ok := cutKey(text, tok)
	if !ok {
		d.add(BadKey, "no key in front", tok.start)
		return tok
	}
	name := trim(text, key)
	if !equalFold(name.of(text), arg.Key) {
		d.add(BadKey, "another key in front", tok.start)
		if !letters(name.of(text)) {
			return tok
		}
	} else if arg.AltKey != "" {
		d.add(Alias, "a key that newer releases leave out", tok.start)
	}
	if name != key {
		d.add(Whitespace, "blanks around the key", key.start)
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

// scalar reads a single value into v: trims, checks and unescapes it by its
// class.
func (d *decoder) scalar(v *Value, arg *Arg, tok span) {
	s := tok
	if arg.Class > ClassSecret && tok.start < tok.end && (blank(d.src.text[tok.start]) || blank(d.src.text[tok.end-1])) {
		s = trim(d.src.text, tok)
		d.add(Whitespace, "blanks around the value", tok.start)
	}
	d.value(v, s)
	if s.start == s.end {
		return
	}
	if d.closing {
		v.Text = closeHashes(v.Text)
	}
	switch {
	case arg.Values != nil:
		d.check(arg.Values, v.Text, s.start)
	case arg.Class == ClassNum:
		if !number(v.Text) {
			d.add(BadValue, "not a number", s.start)
		}
	case arg.Class == ClassSecret:
		v.flags |= valueSecret
		d.add(SecretField, "a password", s.start)
	}
	if d.hashed && arg.Hash != HashNone {
		d.unhash(arg.Hash, v, s.start)
	}
}

// check compares a value with its closed list.
func (d *decoder) check(list *ValueList, text string, at int32) {
	switch list.check(text) {
	case isAlias:
		d.add(Alias, "another spelling of the value", at)
	case notInList:
		code := BadValue
		if list.open {
			code = UnknownErrorCode
		}
		d.add(code, list.fault, at)
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
func (d *decoder) none(tok span) (Value, bool) {
	if !allBlank(tok.of(d.src.text)) {
		return Value{}, false
	}
	if tok.len() > 0 {
		d.add(Whitespace, "blanks in place of a list", tok.start)
	}
	return Value{Kind: KindList, at: d.src.at(tok)}, true
}

// list reads values separated by ','. Its elements are trimmed, of any class.
func (d *decoder) list(arg *Arg, tok span) Value {
	if v, ok := d.none(tok); ok {
		return v
	}
	text := d.src.text
	v := Value{Kind: KindList, at: d.src.at(tok), Parts: make([]Field, 0, 1+strings.Count(tok.of(text), ","))}
	rest, more := tok, true
	for more {
		var piece span
		piece, rest, more = next(text, rest, argSep)
		d.enterIndex(len(v.Parts))
		s := trim(text, piece)
		if s != piece {
			d.add(Whitespace, "blanks around the value", piece.start)
		}
		var e *Value
		v.Parts, e = grow(v.Parts, "")
		d.scalar(e, arg, s)
		d.leave()
	}
	return v
}

// pieces reads pieces separated by '|'.
func (d *decoder) pieces(arg *Arg, tok span) Value {
	if v, ok := d.none(tok); ok {
		return v
	}
	text := d.src.text
	rest, more := pieces(text, tok), true
	n := 1 + strings.Count(rest.of(text), "|")
	d.reserve(min(n+strings.Count(rest.of(text), ",")+1, manyParts))
	v := Value{Kind: KindList, at: d.src.at(tok), Parts: make([]Field, 0, n)}
	for more {
		var piece span
		piece, rest, more = next(text, rest, pieceSep)
		d.enterIndex(len(v.Parts))
		v.Parts = append(v.Parts, Field{Value: d.piece(arg, piece)})
		d.leave()
	}
	return v
}

// piece reads the parts of one piece.
func (d *decoder) piece(arg *Arg, tok span) Value {
	text := d.src.text
	n := 1 + strings.Count(tok.of(text), ",")
	v := Value{Kind: KindRecord, at: d.src.at(tok), Parts: d.take(min(n, len(arg.Parts)+1))}
	rest, more := tok, true
	for i := range arg.Parts {
		part := &arg.Parts[i]
		d.enter(part.Name)
		if !more {
			d.add(MissingField, "the piece ends before it", tok.end)
			d.leave()
			continue
		}
		s := rest
		if arg.Cut == CutFirst && i == len(arg.Parts)-1 {
			more = false
		} else {
			s, rest, more = next(text, rest, argSep)
		}
		var e *Value
		v.Parts, e = grow(v.Parts, part.Name)
		d.scalar(e, part, s)
		d.leave()
	}
	if more {
		d.enter("extra")
		d.add(ExtraField, "more parts than the piece has", rest.start)
		d.leave()
		v.Parts = d.surplus(v.Parts, "extra", cutTokens(nil, text, rest, argSep))
	}
	return v
}

// pairs reads call variables: name=value separated by '|', or bare values
// separated by ','.
func (d *decoder) pairs(fields []Field, arg *Arg, tok span) []Field {
	text := d.src.text
	if tok.len() == 0 {
		return append(fields, Field{arg.Name, Value{Kind: KindRecord, at: d.src.at(tok)}})
	}
	if !strings.ContainsAny(tok.of(text), "=|") {
		return d.bareValues(fields, arg, tok)
	}
	rest, more := pieces(text, tok), true
	n := 1 + strings.Count(rest.of(text), "|")
	r := pairReader{hash: arg.Hash, nameSet: nameSet{fields: d.take(min(n, max(manyParts, rest.len()/16))), expect: n}}
	for more {
		var piece span
		piece, rest, more = next(text, rest, pieceSep)
		d.pair(&r, piece)
	}
	d.endPair(&r)
	d.joined = false
	return append(fields, Field{arg.Name, Value{Kind: KindRecord, at: d.src.at(tok), Parts: r.fields}})
}

// A pairReader gathers name=value pairs; a value lasts until the next name.
type pairReader struct {
	nameSet
	hash  Hash
	name  span // as written
	value span
	open  bool // name and value hold a pair
}

// pair takes the next piece.
func (d *decoder) pair(r *pairReader, s span) {
	text := d.src.text
	name, value, ok := next(text, s, assignSep)
	if !ok && r.open {
		d.enter(trim(text, r.name).of(text))
		d.add(BadKey, "a piece without = belongs to it", s.start)
		d.leave()
		r.value.end = s.end
		return
	}
	d.endPair(r)
	r.name, r.value, r.open = name, value, true
	if !ok {
		d.enter(trim(text, name).of(text))
		d.add(BadKey, "no = after the name", s.start)
		d.leave()
	}
}

// endPair ends the pair that is open.
func (d *decoder) endPair(r *pairReader) {
	if !r.open {
		return
	}
	text := d.src.text
	s := trim(text, r.name)
	name := s.of(text)
	d.enter(name)
	if s != r.name {
		d.add(Whitespace, "blanks around the name", r.name.start)
	}
	v, again := r.put(name)
	d.value(v, r.value)
	if d.hashed && r.hash != HashNone {
		d.unhash(hashOf(name), v, r.value.start)
	}
	if d.joined && strings.IndexByte(span{r.name.start, r.value.end}.of(text), tokenSep) >= 0 {
		d.add(UnescapedHash, "a # inside it shifted the tokens", r.name.start)
	}
	if again {
		d.add(BadKey, "the name comes again", r.name.start)
	}
	d.leave()
}

// hashOf says how a '#' may stand in a call variable: two of them are numbers.
func hashOf(name string) Hash {
	if equalFold(name, "ani") || equalFold(name, "associatedDialogId") {
		return HashNumber
	}
	return HashText
}

// bareValues reads call variables without names (inventory A-54).
func (d *decoder) bareValues(fields []Field, arg *Arg, tok span) []Field {
	text := d.src.text
	v := Value{Kind: KindList, at: d.src.at(tok), Parts: make([]Field, 0, 1+strings.Count(tok.of(text), ","))}
	rest, more := tok, true
	if arg.First != nil {
		var first span
		first, rest, more = next(text, rest, argSep)
		d.leave() // the first is a field of its own
		d.enter(arg.First.Name)
		fields = append(fields, Field{Name: arg.First.Name})
		d.bareValue(&fields[len(fields)-1].Value, arg.First, first)
		d.leave()
		d.enter(arg.Name)
		v.at = d.src.at(rest)
	}
	for more {
		var piece span
		piece, rest, more = next(text, rest, argSep)
		d.enterIndex(len(v.Parts))
		var e *Value
		v.Parts, e = grow(v.Parts, "")
		d.bareValue(e, &bareArg, piece)
		d.leave()
	}
	d.joined = false
	return append(fields, Field{arg.Name, v})
}

// bareArg is a call variable without a name, in an event.
var bareArg = Arg{Hash: HashText}

func (d *decoder) bareValue(v *Value, arg *Arg, s span) {
	if d.joined && strings.IndexByte(s.of(d.src.text), tokenSep) >= 0 {
		d.add(UnescapedHash, "a # inside it shifted the tokens", s.start)
	}
	d.scalar(v, arg, s)
}
