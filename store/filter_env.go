package store

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gctap/decode"
	"gctap/decode/flow"
)

// A filterEnv is what an expression sees of one row. Only the names that the
// expression uses are set. Functions have the one signature that expr calls
// without reflection.
type filterEnv struct {
	row     *Row
	session int64
	msg     *decode.Message // decoded when first asked for

	Session       int64        `expr:"session"`
	Seq           int64        `expr:"seq"`
	CapturedAt    time.Time    `expr:"capturedAt"`
	SentAt        any          `expr:"sentAt"`
	Direction     string       `expr:"direction"`
	Source        string       `expr:"source"`
	Via           string       `expr:"via"`
	Connection    string       `expr:"connection"`
	Destination   string       `expr:"destination"`
	ReplyTo       string       `expr:"replyTo"`
	MessageID     string       `expr:"messageId"`
	CorrelationID string       `expr:"correlationId"`
	JMSType       any          `expr:"jmsType"`
	Body          string       `expr:"body"`
	BodyKind      string       `expr:"bodyKind"`
	Headers       [][]string   `expr:"headers"`
	Redacted      bool         `expr:"redacted"`
	Masked        []maskEnv    `expr:"masked"`
	Truncated     int64        `expr:"truncated"`
	Conversation  string       `expr:"conversation"`
	Subject       string       `expr:"subject"`
	Sender        senderEnv    `expr:"sender"`
	Protocol      string       `expr:"protocol"`
	Kind          string       `expr:"kind"`
	Name          string       `expr:"name"`
	Variant       string       `expr:"variant"`
	Agent         string       `expr:"agent"`
	Findings      []findingEnv `expr:"findings"`
	From          any          `expr:"from"`
	To            any          `expr:"to"`
	Reason        any          `expr:"reason"`
	Lost          any          `expr:"lost"`

	Finding  func(...any) any `expr:"finding"`
	Num      func(...any) any `expr:"num"`
	Field    func(...any) any `expr:"__field"`
	Property func(...any) any `expr:"__property"`
	Compare  func(...any) any `expr:"__compare"`
}

type senderEnv struct {
	Agent string `expr:"agent"`
	Basis string `expr:"basis"`
}

type maskEnv struct {
	Field string `expr:"field"`
	Start int    `expr:"start"`
	End   int    `expr:"end"`
}

type findingEnv struct {
	Code     string `expr:"code"`
	Severity string `expr:"severity"`
	Field    string `expr:"field"`
	Text     string `expr:"text"`
}

