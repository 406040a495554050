package stomptap

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gctap/capture"
)

// Evidence is what an examination knows of a mode.
type Evidence string

const (
	Seen    Evidence = "works"    // a message came this way
	Refused Evidence = "refused"  // the broker said no
	NotSeen Evidence = "not seen" // nothing came while we listened
	Untried Evidence = "untried"  // trying would change the broker, or harm GC
)

// A Finding is what an examination found of one mode.
type Finding struct {
	Mode     Mode     `json:"mode"`
	Evidence Evidence `json:"evidence"`
	Messages int      `json:"messages"`
	Words    string   `json:"words,omitempty"` // the broker's, where it refused
	Misses   string   `json:"misses"`          // what a recording in this mode would lack
}

// A Skew is how far a producer's clock is from ours: the smallest of (our time
// minus its time) over its messages, which holds the shortest way as well.
type Skew struct {
	Producer string        `json:"producer"`
	Behind   time.Duration `json:"behindNs"`
	Messages int           `json:"messages"`
}

// An Examination is the answer of Examine.
type Examination struct {
	Waited  time.Duration `json:"waitedNs"`
	Modes   []Finding     `json:"modes"`
	Clients []string      `json:"clients"` // client topics that carried events
	Foreign int           `json:"foreign"` // messages of other applications
	Skews   []Skew        `json:"skews"`
}

// Complete reports whether a mode that shows the commands was seen to work.
func (e *Examination) Complete() bool {
	return slices.ContainsFunc(e.Modes, func(f Finding) bool {
		return f.Mode != Events && f.Evidence == Seen
	})
}

// Examine listens for wait and says which modes work here. It sends nothing
// and creates nothing on the broker: its one subscription is the wildcard over
// all topics, and it ends. What would create or take something is not tried.
func Examine(ctx context.Context, link capture.Link, cfg Config, wait time.Duration) (*Examination, error) {
	x := &examiner{cfg: cfg, tap: New(cfg, nil), seen: map[Mode]int{}, clients: map[string]bool{}, skews: map[string]*Skew{}}
	began := time.Now()
	cancel, err := link.Subscribe(ctx, capture.Subscription{Destination: everyTopic, Prefetch: prefetch, Pending: pending}, x.deliver)
	if err == nil {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		case <-link.Done():
			return nil, link.Err()
		}
		if err := cancel(); err != nil {
			return nil, err
		}
	}
	return x.report(time.Since(began), err), nil
}

type examiner struct {
	cfg Config
	tap *Tap // for its table of copies

	mu      sync.Mutex
	seen    map[Mode]int
	clients map[string]bool
	foreign int
	skews   map[string]*Skew
}

func (x *examiner) deliver(d capture.Delivery) {
	x.mu.Lock()
	defer x.mu.Unlock()
	rec := &d.Record
	source, isCopy := x.tap.copies[rec.To]
	switch {
	case isCopy:
		x.seen[source.via]++
		for _, topic := range x.cfg.Handshake(rec) {
			x.clients["topic://"+topic] = true
		}
	case strings.HasPrefix(rec.To, advisoryTopic):
		return
	case rec.To == peerTopic || x.clients[rec.To] || x.cfg.IsEvent(rec):
		x.seen[Events]++
		if rec.To != peerTopic {
			x.clients[rec.To] = true
		}
	default:
		x.foreign++
		return
	}
	x.skew(rec)
}

func (x *examiner) skew(rec *capture.Record) {
	if rec.SentAt == nil {
		return
	}
	behind := rec.CapturedAt.Sub(*rec.SentAt)
	s := x.skews[rec.Conn]
	if s == nil {
		s = &Skew{Producer: rec.Conn, Behind: behind}
		x.skews[rec.Conn] = s
	}
	s.Behind = min(s.Behind, behind)
	s.Messages++
}

func (x *examiner) report(waited time.Duration, refused error) *Examination {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := &Examination{Waited: waited, Foreign: x.foreign, Clients: slices.Sorted(maps.Keys(x.clients))}
	for _, mode := range []Mode{Mirror, Composite, Durable, Events, Browse, Consume} {
		e.Modes = append(e.Modes, x.finding(mode, refused))
	}
	for _, s := range x.skews {
		e.Skews = append(e.Skews, *s)
	}
	slices.SortFunc(e.Skews, func(a, b Skew) int { return cmp.Compare(a.Producer, b.Producer) })
	return e
}

// finding is what the examination knows of a mode; refused is the broker's
// answer to the wildcard.
func (x *examiner) finding(mode Mode, refused error) Finding {
	f := Finding{Mode: mode, Evidence: NotSeen, Messages: x.seen[mode], Misses: misses[mode]}
	if why := untried[mode]; why != "" {
		f.Evidence, f.Words = Untried, why
		if mode == Durable && x.seen[Mirror] > 0 {
			f.Words += "; the queue is mirrored, so it works where the broker has virtual topics"
		}
		return f
	}
	switch {
	case refused != nil:
		f.Evidence, f.Words = Refused, refused.Error()
		if mode != Events {
			f.Words += "; record asks for this topic by its name, which was not tried: it may be allowed"
		}
	case f.Messages > 0:
		f.Evidence = Seen
	}
	return f
}

// untried is why a mode is not tried.
var untried = map[Mode]string{
	Durable: "trying leaves a queue on the broker",
	Browse:  "trying makes the queue where there is none",
	Consume: "trying takes commands away from GC",
}

// misses is what a recording in a mode lacks.
var misses = map[Mode]string{
	Mirror:    "what is sent while the tap is away",
	Composite: "what is sent while the tap is away",
	Durable:   "no command; events that are sent while the tap is away",
	Events:    "all commands",
	Browse:    "the commands that GC takes between two looks, nearly all",
	Consume:   "no command, but GC gets none: never beside live agents",
}
