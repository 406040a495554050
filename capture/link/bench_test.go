package link

import (
	"sync/atomic"
	"testing"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// BenchmarkThrough sends messages of a usual size to a topic and receives them
// over a second link, through each kind of broker.
func BenchmarkThrough(b *testing.B) {
	for name, launch := range map[string]func(*testing.B) (*brokertest.Broker, error){
		"process": func(b *testing.B) (*brokertest.Broker, error) {
			return brokertest.Start(b.Context(), brokertest.Options{})
		},
		"activemq": func(b *testing.B) (*brokertest.Broker, error) {
			return brokertest.StartActiveMQ(b.Context(), brokertest.Options{})
		},
	} {
		b.Run(name, func(b *testing.B) {
			broker, err := launch(b)
			if err != nil {
				b.Skip(err)
			}
			defer broker.Close()
			url, err := ParseBroker(broker.URL())
			if err != nil {
				b.Fatal(err)
			}
			from, err := Open(b.Context(), Config{Broker: url})
			if err != nil {
				b.Fatal(err)
			}
			defer from.Close()
			to, err := Open(b.Context(), Config{Broker: url})
			if err != nil {
				b.Fatal(err)
			}
			defer to.Close()
			var n atomic.Int64
			all := make(chan struct{})
			_, err = to.Subscribe(b.Context(), capture.Subscription{Destination: "topic://192.168.1.72"}, func(capture.Delivery) {
				if n.Add(1) == int64(b.N) {
					close(all)
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 150)
			for i := range body {
				body[i] = 'x'
			}
			kind := "State#1001"
			message := capture.Outgoing{To: "topic://192.168.1.72", JMSType: &kind, Body: body}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := from.Send(b.Context(), message); err != nil {
					b.Fatal(err)
				}
			}
			<-all
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
