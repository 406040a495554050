// Package brokertest is the one way to get a message broker in a test, in the
// demo or in a build job: [Start] runs a small STOMP broker in this process,
// [StartActiveMQ] a real ActiveMQ Classic from Debian's packages. Both are used
// through the same [Broker], have the same faults on request, and are held to
// the same behaviour by a table of tests.
//
// The broker in process does what the tool's users need of ActiveMQ, in
// ActiveMQ's words: broker-wide message-ids, timestamps, topic wildcards,
// mirrored and composite queues, virtual topics, competing consumers,
// acknowledgement with redelivery, browsers, prefetch and pending limits,
// login, heartbeats and receipts. It keeps no message on disk, knows neither
// OpenWire nor selectors nor, from clients of STOMP 1.0, backslashes in headers,
// and is not meant for production.
//
// Nothing here imports testing: the demo uses it too.
package brokertest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
)

// Options say what a broker is to be like. The zero value is a plain broker
// that lets everybody in.
type Options struct {
	Addr string // where to listen for STOMP; default a free port of 127.0.0.1

	Mirror        bool     // each queue Q is copied to topic VirtualTopic.Mirror.Q
	VirtualTopics bool     // topics VirtualTopic.> feed the queues Consumer.*.<topic>
	Composite     []string // these queues are copied to topic gctap.<queue>

	// XML stands in place of the three above: lines for <broker> of activemq.xml
	// as an administrator writes them; ActiveMQ only.
	XML string

	// PendingLimit makes the broker drop the oldest messages of a topic when
	// more than these wait for a slow subscriber, or fewer if the subscriber
	// asks for fewer. 0: none are dropped, and the subscriber's wish is ignored,
	// as ActiveMQ does without a policy.
	PendingLimit int

	Users map[string]string // login to password; nil: no login needed
	// Readable lists the destinations that may be read, queue://NAME or
	// topic://NAME, patterns too; nil: all. Every one may be written.
	Readable []string

	TLS        bool // listen for stomp+ssl with a certificate of a new private authority: see Broker.CAFile
	ClientCert bool // with TLS: a client certificate of that authority is needed: see Broker.ClientFiles

	NoHeartbeats bool     // decline heartbeats; the broker in process only
	Versions     []string // versions of STOMP to agree to, default all; the broker in process only
	Persistent   bool     // persistent messages outlive Kill and Restart
	OpenWire     string   // query of the OpenWire connector's URL, such as wireFormat.sizePrefixDisabled=true; ActiveMQ only
	JSONJars     bool     // the optional JSON jars are on the class path; ActiveMQ only
}

// A Broker runs until it is closed. Its faults are for tests: they strike all
// connections made through its URL.
type Broker struct {
	front   *front
	engine  engine
	options Options
	keys    *keys // nil without TLS
}

// An engine is what serves the connections that the front lets through.
type engine interface {
	// start begins to serve connections of the front.
	start(ctx context.Context) error
	// serve answers one connection until it ends.
	serve(c net.Conn)
	// kill ends it at once, as if its process had died.
	kill() error
	openWire() string
}

// ErrNoActiveMQ says that this machine has no ActiveMQ or no Java to run it.
var ErrNoActiveMQ = errors.New("no ActiveMQ here: install the packages activemq and default-jdk-headless")

// Start starts a broker in this process. ctx is for the start alone.
func Start(ctx context.Context, o Options) (*Broker, error) {
	return launch(ctx, o, func(k *keys) engine {
		var secure *tls.Config
		if k != nil {
			secure = k.server(o.ClientCert)
		}
		return newMemory(o, secure)
	})
}

// launch starts an engine behind a front.
func launch(ctx context.Context, o Options, build func(*keys) engine) (*Broker, error) {
	b := &Broker{options: o}
	if o.TLS {
		var err error
		if b.keys, err = newKeys(); err != nil {
			return nil, err
		}
	}
	b.engine = build(b.keys)
	b.front = newFront(b.engine.serve)
	err := b.engine.start(ctx)
	if err == nil {
		err = b.front.listen(o.Addr)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// URL is where to connect, without user and password.
func (b *Broker) URL() string {
	scheme := "stomp"
	if b.options.TLS {
		scheme = "stomp+ssl"
	}
	return (&url.URL{Scheme: scheme, Host: b.Addr()}).String()
}

// Addr is the host and port of URL.
func (b *Broker) Addr() string { return b.front.address() }

// OpenWire is where JMS clients connect, tcp://127.0.0.1:port; empty for the
// broker in process. Faults other than Kill and Restart do not strike there.
func (b *Broker) OpenWire() string { return b.engine.openWire() }

// CAFile is the certificate of the authority that the broker's is signed by,
// in PEM form; empty without TLS.
func (b *Broker) CAFile() string {
	if b.keys == nil {
		return ""
	}
	return b.keys.file("ca.pem")
}

// ClientFiles are a certificate and its key that the broker accepts, in PEM
// form; empty without TLS.
func (b *Broker) ClientFiles() (cert, key string) {
	if b.keys == nil {
		return "", ""
	}
	return b.keys.file("client.pem"), b.keys.file("client-key.pem")
}

// Drop cuts every connection there is. New ones are welcome.
func (b *Broker) Drop() { b.front.drop() }

// Refuse closes the port, or opens it again. Connections there are stay.
func (b *Broker) Refuse(yes bool) error {
	if yes {
		b.front.close()
		return nil
	}
	return b.front.listen(b.Addr())
}

// Pause stops all traffic without closing anything, as a lost network or a
// stopped machine does. Connections are still accepted and get no answer.
func (b *Broker) Pause() { b.front.gate.set(true, true) }

// PauseReading stops the broker from reading what clients send; what it sends
// still goes out.
func (b *Broker) PauseReading() { b.front.gate.set(true, false) }

// Resume ends Pause and PauseReading.
func (b *Broker) Resume() { b.front.gate.set(false, false) }

// Connections is how many there are.
func (b *Broker) Connections() int { return b.front.count() }

// Kill ends the broker at once: connections break, the port closes, and what
// was only in memory is lost.
func (b *Broker) Kill() error {
	b.front.close()
	b.front.drop()
	return b.engine.kill()
}

// Restart kills the broker if it runs, and starts it again on the same port.
// Its identity is a new one. With Options.Persistent its persistent messages
// are still there.
func (b *Broker) Restart(ctx context.Context) error {
	if err := b.Kill(); err != nil {
		return err
	}
	if err := b.engine.start(ctx); err != nil {
		return err
	}
	return b.front.listen(b.Addr())
}

// Log is the end of what the broker printed; empty for the broker in process.
func (b *Broker) Log() string {
	if l, ok := b.engine.(interface{ log() string }); ok {
		return l.log()
	}
	return ""
}

// Close ends the broker and removes its files.
func (b *Broker) Close() error {
	b.Resume()
	err := b.Kill()
	b.front.wait()
	if c, ok := b.engine.(interface{ close() error }); ok {
		err = errors.Join(err, c.close())
	}
	if b.keys != nil {
		err = errors.Join(err, b.keys.close())
	}
	return err
}
