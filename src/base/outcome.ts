/**
 * How a request can end, and why. The one catalogue of reasons: metrics label with them, the ledger
 * counts by them, and `src/grpc/status.ts` is the one place that turns an outcome into a gRPC status.
 *
 * refused: we decided against the request before any of it reached the journal; sending it again is
 *          right (retry) or pointless (never), as the reason says.
 * failed:  we took the request on and could not keep the promise, or the client went away.
 */

export type RefusalReason =
  | 'unauthenticated' // no credential where one is needed, or one that is not good
  | 'malformed' // not a valid SensorValuesRequest; the message names item and field
  | 'too_large' // over MAX_REQUEST_BYTES, or its lines alone exceed the queue
  | 'over_burst' // larger than the bucket can ever hold
  | 'rate_limited' // byte rate exceeded for now
  | 'quota' // the client's own byte rate exceeded for now
  | 'queue_full' // no queue room within the wait allowed
  | 'sequence_gap' // numbers before those of the request never came
  | 'draining' // the daemon is stopping
  | 'disk'; // the journal is known to be unable to take lines for now

export type FailureReason =
  | 'disk' // the write or the sync failed after the request was queued
  | 'cancelled' // the client cancelled or its connection broke before the answer
  | 'deadline' // the call's deadline passed before the answer
  | 'drain_deadline' // still unfinished when DRAIN_TIMEOUT ran out
  | 'protocol' // gRPC framing or compression fault answered by the transport
  | 'thread_death' // the thread that had it died
  | 'internal'; // a fault of ours

export const REFUSAL_REASONS: readonly RefusalReason[] = [
  'unauthenticated',
  'malformed',
  'too_large',
  'over_burst',
  'rate_limited',
  'quota',
  'queue_full',
  'sequence_gap',
  'draining',
  'disk',
];

export const FAILURE_REASONS: readonly FailureReason[] = [
  'disk',
  'cancelled',
  'deadline',
  'drain_deadline',
  'protocol',
  'thread_death',
  'internal',
];

/** Why readings that were decoded are not in the journal. */
export type LossReason = 'disk' | 'thread_death' | 'drain_deadline';
export const LOSS_REASONS: readonly LossReason[] = ['disk', 'thread_death', 'drain_deadline'];

/** Tells the client never to retry; a positive number is the delay to wait first. */
export const NEVER_RETRY = -1;

export interface Refused {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  /** For the client's eyes: what was wrong, with numbers. */
  readonly message: string;
  /** Milliseconds until a retry can succeed, NEVER_RETRY, or undefined for no hint. */
  readonly retryAfterMs: number | undefined;
  /** For a sequence_gap: the number to go on with. */
  readonly expectedSequence?: bigint;
  /** For a queue_full: this client has had its share, and what there is is left to others. */
  readonly isOverShare?: boolean;
}

export interface Failed {
  readonly kind: 'failed';
  readonly reason: FailureReason;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

export interface Ok {
  readonly kind: 'ok';
}

export type Outcome = Ok | Refused | Failed;

export const OK: Ok = { kind: 'ok' };

export function refused(reason: RefusalReason, message: string, retryAfterMs?: number): Refused {
  return { kind: 'refused', reason, message, retryAfterMs };
}

/** No repeat of the request would end otherwise: the fault is in what was sent. */
export function isHopeless(outcome: Refused | Failed): boolean {
  if (outcome.kind === 'failed') return outcome.reason === 'protocol';
  return outcome.reason === 'malformed' || outcome.retryAfterMs === NEVER_RETRY;
}

const WASTED: ReadonlySet<string> = new Set<RefusalReason>(['rate_limited', 'quota', 'sequence_gap']);

/**
 * Nothing was wrong with the request but when it came, and its bytes have cost what those of others do. A queue that
 * others filled is not the client's doing.
 */
export function isWasted(outcome: Refused | Failed): boolean {
  return outcome.kind === 'refused' && (WASTED.has(outcome.reason) || outcome.isOverShare === true);
}

/** No room for now; `detail` says how long was waited for it. */
export function queueFull(detail: string, isOverShare: boolean, retryAfterMs: number): Refused {
  const why = isOverShare ? ', and this client has had its share of it' : '';
  const message = `no queue room for this request (${detail}): the disk is slower than the load${why}; retry later`;
  return { ...refused('queue_full', message, retryAfterMs), isOverShare };
}

/** The producer resends from `expected` on, or starts a new producer_id. */
export function sequenceGap(expected: bigint): Refused {
  return {
    kind: 'refused',
    reason: 'sequence_gap',
    message: `the readings before these did not come: send from number ${expected} on, or start a new producer_id`,
    retryAfterMs: undefined,
    expectedSequence: expected,
  };
}

export function failed(reason: FailureReason, message: string, retryAfterMs?: number): Failed {
  return { kind: 'failed', reason, message, retryAfterMs };
}

/**
 * Nobody knows whether the request was stored. Never with a hint: a client takes that for "nothing was stored", and
 * would count a repetition as none.
 */
export function maybeWritten(reason: 'thread_death' | 'drain_deadline', message: string): Failed {
  return failed(reason, message);
}
