package main

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"gctap/capture/link"
)

// brokerFlags are the flags of every command that connects to a broker.
type brokerFlags struct {
	login        string
	passwordFile string
	tls          link.TLS
	virtualHost  string // empty: the name in the URL
	heartbeat    time.Duration
	probe        time.Duration
}

func (f *brokerFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.login, "user", "", "user of the broker, in place of the URL's")
	flags.StringVar(&f.passwordFile, "password-file", "", "file whose first line is the broker's password (or $GCTAP_PASSWORD)")
	flags.StringVar(&f.tls.CAFile, "ca-file", "", "PEM file of the authority that signed the broker's certificate")
	flags.StringVar(&f.tls.CertFile, "cert-file", "", "PEM file of our certificate, where the broker asks for one")
	flags.StringVar(&f.tls.KeyFile, "key-file", "", "PEM file of its key")
	flags.StringVar(&f.tls.ServerName, "server-name", "", "name in the broker's certificate, where it is not the host's")
	flags.StringVar(&f.virtualHost, "virtual-host", "", "the broker's virtual host, where it is not the name in the URL (RabbitMQ: /)")
	flags.DurationVar(&f.heartbeat, "heartbeat", 0, "heartbeat to ask for (default 10s; negative: none)")
	flags.DurationVar(&f.probe, "probe", 0, "test a quiet connection this often, where the broker sends no heartbeats (default 30s)")
}

// config reads a BROKER argument and the password, which comes from the file,
// else from the environment, else from the URL.
func (f *brokerFlags) config(broker string) (link.Config, error) {
	b, err := link.ParseBroker(broker)
	if err != nil {
		return link.Config{}, err
	}
	password, err := f.password()
	if err != nil {
		return link.Config{}, err
	}
	return link.Config{
		Broker: b, Login: f.login, Passcode: password, TLS: f.tls, VirtualHost: f.virtualHost, Heartbeat: f.heartbeat, Probe: f.probe,
	}, nil
}

func (f *brokerFlags) password() (string, error) {
	if f.passwordFile == "" {
		return os.Getenv("GCTAP_PASSWORD"), nil
	}
	text, err := os.ReadFile(f.passwordFile)
	if err != nil {
		return "", usagef("--password-file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(first, "\r"), nil
}
