// Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
// Replace the two formats by yours; the cases in cases/ say what is expected.

import {
  Context, Document, Event, Json, Mapped, Mapper, Output, Recorded, Refusal, at, because, gtin, quantity, run, time,
} from "./sdk/crossdock";

class Warehouse extends Mapper {
  toCanonical(context: Context, document: Document): Mapped {
    const confirmation = document.json();
    const shipment = text(confirmation, "shipmentId", "");
    const order = text(confirmation, "orderId", "");
    const shipped = text(confirmation, "shippedAt", "");
    const items = confirmation.get("items");
    if (items == null || !items.isArray) throw new Refusal(because("not-understood", "a list is needed", at("/items")));
    // An identifier that is not there makes no natural key, and a guess would be worse.
    if (!shipment) throw new Refusal(because("missing", "the shipment has no number", at("/shipmentId")));
    const dispatched = time(shipped, context.zone, at("/shippedAt"));
    const reference = Json.object().putText("kind", "order").putText("value", order);
    const data = Json.object().putText("shipment", shipment).put("references", Json.array([reference]));
    data.put("dispatched", dispatched.toJson());
    if (items.items.length) data.put("lines", Json.array(items.items.map<Json>((item, index) => line(item, index))));
    const event = new Event("shipment.dispatched", data).naturalKey("shipment", shipment);
    return new Mapped([event.orderKey("order", order).occurredAt(dispatched)]);
  }

  fromCanonical(context: Context, events: Recorded[]): Output {
    if (events.length != 1 || events[0].kind != "order.released") {
      throw new Refusal(because("one-event", "a release is made of one order.released"));
    }
    const order = events[0].data;
    const number = order.textOf("order");
    const lines = order.get("lines");
    const items = lines == null ? Json.array() : Json.array(lines.items.map<Json>((line, index) => wanted(line, index)));
    const release = Json.object().putText("orderId", number).put("items", items);
    return new Output("application/json", release.toString()).parameter("order", number);
  }
}

run(new Warehouse());

function line(item: Json, index: i32): Json {
  const place = `/items/${index}`;
  const identifiers = Json.array([gtin(text(item, "gtin", place))]);
  const ordered = count(item, "ordered", place);
  const shipped = count(item, "shipped", place);
  return Json.object()
    .putText("number", (index + 1).toString())
    .put("item", Json.object().put("identifiers", identifiers))
    // The document names no unit, so none is invented.
    .put("ordered", quantity(ordered.toString()))
    .put("shipped", quantity(shipped.toString()))
    .putText("status", shipped < ordered ? "short" : shipped == ordered ? "complete" : "over");
}

function wanted(line: Json, index: i32): Json {
  const number = gtinOf(line.get("item"));
  if (!number) throw new Refusal(because("missing", "the line has no GTIN", at(`/lines/${index}`)));
  const ordered = line.get("ordered");
  if (ordered == null) throw new Refusal(because("missing", "the line has no quantity", at(`/lines/${index}`)));
  return Json.object().putText("gtin", number).putText("quantity", ordered.textOf("value"));
}

function gtinOf(item: Json | null): string {
  if (item == null) return "";
  const identifiers = item.get("identifiers");
  if (identifiers == null) return "";
  for (let n = 0; n < identifiers.items.length; n++) {
    if (identifiers.items[n].textOf("scheme") == "gtin") return identifiers.items[n].textOf("value");
  }
  return "";
}

function text(value: Json, name: string, place: string): string {
  const found = value.get(name);
  if (found == null || !found.isString) throw new Refusal(because("not-understood", "a text is needed", at(`${place}/${name}`)));
  return found.text;
}

function count(value: Json, name: string, place: string): i64 {
  const found = value.get(name);
  const counted = found == null ? -1 : found.count;
  if (counted < 0) throw new Refusal(because("not-understood", "a count is needed", at(`${place}/${name}`)));
  return counted;
}
