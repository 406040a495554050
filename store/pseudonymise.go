package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A PseudonymReport says what a pseudonymised copy hides.
type PseudonymReport struct {
	Key     string           `json:"key"` // fingerprint
	Records int64            `json:"records"`
	Changed int64            `json:"changed"` // records in which anything was replaced
	Fields  map[string]int64 `json:"fields"`  // how often a value was replaced, by field or column
	Hidden  []HiddenRecord   `json:"hidden"`  // bodies that were masked whole; at most 1000 are listed
	Masked  int64            `json:"masked"`  // how many those are
}

// A HiddenRecord is one whose body could not be replaced so that it reads the
// same, and was masked whole instead.
type HiddenRecord struct {
	Seq int64  `json:"seq"`
	Why string `json:"why"`
}

// Pseudonymised copies a session into another store with every name, number,
// host and free text replaced. The copy is a chain of its own that names the
// source's head. Its filter is not told, because it may name people.
func (s *Store) Pseudonymised(ctx context.Context, session int64, dst *Store, filter *Filter, p *Pseudonymiser) (Copied, *PseudonymReport, error) {
	one, err := s.Session(ctx, session)
	if err != nil {
		return Copied{}, nil, err
	}
	d, err := s.sourceOf(ctx, one, "pseudonymise")
	if err != nil {
		return Copied{}, nil, err
	}
	d.By = p.Fingerprint()
	for up := d.Of; up != nil; up = up.Of {
		up.Filter = hiddenFilter(up.Filter)
	}
	rows := s.Rows(ctx, session, 1)
	if filter != nil {
		d.Filter = hiddenFilter(filter.String())
		wanted, err := CompileFilter("(" + filter.String() + `) || direction == "gap"`)
		if err != nil {
			return Copied{}, nil, err
		}
		rows = s.Filtered(ctx, session, wanted, 1)
	}
	hidden := one
	hidden.SessionInfo = p.info(one.SessionInfo)
	w, err := dst.derive(ctx, hidden, d)
	if err != nil {
		return Copied{}, nil, err
	}
	report := &PseudonymReport{Key: d.By, Fields: map[string]int64{}, Hidden: []HiddenRecord{}}
	n, err := w.copyRows(ctx, p.rows(rows, report))
	if err == nil {
		err = p.copyLedger(ctx, s, one.ID, w)
	}
	if err == nil {
		reason := one.EndReason
		if one.EndedAt == nil {
			reason = EndCrash
		}
		err = w.End(ctx, p.words.reason(reason))
	}
	c, err := w.copied(ctx, n, err)
	return c, report, err
}

// hiddenFilter says that there was a filter, which may name people.
func hiddenFilter(filter string) string {
	if filter == "" {
		return ""
	}
	return "(a slice)"
}

// ExportPseudonymised is Pseudonymised into a new file.
func (s *Store) ExportPseudonymised(ctx context.Context, session int64, path string, filter *Filter, p *Pseudonymiser) (c Copied, report *PseudonymReport, err error) {
	c, err = s.exportTo(ctx, session, path, func(dst *Store) (Copied, error) {
		copied, r, err := s.Pseudonymised(ctx, session, dst, filter, p)
		report = r
		return copied, err
	})
	return c, report, err
}

// reason keeps the reasons that are the program's own words; others may quote
// an address.
func (v *vocabulary) reason(reason string) string {
	if slices.Contains([]string{"stopped", "duration", EndCrash, "imported", ""}, reason) {
		return reason
	}
	return "failed"
}

func (p *Pseudonymiser) info(info SessionInfo) SessionInfo {
	info.Name, info.Note = "pseudonymised", ""
	for _, t := range []*string{&info.Broker, &info.Identity, &info.Host} {
		*t = p.Text(*t)
	}
	for _, list := range []*[]string{&info.Addresses, &info.Queues, &info.Topics} {
		*list = slices.Clone(*list)
		for i := range *list {
			(*list)[i] = p.Text((*list)[i])
		}
	}
	return info
}

