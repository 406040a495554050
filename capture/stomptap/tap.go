// Package stomptap reads the commands and events of a live broker without
// taking a single command away from GC.
//
// It never subscribes to a command queue itself, but for Consume, which takes
// commands from GC and is chosen by nobody but the user. Commands come as copies that
// the broker makes: on a mirror topic, on a composite topic, or on the queue of
// a virtual topic consumer, which keeps them while the tap is away. Events come
// from the client topics, found by the wildcard over all topics or by the
// handshakes that name them. What belongs to other applications is counted and
// forgotten.
//
// What a message means is not known here: the finder of handshakes and the
// test for events are functions handed in.
package stomptap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gctap/capture"
	"gctap/capture/link"
)

// A Mode is a way to see commands; all modes see events.
type Mode string

const (
	Auto      Mode = "auto"      // mirror, composite and events at once; leaves nothing on the broker
	Mirror    Mode = "mirror"    // topic VirtualTopic.Mirror.QUEUE
	Composite Mode = "composite" // topic gctap.QUEUE
	Durable   Mode = "durable"   // queue Consumer.NAME.VirtualTopic.Mirror.QUEUE
	Events    Mode = "events"    // no commands
	Browse    Mode = "browse"    // looks at the queue again and again; misses what GC takes between
	Consume   Mode = "consume"   // takes the commands away from GC
)

// Modes are those that Config.Mode takes, the default first.
var Modes = []Mode{Auto, Durable, Mirror, Composite, Events, Browse, Consume}

// browseEvery is how often Browse looks at the queues.
const browseEvery = time.Second

// Names that the broker configurations of the README give to the copies, and
// the topic on which GCs tell each other of agents.
const (
	mirrorTopic    = "topic://VirtualTopic.Mirror."
	compositeTopic = "topic://gctap."
	peerTopic      = "topic://ConnectorSync"
	everyTopic     = "topic://>"
	advisoryTopic  = "topic://ActiveMQ.Advisory."
)

// Limits of what the tap holds of destinations that are not known yet, and of
// what the broker may hold for the tap.
const (
	heldMessages     = 100      // a destination
	heldDestinations = 1000     // at once
	heldBytes        = 16 << 20 // in all

	rememberedDestinations = 10_000 // known topics, and foreign ones
	prefetch               = 1000
	pending                = 10_000
)

// Config says what to tap.
type Config struct {
	Mode       Mode
	Queues     []string // command queues, by name
	Topics     []string // client topics that are known, by name or pattern (CheckTopic)
	Consumer   string   // Durable: the consumer's name
	NoDiscover bool     // leave the wildcard over all topics alone

	// Handshake returns the client topics, by name, that a command makes known.
	Handshake func(*capture.Record) []string
	// IsEvent reports whether a message on an unknown topic is GC's.
	IsEvent func(*capture.Record) bool
	// Say takes what the user should know, one line at a time. It must not block.
	Say func(string)
}

// A Recorder takes what the tap sees; capture.Recorder is one.
type Recorder interface {
	Offer(capture.Delivery)
	Gap(capture.Gap)
	Foreign(destination string)
}

// A Tap sorts what comes over its subscriptions. Its methods may be called
// from any goroutine.
type Tap struct {
	cfg Config
	rec Recorder

	mu       sync.Mutex
	conn     capture.Link
	ctx      context.Context
	copies   map[string]copyOf // destination a copy is read from
	known    map[string]bool   // topics whose messages are GC's
	patterns []pattern         // the same, with wildcards
	held     map[string][]capture.Delivery
	heldSize int
	foreign  map[string]bool // topics that had their 100 messages
	wildcard bool
	topics   map[string]func() error // topics subscribed to, and how to end that
	queues   map[string]func() error // queues, the same
	detached time.Time               // zero: attached
	via      Mode                    // the mode by which commands came; empty before
	first    time.Time
	down     time.Time
}

// copyOf is what is known of a destination that carries copies of commands.
type copyOf struct {
	queue string // queue://NAME
	via   Mode
}

