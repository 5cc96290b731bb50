// Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
// Replace the two formats by yours; the cases in cases/ say what is expected.

import crossdock.Crossdock.*
import crossdock.Json

fun main(arguments: Array<String>) = run(Warehouse, arguments)

object Warehouse : Mapper {
    override fun toCanonical(context: Context, document: Document): Mapped {
        val confirmation = document.json()
        val shipment = confirmation.text("shipmentId", "")
        val order = confirmation.text("orderId", "")
        val shipped = confirmation.text("shippedAt", "")
        val items = confirmation.get("items")?.takeIf { it.kind == Json.Kind.ARRAY }
            ?: throw Refusal("not-understood", "a list is needed", at("/items"))
        // An identifier that is not there makes no natural key, and a guess would be worse.
        if (shipment.isEmpty()) throw Refusal("missing", "the shipment has no number", at("/shipmentId"))
        val dispatched = actual(shipped, context.zone, at("/shippedAt"))
        val reference = json().put("kind", "order").put("value", order)
        val data = json().put("shipment", shipment).put("references", list(listOf(reference))).put("dispatched", dispatched.json())
        if (items.items.isNotEmpty()) data.put("lines", list(items.items.mapIndexed { index, item -> line(item, index) }))
        val event = Event("shipment.dispatched", data).naturalKey("shipment", shipment)
        return Mapped(event.orderKey("order", order).occurredAt(dispatched))
    }

    override fun fromCanonical(context: Context, events: List<Recorded>): Output {
        val order = events.singleOrNull()?.takeIf { it.kind == "order.released" }?.data
            ?: throw Refusal("one-event", "a release is made of one order.released", null)
        val items = order.itemsOf("lines").mapIndexed { index, line -> wanted(line, at("/lines/$index")) }
        val number = order.textOf("order")
        return Output(json().put("orderId", number).put("items", list(items))).parameter("order", number)
    }
}

private fun line(item: Json, index: Int): Json {
    val place = "/items/$index"
    val identifier = gtin(item.text("gtin", place))
    val ordered = item.count("ordered", place)
    val shipped = item.count("shipped", place)
    return json()
        .put("number", "${index + 1}")
        .put("item", json().put("identifiers", list(listOf(identifier))))
        // The document names no unit, so none is invented.
        .put("ordered", quantity("$ordered"))
        .put("shipped", quantity("$shipped"))
        .put("status", if (shipped < ordered) "short" else if (shipped == ordered) "complete" else "over")
}

private fun wanted(line: Json, place: Location): Json {
    val identifier = line.get("item")?.itemsOf("identifiers")?.find { it.textOf("scheme") == "gtin" }
        ?: throw Refusal("missing", "the line has no GTIN", place)
    val ordered = line.get("ordered") ?: throw Refusal("missing", "the line has no quantity", place)
    return json().put("gtin", identifier.textOf("value")).put("quantity", ordered.textOf("value"))
}

private fun Json.text(name: String, place: String): String =
    get(name)?.takeIf { it.kind == Json.Kind.STRING }?.text
        ?: throw Refusal("not-understood", "a text is needed", at("$place/$name"))

private fun Json.count(name: String, place: String): Long =
    get(name)?.count()?.takeIf { it >= 0 } ?: throw Refusal("not-understood", "a count is needed", at("$place/$name"))

private fun json() = Json.`object`()

private fun list(items: List<Json>) = items.fold(Json.array()) { list, item -> list.add(item) }
