package flow

import (
	"strconv"

	"gctap/decode"
)

// A Birth is the first time that a conversation is told an id which GC makes:
// a dialog's. The same id is born once in each conversation that hears of it.
//
// Key names the place and holds no id: two runs of one scenario give the same
// keys, whatever ids they are given. The first id of a command's answers has
// the command in its key; others are counted in their conversation.
type Birth struct {
	Key          Key
	Value        string
	Path         string // field that held it
	Conversation string
}

// A Key is the place of a Birth.
type Key struct {
	Conversation string
	Cause        int64  // seq of the command that the event answers; 0: none
	Path         string // field
	N            int    // 1, 2, … among the births of the rest of the key
}

// A Use is an id in a command that GC made.
type Use struct {
	Path  string
	Value string
}

// birthplaces remembers which ids a conversation was told.
type birthplaces struct {
	known   *aging[place, struct{}]
	counts  *aging[Key, int]
	dropped int64
}

type place struct{ conversation, value string }

func newBirthplaces(limit int) *birthplaces {
	b := &birthplaces{}
	b.known = newAging(2*limit, func(place, struct{}) { b.dropped++ })
	b.counts = newAging(2*limit, func(Key, int) { b.dropped++ })
	return b
}

// see returns the ids that the event tells the conversation for the first time.
func (b *birthplaces) see(conversation string, cause int64, msg *decode.Message) (births []Birth) {
	for _, path := range idPaths {
		value := idText(msg, path)
		if value == "" {
			continue
		}
		at := place{conversation, value}
		if _, ok := b.known.get(at); ok {
			continue
		}
		b.known.put(at, struct{}{})
		key := Key{Conversation: conversation, Cause: cause, Path: path}
		n, _ := b.counts.get(key)
		b.counts.put(key, n+1)
		key.N = n + 1
		births = append(births, Birth{Key: key, Value: value, Path: path, Conversation: conversation})
	}
	return births
}

// forget lets go of an id that a conversation was told.
func (b *birthplaces) forget(conversation, value string) { b.known.drop(place{conversation, value}) }

// close lets go of the counts of ids that the answers of a command told: there
// will be no more of them.
func (b *birthplaces) close(x *Exchange) {
	for _, k := range x.born {
		b.counts.drop(k)
	}
}

// idPaths are the fields in which an event tells an id that GC makes.
var idPaths = []string{"dialogId", "associatedDialogId", "callVariables.associatedDialogId"}

// uses returns the ids of class dialog in a command.
func (b *birthplaces) uses(_ string, msg *decode.Message) (uses []Use) {
	for i := range msg.Fields {
		name := msg.Fields[i].Name
		if msg.Trait(name).Class != decode.ClassDialog {
			continue
		}
		if v := msg.Text(name); v != "" {
			uses = append(uses, Use{Path: name, Value: v})
		}
	}
	return uses
}

func (k Key) String() string {
	s := k.Conversation + " " + k.Path + " " + strconv.Itoa(k.N)
	if k.Cause != 0 {
		s += " of command " + strconv.FormatInt(k.Cause, 10)
	}
	return s
}
