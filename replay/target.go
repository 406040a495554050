package replay

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A Broker is what is known of a broker, to tell whether two are one.
type Broker struct {
	Identity  string   // of its process: ID:host-port-start
	Host      string   // host name within the identity
	Addresses []string // host or host:port, names and IP addresses
}

// SameBroker says why a target may be the broker that was recorded from; ""
// when nothing says so. resolve finds the addresses of a name; nil: as the
// system does. A name that cannot be resolved is compared as it is.
func SameBroker(ctx context.Context, source, target Broker, resolve func(context.Context, string) ([]string, error)) string {
	if source.Identity != "" && source.Identity == target.Identity {
		return "it is the broker of the recording: " + source.Identity
	}
	if source.Host != "" && strings.EqualFold(source.Host, target.Host) {
		return "it runs on the host of the recording: " + source.Host
	}
	if resolve == nil {
		resolve = net.DefaultResolver.LookupHost
	}
	ours := places(ctx, target.Addresses, resolve)
	for _, place := range places(ctx, source.Addresses, resolve) {
		if slices.Contains(ours, place) {
			return "it has an address of the recording's broker: " + place
		}
	}
	return ""
}

// places returns the hosts of addresses and what their names resolve to, in
// lower case, without ports.
func places(ctx context.Context, addresses []string, resolve func(context.Context, string) ([]string, error)) (all []string) {
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		all = append(all, host)
		if net.ParseIP(host) != nil {
			continue
		}
		if found, err := resolve(ctx, host); err == nil {
			all = append(all, found...)
		}
	}
	return all
}

// Look listens on a target for a while, sending nothing, and returns the agents
// it heard of, but for own. It ends as soon as it hears of one, and is told of
// events only: an agent of whom nothing is said meanwhile is not heard.
func Look(ctx context.Context, link capture.Link, d time.Duration, own []string) ([]string, error) {
	heard := make(chan string, 1)
	stop, err := link.Subscribe(ctx, capture.Subscription{Destination: "topic://>"}, func(d capture.Delivery) {
		msg := flow.Decode(&d.Record, decode.Options{})
		if msg.Agent == "" || msg.Spec() == nil || slices.Contains(own, msg.Agent) {
			return
		}
		select {
		case heard <- msg.Agent:
		default: // one is enough
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listen on the target: %w", err)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	var agents []string
	select {
	case agent := <-heard:
		agents = append(agents, agent)
	case <-timer.C:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-link.Done():
		return nil, fmt.Errorf("listen on the target: %w", link.Err())
	}
	if err := stop(); err != nil {
		return nil, fmt.Errorf("listen on the target: %w", err)
	}
	return agents, nil
}
