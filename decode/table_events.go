package decode

// The text events. The word is the name unless Word differs. Events that
// stand headless in the documents (names.md 1.3) have no id in front; with one
// they are accepted too.

func textArg(name, doc string) Arg  { return Arg{Name: name, Doc: doc} }
func hashText(name, doc string) Arg { return Arg{Name: name, Hash: HashText, Doc: doc} }
func timeArg(name, doc string) Arg {
	return Arg{Name: name, Class: ClassTime, Volatile: true, Doc: doc}
}
func extArg(name, doc string) Arg    { return Arg{Name: name, Class: ClassExt, Doc: doc} }
func wordArg(name, doc string) Arg   { return Arg{Name: name, Class: ClassWord, Doc: doc} }
func variables(name, doc string) Arg { return Arg{Name: name, Shape: Pairs, Hash: HashText, Doc: doc} }

func dialogID(name, key, doc string) Arg {
	return Arg{Name: name, Class: ClassDialog, Key: key, Volatile: true, Doc: doc}
}

func stateOf(name string, list *ValueList, doc string) Arg {
	return Arg{Name: name, Class: ClassWord, Values: list, Doc: doc}
}

func keyed(key string, a Arg) Arg { a.Key = key; return a }

// num is a figure of a queue, its key the name with a capital letter.
func num(name, key string) Arg { return Arg{Name: name, Class: ClassNum, Key: key} }

var (
	dialogState = stateOf("state", dialogStateList, "state of the call")
	mainDialog  = dialogID("dialogId", "DialogID", "id of the call")
	assDialog   = dialogID("associatedDialogId", "AssDialogID", "id of the consult call")
	fullNameArg = textArg("fullName", "the agent's full name")
	fromArg     = extArg("fromAddress", "who calls; in preview reservations the dialer's port")
	callVarsArg = variables("callVariables", "name=value separated by |; old forms: bare values separated by ,")
	// dialogTypeArg has values that are not documented.
	dialogTypeArg = Arg{Name: "dialogType", Class: ClassWord, Doc: "type of the dialog"}
	oldVarsArg    = Arg{Name: "callVariables", Shape: Pairs, Hash: HashText, Doc: callVarsArg.Doc, First: &Arg{Name: "ani", Class: ClassExt, Hash: HashNumber, Doc: "caller's number"}}
	startTimeArg  = timeArg("startTime", "when the call began, local time without a zone")
	callTypeArg   = keyed("CallType", wordArg("callType", "open list; SM is SUPERVISOR_MONITOR"))
	teamArg       = Arg{Name: "team", Class: ClassTeam, Doc: "the agent's team"}
	causeArg      = wordArg("failureCause", "BAD_DESTINATION, BUSY, DEVICE_RESOURCE_NOT_AVAILABLE, OTHER")

	agentHead = []Arg{textArg("firstName", "the agent's first name"), textArg("lastName", "the agent's last name"),
		{Name: "supervisor", Class: ClassBool, Values: boolList, Doc: "whether the agent is a supervisor"},
		{Name: "wrapUpOnIncoming", Class: ClassWord, Values: wrapUpModes, Doc: "wrap-up mode"}}
	teamsArgs = []Arg{{Name: "totalNumberOfTeams", Class: ClassNum, Key: "TotalNumberOfTeams", Doc: "how many teams follow"},
		{Name: "teams", Shape: Pieces, Doc: "the supervisor's teams", Cut: CutFirst, Parts: []Arg{{Name: "id", Class: ClassTeam}, {Name: "name"}}}}

	participantParts = []Arg{extArg("address", "extension or number"), stateOf("state", dialogStateList, "the participant's state"),
		wordArg("deviceType", "AGENT_DEVICE and others; the word NULL for none"), wordArg("reason", "SUPERVISOR_BARGE_IN or empty"), timeArg("time", "since when")}
)

