/**
 * The one place that turns an outcome into a gRPC status, for every transport.
 *
 * A client learns from the trailers whether to retry: RetryInfo and a pushback in milliseconds when time
 * mends it, a pushback of -1 when nothing does (without it clients with a retry policy go on retrying).
 */
import {
  type Failed,
  type FailureReason,
  NEVER_RETRY,
  type RefusalReason,
  type Refused,
} from '../base/outcome.ts';
import { encodeErrorStatus, encodeRetryStatus } from './rpc-status.ts';

export const GRPC_STATUS = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** The `reason` of google.rpc.ErrorInfo. */
const SEQUENCE_GAP = 'SEQUENCE_GAP';

export const PUSHBACK_HEADER = 'grpc-retry-pushback-ms';
export const DETAILS_HEADER = 'grpc-status-details-bin';

/** Trailers are header lists too: peers cap them, often at 8 KiB, and the message travels in the details again. */
const MAX_MESSAGE_CHARS = 1024;
/** Clients parse the pushback as a 32-bit integer. */
const MAX_PUSHBACK_MS = 0x7fff_ffff;

export interface StatusTrailers {
  readonly code: number;
  readonly message: string;
  /** Value of `grpc-retry-pushback-ms`. */
  readonly pushback: string | undefined;
  /** Value of `grpc-status-details-bin`, before base64. */
  readonly details: Buffer | undefined;
}

const CODE_OF_REFUSAL: Readonly<Record<RefusalReason, number>> = {
  unauthenticated: GRPC_STATUS.UNAUTHENTICATED,
  malformed: GRPC_STATUS.INVALID_ARGUMENT,
  too_large: GRPC_STATUS.RESOURCE_EXHAUSTED,
  over_burst: GRPC_STATUS.RESOURCE_EXHAUSTED,
  rate_limited: GRPC_STATUS.RESOURCE_EXHAUSTED,
  quota: GRPC_STATUS.RESOURCE_EXHAUSTED,
  sequence_gap: GRPC_STATUS.ABORTED,
  queue_full: GRPC_STATUS.UNAVAILABLE,
  draining: GRPC_STATUS.UNAVAILABLE,
  disk: GRPC_STATUS.UNAVAILABLE,
};

const CODE_OF_FAILURE: Readonly<Record<FailureReason, number>> = {
  disk: GRPC_STATUS.UNAVAILABLE,
  cancelled: GRPC_STATUS.CANCELLED,
  deadline: GRPC_STATUS.DEADLINE_EXCEEDED,
  drain_deadline: GRPC_STATUS.UNAVAILABLE,
  protocol: GRPC_STATUS.INTERNAL,
  thread_death: GRPC_STATUS.UNAVAILABLE,
  internal: GRPC_STATUS.INTERNAL,
};

/** `code` overrides the reason's own where a reason covers several (protocol). */
export function statusTrailers(outcome: Refused | Failed, code?: number): StatusTrailers {
  const grpcCode =
    code ?? (outcome.kind === 'refused' ? CODE_OF_REFUSAL[outcome.reason] : CODE_OF_FAILURE[outcome.reason]);
  const message = headerSafe(outcome.message);
  const { retryAfterMs } = outcome;
  if (outcome.kind === 'refused' && outcome.expectedSequence !== undefined) {
    const details = encodeErrorStatus(grpcCode, message, SEQUENCE_GAP, {
      expected_sequence: String(outcome.expectedSequence),
    });
    return { code: grpcCode, message, pushback: undefined, details };
  }
  if (retryAfterMs === undefined) return { code: grpcCode, message, pushback: undefined, details: undefined };
  if (retryAfterMs === NEVER_RETRY) return { code: grpcCode, message, pushback: '-1', details: undefined };
  return {
    code: grpcCode,
    message,
    pushback: String(Math.min(Math.ceil(retryAfterMs), MAX_PUSHBACK_MS)),
    details: encodeRetryStatus(grpcCode, message, retryAfterMs),
  };
}

/** Cut to size, and without half surrogates, which no percent-encoding accepts. */
function headerSafe(message: string): string {
  const cut = message.length > MAX_MESSAGE_CHARS ? `${message.slice(0, MAX_MESSAGE_CHARS - 1)}…` : message;
  return cut.toWellFormed();
}
