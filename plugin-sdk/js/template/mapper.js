// Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
// Replace the two formats by yours; the cases in cases/ say what is expected.

import { event, gtin, jsonOutput, mapper, refuse, time } from "./sdk/crossdock";

export const { toCanonical, fromCanonical, acknowledge } = mapper({
  toCanonical(context, document) {
    const confirmation = document.json();
    for (const name of ["shipmentId", "orderId", "shippedAt"]) {
      if (typeof confirmation?.[name] !== "string") refuse("not-understood", "a text is needed", `/${name}`);
    }
    if (!Array.isArray(confirmation.items)) refuse("not-understood", "a list is needed", "/items");
    const { shipmentId, orderId, shippedAt, items } = confirmation;
    // An identifier that is not there makes no natural key, and a guess would be worse.
    if (!shipmentId) refuse("missing", "the shipment has no number", "/shipmentId");
    const dispatched = time(shippedAt, context.zone, "/shippedAt");
    const shipment = {
      shipment: shipmentId,
      references: [{ kind: "order", value: orderId }],
      dispatched,
      lines: items.length ? items.map(line) : undefined,
    };
    return event("shipment.dispatched", shipment)
      .naturalKey("shipment", shipmentId)
      .orderKey("order", orderId)
      .occurredAt(dispatched);
  },

  fromCanonical(_, events) {
    if (events.length !== 1 || events[0].kind !== "order.released") {
      refuse("one-event", "a release is made of one order.released");
    }
    const order = events[0].data;
    const items = (order.lines ?? []).map((line, index) => {
      const missing = (what) => refuse("missing", `the line has no ${what}`, `/lines/${index}`);
      const identifier = line.item.identifiers?.find(({ scheme }) => scheme === "gtin") ?? missing("GTIN");
      return { gtin: identifier.value, quantity: line.ordered?.value ?? missing("quantity") };
    });
    return jsonOutput({ orderId: order.order, items }, [["order", order.order]]);
  },
});

function line(item, index) {
  const place = (name) => `/items/${index}/${name}`;
  if (typeof item?.gtin !== "string") refuse("not-understood", "a text is needed", place("gtin"));
  const [ordered, shipped] = ["ordered", "shipped"].map((name) => {
    const count = item[name];
    return Number.isInteger(count) && count >= 0 && count < 2 ** 32
      ? count
      : refuse("not-understood", "a count is needed", place(name));
  });
  return {
    number: `${index + 1}`,
    item: { identifiers: [gtin(item.gtin)] },
    // The document names no unit, so none is invented.
    ordered: { value: `${ordered}` },
    shipped: { value: `${shipped}` },
    status: shipped < ordered ? "short" : shipped === ordered ? "complete" : "over",
  };
}
