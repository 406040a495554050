package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestZoneNameMeansTheSameElsewhere: "Local" would be the zone of whoever reads
// the session.
func TestZoneNameMeansTheSameElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"Europe/Berlin", "No/Where"} {
		file := filepath.Join(dir, "zoneinfo", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, filepath.Join(dir, filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ local, link, want string }{
		{"Local", "Berlin", "Europe/Berlin"},
		{"Local", "Where", "Local"},  // no zone that anybody knows
		{"Local", "absent", "Local"}, // nothing says which
		{"Asia/Kolkata", "Berlin", "Asia/Kolkata"},
		{"UTC", "absent", "UTC"},
	} {
		if got := zoneName(test.local, filepath.Join(dir, test.link)); got != test.want {
			t.Errorf("%s by %s is %s, want %s", test.local, test.link, got, test.want)
		}
	}
}
