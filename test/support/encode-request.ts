/** Runs the LineEncoder the way the service does, and hands back lines as text. */
import { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { type EncodeFault, LineEncoder } from '../../src/ingest/line-encoder.ts';

export const RECEIVED_AT_MS = Date.UTC(2026, 10, 20, 10, 0, 0, 130);

export interface Encoded {
  readonly count: number;
  readonly text: string;
  readonly fault: EncodeFault | undefined;
}

const BEFORE = 'what was there before\n';

/** One encoder and one buffer for many requests, since state left over from one would show in the next. */
export class RequestEncoder {
  readonly #encoder = new LineEncoder();
  readonly #out = new ByteBuffer(16);

  encode(request: Uint8Array | readonly number[], maxOutputBytes = 1 << 28): Encoded {
    const out = this.#out;
    out.length = 0;
    out.reserve(BEFORE.length);
    out.bytes.set(Buffer.from(BEFORE));
    out.length = BEFORE.length;
    const count = this.#encoder.encode(Uint8Array.from(request), RECEIVED_AT_MS, out, maxOutputBytes);
    const text = Buffer.from(out.bytes.subarray(0, out.length)).toString();
    if (!text.startsWith(BEFORE)) throw new Error('the encoder touched what was in the buffer before');
    return { count, text: text.slice(BEFORE.length), fault: this.#encoder.fault };
  }
}
