/**
 * What a failed attempt means and how long to wait before the next one.
 *
 * Three questions are answered for each status:
 *   retry?      could the same request succeed later
 *   how long?   the daemon's own word (grpc-retry-pushback-ms, else google.rpc.RetryInfo), else backoff
 *   ambiguous?  may the daemon have taken the request although we hold no OK; a retry can then store its
 *               readings twice, and the summary counts it as a possible duplicate
 */
import type { Metadata } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { Random } from '../../base/random.ts';

export interface AttemptFailure {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

export interface Verdict {
  readonly retry: boolean;
  /** Told by the daemon; undefined leaves it to backoff. */
  readonly waitMs: number | undefined;
  readonly ambiguous: boolean;
  /** Nothing shows that a daemon answered: the target may be gone. */
  readonly unreachable: boolean;
}

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 3_000;
/**
 * Added to a told wait, at most. Many are told the same, one of them finds room when the time has come, and
 * the others would only be refused again: the spread grows with each refusal until they fit.
 */
const MAX_SPREAD_MS = 500;

/** Statuses that the same request may outlive. INTERNAL is judged by its text. */
const RETRYABLE: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.CANCELLED,
  status.UNKNOWN,
]);

export function judge(failure: AttemptFailure): Verdict {
  const pushbackMs = pushback(failure.metadata);
  if (pushbackMs !== undefined) {
    const retry = pushbackMs >= 0;
    return { retry, waitMs: retry ? pushbackMs : undefined, ambiguous: false, unreachable: false };
  }
  const { code, details } = failure;
  if (code === status.RESOURCE_EXHAUSTED) {
    // The message size limit is answered by grpc-js itself, without a hint; no wait makes it smaller.
    const retry = !/larger than max/i.test(details);
    return { retry, waitMs: undefined, ambiguous: false, unreachable: false };
  }
  if (code === status.INTERNAL) {
    // A stream reset without a status: a dying daemon or proxy. A real INTERNAL is a fault over there.
    const reset = /RST_STREAM/.test(details);
    return { retry: reset, waitMs: undefined, ambiguous: reset, unreachable: reset };
  }
  const neverSent =
    code === status.UNAVAILABLE &&
    /No connection established|Name resolution failed|Stream refused by server/.test(details);
  const retry = RETRYABLE.has(code);
  return { retry, waitMs: undefined, ambiguous: retry && !neverSent, unreachable: retry };
}

/** The wait before retry number `retry` (from 1). */
export function waitBeforeRetryMs(retry: number, toldMs: number | undefined, random: Random): number {
  const growingMs = FIRST_BACKOFF_MS * 2 ** (retry - 1);
  if (toldMs !== undefined) return toldMs + Math.min(MAX_SPREAD_MS, growingMs) * random.next();
  return Math.min(MAX_BACKOFF_MS, growingMs) * (0.5 + 0.5 * random.next());
}

/** Milliseconds to wait, -1 for never, undefined when the daemon said nothing. */
function pushback(metadata: Metadata): number | undefined {
  const told = metadata.get('grpc-retry-pushback-ms')[0];
  if (told !== undefined) {
    const text = String(told);
    // As the retry specification has it: whatever is not a whole number of 0 or more means "do not retry".
    return /^\d+$/.test(text) ? Number(text) : -1;
  }
  const details = metadata.get('grpc-status-details-bin')[0];
  return details instanceof Buffer ? retryInfoMs(details) : undefined;
}

/** retry_delay of the RetryInfo in a serialized google.rpc.Status, or undefined when there is none. */
export function retryInfoMs(statusBytes: Uint8Array): number | undefined {
  for (const detail of fields(statusBytes)) {
    if (detail.number !== 3 || detail.bytes === undefined) continue;
    let typeUrl = '';
    let value: Uint8Array = new Uint8Array();
    for (const field of fields(detail.bytes)) {
      if (field.number === 1 && field.bytes) typeUrl = Buffer.from(field.bytes).toString('utf8');
      if (field.number === 2 && field.bytes) value = field.bytes;
    }
    if (!typeUrl.endsWith('/google.rpc.RetryInfo')) continue;
    let delayMs = 0;
    for (const delay of fields(value)) {
      if (delay.number !== 1 || delay.bytes === undefined) continue;
      for (const part of fields(delay.bytes)) {
        if (part.number === 1) delayMs += part.value * 1000;
        if (part.number === 2) delayMs += part.value / 1_000_000;
      }
    }
    return delayMs;
  }
  return undefined;
}

interface Field {
  readonly number: number;
  readonly value: number;
  readonly bytes: Uint8Array | undefined;
}

/** The fields of a message; stops at the first thing that is no varint or length-delimited field. */
function* fields(message: Uint8Array): Generator<Field> {
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; offset < message.length; scale *= 128) {
      const byte = message[offset++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (offset < message.length) {
    const tag = varint();
    const number = tag >>> 3;
    if ((tag & 7) === 0) yield { number, value: varint(), bytes: undefined };
    else if ((tag & 7) === 2) {
      const end = varint() + offset;
      if (end > message.length) return;
      yield { number, value: 0, bytes: message.subarray(offset, end) };
      offset = end;
    } else return;
  }
}
