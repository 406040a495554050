package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gctap/decode"
	"gctap/decode/xuc"
)

func explainCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [WORD]",
		Short: "Explain a command, event, error code, state or field; without a word: the index",
		Example: `  gctap explain Login
  gctap explain CF_INVALID_OBJECT_STATE
  gctap explain RESERVED_OUTBOUND`,
		RunE: func(_ *cobra.Command, args []string) error {
			out := bufio.NewWriter(a.Out)
			all := topics()
			word := strings.Join(args, " ")
			if word == "" {
				printIndex(out, all)
				return out.Flush()
			}
			found := findTopics(all, word)
			if found == nil {
				return &exitError{exitNegative, fmt.Sprintf("nothing is known of %q; nearest: %s", word, strings.Join(nearest(all, word, 5), ", "))}
			}
			for i, t := range found {
				if i > 0 {
					fmt.Fprintln(out)
				}
				fmt.Fprintln(out, t.heading)
				t.print(out)
			}
			return out.Flush()
		},
	}
}

// A topic is something that can be explained.
type topic struct {
	group   string
	word    string   // as the index prints it
	also    []string // other words for it
	heading string
	print   func(w io.Writer)
}

func (t *topic) is(word string) bool {
	return strings.EqualFold(t.word, word) || slices.ContainsFunc(t.also, func(s string) bool { return strings.EqualFold(s, word) })
}

// topics are all that can be explained, in the order of the index.
func topics() []topic {
	var all []topic
	for _, s := range decode.Commands() {
		all = append(all, topic{"Commands", s.Name, append([]string{s.Word}, s.Aliases...), "Command " + s.Name + ": " + s.Doc, specPrinter(s)})
	}
	for _, s := range decode.Events() {
		all = append(all, topic{"Text events", s.Name, []string{s.Word}, "Event " + s.Name + ": " + s.Doc, specPrinter(s)})
	}
	for _, s := range decode.JSONEvents() {
		all = append(all, topic{"JSON events", s.Name, []string{s.Word}, "JSON event " + s.Name + ": " + s.Doc, specPrinter(s)})
	}
	all = append(all, knowledgeTopics()...)
	all = append(all, xucTopics()...)
	return append(all, fieldTopics()...)
}

// knowledgeTopics are errors, states and the like.
func knowledgeTopics() []topic {
	var all []topic
	for _, e := range decode.Errors() {
		all = append(all, topic{"Error codes", e.Code, e.Aliases, "Error code " + e.Code, errorPrinter(e)})
	}
	list := func(group, kind string, states []decode.StateInfo, more func(io.Writer, string)) {
		for _, s := range states {
			all = append(all, topic{group, s.Name, s.Aliases, kind + " " + s.Name + ": " + s.Doc, statePrinter(s, more)})
		}
	}
	list("Agent states", "Agent state", decode.AgentStates(), printTransitions)
	list("Dialog states", "Dialog state", decode.DialogStates(), nil)
	list("Call types", "Call type", decode.CallTypes(), nil)
	list("Failure causes", "Failure cause", decode.FailureCauses(), nil)
	list("Call variables", "Call variable", decode.CallVariables(), nil)
	for _, c := range decode.FindingCodes() {
		all = append(all, topic{"Findings", c.Code, nil, "Finding " + c.Code + " (" + c.Severity + ")", func(w io.Writer) { line(w, "when", c.Doc) }})
	}
	for _, a := range decode.Ambiguities() {
		all = append(all, topic{"Ambiguities", a.ID, nil, "Ambiguity " + a.ID, func(w io.Writer) { printAmbiguity(w, a) }})
	}
	return all
}

func xucTopics() []topic {
	var all []topic
	for _, c := range xuc.Commands() {
		all = append(all, topic{"xuc commands", c.Name, nil, "xuc command " + c.Name, func(w io.Writer) {
			line(w, "frame", xucFrame(c))
			line(w, "method", c.Method)
			line(w, "result", c.Result)
			line(w, "note", c.Notes)
			line(w, "documents", c.Sources)
		}})
	}
	for _, e := range xuc.Events() {
		all = append(all, topic{"xuc events", e.Name, nil, "xuc event " + e.Name, func(w io.Writer) {
			line(w, "frame", fmt.Sprintf(`{"msgType":%q,"ctiMessage":…}`, e.Name))
			line(w, "fields", strings.Join(e.Fields, ", "))
			line(w, "meaning", e.Doc)
			line(w, "documents", e.Sources)
		}})
	}
	states := func(group, kind string, list []xuc.State) {
		for _, s := range list {
			all = append(all, topic{group, s.Name, nil, kind + " " + s.Name, func(w io.Writer) { line(w, "meaning", s.Doc) }})
		}
	}
	states("xuc agent states", "xuc agent state", xuc.AgentStates())
	states("xuc phone states", "xuc phone state", xuc.PhoneStates())
	states("xuc errors", "xuc error", xuc.Errors())
	return all
}

