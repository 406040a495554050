import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.jms.BytesMessage;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.TextMessage;
import javax.jms.Topic;
import org.apache.activemq.ActiveMQConnection;
import org.apache.activemq.ActiveMQConnectionFactory;

/**
 * A GC and a client that talk OpenWire, to have traffic of every kind on the
 * wire: commands with all kinds of bodies and properties, an event for each
 * command, a transaction that is committed and one that is rolled back, a
 * message between GCs.
 *
 * Arguments: broker URL of GC, broker URL of the client, user, password, number
 * of plain commands, a text to send as a body, and how often the long text is
 * repeated (20000). Ends when every command has had its event.
 */
public class WireTraffic {
    public static void main(String[] args) throws Exception {
        int plain = Integer.parseInt(args[4]);
        int commands = plain + 9;
        CountDownLatch answered = new CountDownLatch(commands);
        Connection gc = connect(args[0], args[2], args[3], "gc-1");
        serve(gc);
        Connection client = connect(args[1], args[2], args[3], "client-1");
        Session listening = client.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Topic events = listening.createTopic("client.1");
        listening.createConsumer(events).setMessageListener(m -> answered.countDown());
        send(client, events, plain, args[5].replace("NUL", "\0"),
                args.length > 6 ? Integer.parseInt(args[6]) : 20000);
        if (!answered.await(60, TimeUnit.SECONDS)) {
            throw new IllegalStateException(answered.getCount() + " commands without their event");
        }
        client.close();
        gc.close();
    }

    private static Connection connect(String url, String user, String password, String id) throws Exception {
        ActiveMQConnection c = (ActiveMQConnection) new ActiveMQConnectionFactory(user, password, url).createConnection();
        c.setClientID(id);
        c.start();
        return c;
    }

    /** Answers every command with an event whose text tells which it was. */
    private static void serve(Connection gc) throws Exception {
        Session session = gc.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Session sending = gc.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = sending.createProducer(null);
        producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
        producer.send(sending.createTopic("ConnectorSync"), sending.createTextMessage("AgentState#1001#hush,hush#READY"));
        session.createConsumer(session.createQueue("Connector1")).setMessageListener(m -> {
            try {
                Message event = sending.createTextMessage("1001#State#READY#" + m.getJMSType());
                producer.send(sending.createTopic("client.1"), event);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private static void send(Connection client, Topic replyTo, int plain, String odd, int words) throws Exception {
        Session session = client.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue queue = session.createQueue("Connector1");
        MessageProducer producer = session.createProducer(queue);
        producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
        for (int i = 0; i < plain; i++) {
            producer.send(text(session, "Beat#1001", "" + i));
        }
        TextMessage login = text(session, "Login#1001", "hush,3001");
        login.setJMSReplyTo(replyTo);
        login.setJMSCorrelationID("c1");
        login.setStringProperty("agent", "1001");
        login.setLongProperty("count", 1L << 40);
        login.setBooleanProperty("yes", true);
        login.setDoubleProperty("half", 0.5);
        producer.send(login);
        producer.send(text(session, "Hello#client.1", null));
        producer.send(text(session, "", ""));
        producer.send(text(session, null, "no type"));
        producer.send(text(session, "MakeCall#1001", odd));
        producer.send(text(session, "MakeCall#1001", "long ".repeat(words)));
        BytesMessage bytes = session.createBytesMessage();
        bytes.setJMSType("Bytes#1001");
        bytes.writeBytes(new byte[] {1, 2, 3, 0, (byte) 0xFF});
        producer.send(bytes);
        MapMessage map = session.createMapMessage();
        map.setJMSType("Map#1001");
        map.setString("name", "v\u00e4lue");
        map.setInt("n", -7);
        producer.send(map, DeliveryMode.PERSISTENT, 7, 0);
        Session transacted = client.createSession(true, Session.SESSION_TRANSACTED);
        MessageProducer inside = transacted.createProducer(queue);
        inside.send(text(transacted, "Ready#1001", "rolled back"));
        transacted.rollback();
        inside.send(text(transacted, "Ready#1001", "committed"));
        transacted.commit();
    }

    private static TextMessage text(Session session, String type, String body) throws Exception {
        TextMessage m = session.createTextMessage(body);
        m.setJMSType(type);
        return m;
    }
}
