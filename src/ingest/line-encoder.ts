/**
 * Turns the protobuf bytes of a SensorValuesRequest into JSON lines, one per reading, without an object or a string
 * per reading. A first look over the top level finds the producer fields, which may come after the items, and checks
 * the frame; then UsualLines makes the lines of all readings that have the usual shape, and from the first other one
 * on each item is taken apart (ReadingScanner) and written (LineWriter).
 *
 * Invariants:
 * 1. A request is encoded as a whole or not at all: after -1 `out.length` is what it was.
 * 2. Between calls the encoder holds on to neither the request nor the buffer.
 * 3. `fault` belongs to the last call.
 */
import { isUtf8 } from 'node:buffer';
import type { ByteBuffer } from '../base/byte-buffer.ts';
import { LineWriter, TooLarge } from './line-writer.ts';
import { ReadingFields } from './reading-fields.ts';
import { ReadingScanner } from './reading-scanner.ts';
import type { UsualLines } from './usual-lines.ts';
import { WireFault, WireReader } from './wire-reader.ts';

export interface EncodeFault {
  readonly kind: 'malformed' | 'too_large';
  /** The place of the reading in the request, or -1 when the request itself is at fault. */
  readonly itemIndex: number;
  /** The path of the field, `measurement.created_at.nanos` for example, or '' when no known field is concerned. */
  readonly field: string;
  /** One sentence for the client. */
  readonly message: string;
  /** A short stable word to count by. */
  readonly reason: string;
}

const ITEMS = (1 << 3) | 2;
const PRODUCER_ID = (2 << 3) | 2;
const FIRST_SEQUENCE = (3 << 3) | 0;

/** It stands in every line; names of devices and UUIDs are shorter. The journal's reader of numbers relies on it. */
export const MAX_PRODUCER_ID_BYTES = 256;

export interface RequestNumbering {
  readonly producerId: string;
  readonly first: bigint;
}

export class LineEncoder {
  /** Why the last call returned -1. */
  fault: EncodeFault | undefined;

  readonly #reader = new WireReader();
  readonly #fields = new ReadingFields();
  readonly #scanner = new ReadingScanner(this.#reader, this.#fields);
  readonly #writer = new LineWriter();
  readonly #usual: UsualLines | undefined;

  #itemIndex = -1;
  #topField = '';
  #producerStart = 0;
  #producerEnd = 0;
  #sequenceHi = 0;
  #sequenceLo = 0;

  /** Without `usual` everything goes the general way. */
  constructor(usual: UsualLines | undefined) {
    this.#usual = usual;
  }

  /**
   * Appends the lines of `request` to `out` and returns how many there are; or returns -1, with `fault` set and
   * nothing appended. A request may append up to `maxOutputBytes`.
   */
  encode(request: Uint8Array, receivedAtMs: number, out: ByteBuffer, maxOutputBytes: number): number {
    const lengthBefore = out.length;
    this.fault = undefined;
    try {
      const count = this.#lookOver(request);
      if (count === 0) return 0;
      const limit = lengthBefore + maxOutputBytes;
      const done = this.#encodeUsual(request, receivedAtMs, out, limit);
      if (done < count) this.#encodeRest(request, done, receivedAtMs, out, limit - out.length);
      return count;
    } catch (error) {
      out.length = lengthBefore;
      this.fault = this.#describe(error, maxOutputBytes);
      return -1;
    } finally {
      this.#reader.release();
      this.#writer.release();
    }
  }

