// Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
// Replace the two formats by yours; the cases in cases/ say what is expected.

import static crossdock.Crossdock.*;

import crossdock.Json;
import java.util.List;

public class Main implements Mapper {
    public static void main(String[] arguments) {
        run(new Main(), arguments);
    }

    @Override
    public Mapped toCanonical(Context context, Document document) {
        Json confirmation = document.json();
        String shipment = text(confirmation, "shipmentId", "");
        String order = text(confirmation, "orderId", "");
        String shipped = text(confirmation, "shippedAt", "");
        Json items = confirmation.get("items");
        if (items == null || items.kind != Json.Kind.ARRAY) {
            throw new Refusal("not-understood", "a list is needed", at("/items"));
        }
        // An identifier that is not there makes no natural key, and a guess would be worse.
        if (shipment.isEmpty()) {
            throw new Refusal("missing", "the shipment has no number", at("/shipmentId"));
        }
        Time dispatched = actual(shipped, context.zone, at("/shippedAt"));
        Json reference = Json.object().put("kind", "order").put("value", order);
        Json data = Json.object().put("shipment", shipment).put("references", Json.array().add(reference));
        data.put("dispatched", dispatched.json());
        if (!items.items.isEmpty()) {
            Json lines = Json.array();
            for (int index = 0; index < items.items.size(); index++) {
                lines.add(line(items.items.get(index), index));
            }
            data.put("lines", lines);
        }
        Event event = new Event("shipment.dispatched", data).naturalKey("shipment", shipment);
        return new Mapped(event.orderKey("order", order).occurredAt(dispatched));
    }

    private static Json line(Json item, int index) {
        String place = "/items/" + index;
        Json identifiers = Json.array().add(gtin(text(item, "gtin", place)));
        long ordered = count(item, "ordered", place);
        long shipped = count(item, "shipped", place);
        return Json.object()
            .put("number", Integer.toString(index + 1))
            .put("item", Json.object().put("identifiers", identifiers))
            // The document names no unit, so none is invented.
            .put("ordered", quantity(Long.toString(ordered)))
            .put("shipped", quantity(Long.toString(shipped)))
            .put("status", shipped < ordered ? "short" : shipped == ordered ? "complete" : "over");
    }

    @Override
    public Output fromCanonical(Context context, List<Recorded> events) {
        if (events.size() != 1 || !events.get(0).kind.equals("order.released")) {
            throw new Refusal("one-event", "a release is made of one order.released", null);
        }
        Json order = events.get(0).data;
        Json items = Json.array();
        List<Json> lines = order.itemsOf("lines");
        for (int index = 0; index < lines.size(); index++) {
            items.add(wanted(lines.get(index), at("/lines/" + index)));
        }
        String number = order.textOf("order");
        return new Output(Json.object().put("orderId", number).put("items", items)).parameter("order", number);
    }

    private static Json wanted(Json line, Location place) {
        Json item = line.get("item");
        Json ordered = line.get("ordered");
        for (Json identifier : item == null ? List.<Json>of() : item.itemsOf("identifiers")) {
            if (identifier.textOf("scheme").equals("gtin")) {
                if (ordered == null) {
                    throw new Refusal("missing", "the line has no quantity", place);
                }
                return Json.object().put("gtin", identifier.textOf("value")).put("quantity", ordered.textOf("value"));
            }
        }
        throw new Refusal("missing", "the line has no GTIN", place);
    }

    private static String text(Json value, String name, String place) {
        Json found = value.get(name);
        if (found == null || found.kind != Json.Kind.STRING) {
            throw new Refusal("not-understood", "a text is needed", at(place + "/" + name));
        }
        return found.text;
    }

    private static long count(Json value, String name, String place) {
        Json found = value.get(name);
        long count = found == null ? -1 : found.count();
        if (count < 0) {
            throw new Refusal("not-understood", "a count is needed", at(place + "/" + name));
        }
        return count;
    }
}