func newFilterEnv() *filterEnv {
	e := &filterEnv{}
	e.Finding = func(args ...any) any { return len(args) == 1 && e.message().Has(text(args[0])) }
	e.Num = func(args ...any) any { return number(args[0]) }
	e.Field = func(args ...any) any { return e.field(text(args[0])) }
	e.Property = func(args ...any) any { return e.property(text(args[0])) }
	e.Compare = func(args ...any) any { return compare(text(args[0]), args[1], args[2]) }
	return e
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func (e *filterEnv) message() *decode.Message {
	if e.msg == nil {
		msg := flow.Decode(&e.row.Record, decode.Options{})
		e.msg = &msg
	}
	return e.msg
}

// field returns a field's text, its list or its record; nil where the message
// has none. JSON numbers and booleans are the text their source wrote.
func (e *filterEnv) field(path string) any {
	v, ok := e.message().Get(path)
	if !ok {
		return nil
	}
	return plain(v)
}

func plain(v decode.Value) any {
	v = v.Expand()
	switch v.Kind {
	case decode.KindList:
		list := make([]any, len(v.Parts))
		for i := range v.Parts {
			list[i] = plain(v.Parts[i].Value)
		}
		return list
	case decode.KindRecord:
		record := make(map[string]any, len(v.Parts))
		for i := range v.Parts {
			record[v.Parts[i].Name] = plain(v.Parts[i].Value)
		}
		return record
	}
	if s, ok := v.Scalar(); ok {
		return s
	}
	return nil
}

func (e *filterEnv) property(name string) any {
	for _, h := range e.row.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return nil
}

// number returns the number that a text spells, nil for anything else.
func number(v any) any {
	switch v := v.(type) {
	case string:
		if f, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
			return f
		}
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return nil
}

// compare is every operator that has a value on one side which may be absent:
// it is false unless both are there and of one type.
func compare(op string, a, b any) bool {
	switch op {
	case "in":
		return contained(a, b)
	case "matches":
		return matches(a, b)
	}
	if s, ok := a.(string); ok {
		t, ok := b.(string)
		return ok && compareTexts(op, s, t)
	}
	if s, ok := a.(time.Time); ok {
		t, ok := b.(time.Time)
		return ok && ordered(op, s.Compare(t))
	}
	if p, ok := a.(bool); ok {
		q, ok := b.(bool)
		return ok && (op == "==" && p == q || op == "!=" && p != q)
	}
	x, y := number(a), number(b)
	if _, isText := b.(string); isText || x == nil || y == nil {
		return false
	}
	m, n := x.(float64), y.(float64)
	switch {
	case m < n:
		return ordered(op, -1)
	case m > n:
		return ordered(op, 1)
	}
	return ordered(op, 0)
}

func compareTexts(op, s, t string) bool {
	switch op {
	case "contains":
		return strings.Contains(s, t)
	case "startsWith":
		return strings.HasPrefix(s, t)
	case "endsWith":
		return strings.HasSuffix(s, t)
	}
	return ordered(op, strings.Compare(s, t))
}

func ordered(op string, sign int) bool {
	switch op {
	case "==":
		return sign == 0
	case "!=":
		return sign != 0
	case "<":
		return sign < 0
	case "<=":
		return sign <= 0
	case ">":
		return sign > 0
	case ">=":
		return sign >= 0
	}
	return false
}

// contained reports whether a is an element of a list or a key of a record.
func contained(a, b any) bool {
	switch b := b.(type) {
	case []any:
		return slices.ContainsFunc(b, func(v any) bool { return compare("==", a, v) })
	case []string:
		s, ok := a.(string)
		return ok && slices.Contains(b, s)
	case map[string]any:
		_, ok := b[text(a)]
		return ok
	}
	return false
}

func matches(a, b any) bool {
	s, ok := a.(string)
	if !ok {
		return false
	}
	switch b := b.(type) {
	case *regexp.Regexp:
		return b.MatchString(s)
	case string:
		re, err := regexp.Compile(b)
		return err == nil && re.MatchString(s)
	}
	return false
}

// filterNames are the names an expression may use, each with what sets it.
var filterNames = map[string]func(*filterEnv){
	"session":       func(e *filterEnv) { e.Session = e.session },
	"seq":           func(e *filterEnv) { e.Seq = e.row.Seq },
	"capturedAt":    func(e *filterEnv) { e.CapturedAt = e.row.CapturedAt },
	"sentAt":        setSentAt,
	"direction":     func(e *filterEnv) { e.Direction = string(e.row.Direction) },
	"source":        func(e *filterEnv) { e.Source = e.row.Source },
	"via":           func(e *filterEnv) { e.Via = e.row.Via },
	"connection":    func(e *filterEnv) { e.Connection = e.row.Conn },
	"destination":   func(e *filterEnv) { e.Destination = e.row.Record.To },
	"replyTo":       func(e *filterEnv) { e.ReplyTo = e.row.ReplyTo },
	"messageId":     func(e *filterEnv) { e.MessageID = e.row.MessageID },
	"correlationId": func(e *filterEnv) { e.CorrelationID = e.row.CorrelationID },
	"jmsType":       setJMSType,
	"body":          func(e *filterEnv) { e.Body = string(e.row.Body) },
	"bodyKind":      func(e *filterEnv) { e.BodyKind = string(e.row.BodyKind) },
	"headers":       setHeaders,
	"properties":    nil,
	"redacted":      func(e *filterEnv) { e.Redacted = len(e.row.Record.Masked) > 0 },
	"masked":        setMasked,
	"truncated":     func(e *filterEnv) { e.Truncated = e.row.Record.Truncated },
	"conversation":  func(e *filterEnv) { e.Conversation = e.row.Conversation },
	"subject":       func(e *filterEnv) { e.Subject = e.row.Subject },
	"sender":        func(e *filterEnv) { e.Sender = senderEnv{e.row.Sender, e.row.Basis} },
	"decoded":       nil,
	"protocol":      func(e *filterEnv) { e.Protocol = e.message().Protocol },
	"kind":          func(e *filterEnv) { e.Kind = e.message().Kind },
	"name":          func(e *filterEnv) { e.Name = e.message().Name },
	"variant":       func(e *filterEnv) { e.Variant = e.message().Variant },
	"agent":         func(e *filterEnv) { e.Agent = e.message().Agent },
	"fields":        nil,
	"findings":      setFindings,
	"from":          setGap,
	"to":            setGap,
	"reason":        setGap,
	"lost":          setGap,
}

func setSentAt(e *filterEnv) {
	e.SentAt = nil
	if e.row.SentAt != nil {
		e.SentAt = *e.row.SentAt
	}
}

func setJMSType(e *filterEnv) {
	e.JMSType = nil
	if e.row.JMSType != nil {
		e.JMSType = *e.row.JMSType
	}
}

func setHeaders(e *filterEnv) {
	e.Headers = make([][]string, len(e.row.Headers))
	for i, h := range e.row.Headers {
		e.Headers[i] = []string{h.Name, h.Value}
	}
}

func setMasked(e *filterEnv) {
	e.Masked = make([]maskEnv, len(e.row.Record.Masked))
	for i, m := range e.row.Record.Masked {
		e.Masked[i] = maskEnv{m.Field, m.Start, m.End}
	}
}

func setFindings(e *filterEnv) {
	e.Findings = nil
	for _, f := range e.message().Findings {
		e.Findings = append(e.Findings, findingEnv{f.Code, f.Severity, f.Field, f.Text})
	}
}

func setGap(e *filterEnv) {
	e.From, e.To, e.Reason, e.Lost = nil, nil, nil, nil
	if gap, ok := e.row.Gap(); ok {
		e.From, e.To, e.Reason = gap.From, gap.To, gap.Reason
		if gap.Lost != nil {
			e.Lost = *gap.Lost
		}
	}
}
