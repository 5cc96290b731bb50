// Write a mapper in JavaScript or TypeScript: what turns a vendor's documents into canonical events, and events into
// documents.
//
//     import { event, mapper, refuse } from "./sdk/crossdock";
//
//     export const { toCanonical, fromCanonical, acknowledge } = mapper({
//       toCanonical(context, document) {
//         const { shipmentId } = document.json();
//         if (!shipmentId) refuse("missing", "the shipment has no number", "/shipmentId");
//         return event("shipment.dispatched", { shipment: shipmentId }).naturalKey("shipment", shipmentId);
//       },
//     });
//
// A mapper is a pure function: no clock, no randomness, no network, no memory of the message before. A direction that
// it leaves out answers `unsupported`.

import { write } from "crossdock:mapper/log@1.0.0";
import { lookup as lookUp } from "crossdock:mapper/tables@1.0.0";

/** A name and its value; order and repeats are kept. */
export type Pair = [string, string];

/** A place in the sender's own document: `json-pointer`, `xpath`, `x12`, `edifact`, `csv` or `bytes`. */
export interface Location {
  scheme: string;
  path: string;
  /** Bytes within the document. */
  offset?: number;
  length?: number;
}

export interface Diagnostic {
  severity: "info" | "warning" | "error";
  code: string;
  /** The standard's own code for it, for acknowledgements. */
  standardCode?: string;
  at?: Location;
  message: string;
  more?: Pair[];
}

export interface Part {
  index: number;
  unit: string;
  offset: number;
  envelope: Uint8Array;
}

/** What a mapper knows besides the document. The same context and document always give the same result. */
export interface Context {
  partner: string;
  sender: string;
  receiver: string;
  operation: string;
  version: string;
  stage: "request" | "answer";
  /** RFC 3339; the only clock a mapper sees. */
  receivedAt: string;
  /** IANA zone for times that carry none, where the policy knows it. */
  zone?: string;
  controlNumbers: Pair[];
  part?: Part;
  /** The mapper's configuration from the policy. */
  config: Uint8Array;
  more: Pair[];
}

/** A canonical event without its envelope, which is the gateway's. Every method gives the event on. */
export class Event {
  schemaVersion = "1.0";
  keys: Pair[] = [];
  orderKeys: Pair[] = [];
  number?: string;
  corrected: Pair[] = [];
  time?: string;

  constructor(readonly kind: string, readonly data: unknown) {}

  /** Adds to what makes it the same business fact: `("shipment", "4711")`. */
  naturalKey(kind: string, value: string): this {
    this.keys.push([kind, value]);
    return this;
  }

  /** Adds a business key whose order it keeps; the flow's own key, usually the order, comes first. */
  orderKey(kind: string, value: string): this {
    this.orderKeys.push([kind, value]);
    return this;
  }

  /** When it happened: a canonical time, or text. */
  occurredAt(time: Time | string | undefined): this {
    this.time = typeof time === "object" ? timeText(time) : time;
    return this;
  }

  /** The source's own number of it, where the source counts. */
  sequence(number: string): this {
    this.number = number;
    return this;
  }

  /** Adds to the natural key of the fact that it corrects or reverses. */
  corrects(kind: string, value: string): this {
    this.corrected.push([kind, value]);
    return this;
  }
}

/** An event of a kind, with data by its canonical schema. */
export const event = (kind: string, data: unknown): Event => new Event(kind, data);

/** An event as the gateway recorded it. */
export interface Recorded {
  id: string;
  source: string;
  recordedAt: string;
  kind: string;
  schemaVersion: string;
  naturalKey: Pair[];
  orderKeys: Pair[];
  sequence?: string;
  corrects: Pair[];
  occurredAt?: string;
  /** Decimals in it are texts. */
  data: any;
}

export interface Reject {
  unit: string;
  at: Location;
  diagnostics: Diagnostic[];
}

export interface Mapped {
  events: Event[];
  /** Units that could not be mapped while their neighbours could. */
  rejects?: Reject[];
  /** Remarks on a document that is accepted. */
  diagnostics?: Diagnostic[];
}

/** A document in a vendor's own format, as it came. */
export class Input {
  constructor(readonly mediaType: string, readonly content: Uint8Array, readonly parameters: Pair[]) {}

  /** The content as text; refuses what is not UTF-8. */
  text(): string {
    return decode(this.content, (at) => {
      const place = { scheme: "bytes", path: `${at}`, offset: at, length: 1 };
      refuse("not-utf8", "the document is not UTF-8", place);
    });
  }

  /**
   * The content as JSON; refuses what is none. Whole numbers become numbers, as long as they are exact; every other
   * number becomes the text that it was written with, so that no decimal loses a digit: `20.0` is "20.0".
   */
  json(): any {
    return parse(this.text());
  }
}

/** A document in a target's own format, as it goes. */
export interface Output {
  mediaType: string;
  content: string | Uint8Array;
  /** Values for the target's URL template and the headers that it allows. */
  parameters?: Pair[];
}

/** A document of a value as JSON. */
export const jsonOutput = (value: unknown, parameters: Pair[] = []): Output =>
  ({ mediaType: "application/json", content: JSON.stringify(value), parameters });

