package decode

// The text protocol: commands (names.md 1.2) and events (1.3).

// textCommand reads a command from its JMSType and body.
func (d *decoder) textCommand(jmsType string, body source, large bool) {
	m := &d.m
	m.Protocol, m.Kind, m.inType = GCText, KindCommand, true
	d.src = source{text: jmsType, flags: valueInType}
	head, known, id := d.readType(false)
	if !known && !id {
		m.Protocol, m.Kind = Unknown, Unknown
		return
	}
	if large {
		return
	}
	d.arguments(head, body)
}

// readType reads the word and the id of a JMSType, which is the text being
// read. It reports whether the word is in the table and whether there was a
// '#'. The field that Hello and Beat have in place of an agent is returned.
func (d *decoder) readType(rest bool) (head []Field, known, id bool) {
	m := &d.m
	text := d.src.text
	all, after, id := next(text, d.src.whole(), tokenSep)
	word := trim(text, all)
	m.Name, m.nameAt = word.of(text), d.src.at(word)
	entry, known := commandWords.find(m.Name)
	if word != all && (known || id || rest) {
		d.note(Whitespace, "name", "blanks around the word", all.start)
	}
	if !known {
		d.note(UnknownName, "name", "not a command of the protocol", word.start)
	} else {
		m.spec, m.Name = entry.spec, entry.spec.Name
		if entry.alias {
			d.note(Alias, "name", "another spelling of the word", word.start)
		}
	}
	if known || id || rest {
		head = d.readID(after, id)
	}
	return head, known, id
}

// readID reads what stands after '#' in the JMSType.
func (d *decoder) readID(after span, found bool) []Field {
	m := &d.m
	var arg *Arg
	name := "agent"
	if m.spec != nil && m.spec.Head != nil {
		arg = m.spec.Head
		name = arg.Name
	}
	id := trim(d.src.text, after)
	if id != after {
		d.note(Whitespace, name, "blanks around the id", after.start)
	}
	if !found || id.len() == 0 {
		d.note(MissingField, name, "no id after #", id.end)
		return nil
	}
	if arg != nil {
		head := []Field{{Name: arg.Name}}
		d.value(&head[0].Value, id)
		return head
	}
	m.Agent, m.agentAt = id.of(d.src.text), d.src.at(id)
	return nil
}

// arguments reads the body of a command whose JMSType has been read.
func (d *decoder) arguments(head []Field, body source) {
	m := &d.m
	d.src = body
	var room [16]span
	toks := room[:0]
	if whole := body.whole(); whole.len() > 0 {
		toks = cutArguments(toks, body.text, whole, m.spec)
	}
	if m.spec == nil {
		m.Fields = d.surplus(head, "args", toks)
		return
	}
	m.form = &m.spec.Forms[0]
	d.fields(head, m.form, toks)
}

func cutArguments(dst []span, text string, body span, spec *Spec) []span {
	if spec == nil || spec.Cut == CutAll {
		return cutTokens(dst, text, body, argSep)
	}
	if spec.Cut == CutFirst {
		first, rest, more := next(text, body, argSep)
		if dst = append(dst, first); more {
			dst = append(dst, rest)
		}
		return dst
	}
	for i := body.end - 1; i >= body.start; i-- {
		if text[i] == argSep {
			return append(dst, span{body.start, i}, span{i + 1, body.end})
		}
	}
	return append(dst, body)
}

// surplus appends the field args, or nothing when there are no arguments.
func (d *decoder) surplus(head []Field, name string, toks []span) []Field {
	if len(toks) == 0 {
		return head
	}
	list := Value{Kind: KindList, Parts: make([]Field, len(toks)), at: d.src.at(span{toks[0].start, toks[len(toks)-1].end})}
	for i, t := range toks {
		d.value(&list.Parts[i].Value, t)
	}
	return append(head, Field{Name: name, Value: list})
}

// fields reads arguments by a form into the message.
func (d *decoder) fields(head []Field, form *Form, toks []span) {
	m := &d.m
	if form.Opaque {
		m.Fields = d.surplus(head, "args", toks)
		return
	}
	fields := head
	if n := min(len(form.Args), len(toks)) + len(head); n > cap(head) {
		fields = append(make([]Field, 0, n), head...)
	}
	used := 0
	for i := range form.Args {
		arg := &form.Args[i]
		if arg.Shape == Records {
			fields = append(fields, d.recordList(arg, toks[min(i, len(toks)):]))
			used = len(toks)
			break
		}
		if i >= len(toks) {
			d.absent(form, arg, len(toks))
			continue
		}
		used = i + 1
		if arg.Shape == Rest {
			toks[i].end = int32(len(d.src.text))
			used = len(toks)
		}
		fields = d.argument(fields, arg, toks[i])
	}
	if used < len(toks) {
		d.note(ExtraField, "extra", "more arguments than the message has", toks[used].start)
		fields = d.surplus(fields, "extra", toks[used:])
	}
	m.Fields = fields
}

// absent gives the finding for an argument that the body does not have.
func (d *decoder) absent(form *Form, arg *Arg, n int) {
	if arg.Name == "" || arg.Optional && (form.AllOr == 0 || n == 0) {
		return
	}
	d.note(MissingField, arg.Name, "the message ends before it", int32(len(d.src.text)))
}

