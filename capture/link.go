package capture

import "context"

// A Link is a connection to a broker as tap, replay, mock and simulator see it.
// It reconnects by itself and subscribes again; who must know asks for it in
// the configuration of the implementation (capture/link).
type Link interface {
	// Subscribe returns once the broker has confirmed the subscription; from
	// then on deliver is called for every message, one call at a time, on the
	// goroutine that reads the connection: it must not block and may keep the
	// Delivery. The returned function ends the subscription.
	Subscribe(ctx context.Context, s Subscription, deliver func(Delivery)) (cancel func() error, err error)
	// Send hands a message to the broker, as a JMS TextMessage whatever its
	// bytes. It does not wait for a receipt; an error means it was not sent.
	Send(ctx context.Context, m Outgoing) error
	// Sync returns once the broker has taken in everything sent before.
	Sync(ctx context.Context) error
	// Identity names the broker's process: the front part of the session
	// header, the same through any address until the broker restarts. Empty
	// where the broker gives none.
	Identity() string
	// Done is closed when the link has been given up; Err then says why.
	Done() <-chan struct{}
	Err() error
	Close() error
}

// A Subscription asks for the messages of one destination.
type Subscription struct {
	Destination string // queue://NAME, topic://NAME; topics also by wildcard: a.*.c, a.>, and > for all
	Individual  bool   // the broker keeps each message until its Ack (client-individual)
	Prefetch    int    // messages in flight at the most; 0: the link's default
	Pending     int    // messages the broker may hold back for a slow reader; 0: default
	Browse      bool   // look at a queue, take nothing
}

// A Delivery is one message that came over a Link.
type Delivery struct {
	Record Record
	// Ack tells the broker that the message is safe. Nil where nothing is to be
	// acknowledged. It never blocks; what could not be acknowledged comes again.
	Ack func()
}

// Outgoing is a message to be sent.
type Outgoing struct {
	To            string // queue://NAME or topic://NAME
	JMSType       *string
	Body          []byte
	ReplyTo       string
	CorrelationID string
	Headers       []Header // JMS string properties
	Persistent    bool
}
