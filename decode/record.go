package decode

import "strings"

// Records: Key:value separated by ',' (names.md 1.6), and the two events with
// rules of their own, QueueList of UCCX and AgentsList.

// recordList reads the tokens of a record list: one record each.
func (d *decoder) recordList(arg *Arg, toks []span) Field {
	text := d.src.text
	list := Value{Kind: KindList}
	if len(toks) > 0 {
		all := span{toks[0].start, toks[len(toks)-1].end}
		list.at = d.src.at(all)
		d.reserve(min(strings.Count(all.of(text), ",")+2*len(toks), manyParts))
		list.Parts = make([]Field, 0, min(len(toks), manyParts))
	} else {
		list.at = d.src.at(span{int32(len(text)), int32(len(text))})
	}
	d.enter(arg.Name)
	for len(toks) > 0 {
		tok := toks[0]
		toks = toks[1:]
		if allBlank(tok.of(text)) {
			continue
		}
		joined, used := joinRecord(text, tok, toks, arg.Parts[0].Key)
		toks = toks[used:]
		d.joined = joined != tok
		d.enterIndex(len(list.Parts))
		list.Parts = append(list.Parts, Field{Value: d.record(arg.Parts, joined)})
		d.leave()
	}
	d.leave()
	d.joined = false
	return Field{arg.Name, list}
}

// joinRecord extends a record by the tokens after it that do not begin with
// its first key: a '#' inside the record cut them off. It says how many tokens
// it took.
func joinRecord(text string, record span, toks []span, key string) (joined span, used int) {
	for i, t := range toks {
		if hasKey(text, t, key) {
			break
		}
		if !allBlank(t.of(text)) {
			record.end = t.end
			used = i + 1
		}
	}
	return record, used
}

// A recordReader gathers the fields of one record; a value lasts until the
// next key.
type recordReader struct {
	parts   []Arg
	fields  []Field
	extra   []span
	seen    uint64 // which parts
	next    int    // which part is likely to come
	current *Arg
	value   span
	sep     byte
	open    bool // the last part of extra was a key with a value
}

func (d *decoder) record(parts []Arg, tok span) Value {
	text := d.src.text
	r := recordReader{parts: parts, sep: keySep}
	r.fields = d.take(min(len(parts)+1, 1+strings.Count(tok.of(text), ",")))
	if parts[len(parts)-1].Shape == Group {
		d.grouped(&r, tok)
	} else {
		rest, more := tok, true
		for more {
			var part span
			part, rest, more = next(text, rest, argSep)
			d.recordPart(&r, part)
		}
	}
	return d.endRecord(&r, tok)
}

// recordPart takes the next part of a record.
func (d *decoder) recordPart(r *recordReader, s span) {
	text := d.src.text
	if i, value, blanks, ok := r.key(text, s); ok {
		d.beginField(r, i, value)
		if blanks {
			d.about(r.parts[i].Name, Whitespace, "blanks around the key", s.start)
		}
		return
	}
	if strayKey(text, s, r.sep) {
		d.endField(r)
		d.stray(r, s)
		r.open = true
		return
	}
	switch {
	case r.current != nil:
		r.value.end = s.end
	case r.open:
		r.extra[len(r.extra)-1].end = s.end
	default:
		d.stray(r, s)
	}
}

// about gives a finding about a field of the record being read.
func (d *decoder) about(name, code, text string, at int32) {
	d.enter(name)
	d.add(code, text, at)
	d.leave()
}

// key finds which of the record's keys a part begins with.
func (r *recordReader) key(text string, s span) (part int, value span, blanks, ok bool) {
	all := text
	text = s.of(all)
	if r.next < len(r.parts) { // the usual order
		k := r.parts[r.next].Key
		if len(text) > len(k) && text[len(k)] == r.sep && text[:len(k)] == k {
			return r.next, span{s.start + int32(len(k)) + 1, s.end}, false, true
		}
	}
	i := strings.IndexByte(text, r.sep)
	if i < 0 {
		return 0, span{}, false, false
	}
	name := trimText(text[:i])
	for j := range r.parts {
		if r.parts[j].Shape != Group && equalFold(name, r.parts[j].Key) {
			return j, span{s.start + int32(i) + 1, s.end}, len(name) != i, true
		}
	}
	return 0, span{}, false, false
}

// strayKey reports whether a part looks like Key:value with a key that the
// record does not have: an ASCII letter, then letters and digits up to the ':'.
func strayKey(text string, s span, sep byte) bool {
	for i := s.start; i < s.end; i++ {
		switch c := text[i]; {
		case letter(c):
		case i > s.start && digit(c):
		default:
			return i > s.start && c == sep
		}
	}
	return false
}

func (d *decoder) beginField(r *recordReader, part int, value span) {
	d.endField(r)
	r.current, r.value, r.next, r.open = &r.parts[part], value, part+1, false
	if r.seen&(1<<part) != 0 {
		d.about(r.current.Name, BadKey, "the key comes again", value.start)
	}
	r.seen |= 1 << part
}

