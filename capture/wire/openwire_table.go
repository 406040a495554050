package wire

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// openWireVersions is the newest version of OpenWire that the table knows.
const openWireVersions = 12

// A structure is one type of OpenWire's object model: its number on the wire,
// the structure whose fields come first, and its own fields in wire order. The
// abstract ones have no number.
//
// Fields are written name:kind, with @N for "since version N" and @N-M for
// "in versions N to M". The kinds are those of [fieldKinds].
type structure struct {
	code   byte
	name   string
	base   string
	fields string
}

// openWire is the grammar of versions 1 to 12, as ActiveMQ Classic 5.17.2
// writes and reads it.
var openWire = []structure{
	{0, "Command", "", "commandId:int responseRequired:bool"},

	{1, "WireFormatInfo", "", "magic:magic version:int properties:bytes"},
	{2, "BrokerInfo", "Command", "brokerId:cached brokerURL:string peers:array brokerName:string slave:bool master:bool " +
		"faultTolerant:bool duplex:bool@2 network:bool@2 connectionId:long@2 uploadURL:string@3 networkProperties:string@3"},
	{3, "ConnectionInfo", "Command", "connectionId:cached clientId:string password:secret userName:string brokerPath:array " +
		"brokerMaster:bool manageable:bool clientMaster:bool@2 faultTolerant:bool@6 failoverReconnect:bool@6 clientIP:string@8"},
	{4, "SessionInfo", "Command", "sessionId:cached"},
	{5, "ConsumerInfo", "Command", "consumerId:cached browser:bool destination:cached prefetch:int pendingLimit:int async:bool " +
		"selector:string clientId:string@10 subscription:string noLocal:bool exclusive:bool retroactive:bool priority:byte " +
		"brokerPath:array predicate:nested network:bool optimizedAck:bool noRangeAcks:bool networkPath:array@4"},
	{6, "ProducerInfo", "Command", "producerId:cached destination:cached brokerPath:array async:bool@2 window:int@3"},
	{7, "TransactionInfo", "Command", "connectionId:cached transactionId:cached type:byte"},
	{8, "DestinationInfo", "Command", "connectionId:cached destination:cached operation:byte timeout:long brokerPath:array"},
	{9, "RemoveSubscriptionInfo", "Command", "connectionId:cached subscription:string clientId:string"},
	{10, "KeepAliveInfo", "Command", ""},
	{11, "ShutdownInfo", "Command", ""},
	{12, "RemoveInfo", "Command", "objectId:cached lastDelivered:long@5"},
	{14, "ControlCommand", "Command", "command:string"},
	{15, "FlushCommand", "Command", ""},
	{16, "ConnectionError", "Command", "exception:throwable connectionId:nested"},
	{17, "ConsumerControl", "Command", "destination:nested@6 close:bool consumerId:nested prefetch:int flush:bool@2 start:bool@2 stop:bool@2"},
	{18, "ConnectionControl", "Command", "close:bool exit:bool faultTolerant:bool resume:bool suspend:bool " +
		"connectedBrokers:string@6 reconnectTo:string@6 rebalance:bool@6 token:secret-bytes@8"},
	{19, "ProducerAck", "Command", "producerId:nested size:int"},
	{20, "MessagePull", "Command", "consumerId:cached destination:cached timeout:long correlationId:string@3 messageId:nested@3"},
	{21, "MessageDispatch", "Command", "consumerId:cached destination:cached message:nested redelivery:int"},
	{22, "MessageAck", "Command", "destination:cached transactionId:cached consumerId:cached type:byte firstMessageId:nested " +
		"lastMessageId:nested count:int poison:throwable@7"},

	{0, "Message", "Command", "producerId:cached destination:cached transactionId:cached originalDestination:cached " +
		"messageId:nested originalTransactionId:cached groupId:string groupSequence:int correlationId:string persistent:bool " +
		"expiration:long priority:byte replyTo:nested timestamp:long type:string content:bytes properties:bytes " +
		"dataStructure:nested targetConsumerId:cached compressed:bool redelivery:int brokerPath:array arrival:long " +
		"userId:string bridged:bool droppable:bool@2 cluster:array@3 brokerIn:long@3 brokerOut:long@3 firstForConsumer:bool@10"},
	{23, "ActiveMQMessage", "Message", ""},
	{24, "ActiveMQBytesMessage", "Message", ""},
	{25, "ActiveMQMapMessage", "Message", ""},
	{26, "ActiveMQObjectMessage", "Message", ""},
	{27, "ActiveMQStreamMessage", "Message", ""},
	{28, "ActiveMQTextMessage", "Message", ""},
	{29, "ActiveMQBlobMessage", "Message", "url:string@3 mimeType:string@3 deletedByBroker:bool@3"},

	{30, "Response", "Command", "correlationId:int"},
	{31, "ExceptionResponse", "Response", "exception:throwable"},
	{32, "DataResponse", "Response", "data:nested"},
	{33, "DataArrayResponse", "Response", "data:array"},
	{34, "IntegerResponse", "Response", "result:int"},
	{40, "DiscoveryEvent", "", "serviceName:string brokerName:string"},
	{50, "JournalTopicAck", "", "destination:nested messageId:nested sequence:long subscription:string clientId:string transactionId:nested"},
	{52, "JournalQueueAck", "", "destination:nested ack:nested"},
	{53, "JournalTrace", "", "message:string"},
	{54, "JournalTransaction", "", "transactionId:nested type:byte prepared:bool"},
	{55, "SubscriptionInfo", "", "clientId:string destination:cached selector:string subscription:string subscribed:nested@3 noLocal:bool@11"},
	{60, "PartialCommand", "", "commandId:int data:bytes"},
	{61, "LastPartialCommand", "PartialCommand", ""},
	{65, "ReplayCommand", "Command", "first:int last:int"},
	{90, "MessageDispatchNotification", "Command", "consumerId:cached destination:cached sequence:long messageId:nested"},
	{91, "NetworkBridgeFilter", "", "ttl:int@1-9 brokerId:cached messageTTL:int@10 consumerTTL:int@10"},
	{92, "BrokerSubscriptionInfo", "Command", "brokerId:nested brokerName:string subscriptions:array"},

	{0, "Destination", "", "name:string"},
	{100, "Queue", "Destination", ""},
	{101, "Topic", "Destination", ""},
	{102, "TempQueue", "Destination", ""},
	{103, "TempTopic", "Destination", ""},
	{110, "MessageId", "", "textView:string@10 producerId:cached sequence:long brokerSequence:long"},
	{111, "LocalTransactionId", "", "value:long connectionId:cached"},
	{112, "XATransactionId", "", "format:int global:bytes branch:bytes"},
	{120, "ConnectionId", "", "value:string"},
	{121, "SessionId", "", "connectionId:string value:long"},
	{122, "ConsumerId", "", "connectionId:string sessionId:long value:long"},
	{123, "ProducerId", "", "connectionId:string value:long sessionId:long"},
	{124, "BrokerId", "", "value:string"},
}