func xucFrame(c xuc.Command) string {
	if c.Name == "ping" {
		return `{"claz":"ping"}`
	}
	frame := fmt.Sprintf(`{"claz":"web","command":%q`, c.Name)
	for _, arg := range c.Args {
		frame += fmt.Sprintf(",%q:…", arg)
	}
	return frame + "}"
}

// fieldTopics are the fields of all messages, by name.
func fieldTopics() []topic {
	uses := map[string][]string{}
	var names []string
	for _, list := range [][]*decode.Spec{decode.Commands(), decode.Events(), decode.JSONEvents()} {
		for _, s := range list {
			for _, f := range s.Fields() {
				name := f[0][strings.LastIndexByte(f[0], '.')+1:]
				if uses[name] == nil {
					names = append(names, name)
				}
				uses[name] = append(uses[name], fmt.Sprintf("%s (%s %s): %s", f[0], s.Name, s.Kind, f[1]))
			}
		}
	}
	slices.Sort(names)
	var all []topic
	for _, name := range names {
		all = append(all, topic{"Fields", name, nil, "Field " + name, func(w io.Writer) {
			for _, use := range uses[name] {
				fmt.Fprintln(w, "  "+use)
			}
		}})
	}
	return all
}

// findTopics returns what a word means; fields only where they are written
// exactly so, or nothing else is meant. Of a word with a '#', as a JMSType or a
// key of a message for users, the part is looked up that is known.
func findTopics(all []topic, word string) []topic {
	front, back, _ := strings.Cut(word, "#")
	for _, w := range []string{word, strings.TrimSpace(front), strings.TrimSpace(back)} {
		var found, fields []topic
		for _, t := range all {
			switch {
			case w == "" || !t.is(w):
			case t.group == "Fields" && t.word != w:
				fields = append(fields, t)
			default:
				found = append(found, t)
			}
		}
		if found = append(found, fieldsIfAlone(found, fields)...); found != nil {
			return found
		}
	}
	return nil
}

func fieldsIfAlone(found, fields []topic) []topic {
	if found != nil {
		return nil
	}
	return fields
}

// line prints a fact with its heading, or nothing when there is none.
func line(w io.Writer, what, text string) {
	if text != "" {
		fmt.Fprintf(w, "  %-10s %s\n", what, text)
	}
}

// specPrinter prints what the table has about a message.
func specPrinter(s *decode.Spec) func(io.Writer) {
	return func(w io.Writer) {
		for i := range s.Forms {
			printForm(w, s, &s.Forms[i])
		}
		if s.Protocol == decode.GCJSON {
			line(w, "type", s.Word)
			line(w, "variant", s.Variant)
			printExample(w, s, nil)
		}
		for i, f := range s.Fields() {
			what := ""
			if i == 0 {
				what = "fields"
			}
			fmt.Fprintf(w, "  %-10s %s: %s\n", what, f[0], f[1])
		}
		printChoice(w, s)
		line(w, who(s), roles(s))
		line(w, "platform", s.Platform)
		line(w, "also", strings.Join(append(slices.Clone(s.Aliases), s.Seen...), ", "))
		printNeighbours(w, s)
		line(w, "category", s.Category)
		line(w, "documents", s.Sources)
		for _, id := range s.Disagree {
			if a, ok := decode.LookupAmbiguity(id); ok {
				line(w, "disagree", fmt.Sprintf("%s (%s) %s: here %s", a.ID, a.Sources, a.What, a.Handling))
			}
		}
	}
}

func who(s *decode.Spec) string {
	if s.Kind == decode.KindCommand {
		return "sent by"
	}
	return "for"
}

func roles(s *decode.Spec) string {
	var list []string
	for _, r := range s.Roles {
		list = append(list, string(r))
	}
	return strings.Join(list, ", ")
}

// printForm prints a form's layout and an example of it.
func printForm(w io.Writer, s *decode.Spec, f *decode.Form) {
	if f.Variant != "" {
		text := f.Variant
		if f.Doc != "" {
			text += " (" + f.Doc + ")"
		}
		line(w, "variant", text)
	}
	if s.Kind == decode.KindCommand {
		line(w, "type", s.Layout(f))
		body := s.Body(f)
		if body == "" {
			body = "(empty)"
		}
		line(w, "body", body)
	} else {
		line(w, "body", s.Layout(f))
	}
	printExample(w, s, f)
}

func printExample(w io.Writer, s *decode.Spec, f *decode.Form) {
	m := s.Example(f)
	if in, err := decode.Encode(&m); err == nil {
		line(w, "example", decode.Show(in))
	}
}

func printChoice(w io.Writer, s *decode.Spec) {
	for i := range s.Choice {
		line(w, "chosen", s.Choice[i].Variant+": "+s.Choice[i].String())
	}
}