// New returns a tap that hands what it sees to rec once Start is called.
func New(cfg Config, rec Recorder) *Tap {
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	t := &Tap{
		cfg:      cfg,
		rec:      rec,
		copies:   map[string]copyOf{},
		known:    map[string]bool{},
		held:     map[string][]capture.Delivery{},
		topics:   map[string]func() error{},
		queues:   map[string]func() error{},
		foreign:  map[string]bool{},
		wildcard: !cfg.NoDiscover,
	}
	for _, queue := range cfg.Queues {
		q := "queue://" + queue
		t.copies[mirrorTopic+queue] = copyOf{q, Mirror}
		t.copies[compositeTopic+queue] = copyOf{q, Composite}
		t.copies[consumerQueue(cfg.Consumer, queue)] = copyOf{q, Durable}
		if cfg.Mode == Browse || cfg.Mode == Consume {
			t.copies[q] = copyOf{q, cfg.Mode}
		}
	}
	for _, topic := range cfg.Topics {
		if isPattern(topic) {
			t.patterns = append(t.patterns, strings.Split(topic, "."))
		} else {
			t.known["topic://"+topic] = true
		}
	}
	return t
}

// consumerQueue is where a virtual topic keeps what its consumer has not
// acknowledged.
func consumerQueue(consumer, queue string) string {
	return "queue://Consumer." + consumer + ".VirtualTopic.Mirror." + queue
}

// ConsumerQueues are the queues that a durable tap leaves on the broker.
func (c Config) ConsumerQueues() []string {
	var queues []string
	for _, q := range c.Queues {
		queues = append(queues, strings.TrimPrefix(consumerQueue(c.Consumer, q), "queue://"))
	}
	return queues
}

// Start subscribes to all that the mode asks for. It fails where something that
// was asked for by name cannot be had, or nothing at all. A broker that refuses
// the wildcard over all topics leaves the handshakes to find the client topics;
// one that refuses one kind of copy leaves Auto the other.
func (t *Tap) Start(ctx context.Context, conn capture.Link) error {
	t.mu.Lock()
	t.conn, t.ctx = conn, ctx
	t.mu.Unlock()
	if t.cfg.Mode == Browse {
		for _, queue := range t.cfg.Queues {
			go t.browse(ctx, "queue://"+queue)
		}
	}
	for _, dest := range t.commandSources() {
		if err := t.ask(dest, t.cfg.Mode != Auto); err != nil {
			return err
		}
	}
	if !t.cfg.NoDiscover {
		err := t.subscribe(everyTopic, false)
		if err == nil {
			return nil
		}
		t.cfg.Say(fmt.Sprintf("the broker does not let us read all topics (%v); client topics are found by their handshakes only", err))
	}
	for _, dest := range t.topicsByName() {
		if err := t.ask(dest, dest != peerTopic); err != nil {
			return err
		}
	}
	if len(t.topics)+len(t.queues) == 0 && t.cfg.Mode != Browse {
		return errors.New("the broker lets us read nothing of what is asked for")
	}
	return nil
}

// ask subscribes to a destination; where it is not needed, a broker's refusal is
// said and no failure.
func (t *Tap) ask(dest string, needed bool) error {
	err := t.subscribe(dest, strings.HasPrefix(dest, "queue://"))
	switch _, no := errors.AsType[*link.Refused](err); {
	case err == nil:
		return nil
	case no && !needed:
		t.cfg.Say(fmt.Sprintf("%s is not recorded: %v", dest, err))
		return nil
	}
	return fmt.Errorf("subscribing to %s: %w", dest, err)
}

// commandSources are the destinations to subscribe to by name for commands,
// although the wildcard brings the topics among them too: with a limit of their
// own, another application's flood cannot push commands out.
func (t *Tap) commandSources() []string {
	var dests []string
	for _, queue := range t.cfg.Queues {
		switch t.cfg.Mode {
		case Auto:
			dests = append(dests, mirrorTopic+queue, compositeTopic+queue)
		case Mirror:
			dests = append(dests, mirrorTopic+queue)
		case Composite:
			dests = append(dests, compositeTopic+queue)
		case Durable:
			dests = append(dests, consumerQueue(t.cfg.Consumer, queue))
		case Consume:
			dests = append(dests, "queue://"+queue)
		}
	}
	return dests
}