  /** Who numbers the readings of the request that was encoded last, and from which number on. */
  numbering(request: Uint8Array): RequestNumbering | undefined {
    if (this.#producerEnd <= this.#producerStart) return undefined;
    const id = Buffer.from(
      request.buffer,
      request.byteOffset + this.#producerStart,
      this.#producerEnd - this.#producerStart,
    );
    const first = (BigInt(this.#sequenceHi >>> 0) << 32n) | BigInt(this.#sequenceLo >>> 0);
    return { producerId: id.toString(), first };
  }

  /** Walks the top level: checks its frame, finds the producer fields and returns the number of items. */
  #lookOver(request: Uint8Array): number {
    const reader = this.#reader;
    const end = request.length;
    reader.open(request);
    this.#producerStart = this.#producerEnd = 0;
    this.#sequenceHi = this.#sequenceLo = 0;
    this.#itemIndex = -1;
    // That of the last request may be the field of its fault.
    this.#scanner.field = '';
    let count = 0;
    while (reader.pos < end) {
      this.#topField = '';
      const tag = reader.readTag(end);
      if (tag === ITEMS) {
        this.#itemIndex = count++;
        reader.pos = reader.readPayloadEnd(end);
        this.#itemIndex = -1;
      } else if (tag === PRODUCER_ID) {
        this.#topField = 'producer_id';
        const payloadEnd = reader.readPayloadEnd(end);
        if (!isUtf8(request.subarray(reader.pos, payloadEnd))) {
          throw new WireFault('bad_utf8', 'the text is not valid UTF-8');
        }
        this.#producerStart = reader.pos;
        this.#producerEnd = reader.pos = payloadEnd;
      } else if (tag === FIRST_SEQUENCE) {
        this.#topField = 'first_sequence';
        reader.readVarint(end);
        this.#sequenceHi = reader.hi;
        this.#sequenceLo = reader.lo;
      } else {
        reader.skipField(tag, end, 0);
      }
    }
    this.#checkNumbering(count);
    return count;
  }

  #checkNumbering(count: number): void {
    const hasProducer = this.#producerEnd > this.#producerStart;
    if (this.#producerEnd - this.#producerStart > MAX_PRODUCER_ID_BYTES) {
      this.#topField = 'producer_id';
      throw new WireFault('producer_id', `it has more than ${MAX_PRODUCER_ID_BYTES} bytes`);
    }
    const hasSequence = (this.#sequenceHi | this.#sequenceLo) !== 0;
    if (hasProducer !== hasSequence) {
      this.#topField = hasProducer ? 'first_sequence' : 'producer_id';
      const other = hasProducer ? 'producer_id' : 'first_sequence';
      throw new WireFault('sequence', `it is missing or empty although ${other} is set`);
    }
    const lastLow = (this.#sequenceLo >>> 0) + Math.max(count - 1, 0);
    if (this.#sequenceHi >>> 0 === 0xffffffff && lastLow > 0xffffffff) {
      this.#topField = 'first_sequence';
      throw new WireFault('sequence', 'the numbers of the readings pass the largest uint64');
    }
  }

  /** Returns how many readings from the first on had the usual shape. */
  #encodeUsual(request: Uint8Array, receivedAtMs: number, out: ByteBuffer, limit: number): number {
    const usual = this.#usual;
    if (usual === undefined) return 0;
    usual.begin(receivedAtMs);
    if (this.#producerEnd > this.#producerStart) {
      usual.setProducer(request, this.#producerStart, this.#producerEnd, this.#sequenceHi, this.#sequenceLo);
    }
    return usual.encode(request, out, limit);
  }

  /** The readings from number `done` on, which stands where UsualLines stopped. */
  #encodeRest(
    request: Uint8Array,
    done: number,
    receivedAtMs: number,
    out: ByteBuffer,
    maxOutputBytes: number,
  ): void {
    this.#writer.begin(request, receivedAtMs, out, maxOutputBytes);
    if (this.#producerEnd > this.#producerStart) {
      const low = (this.#sequenceLo >>> 0) + done;
      const high = low > 0xffffffff ? this.#sequenceHi + 1 : this.#sequenceHi;
      this.#writer.setProducer(this.#producerStart, this.#producerEnd, high | 0, low | 0);
    }
    this.#encodeItems(request, this.#usual?.pos ?? 0, done);
    this.#writer.finish();
  }

  #encodeItems(request: Uint8Array, from: number, firstIndex: number): void {
    const reader = this.#reader;
    const end = request.length;
    reader.open(request);
    reader.pos = from;
    let index = firstIndex;
    while (reader.pos < end) {
      const tag = reader.readTag(end);
      if (tag !== ITEMS) {
        reader.skipField(tag, end, 0);
        continue;
      }
      this.#itemIndex = index++;
      this.#scanner.scan(reader.readPayloadEnd(end));
      this.#writer.write(this.#fields);
    }
  }

  #describe(error: unknown, maxOutputBytes: number): EncodeFault {
    const itemIndex = this.#itemIndex;
    if (error instanceof TooLarge) {
      const message = `The lines of this request take more than ${maxOutputBytes} bytes.`;
      return { kind: 'too_large', itemIndex, field: '', message, reason: 'too_large' };
    }
    if (!(error instanceof WireFault)) throw error;
    const field = error.field ?? (itemIndex === -1 ? this.#topField : this.#scanner.field);
    const place = itemIndex === -1 ? field || 'request' : `items[${itemIndex}]${field && `.${field}`}`;
    return {
      kind: 'malformed',
      itemIndex,
      field,
      message: `${place}: ${error.detail}.`,
      reason: error.reason,
    };
  }
}
