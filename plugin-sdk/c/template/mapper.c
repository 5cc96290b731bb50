// Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
// Replace the two formats by yours; the cases in cases/ say what is expected.

#include "sdk/crossdock.h"

// The place of a member of a line, as JSON Pointer.
static cd_text line_place(const char *list, uint32_t index, const char *member) {
    cd_text begin = cd_text_of(list), number = cd_decimal_of(index), end = cd_text_of(member);
    return cd_join(&begin, &number, &end, NULL);
}

static bool line(cd_writer *data, const cd_json *item, uint32_t index, cd_refusal *refusal) {
    const cd_json *gtin = cd_member(item, "gtin");
    uint32_t ordered, shipped;
    if (!gtin || gtin->kind != CD_STRING)
        return cd_not_understood(refusal, gtin, CD("a text is needed"), line_place("/items/", index, "/gtin"));
    if (!cd_count(cd_member(item, "ordered"), &ordered))
        return cd_not_understood(refusal, cd_member(item, "ordered"), CD("a count is needed"), line_place("/items/", index, "/ordered"));
    if (!cd_count(cd_member(item, "shipped"), &shipped))
        return cd_not_understood(refusal, cd_member(item, "shipped"), CD("a count is needed"), line_place("/items/", index, "/shipped"));
    cd_begin_object(data);
    cd_put_string(data, "number", cd_decimal_of((long long)index + 1));
    cd_begin_object_in(data, "item");
    cd_begin_array_in(data, "identifiers");
    cd_put_gtin(data, gtin->text);
    cd_end_array(data);
    cd_end_object(data);
    // The document names no unit, so none is invented.
    cd_put_quantity(data, "ordered", cd_decimal_of(ordered));
    cd_put_quantity(data, "shipped", cd_decimal_of(shipped));
    cd_put_string(data, "status", shipped < ordered ? CD("short") : shipped == ordered ? CD("complete") : CD("over"));
    cd_end_object(data);
    return true;
}

bool cd_to_canonical(const cd_context *context, const cd_document *document, cd_mapped *mapped, cd_refusal *refusal) {
    const cd_json *in = cd_document_json(document, refusal);
    if (!in) return false;
    static const char *const names[] = {"shipmentId", "orderId", "shippedAt"};
    cd_text texts[3];
    for (int i = 0; i < 3; i++) {
        const cd_json *value = cd_member(in, names[i]);
        cd_text slash = CD("/"), name = cd_text_of(names[i]);
        if (!value || value->kind != CD_STRING)
            return cd_not_understood(refusal, value, CD("a text is needed"), cd_join(&slash, &name, NULL));
        texts[i] = value->text;
    }
    const cd_json *items = cd_member(in, "items");
    if (!items || items->kind != CD_ARRAY)
        return cd_not_understood(refusal, items, CD("a list is needed"), CD("/items"));
    // An identifier that is not there makes no natural key, and a guess would be worse.
    cd_text shipment = texts[0], order = texts[1];
    if (!shipment.len) return cd_refuse(refusal, "missing", CD("the shipment has no number"), CD("/shipmentId"));

    if (!cd_is_time(texts[2])) return cd_not_a_time(refusal, CD("/shippedAt"));

    cd_writer data = {0};
    cd_begin_object(&data);
    cd_put_string(&data, "shipment", shipment);
    cd_begin_array_in(&data, "references");
    cd_begin_object(&data);
    cd_put_string(&data, "kind", CD("order"));
    cd_put_string(&data, "value", order);
    cd_end_object(&data);
    cd_end_array(&data);
    cd_text dispatched = cd_put_time(&data, "dispatched", texts[2], &context->zone);
    if (items->first) {
        cd_begin_array_in(&data, "lines");
        uint32_t index = 0;
        for (const cd_json *item = items->first; item; item = item->next)
            if (!line(&data, item, index++, refusal)) return false;
        cd_end_array(&data);
    }
    cd_end_object(&data);

    cd_event *event = cd_add_event(mapped, "shipment.dispatched", cd_written(&data));
    cd_add_pair(&event->natural_key, "shipment", shipment);
    cd_add_pair(&event->order_keys, "order", order);
    cd_occurred_at(event, dispatched);
    return true;
}

// The value of a line's GTIN, or an empty text.
static cd_text gtin_of(const cd_json *line) {
    const cd_json *identifiers = cd_member(cd_member(line, "item"), "identifiers");
    for (const cd_json *each = identifiers ? identifiers->first : NULL; each; each = each->next)
        if (cd_is(cd_string(cd_member(each, "scheme")), "gtin")) return cd_string(cd_member(each, "value"));
    return (cd_text){0};
}

bool cd_from_canonical(const cd_context *context, const cd_recorded_list *events, cd_document *document, cd_refusal *refusal) {
    (void)context;
    if (events->len != 1 || !cd_is(events->ptr[0].event.kind, "order.released")) {
        cd_error(refusal, "one-event", CD("a release is made of one order.released"));
        return false;
    }
    const cd_json *order = cd_event_json(&events->ptr[0], refusal);
    if (!order) return false;
    cd_text number = cd_string(cd_member(order, "order"));
    cd_writer out = {0};
    cd_begin_object(&out);
    cd_put_string(&out, "orderId", number);
    cd_begin_array_in(&out, "items");
    const cd_json *lines = cd_member(order, "lines");
    uint32_t index = 0;
    for (const cd_json *line = lines ? lines->first : NULL; line; line = line->next, index++) {
        cd_text gtin = gtin_of(line), ordered = cd_string(cd_member(cd_member(line, "ordered"), "value"));
        if (!gtin.len) return cd_refuse(refusal, "missing", CD("the line has no GTIN"), line_place("/lines/", index, ""));
        if (!ordered.len) return cd_refuse(refusal, "missing", CD("the line has no quantity"), line_place("/lines/", index, ""));
        cd_begin_object(&out);
        cd_put_string(&out, "gtin", gtin);
        cd_put_string(&out, "quantity", ordered);
        cd_end_object(&out);
    }
    cd_end_array(&out);
    cd_end_object(&out);
    cd_text written = cd_written(&out);
    document->media_type = CD("application/json");
    document->content = (mapper_list_u8_t){written.ptr, written.len};
    cd_add_pair(&document->parameters, "order", number);
    return true;
}
