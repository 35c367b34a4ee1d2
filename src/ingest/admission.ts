/**
 * Admission: what may refuse a request by its size alone, before a byte of it is looked at.
 *
 * The order matters: a refusal that no retry can mend comes before one that time will mend, so that a
 * client is never told to wait for something that cannot happen.
 */
import { formatByteSize } from '../base/byte-size.ts';
import type { Clock } from '../base/clock.ts';
import { formatDurationMs } from '../base/duration.ts';
import { NEVER_RETRY, type Refused, refused } from '../base/outcome.ts';
import { TokenBucket } from './token-bucket.ts';

export interface AdmissionLimits {
  readonly maxRequestBytes: number;
  /** 0 = no limit. */
  readonly ratePerSecondBytes: number;
  /** 0 = the larger of the rate and the largest request, so that by default nothing is over the burst. */
  readonly rateBurstBytes: number;
}

export class Admission {
  readonly #maxRequestBytes: number;
  readonly #bucket: TokenBucket | undefined;

  /** `rate` is the bucket that all threads share. */
  constructor(limits: AdmissionLimits, clock: Clock, rate?: BigInt64Array) {
    this.#maxRequestBytes = limits.maxRequestBytes;
    if (limits.ratePerSecondBytes > 0) {
      const burst = limits.rateBurstBytes || Math.max(limits.ratePerSecondBytes, limits.maxRequestBytes);
      this.#bucket = new TokenBucket(limits.ratePerSecondBytes, burst, clock, rate);
    }
  }

  /** Undefined admits. `sizeBytes` is the serialized request after decompression. */
  readonly admit = (sizeBytes: number): Refused | undefined => {
    if (sizeBytes > this.#maxRequestBytes) return tooLarge(sizeBytes, this.#maxRequestBytes);
    const bucket = this.#bucket;
    if (bucket === undefined) return undefined;
    const retryAfterMs = bucket.take(sizeBytes);
    if (retryAfterMs === 0) return undefined;
    if (retryAfterMs === Number.POSITIVE_INFINITY) {
      return refused(
        'over_burst',
        `the request has ${sizeBytes} bytes and RATE_BURST admits at most ${bucket.burst} at once: do not retry, send fewer readings per request`,
        NEVER_RETRY,
      );
    }
    return refused(
      'rate_limited',
      `the byte rate of ${formatByteSize(bucket.ratePerSecond)}/s is used up: retry in ${formatDurationMs(retryAfterMs)}`,
      retryAfterMs,
    );
  };
}

function tooLarge(sizeBytes: number, maxRequestBytes: number): Refused {
  return refused(
    'too_large',
    `the request has ${sizeBytes} bytes, more than MAX_REQUEST_BYTES (${maxRequestBytes}): do not retry, send fewer readings per request`,
    NEVER_RETRY,
  );
}
