package decode

import (
	"fmt"
	"strings"

	"gctap/decode/xuc"
)

//go:generate go test -run ^TestGrammarIsCurrent$ -update .

// Layout prints the form as people read it: the JMSType and the body of a
// command, the body of an event. Fields stand in < >, what may be left out in
// [ ], and … says that more of the same may follow.
func (s *Spec) Layout(f *Form) string {
	if s.Kind == KindCommand {
		id := "<agent>"
		if s.Head != nil {
			id = "<" + s.Head.Name + ">"
		}
		return s.Word + "#" + id
	}
	var b strings.Builder
	if !headlessOnly(s) && f.Variant != "admin" {
		b.WriteString("<agent>#")
	}
	if f.Lead != nil {
		b.WriteString("<" + f.Lead.Name + ">#")
	}
	b.WriteString(s.Word)
	if f.Opaque {
		b.WriteString("#…")
	}
	if f.Variant == "empty" {
		return b.String() + "#"
	}
	for i := range f.Args {
		a := &f.Args[i]
		text := "#" + a.layout()
		if a.Optional {
			text = "[" + text + "]"
		}
		b.WriteString(text)
	}
	return b.String()
}

// Body prints the body of a command's form, "" when it has none.
func (s *Spec) Body(f *Form) string {
	var b strings.Builder
	for i := range f.Args {
		text := f.Args[i].layout()
		if i > 0 {
			text = "," + text
		}
		if f.Args[i].Optional && f.AllOr == 0 {
			text = "[" + text + "]"
		}
		b.WriteString(text)
	}
	if f.AllOr > 0 {
		return "[" + b.String() + "]"
	}
	return b.String()
}

// layout prints an argument.
func (a *Arg) layout() string {
	key := ""
	if a.Key != "" && a.Shape != Group {
		key = a.Key + ":"
	}
	switch a.Shape {
	case List:
		return key + "<" + a.Name + ">,…"
	case Pairs:
		return key + "<name>=<value>|…"
	case Pieces:
		return key + layouts(a.Parts, "", ",") + "|…"
	case Records:
		return recordLayout(a.Parts) + "#…"
	case Users:
		return layouts(a.Parts, "=", ",") + "|…"
	case Literal:
		return a.Word
	}
	return key + "<" + a.Name + ">"
}

// layouts prints parts one after the other, with their keys where sep says so.
func layouts(parts []Arg, sep, between string) string {
	var list []string
	for i := range parts {
		text := "<" + parts[i].Name + ">"
		if sep != "" {
			text = parts[i].Key + sep + text
		}
		list = append(list, text)
	}
	return strings.Join(list, between)
}

// recordLayout prints a record; groups begin with Type:…: and are separated by
// '|'.
func recordLayout(parts []Arg) string {
	var b strings.Builder
	groups := 0
	for i := range parts {
		switch {
		case parts[i].Shape == Group && groups > 0:
			b.WriteByte('|')
		case i > 0:
			b.WriteByte(',')
		}
		if parts[i].Shape == Group {
			groups++
			b.WriteString(groupKey + ":" + parts[i].Key + ":" + layouts(parts[i].Parts, ":", ","))
			continue
		}
		b.WriteString(parts[i].Key + ":<" + parts[i].Name + ">")
	}
	return b.String()
}

// String prints what is expected: State state=READY.
func (e Expect) String() string {
	text := e.Event
	if e.Value != "" {
		text += " " + e.Value
	}
	if e.Optional {
		text = "(" + text + ")"
	}
	return text
}

// String prints the sequence on one line.
func (q Sequence) String() string {
	var front []string
	if q.Platform != "" {
		front = append(front, q.Platform)
	}
	if q.For != "" {
		front = append(front, "to the "+string(q.For))
	}
	if q.Before {
		front = append(front, "before it")
	}
	between := ", then "
	switch q.Order {
	case AnyOrder:
		between = " and "
	case OneOf:
		between = " or "
	}
	var list []string
	for _, e := range q.Events {
		list = append(list, e.String())
	}
	text := strings.Join(list, between)
	if len(front) > 0 {
		text = strings.Join(front, ", ") + ": " + text
	}
	return text
}

