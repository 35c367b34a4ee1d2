/**
 * How many readings a second one thread turns from protobuf into JSON lines: the LineEncoder, and the ordinary way
 * (protobufjs decodes to objects, JSON.stringify prints them). The two take turns within a round, so that whatever
 * else the machine does hits both alike; the numbers are medians over the rounds.
 *
 *   npm run bench:encoder -- [rounds] [milliseconds per turn]
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { ByteBuffer } from '../src/base/byte-buffer.ts';
import { LineEncoder } from '../src/ingest/line-encoder.ts';
import { UsualLines } from '../src/ingest/usual-lines.ts';
import { describeMachine, machineText } from './machine.ts';

const rounds = Number(process.argv[2] ?? 7);
const turnMs = Number(process.argv[3] ?? 200);
if (!(rounds >= 1) || !(turnMs > 0)) {
  console.error('usage: npm run bench:encoder -- [rounds] [milliseconds per turn]');
  process.exit(2);
}

const contractPath = fileURLToPath(new URL('../proto/sensor/v1/sensor.proto', import.meta.url));
const contract = new protobuf.Root().loadSync(contractPath, { keepCase: true });
const RequestType = contract.lookupType('sensor.v1.SensorValuesRequest');

const FIRST_SECOND = Date.UTC(2026, 10, 20, 10) / 1000;
const RECEIVED_AT_MS = FIRST_SECOND * 1000 + 130;

interface Workload {
  readonly name: string;
  readonly request: Uint8Array;
  readonly readings: number;
}

function workload(
  name: string,
  readings: number,
  item: (index: number) => object,
  rest: object = {},
): Workload {
  const items = Array.from({ length: readings }, (_, index) => item(index));
  const message = RequestType.fromObject({ items, ...rest });
  return { name, request: Uint8Array.from(RequestType.encode(message).finish()), readings };
}

const name = (index: number) => `boiler-${String(index % 1000).padStart(3, '0')}`;
const time = (index: number) => ({
  seconds: FIRST_SECOND + (index >> 4),
  nanos: (123_456_789 + index * 1013) % 1e9,
});
const simple = (index: number) => ({
  sensor_name: name(index),
  measurement: { sensor_value: { value: 20_000 + index * 7 }, created_at: time(index) },
});
const wide = (index: number) => ({
  sensor_name: name(index),
  measurement: { sensor_value: { value: String(-(2n ** 62n) + BigInt(index)) }, created_at: time(index) },
});
const decimal = (index: number) => ({
  sensor_name: name(index),
  measurement: { double_value: 20 + index / 100, created_at: time(index) },
});
const irrational = (index: number) => ({
  sensor_name: name(index),
  measurement: { double_value: Math.sqrt(index + 2), created_at: time(index) },
});
const labelled = (index: number) => ({
  ...simple(index),
  labels: { site: 'north-1', line: `line-${index % 9}` },
});
const escaped = (index: number) => ({
  sensor_name: `Kühlung ${index % 10}`,
  measurement: { string_value: `Ventil "A${index}" öffnet\n`, created_at: time(index) },
});

const workloads = [
  workload('simple, 1 per request', 1, simple),
  workload('simple, 10 per request', 10, simple),
  workload('simple, 100 per request', 100, simple),
  workload('simple, 1000 per request', 1000, simple),
  workload('19-digit integers, 100', 100, wide),
  workload('doubles of 2 decimals, 100', 100, decimal),
  workload('doubles of 16 digits, 100', 100, irrational),
  workload('two labels, 100', 100, labelled),
  workload('escapes and umlauts, 100', 100, escaped),
  workload('numbered producer, 100', 100, simple, { producer_id: 'edge-7', first_sequence: 1_000_000 }),
];

const encoder = new LineEncoder(UsualLines.open());
/** What readings get that do not have the usual shape. */
const general = new LineEncoder(undefined);
const out = new ByteBuffer(1 << 20);

function encodeBy(lines: LineEncoder, request: Uint8Array, receivedAtMs: number): number {
  out.length = 0;
  if (lines.encode(request, receivedAtMs, out, 1 << 28) === -1) throw new Error(lines.fault?.message);
  return out.length;
}