export interface Outcome {
  part: Part;
  accepted: boolean;
  diagnostics: Diagnostic[];
}

/** What a mapper offers. */
export interface Mapper {
  /** Reads a document and drafts the events that it tells of. */
  toCanonical?(context: Context, document: Input): Event | Event[] | Mapped;
  /** Writes the document that tells a target of these events. */
  fromCanonical?(context: Context, events: Recorded[]): Output;
  /** Writes the functional acknowledgement of a group whose parts ended so. */
  acknowledge?(context: Context, outcomes: Outcome[]): Output | undefined;
}

/** Why a document is not accepted: throw it, or let `refuse` do so. */
export class Refusal extends Error {
  constructor(readonly diagnostics: Diagnostic[]) {
    super(diagnostics.map((diagnostic) => diagnostic.message).join("; "));
  }
}

/** A reason to refuse, at a JSON Pointer or another place. */
export function diagnostic(code: string, message: string, at?: string | Location): Diagnostic {
  return { severity: "error", code, message, at: typeof at === "string" ? { scheme: "json-pointer", path: at } : at };
}

/** Refuses the document. */
export function refuse(code: string, message: string, at?: string | Location): never {
  throw new Refusal([diagnostic(code, message, at)]);
}

/** The row of a table that the operation grants, by column; undefined where there is none. */
export function lookup(table: string, ...key: string[]): Record<string, string> | undefined {
  const row = lookUp(sound(table), key.map(sound));
  return row ? Object.fromEntries(row) : undefined;
}

/** A line in the gateway's log of this message; 4 KiB of them are kept. */
export function log(message: string): void {
  write("info", sound(message));
}

/** Makes the three exports of the contract. */
export function mapper(offered: Mapper) {
  const unsupported = (what: string) => () => refuse("unsupported", `this mapper ${what}`);
  const toCanonical = offered.toCanonical?.bind(offered) ?? unsupported("reads no documents");
  const fromCanonical = offered.fromCanonical?.bind(offered) ?? unsupported("writes no documents");
  const acknowledge = offered.acknowledge?.bind(offered) ?? unsupported("writes no acknowledgements");
  return {
    toCanonical: (context: Context, document: any) => answered(() => {
      const mapped = toCanonical(context, new Input(document.mediaType, bytes(document.content), document.parameters));
      return lowerMapped(mapped instanceof Event ? { events: [mapped] } : Array.isArray(mapped) ? { events: mapped } : mapped);
    }),
    fromCanonical: (context: Context, events: any[]) => answered(() => lowerOutput(fromCanonical(context, events.map(recorded)))),
    acknowledge: (context: Context, outcomes: Outcome[]) => answered(() => {
      const output = acknowledge(context, outcomes);
      return output && lowerOutput(output);
    }),
  };
}

/**
 * Throws what the contract wants: the list of diagnostics. Any other error is the mapper's own, not the sender's: it goes
 * to the log and on, and ends the instance.
 */
