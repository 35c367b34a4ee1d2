/**
 * Latency histograms: microseconds, three significant digits, up to an hour. They merge without loss, so
 * the percentiles of many threads are those of one.
 */
import type { Histogram } from 'hdr-histogram-js';
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js';

const HIGHEST_US = 3_600_000_000;

/** Milliseconds. */
export interface LatencyFigures {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export class LatencyHistogram {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
  });

  recordMs(latencyMs: number): void {
    // The histogram throws outside its range; an hour is as good as more.
    this.#histogram.recordValue(Math.min(HIGHEST_US, Math.max(0, Math.round(latencyMs * 1000))));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  percentileMs(percentile: number): number {
    // A percentile is the upper end of its bucket, which may lie above the largest value recorded.
    return Math.min(this.#histogram.getValueAtPercentile(percentile), this.#histogram.maxValue) / 1000;
  }

  figures(): LatencyFigures {
    return {
      count: this.count,
      mean: this.count === 0 ? 0 : Math.round(this.#histogram.mean) / 1000,
      p50: this.percentileMs(50),
      p90: this.percentileMs(90),
      p99: this.percentileMs(99),
      p999: this.percentileMs(99.9),
      max: this.#histogram.maxValue / 1000,
    };
  }

  reset(): void {
    this.#histogram.reset();
  }

  /** For another thread's `addEncoded`. */
  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }

  addEncoded(encoded: string): void {
    this.#histogram.add(decodeFromCompressedBase64(encoded));
  }
}
