package model

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gctap/decode"
	"gctap/store"
)

// askFilter lets the user write the filter of the list.
func (m *Model) askFilter(text string) {
	m.Ask(&Prompt{
		Label:   "filter:",
		History: m.Filters,
		Check:   checkFilter,
		Suggest: func(before string) []string { return suggestFilter(before, &m.Messages.seen) },
		Accept: func(m *Model, text string) bool {
			f, err := store.CompileFilter(text)
			if err != nil {
				m.Notice = Printable(err.Error())
				return false
			}
			m.SetFilter(f)
			return true
		},
	}, text)
}

// SetFilter filters the messages of the session; nil shows all of them.
func (m *Model) SetFilter(f *store.Filter) {
	m.Messages.setFilter(f)
	m.Switch(MessageList)
}

// filterBy begins a filter line with the filter there is, and another term.
func (m *Model) filterBy(term string) {
	if term == "" {
		m.Notice = "there is nothing here to filter by"
		return
	}
	if old := m.Messages.Filter.String(); old != "" && old != term {
		if strings.Contains(old, "||") || strings.Contains(old, " or ") {
			old = "(" + old + ")"
		}
		term = old + " && " + term
	}
	m.askFilter(term)
}

func checkFilter(text string) *Problem {
	_, err := store.CompileFilter(text)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*store.FilterError](err); ok {
		say := e.Problem
		if len(e.Near) > 0 {
			say += "; nearest: " + strings.Join(e.Near, ", ")
		}
		return &Problem{e.Column, Printable(say)}
	}
	return &Problem{Text: Printable(err.Error())}
}

// term returns the expression that accepts messages with that value; empty
// where the filter language has no word for it.
func term(name, value string) string {
	text := name + " == " + strconv.Quote(value)
	if _, err := store.CompileFilter(text); err != nil {
		return ""
	}
	return text
}

// fieldTerm is term for the path of a decoded field.
func fieldTerm(path, value string) string {
	if t := term("fields."+path, value); t != "" {
		return t
	}
	if t := term("fields["+strconv.Quote(path)+"]", value); t != "" {
		return t
	}
	return "body contains " + strconv.Quote(value)
}

var (
	nameBefore  = regexp.MustCompile(`[A-Za-z_][\w.]*$`)
	valueBefore = regexp.MustCompile(`([A-Za-z_][\w.]*)\s*(?:==|!=|in\s*\[(?:\s*"[^"]*"\s*,)*|startsWith|endsWith|contains)\s*("?)([^"]*)$`)
)

// maxSuggestions bounds what is suggested at once.
const maxSuggestions = 40

// suggestFilter returns texts that begin with before and go on: with the values
// of a name that is compared, else with names.
func suggestFilter(before string, known *seen) []string {
	if at := valueBefore.FindStringSubmatchIndex(before); at != nil {
		name, quote, begun := before[at[2]:at[3]], before[at[4]:at[5]], before[at[6]:]
		head := before[:at[6]-len(quote)]
		if quote == "" {
			begun = strings.TrimLeft(begun, " ")
			head = strings.TrimRight(head, " ") + " "
		}
		var list []string
		for _, v := range known.values(name) {
			if strings.HasPrefix(v, begun) && len(list) < maxSuggestions {
				list = append(list, head+strconv.Quote(v))
			}
		}
		if quote != "" || len(list) > 0 || begun == "" {
			return list
		}
	}
	if strings.Count(before, `"`)%2 == 1 {
		return nil
	}
	word := nameBefore.FindString(before)
	if word == "" && strings.TrimSpace(before) != "" && !strings.HasSuffix(strings.TrimSpace(before), "&&") && !strings.HasSuffix(strings.TrimSpace(before), "||") {
		return nil
	}
	head := strings.TrimSuffix(before, word)
	var list []string
	for _, name := range store.FilterNames() {
		if strings.HasPrefix(name, word) && name != word && len(list) < maxSuggestions {
			list = append(list, head+name)
		}
	}
	return list
}

// seen are the values that messages had, by the name that a filter gives them:
// those that were looked at lately, for completion.
type seen struct {
	byName map[string]map[string]bool
}

// How many values of one name, and of what length, are kept.
const (
	maxSeen      = 100
	maxSeenBytes = 60
)

func (s *seen) add(name, value string) {
	if value == "" || len(value) > maxSeenBytes {
		return
	}
	if s.byName == nil {
		s.byName = map[string]map[string]bool{}
	}
	values := s.byName[name]
	if values == nil {
		values = map[string]bool{}
		s.byName[name] = values
	}
	if len(values) < maxSeen {
		values[value] = true
	}
}

// merge takes in what another has seen.
func (s *seen) merge(other *seen) {
	for name, values := range other.byName {
		for value := range values {
			s.add(name, value)
		}
	}
}

// row takes in a message.
func (s *seen) row(row *store.Row, msg *decode.Message) {
	for name, value := range map[string]string{
		"agent": msg.Agent, "name": msg.Name, "variant": msg.Variant, "kind": msg.Kind, "protocol": msg.Protocol,
		"direction": string(row.Direction), "source": row.Source, "via": row.Via, "connection": row.Conn, "destination": row.To,
		"replyTo": row.ReplyTo, "jmsType": row.Type(), "conversation": row.Conversation, "subject": row.Subject,
	} {
		s.add(name, value)
	}
	for _, f := range msg.Fields {
		if text, ok := f.Value.Scalar(); ok && !f.Value.Secret() {
			s.add("fields."+f.Name, text)
		}
	}
}

// values returns those of a name, in order: what was seen, and for a field with
// a closed list what there may be.
func (s *seen) values(name string) []string {
	all := maps.Clone(s.byName[name])
	if all == nil {
		all = map[string]bool{}
	}
	for _, v := range listed(name) {
		all[v] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// listed returns the values that the protocol knows for a name.
func listed(name string) []string {
	var values []string
	switch field, isField := strings.CutPrefix(name, "fields."); {
	case name == "name":
		for _, specs := range [][]*decode.Spec{decode.Commands(), decode.Events(), decode.JSONEvents()} {
			for _, s := range specs {
				values = append(values, s.Name)
			}
		}
	case isField:
		for _, s := range append(decode.Events(), decode.Commands()...) {
			if arg := s.Arg(field); arg != nil && arg.Values != nil {
				values = append(values, arg.Values.Values...)
			}
		}
		if field == "errorCode" {
			for _, e := range decode.Errors() {
				values = append(values, e.Code)
			}
		}
	}
	return values
}
