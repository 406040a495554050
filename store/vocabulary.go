package store

import (
	"slices"
	"strings"
	"sync"

	"gctap/decode"
	"gctap/decode/xuc"
)

// A vocabulary is the words of the protocol, which are nobody's data.
type vocabulary struct {
	words   map[string]bool // in small letters
	phrases map[string]bool // values of several words, in small letters
}

// holds reports whether a word is one of the protocol's.
func (v *vocabulary) holds(word string) bool { return v.words[strings.ToLower(word)] }

// value reports whether a whole value is one of the protocol's.
func (v *vocabulary) value(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	return v.words[text] || v.phrases[text]
}

// destinationWords are parts of the names of destinations that say what they
// are, and of message-ids.
var destinationWords = []string{"queue", "topic", "temp", "ID", "ConnectorSync", "VirtualTopic", "Mirror", "Consumer", "ActiveMQ", "Advisory",
	"stomp", "ssl", "tcp", "failover", "http", "https", "ws", "wss", "null", "true", "false", "web", "ping"}

var protocolWords = sync.OnceValue(func() *vocabulary {
	v := &vocabulary{words: map[string]bool{}, phrases: map[string]bool{}}
	v.add(destinationWords...)
	v.add("Voice") // the media type of a TeamUsersList, which the table has no list for
	for _, specs := range [][]*decode.Spec{decode.Commands(), decode.Events(), decode.JSONEvents()} {
		for _, s := range specs {
			v.add(s.Name, s.Word)
			v.add(s.Aliases...)
			v.add(s.Seen...)
			for i := range s.Forms {
				v.args(s.Forms[i].Args)
			}
			for _, k := range s.Keys {
				v.list(k.Values)
			}
		}
	}
	for _, l := range decode.ValueLists() {
		v.list(l)
	}
	for _, list := range [][]decode.StateInfo{decode.AgentStates(), decode.DialogStates(), decode.CallTypes(), decode.FailureCauses(), decode.CallVariables()} {
		for _, s := range list {
			v.add(s.Name)
			v.add(s.Aliases...)
		}
	}
	for _, c := range xuc.Commands() {
		v.add(c.Name)
	}
	for _, e := range xuc.Events() {
		v.add(e.Name)
	}
	for _, s := range slices.Concat(xuc.AgentStates(), xuc.Errors()) {
		v.add(s.Name)
	}
	return v
})

func (v *vocabulary) args(args []decode.Arg) {
	for i := range args {
		a := &args[i]
		v.add(a.Key, a.AltKey, a.Word)
		v.list(a.Values)
		v.args(a.Parts)
	}
}

func (v *vocabulary) list(l *decode.ValueList) {
	if l == nil {
		return
	}
	v.add(l.Values...)
	v.add(l.Also...)
	for _, a := range l.Aliases {
		v.add(a[0], a[1])
	}
}

// add takes words in. What is more than one word is a phrase; numbers are
// nobody's word.
func (v *vocabulary) add(words ...string) {
	for _, w := range words {
		w = strings.ToLower(strings.TrimSpace(w))
		switch {
		case w == "" || strings.Trim(w, "0123456789-") == "":
		case strings.ContainsFunc(w, func(r rune) bool { return !isWordRune(r) }):
			v.phrases[w] = true
		default:
			v.words[w] = true
		}
	}
}
