package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport says which of our packages each package may import: the plan of
// the house in the README. What is missing here may import nothing of ours.
var mayImport = map[string][]string{
	"decode/xuc":         {},
	"decode":             {"decode/xuc"},
	"capture":            {},
	"decode/flow":        {"capture", "decode"},
	"decode/check":       {"capture", "decode", "decode/flow"},
	"capture/link":       {"capture"},
	"capture/stomptap":   {"capture", "capture/link"},
	"capture/wire":       {"capture"},
	"capture/brokertest": {},
	"store":              {"capture", "decode", "decode/flow", "decode/xuc"},
	"replay":             {"capture", "decode", "decode/flow"},
	"replay/gcsim":       {"capture", "decode"},
	"replay/mock":        {"capture", "decode", "decode/flow", "replay"},
	"replay/diff":        {"capture", "decode", "decode/flow"},
	"viewer/model":       {"capture", "store", "decode", "decode/flow", "decode/check", "replay", "replay/diff"},
	"viewer/report":      {"capture", "store", "decode", "decode/flow", "decode/check", "replay", "replay/diff", "viewer/model"},
	"viewer":             {"capture", "store", "decode", "decode/flow", "decode/check", "replay", "replay/diff", "viewer/model", "viewer/report"},
}

// onlyIn says which packages may import a third-party module; tests are free.
var onlyIn = map[string][]string{
	"github.com/go-stomp/stomp/v3": {"capture/link", "capture/wire", "capture/brokertest"},
	"github.com/mattn/go-sqlite3":  {"store"},
	"database/sql":                 {"store"},
	"github.com/gdamore/tcell/v2":  {"viewer"},
	"github.com/rivo/tview":        {"viewer"},
	"github.com/spf13/cobra":       {"cmd/gctap"},
	"github.com/spf13/pflag":       {"cmd/gctap"},
	"github.com/expr-lang/expr":    {"store"},
	"filippo.io/age":               {"cmd/gctap"},
	"github.com/gopacket/gopacket": {"capture/wire"},
	"go.yaml.in/yaml/v3":           {"replay/diff"},
	"testing":                      {},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "gctap/...").Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "gctap/")
		allowed, planned := mayImport[name]
		if !planned && name != "cmd/gctap" {
			t.Errorf("package %s has no place in the house: add it to mayImport and to the README", name)
		}
		for _, path := range p.Imports {
			ours, isOurs := strings.CutPrefix(path, "gctap/")
			if isOurs && name != "cmd/gctap" && !slices.Contains(allowed, ours) {
				t.Errorf("%s may not import %s", name, ours)
			}
			for module, homes := range onlyIn {
				if (path == module || strings.HasPrefix(path, module+"/")) && !slices.Contains(homes, name) {
					t.Errorf("%s may not import %s: it belongs to %v", name, path, homes)
				}
			}
		}
	}
}