// endField ends the value that is open.
func (d *decoder) endField(r *recordReader) {
	if r.current == nil {
		return
	}
	d.enter(r.current.Name)
	v := r.put(r.current.Name)
	d.recordValue(v, r.current, r.value)
	d.leave()
	r.current = nil
}

// put returns the value of a field, which is to be filled in; a key that comes
// again replaces the earlier value.
func (r *recordReader) put(name string) (v *Value) {
	for i := range r.fields {
		if r.fields[i].Name == name {
			r.fields[i].Value = Value{}
			return &r.fields[i].Value
		}
	}
	r.fields, v = grow(r.fields, name)
	return v
}

// stray puts a part that belongs to no field into extra.
func (d *decoder) stray(r *recordReader, s span) {
	if r.extra == nil {
		d.about("extra", ExtraField, "a part that the record does not have", s.start)
	}
	r.extra = append(r.extra, s)
}

// endRecord ends the record, whose bytes are tok.
func (d *decoder) endRecord(r *recordReader, tok span) Value {
	d.endField(r)
	if r.seen != 1<<len(r.parts)-1 {
		for i := range r.parts {
			if r.seen&(1<<i) == 0 {
				d.about(r.parts[i].Name, MissingField, "the record does not have it", tok.end)
			}
		}
	}
	if r.extra != nil {
		r.fields = d.surplus(r.fields, "extra", r.extra)
		if d.joined {
			d.unhashExtra(r)
		}
	}
	return Value{Kind: KindRecord, Parts: r.fields, at: d.src.at(tok)}
}

// unhashExtra notes a '#' that shifted the tokens in parts of extra.
func (d *decoder) unhashExtra(r *recordReader) {
	parts := r.fields[len(r.fields)-1].Value.Parts
	for i := range parts {
		if v := &parts[i].Value; strings.IndexByte(v.Text, tokenSep) >= 0 {
			v.Text = closeHashes(v.Text)
			d.about("extra", UnescapedHash, "a # inside it shifted the tokens", r.extra[i].start)
		}
	}
}

// recordValue reads a value of a record, which may hold a '#' that shifted the
// tokens.
func (d *decoder) recordValue(v *Value, arg *Arg, s span) {
	cut := d.joined && strings.IndexByte(s.of(d.src.text), tokenSep) >= 0
	d.closing = cut
	d.scalar(v, arg, s)
	if d.closing = false; cut {
		d.add(UnescapedHash, "a # inside it shifted the tokens", s.start)
	}
}

// closeHashes drops the empty tokens between two '#': such tokens are skipped
// in record lists.
func closeHashes(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, tokenSep)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i+1])
		s = s[i+1:]
		for {
			j := strings.IndexByte(s, tokenSep)
			if j < 0 || !allBlank(s[:j]) {
				break
			}
			s = s[j+1:]
		}
	}
}

// groupKey begins a group of a QueueList record of UCCX: Type:SnapShot: or
// Type:SinceMidNight:, with or without < > around the word (inventory A-34).
const groupKey = "Type"

// grouped reads a record with groups: each begins after a ',' or '|'.
func (d *decoder) grouped(outer *recordReader, tok span) {
	text := d.src.text
	var inner recordReader
	var within span
	open := -1
	rest, more := tok, true
	for more {
		var part span
		part, rest, more = next(text, rest, argSep)
		for part.start <= part.end {
			bar := barGroup(text, part)
			head := part
			if bar >= 0 {
				head.end = bar
			}
			if g, value, ok := d.group(outer, head); ok {
				d.endGroup(outer, &inner, open, span{within.start, max(tok.start, head.start-1)})
				open, within = g, value
				d.beginGroup(outer, &inner, g, head, value)
			} else if open >= 0 {
				d.enter(outer.parts[open].Name)
				d.recordPart(&inner, head)
				d.leave()
			} else {
				d.recordPart(outer, head)
			}
			if bar < 0 {
				break
			}
			part.start = bar + 1
		}
	}
	d.endGroup(outer, &inner, open, span{within.start, tok.end})
}

// beginGroup opens group g of a record; value begins with its first key.
func (d *decoder) beginGroup(outer, inner *recordReader, g int, head, value span) {
	d.endField(outer)
	part := &outer.parts[g]
	if outer.seen&(1<<g) != 0 {
		d.about(part.Name, BadKey, "the group comes again", head.start)
	}
	outer.seen |= 1 << g
	fields, again := direct(outer.fields, part.Name)
	if again {
		clear(fields.Parts) // the group comes again: its room is free
	} else {
		fields.Parts = d.take(len(part.Parts) + 1)
	}
	*inner = recordReader{parts: part.Parts, sep: keySep, fields: fields.Parts[:0]}
	d.enter(part.Name)
	d.recordPart(inner, value)
	d.leave()
}

