// Mappers for the Crossdock gateway in AssemblyScript: programs that read a message and answer it.
//
// A mapper is a class with two methods, and a call of `run` at the end of mapper.ts:
//
//   class Warehouse extends Mapper {
//     toCanonical(context: Context, document: Document): Mapped { … }
//     fromCanonical(context: Context, events: Recorded[]): Output { … }
//   }
//   run(new Warehouse());
//
// These files belong to the mapper; the convention behind them is in the SDK's README, under "The second door".

import { Json, Kind, Reader, notUtf8 } from "./json";

export { Json, Kind };

/** A name and its value; order and repeats are kept. */
export class Pair {
  constructor(public name: string, public value: string) {}
}

/** What a mapper knows besides the document. The same context and document always give the same result. */
export class Context {
  partner: string = "";
  sender: string = "";
  receiver: string = "";
  operation: string = "";
  version: string = "";
  /** `request` or `answer`. */
  stage: string = "";
  /** RFC 3339; the only clock a mapper sees. */
  receivedAt: string = "";
  /** IANA zone for times that carry none, where the policy knows it; else "". */
  zone: string = "";
  controlNumbers: Pair[] = [];
  /** The mapper's configuration from the policy. */
  config: Json = Json.object();
}

/** A place in the sender's own document: `json-pointer`, `xpath`, `x12`, `edifact`, `csv` or `bytes`. */
export class Location {
  constructor(public scheme: string, public path: string, public offset: i32 = -1, public length: i32 = 0) {}
}

/** The place that a JSON Pointer names. */
export function at(pointer: string): Location {
  return new Location("json-pointer", pointer);
}

/** A remark, or a reason to refuse. */
export class Diagnostic {
  standardCode: string = "";

  constructor(public severity: string, public code: string, public message: string, public at: Location | null = null) {}

  toJson(): Json {
    const json = Json.object().putText("severity", this.severity).putText("code", this.code);
    if (this.standardCode.length) json.putText("standard_code", this.standardCode);
    const at = this.at;
    if (at != null) {
      const place = Json.object().putText("scheme", at.scheme).putText("path", at.path);
      if (at.offset >= 0) place.put("offset", number(at.offset)).put("length", number(at.length));
      json.put("at", place);
    }
    return json.putText("message", this.message);
  }
}

/** A document in a vendor's own format, as it came. */
export class Document {
  constructor(public mediaType: string, public content: Uint8Array, public parameters: Pair[]) {}

  /** The content as text; refuses what is not UTF-8. */
  text(): string {
    const wrong = notUtf8(this.content);
    if (wrong >= 0) throw new Refusal(because("not-utf8", "the document is not UTF-8", new Location("bytes", wrong.toString(), wrong, 1)));
    return String.UTF8.decodeUnsafe(this.content.dataStart, this.content.length);
  }

  /** The content as JSON; refuses what is none. */
  json(): Json {
    const wrong = notUtf8(this.content);
    if (wrong >= 0) throw new Refusal(because("not-utf8", "the document is not UTF-8", new Location("bytes", wrong.toString(), wrong, 1)));
    const reader = new Reader(this.content);
    const value = reader.read();
    if (value == null) {
      const length = reader.at < this.content.length ? 1 : 0;
      throw new Refusal(because("not-understood", "this is no JSON", new Location("bytes", reader.at.toString(), reader.at, length)));
    }
    return value;
  }
}

/** A canonical event without its envelope, which is the gateway's. Every method gives the event on. */
export class Event {
  naturalKeys: Pair[] = [];
  orderKeys: Pair[] = [];
  corrected: Pair[] = [];
  number: string = "";
  time: string = "";

  constructor(public kind: string, public data: Json) {}

  /** Adds to what makes it the same business fact: `("shipment", "4711")`. */
  naturalKey(kind: string, value: string): this {
    this.naturalKeys.push(new Pair(kind, value));
    return this;
  }

