/** A line on a terminal that says how far a long job in bytes has come. Nothing at all anywhere else. */
import type { Writable } from 'node:stream';
import { formatByteSize } from '../base/byte-size.ts';
import { formatDurationMs } from '../base/duration.ts';

const REDRAW_MS = 100;
const BAR_COLUMNS = 24;
const MIN_BAR_COLUMNS = 4;
const CLEAR_LINE = '\r\u001b[K';

export class ProgressBar {
  readonly #stream: Writable;
  readonly #label: string;
  readonly #isShown: boolean;
  readonly #startedMs = performance.now();
  #drawnMs = Number.NEGATIVE_INFINITY;

  constructor(stream: Writable, label: string) {
    this.#stream = stream;
    this.#label = label;
    this.#isShown = (stream as { isTTY?: boolean }).isTTY === true;
  }

  update(doneBytes: number, totalBytes: number): void {
    if (!this.#isShown) return;
    const nowMs = performance.now();
    if (nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const columns = (this.#stream as { columns?: number }).columns ?? 80;
    this.#stream.write(
      CLEAR_LINE + progressLine(this.#label, doneBytes, totalBytes, nowMs - this.#startedMs, columns),
    );
  }

  /** Makes room for other output; the next update draws it again. */
  clear(): void {
    if (!this.#isShown || this.#drawnMs === Number.NEGATIVE_INFINITY) return;
    this.#stream.write(CLEAR_LINE);
    this.#drawnMs = Number.NEGATIVE_INFINITY;
  }
}

export function progressLine(
  label: string,
  doneBytes: number,
  totalBytes: number,
  elapsedMs: number,
  columns = 80,
): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const bytesPerSecond = elapsedMs > 0 ? (doneBytes / elapsedMs) * 1000 : 0;
  const speed = `${formatByteSize(Math.round(bytesPerSecond))}/s`;
  const leftMs = share > 0 ? (elapsedMs / share) * (1 - share) : 0;
  // Too early an estimate would only jump about.
  const rest =
    elapsedMs < 1000 || leftMs < 1000 ? '' : `, ${formatDurationMs(Math.ceil(leftMs / 1000) * 1000)} left`;
  const figures = `${percent} of ${formatByteSize(totalBytes)}, ${speed}${rest}`;
  // A line that wraps is not cleared by the next one; so the bar gives way first, and then the figures.
  const room = columns - 1 - label.length - 1 - figures.length;
  const barColumns = room < MIN_BAR_COLUMNS ? 0 : Math.min(BAR_COLUMNS, room);
  const filled = Math.round(share * barColumns);
  const bar = '█'.repeat(filled) + '░'.repeat(barColumns - filled);
  return `${label} ${bar}${figures}`.slice(0, columns - 1);
}
