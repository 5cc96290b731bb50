// JSON, read into a tree and written into a buffer; and the parts of the canonical model that mappers write most.

#include <stdlib.h>
#include <string.h>

#include "crossdock.h"

// As deep as the gateway's own limit.
#define DEPTH 64

typedef struct {
    const uint8_t *begin, *at, *end;
} reader;

static void skip_space(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static int hex(reader *r) {
    int value = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        if (r->at == r->end) return -1;
        uint8_t c = *r->at, low = c | 0x20;
        if (c >= '0' && c <= '9') value = value * 16 + (c - '0');
        else if (low >= 'a' && low <= 'f') value = value * 16 + (low - 'a' + 10);
        else return -1;
    }
    return value;
}

static uint8_t *put_utf8(uint8_t *to, unsigned c) {
    if (c < 0x80) {
        *to++ = (uint8_t)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    *to++ = (uint8_t)((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | c >> 6 * more);
    while (more--) *to++ = (uint8_t)(0x80 | (c >> 6 * more & 0x3F));
    return to;
}

// One character of UTF-8 as it stands, checked; 0 if it is none.
static size_t utf8_length(const uint8_t *at, const uint8_t *end) {
    uint8_t c = *at;
    size_t length = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    if (!length || (size_t)(end - at) < length) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    // Overlong forms, surrogates and what lies past the last character.
    if ((c == 0xE0 && at[1] < 0xA0) || (c == 0xED && at[1] > 0x9F) || (c == 0xF0 && at[1] < 0x90) || (c == 0xF4 && at[1] > 0x8F))
        return 0;
    return length;
}

static bool read_escape(reader *r, uint8_t **to) {
    if (r->at == r->end) return false;
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    uint8_t c = *r->at++;
    if (c != 'u') {
        const char *known = c ? strchr(names, c) : NULL;
        if (!known) return false;
        *(*to)++ = (uint8_t)means[known - names];
        return true;
    }
    int high = hex(r);
    if (high < 0 || (high >= 0xDC00 && high < 0xE000)) return false;
    unsigned character = (unsigned)high;
    if (high >= 0xD800 && high < 0xDC00) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u') return false;
        r->at += 2;
        int low = hex(r);
        if (low < 0xDC00 || low >= 0xE000) return false;
        character = 0x10000 + (((unsigned)high - 0xD800) << 10) + ((unsigned)low - 0xDC00);
    }
    *to = put_utf8(*to, character);
    return true;
}

static bool read_string(reader *r, cd_text *text) {
    const uint8_t *close = ++r->at;
    while (close < r->end && *close != '"') close += *close == '\\' ? 2 : 1;
    if (close >= r->end) {
        r->at = r->end;
        return false;
    }
    // Unescaped it is never longer.
    uint8_t *to = cd_alloc((size_t)(close - r->at));
    *text = (cd_text){to, 0};
    while (r->at < close) {
        if (*r->at == '\\') {
            r->at++;
            if (!read_escape(r, &to)) return false;
            continue;
        }
        size_t length = *r->at < 0x20 ? 0 : utf8_length(r->at, close);
        if (!length) return false;
        memcpy(to, r->at, length);
        to += length, r->at += length;
    }
    text->len = (size_t)(to - text->ptr);
    r->at++;
    return true;
}

static bool digits(reader *r) {
    const uint8_t *begin = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
    return r->at > begin;
}

static bool read_number(reader *r, cd_text *text) {
    const uint8_t *begin = r->at;
    if (*r->at == '-') r->at++;
    if (r->at < r->end && *r->at == '0') r->at++;
    else if (!digits(r)) return false;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (!digits(r)) return false;
    }
    if (r->at < r->end && (*r->at | 0x20) == 'e') {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
        if (!digits(r)) return false;
    }
    *text = (cd_text){(uint8_t *)begin, (size_t)(r->at - begin)};
    return true;
}

static bool read_word(reader *r, const char *word) {
    for (; *word; word++, r->at++)
        if (r->at == r->end || *r->at != (uint8_t)*word) return false;
    return true;
}

static cd_json *read_value(reader *r, int depth);

static bool read_children(reader *r, cd_json *parent, int depth) {
    bool object = parent->kind == CD_OBJECT;
    cd_json **tail = &parent->first;
    uint8_t close = object ? '}' : ']';
    r->at++;
    skip_space(r);
    if (r->at < r->end && *r->at == close) {
        r->at++;
        return true;
    }
    for (;;) {
        cd_text key = {0};
        if (object) {
            skip_space(r);
            if (r->at == r->end || *r->at != '"' || !read_string(r, &key)) return false;
            skip_space(r);
            if (r->at == r->end || *r->at != ':') return false;
            r->at++;
        }
        cd_json *child = read_value(r, depth);
        if (!child) return false;
        child->key = key;
        *tail = child;
        tail = &child->next;
        skip_space(r);
        if (r->at == r->end) return false;
        if (*r->at == close) {
            r->at++;
            return true;
        }
        if (*r->at != ',') return false;
        r->at++;
    }
}