// textEvent reads an event from its body.
func (d *decoder) textEvent(body source, large bool) {
	m := &d.m
	m.Protocol, m.Kind = GCText, KindEvent
	d.src = body
	var room [32]span
	toks := room[:0]
	if large {
		toks = headTokens(toks, body.text)
	} else {
		toks = cutTokens(toks, body.text, body.whole(), tokenSep)
	}
	name, found := d.findName(toks)
	if !found {
		d.unknown(large)
		return
	}
	quiet := d.notes
	d.readName(toks, name)
	if large {
		d.notes = quiet
		return
	}
	d.eventFields(toks, name)
}

// headTokens cuts off as many tokens as the name can need.
func headTokens(dst []span, text string) []span {
	rest, more := span{0, int32(len(text))}, true
	for len(dst) < 4 && more {
		var tok span
		tok, rest, more = next(text, rest, tokenSep)
		dst = append(dst, tok)
	}
	return dst
}

// findName finds which token is the name: 0 headless, 1, or 2 for DialogState
// with controls (names.md 1.3).
func (d *decoder) findName(toks []span) (at int, found bool) {
	text := d.src.text
	if first := trim(text, toks[0]).of(text); first != "" && letter(first[0]) { // ids mostly begin with a digit
		if e, ok := eventWords.find(first); ok && e.spec.Headless {
			return 0, true
		}
	}
	if len(toks) < 2 {
		return 0, false
	}
	if len(toks) > 2 && equalFold(trim(text, toks[2]).of(text), "DialogState") {
		first := trim(text, toks[1]).of(text)
		if !equalFold(first, "DialogState") && !equalFold(first, "DialogStatus") {
			return 2, true
		}
	}
	return 1, true
}

// readName reads the head and the name.
func (d *decoder) readName(toks []span, at int) {
	m := &d.m
	text := d.src.text
	if at > 0 {
		id := trim(text, toks[0])
		if id != toks[0] {
			d.note(Whitespace, "agent", "blanks around the id", toks[0].start)
		}
		if id.len() == 0 {
			d.note(MissingField, "agent", "no id in front", id.end)
		} else {
			m.Agent, m.agentAt = id.of(text), d.src.at(id)
		}
	}
	word := trim(text, toks[at])
	if word != toks[at] {
		d.note(Whitespace, "name", "blanks around the word", toks[at].start)
	}
	m.Name, m.nameAt = word.of(text), d.src.at(word)
	entry, ok := eventWords.find(m.Name)
	if !ok {
		d.note(UnknownName, "name", "not an event of the protocol", word.start)
		return
	}
	if m.Name != entry.spec.Word {
		d.note(Alias, "name", "the word in another case", word.start)
	}
	m.spec, m.Name = entry.spec, entry.spec.Name
}

// eventFields reads the arguments of an event whose name stands at token at.
func (d *decoder) eventFields(toks []span, at int) {
	m := &d.m
	given := toks[at+1:]
	if m.spec == nil {
		m.Fields = d.surplus(nil, "args", given)
		return
	}
	d.hashed = d.hash.restore != ""
	if m.spec.Realign != nil {
		given = d.realign(m.spec.Realign, given)
	}
	m.form = d.choose(m.spec, given, at)
	m.Variant = m.form.Variant
	var head []Field
	if at == 2 && m.form.Lead != nil {
		head = d.argument(make([]Field, 0, len(m.form.Args)+1), m.form.Lead, toks[1])
	}
	d.fields(head, m.form, given)
}

// choose picks the form of an event.
func (d *decoder) choose(s *Spec, toks []span, at int) *Form {
	for i := range s.Choice {
		if c := &s.Choice[i]; d.holds(c, toks, at) {
			return c.form
		}
	}
	return &s.Forms[0]
}

func (d *decoder) holds(c *Choice, toks []span, at int) bool {
	if len(toks) < c.Min || c.Max > 0 && len(toks) > c.Max || c.Headless && at != 0 || c.Controls && at != 2 {
		return false
	}
	text := d.src.text
	if c.Arg > 0 {
		if len(toks) < c.Arg {
			return false
		}
		tok := toks[c.Arg-1]
		if c.Key != "" {
			return hasKey(text, tok, c.Key)
		}
		return equalFold(trim(text, tok).of(text), c.Word)
	}
	if c.Empty {
		for _, t := range toks {
			if !allBlank(t.of(text)) {
				return false
			}
		}
	}
	if c.RecKey != "" {
		return d.firstRecordHas(c.RecKey, toks)
	}
	return true
}

// firstRecordHas reports whether the first record of a record list has the key.
func (d *decoder) firstRecordHas(key string, toks []span) bool {
	text := d.src.text
	for i, t := range toks {
		if allBlank(t.of(text)) {
			continue
		}
		if key == noRecord {
			return false
		}
		t, _ = joinRecord(text, t, toks[i+1:], d.m.spec.Forms[0].Args[0].Parts[0].Key)
		for more := true; more; {
			var part span
			part, t, more = next(text, t, argSep)
			if hasKey(text, part, key) || key == groupKey && barGroup(text, part) >= 0 {
				return true
			}
		}
		return false
	}
	return key == noRecord
}

// realign joins the arguments that an unescaped '#' inside call variables cut
// apart (names.md 1.8).
func (d *decoder) realign(r *Realign, toks []span) []span {
	if len(toks) <= r.Over {
		return toks
	}
	for k := len(toks); k > r.Home; k-- {
		if !hasKey(d.src.text, toks[k-1], r.Key) {
			continue
		}
		last := k - (r.Home - r.Var)
		toks[r.Var-1].end = toks[last-1].end
		d.joined = true
		return append(toks[:r.Var], toks[last:]...)
	}
	return toks
}
