/** The last word of `send`: a table for people or one JSON object for programs, from the same figures. */
import { formatDurationMs } from '../../base/duration.ts';
import type { Counters } from './counters.ts';
import { bytesPerSecond, counted, grouped, latencyText, perSecond, rateOf } from './figures.ts';
import type { LatencyFigures } from './latency.ts';

export interface SendOutcome {
  readonly target: string;
  readonly connections: number;
  readonly threads: number;
  readonly seed: number;
  /** Undefined: closed loop. */
  readonly requestsPerSecond: number | undefined;
  readonly elapsedMs: number;
  readonly counters: Counters;
  readonly latency: LatencyFigures;
  readonly attemptLatency: LatencyFigures;
  /** Readings the plan came to; undefined where only time or the input bounded it. */
  readonly plannedReadings: number | undefined;
  /** The plan's total was asked for, so falling short of it is a failure. */
  readonly isTotalRequired: boolean;
  readonly faultyLines: number;
  readonly endedEarly: string | undefined;
}

export function readingsNotSent({ plannedReadings, counters }: SendOutcome): number {
  return plannedReadings === undefined ? 0 : plannedReadings - counters.readingsTaken;
}

/** Everything that was to be delivered was. */
export function isDelivered(outcome: SendOutcome): boolean {
  const { counters } = outcome;
  return (
    counters.requestsRejected === 0 &&
    counters.requestsUndelivered === 0 &&
    outcome.faultyLines === 0 &&
    (!outcome.isTotalRequired || readingsNotSent(outcome) === 0)
  );
}

export function jsonSummary(outcome: SendOutcome): string {
  const { counters, elapsedMs } = outcome;
  return JSON.stringify({
    delivered: isDelivered(outcome),
    target: outcome.target,
    elapsed_s: rounded(elapsedMs / 1000),
    connections: outcome.connections,
    threads: outcome.threads,
    seed: outcome.seed,
    planned_requests_per_s: outcome.requestsPerSecond ?? null,
    readings: {
      planned: outcome.plannedReadings ?? null,
      acknowledged: counters.readingsAcknowledged,
      rejected: counters.readingsRejected,
      undelivered: counters.readingsUndelivered,
      uncertain: counters.readingsUncertain,
      not_sent: readingsNotSent(outcome),
      possible_duplicates: counters.possibleDuplicateReadings,
      per_s: rounded(rateOf(counters.readingsAcknowledged, elapsedMs)),
    },
    requests: {
      acknowledged: counters.requestsAcknowledged,
      rejected: counters.requestsRejected,
      undelivered: counters.requestsUndelivered,
      retries: counters.retries,
      possible_duplicates: counters.possibleDuplicateRequests,
      per_s: rounded(rateOf(counters.requestsAcknowledged, elapsedMs)),
    },
    bytes: {
      acknowledged: counters.bytesAcknowledged,
      per_s: rounded(rateOf(counters.bytesAcknowledged, elapsedMs)),
    },
    latency_ms: outcome.latency,
    attempt_latency_ms: outcome.attemptLatency,
    max_behind_schedule_ms: rounded(counters.maxBehindMs),
    failed_attempts: counters.statuses,
    last_failure: counters.lastFailure === '' ? null : counters.lastFailure,
    faulty_lines: outcome.faultyLines,
    ended_early: outcome.endedEarly ?? null,
  });
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export function tableSummary(outcome: SendOutcome): string {
  const { counters, elapsedMs } = outcome;
  const lines = [
    `${outcome.target}, ${counted(outcome.connections, 'connection')}, ${formatDurationMs(elapsedMs)}`,
    '',
    row(
      'readings',
      `${grouped(counters.readingsAcknowledged)} acknowledged`,
      perSecond(counters.readingsAcknowledged, elapsedMs),
    ),
    row(
      'requests',
      `${grouped(counters.requestsAcknowledged)} acknowledged`,
      `${perSecond(counters.requestsAcknowledged, elapsedMs)}, ${bytesPerSecond(counters.bytesAcknowledged, elapsedMs)}`,
    ),
  ];
  const failures = Object.entries(counters.statuses).map(([name, count]) => `${grouped(count)} ${name}`);
  if (failures.length > 0) {
    lines.push(row('refused', `${counted(counters.retries, 'retry')}`, `attempts: ${failures.join(', ')}`));
  }
  if (counters.possibleDuplicateReadings > 0) {
    lines.push(
      row(
        'duplicates',
        `${counted(counters.possibleDuplicateReadings, 'reading')} possibly`,
        'repeated after a failure that left open whether they were stored',
      ),
    );
  }
  if (outcome.latency.count > 0) {
    lines.push('', heading(), latencyRow('from planned start', outcome.latency));
    lines.push(latencyRow('successful attempt', outcome.attemptLatency));
  }
  if (outcome.requestsPerSecond !== undefined && counters.maxBehindMs >= 100) {
    lines.push(
      '',
      `At worst ${latencyText(counters.maxBehindMs)} behind schedule (in the latency above): ` +
        'more --concurrency, --connections or --threads show whether that was the sender.',
    );
  }
  const faults = faultLines(outcome);
  if (faults.length > 0) lines.push('', ...faults);
  return `${lines.join('\n')}\n`;
}

function faultLines(outcome: SendOutcome): string[] {
  const { counters } = outcome;
  const lines: string[] = [];
  const missing = (readings: number, what: string): void => {
    if (readings > 0) lines.push(`${counted(readings, 'reading')} ${what}`);
  };
  if (outcome.endedEarly !== undefined) lines.push(`Ended early: ${outcome.endedEarly}`);
  missing(counters.readingsRejected, 'rejected: the daemon will never take them');
  missing(
    counters.readingsUndelivered,
    `not delivered${counters.readingsUncertain > 0 ? ` (${grouped(counters.readingsUncertain)} of them may be stored all the same)` : ''}`,
  );
  missing(
    readingsNotSent(outcome),
    outcome.isTotalRequired || outcome.endedEarly !== undefined
      ? 'never sent'
      : 'planned but never sent: the schedule could not be kept',
  );
  if (outcome.faultyLines > 0) lines.push(`${counted(outcome.faultyLines, 'faulty line')} skipped`);
  if (lines.length > 0 && counters.lastFailure !== '') lines.push(`Last failure: ${counters.lastFailure}`);
  return lines;
}

function row(name: string, count: string, more: string): string {
  return `  ${name.padEnd(20)}${count.padEnd(26)}${more}`;
}

const COLUMNS = ['p50', 'p90', 'p99', 'p99.9', 'max', 'mean'] as const;

function heading(): string {
  return `  ${'latency'.padEnd(20)}${COLUMNS.map((name) => name.padStart(9)).join('')}`;
}

function latencyRow(name: string, { p50, p90, p99, p999, max, mean }: LatencyFigures): string {
  const cells = [p50, p90, p99, p999, max, mean].map((value) => latencyText(value).padStart(9));
  return `  ${name.padEnd(20)}${cells.join('')}`;
}
