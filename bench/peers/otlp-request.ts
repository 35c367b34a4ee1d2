/**
 * The readings of bench/request-body.ts as an OTLP ExportMetricsServiceRequest: one resource, one scope, and for each
 * reading a gauge named like the sensor with one point that carries the same value and time. Of the ways to say it
 * this is the one with the fewest bytes: nothing repeats, and no point needs an attribute.
 *
 *   ExportMetricsServiceRequest.resource_metrics = 1 > ResourceMetrics.scope_metrics = 2 > ScopeMetrics.metrics = 2
 *   Metric.name = 1, Metric.gauge = 5 > Gauge.data_points = 1 > NumberDataPoint.time_unix_nano = 3, .as_int = 6
 */
import { sampleReading } from '../request-body.ts';

export const OTLP_PATH = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';

const LENGTH_DELIMITED = 2;
const FIXED64 = 1;

export function otlpRequest(readings: number): Uint8Array {
  const metrics = Array.from({ length: readings }, (_, index) => field(2, metric(index)));
  return field(1, field(2, Buffer.concat(metrics)));
}

function metric(index: number): Buffer {
  const { sensorName, value, seconds, nanos } = sampleReading(index);
  const timeUnixNano = BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
  const point = Buffer.concat([fixed64(3, timeUnixNano), fixed64(6, BigInt(value))]);
  return Buffer.concat([field(1, Buffer.from(sensorName)), field(5, field(1, point))]);
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | LENGTH_DELIMITED, ...varint(bytes.length)]), bytes]);
}

function fixed64(number: number, value: bigint): Buffer {
  const bytes = Buffer.alloc(9, (number << 3) | FIXED64);
  bytes.writeBigInt64LE(value, 1);
  return bytes;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
