package decode

import "strings"

// A Spec is one row of the grammar: a command, a text event or a JSON event.
// Reader, writer, findings, explain and GRAMMAR.md all come from the rows; a
// new finding about the protocol is a change of a row and a case in testdata.
// Rows are shared: they must not be changed.
type Spec struct {
	Name     string   // canonical
	Protocol string   // GCText or GCJSON; the rows of GCText commands serve GCREST too
	Kind     string   // KindCommand or KindEvent
	Word     string   // as it is to be sent: word of the JMSType, event word, JSON type
	Aliases  []string // other words for it that are accepted, with a finding
	Seen     []string // spellings seen that differ in case only
	Group    string   // heading it stands under
	Category string   // the sources' own category
	Roles    []Role   // who sends the command, or whom the event is for
	Doc      string   // what it is for, one line
	Notes    []string // what the documents add, contradict or leave open
	Forms    []Form   // the first is the one that is written
	Choice   []Choice // how a form is chosen; empty: the first
	Headless bool     // the event may come, or always comes, without an id in front
	Cut      Cut      // how a command's body is cut
	Head     *Arg     // of a command: the field after '#' in the JMSType, where it is not an agent
	Realign  *Realign // where an unescaped '#' inside call variables can be undone
	Keys     []Key    // of a JSON event; of a command: further keys of its REST envelope

	Expects  []Sequence // of a command: the events that follow
	Errors   []string   // of a command: codes that may answer it
	Silent   bool       // of a command: success has no answer
	Answers  []string   // of an event: the commands it may answer
	Platform string     // UCCE or UCCX where it is one's only
	Sources  string     // numbers of the documents
	Disagree []string   // ids of the ambiguities that concern it (Ambiguities)
	Variant  string     // of a JSON event that is a variant
}

// Role is who sends a command or gets an event.
type Role string

// The roles.
const (
	Agent      Role = "agent"
	Supervisor Role = "supervisor"
	Admin      Role = "admin"
	Client     Role = "client"    // the program, whoever is logged in
	Connector  Role = "connector" // GC to GC
)

// Cut is how the body of a command becomes arguments.
type Cut uint8

// The cuts. WrapUp and UpdateCallVariable have an argument that may hold ','.
const (
	CutAll Cut = iota
	CutLast
	CutFirst
)

// A Form is one documented layout of a message.
type Form struct {
	Variant string // "" where there is one form
	Lead    *Arg   // of an event: the token between the id and the word, where there is one
	Args    []Arg
	Doc     string // when it is used
	Sources string
	Opaque  bool // the layout is not known: arguments go to the field args
	AllOr   int  // this many arguments or none (GetSkillGroup)
}

// An Arg is an argument, a part of a record or a piece's part.
type Arg struct {
	Name     string // field; "" for a literal word, which is no field
	Class    Class
	Values   *ValueList // closed list, where there is one
	Key      string     // keyed token or record part: its key, without the separator
	AltKey   string     // another key that is accepted with a finding
	Word     string     // literal word; the field it stands for is Of
	Of       string
	Shape    Shape
	Parts    []Arg // of records and pieces
	Cut      Cut   // how a piece is cut
	First    *Arg  // of bare call variables, the first is this field (old NewInboundCall)
	Optional bool
	Volatile bool // differs from run to run
	Hash     Hash
	Doc      string
}

// Class is what a value is; it says how it is trimmed and checked.
type Class uint8

// The classes of names.md.
const (
	ClassText Class = iota
	ClassSecret
	ClassWord
	ClassBool
	ClassNum
	ClassTime
	ClassAgent
	ClassExt
	ClassDialog
	ClassTeam
	ClassPhonebook
	ClassContact
	ClassDest
)

var classNames = [...]string{"text", "secret", "word", "bool", "num", "time", "agent", "ext", "dialog", "team", "phonebook", "contact", "dest"}

func (c Class) String() string { return classNames[c] }

// ID reports whether values of the class are ids, names of destinations or
// numbers of phones: what differs from site to site and is mapped in a replay.
func (c Class) ID() bool { return c >= ClassAgent }

// Shape is how an argument is built.
type Shape uint8

