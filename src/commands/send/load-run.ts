/**
 * Sends what a source gives until it ends: takes requests as the schedule or free room says, retries
 * what can succeed later, and counts. One run per thread.
 *
 *   source ──take──▶ in flight ──OK──────────────▶ acknowledged
 *                      │   ▲  └───told never──────▶ rejected
 *          retryable   │   │ wait over
 *                      ▼   │
 *                     waiting ──stopped, retries used up, target gone──▶ undelivered
 *
 * Invariants:
 *   1. in flight + waiting <= concurrency: a request keeps its place until it has ended, which bounds
 *      memory however long the daemon refuses.
 *   2. Every request taken ends exactly once, in one of the three ends.
 *   3. With `exactlyOnce` at most one request of a sensor is in flight or waiting for its retry; those behind it keep
 *      their places. What is behind one that the daemon refused for good can never be taken, and ends undelivered.
 *   4. Latency runs from the intended start to the OK, retries and waiting for a place included.
 */
import type { ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { AcknowledgedLog } from './acknowledged-log.ts';
import type { ClientPool } from './client-pool.ts';
import type { Counters } from './counters.ts';
import { newCounters } from './counters.ts';
import { GroupRelease } from './group-release.ts';
import { LatencyHistogram } from './latency.ts';
import type { PreparedRequest, RequestSource } from './request-source.ts';
import { judge, waitBeforeRetryMs } from './retry.ts';
import { SLOT_MS } from './schedule.ts';

interface Flight {
  readonly request: PreparedRequest;
  readonly intendedMs: number;
  sentMs: number;
  attempts: number;
  /** An attempt so far may have been stored without our knowing. */
  ambiguous: boolean;
  /** It is among the possible duplicates already. */
  isCountedTwice: boolean;
}

export interface LoadRunOptions {
  readonly isOpenLoop: boolean;
  /** One request of a sensor at a time, in order: its readings are numbered, and the daemon drops repeats. */
  readonly exactlyOnce: boolean;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly retries: number;
  /** How long the target may stay silent before the run gives up. */
  readonly silenceMs: number;
  /** Monotonic; no request is taken from then on. */
  readonly endMs: number | undefined;
}

export interface LoadRunParts {
  readonly pool: Pick<ClientPool, 'call'>;
  readonly source: RequestSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AcknowledgedLog | undefined;
}

export class LoadRun {
  readonly counters: Counters = newCounters();
  /** From intended start to OK. */
  readonly latency = new LatencyHistogram();
  /** Of the successful attempts alone. */
  readonly attemptLatency = new LatencyHistogram();
  /** Like `latency`, since whoever watches last reset it. */
  readonly recentLatency = new LatencyHistogram();
  /** Why the run ended before its source; undefined otherwise. */
  endedEarly: string | undefined;

  readonly #options: LoadRunOptions;
  readonly #parts: LoadRunParts;
  readonly #release: GroupRelease | undefined;
  readonly #waiting = new Map<Flight, Timer>();
  /** By sensor: what stands behind the request that is under way. */
  readonly #behind = new Map<string, Flight[]>();
  readonly #finished = Promise.withResolvers<void>();
  #endTimer: Timer | undefined;
  #silentSinceMs: number | undefined;
  #taking = true;
  /** A request was due while every place was taken: the next free place takes it, not the next slot. */
  #isHeldBack = false;

  constructor(options: LoadRunOptions, parts: LoadRunParts) {
    this.#options = options;
    this.#parts = parts;
    this.#release = options.isOpenLoop
      ? new GroupRelease(parts.clock, { releaseDue: () => this.#releaseDue() })
      : undefined;
  }

  /** Resolves when every request taken has ended and no more will be. */
  run(): Promise<void> {
    const { clock, source } = this.#parts;
    source.onChange = () => this.#onSourceChange();
    if (this.#options.endMs !== undefined) {
      const restMs = Math.max(0, this.#options.endMs - clock.monotonicMs());
      this.#endTimer = clock.setTimer(restMs, () => this.#stopTaking());
    }
    if (this.#release) this.#release.run().catch((error: unknown) => this.#finished.reject(error));
    else this.#releaseDue();
    this.#finishIfDone();
    return this.#finished.promise;
  }

  /** Takes no more, gives up what waits for a retry, lets attempts on the wire end. */
  stop(reason: string): void {
    this.endedEarly ??= reason;
    this.#taking = false;
    for (const [flight, timer] of this.#waiting) {
      timer.cancel();
      this.counters.waiting--;
      this.#giveUp(flight);
    }
    this.#waiting.clear();
    this.#finishIfDone();
  }

  #stopTaking(): void {
    this.#taking = false;
    this.#finishIfDone();
  }

  #onSourceChange(): void {
    if (this.#release) this.#release.wake();
    else this.#releaseDue();
    this.#finishIfDone();
  }

  /** Takes every request whose start has come while there is room. Returns when the next one is due. */
  #releaseDue(): number | undefined {
    const { source, clock } = this.#parts;
    const { isOpenLoop, concurrency } = this.#options;
    this.#isHeldBack = false;
    while (this.#taking && source.ready) {
      const nowMs = clock.monotonicMs();
      const intendedMs = isOpenLoop ? source.nextIntendedMs() : nowMs;
      if (intendedMs > nowMs) return intendedMs;
      if (this.counters.inFlight + this.counters.waiting >= concurrency) {
        this.#isHeldBack = true;
        return nowMs + SLOT_MS;
      }
      this.counters.maxBehindMs = Math.max(this.counters.maxBehindMs, nowMs - intendedMs);
      const request = source.take();
      this.counters.requestsTaken++;
      this.counters.readingsTaken += request.readings;
      this.#begin({ request, intendedMs, sentMs: 0, attempts: 0, ambiguous: false, isCountedTwice: false });
    }
    return undefined;
  }

  #begin(flight: Flight): void {
    const sensor = this.#orderedBy(flight);
    const behind = sensor === undefined ? undefined : this.#behind.get(sensor);
    if (behind !== undefined) {
      behind.push(flight);
      this.counters.waiting++;
      return;
    }
    if (sensor !== undefined) this.#behind.set(sensor, []);
    this.#attempt(flight);
  }

  #orderedBy({ request: { identity } }: Flight): string | undefined {
    return this.#options.exactlyOnce && 'sensor_name' in identity ? identity.sensor_name : undefined;
  }

  /** The request has ended; with `isDelivered` the next one of its sensor may go. */
  #goOn(flight: Flight, isDelivered: boolean): void {
    const sensor = this.#orderedBy(flight);
    if (sensor === undefined) return;
    const behind = this.#behind.get(sensor) ?? [];
    if (isDelivered && this.endedEarly === undefined) {
      const next = behind.shift();
      if (next === undefined) this.#behind.delete(sensor);
      else {
        this.counters.waiting--;
        this.#attempt(next);
      }
      return;
    }
    this.#behind.set(sensor, []);
    for (const lost of behind) {
      this.counters.waiting--;
      this.#giveUp(lost);
    }
  }

  #attempt(flight: Flight): void {
    const { clock, pool } = this.#parts;
    flight.attempts++;
    flight.sentMs = clock.monotonicMs();
    this.counters.inFlight++;
    pool.call(flight.request.body, clock.nowMs() + this.#options.timeoutMs, (error) => {
      this.counters.inFlight--;
      if (error === null) this.#acknowledged(flight);
      else this.#failed(flight, error);
      if (this.#isHeldBack || !this.#options.isOpenLoop) this.#releaseDue();
      this.#finishIfDone();
    });
  }

  #acknowledged(flight: Flight): void {
    const { request } = flight;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#silentSinceMs = undefined;
    this.counters.requestsAcknowledged++;
    this.counters.readingsAcknowledged += request.readings;
    this.counters.bytesAcknowledged += request.body.length;
    this.latency.recordMs(nowMs - flight.intendedMs);
    this.recentLatency.recordMs(nowMs - flight.intendedMs);
    this.attemptLatency.recordMs(nowMs - flight.sentMs);
    this.#parts.log?.append({
      ...request.identity,
      attempts: flight.attempts,
      maybe_twice: flight.ambiguous && !this.#options.exactlyOnce,
    });
    this.#goOn(flight, true);
  }

  #failed(flight: Flight, error: ServiceError): void {
    const verdict = judge(error);
    const name = status[error.code] ?? String(error.code);
    this.counters.statuses[name] = (this.counters.statuses[name] ?? 0) + 1;
    this.counters.lastFailure = `${name}: ${error.details}`;
    this.#watchSilence(verdict.unreachable);
    flight.ambiguous ||= verdict.ambiguous;
    // Numbers before these are missing over there, and here nothing is left to send them from.
    const isGap = this.#options.exactlyOnce && error.code === status.ABORTED;
    if (!verdict.retry || isGap) {
      this.counters.requestsRejected++;
      this.counters.readingsRejected += flight.request.readings;
      this.#goOn(flight, false);
      return;
    }
    const isStopped = this.endedEarly !== undefined;
    if (isStopped || flight.attempts > this.#options.retries) {
      this.#giveUp(flight);
      return;
    }
    const waitMs = waitBeforeRetryMs(flight.attempts, verdict.waitMs, this.#parts.random);
    this.counters.waiting++;
    this.#waiting.set(
      flight,
      this.#parts.clock.setTimer(waitMs, () => this.#retry(flight)),
    );
  }

  #retry(flight: Flight): void {
    this.#waiting.delete(flight);
    this.counters.waiting--;
    this.counters.retries++;
    if (flight.ambiguous && !flight.isCountedTwice && !this.#options.exactlyOnce) {
      flight.isCountedTwice = true;
      this.counters.possibleDuplicateRequests++;
      this.counters.possibleDuplicateReadings += flight.request.readings;
    }
    this.#attempt(flight);
  }

  #giveUp(flight: Flight): void {
    this.counters.requestsUndelivered++;
    this.counters.readingsUndelivered += flight.request.readings;
    if (flight.ambiguous) this.counters.readingsUncertain += flight.request.readings;
    this.#goOn(flight, false);
  }

  #watchSilence(isSilent: boolean): void {
    if (!isSilent) {
      this.#silentSinceMs = undefined;
      return;
    }
    const nowMs = this.#parts.clock.monotonicMs();
    this.#silentSinceMs ??= nowMs;
    if (nowMs - this.#silentSinceMs < this.#options.silenceMs) return;
    this.stop(`no answer for ${Math.round((nowMs - this.#silentSinceMs) / 1000)}s`);
  }

  #finishIfDone(): void {
    if (this.#taking && !this.#parts.source.ended) return;
    if (this.counters.inFlight > 0 || this.#waiting.size > 0) return;
    this.#endTimer?.cancel();
    this.#release?.stop();
    this.#finished.resolve();
  }
}
