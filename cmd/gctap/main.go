// Command gctap records, shows, replays and compares the traffic between
// contact-centre clients and Expertflow's Generic Connector.
//
// Rules of this package: one file per command, holding its flags, the wiring
// of packages, and its printing; nothing that another program could want.
// Results go to standard output, progress and messages to standard error. An
// error is one line: what failed, on what, what to do. The exit status is that
// of the table in exit.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(takeArgs(os.Args[1:]), stdio{os.Stdin, os.Stdout, os.Stderr})) }

// run is main for scripts and tests: it never exits the process.
func run(args []string, io stdio) int {
	ctx, stop := interruptible()
	defer stop()
	root := newRoot(io)
	root.SetArgs(args)
	return status(root.ExecuteContext(ctx), io.Err)
}

// interruptible returns a context that the first SIGINT or SIGTERM ends, and a
// terminal that is gone, unless nohup has it ignored. What a command has received
// by then it still saves; a second SIGINT or SIGTERM ends the process at once,
// with what is committed.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-ctx.Done():
			return
		}
		for s := range signals {
			if s != syscall.SIGHUP { // shell and kernel may both send it
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}
