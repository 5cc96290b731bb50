// The mapper's side of the contract: events, diagnostics, tables, and the exports that a mapper leaves out.

#include "crossdock.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void *cd_alloc(size_t bytes) {
    void *block = malloc(bytes ? bytes : 1);
    if (!block) __builtin_trap();
    return memset(block, 0, bytes);
}

// Room for one more in a list: doubled at powers of two, so that the list itself need not remember its room.
static void *grow(void *list, size_t length, size_t size) {
    if (length & (length - 1)) return list;
    void *larger = realloc(list, (length ? 2 * length : 1) * size);
    if (!larger) __builtin_trap();
    return larger;
}

cd_text cd_text_of(const char *zero_ended) {
    return (cd_text){(uint8_t *)zero_ended, strlen(zero_ended)};
}

bool cd_is(cd_text text, const char *zero_ended) {
    return text.len == strlen(zero_ended) && !memcmp(text.ptr, zero_ended, text.len);
}

bool cd_has_byte(cd_text text, char byte) {
    return text.len && memchr(text.ptr, byte, text.len);
}

cd_text cd_join(const cd_text *first, ...) {
    va_list each;
    size_t length = 0;
    va_start(each, first);
    for (const cd_text *text = first; text; text = va_arg(each, const cd_text *)) length += text->len;
    va_end(each);
    cd_text joined = {cd_alloc(length), 0};
    va_start(each, first);
    for (const cd_text *text = first; text; text = va_arg(each, const cd_text *)) {
        if (text->len) memcpy(joined.ptr + joined.len, text->ptr, text->len);
        joined.len += text->len;
    }
    va_end(each);
    return joined;
}

cd_text cd_decimal_of(long long number) {
    uint8_t digits[24];
    size_t at = sizeof digits;
    unsigned long long left = number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    do digits[--at] = (uint8_t)('0' + left % 10); while (left /= 10);
    if (number < 0) digits[--at] = '-';
    cd_text text = {cd_alloc(sizeof digits - at), sizeof digits - at};
    memcpy(text.ptr, digits + at, text.len);
    return text;
}

void cd_add_pair(cd_pairs *pairs, const char *name, cd_text value) {
    pairs->ptr = grow(pairs->ptr, pairs->len, sizeof *pairs->ptr);
    pairs->ptr[pairs->len++] = (crossdock_mapper_types_pair_t){cd_text_of(name), value};
}

cd_event *cd_add_event(cd_mapped *mapped, const char *kind, cd_text data) {
    mapped->events.ptr = grow(mapped->events.ptr, mapped->events.len, sizeof(cd_event));
    cd_event *event = &mapped->events.ptr[mapped->events.len++];
    *event = (cd_event){.kind = cd_text_of(kind), .schema_version = CD("1.0"), .data = {data.ptr, data.len}};
    return event;
}

void cd_occurred_at(cd_event *event, cd_text time) {
    event->occurred_at = (mapper_option_string_t){time.len > 0, time};
}

static cd_diagnostic *add(cd_diagnostic **list, size_t *length, uint8_t severity, const char *code, cd_text message) {
    *list = grow(*list, *length, sizeof **list);
    cd_diagnostic *diagnostic = &(*list)[(*length)++];
    *diagnostic = (cd_diagnostic){.severity = severity, .code = cd_text_of(code), .message = message};
    return diagnostic;
}

cd_diagnostic *cd_error(cd_refusal *refusal, const char *code, cd_text message) {
    return add(&refusal->ptr, &refusal->len, CROSSDOCK_MAPPER_TYPES_SEVERITY_ERROR, code, message);
}

cd_diagnostic *cd_warning(cd_mapped *mapped, const char *code, cd_text message) {
    return add(&mapped->diagnostics.ptr, &mapped->diagnostics.len, CROSSDOCK_MAPPER_TYPES_SEVERITY_WARNING, code, message);
}

bool cd_refuse(cd_refusal *refusal, const char *code, cd_text message, cd_text json_pointer) {
    cd_at(cd_error(refusal, code, message), "json-pointer", json_pointer);
    return false;
}

void cd_at(cd_diagnostic *diagnostic, const char *scheme, cd_text path) {
    diagnostic->at.is_some = true;
    diagnostic->at.val.scheme = cd_text_of(scheme);
    diagnostic->at.val.path = path;
}

void cd_at_bytes(cd_diagnostic *diagnostic, size_t offset, size_t length) {
    if (!diagnostic->at.is_some) cd_at(diagnostic, "bytes", cd_decimal_of((long long)offset));
    diagnostic->at.val.offset = (mapper_option_u32_t){true, (uint32_t)offset};
    diagnostic->at.val.length = (mapper_option_u32_t){true, (uint32_t)length};
}

cd_text cd_lookup(const char *table, cd_text key, const char *column) {
    cd_text name = cd_text_of(table);
    mapper_list_string_t keys = {&key, 1};
    crossdock_mapper_tables_list_pair_t row = {0};
    if (crossdock_mapper_tables_lookup(&name, &keys, &row))
        for (size_t i = 0; i < row.len; i++)
            if (cd_is(row.ptr[i].f0, column)) return row.ptr[i].f1;
    return (cd_text){0};
}

void cd_log(cd_text message) {
    crossdock_mapper_log_write(CROSSDOCK_MAPPER_TYPES_SEVERITY_INFO, &message);
}

static bool unsupported(cd_refusal *refusal, const char *message) {
    cd_error(refusal, "unsupported", cd_text_of(message));
    return false;
}

// What a mapper leaves out is taken from here.
__attribute__((weak)) bool cd_to_canonical(const cd_context *c, const cd_document *d, cd_mapped *m, cd_refusal *refusal) {
    (void)c, (void)d, (void)m;
    return unsupported(refusal, "this mapper reads no documents");
}

__attribute__((weak)) bool cd_from_canonical(const cd_context *c, const cd_recorded_list *e, cd_document *d, cd_refusal *refusal) {
    (void)c, (void)e, (void)d;
    return unsupported(refusal, "this mapper writes no documents");
}

__attribute__((weak)) bool cd_acknowledge(const cd_context *c, const cd_outcome_list *o, mapper_option_document_t *d, cd_refusal *refusal) {
    (void)c, (void)o, (void)d;
    return unsupported(refusal, "this mapper writes no acknowledgements");
}

// What the bindings call: the same with results that are empty to begin with.
bool exports_mapper_to_canonical(mapper_context_t *context, mapper_document_t *document, mapper_mapped_t *mapped, mapper_list_diagnostic_t *refusal) {
    memset(mapped, 0, sizeof *mapped);
    memset(refusal, 0, sizeof *refusal);
    return cd_to_canonical(context, document, mapped, refusal);
}

bool exports_mapper_from_canonical(mapper_context_t *context, mapper_list_recorded_event_t *events, mapper_document_t *document, mapper_list_diagnostic_t *refusal) {
    memset(document, 0, sizeof *document);
    memset(refusal, 0, sizeof *refusal);
    return cd_from_canonical(context, events, document, refusal);
}

bool exports_mapper_acknowledge(mapper_context_t *context, mapper_list_outcome_t *outcomes, mapper_option_document_t *document, mapper_list_diagnostic_t *refusal) {
    memset(document, 0, sizeof *document);
    memset(refusal, 0, sizeof *refusal);
    return cd_acknowledge(context, outcomes, document, refusal);
}

// The bindings ask for an object file with the contract's type; `crossdock plugin build` writes the type itself.
void __component_type_object_force_link_mapper(void) {}
