package brokertest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"

	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/template"
)

// Where Debian's packages put their jars.
const (
	activeMQLib = "/usr/share/activemq/lib"
	javaLib     = "/usr/share/java"
)

// StartActiveMQ starts a real ActiveMQ Classic in a Java process of its own,
// on free ports of 127.0.0.1, with its files in a temporary folder. It fails
// with ErrNoActiveMQ where there is none. ctx is for the start alone; the
// process ends with Close, or with this process.
func StartActiveMQ(ctx context.Context, o Options) (*Broker, error) {
	java, path, err := classPath(o.JSONJars)
	if err != nil {
		return nil, err
	}
	return launch(ctx, o, func(k *keys) engine {
		return &activeMQ{options: o, keys: k, java: java, classPath: path}
	})
}

// classPath finds Java and ActiveMQ's jars.
func classPath(json bool) (java, path string, err error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	if _, err := os.Stat(java); err != nil {
		if java, err = exec.LookPath("java"); err != nil {
			return "", "", ErrNoActiveMQ
		}
	}
	jars, _ := filepath.Glob(filepath.Join(activeMQLib, "*.jar"))
	optional, _ := filepath.Glob(filepath.Join(activeMQLib, "optional", "*.jar"))
	if jars = append(jars, optional...); len(jars) == 0 {
		return "", "", ErrNoActiveMQ
	}
	if json {
		for _, name := range []string{"xstream.jar", "jettison.jar"} {
			jar := filepath.Join(javaLib, name)
			if _, err := os.Stat(jar); err != nil {
				return "", "", fmt.Errorf("%w, and libxstream-java and libjettison-java for its JSON", ErrNoActiveMQ)
			}
			jars = append(jars, jar)
		}
	}
	return java, strings.Join(jars, ":"), nil
}

// activeMQ is a Java process that comes and goes with start and kill.
type activeMQ struct {
	options   Options
	keys      *keys
	java      string
	classPath string
	dir       string

	mu      sync.Mutex
	process *process
}

// A process is one run of ActiveMQ.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	ready chan struct{} // closed when it says that it has started

	mu    sync.Mutex
	ports map[string]string // of stomp, stomp+ssl and tcp
	tail  []string          // the last lines of its log
}

func (a *activeMQ) start(ctx context.Context) error {
	if a.dir == "" {
		dir, err := os.MkdirTemp("", "gctap-activemq-")
		if err != nil {
			return err
		}
		a.dir = dir
		if err := a.configure(); err != nil {
			return fmt.Errorf("activemq configuration: %w", err)
		}
	}
	cmd := exec.Command(a.java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", a.dir+":"+a.classPath,
		"-Dactivemq.home="+filepath.Dir(activeMQLib), "-Dactivemq.base="+a.dir,
		"org.apache.activemq.console.Main", "start", "xbean:file:"+filepath.Join(a.dir, "activemq.xml"))
	cmd.Dir = a.dir
	p, err := run(cmd)
	if err != nil {
		return fmt.Errorf("activemq: %w", err)
	}
	select {
	case <-p.ready:
	case <-p.ended:
		return fmt.Errorf("activemq ended at its start: %s", p.reason())
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("activemq did not start: %w: %s", context.Cause(ctx), p.reason())
	}
	a.mu.Lock()
	a.process = p
	a.mu.Unlock()
	return nil
}

// run starts the command and follows what it prints.
func run(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{}), ready: make(chan struct{}), ports: map[string]string{}}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	dieWithParent(cmd)
	started := make(chan error)
	go func() {
		// The system ends the child when this thread does: it must not before.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		in.Close()
		started <- err
		if err == nil {
			cmd.Wait() // the status of a killed process says nothing
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		out.Close()
		return nil, err
	}
	go p.follow(out)
	return p, nil
}

