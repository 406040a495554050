package link

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseBroker(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"stomp://gc-host", "stomp://gc-host:61613"},
		{"stomp://10.0.0.5:61614/", "stomp://10.0.0.5:61614"},
		{"stomp+ssl://gc-host", "stomp+ssl://gc-host:61614"},
		{"STOMP+NIO://gc-host:1", "stomp://gc-host:1"},
		{"stomp://::1", "stomp://[::1]:61613"},
		{"stomp://[::1]", "stomp://[::1]:61613"},
		{"stomp://[fe80::1]:61613", "stomp://[fe80::1]:61613"},
		{"stomp://tap@gc-host", "stomp://tap@gc-host:61613"},
		{"stomp://tap:p%40ss@gc-host", "stomp://tap:***@gc-host:61613"},
		{"stomp://tap:p@ss/w:rd#1?@gc-host:61613", "stomp://tap:***@gc-host:61613"},
		{"failover:(stomp://a:1,stomp+ssl://u:p@b)", "failover:(stomp://a:1,stomp+ssl://u:***@b:61614)"},
		{"failover:stomp://a:1", "failover:(stomp://a:1)"},
		{"failover://(stomp://a,stomp://b)?randomize=false&timeout=3000", "failover:(stomp://a:61613,stomp://b:61613)"},
	} {
		b, err := ParseBroker(c.in)
		if err != nil || b.String() != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.in, b, err, c.want)
		}
	}
}

func TestParseBrokerReadsUserPasswordAndOptions(t *testing.T) {
	b, err := ParseBroker("failover:(stomp://t%40p:p%40s%3As@a,stomp://u:50%of@b)?initialReconnectDelay=100&maxReconnectDelay=2000&maxReconnectAttempts=7&randomize=false")
	if err != nil {
		t.Fatal(err)
	}
	first, second := b.Addresses[0], b.Addresses[1]
	if first.Login != "t@p" || first.passcode != "p@s:s" || second.passcode != "50%of" {
		t.Errorf("got %q %q, %q", first.Login, first.passcode, second.passcode)
	}
	if b.FirstDelay.Milliseconds() != 100 || b.MaxDelay.Seconds() != 2 || b.MaxAttempts != 7 || !b.InOrder {
		t.Errorf("options: %v %v %d %v", b.FirstDelay, b.MaxDelay, b.MaxAttempts, b.InOrder)
	}
}

func TestParseBrokerSaysWhatIsWrongAndNoPassword(t *testing.T) {
	const secret = "hunter2"
	for _, c := range []struct{ in, want string }{
		{"tap:hunter2@gc-host:61613", "no scheme: write stomp://gc-host:61613"},
		{"tcp://tap:hunter2@gc-host:61616", "is OpenWire"},
		{"http://tap:hunter2@gc-host", `scheme "http" is not known`},
		{"stomp://tap:hunter2@", "names no host"},
		{"stomp://tap:hunter2@gc-host:0", `port "0" of host gc-host`},
		{"stomp://tap:hunter2@gc-host:99999", `port "99999"`},
		{"stomp://tap:hunter2@gc host", `host "gc host"`},
		{"stomp://tap:hunter2@a:b:c", `host "a:b:c" is not`},
		{"failover:(stomp://tap:hunter2@a", "no closing bracket"},
		{"failover:(stomp://tap:hunter2@a,b)", "no scheme: write stomp://b"},
		{"failover:(stomp://tap:hunter2@a)?maxReconnectAttempts=many", "maxReconnectAttempts=many"},
	} {
		b, err := ParseBroker(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want …%s…", c.in, err, c.want)
		}
		config := Config{Broker: b, Passcode: secret}
		if printed := fmt.Sprintf("%v %+v %#v %v %+v %#v %v", b, b, b, config, config, config, err); strings.Contains(printed, secret) {
			t.Errorf("%s: the password is printed: %s", c.in, printed)
		}
	}
}
