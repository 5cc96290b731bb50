"""Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
Replace the two formats by yours; the cases in cases/ say what is expected."""

from sdk.crossdock import Event, gtin, json_output, refuse, time


def to_canonical(context, document):
    confirmation = document.json()
    if not isinstance(confirmation, dict):
        refuse("not-understood", "an object is needed", "")
    for name in ("shipmentId", "orderId", "shippedAt"):
        if not isinstance(confirmation.get(name), str):
            refuse("not-understood", "a text is needed", f"/{name}")
    if not isinstance(confirmation.get("items"), list):
        refuse("not-understood", "a list is needed", "/items")
    shipment, order = confirmation["shipmentId"], confirmation["orderId"]
    # An identifier that is not there makes no natural key, and a guess would be worse.
    if not shipment:
        refuse("missing", "the shipment has no number", "/shipmentId")
    dispatched = time(confirmation["shippedAt"], context.zone, "/shippedAt")
    data = {
        "shipment": shipment,
        "references": [{"kind": "order", "value": order}],
        "dispatched": dispatched,
    }
    if confirmation["items"]:
        data["lines"] = [line(index, item) for index, item in enumerate(confirmation["items"])]
    event = Event("shipment.dispatched", data).natural_key("shipment", shipment)
    return event.order_key("order", order).occurred_at(dispatched)


def line(index, item):
    if not isinstance(item, dict) or not isinstance(item.get("gtin"), str):
        refuse("not-understood", "a text is needed", f"/items/{index}/gtin")
    for name in ("ordered", "shipped"):
        if type(item.get(name)) is not int or not 0 <= item[name] < 2**32:
            refuse("not-understood", "a count is needed", f"/items/{index}/{name}")
    ordered, shipped = item["ordered"], item["shipped"]
    return {
        "number": str(index + 1),
        "item": {"identifiers": [gtin(item["gtin"])]},
        # The document names no unit, so none is invented.
        "ordered": {"value": str(ordered)},
        "shipped": {"value": str(shipped)},
        "status": "short" if shipped < ordered else "complete" if shipped == ordered else "over",
    }


def from_canonical(context, events):
    if len(events) != 1 or events[0].kind != "order.released":
        refuse("one-event", "a release is made of one order.released")
    order = events[0].data
    items = [wanted(index, line) for index, line in enumerate(order.get("lines", []))]
    return json_output({"orderId": order["order"], "items": items}, [("order", order["order"])])


def wanted(index, line):
    identifiers = line["item"].get("identifiers", [])
    gtins = [each["value"] for each in identifiers if each["scheme"] == "gtin"]
    if not gtins:
        refuse("missing", "the line has no GTIN", f"/lines/{index}")
    if "ordered" not in line:
        refuse("missing", "the line has no quantity", f"/lines/{index}")
    return {"gtin": gtins[0], "quantity": line["ordered"]["value"]}
