// Write a mapper in C: what turns a vendor's documents into canonical events, and events into documents.
//
//     #include "crossdock.h"
//
//     bool cd_to_canonical(const cd_context *context, const cd_document *document, cd_mapped *mapped,
//                          cd_refusal *refusal) {
//         const cd_json *in = cd_document_json(document, refusal);
//         if (!in) return false;
//         cd_text shipment = cd_string(cd_member(in, "shipmentId"));
//         cd_writer data = {0};
//         cd_begin_object(&data);
//         cd_put_string(&data, "shipment", shipment);
//         cd_end_object(&data);
//         cd_event *event = cd_add_event(mapped, "shipment.dispatched", cd_written(&data));
//         cd_add_pair(&event->natural_key, "shipment", shipment);
//         cd_add_pair(&event->order_keys, "shipment", shipment);
//         return true;
//     }
//
// A mapper is a pure function: no clock, no randomness, no network, no memory of the message before. Its instance
// lives for one message, so nothing is ever freed. A direction that it leaves out answers `unsupported`.

#ifndef CROSSDOCK_H
#define CROSSDOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated/mapper.h"

// Texts: UTF-8 with a length, never ended by a zero. `ptr` and `len` are their members.
typedef mapper_string_t cd_text;
#define CD(literal) ((cd_text){(uint8_t *)(literal), sizeof(literal) - 1})
cd_text cd_text_of(const char *zero_ended);
bool cd_is(cd_text text, const char *zero_ended);
bool cd_has_byte(cd_text text, char byte);
// The texts one after the other; the last argument is NULL, the others are pointers to texts.
cd_text cd_join(const cd_text *first, ...);
cd_text cd_decimal_of(long long number);
// Memory for as long as the message lasts; it traps where the limit is reached.
void *cd_alloc(size_t bytes);

// What the gateway hands over and takes. Their members are in generated/mapper.h.
typedef mapper_context_t cd_context;
typedef mapper_document_t cd_document;
typedef mapper_recorded_event_t cd_recorded;
typedef mapper_list_recorded_event_t cd_recorded_list;
typedef mapper_list_outcome_t cd_outcome_list;
typedef mapper_mapped_t cd_mapped;
typedef crossdock_mapper_types_event_t cd_event;
typedef crossdock_mapper_types_list_pair_t cd_pairs;
typedef mapper_diagnostic_t cd_diagnostic;
// Why a document is not accepted: a list of diagnostics, each with its place.
typedef mapper_list_diagnostic_t cd_refusal;

// What a mapper offers. Each answers true and fills in the result, or false and fills in the refusal.
bool cd_to_canonical(const cd_context *context, const cd_document *document, cd_mapped *mapped, cd_refusal *refusal);
bool cd_from_canonical(const cd_context *context, const cd_recorded_list *events, cd_document *document, cd_refusal *refusal);
// Leaves `document->is_some` false where the format has no acknowledgement.
bool cd_acknowledge(const cd_context *context, const cd_outcome_list *outcomes, mapper_option_document_t *document, cd_refusal *refusal);

// Events. The data is JSON by the schema of its kind.
cd_event *cd_add_event(cd_mapped *mapped, const char *kind, cd_text data);
void cd_add_pair(cd_pairs *pairs, const char *name, cd_text value);
void cd_occurred_at(cd_event *event, cd_text time);

// Diagnostics. `cd_refuse` adds an error and answers false, so that `return cd_refuse(…)` ends a mapper.
cd_diagnostic *cd_error(cd_refusal *refusal, const char *code, cd_text message);
cd_diagnostic *cd_warning(cd_mapped *mapped, const char *code, cd_text message);
bool cd_refuse(cd_refusal *refusal, const char *code, cd_text message, cd_text json_pointer);
// A place in the sender's document; schemes are json-pointer, xpath, x12, edifact, csv and bytes.
void cd_at(cd_diagnostic *diagnostic, const char *scheme, cd_text path);
void cd_at_bytes(cd_diagnostic *diagnostic, size_t offset, size_t length);

// The row of a table that the operation grants, one column of it; an empty text where there is none.
cd_text cd_lookup(const char *table, cd_text key, const char *column);
// A line in the gateway's log of this message; 4 KiB of them are kept.
void cd_log(cd_text message);

// JSON, read. A number keeps the text that it was written with, so no decimal loses a digit.
typedef enum { CD_NULL, CD_FALSE, CD_TRUE, CD_NUMBER, CD_STRING, CD_ARRAY, CD_OBJECT } cd_kind;
typedef struct cd_json {
    cd_kind kind;
    cd_text key;             // its name, where it is a member
    cd_text text;            // of a string, unescaped; of a number, as written
    size_t offset, length;   // where it is in the document
    struct cd_json *first;   // of an array or object
    struct cd_json *next;    // its neighbour
} cd_json;
// NULL where it is no JSON; `offset` then says where.
const cd_json *cd_read_json(const uint8_t *content, size_t length, size_t *offset);
// The same of a document or an event's data, refused as `not-understood` where it is none.
const cd_json *cd_document_json(const cd_document *document, cd_refusal *refusal);
const cd_json *cd_event_json(const cd_recorded *event, cd_refusal *refusal);
// A member of an object, or NULL; NULL goes in as well, so that the way down may be written in one line.
const cd_json *cd_member(const cd_json *object, const char *name);
// The text of a string, else an empty one.
cd_text cd_string(const cd_json *value);
// A whole number from 0 to 4294967295.
bool cd_count(const cd_json *value, uint32_t *count);
// Refuses with `not-understood` at the value, or at the JSON Pointer where there is none.
bool cd_not_understood(cd_refusal *refusal, const cd_json *value, cd_text message, cd_text json_pointer);

// JSON, written. Inside an object every value has a name, inside an array it is NULL.
typedef struct { uint8_t *at; size_t length, room; bool begun; } cd_writer;
void cd_begin_object(cd_writer *writer);
void cd_begin_object_in(cd_writer *writer, const char *name);
void cd_end_object(cd_writer *writer);
void cd_begin_array_in(cd_writer *writer, const char *name);
void cd_end_array(cd_writer *writer);
void cd_put_string(cd_writer *writer, const char *name, cd_text value);
// JSON that is written already: a number of the document, true, null.
void cd_put_raw(cd_writer *writer, const char *name, cd_text json);
cd_text cd_written(const cd_writer *writer);

// Parts of the canonical model.
// Do the digits end in the check digit that GS1 (GTIN, GLN, SSCC) asks for?
bool cd_check_gs1(cd_text digits);
// {scheme, value, check} into an array of identifiers.
void cd_put_gtin(cd_writer *writer, cd_text gtin);
// {value} of a quantity whose unit the document does not name.
void cd_put_quantity(cd_writer *writer, const char *name, cd_text value);
// Is it a time in the form of RFC 3339, with an offset, without one, or a day alone?
bool cd_is_time(cd_text text);
// A time of the document: a moment where it states its offset, else local, in the zone if the policy knows it. The answer
// is the same as text, for the event's `occurred_at`. Hold it against `cd_is_time` first, and refuse what is none with
// `cd_not_a_time`: nothing is made up for it.
cd_text cd_put_time(cd_writer *writer, const char *name, cd_text time, const mapper_option_string_t *zone);
bool cd_not_a_time(cd_refusal *refusal, cd_text json_pointer);

#endif