function answered<T>(map: () => T): T {
  try {
    return map();
  } catch (error) {
    if (error instanceof Refusal) throw error.diagnostics.map(lowerDiagnostic);
    write("error", sound(error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ""}` : String(error)));
    throw error;
  }
}

// Half of a surrogate pair, which a sender may write as `\ud800`, cannot leave the engine: it becomes the replacement
// character.
const sound = <T extends string | undefined>(text: T): T => text && (text as any).toWellFormed();
const soundPairs = (pairs: Pair[] = []) => pairs.map(([name, value]) => [sound(name), sound(`${value}`)]);

function lowerDiagnostic({ severity, code, standardCode, at, message, more }: Diagnostic) {
  return {
    severity,
    code: sound(code),
    standardCode: sound(standardCode),
    at: at && lowerLocation(at),
    message: sound(message),
    more: soundPairs(more),
  };
}

function lowerLocation({ scheme, path, offset, length }: Location) {
  return { scheme: sound(scheme), path: sound(path), offset, length };
}

function lowerMapped({ events, rejects = [], diagnostics = [] }: Mapped) {
  return {
    events: events.map((event) => ({
      kind: event.kind,
      schemaVersion: event.schemaVersion,
      naturalKey: soundPairs(event.keys),
      orderKeys: soundPairs(event.orderKeys),
      sequence: sound(event.number),
      corrects: soundPairs(event.corrected),
      occurredAt: sound(event.time),
      data: encode(JSON.stringify(event.data)),
      more: [],
    })),
    rejects: rejects.map(({ unit, at, diagnostics }) =>
      ({ unit: sound(unit), at: lowerLocation(at), diagnostics: diagnostics.map(lowerDiagnostic), more: [] })),
    diagnostics: diagnostics.map(lowerDiagnostic),
    more: [],
  };
}

function lowerOutput({ mediaType, content, parameters }: Output) {
  const lowered = typeof content === "string" ? encode(content) : content;
  return { mediaType: sound(mediaType), content: lowered, parameters: soundPairs(parameters), more: [] };
}

function recorded({ id, source, recordedAt, event }: any): Recorded {
  const { kind, schemaVersion, naturalKey, orderKeys, sequence, corrects, occurredAt } = event;
  const data = parse(decode(bytes(event.data), () => refuse("not-utf8", "the event's data is not UTF-8")));
  return { id, source, recordedAt, kind, schemaVersion, naturalKey, orderKeys, sequence, corrects, occurredAt, data };
}

const bytes = (list: Uint8Array | number[]) => (list instanceof Uint8Array ? list : Uint8Array.from(list));

function parse(text: string): any {
  if (isDeep(text)) refuse("not-understood", `the JSON is nested more than ${DEPTH} deep`);
  try {
    // Looking at every value costs as much as the rest, so it is done where a number asks for it.
    if (!/[0-9][.eE]|-0|[0-9]{16}/.test(text)) return JSON.parse(text);
    // The reviver's third argument has the number as it was written; its type is younger than most compilers.
    const revive: any = (_: string, value: unknown, written?: { source?: string }) =>
      typeof value !== "number" || written?.source === undefined || isExact(value, written.source) ? value : written.source;
    return JSON.parse(text, revive);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // The engine counts characters, a place counts bytes.
    const [, position] = /position ([0-9]+)/.exec(message) ?? [];
    const offset = position === undefined ? undefined : encode(text.slice(0, Number(position))).length;
    refuse("not-understood", message, offset === undefined ? undefined : { scheme: "bytes", path: `${offset}`, offset, length: Number(position) < text.length ? 1 : 0 });
  }
}

/** Deeper than any document; the engine's own parser would run out of stack. */
const DEPTH = 1000;

function isDeep(text: string): boolean {
  if (text.split(/[[{]/, DEPTH + 2).length <= DEPTH + 1) return false;
  let depth = 0;
  for (const [found] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    depth += found === "[" || found === "{" ? 1 : found === "]" || found === "}" ? -1 : 0;
    if (depth > DEPTH) return true;
  }
  return false;
}

const isExact = (value: number, source: string) => Number.isSafeInteger(value) && String(value) === source;

// The engine has neither TextDecoder nor TextEncoder, and a loop over bytes would cost more than the mapping. These go
// through what it has built in; `any`, for the types of base64 and well-formed text are younger than most compilers.

/** UTF-8 to text; `wrong` hears where it is none. */
function decode(from: Uint8Array, wrong: (at: number) => never): string {
  const latin: string = atob((from as any).toBase64());
  if (isAscii(latin)) return latin;
  try {
    return decodeURIComponent(escape(latin));
  } catch {
    return wrong(validUpTo(from));
  }
}

/** Text to UTF-8; half of a surrogate pair becomes the replacement character. */
function encode(text: string): Uint8Array {
  const latin = isAscii(text) ? text : unescape(encodeURIComponent((text as any).toWellFormed()));
  return (Uint8Array as any).fromBase64(btoa(latin));
}

const isAscii = (text: string) => !/[^\x00-\x7f]/.test(text);

/** Where the first bytes are that are no character. */
function validUpTo(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at];
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const hex = [...bytes.subarray(at, at + length)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`);
    try {
      decodeURIComponent(hex.join(""));
    } catch {
      break;
    }
    at += length;
  }
  return at;
}

// Parts of the canonical model.

/** An identifier whose last digit GS1 defines; a wrong one is kept and flagged. */
export function gtin(value: string) {
  return { scheme: "gtin", value, check: checkGs1(value) ? "valid" : "invalid" };
}

/** Do the digits end in the check digit that GS1 (GTIN, GLN, SSCC) asks for? */
export function checkGs1(digits: string): boolean {
  if (!/^[0-9]{2,64}$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) sum += Number(digits[digits.length - 1 - i]) * (i % 2 ? 3 : 1);
  return sum % 10 === 0;
}

export interface Time {
  at?: string;
  local?: string;
  zone?: string;
  basis: "offset" | "local";
  classifier: "actual" | "planned" | "estimated";
}

/**
 * A time of the document, in the form of RFC 3339: a moment where it states its offset, else local, in the partner's
 * zone if the policy knows it; a day where it says no more. Refuses what is none of these (`not-a-time`, at the place).
 */
export function time(text: string, zone?: string, at?: string | Location, classifier: Time["classifier"] = "actual"): Time {
  const form = /^([0-9]{4})-([0-9]{2})-([0-9]{2})(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$/;
  const found = form.exec(text);
  if (!found || !isDay(+found[1], +found[2], +found[3])) refuse("not-a-time", "a time is needed, as in 2026-11-20T14:05:00+01:00", at);
  if (found[7]) return { at: text, basis: "offset", classifier };
  return { local: text, ...(zone ? { zone } : {}), basis: "local", classifier };
}

function isDay(year: number, month: number, day: number): boolean {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return day >= 1 && day <= days;
}

/** The time as an event's `occurredAt` wants it: a local one with its zone in brackets (RFC 9557). */
function timeText({ at, local, zone }: Time): string | undefined {
  return at ?? (local !== undefined && zone && local.includes("T") ? `${local}[${zone}]` : local);
}
