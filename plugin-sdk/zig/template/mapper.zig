//! Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
//! Replace the two formats by yours; the cases in cases/ say what is expected.

const std = @import("std");
const crossdock = @import("sdk/crossdock.zig");
const Call = crossdock.Call;
const Error = crossdock.Error;

pub const main = crossdock.main(.{ .to_canonical = toCanonical, .from_canonical = fromCanonical });

/// A ship confirmation as the warehouse sends it.
const Confirmation = struct { shipmentId: []const u8, orderId: []const u8, shippedAt: []const u8, items: []const Shipped };
const Shipped = struct { gtin: []const u8, ordered: u32, shipped: u32 };

/// A line of shipment.dispatched and of order.released.
const Line = struct {
    number: []const u8 = "",
    item: Item,
    ordered: ?crossdock.Quantity = null,
    shipped: ?crossdock.Quantity = null,
    status: ?[]const u8 = null,
};
const Item = struct { identifiers: []const crossdock.Identifier = &.{} };

fn toCanonical(call: *Call) Error!crossdock.Mapped {
    const in = try call.json(Confirmation);
    // An identifier that is not there makes no natural key, and a guess would be worse.
    if (in.shipmentId.len == 0) {
        return call.refuse("missing", "the shipment has no number", .{ .path = "/shipmentId" });
    }
    const dispatched = try call.actual(in.shippedAt, .{ .path = "/shippedAt" });
    const lines = try call.allocator.alloc(Line, in.items.len);
    for (in.items, lines, 1..) |item, *to, number| to.* = try line(call, item, number);
    const shipment = .{
        .shipment = in.shipmentId,
        .references = .{.{ .kind = "order", .value = in.orderId }},
        .dispatched = dispatched,
        .lines = if (lines.len > 0) @as(?[]const Line, lines) else null,
    };
    return call.event("shipment.dispatched", shipment, .{
        .natural_key = &.{.{ "shipment", in.shipmentId }},
        .order_keys = &.{.{ "order", in.orderId }},
        .occurred_at = try dispatched.text(call),
    });
}

fn line(call: *Call, item: Shipped, number: usize) Error!Line {
    const identifiers = try call.allocator.alloc(crossdock.Identifier, 1);
    identifiers[0] = crossdock.gtin(item.gtin);
    return .{
        .number = try call.print("{d}", .{number}),
        .item = .{ .identifiers = identifiers },
        // The document names no unit, so none is invented.
        .ordered = .{ .value = try call.print("{d}", .{item.ordered}) },
        .shipped = .{ .value = try call.print("{d}", .{item.shipped}) },
        .status = if (item.shipped < item.ordered) "short" else if (item.shipped == item.ordered) "complete" else "over",
    };
}

/// An order release as the warehouse wants it.
const Wanted = struct { gtin: []const u8, quantity: []const u8 };

fn fromCanonical(call: *Call, events: []const crossdock.Recorded) Error!crossdock.Output {
    if (events.len != 1 or !std.mem.eql(u8, events[0].type, "order.released")) {
        return call.refuse("one-event", "a release is made of one order.released", null);
    }
    const order = try call.data(struct { order: []const u8, lines: []const Line = &.{} }, events[0]);
    const items = try call.allocator.alloc(Wanted, order.lines.len);
    for (order.lines, items, 0..) |each, *item, index| {
        const place: crossdock.Location = .{ .path = try call.print("/lines/{d}", .{index}) };
        const gtin = gtinOf(each) orelse return call.refuse("missing", "the line has no GTIN", place);
        const ordered = each.ordered orelse return call.refuse("missing", "the line has no quantity", place);
        item.* = .{ .gtin = gtin, .quantity = ordered.value };
    }
    return call.jsonOutput(.{ .orderId = order.order, .items = items }, &.{.{ "order", order.order }});
}

fn gtinOf(each: Line) ?[]const u8 {
    for (each.item.identifiers) |identifier| {
        if (std.mem.eql(u8, identifier.scheme, "gtin")) return identifier.value;
    }
    return null;
}
