//! Write a mapper in Zig: what turns a vendor's documents into canonical events, and events into documents.
//!
//!     const crossdock = @import("sdk/crossdock.zig");
//!
//!     pub const main = crossdock.main(.{ .to_canonical = read });
//!
//!     fn read(call: *crossdock.Call) crossdock.Error!crossdock.Mapped {
//!         const in = try call.json(struct { shipmentId: []const u8 });
//!         return call.event("shipment.dispatched", .{ .shipment = in.shipmentId }, .{
//!             .natural_key = &.{.{ "shipment", in.shipmentId }},
//!         });
//!     }
//!
//! A mapper is a pure function: no clock, no randomness, no network, no memory of the message before. The program lives
//! for one message, so nothing is ever freed. A direction that it leaves out answers `unsupported`.

const std = @import("std");
const wasi = std.os.wasi;
const Allocator = std.mem.Allocator;

/// A name and its value; order and repeats are kept.
pub const Pair = [2][]const u8;

/// `Refused` after `call.refuse`; no memory is the limit's word.
pub const Error = error{ Refused, OutOfMemory };

/// What a mapper knows besides the document. The same context and document always give the same result.
pub const Context = struct {
    partner: []const u8 = "",
    sender: []const u8 = "",
    receiver: []const u8 = "",
    operation: []const u8 = "",
    version: []const u8 = "",
    /// `request` or `answer`.
    stage: []const u8 = "request",
    /// RFC 3339; the only clock a mapper sees.
    received_at: []const u8 = "",
    /// IANA zone for times that carry none, where the policy knows it.
    zone: ?[]const u8 = null,
    control_numbers: []const Pair = &.{},
    /// The mapper's configuration from the policy.
    config: ?std.json.Value = null,
    media_type: []const u8 = "",
    parameters: []const Pair = &.{},
};

/// A place in the sender's own document: `json-pointer`, `xpath`, `x12`, `edifact`, `csv` or `bytes`.
pub const Location = struct {
    scheme: []const u8 = "json-pointer",
    path: []const u8,
    offset: ?u32 = null,
    length: ?u32 = null,
};

pub const Diagnostic = struct {
    /// `info`, `warning` or `error`.
    severity: []const u8 = "error",
    code: []const u8,
    /// The standard's own code for it.
    standard_code: ?[]const u8 = null,
    at: ?Location = null,
    message: []const u8,
    /// Of an outcome: segment, position, value.
    more: []const Pair = &.{},
};

/// JSON that is written already.
pub const Raw = struct {
    text: []const u8,

    pub fn jsonStringify(raw: Raw, writer: anytype) !void {
        try writer.print("{s}", .{raw.text});
    }
};

/// A canonical event without its envelope, which is the gateway's.
pub const Event = struct {
    type: []const u8,
    /// What makes it the same business fact: `.{ "shipment", "4711" }`.
    natural_key: []const Pair,
    /// The business keys whose order it keeps, the flow's own key first.
    order_keys: []const Pair,
    /// The source's own number of it, where the source counts.
    sequence: ?[]const u8 = null,
    /// Natural key of the fact that it corrects or reverses.
    corrects: []const Pair = &.{},
    occurred_at: ?[]const u8 = null,
    /// By the canonical schema of its type.
    data: Raw,
};

/// An event's keys and times.
pub const Facts = struct {
    natural_key: []const Pair = &.{},
    order_keys: []const Pair = &.{},
    sequence: ?[]const u8 = null,
    corrects: []const Pair = &.{},
    occurred_at: ?[]const u8 = null,
};

/// A unit that could not be mapped while its neighbours could.
pub const Reject = struct { unit: []const u8, at: Location, diagnostics: []const Diagnostic };

/// What became of a document.
pub const Mapped = struct {
    events: []const Event,
    rejects: []const Reject = &.{},
    diagnostics: []const Diagnostic = &.{},
};

/// An event as the gateway recorded it.
pub const Recorded = struct {
    id: []const u8,
    source: []const u8,
    recorded_at: []const u8,
    type: []const u8,
    natural_key: []const Pair = &.{},
    order_keys: []const Pair = &.{},
    occurred_at: ?[]const u8 = null,
    data: std.json.Value,
};

/// A document in a target's own format, as it goes.
pub const Output = struct {
    media_type: []const u8,
    content: []const u8,
    /// Values for the target's URL template and the headers that it allows.
    parameters: []const Pair = &.{},
};

