package replay

import (
	"fmt"
	"strings"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// unmapped says why a step cannot be written for the new GC.
type unmapped struct{ reason string }

func (u *unmapped) Error() string { return u.reason }

// writer makes the messages of a replay out of those of the recording.
type writer struct {
	names       Mapping
	credentials Credentials
	ids         map[string]string // dialog ids: recording's to the new GC's
	queue       string            // "": as mapped
	decode      decode.Options
}

// write returns the message of a step. It fails with *unmapped when an id or a
// password that it needs is not known.
func (w *writer) write(step *Step) (capture.Outgoing, error) {
	msg := flow.Decode(&step.Record, w.decode)
	changes, err := w.changes(step, &msg)
	if err != nil {
		return capture.Outgoing{}, err
	}
	in := decode.Input{Type: step.Record.JMSType, Body: step.Record.Body}
	if len(changes) > 0 {
		if in, err = decode.Rewrite(&msg, changes); err != nil {
			return capture.Outgoing{}, &unmapped{fmt.Sprintf("%s cannot be rewritten: %v", step.Name, err)}
		}
	}
	out := capture.Outgoing{To: w.to(step.Record.To), JMSType: in.Type, Body: in.Body, CorrelationID: step.Record.CorrelationID,
		Headers: step.Record.Headers, Persistent: step.Record.Header("persistent") == "true"}
	if out.Body == nil {
		out.Body = []byte{}
	}
	if to := step.Record.ReplyTo; to != "" {
		out.ReplyTo = scheme(to) + mapped(w.names.Dests, flow.Bare(to))
	}
	return out, nil
}

// changes are the fields of a command that have to be rewritten.
func (w *writer) changes(step *Step, msg *decode.Message) (map[string]string, error) {
	changes := map[string]string{}
	set := func(path, old, new string) {
		if new != old {
			changes[path] = new
		}
	}
	set("agent", msg.Agent, mapped(w.names.Agents, msg.Agent))
	for _, use := range step.Uses {
		id, ok := w.ids[use.Value]
		if !ok {
			return nil, &unmapped{fmt.Sprintf("%s needs %s %s, which the new GC has not given", step.Name, use.Path, use.Value)}
		}
		set(use.Path, use.Value, id)
	}
	w.texts(msg, set)
	for i := range msg.Fields {
		path := msg.Fields[i].Name
		old, ok := msg.Fields[i].Value.Scalar()
		if !ok || old == "" {
			continue
		}
		switch msg.Trait(path).Class {
		case decode.ClassAgent:
			set(path, old, mapped(w.names.Agents, old))
		case decode.ClassExt:
			set(path, old, mapped(w.names.Exts, old))
		case decode.ClassDest:
			set(path, old, mapped(w.names.Dests, old))
		}
	}
	if dest := msg.Text("clientDestination"); dest != "" {
		set("clientDestination", dest, mapped(w.names.Dests, dest))
	}
	return changes, w.login(step, msg, changes)
}

// texts are the values of no other kind that have another name.
func (w *writer) texts(msg *decode.Message, set func(path, old, new string)) {
	if len(w.names.Texts) == 0 {
		return
	}
	for _, place := range msg.Places() {
		if old := msg.Text(place.Path); old != "" && flow.FreeText(msg.Trait(place.Path).Class) {
			set(place.Path, old, mapped(w.names.Texts, old))
		}
	}
}

// variables are those of a call, by the names that the replay has for them.
func (w *writer) variables(vars map[string]string) map[string]string {
	if len(w.names.Texts) == 0 || vars == nil {
		return vars
	}
	named := make(map[string]string, len(vars))
	for name, value := range vars {
		named[name] = mapped(w.names.Texts, value)
	}
	return named
}

// login fills in the password, and the extension where the credentials give one.
func (w *writer) login(step *Step, msg *decode.Message, changes map[string]string) error {
	if !step.Secret && len(step.Masked) == 0 {
		return nil
	}
	agent := mapped(w.names.Agents, msg.Agent)
	c, ok := w.credentials[agent]
	if !ok && step.Secret {
		return &unmapped{fmt.Sprintf("%s needs the password of agent %s, which no credentials give", step.Name, agent)}
	}
	if step.Secret {
		changes["password"] = c.Password
	}
	if _, has := msg.Get("extension"); has && c.Extension != "" {
		changes["extension"] = c.Extension
	}
	for _, field := range step.Masked {
		if _, given := changes[field]; !given {
			return &unmapped{fmt.Sprintf("%s has a masked %s, which no credentials give", step.Name, field)}
		}
	}
	return nil
}

// to returns where a command of the recording goes now.
func (w *writer) to(recorded string) string {
	if w.queue != "" {
		return "queue://" + w.queue
	}
	return "queue://" + mapped(w.names.Dests, flow.Bare(recorded))
}

func scheme(destination string) string {
	if kind, _, ok := strings.Cut(destination, "://"); ok && kind != "temp-topic" {
		return kind + "://"
	}
	return "topic://"
}
