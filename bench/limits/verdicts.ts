/** The targets beyond throughput, held against what was measured. */
import { figure, markdownTable, roundedSpread, type Spread, spreadOf, spreadText } from '../figures.ts';

/** One measurement; `detail` says it in words. */
export interface LimitRun {
  readonly name: string;
  readonly figure: number;
  readonly detail: string;
}

interface Target {
  readonly measure: string;
  readonly name: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

const SYNCED = 'min(accepted, in flight / sync alone, disk)';
const TARGETS: readonly Target[] = [
  { measure: `ACK=synced : ${SYNCED}, 64 in flight`, name: 'synced/64', atLeast: 0.8 },
  {
    measure: `the same on a disk whose syncs take 5 ms longer, 64 in flight`,
    name: 'synced-slow/64',
    atLeast: 0.8,
  },
  { measure: `ACK=synced : ${SYNCED}, 2,048 in flight`, name: 'synced/2048', atLeast: 0.8 },
  ...[1, 100].map((readings) => ({
    measure: `p99 ms, open loop at half of the maximum, ${readings} per request, ACK=written`,
    name: `latency/${readings}`,
    atMost: 5,
  })),
  {
    measure: 'ingest threads 1 -> 2, 256 connections, streams, 1 per request',
    name: 'threads-stream/1',
    atLeast: 1.8,
  },
  {
    measure: 'ingest threads 1 -> 2, 256 connections, unary, 100 per request',
    name: 'threads/100',
    atLeast: 1.8,
  },
  { measure: 'RSS MiB at maximum load, 1,000 connections, 1 per request', name: 'memory/1', atMost: 256 },
  { measure: 'RSS MiB at maximum load, 1,000 connections, 100 per request', name: 'memory/100', atMost: 256 },
  { measure: 'RSS KiB of each of 10,000 idle connections', name: 'idle/memory', atMost: 20 },
  { measure: 'ingest rate beside 10,000 idle connections : alone', name: 'idle/rate', atLeast: 0.95 },
];

export interface LimitVerdict {
  readonly measure: string;
  readonly name: string;
  readonly target: string;
  /** Undefined: not measured in this run. */
  readonly figure: Spread | undefined;
  readonly met: boolean | undefined;
  readonly text: string;
  /** Of the run nearest to the median. */
  readonly detail: string;
}

export function judgeLimits(runs: readonly LimitRun[]): readonly LimitVerdict[] {
  return TARGETS.map(({ measure, name, atLeast, atMost }) => {
    const target = atLeast === undefined ? `<= ${figure(atMost!)}` : `>= ${figure(atLeast)}`;
    const own = runs.filter((run) => run.name === name);
    const counted = own.filter((run) => !Number.isNaN(run.figure));
    if (counted.length === 0) {
      const detail = own[0]?.detail ?? '';
      return { measure, name, target, figure: undefined, met: undefined, text: 'not measured', detail };
    }
    const spread = spreadOf(counted.map((run) => run.figure));
    const met = atLeast === undefined ? spread.median <= atMost! : spread.median >= atLeast;
    const off =
      atLeast === undefined
        ? `${figure(spread.median / atMost!)} times as much`
        : `by ${figure((1 - spread.median / atLeast) * 100)}%`;
    const middle = counted.toSorted(
      (a, b) => Math.abs(a.figure - spread.median) - Math.abs(b.figure - spread.median),
    )[0]!;
    const text = met ? 'met' : `MISSED, ${off}`;
    return { measure, name, target, figure: roundedSpread(spread), met, text, detail: middle.detail };
  });
}

export function summarizeLimits(runs: readonly LimitRun[]): {
  readonly body: string;
  readonly figures: readonly LimitVerdict[];
} {
  const verdicts = judgeLimits(runs);
  const body = [
    '## Targets beyond throughput, native transport',
    '',
    markdownTable([
      ['measure', 'target', 'measured', 'verdict'],
      ...verdicts.map(({ measure, target, figure: spread, text }) => [
        measure,
        target,
        spread === undefined ? '-' : spreadText(spread),
        text,
      ]),
    ]),
    '',
    ...verdicts
      .filter(({ detail }) => detail !== '')
      .map(({ measure, detail }) => `- ${measure}: ${detail}.`),
  ].join('\n');
  return { body, figures: verdicts };
}
