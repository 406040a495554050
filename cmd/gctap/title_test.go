package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTitleChild is not a test of its own: it is the process whose title
// TestNoPasswordInTitle looks at.
func TestTitleChild(t *testing.T) {
	if os.Getenv("GCTAP_TITLE_CHILD") == "" {
		t.Skip("runs as a child of TestNoPasswordInTitle")
	}
	args := takeArgs(os.Args)
	title, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("title %q\n", title)
	fmt.Printf("args %q\n", args)
}

func TestNoPasswordInTitle(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("no /proc here")
	}
	url := "failover:(stomp://tap:p@ss:w0rd@a:61613,stomp+ssl://tap:s3cret@b)"
	cmd := exec.Command(os.Args[0], "-test.run=^TestTitleChild$", "-test.v", "--", url, "stomp://nobody@host")
	cmd.Env = append(os.Environ(), "GCTAP_TITLE_CHILD=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, string(out))
	}
	var title, args string
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "title "); ok {
			title = text
		}
		if text, ok := strings.CutPrefix(lines.Text(), "args "); ok {
			args = text
		}
	}
	if strings.Contains(title, "w0rd") || strings.Contains(title, "s3cret") || !strings.Contains(title, "nobody@host") {
		t.Errorf("title %s", title)
	}
	if !strings.Contains(args, url) {
		t.Errorf("the program's own copy lost the password: %s", args)
	}
}
