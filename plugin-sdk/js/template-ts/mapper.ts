// Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
// Replace the two formats by yours; the cases in cases/ say what is expected.

import { event, gtin, jsonOutput, mapper, refuse, time } from "./sdk/crossdock";

/** A ship confirmation as the warehouse sends it. */
interface Confirmation {
  shipmentId: string;
  orderId: string;
  shippedAt: string;
  items: Shipped[];
}

interface Shipped {
  gtin: string;
  ordered: number;
  shipped: number;
}

export const { toCanonical, fromCanonical, acknowledge } = mapper({
  toCanonical(context, document) {
    const { shipmentId, orderId, shippedAt, items } = confirmation(document.json());
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
    const items = (order.lines ?? []).map((line: any, index: number) => {
      const missing = (what: string) => refuse("missing", `the line has no ${what}`, `/lines/${index}`);
      const identifier = line.item.identifiers?.find((each: any) => each.scheme === "gtin") ?? missing("GTIN");
      return { gtin: identifier.value, quantity: line.ordered?.value ?? missing("quantity") };
    });
    return jsonOutput({ orderId: order.order, items }, [["order", order.order]]);
  },
});

/** Types are gone when a mapper runs, so what a partner sent is looked at. */
function confirmation(value: any): Confirmation {
  const text = (at: any, place: string) => typeof at === "string" || refuse("not-understood", "a text is needed", place);
  const count = (at: any, place: string) =>
    (Number.isInteger(at) && at >= 0 && at < 2 ** 32) || refuse("not-understood", "a count is needed", place);
  for (const name of ["shipmentId", "orderId", "shippedAt"]) text(value?.[name], `/${name}`);
  if (!Array.isArray(value.items)) refuse("not-understood", "a list is needed", "/items");
  value.items.forEach((item: any, index: number) => {
    text(item?.gtin, `/items/${index}/gtin`);
    count(item.ordered, `/items/${index}/ordered`);
    count(item.shipped, `/items/${index}/shipped`);
  });
  return value;
}

function line({ gtin: number, ordered, shipped }: Shipped, index: number) {
  return {
    number: `${index + 1}`,
    item: { identifiers: [gtin(number)] },
    // The document names no unit, so none is invented.
    ordered: { value: `${ordered}` },
    shipped: { value: `${shipped}` },
    status: shipped < ordered ? "short" : shipped === ordered ? "complete" : "over",
  };
}
