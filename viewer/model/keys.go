package model

import (
	"fmt"
	"slices"
)

// The views. Everywhere is none of them: its bindings hold in all.
const (
	Everywhere  Name = ""
	SessionList Name = "sessions"
	MessageList Name = "messages"
	Detail      Name = "detail"
	Raw         Name = "raw"
	Hex         Name = "hex"
	Help        Name = "help"
)

// A Binding says what a key does in a view. Keys are named as the help screen
// shows them: a character stands for itself.
type Binding struct {
	View   Name
	Key    string
	Action string
	Help   string // empty: the same as the binding above it
}

// Bindings are all the keys there are, in the order of the help screen. A
// view's own go before those of Everywhere.
var Bindings = slices.Concat(
	scrolling(SessionList, "session"),
	[]Binding{
		{SessionList, "Enter", "session.open", "show its messages"},
	},
	scrolling(MessageList, "message"),
	[]Binding{
		{MessageList, "Enter", "view.detail", "the message, decoded"},
		{MessageList, "r", "view.raw", "the message as it came"},
		{MessageList, "x", "view.hex", "the message in hex"},
		{MessageList, "f", "follow", "stay at the end while it is recorded; moving stops that"},
		{MessageList, "t", "time", "time of day, or since the message above"},
	},
	reading(Detail), reading(Raw), reading(Hex),
	ladderKeys(), timelineKeys(), diffKeys(),
	scrolling(Help, "line"),
	[]Binding{
		{Everywhere, "1", "tab.messages", "the messages of the session"},
		{Everywhere, "2", "tab.ladder", "the messages as arrows between clients and GC"},
		{Everywhere, "3", "tab.timeline", "states and calls of agents over time"},
		{Everywhere, "?", "view.help", "this help"},
		{Everywhere, "Esc", "back", "back"},
		{Everywhere, "q", "back", "back; in the first view: quit"},
		{Everywhere, "Ctrl-C", "quit", "quit at once"},
		{Everywhere, "Ctrl-L", "redraw", "draw the screen afresh"},
	},
)

// scrolling are the keys that move in a list or text, one row or many.
func scrolling(v Name, row string) []Binding {
	return []Binding{
		{v, "j", "row.next", "next " + row},
		{v, "Down", "row.next", ""},
		{v, "WheelDown", "row.next", ""},
		{v, "k", "row.prev", row + " before"},
		{v, "Up", "row.prev", ""},
		{v, "WheelUp", "row.prev", ""},
		{v, "PgDn", "page.next", "a page on"},
		{v, "Ctrl-F", "page.next", ""},
		{v, "Space", "page.next", ""},
		{v, "PgUp", "page.prev", "a page back"},
		{v, "Ctrl-B", "page.prev", ""},
		{v, "g", "row.first", "first " + row},
		{v, "Home", "row.first", ""},
		{v, "G", "row.last", "last " + row},
		{v, "End", "row.last", ""},
	}
}

// reading are the keys of the views of one message.
func reading(v Name) []Binding {
	return append(scrolling(v, "line"),
		Binding{v, "n", "message.next", "next message"},
		Binding{v, "p", "message.prev", "message before"},
		Binding{v, "d", "view.detail", "decoded"},
		Binding{v, "Enter", "view.detail", ""},
		Binding{v, "r", "view.raw", "as it came"},
		Binding{v, "x", "view.hex", "in hex"},
		Binding{v, "Tab", "view.turn", "decoded, raw, hex in turn"},
	)
}

// ActionFor returns what key does in v; empty for nothing.
func ActionFor(v Name, key string) string {
	for _, view := range []Name{v, Everywhere} {
		for _, b := range Bindings {
			if b.View == view && b.Key == key {
				return b.Action
			}
		}
	}
	return ""
}

// hints are the keys that the last line of the screen names.
var hints = map[Name]string{
	SessionList: "Enter open  ? help  q quit",
	MessageList: "Enter detail  r raw  x hex  f follow  ? help  q back",
	Detail:      "d decoded  r raw  x hex  n p messages  q back",
	Raw:         "d decoded  r raw  x hex  n p messages  q back",
	Hex:         "d decoded  r raw  x hex  n p messages  q back",
	Ladder:      "Enter detail  a A answers  h l lanes  z fold  c calls  ? help  q back",
	Timeline:    "Enter messages  + - a zoom  w b changes  < > pan  ? help  q back",
	DiffView:    "n N differences  i ignored  o only  Tab side  Enter message  ? help  q back",
	Help:        "q back",
}

// Hints are the keys that the last line of the screen names in a view.
func Hints(v Name) string { return hints[v] }

// helpText is the help screen: the key table, read from top to bottom.
func helpText(v Name) Text {
	var lines []Line
	for _, view := range []Name{v, Everywhere} {
		title := "Everywhere"
		if view != Everywhere {
			title = fmt.Sprintf("In the view %q", string(view))
		}
		lines = append(lines, Line{Style: Title, Text: title})
		for i := 0; i < len(Bindings); i++ {
			if Bindings[i].View != view {
				continue
			}
			keys := Bindings[i].Key
			help := Bindings[i].Help
			for i+1 < len(Bindings) && Bindings[i+1].Help == "" {
				i++
				keys += ", " + Bindings[i].Key
			}
			lines = append(lines, Line{Text: fmt.Sprintf("  %-24s %s", keys, help)})
		}
		lines = append(lines, Line{})
	}
	return textOf(lines)
}
