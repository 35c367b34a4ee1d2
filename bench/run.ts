/** One run of one server, in the figures that are compared. */
import { findBottleneck } from './bottleneck.ts';
import type { Percentiles } from './figures.ts';
import type { LoadWindow } from './load.ts';

export interface Run {
  readonly requestsPerSecond: number;
  readonly readingsPerSecond: number;
  readonly requestsPerCpuSecond: number;
  readonly readingsPerCpuSecond: number;
  readonly latencyMs: Percentiles;
  readonly peakRssBytes: number;
  readonly daemonCores: number;
  readonly generatorCores: number;
  /** Of the cores that the server is held to: used by others, 0 to 1; NaN when it is held to none. */
  readonly strangersShare: number;
  /** Cores that other programs kept busy meanwhile. */
  readonly othersCores: number;
  readonly bottleneck: string;
  readonly isDaemonTheLimit: boolean;
}

export function runOf(window: LoadWindow, readings: number, peakRssBytes?: number): Run {
  const { requests, elapsedMs, latencyMs, daemon, generator } = window;
  const bottleneck = findBottleneck(window);
  const perSecond = (requests / elapsedMs) * 1000;
  const coresOf = (cpuSeconds: number | undefined): number => ((cpuSeconds ?? Number.NaN) / elapsedMs) * 1000;
  return {
    requestsPerSecond: perSecond,
    readingsPerSecond: perSecond * readings,
    requestsPerCpuSecond: requests / (daemon?.cpuSeconds ?? Number.NaN),
    readingsPerCpuSecond: (requests * readings) / (daemon?.cpuSeconds ?? Number.NaN),
    latencyMs,
    peakRssBytes: peakRssBytes ?? Number.NaN,
    daemonCores: coresOf(daemon?.cpuSeconds),
    generatorCores: coresOf(generator?.cpuSeconds),
    strangersShare: daemon?.strangersShare ?? Number.NaN,
    othersCores: bottleneck.coresUsedByOthers,
    bottleneck: bottleneck.text,
    isDaemonTheLimit: bottleneck.isDaemon,
  };
}

/** The run whose rate is the median: what limited it is what limited the figure. */
export function middleRun(runs: readonly Run[]): Run {
  return runs.toSorted((a, b) => a.requestsPerSecond - b.requestsPerSecond)[runs.length >> 1]!;
}
