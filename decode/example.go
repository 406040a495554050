package decode

import "fmt"

// FromJSON reads the object that AppendJSON writes, or as much of it as there
// is: protocol, kind, name, variant, agent and fields. Other keys are not
// looked at. The message is one to be written with Encode.
func FromJSON(line []byte) (Message, error) {
	d := decoder{src: source{text: string(line)}}
	text := d.src.text
	list, end, ok := readMembers(text, skipSpace(text, 0), nil)
	if ok {
		end = skipSpace(text, end)
		ok = end == len(text)
	}
	if !ok {
		return Message{}, fmt.Errorf("not a JSON object from byte %d on", end)
	}
	if !beginsJSON(text) || text[skipSpace(text, 0)] != '{' {
		return Message{}, fmt.Errorf("not a JSON object")
	}
	var m Message
	keys := map[string]*string{"protocol": &m.Protocol, "kind": &m.Kind, "name": &m.Name, "variant": &m.Variant, "agent": &m.Agent}
	for _, mem := range list {
		var v Value
		d.jsonValue(&v, mem.value)
		if target := keys[mem.key]; target != nil {
			if v.Kind != KindText {
				return Message{}, &FieldError{Field: mem.key, Reason: "not a string"}
			}
			*target = v.Text
		}
		if mem.key == "fields" {
			if v = v.Expand(); v.Kind != KindRecord {
				return Message{}, &FieldError{Field: "fields", Reason: "not an object"}
			}
			set := nameSet{}
			for _, f := range v.Parts {
				e, _ := set.put(f.Name)
				*e = f.Value
				e.flags |= valueBuilt
			}
			m.Fields = set.fields
		}
	}
	return m, nil
}

// Example returns a message of the form with made-up values, to be shown to
// people. The form is one of s.Forms; nil for a JSON event.
func (s *Spec) Example(f *Form) Message {
	m := Message{Protocol: s.Protocol, Kind: s.Kind, Name: s.Name, Variant: s.Variant, Agent: "1001"}
	if s.Protocol == GCJSON {
		for _, k := range s.Keys {
			m.Fields = append(m.Fields, Field{k.Name, exampleKey(&k)})
		}
		return m
	}
	m.Variant = f.Variant
	if s.Head != nil {
		m.Agent = ""
		m.Fields = append(m.Fields, F(s.Head.Name, sampleOf(s.Head)))
	}
	if headlessOnly(s) || f.Variant == "admin" {
		m.Agent = ""
	}
	if f.Lead != nil {
		m.Fields = append(m.Fields, F(f.Lead.Name, sampleOf(f.Lead)))
	}
	if f.Opaque {
		m.Fields = append(m.Fields, Field{"args", ListOf(TextOf("0612345678"), TextOf("BACampaign=Autumn"))})
	}
	for i := range f.Args {
		a := &f.Args[i]
		if a.Shape == Literal {
			continue
		}
		if v, ok := s.fixed(f, i); ok {
			m.Fields = append(m.Fields, F(a.Name, v))
			continue
		}
		m.Fields = append(m.Fields, Field{a.Name, a.example(f)})
	}
	return m
}

// headlessOnly reports whether an event is written without an id in front.
// Calls are printed so, but have one on the wire (inventory A-06).
func headlessOnly(s *Spec) bool {
	return s.Headless && (s.Group == "System" || s.Name == "AgentState")
}

// fixed returns the value that an argument must have for the form to be chosen.
func (s *Spec) fixed(f *Form, i int) (string, bool) {
	for _, c := range s.Choice {
		if c.form != f {
			continue
		}
		if c.Empty {
			return "", true
		}
		if c.Word != "" && c.Arg == i+1 {
			return c.Word, true
		}
	}
	return "", false
}

// example returns a made-up value of the argument.
func (a *Arg) example(f *Form) Value {
	switch a.Shape {
	case List:
		return ListOf(TextOf(sampleOf(a)), TextOf(another(sampleOf(a))))
	case Pairs:
		return RecordOf(F("ani", "42512"), F("callVariable1", "Gold"))
	case Pieces, Users:
		return ListOf(exampleRecord(a.Parts, f))
	case Records:
		if f.Variant == "empty" {
			return ListOf()
		}
		return ListOf(exampleRecord(a.Parts, f))
	case Group:
		return exampleRecord(a.Parts, f)
	}
	return TextOf(sampleOf(a))
}

func exampleRecord(parts []Arg, f *Form) Value {
	var fields []Field
	for i := range parts {
		fields = append(fields, Field{parts[i].Name, parts[i].example(f)})
	}
	return RecordOf(fields...)
}

func exampleKey(k *Key) Value {
	switch k.Name {
	case "users", "queue", "teams", "participants", "skills", "supervisors":
		return JSONOf("[]")
	case "callVariables", "reasonCodes", "team", "agentExtension":
		return JSONOf("{}")
	case "agentId":
		return TextOf("1001")
	}
	return TextOf(sampleOf(&Arg{Name: k.Name, Class: k.Class, Values: k.Values}))
}

// samples are made-up values by field.
var samples = map[string]string{
	"firstName": "Ana", "lastName": "Cruz", "fullName": "Ana Cruz", "fullName2": "Ana Cruz", "loginName": "acruz", "label": "Lunch",
	"message": "Participant dropped", "queueName": "Sales", "name": "Sales", "description": "Taxi", "callback": "callback scheduled",
	"wrapUpReason": "Sale", "callType": "ACD_IN", "deviceType": "AGENT_DEVICE", "mediaType": "VOICE", "type": "TEAM", "reason": "",
	"failureCause": "BUSY", "value": "REX_VOICE", "index": "1", "visible": "true", "labels": "Lunch", "teamNames": "Sales", "sso": "SSO",
	"fNumber": "F1001", "dialogType": "InboundCall", "state": "ACTIVE", "stateChangeTimeString": "", "pendingState": "", "status": "IN_SERVICE",
	"supervisor": "false", "category": "NOT_READY", "associatedDialogId": "16804380", "associatedState": "HELD", "callbackTime": "11302026 09:30",
	"toAddress": "3002", "clientDestination": "192.168.1.72", "longestCallInQueue": "00:03:12", "longestHandleTime": "00:21:09",
	"errorCode": "CF_INVALID_OBJECT_STATE", "teamId": "5", "team": "5", "reasonCode": "12", "participantsCount": "1", "totalNumberOfTeams": "1",
}

func sampleOf(a *Arg) string {
	if a.Values == agentStateList && a.Name == "state" {
		return "READY"
	}
	if v, ok := samples[a.Name]; ok && (a.Values == nil || a.Values.check(v) == inList || v == "") {
		return v
	}
	if a.Values != nil {
		return a.Values.Values[0]
	}
	switch a.Class {
	case ClassSecret:
		return "s3cret"
	case ClassNum:
		return "2"
	case ClassTime:
		return "2026-11-21 09:02:00"
	case ClassAgent:
		return "1001"
	case ClassExt:
		return "3001"
	case ClassDialog:
		return "16804378"
	case ClassTeam, ClassPhonebook, ClassContact:
		return "25"
	}
	return "text"
}

func another(s string) string {
	if s != "" && digit(s[len(s)-1]) {
		return s[:len(s)-1] + string('0'+(s[len(s)-1]-'0'+1)%10)
	}
	return s + " 2"
}
