package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain keeps the signing key of tests apart from the user's own.
func TestMain(m *testing.M) {
	if filepath.Ext(os.Args[0]) != ".test" { // a script calls gctap
		testscript.Main(m, map[string]func(){"gctap": main, "viewcrash": viewCrash})
	}
	keys, err := os.MkdirTemp("", "gctap-key-")
	if err != nil {
		panic(err)
	}
	os.Setenv("GCTAP_KEY", filepath.Join(keys, "signing.key"))
	testscript.Main(keyedTests{m, keys}, map[string]func(){"gctap": main, "viewcrash": viewCrash})
}

// keyedTests removes the tests' key after them.
type keyedTests struct {
	*testing.M
	keys string
}

func (t keyedTests) Run() int {
	defer os.RemoveAll(t.keys)
	return t.M.Run()
}

// TestScripts runs testdata/*.txt: the command line as a user types it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GCTAP_DB", env.WorkDir+"/gctap.db")
			env.Setenv("GCTAP_KEY", os.Getenv("GCTAP_KEY"))
			return nil
		},
	})
}