/// What a mapper offers.
pub const Mapper = struct {
    to_canonical: ?*const fn (*Call) Error!Mapped = null,
    from_canonical: ?*const fn (*Call, []const Recorded) Error!Output = null,
    /// Writes the functional acknowledgement of a document whose parts ended so; null where there is none.
    acknowledge: ?*const fn (*Call, []const Outcome) Error!?Output = null,
};

/// How one part of a document ended.
pub const Outcome = struct {
    part: Part,
    accepted: bool,
    diagnostics: []const Diagnostic = &.{},
    /// The part's own first segment as `header`, its group's last as `group-trailer`.
    more: []const Pair = &.{},
};

/// One unit that the gateway framed out of a larger document.
pub const Part = struct {
    index: u32,
    /// `transaction-set`, or `document` where there is nothing to take apart.
    unit: []const u8,
    offset: u64,
    /// The segments that enclose it.
    envelope: []const u8,
};

/// One message: its context, its document, memory for as long as it lasts, and why it is refused.
pub const Call = struct {
    allocator: Allocator,
    context: Context,
    /// The document as it came.
    content: []const u8,
    diagnostics: std.ArrayList(Diagnostic) = .empty,

    /// The document as JSON of a form; refuses what is none. A member of type `[]const u8` takes a text, an optional one
    /// may be missing, and unknown members are let pass. `std.json.Value` takes anything.
    pub fn json(call: *Call, comptime T: type) Error!T {
        return call.parse(T, call.content);
    }

    /// An event's data as a form.
    pub fn data(call: *Call, comptime T: type, recorded: Recorded) Error!T {
        return std.json.parseFromValueLeaky(T, call.allocator, recorded.data, options) catch |wrong|
            call.refuse("not-understood", @errorName(wrong), null);
    }

    fn parse(call: *Call, comptime T: type, text: []const u8) Error!T {
        var scanner = std.json.Scanner.initCompleteInput(call.allocator, text);
        var place: std.json.Diagnostics = .{};
        scanner.enableDiagnostics(&place);
        return std.json.parseFromTokenSourceLeaky(T, call.allocator, &scanner, options) catch |wrong| {
            const offset: u32 = @intCast(@min(place.getByteOffset(), text.len));
            const at: Location = .{
                .scheme = "bytes",
                .path = try std.fmt.allocPrint(call.allocator, "{d}", .{offset}),
                .offset = offset,
                .length = @intFromBool(offset < text.len),
            };
            return call.refuse("not-understood", @errorName(wrong), at);
        };
    }

    /// One event.
    pub fn event(call: *Call, kind: []const u8, value: anytype, facts: Facts) Error!Mapped {
        const events = try call.allocator.alloc(Event, 1);
        events[0] = .{
            .type = kind,
            .natural_key = facts.natural_key,
            .order_keys = facts.order_keys,
            .sequence = facts.sequence,
            .corrects = facts.corrects,
            .occurred_at = facts.occurred_at,
            .data = .{ .text = try call.write(value) },
        };
        // Keys are often written where they are used, in memory that ends with the mapper's own function.
        events[0].natural_key = try call.allocator.dupe(Pair, facts.natural_key);
        events[0].order_keys = try call.allocator.dupe(Pair, facts.order_keys);
        events[0].corrects = try call.allocator.dupe(Pair, facts.corrects);
        return .{ .events = events };
    }

    /// A document of a value as JSON.
    pub fn jsonOutput(call: *Call, value: anytype, parameters: []const Pair) Error!Output {
        const own = try call.allocator.dupe(Pair, parameters);
        return .{ .media_type = "application/json", .content = try call.write(value), .parameters = own };
    }

    /// A value as JSON.
    pub fn write(call: *Call, value: anytype) Error![]const u8 {
        return std.json.Stringify.valueAlloc(call.allocator, value, .{ .emit_null_optional_fields = false });
    }

    /// Text made of parts.
    pub fn print(call: *Call, comptime form: []const u8, parts: anytype) Error![]const u8 {
        return std.fmt.allocPrint(call.allocator, form, parts);
    }

    /// Refuses the document: `return call.refuse(…)`.
    pub fn refuse(call: *Call, code: []const u8, message: []const u8, at: ?Location) Error {
        try call.diagnostics.append(call.allocator, .{ .code = code, .message = message, .at = at });
        return error.Refused;
    }

    /// A time of the document that was, in the form of RFC 3339: a moment where it states its offset, else local, in
    /// the partner's zone if the policy knows it; a day where it says no more. Refuses what is none of these
    /// (`not-a-time`, at the place).
    pub fn actual(call: *Call, text: []const u8, at: ?Location) Error!Time {
        if (!isTime(text)) return call.refuse("not-a-time", "a time is needed, as in 2026-11-20T14:05:00+01:00", at);
        const clock = if (text.len > 10) text[11..] else "";
        if (std.mem.findAny(u8, clock, "Z+-") != null) return .{ .at = text, .basis = "offset" };
        const zone = call.context.zone orelse "";
        return .{ .local = text, .zone = if (zone.len > 0) zone else null, .basis = "local" };
    }

    /// The value of one column of a table's row; null where there is none, or the operation grants no such table.
    pub fn lookup(call: *Call, table: []const u8, key: []const []const u8, column: []const u8) Error!?[]const u8 {
        const parts = try call.write(key);
        var out = try call.allocator.alloc(u8, 1024);
        while (true) {
            const length = host.lookup(table.ptr, table.len, parts.ptr, parts.len, out.ptr, out.len);
            if (length < 0) return null;
            const whole: usize = @intCast(length);
            if (whole > out.len) {
                out = try call.allocator.alloc(u8, whole);
                continue;
            }
            const row = try call.parse(std.json.Value, out[0..whole]);
            const value = row.object.get(column) orelse return null;
            return value.string;
        }
    }
};