func (p *Pseudonymiser) copyLedger(ctx context.Context, s *Store, session int64, w *Writer) error {
	ledger, err := s.Ledger(ctx, session)
	if err != nil {
		return err
	}
	for i := range ledger {
		ledger[i].Destination = p.Text(ledger[i].Destination)
	}
	return w.Write(ctx, capture.Batch{Ledger: ledger})
}

func (p *Pseudonymiser) rows(rows iter.Seq2[Row, error], report *PseudonymReport) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			if err == nil {
				p.Record(&row.Record, report)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Record replaces everything in a record. A body that would not read as before
// is masked whole.
func (p *Pseudonymiser) Record(rec *capture.Record, report *PseudonymReport) {
	report.Records++
	changed := false
	set := func(name string, text *string, to string) {
		if *text != to {
			*text = to
			report.Fields[name]++
			changed = true
		}
	}
	for _, t := range []struct {
		name string
		text *string
	}{{"connection", &rec.Conn}, {"from", &rec.From}, {"destination", &rec.To}, {"originalTo", &rec.OriginalTo}, {"replyTo", &rec.ReplyTo},
		{"messageId", &rec.MessageID}, {"correlationId", &rec.CorrelationID}} {
		set(t.name, t.text, p.Text(*t.text))
	}
	rec.Headers = slices.Clone(rec.Headers)
	for i := range rec.Headers {
		h := &rec.Headers[i]
		if !slices.Contains(plainHeaders, strings.ToLower(h.Name)) {
			set("header:"+h.Name, &h.Value, p.Text(h.Value))
		}
	}
	body := string(rec.Body)
	switch rec.Direction {
	case capture.GapRow:
	case capture.Note:
		set("note", &body, p.noteBody(rec))
		rec.Body = []byte(body)
	default:
		changed = p.message(rec, report) || changed
	}
	if changed {
		report.Changed++
	}
}

// plainHeaders hold nothing but figures of the broker, and words of ours.
var plainHeaders = []string{
	"priority", "expires", "persistent", "redelivered", "timestamp", "content-type", "content-length", "transformation",
	"amq.note", "amq.ack", "amq.ack-mode", "amq.count", "amq.redelivered", "http.method", "http.status", "http.content-type", "ws.opcode",
	"tcp.protocol", "tcp.offset", "tcp.missing", "tcp.unread", "tcp.why",
}

// noteBody is what stands for the body of a note: of one that a replay made its
// values; of one that tells of the wire in words, which hold what its headers
// do, its kind.
func (p *Pseudonymiser) noteBody(rec *capture.Record) string {
	body := string(rec.Body)
	if json.Valid(rec.Body) {
		return p.jsonText(body, true)
	}
	if kind := rec.Header("amq.note"); kind != "" && rec.Source != "rest" {
		return kind
	}
	return p.Text(body)
}

// message replaces JMSType and body, and reports whether anything was changed.
func (p *Pseudonymiser) message(rec *capture.Record, report *PseudonymReport) bool {
	before := flow.Decode(rec, decode.Options{})
	old := *rec
	if rec.JMSType != nil {
		text := p.replace(*rec.JMSType, lettersOf(*rec.JMSType, false), nil)
		rec.JMSType = &text
	}
	if rec.Body != nil {
		rec.Body = []byte(p.body(&before, string(rec.Body)))
	}
	after := flow.Decode(rec, decode.Options{})
	if why := differs(&before, &after); why != "" {
		rec.Body = []byte("***")
		rec.Masked = []capture.Mask{{Start: 0, End: 3}}
		report.Masked++
		if len(report.Hidden) < 1000 {
			report.Hidden = append(report.Hidden, HiddenRecord{rec.Seq, why})
		}
		return true
	}
	p.count(&before, &after, report)
	return old.Type() != rec.Type() || !bytes.Equal(old.Body, rec.Body)
}

// differs says in what two messages read otherwise.
func differs(a, b *decode.Message) string {
	switch {
	case a.Protocol != b.Protocol || a.Kind != b.Kind || a.Variant != b.Variant:
		return "it would be read as another kind of message"
	case a.Name != b.Name && a.Spec() != nil:
		return "it would have another name"
	case len(a.Findings) != len(b.Findings):
		return "it would have other findings"
	}
	for i := range a.Findings {
		if a.Findings[i].Code != b.Findings[i].Code {
			return "it would have other findings"
		}
	}
	return ""
}

func (p *Pseudonymiser) count(a, b *decode.Message, report *PseudonymReport) {
	for i := range a.Fields {
		if i < len(b.Fields) && !a.Fields[i].Value.Equal(b.Fields[i].Value) {
			report.Fields[a.Fields[i].Name]++
		}
	}
	if a.Agent != b.Agent {
		report.Fields["agent"]++
	}
}

// body replaces what is not of the protocol in a body.
func (p *Pseudonymiser) body(m *decode.Message, body string) string {
	if trimmed := strings.TrimLeft(body, " \t\r\n"); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		if json.Valid([]byte(body)) {
			return p.jsonText(body, false)
		}
	}
	kept := keptPlaces(p.words, m, body)
	names := fieldWords(m)
	return p.replace(body, lettersOf(body, false), func(start, end int, word string) bool {
		i, inside := slices.BinarySearchFunc(kept, start, func(k keptPlace, at int) int {
			switch {
			case k.end <= at:
				return -1
			case k.start > at:
				return 1
			}
			return 0
		})
		if inside {
			return kept[i].keep && end <= kept[i].end
		}
		return names[word] // outside of all values: names of call variables
	})
}

