// Package xuc holds the tables of XiVO's CTI protocol: names of commands and
// events, states and errors. Frames are read by package decode.
//
// The agent API document (004) shows methods of the client library; the frames
// on the wire, and the commands and events that it does not describe, are those
// of public client code.
package xuc

import "slices"

// A Command is a frame from a client to the server.
type Command struct {
	Name    string
	Args    []string // as on the wire, where known
	Method  string   // of the client library, where 004 describes it
	Result  string   // what comes back, where 004 says it
	Notes   string
	Sources string
}

// An Event is a frame from the server to a client.
type Event struct {
	Name    string
	Fields  []string // of ctiMessage, where 004 shows them
	Doc     string
	Sources string
}

// A State is a name of an AgentStateEvent, or a status of a phone.
type State struct{ Name, Doc string }

// LookupCommand finds a command by its exact name; nil when it is not listed.
func LookupCommand(name string) *Command { return commandIndex[name] }

// LookupEvent finds an event by its exact name; nil when it is not listed.
func LookupEvent(name string) *Event { return eventIndex[name] }

// Commands returns the commands.
func Commands() []Command { return slices.Clone(commands) }

// Events returns the events.
func Events() []Event { return slices.Clone(events) }

// AgentStates returns the names that an AgentStateEvent may have.
func AgentStates() []State { return slices.Clone(agentStates) }

// PhoneStates returns the numbers of PhoneStatusUpdate.
func PhoneStates() []State { return slices.Clone(phoneStates) }

// Errors returns the errors known.
func Errors() []State { return slices.Clone(errors) }

// Volatile reports whether a field's value differs from run to run.
func Volatile(field string) bool { return slices.Contains(volatile, field) }

// Secret reports whether a key's value is a secret, in frames and in addresses.
func Secret(key string) bool { return slices.Contains(secrets, key) }

var (
	commandIndex = func() map[string]*Command {
		m := make(map[string]*Command, len(commands))
		for i := range commands {
			m[commands[i].Name] = &commands[i]
		}
		return m
	}()
	eventIndex = func() map[string]*Event {
		m := make(map[string]*Event, len(events))
		for i := range events {
			m[events[i].Name] = &events[i]
		}
		return m
	}()
)
