package brokertest

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"os"
	"time"
	"unicode/utf16"
)

// javaStore writes the broker's key and the authority's certificate as a Java
// key store of the old kind (JKS), which every Java reads: no tool is needed
// to make it. Its encryption is worth nothing, as its makers say too.
func (k *keys) javaStore(file, password string) error {
	private, err := x509.MarshalPKCS8PrivateKey(k.broker.PrivateKey)
	if err != nil {
		return err
	}
	sealed, err := sealJava(private, password)
	if err != nil {
		return err
	}
	var s javaWriter
	s.number(4, 0xfeedfeed)
	s.number(4, 2) // version
	s.number(4, 2) // entries
	s.entry(1, "broker")
	s.bytes(sealed)
	s.number(4, 2) // certificates of the chain
	s.certificate(k.broker.Certificate[0])
	s.certificate(k.ca.Raw)
	s.entry(2, "ca")
	s.certificate(k.ca.Raw)
	sum := sha1.New()
	sum.Write(utf16be(password))
	sum.Write([]byte("Mighty Aphrodite"))
	sum.Write(s.data)
	return os.WriteFile(file, sum.Sum(s.data), 0o600)
}

// A javaWriter writes as java.io.DataOutputStream does.
type javaWriter struct{ data []byte }

func (s *javaWriter) number(size int, n uint64) {
	var eight [8]byte
	binary.BigEndian.PutUint64(eight[:], n)
	s.data = append(s.data, eight[8-size:]...)
}

func (s *javaWriter) text(t string) {
	s.number(2, uint64(len(t)))
	s.data = append(s.data, t...)
}

func (s *javaWriter) bytes(b []byte) {
	s.number(4, uint64(len(b)))
	s.data = append(s.data, b...)
}

func (s *javaWriter) entry(kind uint64, alias string) {
	s.number(4, kind)
	s.text(alias)
	s.number(8, uint64(time.Now().UnixMilli()))
}

func (s *javaWriter) certificate(der []byte) {
	s.text("X.509")
	s.bytes(der)
}

// sealJava hides a private key in Sun's way: it is XORed with a chain of
// hashes over password and salt.
func sealJava(plain []byte, password string) ([]byte, error) {
	pass := utf16be(password)
	digest := make([]byte, sha1.Size)
	if _, err := rand.Read(digest); err != nil {
		return nil, err
	}
	out := append([]byte(nil), digest...) // the salt
	for i, c := range plain {
		if i%sha1.Size == 0 {
			sum := sha1.Sum(append(append([]byte(nil), pass...), digest...))
			digest = sum[:]
		}
		out = append(out, c^digest[i%sha1.Size])
	}
	check := sha1.Sum(append(append([]byte(nil), pass...), plain...))
	out = append(out, check[:]...)
	type algorithm struct {
		ID   asn1.ObjectIdentifier
		Null asn1.RawValue
	}
	return asn1.Marshal(struct {
		Algorithm algorithm
		Data      []byte
	}{algorithm{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 42, 2, 17, 1, 1}, asn1.NullRawValue}, out})
}

func utf16be(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return b
}