// A keptPlace is a value's place in a body, and whether it stays as it is.
type keptPlace struct {
	start, end int
	keep       bool
}

// keptPlaces returns the places of a text message's values, in order. What lies
// in none of them is structure: words of the protocol, or unknown.
func keptPlaces(words *vocabulary, m *decode.Message, body string) []keptPlace {
	var list []keptPlace
	var walk func(path string, v *decode.Value)
	walk = func(path string, v *decode.Value) {
		for i := range v.Parts {
			below := path
			if name := v.Parts[i].Name; name != "" {
				below += "." + name
			}
			walk(below, &v.Parts[i].Value)
		}
		start, end, inType, ok := v.Span()
		if len(v.Parts) > 0 || !ok || inType || start >= end || end > len(body) {
			return
		}
		list = append(list, keptPlace{start, end, stays(words, m, path, body[start:end])})
	}
	for i := range m.Fields {
		walk(m.Fields[i].Name, &m.Fields[i].Value)
	}
	slices.SortFunc(list, func(a, b keptPlace) int { return a.start - b.start })
	return list
}

// stays reports whether a value is nobody's data: it is of a closed list, or by
// its class a figure, a time or a word of the protocol, and looks like one.
func stays(words *vocabulary, m *decode.Message, path, text string) bool {
	text = strings.TrimSpace(text)
	if text == "" || text == "-1" || words.value(text) {
		return true
	}
	spec := m.Spec()
	if spec == nil {
		return false
	}
	arg := spec.Arg(path)
	if arg == nil {
		return false
	}
	switch arg.Class {
	case decode.ClassNum:
		return strings.Trim(text, "-0123456789") == ""
	case decode.ClassTime:
		return strings.Trim(text, "0123456789-:./+TZ ") == ""
	case decode.ClassWord:
		return arg.Values == nil && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
	}
	return false
}

// fieldWords returns the words in the names of call variables and of other
// parts, which are paths and not data. Where the variables were not written as
// name=value, what was read as a name may be anything: then none stays.
func fieldWords(m *decode.Message) map[string]bool {
	words := map[string]bool{}
	if m.Has(decode.BadKey) {
		return words
	}
	var walk func(fields []decode.Field)
	walk = func(fields []decode.Field) {
		for i := range fields {
			for _, w := range strings.FieldsFunc(fields[i].Name, func(r rune) bool { return !isWordRune(r) }) {
				words[w] = true
			}
			walk(fields[i].Value.Parts)
		}
	}
	for i := range m.Fields {
		walk(m.Fields[i].Value.Parts)
	}
	return words
}

