package report

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chromium opens a page in Debian's chromium and returns the document as it
// stands once its scripts have run. The test is skipped where there is none,
// unless $GCTAP_REQUIRE_CHROMIUM says that there must be one, as in CI.
func chromium(t testing.TB, html string, flags ...string) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("GCTAP_REQUIRE_CHROMIUM") != "" {
			t.Fatal(err)
		}
		t.Skip("no chromium: apt-get install chromium")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(headless(dir), append(flags, "file://"+file)...)...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	var said strings.Builder
	cmd.Stderr = &said
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, said.String())
	}
	return string(out)
}

// headless are the flags with which chromium runs without a screen, as root in
// a container too, and leaves its files in a folder.
func headless(dir string) []string {
	return []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
		"--hide-scrollbars", "--user-data-dir=" + filepath.Join(dir, "profile"),
	}
}

// The document once it stands still: at the end of a minute that passes as soon
// as nothing is left to do, or when it has loaded, by the clock.
var (
	settled = []string{"--dump-dom", "--virtual-time-budget=60000"}
	loaded  = []string{"--dump-dom"}
)

// schemes are the looks of the page; the numbers are chromium's own.
var schemes = []struct{ name, flag string }{
	{"light", "--blink-settings=preferredColorScheme=1"},
	{"dark", "--blink-settings=preferredColorScheme=0"},
}

// policy is the page's content security policy.
var policy = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`)

// audited is what axe and a look at the page say.
type audited struct {
	Owned      bool
	Dark       bool
	Passes     int
	Violations []struct {
		ID, Impact, Help string
		Nodes            []struct {
			HTML           string
			FailureSummary string
		}
	}
}

// axe runs axe-core over a page whose policy is taken off, with everything
// unfolded: so what a message holds could run, if it were not escaped.
func axe(t *testing.T, html, scheme string) (a audited) {
	t.Helper()
	code, err := os.ReadFile("testdata/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	if !policy.MatchString(html) {
		t.Fatal("the page has no policy")
	}
	html = policy.ReplaceAllString(html, "")
	runner := `<script>` + string(code) + `</script><script>
for (const d of document.querySelectorAll("details")) d.open = true;
for (const e of document.querySelectorAll("main *")) { e.dispatchEvent(new Event("mouseover")); e.dispatchEvent(new Event("error")); }
axe.run(document, {resultTypes: ["violations"]}).then(r => {
  const out = document.createElement("pre");
  out.id = "axe";
  const violations = r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => ({html: n.html, failureSummary: n.failureSummary}))}));
  out.textContent = "RESULT" + btoa(unescape(encodeURIComponent(JSON.stringify({owned: !!window.owned, dark: matchMedia("(prefers-color-scheme: dark)").matches, passes: r.passes.length, violations})))) + "END";
  document.body.append(out);
});
</script></body>`
	dom := chromium(t, strings.Replace(html, "</body>", runner, 1), append(settled, scheme)...)
	found := regexp.MustCompile(`RESULT([A-Za-z0-9+/=]+)END`).FindStringSubmatch(dom)
	if found == nil {
		t.Fatalf("axe gave no result; the page ends in %.500s", dom[max(0, len(dom)-500):])
	}
	said, err := base64.StdEncoding.DecodeString(found[1])
	if err == nil {
		err = json.Unmarshal(said, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestPageIsAccessible and nothing of a message runs, in light and dark.
func TestPageIsAccessible(t *testing.T) {
	pages := map[string]string{"session": page(t, 3), "comparison": comparison(t)}
	for _, name := range []string{"session", "comparison"} {
		for _, scheme := range schemes {
			t.Run(name+"/"+scheme.name, func(t *testing.T) {
				a := axe(t, pages[name], scheme.flag)
				if a.Owned {
					t.Error("something in a message has run")
				}
				if a.Dark != (scheme.name == "dark") || a.Passes == 0 {
					t.Errorf("axe looked at dark: %v, with %d rules passed", a.Dark, a.Passes)
				}
				for _, v := range a.Violations {
					t.Errorf("%s (%s): %s: %v", v.ID, v.Impact, v.Help, v.Nodes)
				}
			})
		}
	}
}

// TestAxeFindsFaults: the test above can fail.
func TestAxeFindsFaults(t *testing.T) {
	bad := strings.Replace(page(t, 1), "<main id=\"main\">", `<main id="main"><p><input type="text"></p><script>window.owned=1</script>`, 1)
	a := axe(t, bad, schemes[0].flag)
	if !a.Owned || len(a.Violations) == 0 {
		t.Errorf("a page with a script and a field without a label passes: %+v", a)
	}
}

// TestOwnScriptRunsUnderThePolicy, which lets in nothing else.
func TestOwnScriptRunsUnderThePolicy(t *testing.T) {
	foreign := `<script>document.body.dataset.foreign="1"</script></body>`
	dom := chromium(t, strings.Replace(page(t, 1), "</body>", foreign, 1), settled...)
	if strings.Contains(dom, `data-foreign="1"`) {
		t.Error("a foreign script has run")
	}
	if regexp.MustCompile(`<p class="tools"[^>]*hidden`).MatchString(dom) || !strings.Contains(dom, `<p class="tools"`) {
		t.Error("the page's own script has not run")
	}
}

func comparison(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if err := Comparison(aDifference(), options).Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// stopwatch writes into a page how long it took to open, laid out and all.
const stopwatch = `<script>
addEventListener("load", () => {
  const height = document.body.offsetHeight;
  document.body.append("OPENED " + performance.now() + " ms, " + height + " px");
});
</script></body>`

// BenchmarkOpen opens the page of 50,000 messages, and one of 14, in Chromium
// and reports the milliseconds from the start of the navigation to the end of
// the layout.
func BenchmarkOpen(b *testing.B) {
	for _, size := range []struct {
		name  string
		calls int
	}{{"14", 1}, {"50000", 6250}} {
		b.Run(size.name, func(b *testing.B) {
			html := strings.Replace(policy.ReplaceAllString(page(b, size.calls), ""), "</body>", stopwatch, 1)
			var total float64
			for b.Loop() {
				found := regexp.MustCompile(`OPENED ([0-9.]+) ms`).FindStringSubmatch(chromium(b, html, loaded...))
				if found == nil {
					b.Fatal("the page does not say how long it took")
				}
				ms, err := strconv.ParseFloat(found[1], 64)
				if err != nil {
					b.Fatal(err)
				}
				total += ms
			}
			b.ReportMetric(total/float64(b.N), "ms/open")
			b.ReportMetric(float64(len(html)), "page-bytes")
		})
	}
}