static cd_json *read_value(reader *r, int depth) {
    skip_space(r);
    if (r->at == r->end || depth == 0) return NULL;
    const uint8_t *begin = r->at;
    cd_json *value = cd_alloc(sizeof *value);
    bool fine;
    switch (*begin) {
        case '{': value->kind = CD_OBJECT; fine = read_children(r, value, depth - 1); break;
        case '[': value->kind = CD_ARRAY; fine = read_children(r, value, depth - 1); break;
        case '"': value->kind = CD_STRING; fine = read_string(r, &value->text); break;
        case 't': value->kind = CD_TRUE; fine = read_word(r, "true"); break;
        case 'f': value->kind = CD_FALSE; fine = read_word(r, "false"); break;
        case 'n': value->kind = CD_NULL; fine = read_word(r, "null"); break;
        default: value->kind = CD_NUMBER; fine = read_number(r, &value->text);
    }
    value->offset = (size_t)(begin - r->begin);
    value->length = (size_t)(r->at - begin);
    return fine ? value : NULL;
}

const cd_json *cd_read_json(const uint8_t *content, size_t length, size_t *offset) {
    reader r = {content, content, content + length};
    cd_json *value = read_value(&r, DEPTH);
    skip_space(&r);
    *offset = (size_t)(r.at - content);
    return value && r.at == r.end ? value : NULL;
}

static const cd_json *understood(const uint8_t *content, size_t length, cd_refusal *refusal) {
    size_t offset;
    const cd_json *value = cd_read_json(content, length, &offset);
    if (!value) cd_at_bytes(cd_error(refusal, "not-understood", CD("this is no JSON from here on")), offset, offset < length);
    return value;
}

const cd_json *cd_document_json(const cd_document *document, cd_refusal *refusal) {
    return understood(document->content.ptr, document->content.len, refusal);
}

const cd_json *cd_event_json(const cd_recorded *event, cd_refusal *refusal) {
    return understood(event->event.data.ptr, event->event.data.len, refusal);
}

const cd_json *cd_member(const cd_json *object, const char *name) {
    if (!object || object->kind != CD_OBJECT) return NULL;
    for (const cd_json *member = object->first; member; member = member->next)
        if (cd_is(member->key, name)) return member;
    return NULL;
}

cd_text cd_string(const cd_json *value) {
    return value && value->kind == CD_STRING ? value->text : (cd_text){0};
}

bool cd_count(const cd_json *value, uint32_t *count) {
    if (!value || value->kind != CD_NUMBER || value->text.len > 10) return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < value->text.len; i++) {
        uint8_t c = value->text.ptr[i];
        if (c < '0' || c > '9') return false;
        sum = sum * 10 + (c - '0');
    }
    *count = (uint32_t)sum;
    return sum <= UINT32_MAX;
}

bool cd_not_understood(cd_refusal *refusal, const cd_json *value, cd_text message, cd_text json_pointer) {
    cd_diagnostic *diagnostic = cd_error(refusal, "not-understood", message);
    cd_at(diagnostic, "json-pointer", json_pointer);
    if (value) cd_at_bytes(diagnostic, value->offset, value->length);
    return false;
}

static void put(cd_writer *w, const void *bytes, size_t length) {
    if (w->room - w->length < length) {
        w->room = 2 * (w->length + length) + 256;
        w->at = realloc(w->at, w->room);
        if (!w->at) __builtin_trap();
    }
    if (length) memcpy(w->at + w->length, bytes, length);
    w->length += length;
}

static void put_text(cd_writer *w, cd_text text) {
    put(w, "\"", 1);
    for (size_t i = 0, from = 0; i <= text.len; i++) {
        uint8_t c = i < text.len ? text.ptr[i] : '"';
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        put(w, text.ptr + from, i - from);
        from = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4 & 15], "0123456789abcdef"[c & 15]};
        if (i == text.len) put(w, "\"", 1);
        else if (c >= 0x20) put(w, (char[]){'\\', (char)c}, 2);
        else put(w, escape, sizeof escape);
    }
}

// The comma before a value, and its name.
static void begin(cd_writer *w, const char *name) {
    if (w->begun) put(w, ",", 1);
    if (name) put_text(w, cd_text_of(name)), put(w, ":", 1);
    w->begun = true;
}

static void open(cd_writer *w, const char *name, const char *bracket) {
    begin(w, name);
    put(w, bracket, 1);
    w->begun = false;
}

static void shut(cd_writer *w, const char *bracket) {
    put(w, bracket, 1);
    w->begun = true;
}