// A fieldKind is how a field's value is written; see reader.value.
type fieldKind byte

const (
	kindBool fieldKind = iota
	kindByte
	kindInt
	kindLong
	kindString
	kindSecret // a string whose text is never kept
	kindBytes
	kindSecretBytes
	kindMagic  // eight bytes, always there
	kindNested // an object of any type, or null
	kindCached // the same, or a number that stands for one seen before
	kindArray  // objects, or null
	kindThrowable
)

// fieldKinds are the words of the table.
var fieldKinds = map[string]fieldKind{
	"bool": kindBool, "byte": kindByte, "int": kindInt, "long": kindLong, "string": kindString, "secret": kindSecret,
	"bytes": kindBytes, "secret-bytes": kindSecretBytes, "magic": kindMagic, "nested": kindNested, "cached": kindCached,
	"array": kindArray, "throwable": kindThrowable,
}

// A layout is a structure as one version writes it, base fields first.
type layout struct {
	code    byte
	name    string
	kinds   []fieldKind
	index   map[string]int // field name -> place in kinds
	message bool           // a Message; see aware
	aware   bool           // may be nested with its bytes as they were marshalled before
}

// layouts are the types of one version by their number.
type layouts [256]*layout

// openWireLayouts works the table out for every version, once.
var openWireLayouts = sync.OnceValue(func() *[openWireVersions + 1]layouts {
	var all [openWireVersions + 1]layouts
	for version := 1; version <= openWireVersions; version++ {
		for _, s := range openWire {
			if s.code == 0 || s.code == 92 && version < 12 || s.code == 29 && version < 3 {
				continue
			}
			l := &layout{code: s.code, name: s.name, index: map[string]int{}}
			if err := l.add(s, version); err != nil {
				panic(err) // the table is wrong; a test reads all of it
			}
			l.aware = l.message || s.name == "WireFormatInfo"
			all[version][s.code] = l
		}
	}
	return &all
})

// add appends the fields of s, those of its base before them.
func (l *layout) add(s structure, version int) error {
	if s.base != "" {
		for _, base := range openWire {
			if base.name != s.base {
				continue
			}
			if err := l.add(base, version); err != nil {
				return err
			}
		}
	}
	l.message = l.message || s.name == "Message"
	for _, text := range strings.Fields(s.fields) {
		name, kind, there, err := parseField(text, version)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", s.name, text, err)
		}
		if _, twice := l.index[name]; twice {
			return fmt.Errorf("%s.%s: twice", s.name, name)
		}
		if there {
			l.index[name] = len(l.kinds)
			l.kinds = append(l.kinds, kind)
		}
	}
	return nil
}

// parseField reads name:kind, name:kind@N or name:kind@N-M.
func parseField(text string, version int) (name string, kind fieldKind, there bool, err error) {
	text, versions, _ := strings.Cut(text, "@")
	name, word, _ := strings.Cut(text, ":")
	kind, known := fieldKinds[word]
	if !known {
		return "", 0, false, fmt.Errorf("no kind %q", word)
	}
	since, until := 1, openWireVersions
	if versions != "" {
		from, to, both := strings.Cut(versions, "-")
		if since, err = strconv.Atoi(from); err != nil {
			return "", 0, false, err
		}
		if both {
			if until, err = strconv.Atoi(to); err != nil {
				return "", 0, false, err
			}
		}
	}
	return name, kind, since <= version && version <= until, nil
}