// printNeighbours prints what comes before and after a message.
func printNeighbours(w io.Writer, s *decode.Spec) {
	for _, q := range s.Expects {
		line(w, "expect", q.String())
	}
	if s.Silent {
		line(w, "expect", "nothing: success has no answer")
	}
	line(w, "answers", strings.Join(s.Answers, ", "))
	line(w, "errors", strings.Join(s.Errors, ", "))
	for _, n := range s.Notes {
		line(w, "note", n)
	}
	if s.Name == "State" && s.Protocol == decode.GCText {
		for _, t := range decode.Transitions() {
			line(w, "transition", fmt.Sprintf("%s -> %s: %s", t.From, t.To, t.Cause))
		}
	}
}

func errorPrinter(e decode.ErrorCode) func(io.Writer) {
	return func(w io.Writer) {
		line(w, "meaning", e.Meaning)
		line(w, "origin", e.Origin)
		line(w, "client", e.Client)
		if e.Driver != "" && e.Driver != e.Client {
			line(w, "client", e.Driver+" (as 002 and 003 have it)")
		}
		line(w, "to users", e.Text)
		line(w, "note", e.Notes)
		line(w, "also", strings.Join(e.Aliases, ", "))
		var at []string
		for _, s := range decode.Commands() {
			if slices.Contains(s.Errors, e.Code) {
				at = append(at, s.Name)
			}
		}
		line(w, "after", strings.Join(at, ", "))
		line(w, "documents", e.Sources)
	}
}

func statePrinter(s decode.StateInfo, more func(io.Writer, string)) func(io.Writer) {
	return func(w io.Writer) {
		line(w, "also", strings.Join(s.Aliases, ", "))
		line(w, "to users", s.Text)
		if s.Consult != "" {
			line(w, "to users", s.Consult+" (consult call)")
		}
		if more != nil {
			more(w, s.Name)
		}
		line(w, "documents", s.Sources)
	}
}

// printTransitions prints how an agent gets into a state and out of it, and
// the commands that ask for it.
func printTransitions(w io.Writer, state string) {
	for _, t := range decode.Transitions() {
		if t.To == state {
			line(w, "from", t.From+": "+t.Cause)
		}
	}
	for _, t := range decode.Transitions() {
		if t.From == state {
			line(w, "to", t.To+": "+t.Cause)
		}
	}
	var commands []string
	for _, s := range decode.Commands() {
		for _, q := range s.Expects {
			if slices.ContainsFunc(q.Events, func(e decode.Expect) bool { return e.Event == "State" && e.Value == state }) && !slices.Contains(commands, s.Name) {
				commands = append(commands, s.Name)
			}
		}
	}
	line(w, "after", strings.Join(commands, ", "))
}

func printAmbiguity(w io.Writer, a decode.Ambiguity) {
	line(w, "documents", a.Sources)
	line(w, "what", a.What)
	line(w, "here", a.Handling)
	var at []string
	for _, list := range [][]*decode.Spec{decode.Commands(), decode.Events(), decode.JSONEvents()} {
		for _, s := range list {
			if slices.Contains(s.Disagree, a.ID) {
				at = append(at, s.Name)
			}
		}
	}
	line(w, "concerns", strings.Join(at, ", "))
}

// printIndex prints all words by group.
func printIndex(w io.Writer, all []topic) {
	group := ""
	column := 0
	for i := range all {
		t := &all[i]
		if t.group != group {
			if group != "" {
				fmt.Fprint(w, "\n\n")
			}
			group, column = t.group, 0
			fmt.Fprintf(w, "%s\n ", group)
		}
		if column += len(t.word) + 1; column > 96 {
			fmt.Fprint(w, "\n ")
			column = len(t.word) + 1
		}
		fmt.Fprint(w, " "+t.word)
	}
	fmt.Fprint(w, "\n")
}

// nearest returns the n words most like the given one.
func nearest(all []topic, word string, n int) []string {
	type near struct {
		word string
		away int
	}
	var list []near
	for i := range all {
		for _, w := range append([]string{all[i].word}, all[i].also...) {
			list = append(list, near{w, away(strings.ToLower(word), strings.ToLower(w))})
		}
	}
	slices.SortStableFunc(list, func(a, b near) int { return a.away - b.away })
	var words []string
	for _, e := range list {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, e.word) }) {
			words = append(words, e.word)
		}
		if len(words) == n {
			break
		}
	}
	return words
}

// away is how many letters differ; a word that begins with the other, or holds
// it, is nearer.
func away(a, b string) int {
	if len(a) > 100 {
		a = a[:100]
	}
	distance := 2 * decode.Distance([]byte(a), []byte(b))
	if len(a) > 2 && strings.Contains(b, a) || len(b) > 3 && strings.Contains(a, b) {
		distance = min(distance, 3)
	}
	return distance
}
