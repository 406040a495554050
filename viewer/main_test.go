package viewer

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMain gives the stores that tests make a signing key of their own: the
// user's is none of a test's business.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gctap-viewer-")
	if err != nil {
		panic(err)
	}
	os.Setenv("GCTAP_KEY", filepath.Join(dir, "signing.key"))
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