  /** Adds a business key whose order it keeps; the flow's own key, usually the order, comes first. */
  orderKey(kind: string, value: string): this {
    this.orderKeys.push(new Pair(kind, value));
    return this;
  }

  /** When it happened. */
  occurredAt(time: Time): this {
    this.time = time.toString();
    return this;
  }

  /** The source's own number of it, where the source counts. */
  sequence(number: string): this {
    this.number = number;
    return this;
  }

  /** Adds to the natural key of the fact that it corrects or reverses. */
  corrects(kind: string, value: string): this {
    this.corrected.push(new Pair(kind, value));
    return this;
  }

  toJson(): Json {
    const json = Json.object().putText("type", this.kind).put("natural_key", pairs(this.naturalKeys));
    json.put("order_keys", pairs(this.orderKeys));
    if (this.number.length) json.putText("sequence", this.number);
    if (this.corrected.length) json.put("corrects", pairs(this.corrected));
    if (this.time.length) json.putText("occurred_at", this.time);
    return json.put("data", this.data);
  }
}

/** A unit that could not be mapped while its neighbours could. */
export class Reject {
  constructor(public unit: string, public at: Location, public diagnostics: Diagnostic[]) {}
}

/** What became of a document: events, units that could not be mapped, and remarks. */
export class Mapped {
  rejects: Reject[] = [];
  diagnostics: Diagnostic[] = [];

  constructor(public events: Event[]) {}
}

/** An event as the gateway recorded it. */
export class Recorded {
  id: string = "";
  source: string = "";
  recordedAt: string = "";
  kind: string = "";
  naturalKey: Pair[] = [];
  orderKeys: Pair[] = [];
  occurredAt: string = "";
  data: Json = Json.object();
}

/** A document in a target's own format, as it goes. Parameters are values for the target's URL template. */
export class Output {
  parameters: Pair[] = [];

  constructor(public mediaType: string, public content: string) {}

  parameter(name: string, value: string): this {
    this.parameters.push(new Pair(name, value));
    return this;
  }
}

/** How one part of a document ended. */
export class Outcome {
  /** `transaction-set`, or `document` where there is nothing to take apart. */
  unit: string = "";
  /** The segments that enclose it. */
  envelope: string = "";
  accepted: bool = false;
  /** Objects with `severity`, `code`, `standard_code`, `at`, `message` and `more`. */
  diagnostics: Json[] = [];
  /** The part's own first segment as `header`, its group's last as `group-trailer`. */
  more: Pair[] = [];
}

/** What a mapper offers. */
export class Mapper {
  /** Reads a document and drafts the events that it tells of. */
  toCanonical(context: Context, document: Document): Mapped {
    throw new Refusal(because("unsupported", "this mapper reads no documents"));
  }

  /** Writes the document that tells a target of these events. */
  fromCanonical(context: Context, events: Recorded[]): Output {
    throw new Refusal(because("unsupported", "this mapper writes no documents"));
  }

  /** Writes the functional acknowledgement of a document whose parts ended so; null where there is none. */
  acknowledge(context: Context, outcomes: Outcome[]): Output | null {
    throw new Refusal(because("unsupported", "this mapper writes no acknowledgements"));
  }
}

/** Why a document is not accepted: `throw new Refusal(because("missing", "the shipment has no number", at("/number")))`. */
export class Refusal extends Error {}

let reason: Diagnostic | null = null;

/** A reason to refuse. The compiler evaluates nothing of what is thrown but the first argument, so the reason is one. */
export function because(code: string, message: string, place: Location | null = null): string {
  reason = new Diagnostic("error", code, message, place);
  return message;
}

/** A line in the gateway's log of this message; 4 KiB of them are kept. */
export function log(message: string): void {
  print(2, message + "\n");
}