// topicsByName are the topics to subscribe to where there is no wildcard; from
// then on name subscribes to each further one.
func (t *Tap) topicsByName() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wildcard = false
	dests := append([]string{peerTopic}, slices.Sorted(maps.Keys(t.known))...)
	for _, p := range t.patterns {
		dests = append(dests, p.destination())
	}
	return dests
}

func (t *Tap) subscribe(dest string, individual bool) error {
	cancel, err := t.conn.Subscribe(t.ctx, capture.Subscription{
		Destination: dest, Individual: individual, Prefetch: prefetch, Pending: pending,
	}, t.from(dest))
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if individual {
		t.queues[dest] = cancel
	} else {
		t.topics[dest] = cancel
	}
	return nil
}

// from is deliver for what comes over the subscription to dest. Where a broker
// gives copies of one message no common id, they cannot be told from two
// messages, so only one subscription's are taken: the one by name, else that of
// the first pattern, else the wildcard over all topics.
func (t *Tap) from(dest string) func(capture.Delivery) {
	return func(d capture.Delivery) {
		if d.Record.MessageID == "" && strings.HasPrefix(dest, "topic://") && t.nearest(d.Record.To) != dest {
			return
		}
		t.deliver(d)
	}
}

// nearest is the subscription whose copy of a topic's messages is taken.
func (t *Tap) nearest(topic string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.topics[topic] != nil {
		return topic
	}
	name := strings.TrimPrefix(topic, "topic://")
	for _, p := range t.patterns {
		if dest := p.destination(); t.topics[dest] != nil && p.matches(name) {
			return dest
		}
	}
	return everyTopic
}

// Detach ends the subscriptions to topics, so that the broker holds nothing for
// a tap that cannot keep up. Queues stay: their messages are on the broker's
// disk, and the prefetch bounds the rest. What is missed is a gap.
func (t *Tap) Detach(now time.Time) error {
	t.mu.Lock()
	topics := maps.Clone(t.topics)
	t.detached = now
	t.mu.Unlock()
	var errs []error
	for _, cancel := range topics {
		errs = append(errs, cancel())
	}
	return errors.Join(errs...)
}

// Attach subscribes again to what Detach left, and anew to the queues: what was
// dropped of theirs is not acknowledged, and the broker delivers it again. Where
// it fails the tap is still detached, and Attach is to be called again.
func (t *Tap) Attach(now time.Time) error {
	t.mu.Lock()
	from, topics, queues := t.detached, maps.Clone(t.topics), maps.Clone(t.queues)
	t.mu.Unlock()
	for dest, cancel := range queues {
		if err := t.renew(dest, cancel); err != nil {
			return err
		}
	}
	for dest, cancel := range topics {
		if err := t.renew(dest, cancel); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.detached = time.Time{}
	t.mu.Unlock()
	t.rec.Gap(capture.Gap{From: from, To: now, Reason: capture.GapOverflow})
	return nil
}

// renew ends a subscription, where it has not ended, and begins it anew.
func (t *Tap) renew(dest string, cancel func() error) error {
	if err := errors.Join(cancel(), t.subscribe(dest, strings.HasPrefix(dest, "queue://"))); err != nil {
		return fmt.Errorf("subscribing to %s: %w", dest, err)
	}
	return nil
}

// Detached reports whether Detach was called and Attach was not.
func (t *Tap) Detached() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.detached.IsZero()
}

// browse looks at a queue until ctx or the link ends. What was seen before
// comes again and is dropped as a double.
func (t *Tap) browse(ctx context.Context, queue string) {
	told := false
	for {
		if err := t.browseOnce(ctx, queue); err != nil && ctx.Err() == nil && !told {
			t.cfg.Say(fmt.Sprintf("browsing %s: %v; trying again every %s", queue, err, browseEvery))
			told = true
		}
		select {
		case <-time.After(browseEvery):
		case <-ctx.Done():
			return
		case <-t.conn.Done():
			return
		}
	}
}

