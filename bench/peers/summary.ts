/** The comparison as tables, and as figures for programs. */
import { MiB } from '../../src/base/byte-size.ts';
import { figure, markdownTable, roundedSpread, type Spread, spreadOf, spreadText } from '../figures.ts';
import { middleRun, type Run } from '../run.ts';
import type { Comparison, PeerCell } from './comparison.ts';
import { judge, verdictRows } from './targets.ts';

export function summarizePeers(comparison: Comparison): {
  readonly body: string;
  readonly figures: Readonly<Record<string, unknown>>;
} {
  const { cells, missing } = comparison;
  const throughput = [
    ['server, readings per request', 'requests/s', 'readings/s', 'requests per CPU-s', 'readings per CPU-s'],
  ];
  const rest = [
    [
      'server, readings per request',
      'cores used',
      'of its core used by others',
      'peak RSS MiB',
      'limited by',
    ],
  ];
  for (const [cell, runs] of cells) {
    const spread = (of: (run: Run) => number): Spread => spreadOf(runs.map(of));
    throughput.push([
      titleOf(cell),
      spreadText(spread((run) => run.requestsPerSecond)),
      spreadText(spread((run) => run.readingsPerSecond)),
      spreadText(spread((run) => run.requestsPerCpuSecond)),
      spreadText(spread((run) => run.readingsPerCpuSecond)),
    ]);
    rest.push([
      titleOf(cell),
      figure(spread((run) => run.daemonCores).median),
      percent(spread((run) => run.strangersShare).median),
      figure(spread((run) => run.peakRssBytes / MiB).median),
      middleRun(runs).bottleneck,
    ]);
  }
  const verdicts = judge(comparison);
  const body = [
    '## On one core, beside its peers',
    '',
    markdownTable(throughput),
    '',
    'Targets; ratios are of runs of the same round:',
    '',
    markdownTable(verdictRows(verdicts)),
    '',
    markdownTable(rest),
    '',
    ...versionsOf(comparison).map(({ name, version, does }) => `- ${name}: ${version}; ${does}.`),
    ...missing.map(({ name, missing: why }) => `- SKIPPED ${name}: ${why}.`),
  ].join('\n');
  const figures = {
    cells: [...cells].map(cellFigures),
    targets: verdicts,
    versions: versionsOf(comparison),
    missing,
  };
  return { body, figures };
}

export function titleOf({ peer, ack, readings, name, connections, streams, isStreaming }: PeerCell): string {
  const inFlight = isStreaming
    ? `, ${connections} streams`
    : name.startsWith('native-64')
      ? `, ${connections * streams} in flight`
      : '';
  return `${peer.name}${ack === undefined ? '' : ` ${ack}`}${inFlight}, ${readings}`;
}

function percent(share: number): string {
  return Number.isNaN(share) ? '-' : `${Math.round(share * 100)}%`;
}

function versionsOf({ cells }: Comparison): readonly { name: string; version: string; does: string }[] {
  const seen = new Map<string, { name: string; version: string; does: string }>();
  for (const { peer, ack } of cells.keys()) {
    const name = ack === undefined ? peer.name : `${peer.name} ${ack}`;
    seen.set(name, { name, version: peer.version, does: peer.does });
  }
  return [...seen.values()];
}

function cellFigures([cell, runs]: readonly [PeerCell, readonly Run[]]): unknown {
  const spread = (of: (run: Run) => number): Spread => roundedSpread(spreadOf(runs.map(of)));
  return {
    name: cell.name,
    title: titleOf(cell),
    server: cell.peer.name,
    ack: cell.ack ?? null,
    readings_per_request: cell.readings,
    in_flight: cell.connections * cell.streams,
    requests_per_second: spread((run) => run.requestsPerSecond),
    readings_per_second: spread((run) => run.readingsPerSecond),
    requests_per_cpu_second: spread((run) => run.requestsPerCpuSecond),
    readings_per_cpu_second: spread((run) => run.readingsPerCpuSecond),
    latency_p50_ms: spread((run) => run.latencyMs.p50),
    latency_p99_ms: spread((run) => run.latencyMs.p99),
    peak_rss_bytes: spread((run) => run.peakRssBytes),
    cores: spread((run) => run.daemonCores),
    load_cores: spread((run) => run.generatorCores),
    own_core_used_by_others: spread((run) => run.strangersShare),
    cores_used_by_others: spread((run) => run.othersCores),
    limited_by: middleRun(runs).bottleneck,
    limited_by_server_in_runs: runs.filter((run) => run.isDaemonTheLimit).length,
  };
}
