package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture/link"
	"gctap/capture/stomptap"
)

type doctorFlags struct {
	broker brokerFlags
	queues []string
	wait   time.Duration
	json   bool

	jolokia string
}

func doctorCommand(a *app) *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor BROKER",
		Short: "Say how this broker can be tapped without taking a command from GC",
		Long: `Listen to a broker and say which modes of record work there, what each would
miss, and what its administrator has to add. It sends nothing and creates
nothing. Exit status: 0 a mode was seen that shows commands and events, 1 events
only or nothing, 2 not reached.`,
		Example: "  gctap doctor stomp://broker:61613 --wait 30s",
		Args:    oneBroker,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkQueues(f.queues...); err != nil {
				return err
			}
			config, err := f.broker.config(args[0])
			if err != nil {
				return err
			}
			return doctor(cmd.Context(), a, config, f)
		},
	}
	flags := cmd.Flags()
	f.broker.register(flags)
	flags.StringArrayVar(&f.queues, "queue", []string{defaultQueue}, "command queue of GC; may be given several times")
	flags.DurationVar(&f.wait, "wait", 15*time.Second, "how long to listen")
	flags.StringVar(&f.jolokia, "jolokia", "", "also read consumers and counters there, with the same user and password: http://HOST:8161/api/jolokia")
	flags.BoolVar(&f.json, "json", false, "one JSON object")
	return cmd
}

// diagnosis is the object of doctor --json.
type diagnosis struct {
	Broker   string `json:"broker"`
	Server   string `json:"server"`
	Stomp    string `json:"stomp"`
	Identity string `json:"identity"`
	*stomptap.Examination
	Told          *stomptap.BrokerView `json:"told,omitempty"` // by the management interface
	Configuration string               `json:"configuration"`  // to add to the broker; empty where nothing is missing
}

func doctor(ctx context.Context, a *app, config link.Config, f doctorFlags) error {
	conn, err := link.Open(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	found, err := stomptap.Examine(ctx, conn, stomptap.Config{
		Queues: f.queues, Consumer: defaultConsumer, Handshake: handshakeTopics, IsEvent: isEvent,
	}, f.wait)
	if err != nil {
		return err
	}
	peer := conn.Peer()
	d := diagnosis{
		Broker: config.Broker.String(), Server: peer.Server, Stomp: peer.Version, Identity: peer.Identity, Examination: found,
	}
	if f.jolokia != "" {
		login, password := config.Credentials()
		if d.Told, err = stomptap.ReadJolokia(ctx, f.jolokia, login, password, f.queues); err != nil {
			return fmt.Errorf("--jolokia: %w", err)
		}
	}
	if !found.Complete() && !d.copies() {
		d.Configuration = stomptap.BrokerXML(stomptap.Mirror, f.queues)
	}
	if f.json {
		err = json.NewEncoder(a.Out).Encode(d)
	} else {
		err = d.print(a.Out)
	}
	if err == nil && !found.Complete() {
		return negative
	}
	return err
}

// copies reports whether the broker says that it copies a queue, although no
// message came by while we listened.
func (d *diagnosis) copies() bool {
	if d.Told == nil {
		return false
	}
	for _, q := range d.Told.Queues {
		if !q.Mirrored && !q.Composite {
			return false
		}
	}
	return true
}

func (d *diagnosis) print(w io.Writer) error {
	b := &strings.Builder{}
	server := d.Server
	if server == "" {
		server = "a server that does not give its name"
	}
	fmt.Fprintf(b, "%s: %s, STOMP %s, listened %s\n\n", d.Broker, printable(server), d.Stomp, d.Waited.Round(time.Second))
	for _, f := range d.Modes {
		fmt.Fprintf(b, "%-10s %-28s misses %s\n", f.Mode, d.evidence(f), f.Misses)
		if f.Words != "" {
			fmt.Fprintf(b, "%-10s %s\n", "", printable(f.Words))
		}
	}
	fmt.Fprintf(b, "\nclient topics with events: %d; messages of other applications: %d\n", len(d.Clients), d.Foreign)
	for _, s := range d.Skews {
		fmt.Fprintf(b, "clock of producer %s: ours is ahead by %s at most (%d messages)\n", printable(s.Producer), s.Behind.Round(time.Millisecond), s.Messages)
	}
	d.printTold(b)
	if d.Configuration != "" {
		fmt.Fprintf(b, "\nNo copies of commands were seen. To see commands, the broker's administrator adds this inside <broker>\n"+
			"of activemq.xml and restarts the broker:\n\n%s", indent(d.Configuration))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *diagnosis) printTold(b *strings.Builder) {
	if d.Told == nil {
		return
	}
	fmt.Fprintf(b, "\nbroker %s says:\n", printable(d.Told.Broker))
	for _, q := range d.Told.Queues {
		if !q.Exists {
			fmt.Fprintf(b, "queue %s: does not exist\n", q.Queue)
			continue
		}
		fmt.Fprintf(b, "queue %s: %d consumers, %d waiting, %d sent since it began; mirrored %s, composite %s\n",
			q.Queue, q.Consumers, q.Waiting, q.Enqueued, yesNo(q.Mirrored), yesNo(q.Composite))
		for _, name := range slices.Sorted(maps.Keys(q.Kept)) {
			fmt.Fprintf(b, "queue %s: %d kept for a durable tap\n", printable(name), q.Kept[name])
		}
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (d *diagnosis) evidence(f stomptap.Finding) string {
	switch f.Evidence {
	case stomptap.Seen:
		return fmt.Sprintf("works (seen, %d messages)", f.Messages)
	case stomptap.NotSeen:
		return fmt.Sprintf("not seen in %s", d.Waited.Round(time.Second))
	}
	return string(f.Evidence)
}
