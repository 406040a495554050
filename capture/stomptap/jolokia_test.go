package stomptap

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// answers are those of a Jolokia agent beside ActiveMQ, by what is asked for.
var answers = map[string]string{
	"destinationType=Queue,destinationName=Connector1/ConsumerCount,QueueSize,EnqueueCount": `{"status":200,"value":{
		"org.apache.activemq:brokerName=site,destinationName=Connector1,destinationType=Queue,type=Broker":
			{"ConsumerCount":2,"QueueSize":7,"EnqueueCount":900}}}`,
	"destinationType=Topic,destinationName=VirtualTopic.Mirror.Connector1/EnqueueCount": `{"status":200,"value":{
		"org.apache.activemq:brokerName=site,destinationName=VirtualTopic.Mirror.Connector1,destinationType=Topic,type=Broker":{"EnqueueCount":900}}}`,
	"destinationType=Queue,destinationName=Consumer.*.VirtualTopic.Mirror.Connector1/QueueSize": `{"status":200,"value":{
		"org.apache.activemq:brokerName=site,destinationName=Consumer.gctap.VirtualTopic.Mirror.Connector1,destinationType=Queue,type=Broker":{"QueueSize":41}}}`,
}

func agent(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.Method != http.MethodGet:
			t.Errorf("%s %s: doctor only reads", r.Method, r.URL)
		case user != "admin" || password != "right":
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, asked, _ := strings.Cut(r.URL.Path, "/read/org.apache.activemq:type=Broker,brokerName=*,")
		answer, ok := answers[asked]
		if !ok {
			answer = `{"status":404,"error":"no such object"}`
		}
		w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestReadJolokia(t *testing.T) {
	view, err := ReadJolokia(t.Context(), agent(t).URL+"/api/jolokia/", "admin", "right", []string{"Connector1", "Connector2"})
	if err != nil {
		t.Fatal(err)
	}
	one, two := view.Queues[0], view.Queues[1]
	if view.Broker != "site" || !one.Exists || one.Consumers != 2 || one.Waiting != 7 || one.Enqueued != 900 ||
		!one.Mirrored || one.Composite || one.Kept["Consumer.gctap.VirtualTopic.Mirror.Connector1"] != 41 {
		t.Errorf("Connector1: %+v", one)
	}
	if two.Exists || two.Mirrored || len(two.Kept) > 0 {
		t.Errorf("Connector2: %+v", two)
	}
}

func TestReadJolokiaRefused(t *testing.T) {
	_, err := ReadJolokia(t.Context(), agent(t).URL, "admin", "wr0ng", []string{"Connector1"})
	if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("error %v", err)
	}
	not := httptest.NewServer(http.NotFoundHandler())
	defer not.Close()
	if _, err := ReadJolokia(t.Context(), not.URL, "", "", []string{"Connector1"}); err == nil {
		t.Error("a server that is no agent is taken for one")
	}
}