/** The row of a table that the operation grants, by column; null where there is none. */
export function lookup(table: string, key: string[]): Json | null {
  const name = String.UTF8.encode(table);
  const parts = Json.array();
  for (let n = 0; n < key.length; n++) parts.items.push(Json.string(key[n]));
  const asked = String.UTF8.encode(parts.toString(), false, String.UTF8.ErrorMode.REPLACE);
  let out = new Uint8Array(1024);
  while (true) {
    const length = host_lookup(changetype<usize>(name), name.byteLength, changetype<usize>(asked), asked.byteLength, out.dataStart, out.length);
    if (length < 0) return null;
    if (length <= out.length) return new Reader(out.subarray(0, length)).read();
    out = new Uint8Array(length);
  }
}

// Parts of the canonical model.

/** Do the digits end in the check digit that GS1 (GTIN, GLN, SSCC) asks for? */
export function checkGs1(digits: string): bool {
  if (digits.length < 2 || digits.length > 64) return false;
  let sum = 0;
  for (let n = 0; n < digits.length; n++) {
    const digit = digits.charCodeAt(digits.length - 1 - n) - 0x30;
    if (digit < 0 || digit > 9) return false;
    sum += digit * (n % 2 ? 3 : 1);
  }
  return sum % 10 == 0;
}

/** A GTIN as an identifier, its check digit held against the rest. */
export function gtin(digits: string): Json {
  const check = checkGs1(digits) ? "valid" : "invalid";
  return Json.object().putText("scheme", "gtin").putText("value", digits).putText("check", check);
}

/** A quantity whose unit the document does not name. */
export function quantity(value: string): Json {
  return Json.object().putText("value", value);
}

/** A moment, or a local time. */
export class Time {
  constructor(public text: string, public isMoment: bool, public zone: string, public classifier: string) {}

  toJson(): Json {
    const json = Json.object().putText(this.isMoment ? "at" : "local", this.text);
    if (!this.isMoment && this.zone.length) json.putText("zone", this.zone);
    return json.putText("basis", this.isMoment ? "offset" : "local").putText("classifier", this.classifier);
  }

  /** As an event's `occurred_at` wants it: a local time with its zone in brackets (RFC 9557). */
  toString(): string {
    const zoned = !this.isMoment && this.zone.length > 0 && this.text.includes("T");
    return zoned ? `${this.text}[${this.zone}]` : this.text;
  }
}

/**
 * A time of the document, in the form of RFC 3339: a moment where it states its offset, else local, in the partner's
 * zone if the policy knows it; a day where it says no more. Refuses what is none of these (`not-a-time`, at the place).
 */
export function time(text: string, zone: string, place: Location | null = null, classifier: string = "actual"): Time {
  const end = timeEnd(text);
  if (end < 0) throw new Refusal(because("not-a-time", "a time is needed, as in 2026-11-20T14:05:00+01:00", place));
  return new Time(text, end < text.length, zone, classifier);
}

/** Where the offset of a time begins, the end where it states none; -1 where it is no time. */
function timeEnd(text: string): i32 {
  const year = digits(text, 0, 4, 9999);
  const month = marked(text, 4, 0x2d, 12);
  const day = marked(text, 7, 0x2d, 31);
  if (year < 0 || month < 1 || day < 1 || day > days(year, month)) return -1;
  if (text.length == 10) return 10;
  if (marked(text, 10, 0x54, 23) < 0 || marked(text, 13, 0x3a, 59) < 0 || marked(text, 16, 0x3a, 59) < 0) return -1;
  let end = 19;
  if (end < text.length && text.charCodeAt(end) == 0x2e) {
    const from = ++end;
    while (end < text.length && digits(text, end, 1, 9) >= 0) end++;
    if (end == from || end - from > 9) return -1;
  }
  if (end == text.length) return end;
  const mark = text.charCodeAt(end);
  if (mark == 0x5a) return text.length == end + 1 ? end : -1;
  if (mark != 0x2b && mark != 0x2d) return -1;
  const whole = text.length == end + 6 && digits(text, end + 1, 2, 23) >= 0 && marked(text, end + 3, 0x3a, 59) >= 0;
  return whole ? end : -1;
}

