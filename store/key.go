package store

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KeyFile returns where this user's signing key lies: $GCTAP_KEY, else
// signing.key in the user's data folder. Its public half is beside it, with
// .pub at the end.
func KeyFile() (string, error) {
	if file := os.Getenv("GCTAP_KEY"); file != "" {
		return file, nil
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("signing key: %w: name a file with $GCTAP_KEY", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "gctap", "signing.key"), nil
}

// signingKey returns this user's key, which it makes on first use.
func signingKey() (ed25519.PrivateKey, error) {
	file, err := KeyFile()
	if err != nil {
		return nil, err
	}
	key, err := readPrivateKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := makeKey(file); err != nil {
		return nil, fmt.Errorf("signing key %s: cannot be made: %w: name another file with $GCTAP_KEY", file, cause(err))
	}
	return readPrivateKey(file)
}

func readPrivateKey(file string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", file, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("signing key %s: others may read it (mode %o): chmod 600, and think of what it has signed", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", file, cause(err))
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("signing key %s: is not in PEM: move it away, and a new one is made", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("signing key %s: is not an Ed25519 key: move it away, and a new one is made", file)
	}
	return key, nil
}

// makeKey writes a new key; where another process was first, its key stays.
func makeKey(file string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	err = placeNew(file, 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := PublicKeyPEM(public)
	if err != nil {
		return err
	}
	return os.WriteFile(file+".pub", text, 0o644)
}

// placeNew puts a whole file at a path where there is none.
func placeNew(path string, mode os.FileMode, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// PublicKeyPEM returns a public key as the text of a .pub file.
func PublicKeyPEM(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ReadPublicKeys returns the public keys in a file of PEM blocks.
func ReadPublicKeys(file string) ([]ed25519.PublicKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", file, cause(err))
	}
	var keys []ed25519.PublicKey
	for text = bytes.TrimSpace(text); len(text) > 0; text = bytes.TrimSpace(text) {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if key, ok := parsed.(ed25519.PublicKey); ok && err == nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("key file %s: holds no Ed25519 public key: give the signing.key.pub of who recorded", file)
	}
	return keys, nil
}

// OwnPublicKey returns the public half of this user's key; nil where there is
// no key yet.
func OwnPublicKey() ed25519.PublicKey {
	file, err := KeyFile()
	if err != nil {
		return nil
	}
	keys, err := ReadPublicKeys(file + ".pub")
	if err != nil {
		private, err := readPrivateKey(file)
		if err != nil {
			return nil
		}
		return private.Public().(ed25519.PublicKey)
	}
	return keys[0]
}

// Fingerprint is a short name of a public key, for people to compare.
func Fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// PseudonymKeyFile returns where this user's key for pseudonyms lies, beside
// the signing key.
func PseudonymKeyFile() (string, error) {
	file, err := KeyFile()
	return filepath.Join(filepath.Dir(file), "pseudonym.key"), err
}

// ReadPseudonymKey reads a key for pseudonyms: 64 hexadecimal digits. With
// create, a file that is missing is made.
func ReadPseudonymKey(file string, create bool) ([]byte, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && create {
		key := make([]byte, PseudonymKeySize)
		rand.Read(key) // never fails
		err = os.MkdirAll(filepath.Dir(file), 0o700)
		if err == nil {
			err = placeNew(file, 0o600, []byte(hex.EncodeToString(key)+"\n"))
		}
		if err == nil || errors.Is(err, fs.ErrExist) {
			text, err = os.ReadFile(file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("pseudonym key %s: %w", file, cause(err))
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != PseudonymKeySize {
		return nil, fmt.Errorf("pseudonym key %s: is not %d hexadecimal digits", file, 2*PseudonymKeySize)
	}
	return key, nil
}
