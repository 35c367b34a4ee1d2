/**
 * How the front ends calls by itself, in the words and with the waits that both transports and all kinds of call use.
 * A hint (`retryAfterMs`) says that nothing of the request was stored; where some of it may have been, there is none.
 */
import { formatByteSize } from '../base/byte-size.ts';
import { type Failed, maybeWritten, NEVER_RETRY, type Refused, refused } from '../base/outcome.ts';

/** About what a burst of large requests needs to arrive. */
const BUDGET_RETRY_AFTER_MS = 250;
/** A restart is over by then. */
const DRAINING_RETRY_AFTER_MS = 1000;

/** `limitBytes`: of the whole budget. What is left of it may be there for others (receive-budget.ts). */
export function budgetUsedUp(limitBytes: number): Refused {
  return refused(
    'queue_full',
    `requests under way hold what they may of RECEIVE_BUFFER_BYTES (${formatByteSize(limitBytes)}): retry later`,
    BUDGET_RETRY_AFTER_MS,
  );
}

export function tooLarge(maxRequestBytes: number): Refused {
  return refused(
    'too_large',
    `the request is larger than MAX_REQUEST_BYTES (${maxRequestBytes}): do not retry, send fewer readings per request`,
    NEVER_RETRY,
  );
}

export function draining(): Refused {
  return refused('draining', 'the server is stopping: retry elsewhere or later', DRAINING_RETRY_AFTER_MS);
}

/** A stream is asked to go, for a stop or for its connection's age. */
export function leaving(isStopping: boolean): Refused {
  return isStopping
    ? refused(
        'draining',
        'the server is stopping: go on elsewhere or later, behind the last acknowledgement',
        DRAINING_RETRY_AFTER_MS,
      )
    : refused(
        'draining',
        'this connection has reached its age: go on with a new stream, behind the last acknowledgement',
        0,
      );
}

/** DRAIN_TIMEOUT is over; what the writer has of the call is still written. */
export function drainRanOut(): Failed {
  return maybeWritten('drain_deadline', 'the server stopped before all of it was acknowledged: retry');
}
