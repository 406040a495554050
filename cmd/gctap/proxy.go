package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/capture/wire"
	"gctap/store"
)

type proxyFlags struct {
	wire     wireFlags
	listen   []string
	to       []string
	duration time.Duration
	parts    partLimits
	metrics  string

	certFile, keyFile string   // towards the clients
	secure            bool     // towards the servers
	tls               link.TLS // likewise
}

func proxyCommand(a *app) *cobra.Command {
	var f proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy --listen ADDR --to HOST:PORT",
		Short: "Stand between clients and their broker or GC, and record what passes",
		Long: `Pass connections on to a broker, a GC or a XiVO, unchanged and at once, and record
beside it until SIGINT, SIGTERM or --duration. Clients, and GC itself, are given the
proxy's address in place of the broker's; the broker's configuration stays as it is.

OpenWire (JMS), STOMP, REST and xuc are found by content. Only what passes through is
seen: with the clients alone behind the proxy, commands and events; with GC behind it
too, who took which command from the queue and when it was acknowledged, so that
'gctap check' tells "never taken" from "taken and not answered".

The traffic never waits for the recording. Where decoding or the disk cannot keep up,
or storing fails, bytes pass all the same and a gap row says what was not recorded.
When the proxy ends, its connections end: clients connect again on their own.

--listen and --to are given in pairs, any number of them. --listen :61616 takes
connections from other machines, 127.0.0.1:61616 from this one only. With --tls-cert
the clients speak TLS with the proxy, with --tls the proxy with the servers.`,
		Example: `  gctap proxy --listen :61617 --to broker:61616 --name incident
  gctap proxy --listen :61617 --to broker:61616 --listen :8081 --to gc:8080
  gctap proxy --listen :61617 --tls-cert proxy.pem --tls-key proxy.key --to broker:61617 --tls-ca ca.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return proxy(cmd.Context(), a, f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.listen, "listen", nil, "address to take connections on; may be given several times")
	flags.StringArrayVar(&f.to, "to", nil, "where they are passed on to; one for each --listen")
	flags.StringVar(&f.wire.name, "name", "", "name of the session (default: host and time)")
	flags.DurationVar(&f.duration, "duration", 0, "stop after this time")
	f.wire.register(flags, "")
	flags.StringVar(&f.certFile, "tls-cert", "", "PEM file of the proxy's certificate: clients speak TLS with it")
	flags.StringVar(&f.keyFile, "tls-key", "", "PEM file of its key")
	flags.BoolVar(&f.secure, "tls", false, "speak TLS with the servers")
	flags.StringVar(&f.tls.CAFile, "tls-ca", "", "PEM file of the authority that signed the servers' certificates; means --tls")
	flags.StringVar(&f.tls.ServerName, "tls-server-name", "", "name in the servers' certificates, where it is not the host's; means --tls")
	flags.StringVar(&f.tls.CertFile, "tls-client-cert", "", "PEM file of our certificate, where a server asks for one; means --tls")
	flags.StringVar(&f.tls.KeyFile, "tls-client-key", "", "PEM file of its key")
	flags.DurationVar(&f.parts.age, "part-age", 0, "go on in a new session after this time")
	flags.Var(&f.parts.size, "part-size", "go on in a new session after so many bytes of bodies, such as 512M")
	flags.DurationVar(&f.parts.keep, "keep", 0, "delete parts of this recording that ended longer ago than this")
	flags.StringVar(&f.metrics, "metrics", "", "serve counters for Prometheus on this loopback address, such as 127.0.0.1:9464")
	return cmd
}

func (f *proxyFlags) check() error {
	switch {
	case len(f.listen) == 0 || len(f.to) == 0:
		return usagef("proxy needs where to listen and where to pass on to: gctap proxy --listen :61617 --to broker:61616")
	case len(f.listen) != len(f.to):
		return usagef("%d --listen and %d --to: they go in pairs", len(f.listen), len(f.to))
	case (f.certFile == "") != (f.keyFile == ""):
		return usagef("--tls-cert and --tls-key go together")
	case (f.tls.CertFile == "") != (f.tls.KeyFile == ""):
		return usagef("--tls-client-cert and --tls-client-key go together")
	case f.parts.keep > 0 && f.parts.age == 0 && f.parts.size == 0:
		return usagef("--keep deletes old parts: say with --part-age or --part-size when a part ends")
	}
	for name, d := range map[string]time.Duration{"duration": f.duration, "part-age": f.parts.age, "keep": f.parts.keep} {
		if d < 0 {
			return usagef("--%s %s: a time is not negative", name, d)
		}
	}
	for _, address := range slices.Concat(f.listen, f.to) {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			return usagef("%q is no address: write HOST:PORT, or :PORT to listen on all of this machine's", address)
		}
	}
	for _, to := range f.to {
		if host, port, _ := net.SplitHostPort(to); host == "" || port == "0" {
			return usagef("--to %s: write HOST:PORT", to)
		}
	}
	return f.wire.check()
}

// loop returns the pair whose connections would come back to the proxy itself;
// -1 where there is none.
func (f *proxyFlags) loop(own []string) int {
	for i := range f.to {
		at := i
		for range f.to {
			if at = f.listener(f.to[at], own); at == i {
				return i
			}
			if at < 0 {
				break
			}
		}
	}
	return -1
}

// listener returns which pair takes connections that are made to an address of
// this machine, whose IP addresses are own; -1: none.
func (f *proxyFlags) listener(to string, own []string) int {
	host, port, _ := net.SplitHostPort(to)
	return slices.IndexFunc(f.listen, func(listen string) bool {
		h, p, _ := net.SplitHostPort(listen)
		if p != port || port == "0" {
			return false
		}
		targets, listens := addressesOf(host), addressesOf(h)
		if h == "" || slices.ContainsFunc(listens, unspecified) {
			listens = own
		}
		return slices.ContainsFunc(targets, func(t string) bool { return unspecified(t) || slices.Contains(listens, t) })
	})
}

func unspecified(ip string) bool { return net.ParseIP(ip).IsUnspecified() }

// addressesOf are the IP addresses of a host, none where it has no name.
func addressesOf(host string) []string {
	if ip := net.ParseIP(host); ip != nil {
		return []string{ip.String()}
	}
	found, err := net.LookupHost(host)
	if err != nil {
		return nil // connecting will tell
	}
	return found
}

// ownAddresses are this machine's.
func ownAddresses() (own []string) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return []string{"127.0.0.1", "::1"}
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			own = append(own, n.IP.String())
		}
	}
	return own
}

// pairs are what wire.ListenProxy takes.
func (f *proxyFlags) pairs() (pairs []wire.Pair, err error) {
	var serve *tls.Config
	if f.certFile != "" {
		cert, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return nil, usagef("--tls-cert %s: %w", f.certFile, err)
		}
		serve = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	for i := range f.listen {
		pair := wire.Pair{Listen: f.listen[i], To: f.to[i], Serve: serve}
		if f.secure || f.tls != (link.TLS{}) {
			host, _, _ := net.SplitHostPort(f.to[i])
			if pair.Dial, err = f.tls.Config(host); err != nil {
				return nil, err
			}
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// proxy is the command.
func proxy(ctx context.Context, a *app, f proxyFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if i := f.loop(ownAddresses()); i >= 0 {
		return usagef("--listen %s --to %s: the proxy would connect to itself, without end; name the broker's own address", f.listen[i], f.to[i])
	}
	pairs, err := f.pairs()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, a.db, store.Record)
	if err != nil {
		return err
	}
	defer db.Close()
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.duration, errDuration)
		defer cancel()
	}
	flags := f.wire.flags()
	flags.onFull, flags.parts, flags.metrics = onFullWait, f.parts, f.metrics
	r := &recording{app: a, flags: flags, say: newTalker(a.Err), origin: store.OriginRecord}
	p := &proxying{wireRecording: newWireRecording(r), flags: f, pairs: pairs}
	return p.run(ctx, db)
}

// proxying is one run of proxy.
type proxying struct {
	*wireRecording
	flags proxyFlags
	pairs []wire.Pair
	ready func(addr string)             // told where it listens; may be nil
	tune  func(*capture.RecorderConfig) // by tests: faults between recorder and store; may be nil
}

func (p *proxying) run(ctx context.Context, db *store.Store) error {
	lines := newSayer(p.say)
	defer lines.close()
	relay, err := wire.ListenProxy(wire.ProxyConfig{
		Pairs: p.pairs, Emit: p.gate.Take, Skip: p.foreign, Guess: guessDirection, Say: lines.say,
	})
	if err != nil {
		return err
	}
	begun := p.begin(ctx, db, p.sessionInfo(), func(c *capture.RecorderConfig) {
		p.sink.patient = true
		if p.tune != nil {
			p.tune(c)
		}
	})
	if begun != nil {
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		relay.Run(stopped) // gives the addresses back
		return begun
	}
	stopMetrics, err := p.serveMetrics(p.rec)
	if err != nil {
		p.say.line("%v", err)
	} else {
		defer stopMetrics()
	}
	p.sayBegin(relay)
	if p.ready != nil {
		p.ready(relay.Addr(0))
	}
	stop := p.live(ctx, relay)
	traffic := relay.Run(ctx)
	stop()
	return p.end(ctx, traffic, nil)
}

func (p *proxying) sessionInfo() store.SessionInfo {
	info := p.flags.wire.info()
	info.Origin, info.Mode, info.StartedAt = store.OriginRecord, "proxy", time.Now()
	info.Broker, info.Addresses = "tcp://"+p.pairs[0].To, slices.Clone(p.flags.to)
	info.Host, _, _ = net.SplitHostPort(p.pairs[0].To)
	for _, pair := range p.pairs {
		_, port, _ := net.SplitHostPort(pair.To)
		host, _, _ := net.SplitHostPort(pair.To)
		for _, ip := range addressesOf(host) {
			if a := net.JoinHostPort(ip, port); !slices.Contains(info.Addresses, a) {
				info.Addresses = append(info.Addresses, a)
			}
		}
	}
	return info
}

func (p *proxying) sayBegin(relay *wire.Proxy) {
	s := p.keep.current()
	for i, pair := range p.pairs {
		open := ""
		if host, _, _ := net.SplitHostPort(relay.Addr(i)); !net.ParseIP(host).IsLoopback() {
			open = "; any machine that reaches this one may connect"
		}
		p.say.line("listening on %s for %s%s", relay.Addr(i), pair.To, open)
	}
	p.say.line("recording session %d, %s; Ctrl-C stops, and ends the connections", s.ID, s.Name)
}

// live keeps the live line until stop is called.
func (p *proxying) live(ctx context.Context, relay *wire.Proxy) (stop func()) {
	return every(ctx, time.Second, func() {
		at := relay.Status()
		line := fmt.Sprintf("connections %d of %d, passed %s; %s", at.Open, at.Total, byteCount(at.Bytes), liveLine(p.rec.Status()))
		if at.Left > 0 {
			line += "; not recorded: " + byteCount(at.Left)
		}
		p.say.status(line)
	})
}

// every calls do until stop is called, or ctx ends.
func every(ctx context.Context, d time.Duration, do func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				do()
			}
		}
	}()
	return func() { cancel(); <-done }
}

// A sayer prints what others have to say without making them wait for standard
// error. What they say faster than it takes is left out.
type sayer struct {
	lines chan string
	done  chan struct{}
}

func newSayer(to *talker) *sayer {
	s := &sayer{lines: make(chan string, 100), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for line := range s.lines {
			to.line("%s", line)
		}
	}()
	return s
}

func (s *sayer) say(line string) {
	select {
	case s.lines <- line:
	default:
	}
}

// close prints what is left. Nothing may be said any more.
func (s *sayer) close() {
	close(s.lines)
	<-s.done
}
