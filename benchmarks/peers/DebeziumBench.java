import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.DebeziumEngine.RecordCommitter;
import io.debezium.engine.format.Json;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;

/**
 * Lets one engine read a backlog, and tells what that took.
 *
 * <p>The argument is the number of changes to read. The properties of the engine are on the standard
 * input and the answer is printed, both as JSON.
 */
public final class DebeziumBench implements DebeziumEngine.ChangeConsumer<ChangeEvent<String, String>> {

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final OperatingSystemMXBean process =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private final CompletableFuture<Moment> end = new CompletableFuture<>();
    private final long expected;
    private Moment begin;
    private long changes;

    private DebeziumBench(long expected) {
        this.expected = expected;
    }

    private record Moment(long nanos, long cpuNanos, long changes) {}

    private Moment now() {
        return new Moment(System.nanoTime(), process.getProcessCpuTime(), changes);
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answer = System.out;
        System.setOut(System.err); // a library may print there
        long started = ManagementFactory.getRuntimeMXBean().getStartTime();
        DebeziumBench bench = new DebeziumBench(Long.parseLong(arguments[0]));
        Properties properties = MAPPER.readValue(System.in, Properties.class);
        DebeziumEngine<ChangeEvent<String, String>> engine =
                DebeziumEngine.create(Json.class).using(properties).using(bench::complete).notifying(bench).build();
        Thread thread = new Thread(engine, "engine");
        thread.setDaemon(true);
        thread.start();
        Moment end = bench.end.join();
        double wall = (end.nanos - bench.begin.nanos) / 1e9;
        double untilEnd = (System.currentTimeMillis() - started) / 1e3;
        answer.println(MAPPER.writeValueAsString(Map.of(
                "events", end.changes - bench.begin.changes,
                "wall", wall,
                "cpu", (end.cpuNanos - bench.begin.cpuNanos) / 1e9,
                "opening", untilEnd - wall)));
        answer.flush();
        Runtime.getRuntime().halt(0); // the slot and what it has confirmed are the caller's
    }

    private void complete(boolean success, String message, Throwable error) {
        end.completeExceptionally(new IllegalStateException(message, error));
    }

    @Override
    public boolean supportsTombstoneEvents() {
        return true;
    }

    @Override
    public void handleBatch(
            List<ChangeEvent<String, String>> batch, RecordCommitter<ChangeEvent<String, String>> committer)
            throws InterruptedException {
        for (ChangeEvent<String, String> event : batch) {
            if (event.value() != null) { // else it is the tombstone behind a delete
                changes++;
            }
            committer.markProcessed(event);
        }
        committer.markBatchFinished();
        if (begin == null) {
            // The first batch was decoded and converted before it came, so it is not counted.
            begin = now();
        }
        if (changes >= expected) {
            end.complete(now());
        }
    }
}
