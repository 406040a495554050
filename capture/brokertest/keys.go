package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// keys are a new private authority with a certificate for a broker on this
// machine and one for a client, as PEM files in a folder of their own.
type keys struct {
	dir    string
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	broker tls.Certificate
}

func newKeys() (*keys, error) {
	dir, err := os.MkdirTemp("", "gctap-keys-")
	if err != nil {
		return nil, err
	}
	k := &keys{dir: dir}
	if err := k.build(); err != nil {
		k.close()
		return nil, fmt.Errorf("broker keys: %w", err)
	}
	return k, nil
}

func (k *keys) build() (err error) {
	k.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := draft("gctap test authority", 1)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &k.caKey.PublicKey, k.caKey)
	if err != nil {
		return err
	}
	if k.ca, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	if err := k.write("ca.pem", "CERTIFICATE", der); err != nil {
		return err
	}
	if _, err := k.sign("client", draft("client", 3)); err != nil {
		return err
	}
	server := draft("localhost", 2)
	server.DNSNames = []string{"localhost"}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	k.broker, err = k.sign("broker", server)
	return err
}

// sign makes NAME.pem and NAME-key.pem.
func (k *keys) sign(name string, t *x509.Certificate) (pair tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, k.ca, &key.PublicKey, k.caKey)
	if err != nil {
		return pair, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair, err
	}
	if err := k.write(name+".pem", "CERTIFICATE", der); err != nil {
		return pair, err
	}
	if err := k.write(name+"-key.pem", "PRIVATE KEY", private); err != nil {
		return pair, err
	}
	return tls.LoadX509KeyPair(k.file(name+".pem"), k.file(name+"-key.pem"))
}

func (k *keys) write(name, kind string, der []byte) error {
	return os.WriteFile(k.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (k *keys) file(name string) string { return filepath.Join(k.dir, name) }

func (k *keys) close() error { return os.RemoveAll(k.dir) }

// server is how the broker in process listens.
func (k *keys) server(clientCert bool) *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{k.broker}, MinVersion: tls.VersionTLS12}
	if clientCert {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(k.ca)
	}
	return c
}

// draft is a certificate of one day, valid from an hour ago.
func draft(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}
