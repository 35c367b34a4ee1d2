/**
 * Admission: what may refuse a request by its size and its sender alone, before a byte of it is looked at.
 *
 * The order matters: a refusal that no retry can mend comes before one that time will mend, so that a client is
 * never told to wait for something that cannot happen; and the client's own quota comes before what all share, so
 * that nobody is told that the server is short of what only his quota is.
 *
 * Invariant: a request that is refused has taken nothing, neither of its quota nor of the rate.
 */
import { formatByteSize } from '../base/byte-size.ts';
import type { Client } from '../base/client.ts';
import type { Clock } from '../base/clock.ts';
import { formatDurationMs } from '../base/duration.ts';
import { NEVER_RETRY, type Refused, refused } from '../base/outcome.ts';
import { ClientTable } from './client-table.ts';
import { FairShare, type FairShareCells, newFairShareCells, RESERVE } from './fair-share.ts';
import { moveBucket, newBucketStates, TokenBucket, takeFromBucket } from './token-bucket.ts';

export interface AdmissionLimits {
  readonly maxRequestBytes: number;
  /** 0 = no limit. */
  readonly ratePerSecondBytes: number;
  /** 0 = the larger of the rate and the largest request, so that by default nothing is over the burst. */
  readonly rateBurstBytes: number;
  /** The same two for each client, where its line in the token file says nothing else. */
  readonly clientRatePerSecondBytes: number;
  readonly clientRateBurstBytes: number;
  /** For the fair shares of the queue. */
  readonly queueBytes: number;
}

/** What all threads share. */
export interface AdmissionCells {
  readonly rate: BigInt64Array<SharedArrayBuffer>;
  readonly fairShare: FairShareCells;
}

export function newAdmissionCells(maxClients: number): AdmissionCells {
  return { rate: newBucketStates(), fairShare: newFairShareCells(maxClients) };
}

export class Admission {
  readonly fairShare: FairShare;
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  readonly #table: ClientTable;
  readonly #bucket: TokenBucket | undefined;
  readonly #reserveBytes: number;

  constructor(limits: AdmissionLimits, clock: Clock, cells: AdmissionCells) {
    this.#limits = limits;
    this.#clock = clock;
    const { ratePerSecondBytes: rate, maxRequestBytes } = limits;
    const burst = limits.rateBurstBytes || Math.max(rate, maxRequestBytes);
    this.#table = new ClientTable(cells.fairShare.clients);
    this.fairShare = new FairShare(this.#table, cells.fairShare, {
      ratePerSecond: rate,
      rateBurst: burst,
      queueBytes: limits.queueBytes,
    });
    this.#reserveBytes = RESERVE * burst;
    if (rate > 0) this.#bucket = new TokenBucket(rate, burst, clock, cells.rate);
  }

  /** Undefined admits. `sizeBytes` is the serialized request after decompression. */
  readonly admit = (sizeBytes: number, client: Client): Refused | undefined => {
    const refusal = this.#decide(sizeBytes, client);
    if (refusal === undefined) client.admittedBytes += sizeBytes;
    else client.refusedRequests++;
    return refusal;
  };

  #decide(sizeBytes: number, client: Client): Refused | undefined {
    const { maxRequestBytes, clientRatePerSecondBytes } = this.#limits;
    if (sizeBytes > maxRequestBytes) return tooLarge(sizeBytes, maxRequestBytes);
    const quotaPerSecond = client.quota?.ratePerSecondBytes ?? clientRatePerSecondBytes;
    const bucket = this.#bucket;
    if (quotaPerSecond === 0 && bucket === undefined) {
      if (this.fairShare.isCrowded) this.fairShare.asked(client, sizeBytes, this.#clock.monotonicMs());
      return undefined;
    }
    if (bucket !== undefined && sizeBytes > bucket.burst) {
      return overBurst(sizeBytes, 'RATE_BURST', bucket.burst);
    }
    const nowMs = this.#clock.monotonicMs();
    this.fairShare.asked(client, sizeBytes, nowMs);
    const row = this.#table.rowOf(client, nowMs);
    if (quotaPerSecond > 0) {
      const refusal = this.#takeQuota(sizeBytes, client, row, quotaPerSecond, nowMs);
      if (refusal !== undefined) return refusal;
    }
    if (bucket === undefined) return undefined;
    const refusal = this.#takeRate(sizeBytes, bucket, row, nowMs);
    if (refusal !== undefined && quotaPerSecond > 0) {
      const burstMs = (this.#quotaBurst(client, quotaPerSecond) * 1000) / quotaPerSecond;
      moveBucket(this.#table.cells.quota, row, (-sizeBytes * 1000) / quotaPerSecond, burstMs, nowMs);
    }
    return refusal;
  }

  #quotaBurst(client: Client, perSecond: number): number {
    const { clientRateBurstBytes, maxRequestBytes } = this.#limits;
    const asked = client.quota === undefined ? clientRateBurstBytes : client.quota.burstBytes;
    return asked || Math.max(perSecond, maxRequestBytes);
  }

  #takeQuota(
    sizeBytes: number,
    client: Client,
    row: number,
    perSecond: number,
    nowMs: number,
  ): Refused | undefined {
    const burst = this.#quotaBurst(client, perSecond);
    if (sizeBytes > burst) return overBurst(sizeBytes, 'the burst of its quota', burst);
    if (sizeBytes === 0) return undefined;
    const { quota } = this.#table.cells;
    const perByteMs = 1000 / perSecond;
    const missingMs = takeFromBucket(quota, row, sizeBytes * perByteMs, burst * perByteMs, nowMs);
    if (missingMs === 0) return undefined;
    const retryAfterMs = Math.max(1, Math.ceil(missingMs));
    return refused(
      'quota',
      `the quota of this client, ${formatByteSize(perSecond)}/s, is used up: retry in ${formatDurationMs(retryAfterMs)}`,
      retryAfterMs,
    );
  }

  #takeRate(sizeBytes: number, bucket: TokenBucket, row: number, nowMs: number): Refused | undefined {
    const debtMs = this.fairShare.rateDebtMs(row, nowMs);
    const missingMs = bucket.take(sizeBytes, debtMs > 0 ? this.#reserveBytes : 0, nowMs);
    if (missingMs === 0) {
      // What it may have because nobody else wants it is not held against it.
      if (debtMs === 0) this.fairShare.chargeRate(row, sizeBytes, nowMs);
      return undefined;
    }
    const retryAfterMs = debtMs > 0 ? Math.ceil(debtMs) : missingMs;
    const used = `the byte rate of ${formatByteSize(bucket.ratePerSecond)}/s is used up`;
    return refused(
      'rate_limited',
      debtMs > 0
        ? `${used}, and this client has had its share of it: retry in ${formatDurationMs(retryAfterMs)}`
        : `${used}: retry in ${formatDurationMs(retryAfterMs)}`,
      retryAfterMs,
    );
  }
}

function tooLarge(sizeBytes: number, maxRequestBytes: number): Refused {
  return refused(
    'too_large',
    `the request has ${sizeBytes} bytes, more than MAX_REQUEST_BYTES (${maxRequestBytes}): do not retry, send fewer readings per request`,
    NEVER_RETRY,
  );
}

function overBurst(sizeBytes: number, what: string, burst: number): Refused {
  return refused(
    'over_burst',
    `the request has ${sizeBytes} bytes and ${what} admits at most ${burst} at once: do not retry, send fewer readings per request`,
    NEVER_RETRY,
  );
}
