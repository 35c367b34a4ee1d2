/**
 * What a SensorValuesRequest must become, worked out the slow way: protobufjs decodes it to objects, and plain
 * JavaScript judges and prints them. The contract is read from proto/, with one change that the wire cannot tell:
 * `labels` is read as the repeated entries that a map is, so that the order of the labels is known (an object
 * would put keys like "7" first).
 *
 * protobufjs is corrected in two places where it departs from protobuf (`known disagreements` in
 * line-encoder-oracle.test.ts shows both):
 * 1. Skipping an unknown varint, it takes any number of bytes. protobuf: at most 10.
 * 2. A bool counts bits past the 64th. Other parsers drop them, as for integers, or refuse them.
 * It also lets groups nest one level deeper than 100; generated inputs stay far below.
 */
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

interface Entry {
  key: string;
  value: string;
}

interface Reading {
  sensor_name: string;
  measurement: {
    sensor_value: { value: unknown } | null;
    created_at: { seconds: unknown; nanos: number } | null;
    double_value?: number;
    bool_value?: boolean;
    string_value?: string;
  } | null;
  labels: Entry[];
}

interface Request {
  items: Reading[];
  producer_id: string;
  first_sequence: unknown;
}

const contract = new URL('../../proto/sensor/v1/sensor.proto', import.meta.url);

function requestType(): protobuf.Type {
  const source = readFileSync(contract, 'utf8');
  const changed = source.replace(
    'map<string, string> labels = 3;',
    'message Entry { string key = 1; string value = 2; } repeated Entry labels = 3;',
  );
  if (changed === source) throw new Error('the labels of the contract are not where the oracle expects them');
  const root = new protobuf.Root();
  for (const file of ['google/protobuf/timestamp.proto', 'google/protobuf/wrappers.proto']) {
    root.addJSON(protobuf.common.get(file)!.nested!);
  }
  return protobuf.parse(changed, root, { keepCase: true }).root.lookupType('sensor.v1.SensorValuesRequest');
}

/** SensorValuesRequest with labels as entries. */
export const RequestType = requestType();

class CorrectedReader extends protobuf.Reader {
  override skip(length?: number): protobuf.Reader {
    if (length === undefined) this.uint64();
    else super.skip(length);
    return this;
  }

  override bool(): boolean {
    return String(this.uint64()) !== '0';
  }
}

/** The lines of the request, or undefined when it must be refused. */
export function oracleLines(request: Uint8Array, receivedAtMs: number): string[] | undefined {
  let message: Request;
  try {
    // A plain Uint8Array, because Buffers are read by another class.
    message = RequestType.decode(new CorrectedReader(new Uint8Array(request))) as unknown as Request;
  } catch {
    return undefined;
  }
  const first = BigInt(String(message.first_sequence));
  if ((message.producer_id === '') !== (first === 0n)) return undefined;
  if (message.items.length > 0 && first + BigInt(message.items.length) - 1n >= 1n << 64n) return undefined;
  // MAX_PRODUCER_ID_BYTES; the last one of the request counts.
  if (Buffer.byteLength(message.producer_id) > 256) return undefined;
  const lines: string[] = [];
  for (const [index, reading] of message.items.entries()) {
    const line = oracleLine(reading, receivedAtMs);
    if (line === undefined) return undefined;
    if (message.producer_id !== '') {
      line.push(
        `"producer_id":${JSON.stringify(message.producer_id)}`,
        `"sequence":${first + BigInt(index)}`,
      );
    }
    lines.push(`{${line.join(',')}}`);
  }
  return lines;
}

function oracleLine(reading: Reading, receivedAtMs: number): string[] | undefined {
  if (reading.sensor_name === '') return undefined;
  const measurement = reading.measurement;
  const optional = (['double_value', 'bool_value', 'string_value'] as const).filter(
    (key) => measurement != null && Object.hasOwn(measurement, key),
  );
  if (optional.length + (measurement?.sensor_value != null ? 1 : 0) > 1) return undefined;
  const line = [`"sensor_name":${JSON.stringify(reading.sensor_name)}`];
  line.push(`"sensor_value":${measurement?.sensor_value?.value ?? null}`);
  for (const key of optional) line.push(`"${key}":${jsonValue(measurement![key]!)}`);
  const createdAt = timestampText(measurement?.created_at);
  if (createdAt === undefined) return undefined;
  line.push(`"created_at":${createdAt}`, `"received_at":"${new Date(receivedAtMs).toISOString()}"`);
  if (reading.labels.length > 0) {
    const labels = new Map(reading.labels.map((entry) => [entry.key, entry.value]));
    const pairs = [...labels].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    line.push(`"labels":{${pairs.join(',')}}`);
  }
  return line;
}

function jsonValue(value: number | boolean | string): string {
  if (typeof value !== 'number') return JSON.stringify(value);
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`;
}

function timestampText(time: { seconds: unknown; nanos: number } | null | undefined): string | undefined {
  if (time == null) return 'null';
  const seconds = BigInt(String(time.seconds));
  if (seconds < -62135596800n || seconds > 253402300799n) return undefined;
  if (time.nanos < 0 || time.nanos > 999999999) return undefined;
  const toSecond = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `"${toSecond}.${String(time.nanos).padStart(9, '0')}Z"`;
}
