package replay

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gctap/decode/flow"
)

// String writes an event as people name it.
func (e Event) String() string {
	s := e.Name
	if e.State != "" {
		s += " " + e.State
	}
	if e.Dialog != "" {
		s += " of " + e.Dialog
	}
	return s
}

// String says what is waited for.
func (c Cause) String() string {
	switch c.Kind {
	case ByBirth:
		return fmt.Sprintf("id %s from #%d", c.ID, c.Seq)
	default:
		return fmt.Sprintf("%s #%d %s", c.Kind, c.Seq, c.Event)
	}
}

// String names a command as people point at it.
func (s *Step) String() string {
	text := fmt.Sprintf("#%d %s of %s", s.Record.Seq, s.Name, s.Conversation)
	for _, use := range s.Uses {
		text += fmt.Sprintf(" %s=%s", use.Path, use.Value)
	}
	return text
}

// WriteText writes the plan for people: every command with its time and
// causes, the graph of ids, the stimuli, and how long a replay takes.
func (p *Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "plan: %d commands in %d conversations, %d stimuli, %s at speed 1\n",
		len(p.Steps), len(p.Conversations), len(p.Stimuli), p.Span.Round(time.Millisecond))
	if p.LeftOut > 0 {
		fmt.Fprintf(&b, "left out   %d commands\n", p.LeftOut)
	}
	for i := range p.Steps {
		p.Steps[i].write(&b)
	}
	p.writeIDs(&b)
	p.writeStimuli(&b)
	for _, u := range p.Unsent {
		fmt.Fprintf(&b, "not sent   #%d: %s\n", u.Seq, u.Reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Step) write(b *strings.Builder) {
	fmt.Fprintf(b, "%12s #%-6d %-16s %s", clock(s.At), s.Record.Seq, s.Conversation, s.Name)
	for _, use := range s.Uses {
		fmt.Fprintf(b, " %s=%s", use.Path, use.Value)
	}
	if s.Secret {
		b.WriteString(" (password to fill in)")
	}
	if s.Blocked != "" {
		fmt.Fprintf(b, " NOT SENT: %s", s.Blocked)
	}
	b.WriteByte('\n')
	for _, o := range s.Outside {
		fmt.Fprintf(b, "%21s UNMAPPED: %s %s is born in #%d, which the slice does not bring about\n", "", o.Path, o.Value, o.Born)
	}
	for _, c := range s.Causes {
		fmt.Fprintf(b, "%21s after %s\n", "", c)
	}
}

// clock writes a time since the start with milliseconds.
func clock(d time.Duration) string { return fmt.Sprintf("%.3fs", d.Seconds()) }

// writeIDs writes where each id is born and which commands use it.
func (p *Plan) writeIDs(b *strings.Builder) {
	users := map[string][]int64{}
	for i := range p.Steps {
		for _, use := range p.Steps[i].Uses {
			users[use.Value] = append(users[use.Value], p.Steps[i].Record.Seq)
		}
	}
	keys := make([]flow.Key, 0, len(p.Births))
	for key, id := range p.Births {
		if len(users[id]) > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b flow.Key) int {
		if c := strings.Compare(p.Births[a], p.Births[b]); c != 0 {
			return c
		}
		return strings.Compare(a.String(), b.String())
	})
	last := ""
	for _, key := range keys {
		id := p.Births[key]
		if id != last {
			fmt.Fprintf(b, "id         %s, used by %s\n", id, numbered(users[id]))
			last = id
		}
		fmt.Fprintf(b, "           born at %s\n", key)
	}
}

func numbered(seqs []int64) string {
	texts := make([]string, len(seqs))
	for i, n := range seqs {
		texts[i] = fmt.Sprintf("#%d", n)
	}
	return strings.Join(texts, " ")
}

