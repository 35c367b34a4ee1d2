/**
 * Progress on standard error while a load runs: one line redrawn in place on a terminal, a plain line
 * every few seconds in a pipe. It only ever reads the load's figures.
 */
import type { Writable } from 'node:stream';
import { formatDurationMs } from '../../base/duration.ts';
import { counted, grouped, latencyText, perSecond, rateOf } from './figures.ts';
import { LatencyHistogram } from './latency.ts';
import type { Load } from './load.ts';

const REDRAW_INTERVAL_MS = 250;
const PLAIN_INTERVAL_MS = 5_000;
const BAR_CELLS = 20;
const CLEAR_LINE = '\r\x1b[2K';

/** What one line of progress is made of. */
export interface ProgressFigures {
  readonly acknowledged: number;
  readonly total: number | undefined;
  readonly elapsedMs: number;
  /** Set when the run is bounded by time. */
  readonly durationMs: number | undefined;
  readonly readingsPerSecond: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly retries: number;
  /** Attempts that were refused or failed. */
  readonly refused: number;
  readonly rejected: number;
  readonly waiting: number;
}

export class Progress {
  readonly #stream: Writable;
  readonly #isTty: boolean;
  readonly #load: Load;
  readonly #durationMs: number | undefined;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #lastMs = this.#startMs;
  #lastAcknowledged = 0;
  #isDrawn = false;

  constructor(stream: Writable & { readonly isTTY?: boolean }, load: Load, durationMs: number | undefined) {
    this.#stream = stream;
    this.#isTty = stream.isTTY === true;
    this.#load = load;
    this.#durationMs = durationMs;
    this.#timer = setInterval(() => this.#show(), this.#isTty ? REDRAW_INTERVAL_MS : PLAIN_INTERVAL_MS);
  }

  /** A line of its own, above the bar on a terminal. */
  note(text: string): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#clear();
  }

  #show(): void {
    const nowMs = performance.now();
    const counters = this.#load.counters();
    const latency = new LatencyHistogram();
    this.#load.takeRecentLatency(latency);
    const figures: ProgressFigures = {
      acknowledged: counters.readingsAcknowledged,
      total: this.#load.totalReadings,
      elapsedMs: nowMs - this.#startMs,
      durationMs: this.#durationMs,
      readingsPerSecond: rateOf(counters.readingsAcknowledged - this.#lastAcknowledged, nowMs - this.#lastMs),
      p50Ms: latency.count > 0 ? latency.percentileMs(50) : undefined,
      p99Ms: latency.count > 0 ? latency.percentileMs(99) : undefined,
      retries: counters.retries,
      refused: Object.values(counters.statuses).reduce((sum, count) => sum + count, 0),
      rejected: counters.requestsRejected,
      waiting: counters.waiting,
    };
    this.#lastMs = nowMs;
    this.#lastAcknowledged = counters.readingsAcknowledged;
    if (!this.#isTty) {
      this.#stream.write(`${plainLine(figures)}\n`);
      return;
    }
    const columns = (this.#stream as { columns?: number }).columns ?? 80;
    this.#stream.write(CLEAR_LINE + barLine(figures).slice(0, columns - 1));
    this.#isDrawn = true;
  }

  #clear(): void {
    if (this.#isDrawn) this.#stream.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}

/** How far along, from 0 to 1; undefined when there is no end in sight. */
function fraction({ acknowledged, total, elapsedMs, durationMs }: ProgressFigures): number | undefined {
  const byCount = total === undefined ? undefined : acknowledged / total;
  const byTime = durationMs === undefined ? undefined : elapsedMs / durationMs;
  if (byCount === undefined && byTime === undefined) return undefined;
  return Math.min(1, Math.max(byCount ?? 0, byTime ?? 0));
}

function restText(figures: ProgressFigures): string | undefined {
  const part = fraction(figures);
  if (part === undefined || part === 0 || part === 1) return undefined;
  return formatDurationMs(Math.ceil((figures.elapsedMs / part - figures.elapsedMs) / 1000) * 1000);
}

function latencies({ p50Ms, p99Ms }: ProgressFigures): string[] {
  if (p50Ms === undefined || p99Ms === undefined) return [];
  return [`p50 ${latencyText(p50Ms)}`, `p99 ${latencyText(p99Ms)}`];
}

function troubles({ retries, refused, rejected, waiting }: ProgressFigures): string[] {
  return [
    ...(refused > 0 ? [`${grouped(refused)} refused`] : []),
    ...(retries > 0 ? [`${grouped(retries)} retried`] : []),
    ...(waiting > 0 ? [`${grouped(waiting)} waiting`] : []),
    ...(rejected > 0 ? [`${grouped(rejected)} rejected`] : []),
  ];
}

export function barLine(figures: ProgressFigures): string {
  const part = fraction(figures);
  const rest = restText(figures);
  const filled = Math.floor((part ?? 0) * BAR_CELLS);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_CELLS - filled);
  return [
    ...(part === undefined ? [] : [`${bar} ${Math.floor(part * 100)}%`]),
    // Before the figures: a narrow terminal cuts the end off.
    ...(rest === undefined ? [] : [`${rest} left`]),
    counted(figures.acknowledged, 'reading'),
    perSecond(figures.readingsPerSecond, 1000),
    ...latencies(figures),
    ...troubles(figures),
  ].join('  ');
}

export function plainLine(figures: ProgressFigures): string {
  const part = fraction(figures);
  const rest = restText(figures);
  const of = figures.total === undefined ? '' : ` of ${grouped(figures.total)}`;
  return [
    `send: ${grouped(figures.acknowledged)}${of} readings acknowledged${part === undefined ? '' : ` (${Math.floor(part * 100)}%)`}`,
    perSecond(figures.readingsPerSecond, 1000),
    ...latencies(figures),
    ...troubles(figures),
    ...(rest === undefined ? [] : [`about ${rest} left`]),
  ].join(', ');
}