const encodeOnce = (request: Uint8Array, receivedAtMs: number) => encodeBy(encoder, request, receivedAtMs);
const encodeGenerally = (request: Uint8Array, receivedAtMs: number) =>
  encodeBy(general, request, receivedAtMs);

interface DecodedTime {
  readonly seconds: unknown;
  readonly nanos: number;
}

/** The ordinary way, without validation: what it prints is close enough in size and work. */
function decodeAndStringify(request: Uint8Array, receivedAtMs: number): number {
  const message = RequestType.decode(request) as unknown as {
    items: { sensor_name: string; measurement: Record<string, unknown>; labels: object }[];
    producer_id: string;
    first_sequence: unknown;
  };
  const receivedAt = new Date(receivedAtMs).toISOString();
  const numbered = message.producer_id !== '';
  let text = '';
  let index = Number(message.first_sequence);
  for (const { sensor_name, measurement, labels } of message.items) {
    const value = measurement.sensor_value as { value: unknown } | null;
    const { seconds, nanos } = measurement.created_at as DecodedTime;
    const toSecond = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
    const line = {
      sensor_name,
      sensor_value: value === null ? null : Number(value.value),
      double_value: Object.hasOwn(measurement, 'double_value') ? measurement.double_value : undefined,
      string_value: Object.hasOwn(measurement, 'string_value') ? measurement.string_value : undefined,
      created_at: `${toSecond}.${String(nanos).padStart(9, '0')}Z`,
      received_at: receivedAt,
      labels: Object.keys(labels).length > 0 ? labels : undefined,
      producer_id: numbered ? message.producer_id : undefined,
      sequence: numbered ? index++ : undefined,
    };
    text += `${JSON.stringify(line)}\n`;
  }
  return Buffer.from(text).length;
}

/** Requests per second over one turn. */
function turn(request: Uint8Array, once: (request: Uint8Array, receivedAtMs: number) => number): number {
  const started = performance.now();
  let requests = 0;
  let elapsedMs = 0;
  do {
    // The time of receipt moves on as it would under load, every few requests.
    for (let n = 0; n < 16; n++) once(request, RECEIVED_AT_MS + (requests >> 3));
    requests += 16;
    elapsedMs = performance.now() - started;
  } while (elapsedMs < turnMs);
  return (requests / elapsedMs) * 1000;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

console.log(machineText(describeMachine('.')));
console.log(`one thread, nothing pinned, medians of ${rounds} rounds of ${turnMs} ms each\n`);
console.log(
  'workload'.padEnd(28),
  'encoder: readings/s   MB/s in  MB/s out',
  '  general way: readings/s   times',
  ' decode+stringify: readings/s   times',
);
for (const { name: title, request, readings } of workloads) {
  const encoderRates: number[] = [];
  const generalRates: number[] = [];
  const ordinaryRates: number[] = [];
  turn(request, encodeOnce);
  turn(request, encodeGenerally);
  turn(request, decodeAndStringify);
  for (let round = 0; round < rounds; round++) {
    encoderRates.push(turn(request, encodeOnce));
    generalRates.push(turn(request, encodeGenerally));
    ordinaryRates.push(turn(request, decodeAndStringify));
  }
  const rate = median(encoderRates);
  const generalRate = median(generalRates);
  const ordinary = median(ordinaryRates);
  const outBytes = encodeOnce(request, RECEIVED_AT_MS);
  console.log(
    title.padEnd(28),
    Math.round(rate * readings)
      .toLocaleString('en')
      .padStart(20),
    ((rate * request.length) / 1e6).toFixed(0).padStart(9),
    ((rate * outBytes) / 1e6).toFixed(0).padStart(9),
    Math.round(generalRate * readings)
      .toLocaleString('en')
      .padStart(25),
    (rate / generalRate).toFixed(1).padStart(7),
    Math.round(ordinary * readings)
      .toLocaleString('en')
      .padStart(30),
    (rate / ordinary).toFixed(1).padStart(7),
  );
}
