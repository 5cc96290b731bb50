package crossdock;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** A value of JSON, read from a document or put together for an event. A number keeps the text that it was written with. */
public final class Json {
    public enum Kind { NULL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT }

    /** Values that hold others lie at most so deep: what is deeper is refused, and never runs out of stack. */
    private static final int DEEPEST = 128;

    public final Kind kind;
    /** Of a string, unescaped; of a number, as written. */
    public final String text;
    /** Of an array or object. */
    public final List<Json> items;
    /** Names of an object's members, beside the items. */
    public final List<String> names;
    /** Where it is in the document, in bytes. */
    public int offset;
    public int length;

    private Json(Kind kind, String text) {
        this.kind = kind;
        this.text = text;
        // Most values hold nothing, and two lists for each of them were most of the work.
        items = kind == Kind.ARRAY || kind == Kind.OBJECT ? new ArrayList<>() : Collections.emptyList();
        names = kind == Kind.OBJECT ? new ArrayList<>() : Collections.emptyList();
    }

    public static Json of(String text) {
        return new Json(Kind.STRING, text);
    }

    public static Json of(long number) {
        return new Json(Kind.NUMBER, Long.toString(number));
    }

    public static Json object() {
        return new Json(Kind.OBJECT, "");
    }

    public static Json array() {
        return new Json(Kind.ARRAY, "");
    }

    /** Adds a member to an object and gives the object on. */
    public Json put(String name, Json value) {
        names.add(name);
        items.add(value);
        return this;
    }

    public Json put(String name, String text) {
        return put(name, of(text));
    }

    /** Adds to an array and gives the array on. */
    public Json add(Json value) {
        items.add(value);
        return this;
    }

    /** A member of an object; null where there is none. Of two alike the last one counts. */
    public Json get(String name) {
        for (int at = names.size() - 1; at >= 0; at--) {
            if (names.get(at).equals(name)) {
                return items.get(at);
            }
        }
        return null;
    }

    /** The text of a member that is a string; an empty one where it is none. */
    public String textOf(String name) {
        Json found = get(name);
        return found != null && found.kind == Kind.STRING ? found.text : "";
    }

    /** The items of a member that is an array; none where it is none. */
    public List<Json> itemsOf(String name) {
        Json found = get(name);
        return found != null && found.kind == Kind.ARRAY ? found.items : new ArrayList<>();
    }

    /** The value of a whole number from 0 to 4294967295; -1 where it is none. */
    public long count() {
        if (kind != Kind.NUMBER || text.length() > 10) {
            return -1;
        }
        long value = 0;
        for (int at = 0; at < text.length(); at++) {
            int digit = text.charAt(at) - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            value = value * 10 + digit;
        }
        return value <= 0xffff_ffffL ? value : -1;
    }

    @Override
    public String toString() {
        StringBuilder out = new StringBuilder();
        write(out);
        return out.toString();
    }