void cd_begin_object(cd_writer *writer) { open(writer, NULL, "{"); }
void cd_begin_object_in(cd_writer *writer, const char *name) { open(writer, name, "{"); }
void cd_end_object(cd_writer *writer) { shut(writer, "}"); }
void cd_begin_array_in(cd_writer *writer, const char *name) { open(writer, name, "["); }
void cd_end_array(cd_writer *writer) { shut(writer, "]"); }

void cd_put_string(cd_writer *writer, const char *name, cd_text value) {
    begin(writer, name);
    put_text(writer, value);
}

void cd_put_raw(cd_writer *writer, const char *name, cd_text json) {
    begin(writer, name);
    put(writer, json.ptr, json.len);
}

cd_text cd_written(const cd_writer *writer) { return (cd_text){writer->at, writer->length}; }

bool cd_check_gs1(cd_text digits) {
    if (digits.len < 2 || digits.len > 64) return false;
    unsigned sum = 0;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = digits.ptr[digits.len - 1 - i];
        if (c < '0' || c > '9') return false;
        sum += (unsigned)(c - '0') * (i % 2 ? 3 : 1);
    }
    return sum % 10 == 0;
}

void cd_put_gtin(cd_writer *writer, cd_text gtin) {
    cd_begin_object(writer);
    cd_put_string(writer, "scheme", CD("gtin"));
    cd_put_string(writer, "value", gtin);
    cd_put_string(writer, "check", cd_check_gs1(gtin) ? CD("valid") : CD("invalid"));
    cd_end_object(writer);
}

void cd_put_quantity(cd_writer *writer, const char *name, cd_text value) {
    cd_begin_object_in(writer, name);
    cd_put_string(writer, "value", value);
    cd_end_object(writer);
}

// Takes a number of so many digits from the front of the text.
static bool take_number(cd_text *text, size_t digits, unsigned most, unsigned *number) {
    if (text->len < digits) return false;
    *number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9') return false;
        *number = *number * 10 + (text->ptr[i] - '0');
    }
    text->ptr += digits;
    text->len -= digits;
    return *number <= most;
}

static bool take_mark(cd_text *text, char mark) {
    if (!text->len || text->ptr[0] != (uint8_t)mark) return false;
    text->ptr++;
    text->len--;
    return true;
}

static bool take_marked(cd_text *text, char mark, unsigned most, unsigned *number) {
    return take_mark(text, mark) && take_number(text, 2, most, number);
}

static unsigned days(unsigned year, unsigned month) {
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2) return leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool cd_is_time(cd_text text) {
    unsigned year, month, day, part;
    if (!take_number(&text, 4, 9999, &year) || !take_marked(&text, '-', 12, &month) || !take_marked(&text, '-', 31, &day)) return false;
    if (!month || !day || day > days(year, month)) return false;
    if (!text.len) return true;
    if (!take_marked(&text, 'T', 23, &part) || !take_marked(&text, ':', 59, &part) || !take_marked(&text, ':', 59, &part)) return false;
    if (take_mark(&text, '.')) {
        size_t digits = 0;
        while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') digits++;
        if (digits < 1 || digits > 9) return false;
        text.ptr += digits;
        text.len -= digits;
    }
    if (!text.len || (text.len == 1 && text.ptr[0] == 'Z')) return true;
    if (!take_mark(&text, '+') && !take_mark(&text, '-')) return false;
    return take_number(&text, 2, 23, &part) && take_marked(&text, ':', 59, &part) && !text.len;
}

bool cd_not_a_time(cd_refusal *refusal, cd_text json_pointer) {
    return cd_refuse(refusal, "not-a-time", CD("a time is needed, as in 2026-11-20T14:05:00+01:00"), json_pointer);
}

cd_text cd_put_time(cd_writer *writer, const char *name, cd_text time, const mapper_option_string_t *zone) {
    const uint8_t *t = time.len ? memchr(time.ptr, 'T', time.len) : NULL;
    cd_text clock = t ? (cd_text){(uint8_t *)t, (size_t)(time.ptr + time.len - t)} : (cd_text){0};
    bool moment = cd_has_byte(clock, 'Z') || cd_has_byte(clock, '+') || cd_has_byte(clock, '-');
    bool zoned = !moment && zone->is_some && zone->val.len;
    cd_begin_object_in(writer, name);
    cd_put_string(writer, moment ? "at" : "local", time);
    if (zoned) cd_put_string(writer, "zone", zone->val);
    cd_put_string(writer, "basis", moment ? CD("offset") : CD("local"));
    cd_put_string(writer, "classifier", CD("actual"));
    cd_end_object(writer);
    return zoned && t ? cd_join(&time, &CD("["), &zone->val, &CD("]"), NULL) : time;
}
