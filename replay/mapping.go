package replay

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"strings"

	"gctap/decode/flow"
)

// Mapping says which names of the recording become which names of the replay.
// A name that is not in it stays as it is, but for topics: those get a fresh
// one of the replay's own.
type Mapping struct {
	Agents map[string]string
	Exts   map[string]string // extensions and numbers
	Dests  map[string]string // queues and topics, bare
	Texts  map[string]string // whole values of any other kind: teams, phone books, reasons, variables
}

// Set takes in one --map argument: agent:1001=2001, ext:3001=4001, dest:A=B,
// text:5=12.
func (m *Mapping) Set(arg string) error {
	kind, pair, ok := strings.Cut(arg, ":")
	from, to, both := strings.Cut(pair, "=")
	if !ok || !both || from == "" || to == "" {
		return fmt.Errorf("map %q: write agent:OLD=NEW, ext:OLD=NEW, dest:OLD=NEW or text:OLD=NEW", arg)
	}
	set := func(into *map[string]string, from, to string) {
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[from] = to
	}
	switch kind {
	case "agent":
		set(&m.Agents, from, to)
	case "ext":
		set(&m.Exts, from, to)
	case "dest":
		set(&m.Dests, flow.Bare(from), flow.Bare(to))
	case "text":
		set(&m.Texts, from, to)
	default:
		return fmt.Errorf("map %q: there is no kind %q, only agent, ext, dest and text", arg, kind)
	}
	return nil
}

// Read takes in lines as Set takes them. Blank lines and lines that begin with
// # are skipped. An error names the line.
func (m *Mapping) Read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := m.Set(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

// clone returns a copy that may be added to.
func (m Mapping) clone() Mapping {
	return Mapping{Agents: cloned(m.Agents), Exts: cloned(m.Exts), Dests: cloned(m.Dests), Texts: cloned(m.Texts)}
}

func cloned(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

// own gives each client topic of the plan that is not mapped a fresh topic:
// gctap.replay.<run>.<n>.
func (m *Mapping) own(topics []string, run string) {
	for i, topic := range topics {
		if _, ok := m.Dests[topic]; !ok {
			m.Dests[topic] = fmt.Sprintf("gctap.replay.%s.%d", run, i+1)
		}
	}
}

// inverse turns a map around. Where two names became one, the first in the
// order of the names is given.
func inverse(m map[string]string) map[string]string {
	back := make(map[string]string, len(m))
	for from, to := range m {
		if old, ok := back[to]; !ok || from < old {
			back[to] = from
		}
	}
	return back
}

func mapped(m map[string]string, name string) string {
	if to, ok := m[name]; ok {
		return to
	}
	return name
}

// conversation maps the name of a conversation.
func conversation(agents, dests map[string]string, name string) string {
	switch prefix, rest, ok := strings.Cut(name, ":"); {
	case !ok:
		return mapped(agents, name)
	case prefix == "dest":
		return "dest:" + mapped(dests, rest)
	case prefix == "peer":
		return "peer:" + mapped(agents, rest)
	}
	return name
}
