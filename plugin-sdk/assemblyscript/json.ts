// JSON, read and written. A number keeps the text that it was written with, so no decimal loses a digit.

export enum Kind { Null, False, True, Number, String, Array, Object }

/** Values that hold others lie at most so deep: what is deeper is refused, and never runs out of stack. */
const DEEPEST = 128;

/** A value of JSON, read from a document or put together for an event. */
export class Json {
  kind: Kind = Kind.Null;
  /** Of a string, unescaped; of a number, as written. */
  text: string = "";
  /** Of an array or object. */
  items: Json[] = [];
  /** Names of an object's members, beside `items`. */
  names: string[] = [];
  /** Where it is in the document, in bytes. */
  offset: i32 = 0;
  length: i32 = 0;

  static string(text: string): Json {
    const value = new Json();
    value.kind = Kind.String;
    value.text = text;
    return value;
  }

  static object(): Json {
    const value = new Json();
    value.kind = Kind.Object;
    return value;
  }

  static array(items: Json[] = []): Json {
    const value = new Json();
    value.kind = Kind.Array;
    value.items = items;
    return value;
  }

  /** Adds a member to an object and gives the object on. */
  put(name: string, value: Json): this {
    this.names.push(name);
    this.items.push(value);
    return this;
  }

  /** Adds a member that is text. */
  putText(name: string, text: string): this {
    return this.put(name, Json.string(text));
  }

  /** A member of an object; null where there is none. Of two alike the last one counts. */
  get(name: string): Json | null {
    for (let at = this.names.length - 1; at >= 0; at--) if (this.names[at] == name) return this.items[at];
    return null;
  }

  /** The text of a member that is a string; "" where it is none. */
  textOf(name: string): string {
    const found = this.get(name);
    return found != null && found.kind == Kind.String ? found.text : "";
  }

  get isString(): bool {
    return this.kind == Kind.String;
  }

  get isArray(): bool {
    return this.kind == Kind.Array;
  }

  /** The value of a whole number from 0 to 4294967295; -1 where it is none. */
  get count(): i64 {
    if (this.kind != Kind.Number || this.text.length > 10) return -1;
    let value: i64 = 0;
    for (let at = 0; at < this.text.length; at++) {
      const digit = this.text.charCodeAt(at) - 0x30;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value <= <i64>u32.MAX_VALUE ? value : -1;
  }

  toString(): string {
    const parts: string[] = [];
    write(this, parts);
    return parts.join("");
  }
}

function write(value: Json, parts: string[]): void {
  switch (value.kind) {
    case Kind.Null: parts.push("null"); break;
    case Kind.False: parts.push("false"); break;
    case Kind.True: parts.push("true"); break;
    case Kind.Number: parts.push(value.text); break;
    case Kind.String: parts.push(quoted(value.text)); break;
    case Kind.Array:
      parts.push("[");
      for (let at = 0; at < value.items.length; at++) {
        if (at) parts.push(",");
        write(value.items[at], parts);
      }
      parts.push("]");
      break;
    default:
      parts.push("{");
      for (let at = 0; at < value.items.length; at++) {
        if (at) parts.push(",");
        parts.push(quoted(value.names[at]));
        parts.push(":");
        write(value.items[at], parts);
      }
      parts.push("}");
  }
}

/** Text as JSON. */
function quoted(text: string): string {
  let plain = true;
  for (let at = 0; at < text.length && plain; at++) {
    const unit = text.charCodeAt(at);
    plain = unit >= 0x20 && unit != 0x22 && unit != 0x5c;
  }
  if (plain) return '"' + text + '"';
  const parts: string[] = ['"'];
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x20 && unit != 0x22 && unit != 0x5c) continue;
    parts.push(text.substring(from, at));
    parts.push(unit < 0x20 ? "\\u00" + (unit < 0x10 ? "0" : "") + unit.toString(16) : "\\" + String.fromCharCode(unit));
    from = at + 1;
  }
  parts.push(text.substring(from));
  parts.push('"');
  return parts.join("");
}

/** Reads one value. */
export class Reader {
  at: i32 = 0;
  private depth: i32 = 0;

  constructor(private bytes: Uint8Array) {}

  /** The value that is all of the bytes; null where it is none, and `at` then says where. */
  read(): Json | null {
    const value = this.value();
    if (value == null) return null;
    this.blanks();
    return this.at == this.bytes.length ? value : null;
  }

  private peek(): i32 {
    return this.at < this.bytes.length ? <i32>unchecked(this.bytes[this.at]) : -1;
  }

  private blanks(): void {
    while (true) {
      const byte = this.peek();
      if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return;
      this.at++;
    }
  }