    private void write(StringBuilder out) {
        switch (kind) {
            case NULL: out.append("null"); return;
            case FALSE: out.append("false"); return;
            case TRUE: out.append("true"); return;
            case NUMBER: out.append(text); return;
            case STRING: quote(text, out); return;
            default:
        }
        out.append(kind == Kind.ARRAY ? '[' : '{');
        for (int at = 0; at < items.size(); at++) {
            if (at > 0) {
                out.append(',');
            }
            if (kind == Kind.OBJECT) {
                quote(names.get(at), out);
                out.append(':');
            }
            items.get(at).write(out);
        }
        out.append(kind == Kind.ARRAY ? ']' : '}');
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int at = 0; at < text.length(); at++) {
            char unit = text.charAt(at);
            if (unit == '"' || unit == '\\') {
                out.append('\\').append(unit);
            } else if (unit < 0x20) {
                out.append(unit < 0x10 ? "\\u000" : "\\u00").append(Integer.toHexString(unit));
            } else {
                out.append(unit);
            }
        }
        out.append('"');
    }

    /** Reads one value that is all of the bytes, which must be UTF-8. */
    static final class Reader {
        private final byte[] bytes;
        private int depth;
        /** Where it stands: of what is no JSON, the place. */
        int at;

        Reader(byte[] bytes) {
            this.bytes = bytes;
        }

        /** Null where it is no JSON. */
        Json read() {
            Json value = value();
            if (value == null) {
                return null;
            }
            blanks();
            return at == bytes.length ? value : null;
        }

        private int peek() {
            return at < bytes.length ? bytes[at] & 0xff : -1;
        }

        private boolean takes(int mark) {
            if (peek() != mark) {
                return false;
            }
            at++;
            return true;
        }

        private void blanks() {
            while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t') {
                at++;
            }
        }

        private Json value() {
            blanks();
            int begin = at;
            Json value;
            switch (peek()) {
                case '{': value = holder(new Json(Kind.OBJECT, ""), '}'); break;
                case '[': value = holder(new Json(Kind.ARRAY, ""), ']'); break;
                case '"': value = string(); break;
                case 'n': value = word("null", Kind.NULL); break;
                case 't': value = word("true", Kind.TRUE); break;
                case 'f': value = word("false", Kind.FALSE); break;
                default: value = number();
            }
            if (value != null) {
                value.offset = begin;
                value.length = at - begin;
            }
            return value;
        }

        private Json word(String word, Kind kind) {
            for (int n = 0; n < word.length(); n++) {
                if (!takes(word.charAt(n))) {
                    return null;
                }
            }
            return new Json(kind, "");
        }

        private Json holder(Json value, int end) {
            if (++depth > DEEPEST) {
                return null;
            }
            at++;
            blanks();
            boolean first = true;
            while (!takes(end)) {
                if (!first && !takes(',')) {
                    return null;
                }
                first = false;
                if (value.kind == Kind.OBJECT) {
                    blanks();
                    Json name = peek() == '"' ? string() : null;
                    blanks();
                    if (name == null || !takes(':')) {
                        return null;
                    }
                    value.names.add(name.text);
                }
                Json item = value();
                if (item == null) {
                    return null;
                }
                value.items.add(item);
                blanks();
            }
            depth--;
            return value;
        }

        private Json string() {
            int from = ++at;
            StringBuilder parts = null;
            while (true) {
                int next = peek();
                if (next < 0x20) {
                    return null;
                }
                if (next == '"') {
                    break;
                }
                if (next != '\\') {
                    at++;
                    continue;
                }
                if (parts == null) {
                    parts = new StringBuilder();
                }
                parts.append(slice(from));
                at++;
                int unit = escape();
                if (unit < 0) {
                    return null;
                }
                parts.append((char) unit);
                from = at;
            }
            String last = slice(from);
            at++;
            return new Json(Kind.STRING, parts == null ? last : parts.append(last).toString());
        }

        private String slice(int from) {
            char[] letters = new char[at - from];
            for (int n = 0; n < letters.length; n++) {
                // A decoder is dear, and most texts are plain.
                if (bytes[from + n] < 0) {
                    return new String(bytes, from, at - from, StandardCharsets.UTF_8);
                }
                letters[n] = (char) bytes[from + n];
            }
            return new String(letters);
        }

        private int escape() {
            int mark = peek();
            at++;
            switch (mark) {
                case '"': case '\\': case '/': return mark;
                case 'b': return '\b';
                case 'f': return '\f';
                case 'n': return '\n';
                case 'r': return '\r';
                case 't': return '\t';
                case 'u': break;
                default: return -1;
            }
            int unit = 0;
            for (int n = 0; n < 4; n++, at++) {
                int digit = peek() < 0 ? -1 : Character.digit((char) peek(), 16);
                if (digit < 0 || peek() > 'f') {
                    return -1;
                }
                unit = unit * 16 + digit;
            }
            return unit;
        }

        private boolean digits() {
            int from = at;
            while (peek() >= '0' && peek() <= '9') {
                at++;
            }
            return at > from;
        }

        private Json number() {
            int from = at;
            takes('-');
            if (!takes('0') && !digits()) {
                return null;
            }
            if (takes('.') && !digits()) {
                return null;
            }
            if (takes('e') || takes('E')) {
                if (!takes('+')) {
                    takes('-');
                }
                if (!digits()) {
                    return null;
                }
            }
            return new Json(Kind.NUMBER, slice(from));
        }
    }

    /** The first byte that is no UTF-8; -1 where all is. */
    static int notUtf8(byte[] bytes) {
        int at = 0;
        while (at < bytes.length) {
            int first = bytes[at] & 0xff;
            int more;
            int least = 0x80;
            int most = 0xbf;
            if (first < 0x80) {
                at++;
                continue;
            } else if (first >= 0xc2 && first <= 0xdf) {
                more = 1;
            } else if (first >= 0xe0 && first <= 0xef) {
                more = 2;
                least = first == 0xe0 ? 0xa0 : least;
                most = first == 0xed ? 0x9f : most;
            } else if (first >= 0xf0 && first <= 0xf4) {
                more = 3;
                least = first == 0xf0 ? 0x90 : least;
                most = first == 0xf4 ? 0x8f : most;
            } else {
                return at;
            }
            for (int n = 1; n <= more; n++) {
                int next = at + n < bytes.length ? bytes[at + n] & 0xff : -1;
                if (next < least || next > most) {
                    return at;
                }
                least = 0x80;
                most = 0xbf;
            }
            at += more + 1;
        }
        return -1;
    }
}
