/** From the runs of bench/daemon.ts to tables: medians with their spread, and ratios of what took turns. */
import { MiB } from '../src/base/byte-size.ts';
import { transportName } from './common-options.ts';
import {
  figure,
  markdownTable,
  rounded,
  roundedSpread,
  type Spread,
  spreadOf,
  spreadText,
} from './figures.ts';
import { middleRun, type Run } from './run.ts';

/** One combination that is measured. */
export interface Cell {
  readonly readings: number;
  readonly ack: string;
  readonly transport: string;
}

/** `written/100`, with the transport in front when one was asked for. */
export function cellName({ readings, ack, transport }: Cell): string {
  return `${transport === '' ? '' : `${transport}/`}${ack}/${readings}`;
}

export function summarize(results: ReadonlyMap<Cell, readonly Run[]>): {
  readonly body: string;
  readonly figures: Readonly<Record<string, unknown>>;
} {
  const throughput = [
    [
      'readings per request, acknowledged when, transport',
      'requests/s',
      'readings/s',
      'requests per CPU-s',
      'readings per CPU-s',
      'limited by',
    ],
  ];
  const rest = [
    [
      'readings per request, acknowledged when, transport',
      'p50 ms',
      'p99 ms',
      'p99.9 ms',
      'peak RSS MiB',
      'daemon cores',
      'load cores',
      'cores used by others',
    ],
  ];
  for (const [cell, runs] of results) {
    const spread = (of: (run: Run) => number): Spread => spreadOf(runs.map(of));
    const title = `${cell.readings} ${cell.ack} ${transportName(cell.transport)}`;
    throughput.push([
      title,
      spreadText(spread((run) => run.requestsPerSecond)),
      spreadText(spread((run) => run.readingsPerSecond)),
      spreadText(spread((run) => run.requestsPerCpuSecond)),
      spreadText(spread((run) => run.readingsPerCpuSecond)),
      middleRun(runs).bottleneck,
    ]);
    rest.push([
      title,
      ...([
        (run: Run) => run.latencyMs.p50,
        (run: Run) => run.latencyMs.p99,
        (run: Run) => run.latencyMs.p999,
        (run: Run) => run.peakRssBytes / MiB,
        (run: Run) => run.daemonCores,
        (run: Run) => run.generatorCores,
        (run: Run) => run.othersCores,
      ].map((of) => figure(spread(of).median)) as string[]),
    ]);
  }
  const ratios = ratiosOf(results);
  const body = [
    markdownTable(throughput),
    '',
    'Latency here is that of a closed loop at full load: a request waits behind all that are underway. For what a client sees below saturation, see `npm run bench:latency`.',
    '',
    markdownTable(rest),
    ...(ratios.length === 0
      ? []
      : [
          '',
          'Ratios, each of runs of the same round:',
          '',
          ...ratios.map(({ text, ratio }) => `- ${text}: ${spreadText(ratio)}`),
        ]),
  ].join('\n');
  return { body, figures: { cells: [...results].map(cellFigures), ratios } };
}

function cellFigures([cell, runs]: [Cell, readonly Run[]]): unknown {
  const spread = (of: (run: Run) => number): Spread => roundedSpread(spreadOf(runs.map(of)));
  return {
    name: cellName(cell),
    readings_per_request: cell.readings,
    ack: cell.ack,
    transport: transportName(cell.transport),
    requests_per_second: spread((run) => run.requestsPerSecond),
    readings_per_second: spread((run) => run.readingsPerSecond),
    requests_per_cpu_second: spread((run) => run.requestsPerCpuSecond),
    readings_per_cpu_second: spread((run) => run.readingsPerCpuSecond),
    latency_p50_ms: spread((run) => run.latencyMs.p50),
    latency_p99_ms: spread((run) => run.latencyMs.p99),
    latency_p99_9_ms: spread((run) => run.latencyMs.p999),
    peak_rss_bytes: spread((run) => run.peakRssBytes),
    daemon_cores: spread((run) => run.daemonCores),
    load_cores: spread((run) => run.generatorCores),
    cores_used_by_others: spread((run) => run.othersCores),
    limited_by: middleRun(runs).bottleneck,
    limited_by_daemon_in_runs: runs.filter((run) => run.isDaemonTheLimit).length,
    runs: runs.map((run) => ({
      requests_per_second: rounded(run.requestsPerSecond),
      requests_per_cpu_second: rounded(run.requestsPerCpuSecond),
      cores_used_by_others: rounded(run.othersCores),
      limited_by: run.bottleneck,
    })),
  };
}

interface Ratio {
  readonly text: string;
  readonly ratio: Spread;
}

/** Of cells that differ in one thing only: transports against the first, acknowledgements against `written`. */
function ratiosOf(results: ReadonlyMap<Cell, readonly Run[]>): readonly Ratio[] {
  const cells = [...results.keys()];
  const firstTransport = cells[0]!.transport;
  const ratios: Ratio[] = [];
  const add = (cell: Cell, base: Cell | undefined): void => {
    if (base === undefined || base === cell) return;
    const baseRuns = results.get(base)!;
    const of = (figureOf: (run: Run) => number): Spread =>
      roundedSpread(
        spreadOf(results.get(cell)!.map((run, round) => figureOf(run) / figureOf(baseRuns[round]!))),
      );
    const text = `${cellName(cell)} to ${cellName(base)}`;
    ratios.push({ text: `${text}, requests/s`, ratio: of((run) => run.requestsPerSecond) });
    ratios.push({ text: `${text}, per CPU-s`, ratio: of((run) => run.requestsPerCpuSecond) });
  };
  const like = (cell: Cell, change: Partial<Cell>): Cell | undefined => {
    const wanted = cellName({ ...cell, ...change });
    return cells.find((other) => cellName(other) === wanted);
  };
  for (const cell of cells) add(cell, like(cell, { transport: firstTransport }));
  for (const cell of cells) add(cell, like(cell, { ack: 'written' }));
  return ratios;
}
