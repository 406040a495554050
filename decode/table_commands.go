package decode

// The commands. Word is the spelling to send: that of the Developer Guide,
// except GETSKILLGROUP. SHCEDULECALLBACK and CANCELSHCEDULECALLBACK are really
// spelt so.
//
// Four commands of the documents have no known JMSType and so no row: Get
// Agents List, Get Dialog State Controls, Get Dialog Participants and Abrupt
// Agent Disconnection (probably ForceLogout).

// Arguments that many commands share. Dialog ids are born at random in GC.
var (
	dialogArg       = Arg{Name: "dialogId", Class: ClassDialog, Volatile: true, Doc: "id of the call"}
	passwordArg     = Arg{Name: "password", Class: ClassSecret, Volatile: true, Doc: "the agent's password"}
	reasonArg       = Arg{Name: "reasonCode", Class: ClassNum, Doc: "code of a reason, from ReasonCodes"}
	mediaArg        = Arg{Name: "targetMediaAddress", Class: ClassExt, Doc: "the sender's own extension"}
	headDestination = Arg{Name: "clientDestination", Class: ClassDest, Volatile: true, Doc: "the client's topic"}
	numberArg       = Arg{Name: "toAddress", Class: ClassExt, Doc: "number to dial"}
)

func ext(doc string) Arg { return Arg{Name: "extension", Class: ClassExt, Doc: doc} }

func args(a ...Arg) []Form { return []Form{{Args: a}} }

// Errors that groups of commands share.
var (
	stateErrors  = []string{"PLEASE_RETRY", "CF_INVALID_OBJECT_STATE", "CF_RESOURCE_BUSY"}
	reasonErrors = []string{"PLEASE_RETRY", "CF_INVALID_OBJECT_STATE", "CF_RESOURCE_BUSY", "MISSING_REASON_CODE"}
	dialogErrors = []string{"MISSING_DIALOG_ID", "CF_GENERIC_UNSPECIFIED"}
	listErrors   = []string{"CF_RESOURCE_BUSY"}
	teamErrors   = []string{"AUTHORIZATION_FAILURE", "NOT_FOUND", "GENERAL_ERROR"}
	loginErrors  = []string{"MISSING_EXTENSION", "WRONG_EXTENSION", "LICENSES_EXCEEDED", "MISSING_PASSWORD", "USER_NOT_FOUND",
		"GENERAL_ERROR", "CF_GENERIC_UNSPECIFIED", "CF_INVALID_LOGON_DEVICE_SPECIFIED", "CF_RESOURCE_BUSY"}
)

func state(s string) Expect    { return Expect{Event: "State", Field: "state", Value: s} }
func inbound(s string) Expect  { return Expect{Event: "InboundCall", Field: "state", Value: s} }
func consult(s string) Expect  { return Expect{Event: "ConsultCall", Field: "state", Value: s} }
func event(name string) Expect { return Expect{Event: name} }
func reasons(c string) Expect  { return Expect{Event: "ReasonCodes", Field: "category", Value: c} }
func optional(e Expect) Expect { e.Optional = true; return e }

func after(events ...Expect) []Sequence { return []Sequence{{Events: events}} }

var (
	loginEvents = []Sequence{{Order: AnyOrder, Events: []Expect{event("AgentInfo"), event("State"), optional(event("DialogStatus"))}}}
	printed     = Expect{Event: "Control"}
)

