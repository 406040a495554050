package stomptap

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// BrokerView is what ActiveMQ's management interface says of the queues to be
// tapped. Every figure in it was told by the broker.
type BrokerView struct {
	Broker string      `json:"broker"` // its name
	Queues []QueueView `json:"queues"`
}

// QueueView is one command queue as the broker sees it.
type QueueView struct {
	Queue     string `json:"queue"`
	Exists    bool   `json:"exists"`
	Consumers int64  `json:"consumers"` // GC, if it runs; any more take commands from it
	Waiting   int64  `json:"waiting"`
	Enqueued  int64  `json:"enqueued"` // since the broker began
	Mirrored  bool   `json:"mirrored"` // the topic of its mirror exists
	Composite bool   `json:"composite"`
	// Kept are the virtual-topic consumer queues behind its mirror, with what
	// waits in them: a tap in durable mode left or reads them.
	Kept map[string]int64 `json:"kept"`
}

// ReadJolokia asks a Jolokia agent, such as http://broker:8161/api/jolokia,
// what the broker knows of the queues. It only reads. user may be empty.
func ReadJolokia(ctx context.Context, base, user, password string, queues []string) (*BrokerView, error) {
	j := &jolokia{base: strings.TrimSuffix(base, "/"), user: user, password: password}
	view := &BrokerView{}
	for _, queue := range queues {
		q := QueueView{Queue: queue, Kept: map[string]int64{}}
		own, err := j.destinations(ctx, "Queue", queue, "ConsumerCount,QueueSize,EnqueueCount")
		if err != nil {
			return nil, err
		}
		for _, d := range own {
			view.Broker = d.broker
			q.Exists, q.Consumers, q.Waiting, q.Enqueued = true, d.ConsumerCount, d.QueueSize, d.EnqueueCount
		}
		if q.Mirrored, err = j.topic(ctx, mirrorTopic+queue); err != nil {
			return nil, err
		}
		if q.Composite, err = j.topic(ctx, compositeTopic+queue); err != nil {
			return nil, err
		}
		kept, err := j.destinations(ctx, "Queue", "Consumer.*.VirtualTopic.Mirror."+queue, "QueueSize")
		if err != nil {
			return nil, err
		}
		for _, d := range kept {
			q.Kept[d.name] = d.QueueSize
		}
		view.Queues = append(view.Queues, q)
	}
	return view, nil
}

type jolokia struct{ base, user, password string }

// destination is a destination's attributes, with the names in its object name.
type destination struct {
	broker, name  string
	ConsumerCount int64
	QueueSize     int64
	EnqueueCount  int64
}

func (j *jolokia) topic(ctx context.Context, dest string) (bool, error) {
	found, err := j.destinations(ctx, "Topic", strings.TrimPrefix(dest, "topic://"), "EnqueueCount")
	return len(found) > 0, err
}

// destinations reads attributes of all destinations whose name fits; a * in
// name stands for anything.
func (j *jolokia) destinations(ctx context.Context, kind, name, attributes string) ([]destination, error) {
	object := fmt.Sprintf("org.apache.activemq:type=Broker,brokerName=*,destinationType=%s,destinationName=%s", kind, name)
	// In a Jolokia path a / is written !/ and a ! is written !!.
	escaped := url.PathEscape(strings.NewReplacer("!", "!!", "/", "!/").Replace(object))
	value, err := j.get(ctx, j.base+"/read/"+escaped+"/"+attributes)
	if err != nil {
		return nil, err
	}
	var byObject map[string]destination
	if err := json.Unmarshal(value, &byObject); err != nil {
		return nil, fmt.Errorf("%s: not the answer of a Jolokia agent: %w", j.base, err)
	}
	var found []destination
	for object, d := range byObject {
		d.broker, d.name = property(object, "brokerName"), property(object, "destinationName")
		found = append(found, d)
	}
	return found, nil
}

// property returns a key's value in an object name.
func property(object, key string) string {
	_, keys, _ := strings.Cut(object, ":")
	for pair := range strings.SplitSeq(keys, ",") {
		if name, value, _ := strings.Cut(pair, "="); name == key {
			return value
		}
	}
	return ""
}

// get returns the value of an answer; {} where no object fits.
func (j *jolokia) get(ctx context.Context, address string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.base, err)
	}
	// ActiveMQ's agent answers only requests that say where they come from.
	request.Header.Set("Origin", j.base)
	if j.user != "" {
		request.SetBasicAuth(j.user, j.password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: the agent answers %s: check address, user and password", j.base, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status int
		Error  string
		Value  json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s: not the answer of a Jolokia agent: %w", j.base, err)
	}
	switch answer.Status {
	case http.StatusOK:
		return answer.Value, nil
	case http.StatusNotFound:
		return json.RawMessage("{}"), nil
	}
	return nil, fmt.Errorf("%s: the agent answers %d: %s", j.base, answer.Status, answer.Error)
}
