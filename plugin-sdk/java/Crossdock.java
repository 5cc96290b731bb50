package crossdock;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Mappers for the Crossdock gateway in Java: programs that read a message and answer it.
 *
 * <p>A mapper implements {@link Mapper} and its {@code main} calls {@link #run}. These files belong to the mapper; the
 * convention behind them is in the SDK's README, under "The second door".
 */
public final class Crossdock {
    private Crossdock() {
    }

    /** A name and its value; order and repeats are kept. */
    public static final class Pair {
        public final String name;
        public final String value;

        public Pair(String name, String value) {
            this.name = name;
            this.value = value;
        }
    }

    /** What a mapper knows besides the document. The same context and document always give the same result. */
    public static final class Context {
        public final String partner;
        public final String sender;
        public final String receiver;
        public final String operation;
        public final String version;
        /** {@code request} or {@code answer}. */
        public final String stage;
        /** RFC 3339; the only clock a mapper sees. */
        public final String receivedAt;
        /** IANA zone for times that carry none, where the policy knows it; else empty. */
        public final String zone;
        public final List<Pair> controlNumbers;
        /** The mapper's configuration from the policy. */
        public final Json config;

        Context(Json told) {
            partner = told.textOf("partner");
            sender = told.textOf("sender");
            receiver = told.textOf("receiver");
            operation = told.textOf("operation");
            version = told.textOf("version");
            stage = told.textOf("stage");
            receivedAt = told.textOf("received_at");
            zone = told.textOf("zone");
            controlNumbers = pairs(told.itemsOf("control_numbers"));
            config = told.get("config") == null ? Json.object() : told.get("config");
        }
    }

    /** A place in the sender's own document: json-pointer, xpath, x12, edifact, csv or bytes. */
    public static final class Location {
        final String scheme;
        final String path;
        final int offset;
        final int length;

        public Location(String scheme, String path, int offset, int length) {
            this.scheme = scheme;
            this.path = path;
            this.offset = offset;
            this.length = length;
        }

        Json json() {
            Json place = Json.object().put("scheme", scheme).put("path", path);
            return offset < 0 ? place : place.put("offset", Json.of(offset)).put("length", Json.of(length));
        }
    }

    /** The place that a JSON Pointer names. */
    public static Location at(String pointer) {
        return new Location("json-pointer", pointer, -1, 0);
    }

    /** A place by bytes of the document. */
    public static Location atBytes(int offset, int length) {
        return new Location("bytes", Integer.toString(offset), offset, length);
    }

    /** A remark, or a reason to refuse. */
    public static final class Diagnostic {
        final Json json;

        public Diagnostic(String severity, String code, String message, Location at) {
            json = Json.object().put("severity", severity).put("code", code);
            if (at != null) {
                json.put("at", at.json());
            }
            json.put("message", message);
        }

        /** The standard's own code for it. */
        public Diagnostic standardCode(String code) {
            json.put("standard_code", code);
            return this;
        }
    }

    /** Why a document is not accepted: throw it. */
    public static final class Refusal extends RuntimeException {
        final List<Diagnostic> diagnostics = new ArrayList<>();

        public Refusal(String code, String message, Location at) {
            this(new Diagnostic("error", code, message, at));
        }

        public Refusal(Diagnostic... reasons) {
            for (Diagnostic reason : reasons) {
                diagnostics.add(reason);
            }
        }
    }

    /** A document in a vendor's own format, as it came. */
    public static final class Document {
        public final String mediaType;
        public final byte[] content;
        public final List<Pair> parameters;

        Document(String mediaType, byte[] content, List<Pair> parameters) {
            this.mediaType = mediaType;
            this.content = content;
            this.parameters = parameters;
        }

        /** The content as text; refuses what is not UTF-8. */
        public String text() {
            check();
            return new String(content, StandardCharsets.UTF_8);
        }

        /** The content as JSON; refuses what is none. */
        public Json json() {
            check();
            Json.Reader reader = new Json.Reader(content);
            Json value = reader.read();
            if (value == null) {
                throw new Refusal("not-understood", "this is no JSON", atBytes(reader.at, reader.at < content.length ? 1 : 0));
            }
            return value;
        }

        private void check() {
            int wrong = Json.notUtf8(content);
            if (wrong >= 0) {
                throw new Refusal("not-utf8", "the document is not UTF-8", atBytes(wrong, 1));
            }
        }
    }

    /** A canonical event without its envelope, which is the gateway's. Every method gives the event on. */
    public static final class Event {
        private final String kind;
        private final Json data;
        private final Json naturalKey = Json.array();
        private final Json orderKeys = Json.array();
        private final Json corrects = Json.array();
        private String sequence;
        private String occurredAt;

        public Event(String kind, Json data) {
            this.kind = kind;
            this.data = data;
        }

        /** Adds to what makes it the same business fact: shipment, 4711. */
        public Event naturalKey(String kind, String value) {
            naturalKey.add(pair(kind, value));
            return this;
        }

        /** Adds a business key whose order it keeps; the flow's own key, usually the order, comes first. */
        public Event orderKey(String kind, String value) {
            orderKeys.add(pair(kind, value));
            return this;
        }

        /** When it happened. */
        public Event occurredAt(Time time) {
            occurredAt = time.toString();
            return this;
        }

        /** The source's own number of it, where the source counts. */
        public Event sequence(String number) {
            sequence = number;
            return this;
        }

        /** Adds to the natural key of the fact that it corrects or reverses. */
        public Event corrects(String kind, String value) {
            corrects.add(pair(kind, value));
            return this;
        }

        Json json() {
            Json json = Json.object().put("type", kind).put("natural_key", naturalKey).put("order_keys", orderKeys);
            if (sequence != null) {
                json.put("sequence", sequence);
            }
            if (!corrects.items.isEmpty()) {
                json.put("corrects", corrects);
            }
            if (occurredAt != null) {
                json.put("occurred_at", occurredAt);
            }
            return json.put("data", data);
        }
    }

    /** What became of a document: events, units that could not be mapped while their neighbours could, and remarks. */
    public static final class Mapped {
        private final Json events = Json.array();
        private final Json rejects = Json.array();
        private final Json diagnostics = Json.array();

        public Mapped(Event... drafts) {
            for (Event draft : drafts) {
                add(draft);
            }
        }

        public Mapped add(Event draft) {
            events.add(draft.json());
            return this;
        }

        /** A unit that could not be mapped. */
        public Mapped reject(String unit, Location at, Diagnostic... reasons) {
            Json why = Json.array();
            for (Diagnostic reason : reasons) {
                why.add(reason.json);
            }
            rejects.add(Json.object().put("unit", unit).put("at", at.json()).put("diagnostics", why));
            return this;
        }

        /** A remark on a document that is accepted. */
        public Mapped remark(Diagnostic diagnostic) {
            diagnostics.add(diagnostic.json);
            return this;
        }

        Json json() {
            return Json.object().put("events", events).put("rejects", rejects).put("diagnostics", diagnostics);
        }
    }

    /** An event as the gateway recorded it. */
    public static final class Recorded {
        public final String id;
        public final String source;
        public final String recordedAt;
        public final String kind;
        public final List<Pair> naturalKey;
        public final List<Pair> orderKeys;
        public final String occurredAt;
        public final Json data;

        Recorded(Json event) {
            id = event.textOf("id");
            source = event.textOf("source");
            recordedAt = event.textOf("recorded_at");
            kind = event.textOf("type");
            naturalKey = pairs(event.itemsOf("natural_key"));
            orderKeys = pairs(event.itemsOf("order_keys"));
            occurredAt = event.textOf("occurred_at");
            data = event.get("data") == null ? Json.object() : event.get("data");
        }
    }

    /** How one part of a document ended. */
    public static final class Outcome {
        /** {@code transaction-set}, or {@code document} where there is nothing to take apart. */
        public final String unit;
        /** The segments that enclose it. */
        public final String envelope;
        public final boolean accepted;
        /** Objects with severity, code, standard_code, at, message and more. */
        public final List<Json> diagnostics;
        /** The part's own first segment as {@code header}, its group's last as {@code group-trailer}. */
        public final List<Pair> more;

        Outcome(Json outcome) {
            Json part = outcome.get("part") == null ? Json.object() : outcome.get("part");
            unit = part.textOf("unit");
            envelope = part.textOf("envelope");
            accepted = outcome.get("accepted") != null && outcome.get("accepted").kind == Json.Kind.TRUE;
            diagnostics = outcome.itemsOf("diagnostics");
            more = pairs(outcome.itemsOf("more"));
        }
    }

    /** A document in a target's own format, as it goes. */
    public static final class Output {
        private final String mediaType;
        private final byte[] content;
        private final Json parameters = Json.array();

        public Output(String mediaType, byte[] content) {
            this.mediaType = mediaType;
            this.content = content;
        }

        /** A document of a value as JSON. */
        public Output(Json value) {
            this("application/json", bytes(value.toString()));
        }

        /** Adds a value for the target's URL template or a header. */
        public Output parameter(String name, String value) {
            parameters.add(pair(name, value));
            return this;
        }
    }

    /** What a mapper offers. */
    public interface Mapper {
        /** Reads a document and drafts the events that it tells of. */
        default Mapped toCanonical(Context context, Document document) {
            throw new Refusal("unsupported", "this mapper reads no documents", null);
        }

        /** Writes the document that tells a target of these events. */
        default Output fromCanonical(Context context, List<Recorded> events) {
            throw new Refusal("unsupported", "this mapper writes no documents", null);
        }

        /** Writes the functional acknowledgement of a document whose parts ended so; null where there is none. */
        default Output acknowledge(Context context, List<Outcome> outcomes) {
            throw new Refusal("unsupported", "this mapper writes no acknowledgements", null);
        }
    }

    /** A line in the gateway's log of this message; 4 KiB of them are kept. */
    public static void log(String message) {
        Wasi.write(2, bytes(message + "\n"));
    }

    /** The row of a table that the operation grants, by column; null where there is none. */
    public static Json lookup(String table, String... key) {
        Json parts = Json.array();
        for (String part : key) {
            parts.add(Json.of(part));
        }
        byte[] row = Wasi.lookup(bytes(table), bytes(parts.toString()));
        return row == null ? null : new Json.Reader(row).read();
    }

    /** Do the digits end in the check digit that GS1 (GTIN, GLN, SSCC) asks for? */
    public static boolean checkGs1(String digits) {
        if (digits.length() < 2 || digits.length() > 64) {
            return false;
        }
        int sum = 0;
        for (int n = 0; n < digits.length(); n++) {
            int digit = digits.charAt(digits.length() - 1 - n) - '0';
            if (digit < 0 || digit > 9) {
                return false;
            }
            sum += digit * (n % 2 == 0 ? 1 : 3);
        }
        return sum % 10 == 0;
    }

    /** A GTIN as an identifier, its check digit held against the rest. */
    public static Json gtin(String digits) {
        return Json.object().put("scheme", "gtin").put("value", digits).put("check", checkGs1(digits) ? "valid" : "invalid");
    }

    /** A quantity whose unit the document does not name. */
    public static Json quantity(String value) {
        return Json.object().put("value", value);
    }

    /**
     * A time of the document that was, in the form of RFC 3339: a moment where it states its offset, else local, in the
     * partner's zone if the policy knows it; a day where it says no more. Refuses what is none of these (not-a-time, at
     * the place).
     */
    public static Time actual(String text, String zone, Location at) {
        int end = Time.offsetOf(text);
        if (end < 0) {
            throw new Refusal("not-a-time", "a time is needed, as in 2026-11-20T14:05:00+01:00", at);
        }
        return new Time(text, end < text.length(), zone);
    }

    /** A moment, or a local time. */
    public static final class Time {
        private final String text;
        private final boolean isMoment;
        private final String zone;

        private Time(String text, boolean isMoment, String zone) {
            this.text = text;
            this.isMoment = isMoment;
            this.zone = zone;
        }

        /** By the canonical schema. */
        public Json json() {
            Json json = Json.object().put(isMoment ? "at" : "local", text);
            if (!isMoment && !zone.isEmpty()) {
                json.put("zone", zone);
            }
            return json.put("basis", isMoment ? "offset" : "local").put("classifier", "actual");
        }

        /** As an event's occurred_at wants it: a local time with its zone in brackets (RFC 9557). */
        @Override
        public String toString() {
            boolean zoned = !isMoment && !zone.isEmpty() && text.length() > 10;
            return zoned ? text + "[" + zone + "]" : text;
        }

        /** Where the offset begins, the end where there is none; -1 where it is no time. */
        private static int offsetOf(String text) {
            int year = digits(text, 0, 4, 9999);
            int month = marked(text, 4, '-', 12);
            int day = marked(text, 7, '-', 31);
            if (year < 0 || month < 1 || day < 1 || day > days(year, month)) {
                return -1;
            }
            if (text.length() == 10) {
                return 10;
            }
            if (marked(text, 10, 'T', 23) < 0 || marked(text, 13, ':', 59) < 0 || marked(text, 16, ':', 59) < 0) {
                return -1;
            }
            int end = 19;
            if (end < text.length() && text.charAt(end) == '.') {
                int from = ++end;
                while (digits(text, end, 1, 9) >= 0) {
                    end++;
                }
                if (end == from || end - from > 9) {
                    return -1;
                }
            }
            if (end == text.length()) {
                return end;
            }
            char mark = text.charAt(end);
            if (mark == 'Z') {
                return text.length() == end + 1 ? end : -1;
            }
            boolean whole = text.length() == end + 6 && digits(text, end + 1, 2, 23) >= 0 && marked(text, end + 3, ':', 59) >= 0;
            return whole && (mark == '+' || mark == '-') ? end : -1;
        }

        private static int marked(String text, int from, char mark, int most) {
            return from < text.length() && text.charAt(from) == mark ? digits(text, from + 1, 2, most) : -1;
        }

        private static int digits(String text, int from, int count, int most) {
            if (from + count > text.length()) {
                return -1;
            }
            int value = 0;
            for (int n = from; n < from + count; n++) {
                int digit = text.charAt(n) - '0';
                if (digit < 0 || digit > 9) {
                    return -1;
                }
                value = value * 10 + digit;
            }
            return value <= most ? value : -1;
        }

        private static int days(int year, int month) {
            if (month == 2) {
                return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
            }
            return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
        }
    }

    /**
     * Answers the gateway: the direction and the context are arguments, the document or the events are on the standard
     * input, what is answered goes to the standard output, diagnostics go to the standard error.
     */
    public static void run(Mapper mapper, String[] arguments) {
        try {
            answer(mapper, arguments);
        } catch (Refusal refusal) {
            for (Diagnostic each : refusal.diagnostics) {
                log(each.json.toString());
            }
            Wasi.exit(1);
        } catch (RuntimeException failure) {
            // The mapper's own failure, not the sender's: a line of the log, and an end without a diagnostic.
            log("error: " + failure.getClass().getName() + ": " + failure.getMessage());
            Wasi.exit(2);
        }
    }

    private static void answer(Mapper mapper, String[] arguments) {
        if (arguments.length < 2) {
            throw new IllegalArgumentException("a direction and a context are needed as arguments");
        }
        Json told = parsed(bytes(arguments[1]));
        Context context = new Context(told);
        byte[] content = Wasi.input();
        switch (arguments[0]) {
            case "to-canonical":
                Document document = new Document(told.textOf("media_type"), content, pairs(told.itemsOf("parameters")));
                Wasi.write(1, bytes(mapper.toCanonical(context, document).json().toString()));
                return;
            case "from-canonical":
                List<Recorded> events = new ArrayList<>();
                for (Json event : parsed(content).items) {
                    events.add(new Recorded(event));
                }
                write(mapper.fromCanonical(context, events));
                return;
            default:
                List<Outcome> outcomes = new ArrayList<>();
                for (Json outcome : parsed(content).items) {
                    outcomes.add(new Outcome(outcome));
                }
                write(mapper.acknowledge(context, outcomes));
        }
    }

    private static void write(Output output) {
        if (output == null) {
            return;
        }
        Json about = Json.object().put("media_type", output.mediaType).put("parameters", output.parameters);
        log(Json.object().put("document", about).toString());
        Wasi.write(1, output.content);
    }

    private static Json parsed(byte[] content) {
        Json value = new Json.Reader(content).read();
        if (value == null) {
            throw new IllegalArgumentException("what the gateway gave is no JSON");
        }
        return value;
    }

    private static Json pair(String name, String value) {
        return Json.array().add(Json.of(name)).add(Json.of(value));
    }

    private static List<Pair> pairs(List<Json> values) {
        List<Pair> found = new ArrayList<>();
        for (Json value : values) {
            if (value.items.size() == 2) {
                found.add(new Pair(value.items.get(0).text, value.items.get(1).text));
            }
        }
        return found;
    }

    /** UTF-8. Half of a surrogate pair, which a sender may write as an escape, becomes the replacement character. */
    private static byte[] bytes(String text) {
        StringBuilder sound = null;
        for (int at = 0; at < text.length(); at++) {
            char unit = text.charAt(at);
            if (unit < 0xd800 || unit > 0xdfff) {
                continue;
            }
            boolean first = unit < 0xdc00 && at + 1 < text.length() && (text.charAt(at + 1) & 0xfc00) == 0xdc00;
            if (first) {
                at++;
                continue;
            }
            if (sound == null) {
                sound = new StringBuilder(text);
            }
            sound.setCharAt(at, '\ufffd');
        }
        return (sound == null ? text : sound.toString()).getBytes(StandardCharsets.UTF_8);
    }
}
