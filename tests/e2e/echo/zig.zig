const std = @import("std");
const crossdock = @import("sdk/crossdock.zig");
const Call = crossdock.Call;
const Error = crossdock.Error;

pub const main = crossdock.main(.{ .to_canonical = toCanonical, .acknowledge = acknowledge });

fn toCanonical(call: *Call) Error!crossdock.Mapped {
    return call.refuse("no-good", "it is no good", null);
}

fn acknowledge(call: *Call, outcomes: []const crossdock.Outcome) Error!?crossdock.Output {
    var lines: []const u8 = try call.print("{s}\n", .{call.context.receiver});
    for (outcomes) |ended| {
        var codes: []const u8 = "";
        for (ended.diagnostics, 0..) |found, n| {
            codes = try call.print("{s}{s}{s}", .{ codes, if (n > 0) "," else "", found.code });
        }
        const part = ended.part;
        lines = try call.print("{s}{s} {d} {} {s} {s}\n", .{ lines, part.unit, part.envelope.len, ended.accepted, ended.more[0][1], codes });
    }
    return .{ .media_type = "text/plain", .content = lines };
}
