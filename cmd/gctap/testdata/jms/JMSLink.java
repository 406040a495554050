import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import javax.jms.BytesMessage;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.Destination;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageProducer;
import javax.jms.Session;
import javax.jms.TextMessage;
import org.apache.activemq.ActiveMQConnectionFactory;

/**
 * A JMS connection (OpenWire) driven by lines, so that a test can have real JMS
 * peers without a second copy of the protocol: the test's simulated GC and
 * agents think, this class speaks JMS.
 *
 * Arguments: broker URL, user, password. Fields are separated by tabs; texts
 * are base64, "-" is null.
 *
 *   in:  SUB dest | SEND dest type body replyTo | SYNC n
 *   out: READY | SUBBED dest | MSG dest kind type body id replyTo | SYNCED n
 *
 * dest is queue://NAME or topic://NAME. kind is text, null (a TextMessage
 * without text), bytes or other: what a GC that wants a TextMessage can read.
 */
public class JMSLink {
    private static final PrintStream out = new PrintStream(System.out, false, StandardCharsets.US_ASCII);

    public static void main(String[] args) throws Exception {
        ActiveMQConnectionFactory factory = new ActiveMQConnectionFactory(args[1], args[2], args[0]);
        factory.setAlwaysSyncSend(true); // SYNCED means that the broker has it
        Connection connection = factory.createConnection();
        connection.start();
        Session sending = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = sending.createProducer(null);
        producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
        say("READY");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split("\t", -1);
            switch (f[0]) {
                case "SUB":
                    subscribe(connection, text(f[1]));
                    say("SUBBED\t" + f[1]);
                    break;
                case "SEND":
                    TextMessage m = sending.createTextMessage(text(f[3]));
                    if (text(f[2]) != null) {
                        m.setJMSType(text(f[2]));
                    }
                    if (text(f[4]) != null) {
                        m.setJMSReplyTo(destination(sending, text(f[4])));
                    }
                    producer.send(destination(sending, text(f[1])), m);
                    break;
                case "SYNC":
                    say("SYNCED\t" + f[1]);
                    break;
                default:
                    throw new IllegalArgumentException(f[0]);
            }
        }
        connection.close();
    }

    private static void subscribe(Connection connection, String name) throws JMSException {
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        session.createConsumer(destination(session, name)).setMessageListener(m -> {
            try {
                receive(name, m);
            } catch (JMSException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private static void receive(String name, Message m) throws JMSException {
        String kind = "other", body = null;
        if (m instanceof TextMessage) {
            body = ((TextMessage) m).getText();
            kind = body == null ? "null" : "text";
        } else if (m instanceof BytesMessage) {
            kind = "bytes";
        }
        Destination replyTo = m.getJMSReplyTo();
        say("MSG\t" + base64(name) + "\t" + kind + "\t" + base64(m.getJMSType()) + "\t" + base64(body) + "\t"
            + base64(m.getJMSMessageID()) + "\t" + base64(replyTo == null ? null : replyTo.toString()));
    }

    private static Destination destination(Session session, String name) throws JMSException {
        if (name.startsWith("queue://")) {
            return session.createQueue(name.substring("queue://".length()));
        }
        return session.createTopic(name.substring("topic://".length()));
    }

    private static synchronized void say(String line) {
        out.println(line);
        out.flush();
    }

    private static String base64(String s) {
        return s == null ? "-" : Base64.getEncoder().encodeToString(s.getBytes(StandardCharsets.UTF_8));
    }

    private static String text(String field) {
        return field.equals("-") ? null : new String(Base64.getDecoder().decode(field), StandardCharsets.UTF_8);
    }
}