// The shapes. Key, where there is one, stands in front of each.
const (
	Scalar  Shape = iota
	List          // values separated by ','
	Pairs         // name=value separated by '|', or bare values separated by ','
	Pieces        // pieces separated by '|', their Parts by ','
	Records       // this and all further tokens: a record each, Parts Key:value separated by ','
	Users         // records separated by '|', Parts Key=value separated by ',' or a blank
	Group         // a part of a record that is itself a record (QueueList of UCCX)
	Literal       // the word Word, not a field
	Rest          // the rest of the body, '#' included
)

var shapeNames = [...]string{"", "list", "pairs", "pieces", "records", "users", "group", "word", "rest"}

func (s Shape) String() string { return shapeNames[s] }

// Hash says whether GC may have replaced a '#' in the value (names.md 1.8).
type Hash uint8

// The kinds of data in which '#' may have been replaced.
const (
	HashNone   Hash = iota
	HashText        // restored
	HashNumber      // never restored: it may be an ordinary number
)

// A Choice says when an event has a variant; the first that holds counts. All
// of its conditions that are set must hold; arguments count from 1 and are
// compared once trimmed, words without regard to case.
type Choice struct {
	Variant  string
	Min, Max int    // number of arguments; 0: no limit
	Arg      int    // this argument
	Word     string // is this word, or
	Key      string // begins with this key and ':'
	Empty    bool   // all arguments are empty
	Headless bool   // no id in front
	Controls bool   // the name stood at token 2 (DialogState)
	RecKey   string // the first record has this key

	form *Form
}

// Realign undoes an unescaped '#' inside call variables: with more than Over
// arguments, when the last argument with Key is number k and k > Home, then
// arguments Var to k-(Home-Var) are the call variables.
type Realign struct {
	Key             string
	Over, Home, Var int
}

// A Key is a key of a JSON event's outer object, or of a REST envelope.
type Key struct {
	Name     string // canonical
	Keys     []string
	Values   *ValueList
	Volatile bool
	Class    Class
}

// A ValueList is a closed list of values.
type ValueList struct {
	Name    string
	Values  []string
	Aliases [][2]string // spelling, value it stands for
	Also    []string    // accepted, outside the list proper
	fault   string      // finding text
	open    bool        // other values pass through: unknown-error-code
}

// standing is how a value stands to a closed list.
type standing uint8

const (
	inList standing = iota
	isAlias
	notInList
)

func (l *ValueList) check(v string) standing {
	for _, w := range l.Values {
		if equalFold(v, w) {
			return inList
		}
	}
	for _, w := range l.Also {
		if equalFold(v, w) {
			return inList
		}
	}
	for i := range l.Aliases {
		if equalFold(v, l.Aliases[i][0]) {
			return isAlias
		}
	}
	return notInList
}

// Canonical returns the list's own spelling of a value, aliases resolved; ok is
// false for a value outside the list.
func (l *ValueList) Canonical(v string) (canonical string, ok bool) {
	v = trimText(v)
	for _, w := range l.Values {
		if equalFold(v, w) {
			return w, true
		}
	}
	for _, w := range l.Also {
		if equalFold(v, w) {
			return w, true
		}
	}
	for _, a := range l.Aliases {
		if equalFold(v, a[0]) {
			return a[1], true
		}
	}
	return v, false
}

// form returns the form of a variant; nil when there is none.
func (s *Spec) form(variant string) *Form {
	for i := range s.Forms {
		if s.Forms[i].Variant == variant {
			return &s.Forms[i]
		}
	}
	return nil
}

// Form returns the form of a variant, "" being the newest; nil when there is
// no such variant.
func (s *Spec) Form(variant string) *Form {
	if variant == "" && len(s.Forms) > 0 {
		return &s.Forms[0]
	}
	return s.form(variant)
}

// Arg returns the argument that holds the field at a path, indexes left out
// ("participants.state", or with them "participants[0].state"); nil when no
// form of the row has it.
func (s *Spec) Arg(path string) *Arg {
	for i := range s.Forms {
		f := &s.Forms[i]
		if f.Lead != nil && f.Lead.Name == path {
			return f.Lead
		}
		if a := findArg(f.Args, path); a != nil {
			return a
		}
	}
	return nil
}

// A Trait is what the table says of a field's values.
type Trait struct {
	Class    Class
	Volatile bool       // differs from run to run
	Values   *ValueList // the closed list; nil when there is none
}