// jsonText replaces the strings and numbers of a JSON text and leaves its keys.
// Of a note, keys are names of agents too; its numbers are places in the
// session.
func (p *Pseudonymiser) jsonText(text string, note bool) string {
	var b strings.Builder
	key := ""
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(text))
			inside := text[min(i+1, end):end]
			rest, isKey := strings.CutPrefix(strings.TrimLeft(text[min(end+1, len(text)):], " \t\r\n"), ":")
			switch {
			case isKey && note && p.isTokenOf(inside, rest):
			case isKey && (!note || slices.Contains(noteKeys, inside)):
				key = inside
			case !isKey && (p.words.value(inside) || note && key == "note" || timeKey(key) && strings.Trim(inside, "0123456789-:./+TZ ") == ""):
			default:
				inside = p.replace(inside, lettersOf(inside, true), nil)
			}
			b.WriteByte('"')
			b.WriteString(inside)
			if end < len(text) {
				b.WriteByte('"')
			}
			i = end + 1
		case '0' <= c && c <= '9':
			end := i
			for end < len(text) && strings.IndexByte("0123456789.eE+-", text[end]) >= 0 {
				end++
			}
			b.WriteString(p.jsonNumber(text[:i], text[i:end], note || timeKey(key)))
			i = end
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// isTokenOf reports whether a name in the mapping of a replay is already the
// token of the name it became: what was replayed was a pseudonymised session.
func (p *Pseudonymiser) isTokenOf(token, rest string) bool {
	var name string
	return json.NewDecoder(strings.NewReader(rest)).Decode(&name) == nil && name != token && p.Text(name) == token
}

// noteKeys are the keys of the notes that a replay writes.
var noteKeys = []string{"note", "mapping", "stop", "agents", "exts", "dests", "texts", "conversation", "after", "reason"}

func timeKey(key string) bool {
	key = strings.ToLower(key)
	return strings.HasSuffix(key, "time") || strings.HasSuffix(key, "timestring") || strings.HasSuffix(key, "date") || strings.HasSuffix(key, "since")
}

// jsonNumber replaces an id that is written as a number. Figures of one digit,
// the sentinel -1, fractions and times stay.
func (p *Pseudonymiser) jsonNumber(before, number string, stays bool) string {
	if stays || len(number) < 2 || strings.ContainsAny(number, ".eE+-") {
		return number
	}
	return p.Text(number)
}

// MapLines returns how what a pseudonymised session says is called in truth, as
// words of replay's --map: agent:TOKEN=NAME, ext:…, dest:…, and text:… for whole
// values of any other kind. A value that no such word can hold is left out.
func (s *Store) MapLines(ctx context.Context, session int64, p *Pseudonymiser) ([]string, error) {
	seen := map[string]bool{}
	add := func(kind, token string) {
		name := p.Reveal(token)
		if strings.TrimSpace(token) != token || token == "" || strings.ContainsFunc(token, unnamable) || strings.ContainsFunc(name, unicode.IsControl) {
			return
		}
		if name != token || kind != "text" {
			seen[fmt.Sprintf("%s:%s=%s", kind, token, name)] = true
		}
	}
	for row, err := range s.Rows(ctx, session, 1) {
		if err != nil {
			return nil, err
		}
		msg := flow.Decode(&row.Record, decode.Options{})
		add("agent", msg.Agent)
		add("dest", flow.Bare(row.Record.To))
		for _, place := range msg.Places() {
			text := strings.TrimSpace(msg.Text(place.Path))
			switch class := msg.Trait(place.Path).Class; {
			case class == decode.ClassExt:
				add("ext", text)
			case class == decode.ClassAgent:
				add("agent", text)
			case flow.FreeText(class):
				add("text", text)
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// unnamable reports whether a name that holds r cannot stand before the = of a
// --map word.
func unnamable(r rune) bool { return r == '=' || unicode.IsControl(r) }