func (t *Tap) browseOnce(ctx context.Context, queue string) error {
	end := make(chan struct{}, 1)
	cancel, err := t.conn.Subscribe(ctx, capture.Subscription{
		Destination: queue, Browse: true, Prefetch: prefetch, Pending: pending,
	}, func(d capture.Delivery) {
		if link.BrowseEnd(&d.Record) {
			select {
			case end <- struct{}{}:
			default: // a second browse, after a lost connection
			}
			return
		}
		t.deliver(d)
	})
	if err != nil {
		return err
	}
	select {
	case <-end:
	case <-ctx.Done():
	case <-t.conn.Done():
	case <-time.After(10 * browseEvery): // the connection was lost in between
	}
	return cancel()
}

// Down and Up tell of the connection; what was between is a gap.
func (t *Tap) Down(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.down.IsZero() {
		t.down = at
	}
}

// Up ends what Down began.
func (t *Tap) Up(at time.Time) {
	t.mu.Lock()
	down := t.down
	t.down = time.Time{}
	t.mu.Unlock()
	if !down.IsZero() {
		t.rec.Gap(capture.Gap{From: down, To: at, Reason: capture.GapReconnect})
	}
}

// End records the gap of a connection that is still down, or of a tap that is
// detached, when the recording ends.
func (t *Tap) End(at time.Time) {
	t.Up(at)
	t.mu.Lock()
	from := t.detached
	t.mu.Unlock()
	if !from.IsZero() {
		t.rec.Gap(capture.Gap{From: from, To: at, Reason: capture.GapOverflow})
	}
}

// Via is the mode by which commands came, empty while none has.
func (t *Tap) Via() Mode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.via
}

// Blind returns why commands are not visible, and whether that is so: events
// have come for longer than patience, and no command with them.
func (t *Tap) Blind(now time.Time, patience time.Duration) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.via != "" || t.first.IsZero() || now.Sub(t.first) < patience {
		return "", false
	}
	queues := strings.Join(t.cfg.Queues, ", ")
	if t.cfg.Mode == Events {
		return "commands are not visible: mode events leaves them out, as asked", true
	}
	return fmt.Sprintf("commands are not visible: the broker makes no copies of queue %s, so only events are recorded; "+
		"it needs a mirrored or composite queue: 'gctap help record' prints the exact lines", queues), true
}

// deliver sorts one message. Link calls it on its reading goroutine.
func (t *Tap) deliver(d capture.Delivery) {
	rec := &d.Record
	source, isCopy := t.copies[rec.To]
	switch {
	case isCopy && t.records(source.via):
		t.command(d, source)
	case isCopy:
		t.meet(rec)
		t.rec.Foreign(rec.To)
	case t.isKnown(rec.To):
		rec.Direction = capture.Event
		rec.Via = string(Events)
		t.event(d)
	case rec.To == peerTopic:
		rec.Direction = capture.Peer
		rec.Via = string(Events)
		t.rec.Offer(d)
	case strings.HasPrefix(rec.To, advisoryTopic):
		t.rec.Foreign(rec.To)
	case strings.HasPrefix(rec.To, mirrorTopic):
		t.otherMirror(rec.To)
	default:
		rec.Direction = capture.Event
		rec.Via = string(Events)
		t.event(d)
	}
}

// records reports whether copies that come in a way are recorded in the tap's
// mode: those it asked for, and behind a durable tap's queue the topic that
// feeds it.
func (t *Tap) records(via Mode) bool {
	switch t.cfg.Mode {
	case Auto:
		return via == Mirror || via == Composite
	case Durable:
		return via == Durable || via == Mirror
	}
	return via == t.cfg.Mode
}

// meet takes note of the client topics that a command names.
func (t *Tap) meet(rec *capture.Record) {
	rec.Direction = capture.Command
	for _, topic := range t.cfg.Handshake(rec) {
		t.name("topic://" + topic)
	}
}

func (t *Tap) isKnown(dest string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[dest]
}

// isAskedFor reports whether a pattern of the configuration takes in a topic.
func (t *Tap) isAskedFor(dest string) bool {
	topic, ok := strings.CutPrefix(dest, "topic://")
	return ok && slices.ContainsFunc(t.patterns, func(p pattern) bool { return p.matches(topic) })
}