function marked(text: string, from: i32, mark: i32, most: i32): i32 {
  return from < text.length && text.charCodeAt(from) == mark ? digits(text, from + 1, 2, most) : -1;
}

function digits(text: string, from: i32, count: i32, most: i32): i32 {
  if (from + count > text.length) return -1;
  let value = 0;
  for (let n = from; n < from + count; n++) {
    const digit = text.charCodeAt(n) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= most ? value : -1;
}

function days(year: i32, month: i32): i32 {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// The program: the direction and the context are arguments, the document or the events are on the standard input, what
// is answered goes to the standard output, diagnostics go to the standard error.

/** Answers the gateway. */
export function run(mapper: Mapper): void {
  const given = programArguments();
  if (given.length < 3) fail("a direction and a context are needed as arguments");
  const told = parsed(Uint8Array.wrap(String.UTF8.encode(given[2])));
  const context = contextOf(told);
  const content = input();
  if (given[1] == "to-canonical") {
    const document = new Document(told.textOf("media_type"), content, pairsOf(told.get("parameters")));
    print(1, mappedJson(mapper.toCanonical(context, document)).toString());
  } else if (given[1] == "from-canonical") {
    const events = parsed(content).items.map<Recorded>((value) => recorded(value));
    writeOutput(mapper.fromCanonical(context, events));
  } else {
    const outcomes = parsed(content).items.map<Outcome>((value) => outcome(value));
    const output = mapper.acknowledge(context, outcomes);
    if (output != null) writeOutput(output);
  }
}

/** Ends the program: a refusal, or the mapper's own failure. The compiler calls it for `throw` and what cannot go on. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const refused = reason;
  if (refused != null) {
    print(2, refused.toJson().toString() + "\n");
    proc_exit(1);
  }
  const what = message == null ? "aborted" : message;
  fail(`${what} in ${file == null ? "?" : file}:${line}:${column}`);
}

function fail(what: string): void {
  print(2, "error: " + what + "\n");
  proc_exit(2);
}

function contextOf(told: Json): Context {
  const context = new Context();
  context.partner = told.textOf("partner");
  context.sender = told.textOf("sender");
  context.receiver = told.textOf("receiver");
  context.operation = told.textOf("operation");
  context.version = told.textOf("version");
  context.stage = told.textOf("stage");
  context.receivedAt = told.textOf("received_at");
  context.zone = told.textOf("zone");
  context.controlNumbers = pairsOf(told.get("control_numbers"));
  const config = told.get("config");
  if (config != null) context.config = config;
  return context;
}

function recorded(value: Json): Recorded {
  const event = new Recorded();
  event.id = value.textOf("id");
  event.source = value.textOf("source");
  event.recordedAt = value.textOf("recorded_at");
  event.kind = value.textOf("type");
  event.naturalKey = pairsOf(value.get("natural_key"));
  event.orderKeys = pairsOf(value.get("order_keys"));
  event.occurredAt = value.textOf("occurred_at");
  const data = value.get("data");
  if (data != null) event.data = data;
  return event;
}

function outcome(value: Json): Outcome {
  const ended = new Outcome();
  const part = value.get("part");
  if (part != null) {
    ended.unit = part.textOf("unit");
    ended.envelope = part.textOf("envelope");
  }
  const accepted = value.get("accepted");
  ended.accepted = accepted != null && accepted.kind == Kind.True;
  const diagnostics = value.get("diagnostics");
  if (diagnostics != null) ended.diagnostics = diagnostics.items;
  ended.more = pairsOf(value.get("more"));
  return ended;
}

function mappedJson(mapped: Mapped): Json {
  const rejects = Json.array();
  for (let n = 0; n < mapped.rejects.length; n++) {
    const each = mapped.rejects[n];
    const place = Json.object().putText("scheme", each.at.scheme).putText("path", each.at.path);
    if (each.at.offset >= 0) place.put("offset", number(each.at.offset)).put("length", number(each.at.length));
    const reject = Json.object().putText("unit", each.unit).put("at", place);
    rejects.items.push(reject.put("diagnostics", diagnosticsJson(each.diagnostics)));
  }
  const events = Json.array();
  for (let n = 0; n < mapped.events.length; n++) events.items.push(mapped.events[n].toJson());
  const json = Json.object().put("events", events).put("rejects", rejects);
  return json.put("diagnostics", diagnosticsJson(mapped.diagnostics));
}

function diagnosticsJson(diagnostics: Diagnostic[]): Json {
  const json = Json.array();
  for (let n = 0; n < diagnostics.length; n++) json.items.push(diagnostics[n].toJson());
  return json;
}

function writeOutput(output: Output): void {
  const about = Json.object().putText("media_type", output.mediaType).put("parameters", pairs(output.parameters));
  print(2, Json.object().put("document", about).toString() + "\n");
  print(1, output.content);
}

function parsed(content: Uint8Array): Json {
  const value = new Reader(content).read();
  if (value == null) {
    fail("what the gateway gave is no JSON");
    return Json.object();
  }
  return value;
}

function pairs(all: Pair[]): Json {
  const json = Json.array();
  for (let n = 0; n < all.length; n++) json.items.push(Json.array([Json.string(all[n].name), Json.string(all[n].value)]));
  return json;
}

function pairsOf(value: Json | null): Pair[] {
  const found: Pair[] = [];
  if (value == null) return found;
  for (let n = 0; n < value.items.length; n++) {
    const pair = value.items[n].items;
    if (pair.length == 2) found.push(new Pair(pair[0].text, pair[1].text));
  }
  return found;
}

function number(value: i32): Json {
  const json = new Json();
  json.kind = Kind.Number;
  json.text = value.toString();
  return json;
}

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(stream: i32, parts: usize, count: i32, length: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(stream: i32, parts: usize, count: i32, length: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_sizes_get")
declare function args_sizes_get(count: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_get")
declare function args_get(places: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(code: i32): void;
// @ts-ignore: decorator
@external("crossdock", "lookup")
declare function host_lookup(table: usize, tableLength: i32, key: usize, keyLength: i32, out: usize, room: i32): i32;

/** Where streams are told their places: a place, a length, and how much was done. */
const parts = memory.data(12);

function print(stream: i32, text: string): void {
  // Half of a surrogate pair, which a sender may write as `\ud800`, becomes the replacement character.
  const bytes = String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
  let done = 0;
  while (done < bytes.byteLength) {
    store<u32>(parts, <u32>changetype<usize>(bytes) + done);
    store<u32>(parts, bytes.byteLength - done, 4);
    if (fd_write(stream, parts, 1, parts + 8)) return proc_exit(3);
    done += load<u32>(parts, 8);
  }
}

function input(): Uint8Array {
  let whole = new Uint8Array(16 << 10);
  let length = 0;
  while (true) {
    if (length == whole.length) {
      const larger = new Uint8Array(whole.length * 2);
      larger.set(whole);
      whole = larger;
    }
    store<u32>(parts, <u32>whole.dataStart + length);
    store<u32>(parts, whole.length - length, 4);
    if (fd_read(0, parts, 1, parts + 8)) proc_exit(3);
    const read = load<u32>(parts, 8);
    if (read == 0) return whole.subarray(0, length);
    length += read;
  }
}

function programArguments(): string[] {
  args_sizes_get(parts, parts + 4);
  const count = load<u32>(parts);
  const places = heap.alloc(count * 4);
  args_get(places, heap.alloc(load<u32>(parts, 4)));
  const found: string[] = [];
  for (let n: u32 = 0; n < count; n++) {
    const place = <usize>load<u32>(places + n * 4);
    let length: usize = 0;
    while (load<u8>(place + length)) length++;
    found.push(String.UTF8.decodeUnsafe(place, length));
  }
  return found;
}
