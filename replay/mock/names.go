package mock

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"gctap/decode"
	"gctap/decode/flow"
)

// names are what the recording's names are for the clients.
type names struct {
	agents, exts, topics map[string]string
	parts                map[string]string // clients' agents: whom of the recording they play
	desks                map[string]string // recorded agent: the topic of who plays it
	ids                  map[string]string // of calls
	next                 int64             // the next id of a call
}

func newNames(first int64) *names {
	return &names{
		agents: map[string]string{}, exts: map[string]string{}, topics: map[string]string{}, parts: map[string]string{},
		desks: map[string]string{}, ids: map[string]string{}, next: first,
	}
}

// cast lets a client's agent play a recorded one.
func (n *names) cast(recorded, client string) { n.agents[recorded], n.parts[client] = client, recorded }

// of returns the client's name for one of the recording.
func (n *names) of(class decode.Class, recorded string) string {
	switch class {
	case decode.ClassAgent:
		return or(n.agents, recorded)
	case decode.ClassExt:
		return or(n.exts, recorded)
	case decode.ClassDest:
		return or(n.topics, recorded)
	case decode.ClassDialog:
		return or(n.ids, recorded)
	}
	return recorded
}

func or(m map[string]string, name string) string {
	if to, ok := m[name]; ok {
		return to
	}
	return name
}

// give gives the id of a call a new one.
func (n *names) give(recorded string) {
	n.ids[recorded] = strconv.FormatInt(n.next, 10)
	n.next++
}

// rewrite returns a recorded event in the clients' names. Ids of calls that
// have none yet get one.
func (n *names) rewrite(r *reply) ([]byte, error) {
	msg := flow.Decode(&r.rec, decode.Options{})
	values := scalars(&msg)
	changes := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(values)) {
		v := values[path]
		if v.class == decode.ClassDialog && n.ids[v.text] == "" {
			n.give(v.text)
		}
		if to := n.of(v.class, v.text); to != v.text {
			changes[path] = to
		}
	}
	if len(changes) == 0 {
		return r.rec.Body, nil
	}
	in, err := decode.Rewrite(&msg, changes)
	return in.Body, err
}

// value is one scalar of a message.
type value struct {
	text     string
	class    decode.Class
	volatile bool
}

// scalars lists the values of a message by their path, the agent in the head
// or JMSType among them.
func scalars(msg *decode.Message) map[string]value {
	all := map[string]value{}
	if msg.Agent != "" {
		all["agent"] = value{msg.Agent, decode.ClassAgent, false}
	}
	for i := range msg.Fields {
		if msg.Protocol == decode.GCJSON && msg.Fields[i].Name == "agentId" {
			continue // it is the agent
		}
		walk(all, msg, msg.Fields[i].Name, msg.Fields[i].Name, msg.Fields[i].Value)
	}
	return all
}

func walk(all map[string]value, msg *decode.Message, path, row string, v decode.Value) {
	v = v.Expand()
	switch v.Kind {
	case decode.KindRecord:
		for _, part := range v.Parts {
			walk(all, msg, path+"."+part.Name, row+"."+part.Name, part.Value)
		}
	case decode.KindList:
		for i, part := range v.Parts {
			walk(all, msg, path+"["+strconv.Itoa(i)+"]", row, part.Value)
		}
	default:
		text, ok := v.Scalar()
		if !ok || text == "" {
			return
		}
		trait := msg.Trait(row)
		class, volatile := trait.Class, trait.Volatile
		if strings.HasSuffix(row, "associatedDialogId") {
			class = decode.ClassDialog
		}
		if class == decode.ClassDialog && (text == "0" || strings.EqualFold(text, "null")) {
			return // no call
		}
		all[path] = value{text, class, volatile}
	}
}
