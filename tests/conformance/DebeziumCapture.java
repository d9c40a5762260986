import io.debezium.embedded.EmbeddedEngineChangeEvent;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.Header;
import io.debezium.engine.format.Json;
import io.debezium.engine.format.KeyValueHeaderChangeEventFormat;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.Reader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Runs one Debezium engine and writes every record it delivers as one line of JSON.
 *
 * <pre>java DebeziumCapture CONFIG.properties OUTPUT.jsonl</pre>
 *
 * A line is
 * {@code {"seq","topic","partition","key","value","headers","source_partition","source_offset","record_timestamp"}}.
 * The key, the value and the header values are the <em>text</em> that Kafka Connect's JsonConverter produced, put
 * into the line as a JSON string, so nothing about number formatting, key order or escaping is lost. A JSON null
 * there is a missing key or a tombstone; the string {@code "null"} is a null payload that has a schema.
 *
 * Progress goes to standard output, one JSON object per line: {@code {"state","records","sync_markers"}}, where state
 * is START, RUN (after each batch) or END (the engine stopped; then also {@code "success","message","error"}). Logging
 * goes to standard error. The engine is stopped when standard input reaches its end, so it never outlives its parent.
 */
public final class DebeziumCapture {

    /** Records of any topic that ends so are counted, which is how the driver learns what has been processed. */
    private static final String SYNC_TOPIC_SUFFIX = "sync_marker";

    /** If the engine has not closed by then, the process ends anyway. */
    private static final long CLOSE_TIMEOUT_MS = 20_000;

    private static final int EXIT_CLOSE_TIMED_OUT = 3;

    private final PrintStream progress;
    private final Writer output;
    private final AtomicLong records = new AtomicLong();
    private final AtomicLong syncMarkers = new AtomicLong();

    private DebeziumCapture(PrintStream progress, Writer output) {
        this.progress = progress;
        this.output = output;
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("usage: DebeziumCapture CONFIG.properties OUTPUT.jsonl");
            System.exit(2);
        }
        PrintStream progress = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // standard output carries nothing but progress
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(Path.of(args[0]), StandardCharsets.UTF_8)) {
            properties.load(reader);
        }
        try (Writer output = new BufferedWriter(
                new OutputStreamWriter(Files.newOutputStream(Path.of(args[1])), StandardCharsets.UTF_8), 1 << 16)) {
            new DebeziumCapture(progress, output).run(properties);
        }
        Runtime.getRuntime().halt(0); // connector threads may linger
    }

    private void run(Properties properties) throws Exception {
        CountDownLatch stop = new CountDownLatch(1);
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine
                .create(KeyValueHeaderChangeEventFormat.of(Json.class, Json.class, Json.class))
                .using(properties)
                .using((DebeziumEngine.CompletionCallback) (success, message, error) -> {
                    reportEnd(success, message, error);
                    stop.countDown();
                })
                .notifying(new Consumer())
                .build();
        report("START", "");
        ExecutorService executor = Executors.newSingleThreadExecutor();
        executor.execute(engine);
        startDaemon("stdin-watcher", () -> {
            try (InputStream in = System.in) {
                while (in.read() >= 0) {
                    // wait for the end of input
                }
            }
            catch (IOException e) {
                // same as the end of input
            }
            stop.countDown();
        });
        stop.await();
        startDaemon("close-timeout", () -> {
            try {
                Thread.sleep(CLOSE_TIMEOUT_MS);
                Runtime.getRuntime().halt(EXIT_CLOSE_TIMED_OUT);
            }
            catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        try {
            engine.close();
        }
        catch (Exception e) {
            System.err.println("close: " + e); // already closed, if the engine failed by itself
        }
        executor.shutdownNow();
    }

    private final class Consumer implements DebeziumEngine.ChangeConsumer<ChangeEvent<String, String>> {

        @Override
        public boolean supportsTombstoneEvents() {
            return true;
        }

        @Override
        public void handleBatch(List<ChangeEvent<String, String>> events,
                                DebeziumEngine.RecordCommitter<ChangeEvent<String, String>> committer)
                throws InterruptedException {
            try {
                for (ChangeEvent<String, String> event : events) {
                    output.write(toLine(event, records.getAndIncrement()));
                    if (event.destination() != null && event.destination().endsWith(SYNC_TOPIC_SUFFIX)) {
                        syncMarkers.incrementAndGet();
                    }
                    committer.markProcessed(event);
                }
                committer.markBatchFinished();
                output.flush();
            }
            catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            report("RUN", "");
        }
    }

    private static String toLine(ChangeEvent<String, String> event, long seq) {
        SourceRecord source = ((EmbeddedEngineChangeEvent<?, ?, ?>) event).sourceRecord();
        StringBuilder line = new StringBuilder(1024);
        line.append("{\"seq\":").append(seq).append(",\"topic\":");
        appendString(line, event.destination());
        line.append(",\"partition\":").append(event.partition());
        line.append(",\"key\":");
        appendString(line, event.key());
        line.append(",\"value\":");
        appendString(line, event.value());
        line.append(",\"headers\":[");
        List<Header<Object>> headers = event.headers();
        if (headers != null) {
            String separator = "";
            for (Header<Object> header : headers) {
                line.append(separator).append("{\"key\":");
                appendString(line, header.getKey());
                line.append(",\"value\":");
                appendString(line, header.getValue() == null ? null : String.valueOf(header.getValue()));
                line.append('}');
                separator = ",";
            }
        }
        line.append("],\"source_partition\":");
        appendMap(line, source.sourcePartition());
        line.append(",\"source_offset\":");
        appendMap(line, source.sourceOffset());
        line.append(",\"record_timestamp\":").append(source.timestamp());
        return line.append("}\n").toString();
    }

    private static void appendMap(StringBuilder out, Map<String, ?> map) {
        if (map == null) {
            out.append("null");
            return;
        }
        out.append('{');
        String separator = "";
        for (Map.Entry<String, ?> entry : map.entrySet()) {
            out.append(separator);
            appendString(out, entry.getKey());
            out.append(':');
            Object value = entry.getValue();
            if (value == null || value instanceof Number || value instanceof Boolean) {
                out.append(value);
            }
            else {
                appendString(out, value.toString());
            }
            separator = ",";
        }
        out.append('}');
    }

    /** Appends a JSON string; line separators of any kind are escaped, so that one record stays one line. */
    private static void appendString(StringBuilder out, String text) {
        if (text == null) {
            out.append("null");
            return;
        }
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029) {
                        out.append(String.format("\\u%04x", (int) c));
                    }
                    else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }

    private void reportEnd(boolean success, String message, Throwable error) {
        StringWriter trace = new StringWriter();
        if (error != null) {
            error.printStackTrace(new PrintWriter(trace));
        }
        StringBuilder more = new StringBuilder(",\"success\":").append(success).append(",\"message\":");
        appendString(more, message);
        more.append(",\"error\":");
        appendString(more, error == null ? null : trace.toString());
        report("END", more.toString());
    }

    private void report(String state, String more) {
        progress.println("{\"state\":\"" + state + "\",\"records\":" + records.get()
                + ",\"sync_markers\":" + syncMarkers.get() + more + "}");
    }

    private static void startDaemon(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        thread.start();
    }
}
