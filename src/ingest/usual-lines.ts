/**
 * Makes the lines of readings of the usual shape, some three times as fast as LineWriter does: a small WebAssembly
 * module (assembly/, docs/decisions/0140) that has a window for a part of the request and one for its lines. It
 * takes as many readings from the front of a request as have that shape and leaves the first other one, right or
 * wrong, with all behind it to the general encoder.
 *
 * Invariants:
 * 1. Only whole lines are appended to `out`, in order, and never more than up to its limit.
 * 2. Between calls nothing of `request` or `out` is held on to.
 */
import type { ByteBuffer } from '../base/byte-buffer.ts';
import { writeAnyDouble } from './double-text.ts';
import { USUAL_LINES_BASE64 } from './usual-lines-module.generated.ts';

/** What assembly/lines.ts exports. Addresses are those of its memory. */
interface LinesModule {
  readonly memory: WebAssembly.Memory;
  readonly IN: WebAssembly.Global;
  readonly IN_BYTES: WebAssembly.Global;
  readonly OUT: WebAssembly.Global;
  readonly OUT_BYTES: WebAssembly.Global;
  readonly TIMES: WebAssembly.Global;
  readonly TIMES_LENGTH: WebAssembly.Global;
  readonly PRODUCER_IN: WebAssembly.Global;
  readonly RESULT: WebAssembly.Global;
  setProducer(length: number): void;
  encode(
    length: number,
    room: number,
    isNumbered: boolean,
    sequenceHigh: number,
    sequenceLow: number,
  ): number;
}

/** Up to here words are stored one by one, which is faster than a call. */
const FEW_BYTES = 512;
const WORD_BYTES = 8;

let compiled: WebAssembly.Module | undefined;

export class UsualLines {
  readonly #module: LinesModule;
  readonly #memory: Buffer;
  readonly #view: DataView;
  readonly #in: number;
  readonly #inBytes: number;
  readonly #out: number;
  readonly #outBytes: number;
  /** How far the last call came, in the request and behind that in the lines. */
  readonly #result: number;
  #receivedAtMs = Number.NaN;
  /** False for a clock beyond the year 9999, whose text is longer. */
  #hasTimes = false;
  #isNumbered = false;
  #sequenceHi = 0;
  #sequenceLo = 0;
  /** Where in the request the first reading stands that was left. */
  pos = 0;

  /** Undefined where there is no WebAssembly (`node --jitless`), or none with what it needs: then all goes the general way. */
  static open(): UsualLines | undefined {
    try {
      compiled ??= new WebAssembly.Module(Buffer.from(USUAL_LINES_BASE64, 'base64'));
      return new UsualLines(compiled);
    } catch {
      return undefined;
    }
  }

  private constructor(module: WebAssembly.Module) {
    const numbers = {
      writeAnyDouble: (at: number, value: number): number => writeAnyDouble(this.#view, at, value),
    };
    const instance = new WebAssembly.Instance(module, { numbers });
    this.#module = instance.exports as LinesModule;
    const { memory, IN, IN_BYTES, OUT, OUT_BYTES, RESULT } = this.#module;
    this.#view = new DataView(memory.buffer);
    this.#memory = Buffer.from(memory.buffer);
    this.#result = RESULT.value;
    this.#in = IN.value;
    this.#inBytes = IN_BYTES.value;
    this.#out = OUT.value;
    this.#outBytes = OUT_BYTES.value;
  }

  /** For the next request. */
  begin(receivedAtMs: number): void {
    this.pos = 0;
    this.#isNumbered = false;
    if (receivedAtMs === this.#receivedAtMs) return;
    const text = `Z","received_at":"${new Date(receivedAtMs).toISOString()}"`;
    const at = this.#module.TIMES.value;
    for (let index = 0; index < text.length; index++) this.#memory[at + index] = text.charCodeAt(index);
    this.#receivedAtMs = receivedAtMs;
    this.#hasTimes = text.length === this.#module.TIMES_LENGTH.value;
  }

  /** Names the producer of the request's lines, valid UTF-8 of MAX_PRODUCER_ID_BYTES at most; the first gets the number. */
  setProducer(
    request: Uint8Array,
    idStart: number,
    idEnd: number,
    sequenceHi: number,
    sequenceLo: number,
  ): void {
    this.#memory.set(request.subarray(idStart, idEnd), this.#module.PRODUCER_IN.value);
    this.#module.setProducer(idEnd - idStart);
    this.#isNumbered = true;
    this.#sequenceHi = sequenceHi;
    this.#sequenceLo = sequenceLo;
  }

  /** Appends lines to `out`, up to the length `limit`, and returns how many; `pos` then says what is left. */
  encode(request: Uint8Array, out: ByteBuffer, limit: number): number {
    let lines = 0;
    while (this.#hasTimes && this.pos < request.length) {
      const end = Math.min(this.pos + this.#inBytes, request.length);
      const isWhole = end - this.pos === request.length;
      this.#memory.set(isWhole ? request : request.subarray(this.pos, end), this.#in);
      const room = Math.min(this.#outBytes, limit - out.length);
      const count = this.#encode(end - this.pos, room, lines);
      if (count === 0) break;
      lines += count;
      this.pos += this.#view.getUint32(this.#result, true);
      this.#append(out, this.#view.getUint32(this.#result + 4, true));
    }
    return lines;
  }

  #encode(length: number, room: number, linesBefore: number): number {
    const low = (this.#sequenceLo >>> 0) + linesBefore;
    const high = low > 0xffffffff ? this.#sequenceHi + 1 : this.#sequenceHi;
    return this.#module.encode(length, room, this.#isNumbered, high | 0, low | 0);
  }

  #append(out: ByteBuffer, length: number): void {
    out.reserve(length + WORD_BYTES);
    // Not `set`, which V8 does byte by byte where memory is shared (docs/decisions/0126).
    if (length > FEW_BYTES) this.#memory.copy(out.bytes, out.length, this.#out, this.#out + length);
    else this.#appendWords(out, length);
    out.length += length;
  }

  /** As doubles, of which UTF-8 never makes a NaN (docs/decisions/0011). The last one may reach past the lines, where zeros are. */
  #appendWords(out: ByteBuffer, length: number): void {
    const { view } = out;
    for (let at = 0; at < length; at += WORD_BYTES) {
      view.setFloat64(out.length + at, this.#view.getFloat64(this.#out + at, true), true);
    }
  }
}