const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };

const host = struct {
    extern "crossdock" fn lookup(table: [*]const u8, table_length: usize, key: [*]const u8, key_length: usize, out: [*]u8, room: usize) i32;
};

/// The program of a mapper: the direction and the context are arguments, the document or the events are on the standard
/// input, what is answered goes to the standard output, diagnostics go to the standard error.
pub fn main(comptime mapper: Mapper) fn () void {
    return struct {
        fn program() void {
            var arena: std.heap.ArenaAllocator = .init(std.heap.page_allocator);
            answer(mapper, arena.allocator()) catch wasi.proc_exit(1);
        }
    }.program;
}

fn answer(comptime mapper: Mapper, allocator: Allocator) !void {
    const given = try arguments(allocator);
    if (given.len < 3) return error.Arguments;
    var call: Call = .{
        .allocator = allocator,
        .context = try std.json.parseFromSliceLeaky(Context, allocator, given[2], options),
        .content = try readAll(allocator),
    };
    answerCall(mapper, given[1], &call) catch |wrong| {
        if (wrong != error.Refused) return wrong;
        for (call.diagnostics.items) |each| try printLine(&call, 2, each);
        return wrong;
    };
}

fn answerCall(comptime mapper: Mapper, direction: []const u8, call: *Call) !void {
    if (std.mem.eql(u8, direction, "to-canonical")) {
        if (mapper.to_canonical) |map| return writeAll(1, try call.write(try map(call)));
        return call.refuse("unsupported", "this mapper reads no documents", null);
    }
    if (std.mem.eql(u8, direction, "from-canonical")) if (mapper.from_canonical) |map| {
        return writeOutput(call, try map(call, try call.json([]const Recorded)));
    };
    if (std.mem.eql(u8, direction, "acknowledge")) {
        const map = mapper.acknowledge orelse return call.refuse("unsupported", "this mapper writes no acknowledgements", null);
        if (try map(call, try call.json([]const Outcome))) |output| try writeOutput(call, output);
        return;
    }
    return call.refuse("unsupported", "this mapper writes no documents", null);
}

fn writeOutput(call: *Call, output: Output) !void {
    const about = .{ .media_type = output.media_type, .parameters = output.parameters };
    try printLine(call, 2, .{ .document = about });
    return writeAll(1, output.content);
}

fn printLine(call: *Call, stream: wasi.fd_t, value: anytype) !void {
    try writeAll(stream, try call.print("{s}\n", .{try call.write(value)}));
}

fn arguments(allocator: Allocator) ![]const []const u8 {
    var count: usize = 0;
    var length: usize = 0;
    if (wasi.args_sizes_get(&count, &length) != .SUCCESS) return error.Arguments;
    const places = try allocator.alloc([*:0]u8, count);
    const bytes = try allocator.alloc(u8, length);
    if (wasi.args_get(places.ptr, bytes.ptr) != .SUCCESS) return error.Arguments;
    const found = try allocator.alloc([]const u8, count);
    for (places, found) |place, *argument| argument.* = std.mem.span(place);
    return found;
}

fn readAll(allocator: Allocator) ![]const u8 {
    var whole: std.ArrayList(u8) = .empty;
    while (true) {
        try whole.ensureUnusedCapacity(allocator, 16 << 10);
        const room = whole.unusedCapacitySlice();
        var length: usize = 0;
        const parts = [_]std.posix.iovec{.{ .base = room.ptr, .len = room.len }};
        if (wasi.fd_read(0, &parts, 1, &length) != .SUCCESS) return error.Input;
        if (length == 0) return whole.items;
        whole.items.len += length;
    }
}

