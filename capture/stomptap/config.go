package stomptap

import (
	"fmt"
	"strings"
)

// BrokerXML returns what an ActiveMQ administrator adds inside <broker> of
// activemq.xml so that a tap in the given mode sees the commands of the queues.
// Auto asks for what Mirror does; Events needs nothing. The lines are those
// that the tests run a real ActiveMQ with.
func BrokerXML(mode Mode, queues []string) string {
	const mirrored = `  <mirroredQueue copyMessage="true" prefix="VirtualTopic.Mirror." postfix=""/>
`
	var virtual strings.Builder
	switch mode {
	case Events:
		return ""
	case Durable:
		virtual.WriteString("      <virtualTopic name=\"VirtualTopic.>\" prefix=\"Consumer.*.\"/>\n")
	case Composite:
		for _, queue := range queues {
			fmt.Fprintf(&virtual, `      <compositeQueue name="%s" forwardOnly="false">
        <forwardTo>
          <topic physicalName="gctap.%s"/>
        </forwardTo>
      </compositeQueue>
`, queue, queue)
		}
	}
	var b strings.Builder
	b.WriteString("<destinationInterceptors>\n")
	if mode != Composite {
		b.WriteString(mirrored)
	}
	if virtual.Len() > 0 {
		b.WriteString("  <virtualDestinationInterceptor>\n    <virtualDestinations>\n" + virtual.String() +
			"    </virtualDestinations>\n  </virtualDestinationInterceptor>\n")
	}
	b.WriteString("</destinationInterceptors>\n")
	return b.String()
}
