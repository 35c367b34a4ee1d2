/**
 * What is to be sent, as plain data: the same plan goes to every thread, and together with a request's
 * index it determines the request. Nothing here depends on time or on answers, so a run can be
 * repeated, split over threads and checked afterwards.
 *
 * Request i carries readings of one sensor: sensor i mod N, and of that sensor the next run of
 * `readingsPerRequest` numbers, starting at 1. The last request is cut so that the total is exact.
 */
import type { TlsWish } from '../channel-security.ts';

export type ValueKind = 'int' | 'double' | 'bool' | 'string' | 'mixed';

export interface FleetPlan {
  readonly sensors: number;
  readonly sensorPrefix: string;
  readonly readingsPerRequest: number;
  /** Readings in total; Infinity when only the duration ends the run. */
  readonly totalReadings: number;
  readonly valueKind: ValueKind;
  readonly labels: Readonly<Record<string, string>>;
  readonly seed: number;
  /** Send producer_id and first_sequence. */
  readonly numbered: boolean;
  /** Before the sensor's name in its producer_id. */
  readonly producerPrefix: string;
}

export interface LoadPlan {
  readonly target: string;
  /** Undefined: closed loop. */
  readonly requestsPerSecond: number | undefined;
  readonly durationMs: number | undefined;
  readonly connections: number;
  readonly concurrency: number;
  readonly gzip: boolean;
  /** One request of a sensor at a time, and repeats are no duplicates. */
  readonly exactlyOnce: boolean;
  readonly tls: TlsWish;
  /** The path, not the token: plans are handed around and shown. */
  readonly tokenFile: string | undefined;
  readonly timeoutMs: number;
  /** Retries per request after its first attempt; Infinity for as many as it takes. */
  readonly retries: number;
  readonly connectTimeoutMs: number;
  readonly acknowledgedLog: string | undefined;
  readonly seed: number;
  /** Undefined: readings come from standard input. */
  readonly fleet: FleetPlan | undefined;
}

export interface RequestShape {
  readonly sensor: number;
  readonly first: number;
  readonly count: number;
}

export function requestCount(plan: FleetPlan): number {
  return Math.ceil(plan.totalReadings / plan.readingsPerRequest);
}

export function requestShape(plan: FleetPlan, index: number): RequestShape {
  const sentBefore = index * plan.readingsPerRequest;
  return {
    sensor: index % plan.sensors,
    first: Math.floor(index / plan.sensors) * plan.readingsPerRequest + 1,
    count: Math.min(plan.readingsPerRequest, plan.totalReadings - sentBefore),
  };
}

/** What is left of `total` for thread `thread` of `threads`, the shares differing by one at most. */
export function shareOf(total: number, thread: number, threads: number): number {
  return Math.floor(total / threads) + (thread < total % threads ? 1 : 0);
}
