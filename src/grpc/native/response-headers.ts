/**
 * Header blocks of answers, ready as bytes (RFC 7541).
 *
 * Three fields go into the client's dynamic table, at their first use and in a fixed order, so that every
 * further answer is three bytes of headers and one of trailers. All else is written as it is, unindexed.
 *
 *   literal ◀── the client allows less than TABLE_NEED_BYTES ── fresh ──headers──▶ headers known ──status──▶ all known
 *
 * Invariant: what is inserted is inserted in the order in which blocks go out; a block that was asked for is sent.
 */
import { HEADER_TABLE_BYTES } from './limits.ts';

const CONTENT_TYPE = 'application/grpc+proto';
export const ACCEPT_ENCODING = 'identity,deflate,gzip';
/** The three entries as RFC 7541 4.1 counts them: 66 + 73 + 44. */
const TABLE_NEED_BYTES = 183;

const STATUS_200 = 0x88;
/** Section 6.2.1, literal with incremental indexing; content-type is 31 of the static table. */
const CONTENT_TYPE_INSERT = Buffer.concat([Buffer.from([0x40 | 31]), text(CONTENT_TYPE)]);
const ACCEPT_ENCODING_INSERT = Buffer.concat([
  Buffer.from([0x40]),
  text('grpc-accept-encoding'),
  text(ACCEPT_ENCODING),
]);
const STATUS_INSERT = Buffer.concat([Buffer.from([0x40]), text('grpc-status'), text('0')]);

const PLAIN_FIELDS = Buffer.concat([
  Buffer.from([0x0f, 31 - 15]),
  text(CONTENT_TYPE),
  literal('grpc-accept-encoding', ACCEPT_ENCODING),
]);
const HEADERS_PLAIN = Buffer.concat([Buffer.from([STATUS_200]), PLAIN_FIELDS]);
const HEADERS_FIRST = Buffer.concat([Buffer.from([STATUS_200]), CONTENT_TYPE_INSERT, ACCEPT_ENCODING_INSERT]);
/** The newest entry has index 62. */
const HEADERS_BEFORE_STATUS = Buffer.from([STATUS_200, 0x80 | 63, 0x80 | 62]);
const HEADERS_AFTER_STATUS = Buffer.from([STATUS_200, 0x80 | 64, 0x80 | 63]);
const TRAILERS_PLAIN = literal('grpc-status', '0');
const TRAILERS_FIRST = STATUS_INSERT;
const TRAILERS_KNOWN = Buffer.from([0x80 | 62]);

export type Fields = readonly (readonly [name: string, value: string])[];
/** The very object by which `okTrailers` is known to do. */
export const OK_TRAILERS: Fields = [['grpc-status', '0']];

export class ResponseHeaders {
  #headers = HEADERS_FIRST;
  #trailers = TRAILERS_PLAIN;
  #areHeadersSent = false;
  #maxTableBytes = HEADER_TABLE_BYTES;
  /** Section 4.2: a smaller table is acknowledged at the start of the next block. */
  #resize: Buffer | undefined;

  /** The client's SETTINGS_HEADER_TABLE_SIZE. A larger one than before is not made use of. */
  onTableLimit(bytes: number): void {
    if (bytes >= this.#maxTableBytes) return;
    if (bytes < TABLE_NEED_BYTES) {
      this.#maxTableBytes = 0;
      this.#headers = HEADERS_PLAIN;
      this.#trailers = TRAILERS_PLAIN;
      this.#areHeadersSent = true;
    } else {
      this.#maxTableBytes = bytes;
    }
    this.#resize = tableResize(this.#maxTableBytes);
  }

  /** 200 and the fields that every answer has. */
  headers(): Buffer {
    const block = this.#headers;
    if (!this.#areHeadersSent) {
      this.#areHeadersSent = true;
      this.#headers = HEADERS_BEFORE_STATUS;
      this.#trailers = TRAILERS_FIRST;
    }
    return this.#resize === undefined ? block : this.#resized(block);
  }

  /** `grpc-status: 0`; never before the first `headers()`. */
  okTrailers(): Buffer {
    const block = this.#trailers;
    if (block === TRAILERS_FIRST) {
      this.#headers = HEADERS_AFTER_STATUS;
      this.#trailers = TRAILERS_KNOWN;
    }
    return this.#resize === undefined ? block : this.#resized(block);
  }

  /** Any fields, after nothing (trailers), after `headers()`, or after `plainStart`. */
  fields(fields: Fields, start?: Buffer): Buffer {
    const block = Buffer.concat([
      ...(start === undefined ? [] : [start]),
      ...fields.map(([name, value]) => literal(name, value)),
    ]);
    return this.#resize === undefined ? block : this.#resized(block);
  }

  #resized(block: Buffer): Buffer {
    const resize = this.#resize!;
    this.#resize = undefined;
    return Buffer.concat([resize, block]);
  }
}

/** For an answer that is nothing but trailers. */
export const TRAILERS_ONLY_START = HEADERS_PLAIN;

/** `:status` is 8 of the static table. */
export function httpStatus(status: number): Buffer {
  return Buffer.concat([Buffer.from([8]), text(String(status))]);
}

/** Section 6.2.2 with a new name. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

/** Section 5.2, not Huffman coded: it would save bytes of rare answers only. */
function text(value: string): Buffer {
  return Buffer.concat([integer(value.length, 0x7f, 0), Buffer.from(value, 'latin1')]);
}

function tableResize(maxBytes: number): Buffer {
  return integer(maxBytes, 0x1f, 0x20);
}

/** Section 5.1. */
function integer(value: number, mask: number, flags: number): Buffer {
  if (value < mask) return Buffer.from([flags | value]);
  const bytes = [flags | mask];
  let rest = value - mask;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** gRPC over HTTP/2, "Percent-Encoded": all but printable ASCII, and the percent sign itself. */
export function percentEncode(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let encoded = '';
  for (const byte of Buffer.from(message)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

export { CONTENT_TYPE };