fn writeAll(stream: wasi.fd_t, bytes: []const u8) !void {
    var left = bytes;
    while (left.len > 0) {
        var length: usize = 0;
        const parts = [_]std.posix.iovec_const{.{ .base = left.ptr, .len = left.len }};
        if (wasi.fd_write(stream, &parts, 1, &length) != .SUCCESS) return error.Output;
        left = left[length..];
    }
}

// Parts of the canonical model.

pub const Identifier = struct { scheme: []const u8, value: []const u8, check: ?[]const u8 = null };

/// A trade item's number; a wrong check digit is kept and flagged.
pub fn gtin(value: []const u8) Identifier {
    return .{ .scheme = "gtin", .value = value, .check = if (checkGs1(value)) "valid" else "invalid" };
}

/// Do the digits end in the check digit that GS1 (GTIN, GLN, SSCC) asks for?
pub fn checkGs1(digits: []const u8) bool {
    if (digits.len < 2 or digits.len > 64) return false;
    var sum: usize = 0;
    for (0..digits.len) |i| {
        const digit = digits[digits.len - 1 - i];
        if (!std.ascii.isDigit(digit)) return false;
        sum += (digit - '0') * (1 + 2 * (i % 2));
    }
    return sum % 10 == 0;
}

/// A decimal as text, and its unit where the document names one.
pub const Quantity = struct { value: []const u8, unit: ?[]const u8 = null };

pub const Time = struct {
    at: ?[]const u8 = null,
    local: ?[]const u8 = null,
    zone: ?[]const u8 = null,
    basis: []const u8,
    classifier: []const u8 = "actual",

    /// As an event's `occurred_at` wants it: a local time with its zone in brackets (RFC 9557).
    pub fn text(time: Time, call: *Call) Error![]const u8 {
        if (time.at) |at| return at;
        const local = time.local orelse "";
        const zone = time.zone orelse return local;
        return if (std.mem.findScalar(u8, local, 'T') == null) local else call.print("{s}[{s}]", .{ local, zone });
    }
};

/// Is it a time in the form of RFC 3339, with an offset, without one, or a day alone?
pub fn isTime(text: []const u8) bool {
    var reader: TimeReader = .{ .rest = text };
    const year = reader.number(4, 9999) orelse return false;
    const month = reader.marked('-', 12) orelse return false;
    const day = reader.marked('-', 31) orelse return false;
    if (month < 1 or day < 1 or day > days(year, month)) return false;
    if (reader.rest.len == 0) return true;
    _ = reader.marked('T', 23) orelse return false;
    _ = reader.marked(':', 59) orelse return false;
    _ = reader.marked(':', 59) orelse return false;
    if (reader.takes('.')) {
        var digits: usize = 0;
        while (digits < reader.rest.len and std.ascii.isDigit(reader.rest[digits])) digits += 1;
        if (digits < 1 or digits > 9) return false;
        reader.rest = reader.rest[digits..];
    }
    if (reader.rest.len == 0 or std.mem.eql(u8, reader.rest, "Z")) return true;
    if (!reader.takes('+') and !reader.takes('-')) return false;
    _ = reader.number(2, 23) orelse return false;
    _ = reader.marked(':', 59) orelse return false;
    return reader.rest.len == 0;
}

const TimeReader = struct {
    rest: []const u8,

    fn takes(reader: *TimeReader, mark: u8) bool {
        const found = reader.rest.len > 0 and reader.rest[0] == mark;
        if (found) reader.rest = reader.rest[1..];
        return found;
    }

    fn marked(reader: *TimeReader, mark: u8, most: u32) ?u32 {
        return if (reader.takes(mark)) reader.number(2, most) else null;
    }

    fn number(reader: *TimeReader, digits: usize, most: u32) ?u32 {
        if (reader.rest.len < digits) return null;
        var value: u32 = 0;
        for (reader.rest[0..digits]) |digit| {
            if (!std.ascii.isDigit(digit)) return null;
            value = value * 10 + (digit - '0');
        }
        reader.rest = reader.rest[digits..];
        return if (value <= most) value else null;
    }
};

fn days(year: u32, month: u32) u32 {
    const leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0);
    return switch (month) {
        4, 6, 9, 11 => 30,
        2 => if (leap) 29 else 28,
        else => 31,
    };
}