func join(lists ...[]Arg) []Arg {
	var all []Arg
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

var (
	queueUCCE = []Arg{keyed("QueueName", textArg("queueName", "")), num("agentsNotReady", "AgentsNotReady"), num("agentsReady", "AgentsReady"),
		num("agentsTalkingInbound", "AgentsTalkingInbound"), num("agentsTalkingInternal", "AgentsTalkingInternal"),
		num("agentsTalkingOutbound", "AgentsTalkingOutbound"), num("agentsWrapUpNotReady", "AgentsWrapUpNotReady"),
		num("agentsWrapUpReady", "AgentsWrapUpReady"), num("callsInQueue", "CallsInQueue"),
		keyed("StartTimeOfLongestCallInQueue", timeArg("startTimeOfLongestCallInQueue", "empty when no call waits"))}

	queueSnapShot = []Arg{num("waitingCalls", "WaitingCalls"), num("agentsLoggedIn", "AgentsLoggedIn"), num("agentsReady", "AgentsReady"),
		num("agentsNotReady", "AgentsNotReady"), num("agentsInAfterCallWork", "AgentsInAfterCallWork"), num("agentsTalking", "AgentsTalking"),
		num("agentsReserved", "AgentsReserved")}

	queueMidNight = []Arg{num("waitingCalls", "WaitingCalls"), num("handledCalls", "HandledCalls"), num("abandonedCalls", "AbandonedCalls"),
		num("totalCalls", "TotalCalls"), keyed("LongestCallInQueue", timeArg("longestCallInQueue", "")),
		keyed("LongestHandleTime", timeArg("longestHandleTime", "longest talk time"))}

	queueUCCXSupervisor = []Arg{keyed("QueueName", textArg("queueName", "")),
		{Name: "snapShot", Key: "SnapShot", Shape: Group, Parts: queueSnapShot, Doc: "now"},
		{Name: "sinceMidNight", Key: "SinceMidNight", Shape: Group, Parts: queueMidNight, Doc: "since midnight; totalCalls are those presented to the queue"}}

	queueUCCXAgent = []Arg{keyed("QueueName", textArg("queueName", "")), num("waitingCalls", "WaitingCalls"),
		keyed("LongestCallInQueue", timeArg("longestCallInQueue", ""))}

	userParts = []Arg{keyed("LoginId", Arg{Name: "loginId", Class: ClassAgent}), keyed("Name", textArg("name", "")), keyed("Extension", extArg("extension", "")),
		keyed("State", stateOf("state", agentStateList, "")), keyed("Team", textArg("team", ""))}

	teamUserParts = []Arg{keyed("FirstName", hashText("firstName", "")), keyed("LastName", hashText("lastName", "")),
		{Name: "extension", Class: ClassExt, Key: "Extension", Hash: HashNumber}, {Name: "loginId", Class: ClassAgent, Key: "LoginID", Hash: HashNumber},
		keyed("State", stateOf("state", agentStateList, "")), keyed("PendingState", stateOf("pendingState", agentStateList, "UCCE only")),
		keyed("MediaType", wordArg("mediaType", "")), keyed("StateChangeTime", timeArg("stateChangeTime", "older builds: Java Date text")),
		keyed("Label", hashText("label", "of the reason"))}

	phonebookParts = []Arg{keyed("name", hashText("name", "")), keyed("type", wordArg("type", "GLOBAL or TEAM")),
		{Name: "id", Class: ClassPhonebook, Key: "id", Hash: HashNumber}}

	contactParts = []Arg{keyed("description", hashText("description", "")), keyed("firstName", hashText("firstName", "")), keyed("lastName", hashText("lastName", "")),
		{Name: "phoneNumber", Class: ClassExt, Key: "phoneNumber", Hash: HashNumber}, {Name: "id", Class: ClassContact, Key: "id", Hash: HashNumber}}
)

func records(name string, parts []Arg, doc string) Arg {
	return Arg{Name: name, Shape: Records, Parts: parts, Doc: doc}
}

// bookForms are the forms of the three phonebook events: a list, the same
// without an id in front, and a word that says there is none.
func bookForms(field, none string, parts []Arg) []Form {
	list := []Arg{records(field, parts, "one token each")}
	return []Form{
		{Variant: "list", Args: list, Sources: "000, 001"},
		{Variant: "admin", Args: list, Doc: "no id in front (administrator function)", Sources: "003"},
		{Variant: "none", Args: []Arg{{Shape: Literal, Word: none, Of: field}}, Doc: "there is none", Sources: "000, 001"},
	}
}

func bookChoice(none string) []Choice {
	return []Choice{{Variant: "none", Min: 1, Max: 1, Arg: 1, Word: none}, {Variant: "admin", Headless: true}, {Variant: "list"}}
}

var eventTable = []*Spec{
	// System
	{Name: "System", Word: "System", Headless: true, Group: "System", Category: "system", Roles: []Role{Client}, Sources: "001, 003",
		Doc: "GC is, or is not, in service", Notes: []string{"Answer to Hello and Beat, and sent by itself. After OUT_OF_SERVICE GC takes no commands."},
		Forms: args(stateOf("status", systemStatuses, "IN_SERVICE or OUT_OF_SERVICE")), Answers: []string{"Hello", "Beat"}},
	{Name: "Destination", Word: "DESTINATION", Headless: true, Group: "System", Category: "agent_state", Roles: []Role{Client}, Sources: "001, 003",
		Doc: "GC does not know the client's topic: Connect and Login again for all agents", Answers: []string{"Beat"}, Disagree: []string{"A-21"},
		Forms: args(Arg{Name: "clientDestination", Class: ClassDest, Volatile: true, Doc: "the client's topic"}, stateOf("action", destinationActions, "the word RECONNECT"))},
	{Name: "Callback", Word: "CallBack", Headless: true, Group: "System", Category: "Info", Roles: []Role{Agent}, Sources: "001",
		Doc: "a callback was scheduled, changed, cancelled or reclassified", Notes: []string{"The text is not documented.", "No id in front: whose callback it is, is not said."},
		Forms: args(textArg("callback", "free text")), Answers: []string{"ScheduleCallback", "UpdateCallback", "CancelScheduledCallback", "ReclassifyCall"}, Disagree: []string{"A-22", "A-48"}},
	{Name: "Error", Word: "Error", Group: "System", Category: "agent_error", Roles: []Role{Agent, Supervisor}, Sources: "001, 003",
		Doc: "a command was refused, or a session ended", Notes: []string{"Which command is not said: match by agent and order."},
		Forms: args(Arg{Name: "errorCode", Class: ClassWord, Values: errorCodeList, Doc: "see the error codes"}), Disagree: []string{"A-33"}},

	// Agent
	{Name: "AgentInfo", Word: "AgentInfo", Group: "Agent", Category: "agent_info", Roles: []Role{Agent, Supervisor}, Sources: "000, 001, 003",
		Doc: "who the agent is; once a session, after Login", Answers: []string{"Login", "MobileAgentLogin"}, Disagree: []string{"A-56"},
		Notes: []string{"On the wire a ',' separates id and name of a team; 001 prints none."},
		Forms: []Form{
			{Variant: "agent", Args: join(agentHead, []Arg{teamArg, fullNameArg, textArg("loginName", "")}), Doc: "of an agent", Sources: "000, 001"},
			{Variant: "supervisor", Args: join(agentHead, teamsArgs, []Arg{teamArg, fullNameArg, textArg("loginName", "")}), Doc: "of a supervisor", Sources: "000, 001"},
			{Variant: "old", Args: join(agentHead, []Arg{fullNameArg}), Doc: "older releases", Sources: "003"},
			{Variant: "supervisor-old", Args: join(agentHead, teamsArgs, []Arg{fullNameArg, {Name: "loginName", Optional: true}}), Doc: "of a supervisor, before 2022", Sources: "a running client"},
		},
		Choice: []Choice{{Variant: "supervisor", Arg: 5, Key: "TotalNumberOfTeams", Min: 9}, {Variant: "supervisor-old", Arg: 5, Key: "TotalNumberOfTeams"},
			{Variant: "old", Max: 5}, {Variant: "agent"}}},
	{Name: "State", Word: "State", Group: "Agent", Category: "agent_state", Roles: []Role{Agent, Supervisor}, Sources: "000, 001, 003",
		Doc: "the state of an agent", Notes: []string{"The id in front is the receiver; agentId is the agent whose state it is: a supervisor gets those of the members too.",
			"fullName2 is the second full name of the layout; whose it is, is not known.", "reasonCode is -1 for LOGOUT and the first NOT_READY, empty for READY."},
		Forms: []Form{
			{Variant: "normal", Sources: "000, 001", Args: []Arg{stateOf("state", agentStateList, "the new state"), {Name: "reasonCode", Class: ClassNum, Hash: HashNumber, Doc: "why"},
				timeArg("stateChangeTimeString", "not used"), stateOf("pendingState", agentStateList, "state to come, UCCE only"), timeArg("stateChangeTime", "since when, local time without a zone"),
				hashText("fullName", ""), {Name: "agentId", Class: ClassAgent, Hash: HashNumber, Doc: "the agent concerned"}, {Name: "extension", Class: ClassExt, Hash: HashNumber},
				hashText("label", "of the reason"), hashText("fullName2", ""), hashText("loginName", "")}},
			{Variant: "old", Sources: "003", Doc: "older releases", Args: []Arg{stateOf("state", agentStateList, ""), hashText("fullName", "")}},
			{Variant: "re-login", Sources: "001, 003", Doc: "GC does not know the agent: Connect and Login again", Args: []Arg{stateOf("state", agentStateList, "the word RE_LOGIN")}},
		},
		Choice: []Choice{{Variant: "re-login", Min: 1, Max: 1, Arg: 1, Word: "RE_LOGIN"}, {Variant: "old", Max: 2}, {Variant: "normal"}},
		Answers: []string{"Login", "MobileAgentLogin", "Logout", "LogoutWithReason", "ForceLogout", "GetState", "MakeNotReady", "MakeNotReadyWithReason",
			"MakeReady", "MakeWorkReady", "MakeWorkNotReady", "MakeCall", "ReleaseCall", "BlindTransfer", "TransferCall"}, Disagree: []string{"A-40", "A-43", "A-55"}},
	{Name: "ReasonCodes", Word: "ReasonCodes", Group: "Agent", Category: "agent_work", Roles: []Role{Agent}, Sources: "001, 003",
		Doc: "the reasons of a category, codes and labels", Notes: []string{"001's cells of expected events call it ReasonCode."},
		Forms: []Form{
			{Variant: "normal", Sources: "001", Args: []Arg{keyed("Category", stateOf("category", textCategories, "")), {Name: "codes", Class: ClassNum, Shape: List},
				{Name: "labels", Key: "Labels", Shape: List}, fullNameArg}},
			{Variant: "codes-key", Sources: "003", Args: []Arg{keyed("Category", stateOf("category", textCategories, "")), {Name: "codes", Class: ClassNum, Key: "Codes", AltKey: "Codes", Shape: List},
				{Name: "labels", Key: "Labels", Shape: List}, fullNameArg}},
		},
		Choice:  []Choice{{Variant: "codes-key", Arg: 2, Key: "Codes"}, {Variant: "normal"}},
		Answers: []string{"ReasonCodeLogout", "ReasonCodeNotReady", "WrapUpReasonCode"}, Disagree: []string{"A-24", "A-42"}},
	{Name: "AgentState", Word: "AgentState", Headless: true, Group: "Agent", Category: "connector_sync", Roles: []Role{Connector}, Sources: "003",
		Doc: "GC to GC on the topic ConnectorSync: an agent has logged in", Notes: []string{"Carries the password in clear. Not for clients."},
		Forms: args(Arg{Name: "agentId", Class: ClassAgent}, passwordArg, extArg("extension", ""), timeArg("subscriptionTime", ""))},

	// Calls
	{Name: "NewInboundCall", Word: "NewInboundCall", Headless: true, Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 003",
		Doc: "a call rings", Notes: []string{"Printed without the id; on the wire it has it."},
		Forms: []Form{
			{Variant: "normal", Sources: "001", Args: []Arg{fromArg, callVarsArg, mainDialog, callTypeArg, startTimeArg}},
			{Variant: "old", Sources: "003", Doc: "older releases; of bare call variables the first is the field ani", Args: []Arg{fromArg, oldVarsArg, mainDialog}},
		},
		Realign: &Realign{Key: "DialogID", Home: 3, Var: 2},
		Choice:  []Choice{{Variant: "normal", Min: 4}, {Variant: "old"}}, Disagree: []string{"A-06", "A-25", "A-54"}},
	{Name: "InboundCall", Word: "InboundCall", Headless: true, Group: "Calls", Category: "agent_call", Roles: []Role{Agent, Supervisor}, Sources: "001, 003",
		Doc: "the state of a call, outgoing ones too", Notes: []string{"Printed without the id; on the wire it has it.", "Usual order: INITIATING, INITIATED, ALERTING, ACTIVE, HELD and ACTIVE again, DROPPED."},
		Forms: []Form{
			{Variant: "normal", Sources: "001", Args: []Arg{dialogState, mainDialog, fromArg, callVarsArg, startTimeArg, callTypeArg,
				{Name: "participantsCount", Class: ClassNum, Key: "ParticipantsCount"}, {Name: "participants", Key: "participants", Shape: Pieces, Parts: participantParts}}},
			{Variant: "failure", Sources: "001", Doc: "the call failed", Args: []Arg{dialogState, mainDialog, causeArg, fullNameArg}},
			{Variant: "old", Sources: "003", Doc: "older releases", Args: []Arg{dialogState, mainDialog, fullNameArg}},
			{Variant: "old-no-dialog", Sources: "003", Doc: "older releases, not for failed, dropped, deleted, held and wrap-up", Args: []Arg{dialogState, fullNameArg}},
		},
		Realign: &Realign{Key: "CallType", Over: 8, Home: 6, Var: 4},
		Choice: []Choice{{Variant: "failure", Min: 4, Max: 4, Arg: 1, Word: "FAILED"}, {Variant: "normal", Min: 4}, {Variant: "old", Min: 3},
			{Variant: "old", Min: 2, Arg: 2, Key: "DialogID"}, {Variant: "old-no-dialog"}},
		Answers: []string{"MakeCall", "AnswerCall", "ReleaseCall", "HoldCall", "RetrieveCall", "BlindTransfer", "TransferCall", "ConferenceCall", "UpdateCallVariable",
			"SilentMonitor", "EndSilentMonitor", "DropParticipant", "BargeIn", "AcceptOutboundPreview", "RejectOutboundPreview", "CloseOutboundPreview",
			"ScheduleCallback", "UpdateCallback", "CancelScheduledCallback", "ReclassifyCall"},
		Disagree: []string{"A-06", "A-25", "A-26", "A-41", "A-54"}},
	{Name: "NewOutboundCall", Word: "NewOutboundCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "003",
		Doc: "an outbound call was put through to the agent", Forms: args(fromArg, callVarsArg, mainDialog), Realign: &Realign{Key: "DialogID", Home: 3, Var: 2}, Disagree: []string{"A-46"}},
	{Name: "NewOutboundPreviewCall", Word: "NewOutboundPreviewCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001",
		Doc: "an outbound call is offered for preview", Notes: []string{"The layout is not known: the arguments are the field args."},
		Forms: []Form{{Opaque: true}}, Disagree: []string{"A-27", "A-46"}},
	{Name: "ConsultCall", Word: "ConsultCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 003",
		Doc: "the state of a consult call", Notes: []string{"001's title says DialogState (copy error)."},
		Forms: []Form{
			{Variant: "normal", Sources: "001", Args: []Arg{dialogState, assDialog, fromArg, callVarsArg, fullNameArg}},
			{Variant: "failure", Sources: "001", Doc: "the call failed", Args: []Arg{dialogState, assDialog, causeArg, fullNameArg}},
			{Variant: "old", Sources: "003", Doc: "older releases", Args: []Arg{dialogState, assDialog}},
		},
		Choice:  []Choice{{Variant: "normal", Min: 5}, {Variant: "failure", Min: 3, Arg: 1, Word: "FAILED"}, {Variant: "normal", Min: 3}, {Variant: "old"}},
		Answers: []string{"ConsultCall", "BlindTransfer", "TransferCall", "ConferenceCall", "BargeIn"}, Disagree: []string{"A-25", "A-26"}},
	{Name: "DialogStatus", Word: "DialogStatus", Headless: true, Group: "Calls", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 003",
		Doc: "the calls an agent has, after Login or a failover", Notes: []string{"On failover, says 003, states and call type are in the JMSType; it is kept, not decoded."},
		Forms: []Form{
			{Variant: "normal", Sources: "001", Args: []Arg{dialogID("dialogId", "", "id of the call"), stateOf("state", statusStateList, "its state"), fromArg, callVarsArg,
				dialogID("associatedDialogId", "", "id of the associated call"), stateOf("associatedState", statusStateList, "its state"),
				extArg("associatedFromAddress", ""), variables("associatedCallVariables", "")}},
			{Variant: "failover", Sources: "003", Doc: "after a failover", Args: []Arg{dialogID("dialogId", "", "id of the call"), stateOf("state", statusStateList, "its state"),
				dialogID("associatedDialogId", "", "id of the associated call"), stateOf("associatedState", statusStateList, "its state")}},
			{Variant: "none", Sources: "001", Doc: "no call", Args: []Arg{dialogID("dialogId", "", "empty"), stateOf("state", statusStateList, "empty"), dialogID("associatedDialogId", "", "empty")}},
		},
		Choice:  []Choice{{Variant: "none", Min: 3, Max: 3, Empty: true}, {Variant: "failover", Max: 4}, {Variant: "normal"}},
		Answers: []string{"Login", "MobileAgentLogin"}, Disagree: []string{"A-05", "A-23"}},
	{Name: "DialogState", Word: "DialogState", Group: "Calls", Category: "agent_dialog", Roles: []Role{Agent}, Sources: "001, 003",
		Doc: "the state of the call asked for",
		Forms: []Form{
			{Variant: "normal", Sources: "001", Args: []Arg{dialogState, dialogID("dialogId", "", "id of the call"), fullNameArg}},
			{Variant: "long", Sources: "003", Args: []Arg{dialogState, dialogID("dialogId", "", "id of the call"), fullNameArg, fromArg, callVarsArg,
				dialogID("associatedDialogId", "", "id of the associated call"), stateOf("associatedState", dialogStateList, "its state"),
				extArg("associatedFromAddress", ""), variables("associatedCallVariables", "")}},
			{Variant: "controls", Sources: "003", Doc: "the type of the dialog stands in front of the name", Lead: &dialogTypeArg, Args: []Arg{dialogState, dialogID("dialogId", "", "id of the call"), fullNameArg}},
		},
		Choice:  []Choice{{Variant: "controls", Controls: true}, {Variant: "normal", Max: 3}, {Variant: "long"}},
		Answers: []string{"GetDialogState"}, Disagree: []string{"A-28"}},

	// Supervisor
	{Name: "TeamInfoIDs", Word: "TeamInfoIDs", Group: "Supervisor", Category: "supervisor_info", Roles: []Role{Supervisor}, Sources: "001, 003",
		Doc: "the ids of a supervisor's teams", Forms: args(Arg{Shape: Literal, Word: "TeamID", Of: "teamIds"}, Arg{Name: "teamIds", Class: ClassTeam, Shape: List}, fullNameArg)},
	{Name: "TeamInfoNames", Word: "TeamInfoNames", Group: "Supervisor", Category: "supervisor_info", Roles: []Role{Supervisor}, Sources: "001, 003",
		Doc: "the names of a supervisor's teams", Forms: args(Arg{Shape: Literal, Word: "TeamName", Of: "teamNames"}, Arg{Name: "teamNames", Shape: List}, fullNameArg)},
	{Name: "QueueList", Word: "QueueList", Group: "Supervisor", Category: "supervisor_queue_info", Roles: []Role{Supervisor, Agent}, Sources: "000, 001, 003",
		Doc: "the queues and their figures", Notes: []string{"One token a queue.", "UCCX for a supervisor: Type:SnapShot: and Type:SinceMidNight: begin a group each; brackets around the word are accepted."},
		Forms: []Form{
			{Variant: "ucce", Sources: "001", Doc: "UCCE", Args: []Arg{records("queue", queueUCCE, "")}},
			{Variant: "uccx-supervisor", Sources: "001", Doc: "UCCX, for a supervisor", Args: []Arg{records("queue", queueUCCXSupervisor, "")}},
			{Variant: "uccx-agent", Sources: "001", Doc: "UCCX, for an agent", Args: []Arg{records("queue", queueUCCXAgent, "")}},
			{Variant: "empty", Doc: "no queue", Args: []Arg{records("queue", queueUCCE, "")}},
		},
		Choice:  []Choice{{Variant: "empty", RecKey: noRecord}, {Variant: "uccx-supervisor", RecKey: "Type"}, {Variant: "uccx-agent", RecKey: "WaitingCalls"}, {Variant: "ucce"}},
		Answers: []string{"GetQueueList"}, Disagree: []string{"A-29", "A-34"}},
	{Name: "AgentsList", Word: "AgentsList", Group: "Supervisor", Category: "", Roles: []Role{Admin}, Sources: "001",
		Doc: "all agents that are logged in", Notes: []string{"001's title says TeamUsersList (copy error).", "Between Name and Extension there is no ',', but a blank."},
		Forms: args(Arg{Name: "users", Shape: Users, Parts: userParts}), Disagree: []string{"A-15", "A-30"}},
	{Name: "TeamUsersList", Word: "TeamUsersList", Group: "Supervisor", Category: "supervisor_team_user", Roles: []Role{Supervisor}, Sources: "000, 001, 003",
		Doc: "the members of a team and their states", Notes: []string{"One token a member. 000 and 003 are cut after Extension.", "The draft for GC 4.1 calls it TeamInfo."},
		Forms: args(records("users", teamUserParts, "")), Answers: []string{"GetTeamUsers"}, Disagree: []string{"A-07", "A-47"}},
	{Name: "TeamMemberStateChanged", Word: "TeamMemberStateChanged", Group: "Supervisor", Category: "supervisor_team_member_state", Roles: []Role{Supervisor}, Sources: "001, 003",
		Doc: "a member of a team changed state", Notes: []string{"Not in use, says the guide: members' states come as State.", "Which member is not said."},
		Forms: args(Arg{Name: "teamId", Class: ClassTeam, Hash: HashNumber}, stateOf("state", agentStateList, "")), Answers: []string{"GetTeamUserState"}, Disagree: []string{"A-31"}},
	{Name: "ConferenceParticipants", Word: "ConferenceParticipants", Group: "Supervisor", Category: "supervisor_dialog", Roles: []Role{Supervisor}, Sources: "001, 003",
		Doc: "the extensions in a conference", Forms: args(Arg{Name: "extensions", Class: ClassExt, Shape: List})},
	{Name: "Control", Word: "Control", Group: "Supervisor", Category: "agent_control", Roles: []Role{Agent, Supervisor}, Sources: "001, 003",
		Doc: "a message to be shown, or which controls to show", Notes: []string{"The documents call the first form Print Message."},
		Forms: []Form{
			{Variant: "print", Sources: "001, 003", Doc: "message for the status bar; it may hold #", Args: []Arg{{Shape: Literal, Word: "PrintStatusBar", Of: "message"}, {Name: "message", Shape: Rest}}},
			{Variant: "controls", Sources: "003", Args: []Arg{{Name: "controls", Shape: Pieces, Parts: []Arg{wordArg("index", ""), wordArg("visible", "")}}}},
		},
		Choice: []Choice{{Variant: "print", Arg: 1, Word: "PrintStatusBar"}, {Variant: "controls"}}, Answers: []string{"DropParticipant", "AcceptOutboundPreview", "ScheduleCallback", "UpdateCallback", "CancelScheduledCallback", "ReclassifyCall"}},

	// Phonebooks
	{Name: "Phonebooks", Word: "Phonebooks", Headless: true, Group: "Phonebooks", Category: "phonebook", Roles: []Role{Agent, Admin}, Sources: "000, 001, 003",
		Doc: "the agent's global and team phonebooks", Forms: bookForms("phonebooks", "NoPhoneBookFound", phonebookParts), Choice: bookChoice("NoPhoneBookFound"),
		Answers: []string{"GetPhonebooks"}, Disagree: []string{"A-07", "A-32", "A-43"}},
	{Name: "TeamPhonebooks", Word: "TeamPhoneBooks", Headless: true, Group: "Phonebooks", Category: "phonebook", Roles: []Role{Agent, Admin}, Sources: "000, 001, 003",
		Doc: "the phonebooks of a team", Notes: []string{"001's title says TeamUsersList (copy error)."}, Forms: bookForms("phonebooks", "NoTeamPhoneBookFound", phonebookParts), Choice: bookChoice("NoTeamPhoneBookFound"),
		Answers: []string{"GetTeamPhonebooks"}, Disagree: []string{"A-07", "A-16", "A-32", "A-43"}},
	{Name: "PhonebookContacts", Word: "PhonebookContacts", Headless: true, Group: "Phonebooks", Category: "contacts", Roles: []Role{Agent, Admin}, Sources: "000, 001, 003",
		Doc: "the contacts of a phonebook", Forms: bookForms("contacts", "NoContactFound", contactParts), Choice: bookChoice("NoContactFound"),
		Answers: []string{"GetPhonebookContacts"}, Disagree: []string{"A-07", "A-32", "A-43"}},
}

// noRecord, as the RecKey of a Choice, says that there is no record at all.
const noRecord = "-"
