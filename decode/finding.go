package decode

import (
	"slices"
	"strconv"
)

// The codes of findings.
const (
	UnknownName      = "unknown-name"
	MissingField     = "missing-field"
	ExtraField       = "extra-field"
	BadValue         = "bad-value"
	BadKey           = "bad-key"
	Alias            = "alias"
	Whitespace       = "whitespace"
	EscapedHash      = "escaped-hash"
	PossibleEscape   = "possible-escape"
	UnescapedHash    = "unescaped-hash"
	SecretField      = "secret"
	UnknownErrorCode = "unknown-error-code"
	BadEncoding      = "bad-encoding"
	BadJSON          = "bad-json"
	TooLarge         = "too-large"
)

// The severities of findings.
const (
	Note    = "note"
	Warning = "warning"
	Error   = "error"
)

// A Finding is what is wrong or notable in a message.
type Finding struct {
	Code     string
	Severity string // Note, Warning or Error
	Field    string // path of the field, or name, agent; "" for the whole body
	Text     string // for people
	Offset   int    // in bytes, where it stands in the body
	InType   bool   // Offset is a place in the JMSType
}

// A FindingCode is a row of the list of codes.
type FindingCode struct {
	Code, Severity string
	Doc            string // when it is given
}

var findingCodes = []FindingCode{
	{UnknownName, Warning, "command or event word not in the protocol"},
	{MissingField, Error, "fewer arguments than the variant needs, fewer parts or keys than a list piece or record needs, no id"},
	{ExtraField, Warning, "more arguments than any variant has; the surplus is kept in the field extra"},
	{BadValue, Warning, "a value outside its documented closed list or shape"},
	{BadKey, Warning, "a keyed token without its key or with another; a call variable without =; a variable or record key that comes again"},
	{Alias, Note, "a documented variant spelling was accepted, or an event word in another case"},
	{Whitespace, Note, "blanks around a separator were trimmed"},
	{EscapedHash, Note, "an escaped # was restored"},
	{PossibleEscape, Note, "digits that may be an escaped # were left alone"},
	{UnescapedHash, Warning, "a # inside data shifted the tokens; realigned by the keyed tokens after it"},
	{SecretField, Note, "the field holds a password"},
	{UnknownErrorCode, Note, "an error code that the documents do not list"},
	{BadEncoding, Warning, "the body is not UTF-8; it was read as Windows-1252"},
	{BadJSON, Error, "looked like JSON but does not parse"},
	{TooLarge, Error, "the body is over the limit; of text only name and agent are decoded"},
}

// FindingCodes returns the list of codes.
func FindingCodes() []FindingCode { return slices.Clone(findingCodes) }

// severityOf returns the severity of a code.
func severityOf(code string) string {
	for i := range findingCodes {
		if findingCodes[i].Code == code {
			return findingCodes[i].Severity
		}
	}
	return Note
}

// A trail is the path of the field that is being read. Its text is built only
// when there is a finding.
type trail struct {
	steps [6]step // queue[0].snapShot.extra is the longest
	depth int
}

// A step is a name, or where number is not 0 the element number-1 of a list.
type step struct {
	name   string
	number int
}

func (t *trail) enter(name string) {
	t.steps[t.depth] = step{name: name}
	t.depth++
}

func (t *trail) enterIndex(i int) {
	t.steps[t.depth] = step{number: i + 1}
	t.depth++
}

func (t *trail) leave() { t.depth-- }

// append writes the path: queue[0].snapShot.waitingCalls.
func (t *trail) append(dst []byte) []byte {
	for i := range t.depth {
		s := &t.steps[i]
		switch {
		case s.number > 0:
			dst = append(dst, '[')
			dst = strconv.AppendInt(dst, int64(s.number-1), 10)
			dst = append(dst, ']')
			continue
		case i > 0:
			dst = append(dst, '.')
		}
		dst = append(dst, s.name...)
	}
	return dst
}

// A notebook takes a message's findings: each code once per field, in any
// order; sorted puts them in the order of their places.
type notebook struct {
	list    []Finding
	seen    map[seenKey]struct{} // filled once the list is long
	omitted int
}

type seenKey struct{ code, field string }

// fewFindings is how many are searched one by one before a map is worth it.
const fewFindings = 16

// add takes a finding about the field whose path is given.
func (n *notebook) add(code string, field []byte, text string, at int32, inType bool) {
	if n.full() || n.has(code, field) {
		return
	}
	n.put(Finding{Code: code, Severity: severityOf(code), Field: string(field), Text: text, Offset: int(at), InType: inType})
}

// full reports whether there are as many findings as are kept, and counts the
// one that is not. A field's second finding of a code is then counted too.
func (n *notebook) full() bool {
	if len(n.list) < MaxFindings {
		return false
	}
	n.omitted++
	return true
}

func (n *notebook) put(f Finding) {
	n.list = append(n.list, f)
	if n.seen != nil {
		n.seen[seenKey{f.Code, f.Field}] = struct{}{}
	}
}

func (n *notebook) has(code string, field []byte) bool {
	if len(n.list) > fewFindings && n.seen == nil {
		n.seen = make(map[seenKey]struct{}, 4*fewFindings)
		for i := range n.list {
			n.seen[seenKey{n.list[i].Code, n.list[i].Field}] = struct{}{}
		}
	}
	if n.seen != nil {
		_, ok := n.seen[seenKey{code, string(field)}]
		return ok
	}
	for i := range n.list {
		if n.list[i].Code == code && n.list[i].Field == string(field) {
			return true
		}
	}
	return false
}

// sorted returns the findings: those of the JMSType first, then by place.
func (n *notebook) sorted() []Finding {
	before := func(a, b Finding) int {
		if a.InType != b.InType {
			if a.InType {
				return -1
			}
			return 1
		}
		return a.Offset - b.Offset
	}
	if !slices.IsSortedFunc(n.list, before) {
		slices.SortStableFunc(n.list, before)
	}
	return n.list
}
