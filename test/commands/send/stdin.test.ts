/** Lines of one's own: what is read, what is refused and with which words, and how lines become requests. */
import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { LineFault, parseRfc3339, parseStdinLine } from '../../../src/commands/send/stdin-line.ts';
import { StdinSource } from '../../../src/commands/send/stdin-source.ts';
import { ManualClock } from './manual-clock.ts';
import { decodeRequest, type ReceivedReading } from './receiving-server.ts';

const NOW_MS = 1_795_168_800_250;

test('a line of the journal is read back as it was', () => {
  const line =
    '{"sensor_name":"boiler-1","sensor_value":-9223372036854775808,"created_at":"2026-11-20T10:00:00.123456789Z",' +
    '"received_at":"2026-11-20T10:00:00.130Z","labels":{"site":"A"},"producer_id":"p","sequence":7}';
  assert.deepEqual(parseStdinLine(line, NOW_MS), {
    sensorName: 'boiler-1',
    value: { kind: 'int', value: -(2n ** 63n) },
    seconds: 1_795_168_800,
    nanos: 123_456_789,
    labels: { site: 'A' },
  });
});

test('values keep every digit, and each kind its own', () => {
  const measured = (fields: string) => parseStdinLine(`{"sensor_name":"a",${fields}}`, NOW_MS).value;
  assert.deepEqual(measured('"sensor_value":9007199254740993'), { kind: 'int', value: 9007199254740993n });
  assert.deepEqual(measured('"sensor_value":"9223372036854775807"'), { kind: 'int', value: 2n ** 63n - 1n });
  assert.deepEqual(measured('"sensor_value":null,"double_value":2.5'), { kind: 'double', value: 2.5 });
  assert.deepEqual(measured('"double_value":"-Infinity"'), {
    kind: 'double',
    value: Number.NEGATIVE_INFINITY,
  });
  assert.deepEqual(measured('"bool_value":false'), { kind: 'bool', value: false });
  assert.deepEqual(measured('"string_value":""'), { kind: 'string', value: '' });
  assert.deepEqual(measured('"sensor_value":null'), { kind: 'none' });
});

test('created_at: missing is now, null is none', () => {
  const missing = parseStdinLine('{"sensor_name":"a"}', NOW_MS);
  assert.deepEqual([missing.seconds, missing.nanos], [1_795_168_800, 250_000_000]);
  assert.equal(parseStdinLine('{"sensor_name":"a","created_at":null}', NOW_MS).seconds, undefined);
});

test('times', () => {
  const cases: readonly [string, number, number][] = [
    ['1970-01-01T00:00:00Z', 0, 0],
    ['1969-12-31T23:59:59.5Z', -1, 500_000_000],
    ['2024-02-29T12:00:00+01:30', 1_709_202_600, 0],
    ['0001-01-01T00:00:00Z', -62_135_596_800, 0],
    ['0099-06-01T00:00:00Z', -59_029_948_800, 0],
    ['9999-12-31T23:59:59.999999999Z', 253_402_300_799, 999_999_999],
  ];
  for (const [text, seconds, nanos] of cases) assert.deepEqual(parseRfc3339(text), { seconds, nanos }, text);
  const faulty = [
    '2023-02-29T00:00:00Z',
    '2026-11-20',
    '2026-11-20T10:00:00',
    '2026-11-20T24:00:00Z',
    '0001-01-01T00:00:00+01:00',
    '2026-01-01T00:00:60Z',
  ];
  for (const text of faulty) assert.equal(parseRfc3339(text), undefined, text);
});

test('faulty lines say what is wrong', () => {
  const cases: readonly [string, RegExp][] = [
    ['{"sensor_name":"a"', /^not JSON/],
    ['[1]', /not a JSON object/],
    ['{"sensor_value":1}', /sensor_name is missing/],
    ['{"sensor_name":""}', /sensor_name is empty/],
    ['{"sensor_name":"a","snesor_value":1}', /unknown key "snesor_value"/],
    ['{"sensor_name":"a","sensor_value":1.5}', /not a whole number/],
    ['{"sensor_name":"a","sensor_value":9223372036854775808}', /outside int64/],
    [
      '{"sensor_name":"a","sensor_value":1,"bool_value":true}',
      /more than one value: sensor_value and bool_value/,
    ],
    ['{"sensor_name":"a","double_value":1e999}', /too large/],
    ['{"sensor_name":"a","string_value":"\\ud800"}', /surrogate/],
    ['{"sensor_name":"a","created_at":"yesterday"}', /RFC 3339/],
    ['{"sensor_name":"a","labels":{"k":1}}', /label "k" is not a string/],
  ];
  for (const [line, message] of cases) {
    assert.throws(
      () => parseStdinLine(line, NOW_MS),
      (error) => error instanceof LineFault && message.test(error.message),
      line,
    );
  }
});

function source(options: { readingsPerRequest?: number; isStrict?: boolean } = {}) {
  const clock = new ManualClock();
  const faults: string[] = [];
  const stdin = new StdinSource(
    { readingsPerRequest: 3, requestsPerSecond: undefined, isStrict: false, ...options },
    clock,
    (line, what) => faults.push(`${line}: ${what}`),
  );
  return { clock, faults, stdin };
}

const LINES = [
  '{"sensor_name":"a","sensor_value":1}',
  '',
  'bad',
  ...[2, 3, 4].map((n) => `{"sensor_name":"a","sensor_value":${n}}`),
];

function values(items: readonly ReceivedReading[]): (string | undefined)[] {
  return items.map((item) => item.measurement.sensorValue?.value);
}

test('lines are gathered in order; faulty ones are reported by number and skipped', async () => {
  const { stdin, faults } = source();
  await stdin.read(Readable.from([LINES.join('\r\n')]));
  const first = stdin.take();
  assert.deepEqual(first.identity, { first_line: 1, last_line: 5, count: 3 });
  assert.deepEqual(values(decodeRequest(first.body).items!), ['1', '2', '3']);
  assert.equal(stdin.ended, false);
  assert.deepEqual(values(decodeRequest(stdin.take().body).items!), ['4']);
  assert.equal(stdin.ended, true);
  assert.equal(stdin.faultyLines, 1);
  assert.match(faults[0]!, /^3: not JSON/);
});

test('--strict stops at the first faulty line and keeps what came before', async () => {
  const { stdin } = source({ isStrict: true });
  await stdin.read(Readable.from([LINES.join('\n')]));
  assert.deepEqual(values(decodeRequest(stdin.take().body).items!), ['1']);
  assert.equal(stdin.ended, true);
});

test('a request that is not full goes out after a moment', async () => {
  const { clock, stdin } = source();
  const input = new PassThrough();
  const reading = stdin.read(input);
  input.write('{"sensor_name":"a","sensor_value":1}\n{"sensor_name":"a","sensor_value":2}\n');
  const ready = new Promise<void>((resolve) => (stdin.onChange = resolve));
  const pump = setInterval(() => clock.advance(100), 1);
  await ready;
  clearInterval(pump);
  assert.equal(stdin.take().readings, 2);
  input.end();
  await reading;
});

test('an input faster than the daemon is not read ahead without bound', async () => {
  const { stdin } = source({ readingsPerRequest: 1 });
  let given = 0;
  const endless = Readable.from(
    (function* () {
      for (;;) yield `{"sensor_name":"a","sensor_value":${++given}}\n`;
    })(),
  );
  const reading = stdin.read(endless);
  // Whole turns of the event loop, many more than an unbounded reader would need to run away.
  for (let turn = 0; turn < 2000; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(given < 5000, `read ${given} lines ahead`);
  stdin.close();
  await reading;
});
