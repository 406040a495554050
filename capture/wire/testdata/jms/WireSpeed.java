import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import org.apache.activemq.ActiveMQConnectionFactory;

/**
 * How fast two ways to one broker are, measured in turns so that what else the
 * machine does weighs on both.
 *
 * Arguments: URL 0, URL 1, number of messages, rounds. Prints a line for each
 * round and URL, the first round left out: 0 or 1, messages a second from a
 * producer to a consumer, and the median of the milliseconds that one message
 * takes from send to receipt.
 */
public class WireSpeed {
    public static void main(String[] args) throws Exception {
        int n = Integer.parseInt(args[2]);
        int rounds = Integer.parseInt(args[3]);
        for (int round = 0; round <= rounds; round++) {
            for (int k = 0; k < 2; k++) {
                int which = (round + k) % 2; // neither is always the second
                double rate = throughput(args[which], n);
                double median = latency(args[which], 1000);
                if (round > 0) {
                    System.out.println(which + " " + rate + " " + median);
                }
            }
        }
    }

    private static Connection connect(String url) throws Exception {
        Connection c = new ActiveMQConnectionFactory("gctap", "hush", url).createConnection();
        c.start();
        return c;
    }

    private static double throughput(String url, int n) throws Exception {
        Connection gc = connect(url);
        Connection client = connect(url);
        CountDownLatch all = new CountDownLatch(n);
        Session in = gc.createSession(false, Session.AUTO_ACKNOWLEDGE);
        in.createConsumer(in.createQueue("Speed")).setMessageListener(m -> all.countDown());
        Session out = client.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = out.createProducer(out.createQueue("Speed"));
        producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
        long begin = System.nanoTime();
        for (int i = 0; i < n; i++) {
            producer.send(out.createTextMessage("5001,some call of the usual length," + i));
        }
        if (!all.await(120, TimeUnit.SECONDS)) {
            throw new IllegalStateException(all.getCount() + " did not arrive");
        }
        double rate = n / ((System.nanoTime() - begin) / 1e9);
        client.close();
        gc.close();
        return rate;
    }

    private static double latency(String url, int n) throws Exception {
        Connection gc = connect(url);
        Connection client = connect(url);
        Session in = gc.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue queue = in.createQueue("Speed1");
        MessageConsumer consumer = in.createConsumer(queue);
        Session out = client.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = out.createProducer(queue);
        producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
        double[] took = new double[n];
        for (int i = 0; i < n; i++) {
            long begin = System.nanoTime();
            producer.send(out.createTextMessage("one"));
            if (consumer.receive(10_000) == null) {
                throw new IllegalStateException("a message did not arrive");
            }
            took[i] = (System.nanoTime() - begin) / 1e6;
        }
        Arrays.sort(took);
        client.close();
        gc.close();
        return took[n / 2];
    }
}
