// Package gcsim is a simulated Generic Connector, and the agents who talk to
// it. It is the partner of the demo and of tests, and lets people try a client
// without a GC.
//
// [Sim] is the GC itself: a state machine that is told of commands, stimuli
// and the time, and gives out events. [Serve] runs one over a link to a broker.
// [Desk], [Agent] and [Scenario] are the clients. Words, layouts, transitions
// and error codes are those of package decode.
//
// Where the documents leave open what GC does, this is what the simulator
// does:
//   - An agent can make a call only from NOT_READY, as the transition table says.
//   - Another state chosen during a call is kept as the pending state, and
//     answered with a State event that says so.
//   - A Login brings no State LOGIN, which is transient; the first State is
//     NOT_READY with the reason -1.
//   - A call for an agent who is not ready waits until the agent is, as long as
//     the caller's patience lasts. An agent who does not answer in time is READY
//     again, and the caller is gone.
//   - force_logout works from every state and ends the agent's calls.
//   - A command for an agent whom GC does not know is answered with RE_LOGIN on
//     its reply-to topic or else on the topic the agent had last; without either,
//     not at all.
//   - NewOutboundPreviewCall has the layout of NewOutboundCall.
//
// # Stimuli
//
// What happens without a command is asked for on the topic
// gctap.sim.control, one JSON object a message:
//
//	{"do":"call","from":"42512","to":"5000","callType":"…","variables":{"callVariable1":"…"}}
//	    a call comes in for a login id or an extension, or without "to" for any agent
//	{"do":"hangup","agent":"5000"} or {"do":"hangup","dialogId":"16804378"}
//	    the outside party of the call hangs up, or gives up waiting
//	{"do":"reserve-outbound","agent":"5000","from":"42512","mode":"preview|progressive","variables":{…}}
//	    a campaign reserves the agent for the customer "from", once it is READY
//	{"do":"out-of-service"}, {"do":"in-service"}
//	    GC says so to every client; out of service it takes no commands
//	{"do":"re-login","agent":"5000"}
//	    GC forgets the agent, or without "agent" all of them, and says RE_LOGIN
//	{"do":"reconnect","destination":"192.168.1.72"}
//	    GC forgets the client, or without "destination" all; the next Beat gets RECONNECT
//	{"do":"connector-sync","agent":"5000"}
//	    AgentState is published on ConnectorSync, password and all, for one or for all
//
// "agent" and "to" take a login id or an extension, re-login and
// connector-sync a login id only.
//
// # Faults
//
//	missing:   [AGENT/]EVENT[:STATE][@N]             the event is not sent
//	double:    [AGENT/]EVENT[:STATE][@N]             … is sent twice
//	late:      [AGENT/]EVENT[:STATE][@N]:DURATION    … comes later; what follows is not held up
//	change:    [AGENT/]EVENT[:STATE].FIELD=VALUE[@N] … has another value in a field
//	change:    [AGENT/]EVENT[:STATE].FIELD=OLD=>NEW[@N]   only where it has the value OLD
//	extra:     [AGENT/]EVENT[:STATE][@N]             … is followed by a Control message
//	extra:     [AGENT/]EVENT[:STATE]=STATE[@N]       … is followed by itself in another state
//	reorder:   [AGENT/]EVENT[:STATE][@N]             … changes places with its receiver's next of the same cause
//	malformed: [AGENT/]EVENT[:STATE][@N]             … lacks its last argument
//	error:     [AGENT/]COMMAND=CODE[@N]              the command is refused; CODE may be RE_LOGIN or, of Beat, RECONNECT
//	ignore:    [AGENT/]COMMAND[@N]                   the command is not answered
//
// AGENT is the receiver of the event, or the id of the command. FIELD is a path
// of the decoded message, such as participants[0].time. @N strikes once, at the
// Nth match, or the first after it where the fault makes a difference; without
// it the fault strikes every time.
package gcsim
