/**
 * Runs the LineEncoder the way the service does, and hands back lines as text. Every request goes the general way, too:
 * lines and faults have to be the same, whatever UsualLines takes of it.
 */
import assert from 'node:assert/strict';
import { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { type EncodeFault, LineEncoder } from '../../src/ingest/line-encoder.ts';
import { UsualLines } from '../../src/ingest/usual-lines.ts';

export const RECEIVED_AT_MS = Date.UTC(2026, 10, 20, 10, 0, 0, 130);

export interface Encoded {
  readonly count: number;
  readonly text: string;
  readonly fault: EncodeFault | undefined;
}

const BEFORE = 'what was there before\n';

/** Encoders and a buffer for many requests, since state left over from one would show in the next. */
export class RequestEncoder {
  readonly #encoder = new LineEncoder(UsualLines.open());
  readonly #general = new LineEncoder(undefined);
  readonly #out = new ByteBuffer(16);

  encode(request: Uint8Array | readonly number[], maxOutputBytes = 1 << 28): Encoded {
    const encoded = this.#encode(this.#encoder, request, maxOutputBytes);
    const { count, text, fault } = this.#encode(this.#general, request, maxOutputBytes);
    assert.equal(encoded.count, count);
    assert.equal(encoded.text, text);
    assert.deepEqual(encoded.fault, fault);
    return encoded;
  }

  #encode(encoder: LineEncoder, request: Uint8Array | readonly number[], maxOutputBytes: number): Encoded {
    const out = this.#out;
    out.length = 0;
    out.reserve(BEFORE.length);
    out.bytes.set(Buffer.from(BEFORE));
    out.length = BEFORE.length;
    const count = encoder.encode(Uint8Array.from(request), RECEIVED_AT_MS, out, maxOutputBytes);
    const text = Buffer.from(out.bytes.subarray(0, out.length)).toString();
    if (!text.startsWith(BEFORE)) throw new Error('the encoder touched what was in the buffer before');
    return { count, text: text.slice(BEFORE.length), fault: encoder.fault };
  }
}
