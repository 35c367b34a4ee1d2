/**
 * Reads protobuf wire primitives from a Uint8Array without allocating.
 *
 * How strict it is (docs/decisions/0012): a tag is at most 5 bytes and fits 32 bits, a length is at most 5 bytes and
 * fits 31 bits, a value varint is at most 10 bytes (padding allowed, bits beyond 64 dropped), field number 0 and
 * wire types 6 and 7 are faults, a group must be closed by its own number.
 *
 * Invariants:
 * 1. No byte at or past the `end` given to a method is ever read.
 * 2. After a method returns, pos <= end. After it throws, the reader is of no use until `open`.
 */

/** Why a message is refused. Not an Error: no stack is wanted, and a flood of bad requests must stay cheap. */
export class WireFault {
  readonly reason: string;
  readonly detail: string;
  /** The path of the field, where whoever throws knows it better than the scanner. */
  readonly field: string | undefined;

  constructor(reason: string, detail: string, field?: string) {
    this.reason = reason;
    this.detail = detail;
    this.field = field;
  }
}

/** The limit of protobuf implementations on messages and groups within each other. */
const MAX_DEPTH = 100;
const NO_BYTES = new Uint8Array(0);

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
const WIRE_GROUP_START = 3;
const WIRE_GROUP_END = 4;
const WIRE_FIXED32 = 5;

export class WireReader {
  bytes: Uint8Array = NO_BYTES;
  pos = 0;
  /** The varint read last, as two signed 32-bit halves. */
  lo = 0;
  hi = 0;
  readonly #openGroups = new Int32Array(MAX_DEPTH);

  open(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.pos = 0;
  }

  /** Lets go of the input, so that an idle reader does not keep a request alive. */
  release(): void {
    this.bytes = NO_BYTES;
  }

  /** The tag as a signed 32-bit number, which stays a small integer for the engine; `tag >>> 3` is the field. */
  readTag(end: number): number {
    const bytes = this.bytes;
    let pos = this.pos;
    if (pos >= end) throw truncated('a tag');
    let byte = bytes[pos++]!;
    let tag = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (pos >= end) throw truncated('a tag');
      byte = bytes[pos++]!;
      if (shift === 28 && byte > 0x0f) throw new WireFault('bad_tag', 'a tag is longer than 32 bits');
      tag |= (byte & 0x7f) << shift;
    }
    if (tag >>> 3 === 0) throw new WireFault('bad_tag', 'field number 0 is not allowed');
    this.pos = pos;
    return tag;
  }

  /** Reads a length and returns where the payload ends; `pos` is where it starts. */
  readPayloadEnd(end: number): number {
    const bytes = this.bytes;
    let pos = this.pos;
    if (pos >= end) throw truncated('a length');
    let byte = bytes[pos++]!;
    let length = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (pos >= end) throw truncated('a length');
      byte = bytes[pos++]!;
      if (shift === 28 && byte > 0x07) throw new WireFault('bad_varint', 'a length is longer than 31 bits');
      length |= (byte & 0x7f) << shift;
    }
    this.pos = pos;
    if (length > end - pos) {
      throw new WireFault('truncated', `${length} bytes are announced but only ${end - pos} follow`);
    }
    return pos + length;
  }

  /** Reads a 64-bit varint into `lo` and `hi`. */
  readVarint(end: number): void {
    const bytes = this.bytes;
    let pos = this.pos;
    if (pos >= end) throw truncated('a varint');
    let byte = bytes[pos++]!;
    let lo = byte & 0x7f;
    let hi = 0;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (pos >= end) throw truncated('a varint');
      if (shift === 70) throw new WireFault('bad_varint', 'a varint is longer than 10 bytes');
      byte = bytes[pos++]!;
      const bits = byte & 0x7f;
      if (shift < 28) {
        lo |= bits << shift;
      } else if (shift === 28) {
        lo |= bits << 28;
        hi = bits >>> 4;
      } else {
        hi |= bits << (shift - 32);
      }
    }
    this.pos = pos;
    this.lo = lo;
    this.hi = hi;
  }

  skipBytes(count: number, end: number): void {
    if (count > end - this.pos) throw truncated('a fixed-width value');
    this.pos += count;
  }

  /**
   * Skips the field whose tag was just read. `depth` is how many messages enclose it. Groups are followed with an
   * explicit list instead of recursion, so hostile nesting costs no stack.
   */
  skipField(tag: number, end: number, depth: number): void {
    let groups = 0;
    let current = tag;
    for (;;) {
      switch (current & 7) {
        case WIRE_VARINT:
          this.readVarint(end);
          break;
        case WIRE_FIXED64:
          this.skipBytes(8, end);
          break;
        case WIRE_BYTES:
          this.pos = this.readPayloadEnd(end);
          break;
        case WIRE_GROUP_START:
          if (depth + groups >= MAX_DEPTH) {
            throw new WireFault('too_deep', `groups are nested deeper than ${MAX_DEPTH}`);
          }
          this.#openGroups[groups++] = current >>> 3;
          break;
        case WIRE_GROUP_END:
          if (groups === 0 || this.#openGroups[--groups] !== current >>> 3) {
            throw new WireFault('bad_group', `a group ends that field ${current >>> 3} did not begin`);
          }
          break;
        case WIRE_FIXED32:
          this.skipBytes(4, end);
          break;
        default:
          throw new WireFault(
            'wire_type',
            `wire type ${current & 7} of field ${current >>> 3} does not exist`,
          );
      }
      if (groups === 0) return;
      current = this.readTag(end);
    }
  }
}

function truncated(what: string): WireFault {
  return new WireFault('truncated', `the message ends within ${what}`);
}