  private value(): Json | null {
    this.blanks();
    const value = new Json();
    value.offset = this.at;
    let good = false;
    switch (this.peek()) {
      case 0x7b: good = this.object(value); break;
      case 0x5b: good = this.array(value); break;
      case 0x22: good = this.string(value); break;
      case 0x6e: good = this.word("null"); break;
      case 0x74:
        value.kind = Kind.True;
        good = this.word("true");
        break;
      case 0x66:
        value.kind = Kind.False;
        good = this.word("false");
        break;
      default: good = this.number(value);
    }
    value.length = this.at - value.offset;
    return good ? value : null;
  }

  private word(word: string): bool {
    for (let n = 0; n < word.length; n++, this.at++) if (this.peek() != word.charCodeAt(n)) return false;
    return true;
  }

  private object(value: Json): bool {
    value.kind = Kind.Object;
    if (++this.depth > DEEPEST) return false;
    this.at++;
    this.blanks();
    if (this.takes(0x7d)) return this.leave();
    while (true) {
      this.blanks();
      const name = new Json();
      if (this.peek() != 0x22 || !this.string(name)) return false;
      this.blanks();
      if (!this.takes(0x3a)) return false;
      const item = this.value();
      if (item == null) return false;
      value.put(name.text, item);
      this.blanks();
      if (this.takes(0x7d)) return this.leave();
      if (!this.takes(0x2c)) return false;
    }
  }

  private array(value: Json): bool {
    value.kind = Kind.Array;
    if (++this.depth > DEEPEST) return false;
    this.at++;
    this.blanks();
    if (this.takes(0x5d)) return this.leave();
    while (true) {
      const item = this.value();
      if (item == null) return false;
      value.items.push(item);
      this.blanks();
      if (this.takes(0x5d)) return this.leave();
      if (!this.takes(0x2c)) return false;
    }
  }

  private leave(): bool {
    this.depth--;
    return true;
  }

  private takes(byte: i32): bool {
    if (this.peek() != byte) return false;
    this.at++;
    return true;
  }

  private string(value: Json): bool {
    value.kind = Kind.String;
    let from = ++this.at;
    let parts: string[] | null = null;
    while (true) {
      const byte = this.peek();
      if (byte < 0x20) return false;
      if (byte == 0x22) break;
      if (byte != 0x5c) {
        this.at++;
        continue;
      }
      if (parts == null) parts = [];
      parts.push(this.slice(from));
      this.at++;
      const unit = this.escape();
      if (unit < 0) return false;
      parts.push(String.fromCharCode(unit));
      from = this.at;
    }
    const last = this.slice(from);
    this.at++;
    if (parts == null) {
      value.text = last;
    } else {
      parts.push(last);
      value.text = parts.join("");
    }
    return true;
  }

  private slice(from: i32): string {
    return String.UTF8.decodeUnsafe(this.bytes.dataStart + from, this.at - from);
  }

  private escape(): i32 {
    const byte = this.peek();
    this.at++;
    switch (byte) {
      case 0x22: case 0x5c: case 0x2f: return byte;
      case 0x62: return 8;
      case 0x66: return 12;
      case 0x6e: return 10;
      case 0x72: return 13;
      case 0x74: return 9;
      case 0x75: break;
      default: return -1;
    }
    let unit = 0;
    for (let n = 0; n < 4; n++, this.at++) {
      const digit = this.peek();
      const small = digit | 0x20;
      if (digit >= 0x30 && digit <= 0x39) unit = unit * 16 + digit - 0x30;
      else if (small >= 0x61 && small <= 0x66) unit = unit * 16 + small - 0x57;
      else return -1;
    }
    return unit;
  }

  private digits(): bool {
    const from = this.at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39) this.at++;
    return this.at > from;
  }

  private number(value: Json): bool {
    value.kind = Kind.Number;
    const from = this.at;
    this.takes(0x2d);
    if (!this.takes(0x30) && !this.digits()) return false;
    if (this.takes(0x2e) && !this.digits()) return false;
    if ((this.peek() | 0x20) == 0x65 && this.peek() > 0) {
      this.at++;
      if (!this.takes(0x2b)) this.takes(0x2d);
      if (!this.digits()) return false;
    }
    value.text = this.slice(from);
    return true;
  }
}

/** The first byte that is no UTF-8; -1 where all is. */
export function notUtf8(bytes: Uint8Array): i32 {
  let at = 0;
  while (at < bytes.length) {
    const first = <i32>bytes[at];
    let more = 0;
    let least = 0x80;
    let most = 0xbf;
    if (first < 0x80) {
      at++;
      continue;
    } else if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) least = 0xa0;
      if (first == 0xed) most = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) least = 0x90;
      if (first == 0xf4) most = 0x8f;
    } else {
      return at;
    }
    for (let n = 1; n <= more; n++) {
      const next = at + n < bytes.length ? <i32>bytes[at + n] : -1;
      if (next < least || next > most) return at;
      least = 0x80;
      most = 0xbf;
    }
    at += more + 1;
  }
  return -1;
}
