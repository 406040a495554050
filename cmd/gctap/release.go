package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture/link"
	"gctap/capture/stomptap"
)

func releaseCommand(a *app) *cobra.Command {
	var (
		broker   brokerFlags
		queue    string
		consumer string
	)
	cmd := &cobra.Command{
		Use:   "release BROKER",
		Short: "Drain the queue that a durable tap left on the broker",
		Long: `Drain the queue that "record --mode durable" left on the broker. It takes what
the broker kept for the tap, and nothing of GC's: the copies are dropped. STOMP
cannot delete the empty queue; the command says what the administrator deletes.`,
		Example: "  gctap release stomp://broker:61613 --queue Connector1",
		Args:    oneBroker,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkConsumer(consumer); err != nil {
				return err
			}
			if err := checkQueues(queue); err != nil {
				return err
			}
			config, err := broker.config(args[0])
			if err != nil {
				return err
			}
			return release(cmd.Context(), a, config, queue, consumer)
		},
	}
	broker.register(cmd.Flags())
	cmd.Flags().StringVar(&queue, "queue", defaultQueue, "command queue that was tapped")
	cmd.Flags().StringVar(&consumer, "consumer", defaultConsumer, "name of the tap")
	return cmd
}

func release(ctx context.Context, a *app, config link.Config, queue, consumer string) error {
	conn, err := link.Open(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	dropped, err := stomptap.Release(ctx, conn, queue, consumer, 2*time.Second)
	left := stomptap.Config{Queues: []string{queue}, Consumer: consumer}.ConsumerQueues()[0]
	fmt.Fprintf(a.Out, "%d messages dropped from queue %s\n", dropped, left)
	if err != nil {
		return fmt.Errorf("release: queue %s: %w", left, err)
	}
	fmt.Fprintf(a.Out, "while no tap reads it, the broker fills it again: its administrator deletes queue %s\n", left)
	return nil
}