func (t *Tap) command(d capture.Delivery, source copyOf) {
	rec := &d.Record
	rec.Via = string(source.via)
	if rec.To != source.queue {
		rec.Headers = append(rec.Headers, capture.Header{Name: "amq.destination", Value: rec.To})
		rec.To = source.queue
	}
	t.meet(rec)
	t.mu.Lock()
	if t.via == "" {
		t.via = source.via
		t.cfg.Say(fmt.Sprintf("commands of %s come by %s", source.queue, source.via))
	}
	t.mu.Unlock()
	t.rec.Offer(d)
}

// otherMirror counts a copy of a queue that is not ours, and says once that
// there is one: a site may have Connector1 and Connector2.
func (t *Tap) otherMirror(dest string) {
	t.mu.Lock()
	seen := t.foreign[dest]
	remember(t.foreign, dest)
	t.mu.Unlock()
	queue := strings.TrimPrefix(dest, mirrorTopic)
	if !seen && !strings.HasPrefix(queue, "Consumer.") { // a durable tap's queue is mirrored in its turn
		t.cfg.Say(fmt.Sprintf("queue %s is mirrored too and is not recorded; --queue %s records it", queue, queue))
	}
	t.rec.Foreign(dest)
}

// event records a message of a known topic, holds one of a topic that may yet
// turn out to be GC's, and counts any other.
func (t *Tap) event(d capture.Delivery) {
	dest := d.Record.To
	known := t.isKnown(dest)
	if !known && (t.isAskedFor(dest) || t.cfg.IsEvent(&d.Record)) {
		t.name(dest)
		known = true
	}
	if known {
		t.mu.Lock()
		if t.first.IsZero() {
			t.first = d.Record.CapturedAt
		}
		t.mu.Unlock()
		t.rec.Offer(d)
		return
	}
	t.hold(d)
}

// name makes a topic known as GC's: what was held of it is recorded, and where
// the wildcard does not bring it, it is subscribed to.
func (t *Tap) name(dest string) {
	t.mu.Lock()
	if t.known[dest] {
		t.mu.Unlock()
		return
	}
	remember(t.known, dest)
	held := t.held[dest]
	delete(t.held, dest)
	for _, d := range held {
		t.heldSize -= len(d.Record.Body)
	}
	alone := !t.wildcard && !t.isAskedFor(dest)
	t.mu.Unlock()
	for _, d := range held {
		t.rec.Offer(d)
	}
	if alone {
		// Not from here: Subscribe waits for a receipt, which the goroutine
		// that called us has to read.
		go t.follow(dest)
	}
}

// follow subscribes to a client's topic. Where the connection is lost meanwhile
// it does so once more, when that is back; not again and again, for a broker may
// end the connection because of what it was asked.
func (t *Tap) follow(dest string) {
	err := errors.New("its name holds wildcards, and a client does not choose what is read")
	for tries := 2; tries > 0 && !isPattern(dest); tries-- {
		err = t.subscribe(dest, false)
		if _, no := errors.AsType[*link.Refused](err); no || err == nil || t.ctx.Err() != nil {
			break
		}
	}
	if err != nil && t.ctx.Err() == nil {
		t.cfg.Say(fmt.Sprintf("events of %s are not recorded: %v", dest, err))
	}
}

func (t *Tap) hold(d capture.Delivery) {
	dest, size := d.Record.To, len(d.Record.Body)
	t.mu.Lock()
	defer t.mu.Unlock()
	held, waiting := t.held[dest]
	full := len(held) >= heldMessages || t.heldSize+size > heldBytes || !waiting && len(t.held) >= heldDestinations
	if !t.foreign[dest] && !full {
		t.held[dest] = append(held, d)
		t.heldSize += size
		return
	}
	if waiting { // it had its chance: forget what was held
		for _, h := range held {
			t.heldSize -= len(h.Record.Body)
			t.rec.Foreign(dest)
		}
		delete(t.held, dest)
	}
	remember(t.foreign, dest)
	t.rec.Foreign(dest)
}

// remember adds a destination to a set that forgets everything when it has got
// too large: what is still in use is soon known again.
func remember(set map[string]bool, dest string) {
	if len(set) >= rememberedDestinations {
		clear(set)
	}
	set[dest] = true
}

// Close counts what is still held. Nothing may be delivered any more.
func (t *Tap) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for dest, held := range t.held {
		for range held {
			t.rec.Foreign(dest)
		}
	}
	clear(t.held)
}
