package link

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Ports used where a URL names none. ActiveMQ and RabbitMQ listen for STOMP on
// 61613; RabbitMQ's port for STOMP over TLS is 61614, ActiveMQ has none of its
// own.
const (
	defaultPort    = "61613"
	defaultTLSPort = "61614"
)

// A Broker is where a link connects to: one or more addresses, any of which
// will do. Printed in any way, it shows no password.
type Broker struct {
	Addresses []Address

	// What a failover URL says about reconnecting; zero: not said.
	FirstDelay  time.Duration // initialReconnectDelay
	MaxDelay    time.Duration // maxReconnectDelay
	MaxAttempts int           // maxReconnectAttempts; 0: no end
	InOrder     bool          // randomize=false: the first address is preferred
	failover    bool
}

// An Address is one place where a broker listens.
type Address struct {
	Host, Port string
	TLS        bool
	Login      string
	passcode   string
}

// String returns the address as a URL, a password as ***.
func (a Address) String() string {
	scheme, user := "stomp://", ""
	if a.TLS {
		scheme = "stomp+ssl://"
	}
	if a.Login != "" || a.passcode != "" {
		user = url.User(a.Login).String()
		if a.passcode != "" {
			user += ":***"
		}
		user += "@"
	}
	return scheme + user + net.JoinHostPort(a.Host, a.Port)
}

// GoString is String, so that %#v shows no password either.
func (a Address) GoString() string { return a.String() }

// String returns the broker as a URL, passwords as ***.
func (b Broker) String() string {
	if !b.failover && len(b.Addresses) == 1 {
		return b.Addresses[0].String()
	}
	var urls []string
	for _, a := range b.Addresses {
		urls = append(urls, a.String())
	}
	return "failover:(" + strings.Join(urls, ",") + ")"
}

// GoString is String, so that %#v shows no password either.
func (b Broker) GoString() string { return b.String() }

// passcodes returns every password of the broker, for errors to leave out.
func (b Broker) passcodes() (all []string) {
	for _, a := range b.Addresses {
		if a.passcode != "" {
			all = append(all, a.passcode)
		}
	}
	return all
}

// ParseBroker reads a BROKER argument:
//
//	stomp://[user[:password]@]host[:61613]
//	stomp+ssl://[user[:password]@]host[:61614]
//	failover:(URL,URL)[?initialReconnectDelay=MS&maxReconnectDelay=MS&maxReconnectAttempts=N&randomize=false]
//
// The names stomp+nio and stomp+nio+ssl, which ActiveMQ uses for connectors,
// mean the same on the wire. User and password are percent-encoded where they
// hold a sign of the URL's own; the last @ ends them. Options of failover that
// STOMP has no use for are accepted and mean nothing. No error shows a
// password.
func ParseBroker(s string) (Broker, error) {
	s = strings.TrimSpace(s)
	rest, ok := cutScheme(s, "failover:")
	if !ok {
		a, err := parseAddress(s)
		return Broker{Addresses: []Address{a}}, err
	}
	b := Broker{failover: true}
	list, query := strings.TrimPrefix(rest, "//"), ""
	if inner, ok := strings.CutPrefix(list, "("); ok {
		end := strings.LastIndexByte(inner, ')')
		if end < 0 {
			return b, fmt.Errorf("broker URL failover:(… has no closing bracket: write failover:(stomp://a,stomp://b)")
		}
		list, query = inner[:end], inner[end+1:]
	} else if i := strings.LastIndexByte(list, '?'); i >= 0 {
		list, query = list[:i], list[i:]
	}
	for part := range strings.SplitSeq(list, ",") {
		a, err := parseAddress(strings.TrimSpace(part))
		if err != nil {
			return b, err
		}
		b.Addresses = append(b.Addresses, a)
	}
	return b, b.options(strings.TrimPrefix(query, "?"))
}

// options reads the query of a failover URL; times are milliseconds there.
func (b *Broker) options(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("broker URL failover:(…)?%s: write the options as name=value&name=value", query)
	}
	number := func(name string) (n int64) {
		text := values.Get(name)
		if text == "" || err != nil {
			return 0
		}
		n, bad := strconv.ParseInt(text, 10, 32)
		if bad != nil {
			err = fmt.Errorf("broker URL failover:(…): %s=%s is no number", name, text)
		}
		return n
	}
	b.FirstDelay = time.Duration(number("initialReconnectDelay")) * time.Millisecond
	b.MaxDelay = time.Duration(number("maxReconnectDelay")) * time.Millisecond
	b.MaxAttempts = int(max(number("maxReconnectAttempts"), 0)) // -1 is "no end"
	b.InOrder = values.Get("randomize") == "false"
	return err
}

// parseAddress reads one URL. It does without net/url, whose errors quote the
// whole URL, its password too.
func parseAddress(s string) (Address, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		at := strings.LastIndexByte(s, '@')
		return Address{}, fmt.Errorf("broker %q has no scheme: write stomp://%s", s[at+1:], s[at+1:])
	}
	var a Address
	switch strings.ToLower(scheme) {
	case "stomp", "stomp+nio":
		a.Port = defaultPort
	case "stomp+ssl", "stomp+nio+ssl":
		a.TLS, a.Port = true, defaultTLSPort
	case "tcp", "ssl", "nio", "nio+ssl", "openwire":
		return a, fmt.Errorf("broker scheme %s:// is OpenWire: give the address of the broker's STOMP connector, stomp://HOST:61613", scheme)
	default:
		return a, fmt.Errorf("broker scheme %.20q is not known: use stomp:// or stomp+ssl://", scheme)
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		login, passcode, _ := strings.Cut(rest[:at], ":")
		a.Login, a.passcode = unescape(login), unescape(passcode)
		rest = rest[at+1:]
	}
	rest, _, _ = strings.Cut(rest, "?") // ActiveMQ's transport.… options
	return a, a.hostPort(strings.TrimSuffix(rest, "/"))
}

// hostPort reads HOST, HOST:PORT, [IPv6] or [IPv6]:PORT.
func (a *Address) hostPort(s string) error {
	a.Host = s
	if host, port, err := net.SplitHostPort(s); err == nil {
		a.Host, a.Port = host, port
	}
	a.Host = strings.TrimSuffix(strings.TrimPrefix(a.Host, "["), "]")
	if a.Host == "" {
		return fmt.Errorf("broker URL names no host: write stomp://HOST:%s", a.Port)
	}
	bare := net.ParseIP(a.Host) == nil
	if strings.ContainsAny(a.Host, "/ ()#") || bare && strings.ContainsAny(a.Host, ":[]") {
		return fmt.Errorf("broker host %q is not a host name or address: write stomp://HOST:%s", a.Host, a.Port)
	}
	if n, err := strconv.Atoi(a.Port); err != nil || n < 1 || n > math.MaxUint16 {
		return fmt.Errorf("broker port %q of host %s is not a port: use a number from 1 to 65535", a.Port, a.Host)
	}
	return nil
}

// cutScheme is strings.CutPrefix for a scheme, in whatever case.
func cutScheme(s, scheme string) (rest string, ok bool) {
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return s, false
	}
	return s[len(scheme):], true
}

// unescape undoes percent-encoding; what is none stays as it was written.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}
