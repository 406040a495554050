package main

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"gctap/capture"
)

// serveMetrics answers GET /metrics on addr in Prometheus' text format until
// the returned function is called. The format is a dozen lines, so no client
// library comes with it. Only loopback addresses are taken: what a tap sees is
// nobody else's business.
func serveMetrics(addr string, status func() capture.Status, visible func() bool) (stop func(), err error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, usagef("--metrics %s: write HOST:PORT, such as 127.0.0.1:9464", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("--metrics %s: only a loopback address is taken, such as 127.0.0.1:9464", addr)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		for _, m := range metrics(status(), visible()) {
			fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %g\n", m.name, m.help, m.name, m.kind, m.name, m.value)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)
	return func() { server.Close() }, nil
}

type metric struct {
	name, kind, help string
	value            float64
}

func metrics(s capture.Status, visible bool) []metric {
	commands := 0.0
	if visible {
		commands = 1
	}
	return []metric{
		{"gctap_received_total", "counter", "Messages that the tap has received.", float64(s.Received)},
		{"gctap_stored_total", "counter", "Messages that are stored.", float64(s.Stored)},
		{"gctap_commands_total", "counter", "Commands that are stored.", float64(s.Commands)},
		{"gctap_events_total", "counter", "Events that are stored.", float64(s.Events)},
		{"gctap_doubled_total", "counter", "Copies of stored messages that were dropped.", float64(s.Doubled)},
		{"gctap_filtered_total", "counter", "Messages that the filter left out.", float64(s.Filtered)},
		{"gctap_foreign_total", "counter", "Messages of other applications, counted only.", float64(s.Foreign)},
		{"gctap_lost_total", "counter", "Messages that were received and could not be kept.", float64(s.Lost)},
		{"gctap_gaps_total", "counter", "Gap rows that are stored.", float64(s.Gaps)},
		{"gctap_waiting", "gauge", "Messages that are received and not stored yet.", float64(s.Waiting)},
		{"gctap_behind_seconds", "gauge", "Age of the oldest of them.", s.Behind.Seconds()},
		{"gctap_commands_visible", "gauge", "1 once a command was seen, else 0.", commands},
	}
}