// Describe says what a value is: its class or closed list, and what else is
// known of it.
func (a *Arg) Describe() string {
	var words []string
	switch {
	case a.Values != nil && len(a.Values.Values) <= 4:
		words = append(words, strings.Join(a.Values.Values, ", "))
	case a.Values != nil:
		words = append(words, a.Values.Name)
	case a.Shape == Pieces || a.Shape == Records || a.Shape == Users:
		words = append(words, "list of records")
	case a.Shape == Group:
		words = append(words, "record")
	case a.Shape == Pairs:
		words = append(words, "name=value pairs")
	default:
		words = append(words, a.Class.String())
	}
	if a.Shape == List {
		words[0] = "list of " + words[0]
	}
	if a.Optional {
		words = append(words, "optional")
	}
	if a.Volatile {
		words = append(words, "differs from run to run")
	}
	switch a.Hash {
	case HashText:
		words = append(words, "# may be escaped")
	case HashNumber:
		words = append(words, "# may be escaped, never restored")
	}
	return strings.Join(words, "; ")
}

func (a *Arg) describeWithDoc() string {
	if a.Doc == "" {
		return a.Describe()
	}
	return a.Doc + " (" + a.Describe() + ")"
}

// String prints the condition in words.
func (c *Choice) String() string {
	var words []string
	if c.Controls {
		words = append(words, "the name is token 2")
	}
	if c.Headless {
		words = append(words, "no id in front")
	}
	switch {
	case c.Min > 0 && c.Min == c.Max:
		words = append(words, fmt.Sprintf("%d argument%s", c.Min, plural(c.Min)))
	case c.Min > 0:
		words = append(words, fmt.Sprintf("%d or more arguments", c.Min))
	case c.Max > 0:
		words = append(words, fmt.Sprintf("%d or fewer arguments", c.Max))
	}
	switch {
	case c.Word != "":
		words = append(words, fmt.Sprintf("argument %d is %s", c.Arg, c.Word))
	case c.Key != "":
		words = append(words, fmt.Sprintf("argument %d begins with %s:", c.Arg, c.Key))
	case c.Empty:
		words = append(words, "all empty")
	case c.RecKey == noRecord:
		words = append(words, "no record")
	case c.RecKey != "":
		words = append(words, "the first record has "+c.RecKey+":")
	}
	if words == nil {
		return "else"
	}
	return strings.Join(words, ", ")
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// Grammar returns the protocol as a Markdown document: GRAMMAR.md.
func Grammar() []byte {
	g := &grammar{}
	g.intro()
	g.line("## Commands", "")
	g.specs(commandRows)
	g.line("## Text events", "")
	g.specs(eventRows)
	g.line("## JSON events", "", "A JSON object with the key `type`. Keys of the outer object are compared without regard to case; where a key has several spellings the first is the one to send.", "")
	g.jsonEvents()
	g.line("## REST commands", "", "`{\"data\":{\"type\":\"<JMSType>\",\"body\":\"<body>\"}}` holds the two strings of a text command. The string `null`, as the documents print it, stands for no body. Further keys of `data`: sessionUrl, callbackFqdn, callbackEndpoint.", "")
	g.xuc()
	g.errors()
	g.states()
	g.line("## Findings", "", "| code | severity | when |", "|---|---|---|")
	for _, c := range findingCodes {
		g.row("`"+c.Code+"`", c.Severity, c.Doc)
	}
	g.line("", "## Where the documents disagree", "", "| id | documents | what | what is done |", "|---|---|---|---|")
	for _, a := range ambiguities {
		g.row(a.ID, a.Sources, a.What, a.Handling)
	}
	return []byte(g.String())
}

type grammar struct{ strings.Builder }

func (g *grammar) line(lines ...string) {
	for _, l := range lines {
		g.WriteString(l)
		g.WriteByte('\n')
	}
}

func (g *grammar) row(cells ...string) {
	for _, c := range cells {
		g.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
	}
	g.WriteString("|\n")
}

func (g *grammar) intro() {
	g.line("# The protocol", "",
		"<!-- Made by `go generate ./decode` from the tables of package decode. Do not edit. -->", "",
		"What passes between a contact-centre client and Expertflow's Generic Connector (GC), as package `decode` reads and writes it.", "",
		"* A **command** is a JMS message on GC's queue. Its JMSType is a word, `#` and an id: the agent's, or for Hello and Beat the client's topic. Its body holds arguments separated by `,`.",
		"* An **event** is a JMS message on the client's topic. Its body holds tokens separated by `#`: mostly the receiver's id, the name and the arguments.",
		"* Newer releases send events as **JSON** and take commands by **REST**, with the same names. **xuc** is the protocol of XiVO's CTI server.", "",
		"There is no escape: a `,`, `#` or `|` inside a value shifts what follows. GC replaces `#` inside some data by a \"binary number\", taken to be `00100011` (A-43). Words are compared without regard to case; blanks around words, ids and numbers are trimmed.", "",
		"In layouts `<x>` is the field x, `[…]` may be left out, `…` says that more of the same may follow.", "",
		"Documents: "+sourceList()+".", "")
}

func sourceList() string {
	var list []string
	for _, s := range Sources() {
		list = append(list, "**"+s.ID+"** "+s.Title)
	}
	return strings.Join(list, "; ")
}

func (g *grammar) specs(list []*Spec) {
	group := ""
	for _, s := range list {
		if s.Group != group {
			group = s.Group
			g.line("### "+group, "")
		}
		g.spec(s)
	}
}

func (g *grammar) spec(s *Spec) {
	g.line("#### "+s.Name, "", upperFirst(s.Doc)+"."+about(s), "")
	g.line("```")
	for i := range s.Forms {
		f := &s.Forms[i]
		g.line(f.title() + s.layoutAndBody(f))
	}
	g.line("```")
	if len(s.Forms) > 1 {
		g.choices(s)
	}
	g.line("")
	if rows := fieldRows(s); len(rows) > 0 {
		g.line("| field | what |", "|---|---|")
		for _, r := range rows {
			g.row("`"+r[0]+"`", r[1])
		}
		g.line("")
	}
	for i := range s.Forms {
		m := s.Example(&s.Forms[i])
		in, err := Encode(&m)
		if err == nil {
			g.line("Example: `"+Show(in)+"`", "")
		}
	}
	g.neighbours(s)
}

func (f *Form) title() string {
	if f.Variant == "" {
		return ""
	}
	return f.Variant + ": "
}

func (s *Spec) layoutAndBody(f *Form) string {
	text := s.Layout(f)
	if s.Kind == KindCommand {
		if body := s.Body(f); body != "" {
			return text + "   " + body
		}
	}
	return text
}

func (g *grammar) choices(s *Spec) {
	var list []string
	for i := range s.Choice {
		c := &s.Choice[i]
		doc := ""
		if c.form.Doc != "" {
			doc = " (" + c.form.Doc + ")"
		}
		list = append(list, "`"+c.Variant+"`"+doc+" if "+c.String())
	}
	g.line("", "Variants, the first that fits: "+strings.ReplaceAll(strings.Join(list, "; "), "if else", "otherwise")+".")
}

// about says who sends or gets the message, and where it is described.
func about(s *Spec) string {
	var words []string
	for _, r := range s.Roles {
		words = append(words, string(r))
	}
	text := " For: " + strings.Join(words, ", ") + "."
	if s.Kind == KindCommand {
		text = " Sent by: " + strings.Join(words, ", ") + "."
	}
	if s.Platform != "" {
		text += " " + s.Platform + " only."
	}
	if len(s.Aliases) > 0 {
		text += " Also spelt `" + strings.Join(s.Aliases, "`, `") + "`."
	}
	if s.Category != "" {
		text += " Category " + s.Category + "."
	}
	return text + " Documents: " + s.Sources + "."
}

// fieldRows describes each field once, over all forms.
func fieldRows(s *Spec) [][2]string {
	var rows [][2]string
	seen := map[string]bool{}
	var add func(prefix string, args []Arg)
	add = func(prefix string, args []Arg) {
		for i := range args {
			a := &args[i]
			if a.Name == "" {
				continue
			}
			if path := prefix + a.Name; !seen[path] {
				seen[path] = true
				rows = append(rows, [2]string{path, a.describeWithDoc()})
			}
			below := prefix + a.Name + "."
			if a.Shape != Group {
				below = prefix + a.Name + "[]."
			}
			add(below, a.Parts)
		}
	}
	if s.Head != nil {
		add("", []Arg{*s.Head})
	}
	for i := range s.Forms {
		f := &s.Forms[i]
		if f.Lead != nil {
			add("", []Arg{*f.Lead})
		}
		for j := range f.Args {
			if f.Args[j].First != nil {
				add("", []Arg{*f.Args[j].First})
			}
		}
		add("", f.Args)
	}
	return rows
}

// Fields describes each field of the message once, over all forms: path and
// what it is. Elements of lists are written with [].
func (s *Spec) Fields() [][2]string {
	var rows [][2]string
	if s.Protocol != GCJSON {
		rows = fieldRows(s)
		if len(s.Keys) <= len(restKeys) { // what any command may have is told where the others are
			return rows
		}
	}
	for i := range s.Keys {
		k := &s.Keys[i]
		a := Arg{Class: k.Class, Values: k.Values, Volatile: k.Volatile}
		text := a.Describe()
		if k.Class == ClassText && k.Values == nil {
			text = "as the source has it"
		}
		if s.Protocol != GCJSON {
			text = "further key of the REST envelope; " + text
		}
		if len(k.Keys) > 1 || k.Keys[0] != k.Name {
			text += "; key " + strings.Join(k.Keys, ", ")
		}
		rows = append(rows, [2]string{k.Name, text})
	}
	return rows
}

// Show prints a message as one line: the JMSType, two blanks and the body.
func Show(in Input) string {
	if in.Type == nil || *in.Type == "" {
		return string(in.Body)
	}
	return strings.TrimRight(*in.Type+"  "+string(in.Body), " ")
}

func (g *grammar) neighbours(s *Spec) {
	for _, q := range s.Expects {
		g.line("* Expected: " + q.String())
	}
	if s.Silent {
		g.line("* Success has no answer.")
	}
	if len(s.Answers) > 0 {
		g.line("* May answer: " + strings.Join(s.Answers, ", "))
	}
	if len(s.Errors) > 0 {
		g.line("* Possible errors: " + strings.Join(s.Errors, ", "))
	}
	for _, n := range s.Notes {
		g.line("* " + n)
	}
	if len(s.Disagree) > 0 {
		g.line("* Documents disagree: " + strings.Join(s.Disagree, ", "))
	}
	if len(s.Expects)+len(s.Answers)+len(s.Errors)+len(s.Notes)+len(s.Disagree) > 0 || s.Silent {
		g.line("")
	}
}

func (g *grammar) jsonEvents() {
	g.line("| type | name | keys | notes |", "|---|---|---|---|")
	for _, s := range jsonRows {
		var keys []string
		for _, f := range s.Fields() {
			keys = append(keys, f[0])
		}
		name := s.Name
		if s.Variant != "" {
			name += ", variant " + s.Variant
		}
		notes := append([]string{upperFirst(s.Doc) + "."}, s.Notes...)
		g.row("`"+s.Word+"`", name, strings.Join(keys, ", "), strings.Join(append(notes, s.Disagree...), " "))
	}
	g.line("", "Spellings of keys: `dialogID`, `dialogId` are dialogId; `associatedDialogId`, `prevDialogId`, in ConsultCall `assDialogId` are associatedDialogId; `errorType` is errorCode.", "")
}

func (g *grammar) xuc() {
	g.line("## xuc", "", "Frames of a web socket. Out `{\"claz\":\"web\",\"command\":\"<name>\",…}` and `{\"claz\":\"ping\"}`, in `{\"msgType\":\"<name>\",\"ctiMessage\":…}`. Names are compared exactly.", "",
		"| command | arguments | result, notes |", "|---|---|---|")
	for _, c := range xuc.Commands() {
		g.row("`"+c.Name+"`", strings.Join(c.Args, ", "), strings.TrimPrefix(c.Result+"; "+c.Notes, "; "))
	}
	g.line("", "| event | fields | what |", "|---|---|---|")
	for _, e := range xuc.Events() {
		g.row("`"+e.Name+"`", strings.Join(e.Fields, ", "), e.Doc)
	}
	g.line("", "Agent states:", "")
	for _, s := range xuc.AgentStates() {
		g.line("* `" + s.Name + "`: " + s.Doc)
	}
	g.line("", "Errors:", "")
	for _, s := range xuc.Errors() {
		g.line("* `" + s.Name + "`: " + s.Doc)
	}
	g.line("")
}

func (g *grammar) errors() {
	g.line("## Errors", "", "| code | origin | meaning | what the client should do | message for users |", "|---|---|---|---|---|")
	for i := range errorTable {
		e := &errorTable[i]
		meaning := e.Meaning
		if e.Notes != "" {
			meaning += " " + e.Notes
		}
		do := e.Client
		if e.Driver != "" && e.Driver != e.Client {
			if do != "" {
				do += "; "
			}
			do += "by 002, 003: " + e.Driver
		}
		g.row("`"+e.Code+"`", e.Origin, meaning, do, e.Text)
	}
	g.line("", "Any other CF_ or E_ constant may pass through from Finesse.", "")
}

func (g *grammar) states() {
	list := func(title string, rows []StateInfo) {
		g.line("## "+title, "", "| name | also | what | message for users |", "|---|---|---|---|")
		for _, s := range rows {
			text := s.Text
			if s.Consult != "" {
				text = strings.TrimPrefix(text+" / "+s.Consult, " / ")
			}
			g.row("`"+s.Name+"`", strings.Join(s.Aliases, ", "), s.Doc, text)
		}
		g.line("")
	}
	list("Agent states", agentStates)
	g.line("### Transitions", "", "A refused change gives CF_INVALID_OBJECT_STATE. The table of the guide lacks some that are seen: a checker warns, no more.", "", "| from | to | cause |", "|---|---|---|")
	for _, t := range transitions {
		g.row(t.From, t.To, t.Cause)
	}
	g.line("")
	list("Dialog states", dialogStates)
	list("Call types", callTypes)
	list("Failure causes", failureCauses)
	list("Call variables", callVariables)
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