var (
	listening = regexp.MustCompile(`Listening for connections at: ([a-z+]+)://[^ ]*:(\d+)`)
	isStarted = regexp.MustCompile(`Apache ActiveMQ .* started$`)
)

// follow reads the log to its end.
func (p *process) follow(out io.ReadCloser) {
	defer out.Close()
	defer io.Copy(io.Discard, out) // a line too long for the scanner
	lines := bufio.NewScanner(out)
	for started := false; lines.Scan(); {
		line := lines.Text()
		p.mu.Lock()
		if m := listening.FindStringSubmatch(line); m != nil {
			p.ports[m[1]] = m[2]
		}
		if p.tail = append(p.tail, line); len(p.tail) > 200 {
			p.tail = slices.Delete(p.tail, 0, 1)
		}
		p.mu.Unlock()
		if !started && isStarted.MatchString(line) {
			started = true
			close(p.ready)
		}
	}
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, "\n")
}

// reason is the line of the log that says why it failed, as far as that can be
// told: the innermost cause of a stack trace, or the last line.
func (p *process) reason() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range slices.Backward(p.tail) {
		if strings.HasPrefix(line, "Caused by: ") {
			return line
		}
	}
	if len(p.tail) == 0 {
		return "it printed nothing"
	}
	return p.tail[len(p.tail)-1]
}

// port returns where the process listens with one of the schemes.
func (p *process) port(schemes ...string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, scheme := range schemes {
		if port := p.ports[scheme]; port != "" {
			return net.JoinHostPort("127.0.0.1", port)
		}
	}
	return ""
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

func (a *activeMQ) current() *process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.process
}

// serve passes a connection on to the process.
func (a *activeMQ) serve(c net.Conn) {
	p := a.current()
	if p == nil {
		return
	}
	to, err := net.Dial("tcp", p.port("stomp", "stomp+ssl"))
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer c.Close()
		io.Copy(c, to)
	})
	io.Copy(to, c)
	to.Close()
	back.Wait()
}

func (a *activeMQ) kill() error {
	a.mu.Lock()
	p := a.process
	a.process = nil
	a.mu.Unlock()
	if p != nil {
		p.kill()
	}
	return nil
}

func (a *activeMQ) openWire() string {
	if p := a.current(); p != nil {
		return "tcp://" + p.port("tcp")
	}
	return ""
}

func (a *activeMQ) log() string {
	if p := a.current(); p != nil {
		return p.log()
	}
	return ""
}

func (a *activeMQ) close() error { return os.RemoveAll(a.dir) }

//go:embed activemq.xml
var activeMQXML string

// log4j is the version 1 that Debian's ActiveMQ logs with.
const log4j = `log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%p %m%n
`

// configure writes the files of the process.
func (a *activeMQ) configure() error {
	t, err := template.New("activemq.xml").Funcs(template.FuncMap{"kind": kindOf, "name": nameOf}).Parse(activeMQXML)
	if err != nil {
		return err
	}
	var xml bytes.Buffer
	scheme := "stomp"
	if a.keys != nil {
		scheme = "stomp+ssl"
		if err := a.keys.javaStore(filepath.Join(a.dir, "keys.jks"), storePassword); err != nil {
			return err
		}
	}
	err = t.Execute(&xml, struct {
		Options
		Scheme, Dir, StorePassword string
	}{a.options, scheme, a.dir, storePassword})
	return cmp.Or(err,
		os.WriteFile(filepath.Join(a.dir, "log4j.properties"), []byte(log4j), 0o600),
		os.WriteFile(filepath.Join(a.dir, "activemq.xml"), xml.Bytes(), 0o600))
}

// storePassword guards keys that last for a test.
const storePassword = "changeit"

// kindOf and nameOf take a destination of Options.Readable apart.
func kindOf(destination string) string {
	kind, _, _ := strings.Cut(destination, "://")
	return kind
}

func nameOf(destination string) string {
	_, name, _ := strings.Cut(destination, "://")
	return name
}
