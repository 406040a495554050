package decode

// The JSON events (names.md section 4). Where a key has several spellings the
// first is the one that is written.

func key(name string, keys ...string) Key {
	if keys == nil {
		keys = []string{name}
	}
	return Key{Name: name, Keys: keys}
}

func checked(name string, list *ValueList, keys ...string) Key {
	k := key(name, keys...)
	k.Values = list
	return k
}

func volatile(k Key) Key                   { k.Volatile = true; return k }
func classed(k Key, class Class) Key       { k.Class = class; return k }
func jsonKeys(keys ...Key) []Key           { return append(keys, agentKey) }
func call(id Key, more ...Key) []Key       { return append(jsonKeys(id), more...) }
func jsonOnly(name string, l ...Key) []Key { return append([]Key{key(name)}, l...) }

var (
	agentKey  = classed(key("agentId"), ClassAgent)
	dialogKey = classed(volatile(key("dialogId", "dialogID")), ClassDialog)
	prevKey   = classed(volatile(key("associatedDialogId", "associatedDialogId", "prevDialogId")), ClassDialog)
	assKey    = classed(volatile(key("associatedDialogId", "assDialogId")), ClassDialog)
	stateKey  = checked("state", dialogStateList)
	startKey  = classed(volatile(key("startTime")), ClassTime)
	fromKey   = classed(key("fromAddress"), ClassExt)

	callKeys = call(dialogKey, stateKey, startKey, prevKey, fromKey, key("callVariables"), key("participants"), key("callType"), key("queueName"))
)

const listOfCalls = "Attributes may vary; dropped, conferenced and transferred calls have the type too: tell them apart by state."

var jsonTable = []*Spec{
	{Name: "System", Word: "System", Group: "JSON", Sources: "002, 003", Doc: "GC is, or is not, in service", Keys: []Key{checked("status", systemStatuses), agentKey}},
	{Name: "Error", Word: "Error", Group: "JSON", Sources: "002", Doc: "a command was refused", Keys: []Key{checked("errorCode", errorCodeList, "errorType"), key("errorMessage"), agentKey}},
	{Name: "ConnectStatus", Word: "ConnectStatus", Group: "JSON", Sources: "002", Doc: "Connect succeeded", Keys: []Key{key("status"), agentKey}, Answers: []string{"Connect"}, Disagree: []string{"A-08"}},
	{Name: "AgentInfo", Word: "AgentInfo", Group: "JSON", Sources: "002, 003", Doc: "who the agent is", Notes: []string{"totalNumberOfTeams in 002 only; the team object is not described."},
		Keys: jsonKeys(key("firstName"), key("lastName"), checked("supervisor", boolList), checked("wrapUpOnIncoming", wrapUpModes), key("totalNumberOfTeams"), key("teams"), key("team"))},
	{Name: "State", Word: "State", Group: "JSON", Sources: "002, 003", Doc: "the state of an agent", Notes: []string{"002 lists no agentId, 003 neither fullName, extension nor label."}, Disagree: []string{"A-44"},
		Keys: jsonKeys(checked("state", agentStateList), key("reasonCode"), classed(volatile(key("stateChangeTimeString")), ClassTime), checked("pendingState", agentStateList),
			classed(volatile(key("stateChangeTime")), ClassTime), key("fullName"), classed(key("extension"), ClassExt), key("label"))},
	{Name: "InboundCall", Word: "InboundCall", Group: "JSON", Sources: "002, 003", Doc: "the state of a call", Notes: []string{listOfCalls, "queueName is empty on ALERTING and filled on answering."}, Keys: callKeys, Disagree: []string{"A-44", "A-45"}},
	{Name: "OutboundCall", Word: "OutboundCall", Group: "JSON", Sources: "002", Doc: "the state of an outbound call or preview", Notes: []string{"003 gives the type InboundCall."}, Keys: callKeys, Disagree: []string{"A-46"}},
	{Name: "NewInboundCall", Word: "NewInboundCall", Group: "JSON", Sources: "002, 003", Doc: "a call rings",
		Keys: call(dialogKey, fromKey, key("callVariables"), key("callType"), key("queueName"))},
	{Name: "ConsultCall", Word: "ConsultCall", Group: "JSON", Sources: "002, 003", Doc: "the state of a consult call",
		Keys: call(assKey, stateKey, startKey, fromKey, classed(key("toAddress"), ClassExt), key("callVariables"), key("participants"), key("callType"), key("queueName"))},
	{Name: "DialogState", Word: "DialogState", Group: "JSON", Sources: "002, 003", Doc: "the state of the call asked for", Keys: jsonKeys(dialogKey, stateKey)},
	{Name: "ReasonCodes", Word: "ReasonCodes", Group: "JSON", Sources: "002, 003", Doc: "the reasons of a category", Keys: jsonKeys(checked("category", jsonCategories), key("reasonCodes")), Disagree: []string{"A-42"}},
	{Name: "AgentsList", Word: "Agents", Group: "JSON", Sources: "002, 003", Doc: "all agents that are logged in", Notes: []string{"In release 4.4 it may also be a team's users: it cannot be told apart."}, Keys: jsonOnly("users", agentKey), Disagree: []string{"A-47"}},
	{Name: "TeamUsersList", Word: "Team Agents", Group: "JSON", Sources: "002", Doc: "the members of a team", Keys: jsonOnly("users", agentKey), Disagree: []string{"A-47"}},
	{Name: "QueueList", Word: "Queue Stats", Group: "JSON", Sources: "002", Doc: "the queues and their figures", Keys: jsonOnly("queue", agentKey)},
	{Name: "Phonebooks", Word: "PhoneBook", Group: "JSON", Sources: "002, 003", Doc: "phonebooks", Notes: []string{"The keys are not documented."}, Keys: []Key{agentKey}},
	{Name: "TeamPhonebooks", Word: "Team PhoneBook", Group: "JSON", Sources: "002", Doc: "the phonebooks of a team", Notes: []string{"The keys are not documented."}, Keys: []Key{agentKey}},
	{Name: "PhonebookContacts", Word: "phoneBook_contacts", Group: "JSON", Sources: "002, 003", Doc: "the contacts of a phonebook", Notes: []string{"The keys are not documented."}, Keys: []Key{agentKey}},
	{Name: "Control", Word: "status", Variant: "status", Group: "JSON", Sources: "002", Doc: "a message to be shown", Notes: []string{"The keys are not documented."}, Keys: []Key{agentKey}},
	{Name: "Control", Word: "control", Variant: "control", Group: "JSON", Sources: "002", Doc: "a participant was dropped", Notes: []string{"The keys are not documented."}, Keys: []Key{agentKey}},
	{Name: "Callback", Word: "callback", Group: "JSON", Sources: "002", Doc: "a callback was scheduled, a call reclassified, or no data found", Notes: []string{"The keys are not documented."}, Keys: []Key{agentKey}, Disagree: []string{"A-48"}},
	{Name: "SkillGroups", Word: "skillGroup", Group: "JSON", Sources: "002", Doc: "skill groups", Keys: jsonOnly("skills", agentKey), Answers: []string{"GetSkillGroup"}},
	{Name: "Supervisors", Word: "supervisors", Group: "JSON", Sources: "002", Doc: "supervisors", Keys: jsonOnly("supervisors", agentKey), Answers: []string{"GetSupervisor"}},
	{Name: "AgentExtension", Word: "agentExtension", Group: "JSON", Sources: "002", Doc: "a mobile agent's port and number", Keys: jsonOnly("agentExtension", agentKey), Answers: []string{"GetAgentExtension"}},
}