// Trait returns what the table says of the field at a path, indexes left out: of
// an argument, of a key of JSON, and of the client's topic in a command's JMSType.
// Where it says nothing, that is a text.
func (m *Message) Trait(path string) Trait {
	s := m.Spec()
	if s == nil {
		return Trait{}
	}
	a := s.Arg(path)
	if a == nil && s.Head != nil && s.Head.Name == path {
		a = s.Head
	}
	if a != nil {
		return Trait{a.Class, a.Volatile, a.Values}
	}
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Name == path {
			return Trait{k.Class, k.Volatile, k.Values}
		}
	}
	return Trait{}
}

func findArg(args []Arg, path string) *Arg {
	name, rest := cutPath(path)
	for i := range args {
		a := &args[i]
		if a.First != nil && a.First.Name == path {
			return a.First
		}
		if a.Name != name {
			continue
		}
		if rest == "" || a.Shape == Pairs {
			return a
		}
		return findArg(a.Parts, rest)
	}
	return nil
}

// cutPath cuts the first name off a path, its index dropped.
func cutPath(path string) (name, rest string) {
	i := strings.IndexAny(path, ".[")
	if i < 0 {
		return path, ""
	}
	name = path[:i]
	if path[i] == '[' {
		if j := strings.IndexByte(path[i:], ']'); j >= 0 {
			i += j + 1
		}
	}
	return name, strings.TrimPrefix(path[i:], ".")
}

// A wordTable finds rows by their words, folded.
type wordTable map[string]wordEntry

type wordEntry struct {
	spec  *Spec
	alias bool // another word, not only another case
}

func (t wordTable) add(word string, s *Spec, alias bool) {
	key := strings.ToLower(word)
	if _, ok := t[key]; !ok {
		t[key] = wordEntry{s, alias}
	}
}

// find looks a word up, in any case.
func (t wordTable) find(word string) (wordEntry, bool) {
	var buf [32]byte
	key, ok := fold(buf[:], word)
	if !ok {
		return wordEntry{}, false
	}
	e, ok := t[string(key)]
	return e, ok
}

func index(specs []*Spec) wordTable {
	t := make(wordTable, 2*len(specs))
	for _, s := range specs {
		t.add(s.Word, s, false)
		for _, w := range s.Aliases {
			t.add(w, s, true)
		}
	}
	return t
}

// bind completes rows: the protocol and kind of their table, and the forms of
// their choices.
func bind(specs []*Spec, protocol, kind string) []*Spec {
	for _, s := range specs {
		s.Protocol, s.Kind = protocol, kind
		if kind == KindCommand && s.Keys == nil {
			s.Keys = restKeys
		}
		for i := range s.Choice {
			s.Choice[i].form = s.form(s.Choice[i].Variant)
		}
	}
	return specs
}

var (
	commandRows = bind(commandTable, GCText, KindCommand)
	eventRows   = bind(eventTable, GCText, KindEvent)
	jsonRows    = bind(jsonTable, GCJSON, KindEvent)

	commandWords = index(commandRows)
	eventWords   = index(eventRows)
	jsonWords    = index(jsonRows)
)

// Commands returns the rows of the commands, in the order of the documents.
func Commands() []*Spec { return append([]*Spec(nil), commandRows...) }

// Events returns the rows of the text events.
func Events() []*Spec { return append([]*Spec(nil), eventRows...) }

// JSONEvents returns the rows of the JSON events. Two types, status and
// control, are variants of one name.
func JSONEvents() []*Spec { return append([]*Spec(nil), jsonRows...) }

// LookupCommand finds a command by its word or canonical name, in any case.
func LookupCommand(word string) *Spec { return lookup(commandRows, commandWords, word) }

// LookupEvent finds a text event by its word or canonical name, in any case.
func LookupEvent(word string) *Spec { return lookup(eventRows, eventWords, word) }

// LookupJSONEvent finds a JSON event by its type or canonical name, in any case.
func LookupJSONEvent(word string) *Spec { return lookup(jsonRows, jsonWords, word) }

func lookup(rows []*Spec, words wordTable, word string) *Spec {
	word = trimText(word)
	for _, s := range rows {
		if equalFold(s.Name, word) {
			return s
		}
	}
	if e, ok := words.find(word); ok {
		return e.spec
	}
	return nil
}

func lookupSpec(protocol, kind, name string) *Spec {
	switch {
	case protocol == GCJSON:
		return LookupJSONEvent(name)
	case kind == KindCommand && (protocol == GCText || protocol == GCREST):
		return LookupCommand(name)
	case kind == KindEvent && protocol == GCText:
		return LookupEvent(name)
	}
	return nil
}
