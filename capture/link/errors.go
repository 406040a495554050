package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// A Refused is a broker's ERROR frame: it understood what was asked and said
// no, for instance to a wrong password or to a subscription without the right
// to read.
type Refused struct {
	Asked   string // what was asked: "connect", "subscribe to queue://Q", …; empty: the broker does not say
	Message string // the broker's words, on one line
}

func (e *Refused) Error() string {
	words := e.Message
	if words == "" {
		words = "without a word of explanation"
	}
	if e.Asked == "" {
		return "the broker refused something: " + words
	}
	return e.Asked + ": refused by the broker: " + words
}

var (
	// ErrClosed is what a link says after its Close.
	ErrClosed = errors.New("the link is closed")

	// errSilent ends a connection whose peer no longer answers.
	errSilent = errors.New("the broker no longer answers on this connection")

	// errGone is a connection that ended without the broker saying why.
	errGone = errors.New("the broker closed the connection")
)

// refused makes an error of an ERROR frame. Its message header is the reason;
// RabbitMQ puts the detail into the body, ActiveMQ a stack trace, of which the
// first line is tried where the header is missing.
func refused(asked string, f *frame.Frame) *Refused {
	words := oneLine(f.Header.Get(frame.Message))
	first, _, _ := strings.Cut(strings.TrimSpace(string(f.Body)), "\n")
	first = oneLine(first)
	switch {
	case words == "":
		words = first
	case first != "" && !strings.Contains(string(f.Body), "\tat ") && !strings.Contains(words, first):
		words += ": " + first
	}
	return &Refused{Asked: asked, Message: cut(words, 400)}
}

// oneLine folds line breaks and drops what a terminal would act on.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// A failure is an error made clear, with its cause for errors.Is and As.
type failure struct {
	text  string
	cause error
}

func (e *failure) Error() string { return e.text }
func (e *failure) Unwrap() error { return e.cause }

// explain says in one line what went wrong with the address a and what to do.
func explain(a Address, timeout time.Duration, err error) error {
	return &failure{fmt.Sprintf("connect to %s: %s", a, reason(a, timeout, err)), err}
}

// reason puts err into words that name the remedy.
func reason(a Address, timeout time.Duration, err error) string {
	if text := tlsReason(a, err); text != "" {
		return text
	}
	var (
		no     *Refused
		notDNS *net.DNSError
	)
	switch {
	case errors.As(err, &no):
		return "refused by the broker: " + no.Message + remedy(no.Message)
	case errors.As(err, &notDNS):
		return fmt.Sprintf("the host name %s cannot be resolved: check its spelling and the name server", a.Host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens there; is the broker running, with a STOMP connector on this port?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to it: check address and network"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer in %s: check address, firewall, and that the port speaks STOMP", timeout)
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "it closed the connection without an answer: does this port speak STOMP (or TLS: stomp+ssl://)?"
	}
	return oneLine(err.Error())
}

// aboutLogin are words of refusals that a login may mend: ActiveMQ's "User name
// [x] or password is invalid.", RabbitMQ's "Access refused", Artemis's
// "Security Error".
var aboutLogin = regexp.MustCompile(`(?i)user|password|login|credential|access|auth|security`)

// aboutHost are RabbitMQ's words for a host header that is none of its virtual
// hosts: "Virtual host 'broker' access denied".
var aboutHost = regexp.MustCompile(`(?i)virtual host`)

// remedy says what to do about a refused CONNECT.
func remedy(words string) string {
	if aboutHost.MatchString(words) {
		return ": give its virtual host, / where it has only the first (--virtual-host /)"
	}
	if aboutLogin.MatchString(words) {
		return ": check user and password"
	}
	return ""
}

// tlsReason is reason for what TLS finds wrong, empty for all else.
func tlsReason(a Address, err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		bad     x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that is not known here: name the authority's certificate (CA file)"
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate is not for the name %s but for %s: connect by that name or give it as the TLS server name",
			name.Host, certificateNames(name.Certificate))
	case errors.As(err, &bad) && bad.Reason == x509.Expired:
		return fmt.Sprintf("its certificate is valid from %s to %s only: renew it, or check this machine's clock",
			bad.Cert.NotBefore.UTC().Format(time.RFC3339), bad.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &bad):
		return "its certificate is not valid: " + oneLine(bad.Error())
	case errors.As(err, &record):
		return "it does not speak TLS: write stomp:// instead of stomp+ssl://, or give the port of the TLS connector"
	case errors.As(err, &alert):
		return fmt.Sprintf("it refused the TLS connection (%s): a client certificate may be needed, or another one", oneLine(alert.Error()))
	}
	// The alert that refuses a client certificate comes as a plain network error.
	if a.TLS && strings.Contains(err.Error(), "remote error: tls:") {
		return fmt.Sprintf("it refused the TLS connection (%s): a client certificate may be needed, or another one", oneLine(err.Error()))
	}
	return ""
}

// certificateNames lists what a certificate is for, at most a few.
func certificateNames(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return c.Subject.String()
	}
	if len(names) > 4 {
		names = append(names[:4:4], "…")
	}
	return strings.Join(names, ", ")
}

// clean takes secrets out of an error's text; brokers may quote what they got.
func clean(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	text := scrub(err.Error(), secrets)
	if text == err.Error() {
		return err
	}
	if no, ok := errors.AsType[*Refused](err); ok {
		return &failure{text, &Refused{Asked: no.Asked, Message: scrub(no.Message, secrets)}}
	}
	return &failure{text, nil}
}

// scrub replaces secrets. One of a sign or two is left, for it would take the
// text apart and is none.
func scrub(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) > 2 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
