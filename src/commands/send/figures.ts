/** Numbers as people read them: thousands separated, rates and latencies with as many digits as mean something. */
import { formatByteSize } from '../../base/byte-size.ts';

/** `1234567` -> `1,234,567`. */
export function grouped(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `0.42/s`, `9.5/s`, `48,211/s`. */
export function perSecond(count: number, elapsedMs: number): string {
  const rate = rateOf(count, elapsedMs);
  return `${rate >= 100 ? grouped(rate) : Math.round(rate * 100) / 100}/s`;
}

export function bytesPerSecond(bytes: number, elapsedMs: number): string {
  return `${formatByteSize(Math.round(rateOf(bytes, elapsedMs)))}/s`;
}

export function rateOf(count: number, elapsedMs: number): number {
  return elapsedMs > 0 ? (count * 1000) / elapsedMs : 0;
}

/** Three digits and a unit: `0.412ms`, `3.14ms`, `125ms`, `2.5s`. */
export function latencyText(latencyMs: number): string {
  if (latencyMs >= 1000) return `${(latencyMs / 1000).toPrecision(3)}s`;
  if (latencyMs >= 100) return `${Math.round(latencyMs)}ms`;
  if (latencyMs >= 1) return `${latencyMs.toPrecision(3)}ms`;
  return `${latencyMs.toFixed(3)}ms`;
}

/** `1 reading`, `2,000 readings`. */
export function counted(count: number, noun: string): string {
  const plural = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${grouped(count)} ${count === 1 ? noun : plural}`;
}
