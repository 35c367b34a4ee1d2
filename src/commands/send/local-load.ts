/** One thread's share of a load: its connections, its source, its run. Threads each hold one of these. */
import { systemClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { AcknowledgedLog } from './acknowledged-log.ts';
import { ClientPool } from './client-pool.ts';
import type { Counters } from './counters.ts';
import { newCounters } from './counters.ts';
import { FleetSource } from './fleet.ts';
import type { LatencyHistogram } from './latency.ts';
import type { Load, LoadResult } from './load.ts';
import { LoadRun } from './load-run.ts';
import type { LoadPlan } from './plan.ts';
import { requestCount, shareOf } from './plan.ts';
import type { RequestSource } from './request-source.ts';
import { ClosedLoopSchedule, OpenLoopSchedule } from './schedule.ts';
import { readToken } from './token.ts';

/** A scheduled load ends by its last request; time cuts it only when it is further behind than this. */
const SCHEDULE_GRACE_MS = 250;

export interface LoadShare {
  readonly thread: number;
  readonly threads: number;
  readonly onWaiting: (target: string) => void;
}

/** Readings the whole plan comes to; undefined when only time will tell. */
export function plannedReadings({ fleet, requestsPerSecond, durationMs }: LoadPlan): number | undefined {
  if (fleet === undefined) return undefined;
  const requests =
    durationMs === undefined || requestsPerSecond === undefined
      ? requestCount(fleet)
      : Math.min(requestCount(fleet), new OpenLoopSchedule(0, requestsPerSecond).requestsWithin(durationMs));
  const readings = Math.min(fleet.totalReadings, requests * fleet.readingsPerRequest);
  return Number.isFinite(readings) ? readings : undefined;
}

export class LocalLoad implements Load {
  readonly totalReadings: number | undefined;
  readonly #plan: LoadPlan;
  readonly #share: LoadShare;
  readonly #pool: ClientPool;
  /** Standard input; undefined for the fleet, whose source needs to know the start first. */
  readonly #source: RequestSource | undefined;
  readonly #log: AcknowledgedLog | undefined;
  #run: LoadRun | undefined;
  #stoppedBefore: string | undefined;

  constructor(plan: LoadPlan, share: LoadShare, source: RequestSource | undefined) {
    this.totalReadings = plannedReadings(plan);
    this.#plan = plan;
    this.#share = share;
    this.#source = source;
    this.#log = plan.acknowledgedLog === undefined ? undefined : new AcknowledgedLog(plan.acknowledgedLog);
    this.#pool = new ClientPool({
      target: plan.target,
      connections: shareOf(plan.connections, share.thread, share.threads),
      gzip: plan.gzip,
      tls: plan.tls,
      token: plan.tokenFile === undefined ? undefined : readToken(plan.tokenFile),
    });
  }

  connect(): Promise<void> {
    return this.#pool.connect(this.#plan.connectTimeoutMs, this.#share.onWaiting);
  }

  /** `startMs` is on the wall clock, the one that threads share. */
  async run(startMs: number = systemClock.nowMs()): Promise<LoadResult> {
    const plan = this.#plan;
    const { thread, threads } = this.#share;
    const monotonicStartMs = systemClock.monotonicMs() + (startMs - systemClock.nowMs());
    const run = new LoadRun(
      {
        isOpenLoop: plan.requestsPerSecond !== undefined,
        exactlyOnce: plan.exactlyOnce,
        concurrency: shareOf(plan.concurrency, thread, threads),
        timeoutMs: plan.timeoutMs,
        retries: plan.retries,
        silenceMs: plan.connectTimeoutMs,
        endMs: this.#endMs(monotonicStartMs),
      },
      {
        pool: this.#pool,
        source: this.#source ?? this.#fleetSource(monotonicStartMs),
        clock: systemClock,
        random: seededRandom(plan.seed + thread),
        log: this.#log,
      },
    );
    this.#run = run;
    if (this.#stoppedBefore !== undefined) run.stop(this.#stoppedBefore);
    await run.run();
    this.#log?.flush();
    return run;
  }

  stop(reason: string): void {
    this.#stoppedBefore = reason;
    this.#run?.stop(reason);
  }

  close(): void {
    this.#pool.close();
    this.#log?.close();
  }

  counters(): Counters {
    return this.#run?.counters ?? newCounters();
  }

  takeRecentLatency(into: LatencyHistogram): void {
    const recent = this.#run?.recentLatency;
    if (recent === undefined || recent.count === 0) return;
    into.addEncoded(recent.encode());
    recent.reset();
  }

  #endMs(startMs: number): number | undefined {
    const { durationMs, requestsPerSecond } = this.#plan;
    if (durationMs === undefined) return undefined;
    return startMs + durationMs + (requestsPerSecond === undefined ? 0 : SCHEDULE_GRACE_MS);
  }

  #fleetSource(startMs: number): FleetSource {
    const { requestsPerSecond, durationMs, fleet } = this.#plan;
    const schedule =
      requestsPerSecond === undefined
        ? new ClosedLoopSchedule(startMs)
        : new OpenLoopSchedule(startMs, requestsPerSecond);
    const limit = durationMs === undefined ? Number.POSITIVE_INFINITY : schedule.requestsWithin(durationMs);
    const { thread, threads } = this.#share;
    return new FleetSource(fleet!, schedule, limit, thread, threads, () => systemClock.nowMs());
  }
}
