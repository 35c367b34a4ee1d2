/**
 * What the daemon has to reach beside its peers, and whether it did: ratios of runs of the same round, by wall clock
 * on one core and by CPU-second. The verdict is by wall clock; on a machine with other work the figure per CPU-second is
 * the steadier one.
 */
import { figure, roundedSpread, type Spread, spreadOf, spreadText } from '../figures.ts';
import type { Run } from '../run.ts';
import type { Comparison } from './comparison.ts';

interface Target {
  readonly measure: string;
  readonly atLeast: number;
  /** Names of cells; without `base` the figure itself is judged, readings per CPU-second. */
  readonly cell: string;
  readonly base?: string;
}

const TARGETS: readonly Target[] = [
  { measure: '1 reading/request, native : grpc-js', atLeast: 8, cell: 'native/1', base: 'grpc-js/1' },
  { measure: '1 reading/request, native : no-op grpc-go', atLeast: 2, cell: 'native/1', base: 'grpc-go/1' },
  {
    measure: '100 readings/request, native : OpenTelemetry Collector',
    atLeast: 10,
    cell: 'native/100',
    base: 'otel-collector/100',
  },
  { measure: '100 readings/request, readings per CPU-second', atLeast: 2_000_000, cell: 'native/100' },
  ...[1, 100].map((readings) => ({
    measure: `${readings} reading${readings === 1 ? '' : 's'}/request, 64 in flight, ACK=written : accepted`,
    atLeast: 0.8,
    cell: `native-64/written/${readings}`,
    base: `native-64/accepted/${readings}`,
  })),
  ...[1, 100].map((readings) => ({
    measure: `${readings} reading${readings === 1 ? '' : 's'}/request, native: streams : unary calls`,
    atLeast: 1,
    cell: `native-stream/${readings}`,
    base: `native/${readings}`,
  })),
];

export interface Verdict {
  readonly measure: string;
  readonly at_least: number;
  /** Undefined: not measured in this run. */
  readonly by_wall_clock: Spread | undefined;
  readonly per_cpu_second: Spread | undefined;
  readonly met: boolean | undefined;
  readonly text: string;
}

export function judge({ cells }: Pick<Comparison, 'cells'>): readonly Verdict[] {
  const runsOf = (name: string): readonly Run[] | undefined =>
    [...cells].find(([cell]) => cell.name === name)?.[1];
  return TARGETS.map((target) => {
    const { measure, atLeast, cell, base } = target;
    const own = runsOf(cell);
    const others = base === undefined ? undefined : runsOf(base);
    if (own === undefined || (base !== undefined && others === undefined)) {
      const text = `not measured: no runs of ${own === undefined ? cell : base}`;
      return {
        measure,
        at_least: atLeast,
        by_wall_clock: undefined,
        per_cpu_second: undefined,
        met: undefined,
        text,
      };
    }
    const ratio = (of: (run: Run) => number): Spread =>
      roundedSpread(
        spreadOf(own.map((run, round) => of(run) / (others === undefined ? 1 : of(others[round]!)))),
      );
    const perCpuSecond = ratio((run) => run.readingsPerCpuSecond);
    const byWallClock = base === undefined ? undefined : ratio((run) => run.readingsPerSecond);
    const { median } = byWallClock ?? perCpuSecond;
    const met = median >= atLeast;
    return {
      measure,
      at_least: atLeast,
      by_wall_clock: byWallClock,
      per_cpu_second: perCpuSecond,
      met,
      text: met
        ? `met, ${figure(median / atLeast)} times over`
        : `MISSED by ${figure((1 - median / atLeast) * 100)}%`,
    };
  });
}

export function verdictRows(verdicts: readonly Verdict[]): readonly (readonly string[])[] {
  const text = (spread: Spread | undefined): string => (spread === undefined ? '-' : spreadText(spread));
  return [
    ['measure', 'target', 'by wall clock', 'per CPU-s', 'verdict'],
    ...verdicts.map(({ measure, at_least, by_wall_clock, per_cpu_second, text: verdict }) => [
      measure,
      `>= ${figure(at_least)}`,
      text(by_wall_clock),
      text(per_cpu_second),
      verdict,
    ]),
  ];
}