// endGroup closes group g of a record, which is none when negative.
func (d *decoder) endGroup(outer, inner *recordReader, g int, within span) {
	if g < 0 {
		return
	}
	d.enter(outer.parts[g].Name)
	v := d.endRecord(inner, within)
	d.leave()
	*outer.put(outer.parts[g].Name) = v
}

// group reads the beginning of a group; value is what follows it.
func (d *decoder) group(outer *recordReader, s span) (part int, value span, ok bool) {
	text := d.src.text
	i, value, blanks := groupStart(text, s, outer.parts)
	if i < 0 {
		return 0, s, false
	}
	if blanks {
		d.about(outer.parts[i].Name, Whitespace, "blanks around the word before it", s.start)
	}
	return i, value, true
}

// groupStart finds which group a part begins, -1 for none; value is what
// follows its second colon. It looks no further than it must.
func groupStart(text string, s span, parts []Arg) (part int, value span, blanks bool) {
	at := skipBlanks(text, s.start, s.end)
	blanks = at != s.start
	if s.end-at < int32(len(groupKey)) || !equalFold(text[at:at+int32(len(groupKey))], groupKey) {
		return -1, s, false
	}
	at += int32(len(groupKey))
	colon := skipBlanks(text, at, s.end)
	if colon == s.end || text[colon] != keySep {
		return -1, s, false
	}
	word := skipBlanks(text, colon+1, s.end)
	blanks = blanks || colon != at || word != colon+1
	for i := range parts {
		if parts[i].Shape != Group {
			continue
		}
		if end := groupWord(text, span{word, s.end}, parts[i].Key); end > 0 {
			after := skipBlanks(text, end, s.end)
			if after < s.end && text[after] == keySep {
				return i, span{after + 1, s.end}, blanks || after != end
			}
		}
	}
	return -1, s, false
}

// groupWord returns where a group's word ends, < and > around it or not; 0 when
// another word stands there.
func groupWord(text string, s span, word string) int32 {
	n := int32(len(word))
	bracket := s.start < s.end && text[s.start] == '<'
	if bracket {
		s.start++
	}
	if s.end-s.start < n || !equalFold(text[s.start:s.start+n], word) {
		return 0
	}
	end := s.start + n
	if !bracket {
		return end
	}
	if end == s.end || text[end] != '>' {
		return 0
	}
	return end + 1
}

func skipBlanks(text string, at, end int32) int32 {
	for at < end && blank(text[at]) {
		at++
	}
	return at
}

// barGroup finds the first '|' in a part that begins a group, -1 for none.
func barGroup(text string, s span) int32 {
	for at := s.start; ; {
		i := strings.IndexByte(text[at:s.end], pieceSep)
		if i < 0 {
			return -1
		}
		at += int32(i) + 1
		if g, _, _ := groupStart(text, span{at, s.end}, queueUCCXSupervisor); g >= 0 {
			return at - 1
		}
	}
}

// users reads AgentsList: records separated by '|', in which a key is also set
// off by a blank (inventory A-30).
func (d *decoder) users(arg *Arg, tok span) Value {
	text := d.src.text
	list := Value{Kind: KindList, at: d.src.at(tok)}
	rest, more := tok, true
	for more {
		var piece span
		piece, rest, more = next(text, rest, pieceSep)
		if allBlank(piece.of(text)) {
			continue
		}
		d.enterIndex(len(list.Parts))
		list.Parts = append(list.Parts, Field{Value: d.user(arg.Parts, piece)})
		d.leave()
	}
	return list
}

func (d *decoder) user(parts []Arg, tok span) Value {
	text := d.src.text
	r := recordReader{parts: parts, sep: assignSep, fields: d.take(len(parts) + 1)}
	rest, more, first := tok, true, true
	for more {
		var part span
		part, rest, more = next(text, rest, argSep)
		if !first && part.len() > 1 && blank(text[part.start]) && keyAt(text, span{part.start + 1, part.end}, parts) {
			part.start++
		}
		first = false
		from := part.start
		for from < part.end && blank(text[from]) {
			from++
		}
		for i := from; i < part.end; i++ {
			if blank(text[i]) && keyAt(text, span{i + 1, part.end}, parts) {
				d.recordPart(&r, span{part.start, i})
				part.start = i + 1
			}
		}
		d.recordPart(&r, part)
	}
	return d.endRecord(&r, tok)
}

// keyAt reports whether one of the keys stands at the beginning of s, and a
// '=' after it, blanks aside.
func keyAt(text string, s span, parts []Arg) bool {
	for i := range parts {
		k := parts[i].Key
		if s.len() <= len(k) || !equalFold(text[s.start:s.start+int32(len(k))], k) {
			continue
		}
		for at := s.start + int32(len(k)); at < s.end; at++ {
			if !blank(text[at]) {
				if text[at] == assignSep {
					return true
				}
				break
			}
		}
	}
	return false
}