var commandTable = []*Spec{
	// Session
	{Name: "Hello", Keys: callbackKeys, Word: "Hello", Seen: []string{"HELLO"}, Group: "Session", Category: "system", Roles: []Role{Client}, Sources: "001, 002, 003",
		Doc:   "first command of a client: asks whether GC is in service",
		Notes: []string{"The word after # is the topic the client has subscribed to, not an agent.", "Repeat until IN_SERVICE; the guide suggests a timeout of at most 3 s."},
		Head:  &headDestination, Forms: args(), Disagree: []string{"A-59", "A-60"},
		Expects: []Sequence{{Order: OneOf, Events: []Expect{{Event: "System", Field: "status", Value: "IN_SERVICE"}, {Event: "System", Field: "status", Value: "OUT_OF_SERVICE"}}}}},
	{Name: "Beat", Word: "Beat", Group: "Session", Category: "system", Roles: []Role{Client}, Sources: "001, 002, 003",
		Doc:   "heartbeat of a client that is logged in",
		Notes: []string{"The word after # is the client's topic.", "Destination RECONNECT means that GC does not know the topic: Connect and Login again for all agents."},
		Head:  &headDestination, Forms: args(), Disagree: []string{"A-60"},
		Expects: []Sequence{{Order: OneOf, Events: []Expect{{Event: "System", Field: "status", Value: "IN_SERVICE"}, {Event: "System", Field: "status", Value: "OUT_OF_SERVICE"}, {Event: "Destination", Field: "action", Value: "RECONNECT"}}}}},
	{Name: "Connect", Keys: callbackKeys, Word: "Connect", Group: "Session", Category: "agent_info", Roles: []Role{Agent, Supervisor, Admin}, Sources: "001, 002, 003",
		Doc:   "binds an agent to a client's topic; Login follows at once",
		Notes: []string{"Text: no answer on success. JSON: ConnectStatus.", "sso only if the user is enabled for single sign-on; its value is not documented."},
		Forms: args(Arg{Name: "clientDestination", Class: ClassDest, Volatile: true, Doc: "topic of the client"}, passwordArg,
			Arg{Name: "sso", Class: ClassWord, Optional: true, Doc: "single sign-on"}),
		Errors: []string{"SUBSCRIPTION_FAILED", "UNABLE_TO_SUBSCRIBE_TO_FINESSE", "SESSION_INVALIDATED"}, Silent: true, Disagree: []string{"A-08", "A-09"}},
	{Name: "Login", Word: "Login", Group: "Session", Category: "agent_state", Roles: []Role{Agent, Supervisor, Admin}, Sources: "001, 002, 003",
		Doc:   "logs an agent in at an extension",
		Forms: args(passwordArg, ext("where the agent sits")), Expects: loginEvents, Errors: loginErrors, Disagree: []string{"A-57"}},
	{Name: "MobileAgentLogin", Word: "MOBILEAGENTLOGIN", Seen: []string{"MobileAgentLogin"}, Group: "Session", Category: "agent_state", Roles: []Role{Agent}, Sources: "000, 001, 002, 003", Platform: "UCCE",
		Doc:   "logs an agent in who is reached at another number",
		Notes: []string{"Only on UCCE, and not tested yet, says the guide."},
		Forms: args(passwordArg, ext("port of the mobile agent"), Arg{Name: "dialNumber", Class: ClassExt, Doc: "number of the agent's phone"},
			Arg{Name: "connectionMode", Class: ClassBool, Values: boolList, Doc: "true: call by call, false: nailed connection"}),
		Expects: loginEvents, Errors: loginErrors},
	{Name: "Logout", Word: "Logout", Seen: []string{"logout"}, Group: "Session", Category: "agent_state", Roles: []Role{Agent, Supervisor}, Sources: "001, 002, 003",
		Doc:   "logs an agent out",
		Notes: []string{"The id is the agent to be logged out; the sender may be a supervisor.", "By the table of transitions only from NOT_READY."},
		Forms: args(), Expects: after(state("LOGOUT")), Errors: stateErrors, Disagree: []string{"A-10", "A-58"}},
	{Name: "LogoutWithReason", Word: "logoutwithreason", Group: "Session", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc:   "logs an agent out with a reason",
		Forms: args(reasonArg), Expects: after(state("LOGOUT")), Errors: reasonErrors},
	{Name: "ForceLogout", Word: "force_logout", Group: "Session", Roles: []Role{Agent, Supervisor}, Sources: "a running client",
		Doc:   "logs an agent out whatever the state",
		Notes: []string{"Outside the documents; a candidate for their Abrupt Agent Disconnection, whose JMSType is lost."},
		Forms: args(), Expects: after(state("LOGOUT")), Disagree: []string{"A-11"}},
	{Name: "Refresh", Word: "refresh", Group: "Session", Category: "agent_state", Roles: []Role{Agent}, Sources: "002, 003",
		Doc: "asks for the agent's data again", Notes: []string{"The answer is not documented."}, Forms: args()},

	// Agent state
	{Name: "GetState", Word: "GetState", Group: "Agent state", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "asks for the agent's state", Forms: args(), Expects: after(event("State"))},
	{Name: "MakeNotReady", Word: "MakeNotReady", Group: "Agent state", Category: "agent_state", Roles: []Role{Agent, Supervisor}, Sources: "001, 002, 003",
		Doc:   "sets an agent to NOT_READY",
		Notes: []string{"The id is the agent acted upon; the sender may be a supervisor.", "By older Finesse texts a supervisor may set READY and LOGOUT only."},
		Forms: args(), Expects: after(state("NOT_READY")), Errors: stateErrors, Disagree: []string{"A-10", "A-58"}},
	{Name: "MakeNotReadyWithReason", Word: "MakeNotReadyWithReason", Group: "Agent state", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc:   "sets an agent to NOT_READY with a reason",
		Forms: args(reasonArg), Expects: after(state("NOT_READY")), Errors: reasonErrors},
	{Name: "MakeReady", Word: "MakeReady", Group: "Agent state", Category: "agent_state", Roles: []Role{Agent, Supervisor}, Sources: "001, 002, 003",
		Doc:   "sets an agent to READY",
		Notes: []string{"A supervisor may send it for a member.", "001 prints this word for MakeWorkNotReady too."},
		Forms: args(), Expects: after(state("READY")), Errors: stateErrors, Disagree: []string{"A-12"}},
	{Name: "MakeWorkReady", Word: "MakeWorkReady", Group: "Agent state", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "asks for wrap-up, then READY", Forms: args(), Expects: after(state("WORK_READY")), Errors: stateErrors},
	{Name: "MakeWorkNotReady", Word: "MakeWorkNotReady", Group: "Agent state", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "asks for wrap-up, then NOT_READY", Notes: []string{"The guide prints the type MakeReady, surely a misprint."},
		Forms: args(), Expects: after(state("WORK")), Errors: stateErrors, Disagree: []string{"A-12"}},

	// Calls
	{Name: "MakeCall", Word: "MakeCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "places a call", Notes: []string{"Outgoing calls are reported as InboundCall."},
		Forms: args(numberArg), Expects: after(state("TALKING"), inbound("INITIATING"), inbound("INITIATED"), inbound("ACTIVE")),
		Errors: []string{"PLEASE_RETRY", "MISSING_NUMBER", "CF_INVALID_OBJECT_STATE", "CF_RESOURCE_BUSY", "CF_GENERIC_UNSPECIFIED"}, Disagree: []string{"A-37"}},
	{Name: "AnswerCall", Word: "AnswerCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "answers a call that rings", Notes: []string{"dialogId is that of NewInboundCall."},
		Forms: args(dialogArg), Expects: after(inbound("ACTIVE")), Errors: dialogErrors, Disagree: []string{"A-03"}},
	{Name: "ReleaseCall", Word: "ReleaseCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "hangs up", Notes: []string{"With the dialog id of a consult call it drops that one."},
		Forms: args(dialogArg), Expects: after(inbound("DROPPED"), event("State")), Errors: dialogErrors, Disagree: []string{"A-03", "A-26"}},
	{Name: "HoldCall", Word: "HoldCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003", Platform: "UCCE",
		Doc: "puts a call on hold", Notes: []string{"UCCX does not send the hold event in response.", "Its table is lost in 001; the layout is that of a running client, the errors are by analogy."},
		Forms: args(dialogArg), Expects: after(inbound("HELD")), Errors: dialogErrors},
	{Name: "RetrieveCall", Word: "RetrieveCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "takes a call off hold", Notes: []string{"The guide's title spells it ReterieveCall."},
		Forms: args(dialogArg), Expects: after(inbound("ACTIVE")), Errors: dialogErrors, Disagree: []string{"A-03"}},
	{Name: "BlindTransfer", Word: "Transfer_sst", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc:   "transfers a call without asking first (Finesse TRANSFER_SST)",
		Forms: args(numberArg, dialogArg), Expects: after(state("HOLD"), state("TALKING"), inbound("ACTIVE"), consult("INITIATING"), consult("INITIATED"),
			consult("ALERTING"), consult("DROPPED"), inbound("ACTIVE"), state("TALKING"), inbound("DROPPED")),
		Errors: dialogErrors, Disagree: []string{"A-03", "A-13"}},
	{Name: "ConsultCall", Word: "ConsultCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "calls somebody while a call waits, before a transfer or conference", Notes: []string{"The guide's title spells it CosultCall."},
		Forms: args(numberArg, dialogArg), Expects: after(consult("INITIATING"), consult("INITIATED"), consult("ALERTING"), consult("ACTIVE")), Errors: dialogErrors},
	{Name: "TransferCall", Word: "TransferCall", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "000, 001, 002, 003",
		Doc: "completes a transfer after a consult call", Notes: []string{"extension is the consulted agent's, dialogId that of the main call."},
		Forms: args(ext("the consulted agent's"), dialogArg), Expects: after(inbound("DROPPED"), consult("DROPPED"), inbound("ACTIVE"), event("State"), inbound("DROPPED"), event("State")), Errors: dialogErrors},
	{Name: "ConferenceCall", Word: "Conferencecall", Seen: []string{"ConferenceCall"}, Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "000, 001, 002, 003",
		Doc: "completes a conference after a consult call", Notes: []string{"extension is the consulted agent's, dialogId that of the main call."},
		Forms: args(ext("the consulted agent's"), dialogArg), Expects: after(inbound("ACTIVE"), consult("DROPPED"), inbound("ACTIVE")), Errors: dialogErrors},
	{Name: "GetDialogState", Word: "GetDialogState", Group: "Calls", Category: "agent_dialog", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "asks for the state of a call", Forms: args(dialogArg), Expects: after(event("DialogState"))},
	{Name: "WrapUp", Word: "wrapup", Group: "Calls", Category: "agent_dialog", Roles: []Role{Agent}, Sources: "001, 002, 003", Cut: CutLast,
		Doc: "sets the wrap-up reason of a call", Notes: []string{"The reason comes first. It may hold a ',': the body is cut at its last one.", "No answer on success."},
		Forms: args(Arg{Name: "wrapUpReason", Doc: "label from ReasonCodes, category Wrap_Up"}, dialogArg), Errors: []string{"E_CTI_INVALID_CALLID", "MISSING_DIALOG_ID"}, Silent: true, Disagree: []string{"A-36"}},
	{Name: "UpdateCallVariable", Word: "update_call_variable", Group: "Calls", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003", Cut: CutFirst,
		Doc: "changes call variables", Notes: []string{"The body is cut at its first ',': values may hold one."},
		Forms:   args(dialogArg, Arg{Name: "callVariables", Shape: Pairs, Doc: "name=value, separated by |"}),
		Expects: after(inbound("ACTIVE")), Errors: []string{"INVALID_CALL_DATA"}, Disagree: []string{"A-14", "A-33"}},

	// Reasons and lists
	{Name: "ReasonCodeLogout", Word: "reasoncodelogout", Group: "Reasons and lists", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "asks for the reasons for logging out", Forms: args(), Expects: after(reasons("LOGOUT")), Errors: listErrors},
	{Name: "ReasonCodeNotReady", Word: "reasoncodenotready", Group: "Reasons and lists", Category: "agent_state", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "asks for the reasons for not being ready", Forms: args(), Expects: after(reasons("NOT_READY")), Errors: listErrors},
	{Name: "WrapUpReasonCode", Word: "wrapupreasoncode", Group: "Reasons and lists", Category: "agent_work", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "asks for the wrap-up reasons", Forms: args(), Expects: after(reasons("Wrap_Up")), Errors: listErrors, Disagree: []string{"A-42"}},
	{Name: "GetPhonebooks", Word: "GetPhonebooks", Group: "Reasons and lists", Category: "phonebook", Roles: []Role{Agent, Admin}, Sources: "001, 002, 003",
		Doc: "asks for the agent's global and team phonebooks", Forms: args(), Expects: after(event("Phonebooks")), Disagree: []string{"A-58"}},
	{Name: "GetPhonebookContacts", Word: "GetPhonebookContacts", Group: "Reasons and lists", Category: "contacts", Roles: []Role{Agent, Admin}, Sources: "001, 002, 003",
		Doc: "asks for the contacts of a phonebook", Forms: args(Arg{Name: "phonebookId", Class: ClassPhonebook, Doc: "from Phonebooks"}), Expects: after(event("PhonebookContacts"))},
	{Name: "GetTeamPhonebooks", Word: "GetTeamPhonebooks", Group: "Reasons and lists", Category: "phonebook", Roles: []Role{Agent, Admin}, Sources: "001, 002, 003",
		Doc: "asks for the phonebooks of a team", Notes: []string{"001's title repeats Get_Phonebook_Contacts (copy error)."},
		Forms: args(Arg{Name: "teamId", Class: ClassTeam, Doc: "from AgentInfo"}), Expects: after(event("TeamPhonebooks")), Disagree: []string{"A-16"}},
	{Name: "GetQueueList", Word: "getqueuelist", Group: "Reasons and lists", Category: "supervisor_queue_info", Roles: []Role{Supervisor, Agent}, Sources: "001, 002, 003",
		Doc: "asks for the queues and their figures", Forms: args(), Expects: after(event("QueueList")), Errors: teamErrors, Disagree: []string{"A-17", "A-29"}},
	{Name: "GetSkillGroup", Word: "GETSKILLGROUP", Aliases: []string{"GETSKILLGROPU"}, Group: "Reasons and lists", Category: "skill_group", Roles: []Role{Agent}, Sources: "000, 001, 002", Platform: "UCCE",
		Doc: "asks for skill groups, from the database", Notes: []string{"None or all three arguments.", "The answer is documented as JSON only (SkillGroups)."},
		Forms: []Form{{AllOr: 3, Args: []Arg{{Name: "mode", Class: ClassWord, Values: skillGroupModes, Optional: true, Doc: "all, or a page"},
			{Name: "startIndex", Class: ClassNum, Optional: true, Doc: "first of the page"}, {Name: "pageSize", Class: ClassNum, Optional: true, Doc: "length of the page"}}}},
		Expects: after(event("SkillGroups")), Disagree: []string{"A-18"}},
	{Name: "GetSupervisor", Word: "GETSUPERVISOR", Group: "Reasons and lists", Category: "supervisor_list", Roles: []Role{Agent}, Sources: "000, 001, 002", Platform: "UCCE",
		Doc: "asks for the supervisors", Notes: []string{"The answer is documented as JSON only (Supervisors)."}, Forms: args(), Expects: after(event("Supervisors"))},
	{Name: "GetAgentExtension", Word: "GETAGENTEXTENSION", Group: "Reasons and lists", Category: "agent_extension", Roles: []Role{Agent}, Sources: "002", Platform: "UCCE",
		Doc: "asks for a mobile agent's port and number", Notes: []string{"fNumber is not explained.", "The answer is documented as JSON only (AgentExtension)."},
		Forms: args(Arg{Name: "fNumber", Class: ClassExt, Doc: "not explained"}), Expects: after(event("AgentExtension")), Disagree: []string{"A-03"}},

	// Supervisor
	{Name: "SilentMonitor", Word: "silentmonitor", Group: "Supervisor", Category: "supervisor_dialog", Roles: []Role{Supervisor}, Sources: "001, 002, 003",
		Doc: "listens to an agent's call unheard", Notes: []string{"The call type is SUPERVISOR_MONITOR, on the wire SM."}, Forms: args(ext("of the agent to be heard")),
		Expects: []Sequence{{For: Supervisor, Events: []Expect{inbound("INITIATING"), inbound("INITIATED"), inbound("ACTIVE")}},
			{For: Agent, Events: []Expect{event("NewInboundCall"), inbound("ACTIVE")}}}, Disagree: []string{"A-41"}},
	{Name: "EndSilentMonitor", Word: "endsilentmonitor", Group: "Supervisor", Category: "supervisor_dialog", Roles: []Role{Supervisor}, Sources: "001, 002, 003",
		Doc: "ends silent monitoring", Forms: args(dialogArg),
		Expects: []Sequence{{For: Supervisor, Events: []Expect{inbound("ACTIVE"), inbound("DROPPED")}}, {For: Agent, Events: []Expect{inbound("DROPPED")}}}, Errors: dialogErrors},
	{Name: "DropParticipant", Word: "dropparticipant", Group: "Supervisor", Category: "supervisor_dialog", Roles: []Role{Supervisor}, Sources: "001, 002, 003",
		Doc: "drops a participant from a call", Forms: args(ext("of the agent to be dropped"), dialogArg),
		Expects: []Sequence{{For: Supervisor, Events: []Expect{inbound("ACTIVE"), printed}}, {For: Agent, Events: []Expect{inbound("DROPPED")}}}, Errors: dialogErrors},
	{Name: "GetTeamUsers", Word: "getteamusers", Group: "Supervisor", Category: "supervisor_team", Roles: []Role{Supervisor}, Sources: "001, 002, 003",
		Doc: "asks for the members of a team and, with true, for their State events from then on", Notes: []string{"A setting of GC decides whether members that are logged out are listed.", "For the primary supervisor only (draft for GC 4.1)."},
		Forms:   args(Arg{Name: "teamId", Class: ClassTeam, Doc: "from AgentInfo"}, Arg{Name: "subscribe", Class: ClassBool, Values: boolList, Optional: true, Doc: "true: send the members' State events too"}),
		Expects: after(event("TeamUsersList")), Errors: teamErrors, Disagree: []string{"A-47"}},
	{Name: "BargeIn", Word: "bargein", Group: "Supervisor", Category: "agent_call", Roles: []Role{Supervisor}, Sources: "001, 002, 003",
		Doc: "joins an agent's call", Forms: args(ext("of the agent"), dialogArg),
		Expects: []Sequence{{For: Supervisor, Events: []Expect{inbound("ACTIVE"), inbound("DROPPED"), event("NewInboundCall"), event("NewInboundCall"), inbound("DROPPED"), event("NewInboundCall"), inbound("ACTIVE")}},
			{For: Agent, Events: []Expect{inbound("DROPPED"), inbound("HELD"), consult("INITIATING"), consult("INITIATED"), inbound("ACTIVE"), inbound("DROPPED"), inbound("ACTIVE")}}},
		Errors: dialogErrors, Disagree: []string{"A-19"}},
	{Name: "GetTeamUserState", Word: "getteamuserstate", Group: "Supervisor", Category: "supervisor_team_member_state", Roles: []Role{Supervisor}, Sources: "001, 002, 003",
		Doc: "asks for the state of a team's member", Notes: []string{"Not implemented in clients yet, says 003.", "001's title repeats BargIn_Call (copy error)."},
		Forms: args(Arg{Name: "loginId", Class: ClassAgent, Doc: "the member"}), Expects: after(event("TeamMemberStateChanged")), Disagree: []string{"A-31"}},

	// Outbound
	{Name: "AcceptOutboundPreview", Word: "AcceptOutboundPreview", Group: "Outbound", Category: "agent_call", Roles: []Role{Agent}, Sources: "001, 002, 003",
		Doc: "accepts an outbound preview or a personal callback", Forms: args(dialogArg, Arg{Name: "action", Class: ClassWord, Values: acceptActions, Doc: "the word ACCEPT"}),
		Expects: []Sequence{
			{Platform: "UCCE", Before: true, Events: []Expect{event("NewOutboundPreviewCall"), state("RESERVED"), inbound("ACTIVE"), inbound("ACTIVE")}},
			{Platform: "UCCE", Events: []Expect{inbound("ACCEPTED"), inbound("INITIATING"), inbound("DROPPED"), inbound("INITIATING"), inbound("INITIATED"), inbound("ACTIVE")}},
			{Platform: "UCCX", Before: true, Events: []Expect{state("RESERVED"), inbound("INITIATING"), event("NewOutboundPreviewCall")}},
			{Platform: "UCCX", Events: []Expect{inbound("DROPPED"), inbound("INITIATING"), inbound("INITIATED"), printed, inbound("ACTIVE")}}},
		Errors: dialogErrors, Disagree: []string{"A-20", "A-27"}},
	{Name: "RejectOutboundPreview", Word: "RejectOutboundPreview", Group: "Outbound", Category: "agent_call", Roles: []Role{Agent}, Sources: "000, 001, 002, 003",
		Doc: "rejects an outbound preview or a personal callback", Notes: []string{"001's title repeats BargIn_Call (copy error)."},
		Forms:   args(dialogArg, Arg{Name: "action", Class: ClassWord, Values: rejectActions, Doc: "the word REJECT"}),
		Expects: after(inbound("ACTIVE"), inbound("DROPPED")), Errors: dialogErrors, Disagree: []string{"A-20"}},
	{Name: "CloseOutboundPreview", Word: "CloseOutboundPreview", Group: "Outbound", Category: "agent_call", Roles: []Role{Agent}, Sources: "000, 001, 002, 003",
		Doc: "closes an outbound preview", Notes: []string{"001's title repeats BargIn_Call (copy error)."},
		Forms:   args(dialogArg, Arg{Name: "action", Class: ClassWord, Values: closeActions, Doc: "the word CLOSE"}),
		Expects: after(inbound("ACTIVE"), inbound("DROPPED")), Errors: dialogErrors},
	{Name: "ScheduleCallback", Word: "SHCEDULECALLBACK", Group: "Outbound", Category: "agent_call", Roles: []Role{Agent}, Sources: "000, 001, 002",
		Doc: "schedules a callback", Notes: []string{"Really spelt so.", "The form of the time is not documented."}, Forms: callbackForm,
		Expects: after(printed, inbound("ACTIVE"), event("Callback"), printed, inbound("ACTIVE")), Errors: dialogErrors, Disagree: []string{"A-22", "A-48"}},
	{Name: "UpdateCallback", Word: "UPDATECALLBACK", Group: "Outbound", Category: "agent_call", Roles: []Role{Agent}, Sources: "000, 001, 002",
		Doc: "changes a scheduled callback", Notes: []string{"The form of the time is not documented."}, Forms: callbackForm,
		Expects: after(printed, inbound("ACTIVE"), event("Callback"), printed, inbound("ACTIVE")), Errors: dialogErrors, Disagree: []string{"A-22"}},
	{Name: "CancelScheduledCallback", Word: "CANCELSHCEDULECALLBACK", Group: "Outbound", Category: "agent_call", Roles: []Role{Agent}, Sources: "000, 001, 002",
		Doc: "cancels a scheduled callback", Notes: []string{"Really spelt so."}, Forms: args(mediaArg, dialogArg),
		Expects: after(event("Callback"), printed, inbound("ACTIVE")), Errors: dialogErrors, Disagree: []string{"A-22"}},
	{Name: "ReclassifyCall", Word: "RECLASSIFYCALL", Group: "Outbound", Category: "", Roles: []Role{Agent}, Sources: "000, 001, 002",
		Doc: "reclassifies an outbound direct preview call", Notes: []string{"value is not documented; candidates are Finesse's REX_VOICE, REX_ANS_MACHINE, REX_FAX, REX_INVALID, DO_NOT_CALL, BUSY."},
		Forms:   args(mediaArg, dialogArg, Arg{Name: "value", Class: ClassWord, Doc: "the new class"}),
		Expects: after(event("Callback"), printed, inbound("ACTIVE")), Errors: dialogErrors, Disagree: []string{"A-22"}},

	// Recording
	{Name: "ZoomPauseRecording", Word: "ZOOMPauseRecording", Group: "Recording", Category: "zoom", Roles: []Role{Agent}, Sources: "002, 003",
		Doc: "pauses the recording of the agent's call (ZOOM)", Notes: []string{"The answer is not documented."}, Forms: args()},
	{Name: "ZoomResumeRecording", Word: "ZOOMResumeRecording", Group: "Recording", Category: "zoom", Roles: []Role{Agent}, Sources: "002, 003",
		Doc: "resumes the recording of the agent's call (ZOOM)", Notes: []string{"The answer is not documented."}, Forms: args()},
}

var callbackForm = args(mediaArg, dialogArg, Arg{Name: "callbackTime", Class: ClassTime, Doc: "form not documented"},
	Arg{Name: "callbackNumber", Class: ClassExt, Doc: "number to call"})

// restKeys are further keys that the REST envelope of any command may have, and
// callbackKeys those that are seen with Hello and Connect.
var (
	restKeys     = []Key{volatile(key("sessionUrl"))}
	callbackKeys = append(restKeys[:1:1], volatile(key("callbackFqdn")), volatile(key("callbackEndpoint")))
)