func (p *Plan) writeStimuli(b *strings.Builder) {
	for i := range p.Stimuli {
		s := &p.Stimuli[i]
		fmt.Fprintf(b, "stimulus   %s #%d %s", clock(s.Due), s.Seq, waitsFor(s))
		if len(s.Dependents) > 0 {
			seqs := make([]int64, len(s.Dependents))
			for j, n := range s.Dependents {
				seqs[j] = p.Steps[n].Record.Seq
			}
			fmt.Fprintf(b, "; needed by %s", numbered(seqs))
		}
		b.WriteByte('\n')
	}
}

// stepJSON is a step as --dry-run --json prints it, one object a line.
type stepJSON struct {
	Seq          int64       `json:"seq"`
	At           float64     `json:"at"` // seconds since the first command
	Conversation string      `json:"conversation"`
	Name         string      `json:"name"`
	Causes       []causeJSON `json:"causes"`
	Uses         []useJSON   `json:"uses"`
	Password     bool        `json:"password"`
	Blocked      string      `json:"blocked,omitempty"`
	Unmapped     []bornJSON  `json:"unmapped,omitempty"` // of uses: the slice does not bring them about
}

type bornJSON struct {
	useJSON
	Born int64 `json:"born"` // seq
}

type causeJSON struct {
	Kind     CauseKind `json:"kind"`
	Seq      int64     `json:"seq"`
	Event    string    `json:"event"`
	Stimulus bool      `json:"stimulus"`
}

type useJSON struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// stimulusJSON is a stimulus as --dry-run --json prints it, and as a command
// that brings it about reads it.
type stimulusJSON struct {
	Stimulus flow.StimulusKind `json:"stimulus"` // call, hangup, reservation
	Seq      int64             `json:"seq"`      // of the event in the recording
	At       float64           `json:"at"`       // seconds since the first command
	Agent    string            `json:"agent"`
	Number   string            `json:"number"` // the other side's, empty where it is not known
	Dialog   string            `json:"dialog"`
	Type     string            `json:"type"` // call type; of a reservation the agent's state
	Vars     map[string]string `json:"variables,omitempty"`
	Needed   []int64           `json:"needed,omitzero"` // seqs of the commands that wait for it
}

func (s *Stimulus) json() stimulusJSON {
	return stimulusJSON{Stimulus: s.Kind, Seq: s.Seq, At: s.Due.Seconds(), Agent: s.Agent, Number: s.Number, Dialog: s.Dialog, Type: s.Type, Vars: s.Vars}
}

// MarshalJSON writes what somebody needs to bring the stimulus about.
func (s Stimulus) MarshalJSON() ([]byte, error) { return json.Marshal(s.json()) }

// WriteJSON writes one object for every step and then for every stimulus, a
// line each.
func (p *Plan) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	for i := range p.Steps {
		s := &p.Steps[i]
		j := stepJSON{Seq: s.Record.Seq, At: s.At.Seconds(), Conversation: s.Conversation, Name: s.Name, Password: s.Secret,
			Blocked: s.Blocked, Causes: []causeJSON{}, Uses: []useJSON{}}
		for _, c := range s.Causes {
			j.Causes = append(j.Causes, causeJSON{c.Kind, c.Seq, c.Event.String(), c.Stimulus >= 0})
		}
		for _, u := range s.Uses {
			j.Uses = append(j.Uses, useJSON{u.Path, u.Value})
		}
		for _, o := range s.Outside {
			j.Unmapped = append(j.Unmapped, bornJSON{useJSON{o.Path, o.Value}, o.Born})
		}
		if err := out.Encode(j); err != nil {
			return err
		}
	}
	for i := range p.Stimuli {
		s := &p.Stimuli[i]
		j := s.json()
		j.Needed = []int64{}
		for _, n := range s.Dependents {
			j.Needed = append(j.Needed, p.Steps[n].Record.Seq)
		}
		if err := out.Encode(j); err != nil {
			return err
		}
	}
	return nil
}

// NeedPasswords are the agents of the plan, in order, whose passwords are
// masked.
func (p *Plan) NeedPasswords() (agents []string) {
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Secret && s.Agent != "" && !slices.Contains(agents, s.Agent) {
			agents = append(agents, s.Agent)
		}
	}
	return agents
}
