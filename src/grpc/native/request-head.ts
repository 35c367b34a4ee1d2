/**
 * What the header list of a request says, checked (RFC 9113 section 8.3; gRPC over HTTP/2, "Requests").
 *
 * Invariant: a head never changes once built (but for `route`, which is a memory of its owner's), because
 * calls whose header block is byte for byte the same share one; see header-cache.ts.
 */
import type { FieldSink } from './hpack-decoder.ts';
import type { HeaderField } from './hpack-tables.ts';
import { MAX_HEADER_FIELDS, MAX_HEADER_LIST_BYTES } from './limits.ts';

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly contentType: string;
  /** `identity` where nothing was said. */
  readonly encoding: string;
  /** The first, as everywhere. */
  readonly authorization: string | undefined;
  /** Infinity where there is none, NaN where it is not a timeout. */
  readonly timeoutMs: number;
  /** -1 where there is none. */
  readonly contentLength: number;
  /** All but the pseudo-header fields, in order. */
  readonly fields: readonly HeaderField[];
  /** Why the request is malformed (8.1.1): the stream is reset. */
  readonly malformed: string | undefined;
  /** The list is beyond our limits; `fields` is not complete. */
  readonly isOversize: boolean;
  /** Whoever serves it may keep here what it found out about it. */
  route: unknown;
}

/** RFC 9113 8.2.2. */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

/** Collects the fields of one header list after the other; one per connection. */
export class RequestHeadBuilder implements FieldSink {
  #method: string | undefined;
  #scheme: string | undefined;
  #path: string | undefined;
  #authority: string | undefined;
  #host: string | undefined;
  #contentType = '';
  #encoding = 'identity';
  #authorization: string | undefined;
  #timeoutMs = Number.POSITIVE_INFINITY;
  #contentLength = -1;
  #fields: HeaderField[] = [];
  #malformed: string | undefined;
  #listBytes = 0;
  #count = 0;

  begin(): void {
    this.#method = undefined;
    this.#scheme = undefined;
    this.#path = undefined;
    this.#authority = undefined;
    this.#host = undefined;
    this.#contentType = '';
    this.#encoding = 'identity';
    this.#authorization = undefined;
    this.#timeoutMs = Number.POSITIVE_INFINITY;
    this.#contentLength = -1;
    this.#fields = [];
    this.#malformed = undefined;
    this.#listBytes = 0;
    this.#count = 0;
  }

  get #isOversize(): boolean {
    return this.#listBytes > MAX_HEADER_LIST_BYTES || this.#count > MAX_HEADER_FIELDS;
  }

  onField(field: HeaderField): void {
    this.#listBytes += field.sizeBytes;
    this.#count++;
    // Nothing is kept of a list that is too long; it is decoded to its end for the tables' sake only.
    if (this.#isOversize) return;
    if (!field.isValid) {
      this.#malformed ??= 'a field name or value with characters that are not allowed';
    } else if (field.name.charCodeAt(0) === 0x3a) {
      this.#onPseudoField(field.name, field.value);
    } else {
      this.#fields.push(field);
      this.#onRegularField(field.name, field.value);
    }
  }

  #onPseudoField(name: string, value: string): void {
    let earlier: string | undefined;
    switch (name) {
      case ':method':
        earlier = this.#method;
        this.#method = value;
        break;
      case ':scheme':
        earlier = this.#scheme;
        this.#scheme = value;
        break;
      case ':path':
        earlier = this.#path;
        this.#path = value;
        break;
      case ':authority':
        earlier = this.#authority;
        this.#authority = value;
        break;
      default:
        this.#malformed ??= 'an unknown pseudo-header field';
    }
    if (earlier !== undefined) this.#malformed ??= `${name} twice`;
    if (this.#fields.length > 0) this.#malformed ??= 'a pseudo-header field after the others';
  }

  #onRegularField(name: string, value: string): void {
    switch (name) {
      case 'content-type':
        // The first counts, as everywhere.
        if (this.#contentType === '') this.#contentType = value;
        break;
      case 'grpc-encoding':
        this.#encoding = value;
        break;
      case 'authorization':
        this.#authorization ??= value;
        break;
      case 'grpc-timeout':
        this.#timeoutMs = parseTimeoutMs(value);
        break;
      case 'host':
        this.#host ??= value;
        break;
      case 'te':
        if (value !== 'trailers') this.#malformed ??= 'te may only say trailers';
        break;
      case 'content-length':
        this.#onContentLength(value);
        break;
      default:
        if (CONNECTION_SPECIFIC.has(name)) this.#malformed ??= `${name} belongs to HTTP/1.1`;
    }
  }

  #onContentLength(value: string): void {
    const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
    if (length < 0 || (this.#contentLength >= 0 && this.#contentLength !== length)) {
      this.#malformed ??= 'content-length is not one number';
    }
    this.#contentLength = length;
  }

  finish(): RequestHead {
    const isOversize = this.#isOversize;
    if (!isOversize && this.#malformed === undefined) this.#checkComplete();
    return {
      method: this.#method ?? '',
      path: this.#path ?? '',
      authority: this.#authority ?? '',
      contentType: this.#contentType,
      encoding: this.#encoding,
      authorization: this.#authorization,
      timeoutMs: this.#timeoutMs,
      contentLength: this.#contentLength,
      fields: this.#fields,
      malformed: this.#malformed,
      isOversize,
      route: undefined,
    };
  }

  /** RFC 9113 8.3.1; CONNECT has neither scheme nor path (8.5). */
  #checkComplete(): void {
    if (this.#method === undefined) this.#malformed = 'no :method';
    else if (this.#method === 'CONNECT') {
      if (this.#scheme !== undefined || this.#path !== undefined || this.#authority === undefined) {
        this.#malformed = 'CONNECT takes an :authority and nothing else';
      }
    } else if (!this.#scheme || !this.#path) {
      this.#malformed = 'no :scheme or no :path';
    } else if (this.#path.charCodeAt(0) !== 0x2f && !(this.#path === '*' && this.#method === 'OPTIONS')) {
      this.#malformed = ':path is no path';
    } else if (/^https?$/.test(this.#scheme) && !(this.#authority ?? this.#host)) {
      this.#malformed = 'neither :authority nor host';
    }
  }
}

/** The trailers of a request: nothing in them matters to us, but they must be well formed (8.1). */
export class TrailerCheck implements FieldSink {
  isMalformed = false;

  begin(): void {
    this.isMalformed = false;
  }

  onField(field: HeaderField): void {
    if (!field.isValid || field.name.charCodeAt(0) === 0x3a || CONNECTION_SPECIFIC.has(field.name)) {
      this.isMalformed = true;
    }
  }
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** `Timeout -> TimeoutValue TimeoutUnit`: at most eight digits. */
export function parseTimeoutMs(text: string): number {
  const unitMs = UNIT_MS[text.charAt(text.length - 1)];
  const digits = text.length - 1;
  if (unitMs === undefined || digits < 1 || digits > 8) return Number.NaN;
  let value = 0;
  for (let i = 0; i < digits; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value * unitMs;
}
