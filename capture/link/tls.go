package link

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS says how a stomp+ssl:// address is trusted. The zero value trusts the
// authorities of this machine, for the host's name. There is no way to skip the
// check.
type TLS struct {
	CAFile     string // PEM; these authorities instead of the machine's
	CertFile   string // PEM; the client's certificate, with KeyFile
	KeyFile    string
	ServerName string // the name in the broker's certificate, where not the host
}

// Config reads the files. host is the name to be proven where none is given.
func (t TLS) Config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("CA file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file %s holds no certificate: it must be in PEM form", t.CAFile)
		}
	}
	if t.CertFile == "" && t.KeyFile == "" {
		return c, nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, fmt.Errorf("a client certificate needs both its certificate and its key file")
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate %s with key %s: %w", t.CertFile, t.KeyFile, err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
