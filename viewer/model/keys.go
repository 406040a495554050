package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
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
	PromptLine  Name = "line" // not a view: the line that the user writes
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
		{MessageList, "t", "time", "time of day, since the message above, or since the mark above"},
		{MessageList, "/", "filter", "filter: the line is checked and completed while you write"},
		{MessageList, "=", "filter.value", "filter by agent and name of the message"},
		{MessageList, "\\", "filter.clear", "take the filter away"},
		{MessageList, "s", "search", "search a text in what is shown"},
		{MessageList, "n", "search.next", "search on"},
		{MessageList, "N", "search.prev", "search back"},
		{MessageList, "m", "mark", "mark the message, or take its mark away; saved in the session"},
		{MessageList, "M", "mark.note", "mark it with a note"},
		{MessageList, "]", "mark.next", "next mark"},
		{MessageList, "[", "mark.prev", "mark before"},
		{MessageList, "y", "copy", "copy the message to the clipboard"},
		{MessageList, "e", "export", "export what is shown to a file"},
	},
	reading(Detail), reading(Raw), reading(Hex),
	ladderKeys(), timelineKeys(), diffKeys(), consoleKeys(),
	scrolling(Help, "line"),
	[]Binding{
		{PromptLine, "Enter", "line.accept", "done"},
		{PromptLine, "Esc", "line.cancel", "leave it"},
		{PromptLine, "Tab", "line.next", "complete: next"},
		{PromptLine, "Backtab", "line.prev", "complete: the one before"},
		{PromptLine, "Up", "line.older", "what was written before"},
		{PromptLine, "Down", "line.newer", "what was written after"},
		{PromptLine, "Left", "line.left", "a character left"},
		{PromptLine, "Right", "line.right", "a character right"},
		{PromptLine, "Home", "line.home", "to the beginning"},
		{PromptLine, "Ctrl-A", "line.home", ""},
		{PromptLine, "End", "line.end", "to the end"},
		{PromptLine, "Ctrl-E", "line.end", ""},
		{PromptLine, "Backspace", "line.rub", "delete the character before"},
		{PromptLine, "Delete", "line.delete", "delete the character"},
		{PromptLine, "Ctrl-D", "line.delete", ""},
		{PromptLine, "Ctrl-W", "line.word", "delete the word before"},
		{PromptLine, "Ctrl-U", "line.head", "delete all before"},
		{PromptLine, "Ctrl-K", "line.tail", "delete all behind"},
	},
	[]Binding{
		{Everywhere, "1", "tab.messages", "the messages of the session"},
		{Everywhere, "2", "tab.ladder", "the messages as arrows between clients and GC"},
		{Everywhere, "3", "tab.timeline", "states and calls of agents over time"},
		{Everywhere, "4", "tab.replay", "the replay's console, where one was asked for (--to)"},
		{Everywhere, "?", "view.help", "this help"},
		{Everywhere, "Esc", "stop", "stop what is waited for; else back"},
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
		Binding{v, "l", "byte.next", "next field; in raw and hex: next byte"},
		Binding{v, "Right", "byte.next", ""},
		Binding{v, "h", "byte.prev", "field or byte before"},
		Binding{v, "Left", "byte.prev", ""},
		Binding{v, "/", "filter", "filter the messages"},
		Binding{v, "=", "filter.value", "filter by the selected value"},
		Binding{v, "m", "mark", "mark the message, or take its mark away"},
		Binding{v, "M", "mark.note", "mark it with a note"},
		Binding{v, "y", "copy", "copy the selected value to the clipboard"},
		Binding{v, "Y", "copy.message", "copy the whole message"},
	)
}

// ActionFor returns what key does in v; empty for nothing.
func ActionFor(v Name, key string) string {
	if action := actionIn(v, key); action != "" {
		return action
	}
	return actionIn(Everywhere, key)
}

func actionIn(v Name, key string) string {
	for _, b := range Bindings {
		if b.View == v && b.Key == key {
			return b.Action
		}
	}
	return ""
}

// hints are the keys that the last line of the screen names.
var hints = map[Name]string{
	SessionList: "Enter open  ? help  q quit",
	MessageList: "Enter detail  / filter  s search  m mark  f follow  ? help  q back",
	Detail:      "d decoded  r raw  x hex  n p messages  q back",
	Raw:         "d decoded  r raw  x hex  n p messages  q back",
	Hex:         "d decoded  r raw  x hex  n p messages  q back",
	Ladder:      "Enter detail  a A answers  o d \\ follow  h l z c lanes  ? help  q back",
	Timeline:    "Enter messages  + - a zoom  w b changes  < > pan  ? help  q back",
	DiffView:    "n N differences  i ignored  o only  Tab side  Enter message  ? help  q back",
	Console:     "Space start, pause  s one command  b break  X stop  o new session  ? help",
	Help:        "q back",
}

// Hints are the keys that the last line of the screen names in a view.
func Hints(v Name) string { return hints[v] }

// helpKeys is how many columns the keys have on the help screen.
const helpKeys = 27

// helpText is the help screen: the key table, read from top to bottom, and
// folded where the screen has no room.
func helpText(v Name, width int) Text {
	var lines []Line
	for _, view := range []Name{v, Everywhere, PromptLine} {
		title := "Everywhere"
		switch view {
		case Everywhere:
		case PromptLine:
			title = "While you write a line"
		default:
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
			lines = appendHelp(lines, "  "+keys, help, width)
		}
		lines = append(lines, Line{})
	}
	return textOf(lines)
}

// appendHelp adds the lines of a row: the keys, and beside or below them what
// they do.
func appendHelp(lines []Line, keys, help string, width int) []Line {
	indent := helpKeys
	if width < 2*helpKeys {
		indent = 4
	}
	text := keys
	for _, word := range strings.Fields(help) {
		switch at := runewidth.StringWidth(text); {
		case at < indent:
			text += strings.Repeat(" ", indent-at) + word
		case at+1+runewidth.StringWidth(word) > width:
			lines = append(lines, Line{Text: text})
			text = strings.Repeat(" ", indent) + word
		default:
			text += " " + word
		}
	}
	return append(lines, Line{Text: text})
}
