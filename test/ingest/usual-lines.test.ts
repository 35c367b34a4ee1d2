/**
 * UsualLines takes what has the usual shape and nothing else. That its lines are right is shown by every test of the
 * LineEncoder, which goes both ways (test/support/encode-request.ts).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { LineEncoder } from '../../src/ingest/line-encoder.ts';
import { UsualLines } from '../../src/ingest/usual-lines.ts';
import { RECEIVED_AT_MS, RequestEncoder } from '../support/encode-request.ts';
import { createdAt, int64Value, item, label, measurement } from '../support/reading-bytes.ts';
import { RequestType } from '../support/reading-oracle.ts';
import { double, int64, text } from '../support/request-arbitrary.ts';
import { bytesField, doubleField, varintField, type WireBytes } from '../support/wire-bytes.ts';

const SEED = 20261123;
const SECONDS = 1_795_428_000;
const NO_LIMIT = 1 << 28;

const usual = UsualLines.open()!;
const encoder = new RequestEncoder();
const good = item('n', measurement(int64Value(1), createdAt(SECONDS, 5)));

/** How many readings of the request UsualLines takes. */
function taken(request: WireBytes | Uint8Array, limit = NO_LIMIT): number {
  usual.begin(RECEIVED_AT_MS);
  return usual.encode(Uint8Array.from(request), new ByteBuffer(16), limit);
}

/** A reading as protobuf libraries write one: protobufjs, from an object. */
const reading = fc
  .record({
    sensorName: text.map((name) => `n${name}`),
    value: fc.oneof(
      int64.map((value) => ({ sensor_value: { value: String(value) } })),
      double.map((value) => ({ double_value: value })),
      fc.boolean().map((value) => ({ bool_value: value })),
      text.map((value) => ({ string_value: value })),
      fc.constant({}),
    ),
    time: fc.option(
      fc.record({
        seconds: fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
        nanos: fc.nat(999_999_999),
      }),
      { nil: undefined },
    ),
    labels: fc.dictionary(text, text, { maxKeys: 16 }),
  })
  .map(({ sensorName, value, time, labels }) => ({
    sensor_name: sensorName,
    measurement: { ...value, ...(time && { created_at: time }) },
    labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
  }));

const asWritten = (items: readonly object[], numbering: object = {}): Uint8Array =>
  RequestType.encode(RequestType.fromObject({ items, ...numbering })).finish();

describe('UsualLines', () => {
  it('takes every reading that a protobuf library writes', () => {
    fc.assert(
      fc.property(fc.array(reading, { minLength: 1, maxLength: 8 }), (items) => {
        const request = asWritten(items);
        assert.equal(taken(request), items.length);
        assert.equal(encoder.encode(request).count, items.length);
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });

  it('agrees with the general way after random changes of bytes', () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
    });
    let some = 0;
    fc.assert(
      fc.property(
        fc.array(reading, { minLength: 1, maxLength: 4 }),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (items, changes) => {
          const request = asWritten(items);
          for (const { at, byte } of changes) request[at % request.length] = byte;
          const { count } = encoder.encode(request);
          if (count > 0 && taken(request) > 0) some++;
        },
      ),
      { seed: SEED, numRuns: 6000 },
    );
    assert.ok(some > 800, `${some} changed requests taken, wholly or in part`);
  });

  it('agrees with the general way however a reading is cut short', () => {
    const time = createdAt(SECONDS, 5);
    const values = [int64Value(-1), doubleField(4, 1.5), varintField(5, 1), bytesField(6, 'on'), []];
    const key = [...label('site', 'north'), ...label('a "key"', 'Kühlung')];
    let some = 0;
    for (const value of values) {
      // In the order of the numbers, so that the time comes before other values than the integer.
      const content = value === values[0] ? [...value, ...time] : [...time, ...value];
      const name = bytesField(1, 'boiler');
      const whole = [...name, ...bytesField(2, content), ...key];
      const frames = [
        (cut: number) => whole.slice(0, cut),
        (cut: number) => [...name, ...bytesField(2, content.slice(0, cut)), ...key],
        (cut: number) => [
          ...name,
          ...bytesField(2, content),
          ...bytesField(3, label('k', 'v').slice(2, cut)),
        ],
        (cut: number) => [...name, ...bytesField(2, bytesField(3, time.slice(2, cut)))],
        (cut: number) => [...name, ...bytesField(2, bytesField(2, int64Value(-1).slice(2, cut)))],
      ];
      for (const frame of frames) {
        for (let cut = 0; cut <= whole.length; cut++) {
          const request = [...good, ...bytesField(1, frame(cut)), ...good];
          encoder.encode(request);
          some += taken(request);
        }
      }
    }
    assert.ok(some > 1000, `${some} readings taken`);
  });

  it('takes nothing from what a longer request left behind', () => {
    const longer = Uint8Array.from(item('n', measurement(bytesField(6, 'ü'.repeat(500)))));
    // Where it ended there are now the second halves of an ü, which would make these whole again.
    for (const end of [[0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98]]) {
      for (let length = 1; length <= 40; length++) {
        encoder.encode(longer);
        const { count } = encoder.encode(
          item('n', measurement(bytesField(6, [...Buffer.from('y'.repeat(length)), ...end]))),
        );
        assert.equal(count, -1);
      }
    }
  });

  it('goes on where its windows end, and numbers on across them', () => {
    // 4,000 lines are eight windows of lines and more than that of the request.
    const items = Array.from({ length: 4000 }, (_, index) => ({
      sensor_name: `sensor-${index}`,
      measurement: { sensor_value: { value: index }, created_at: { seconds: SECONDS + index, nanos: index } },
    }));
    const first = 0xffff_ffff - 1000;
    const request = asWritten(items, { producer_id: 'edge "7" Süd', first_sequence: first });
    const { count, text } = encoder.encode(request);
    assert.equal(count, 4000);
    const lines = text.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).sequence),
      items.map((_, index) => first + index),
    );
    assert.equal(taken(asWritten(items)), 4000);
  });

  it('leaves a text that its window cuts to the next one', () => {
    const filler = Array.from({ length: 340 }, () =>
      item('n', measurement(bytesField(6, 'x'.repeat(41)))),
    ).flat();
    // From one reading to the next the end of the window moves through name, value and the lengths in front of them.
    for (let shift = 0; shift < 64; shift++) {
      const request = [...item('s'.repeat(shift + 1)), ...filler];
      assert.ok(request.length > 16_384 + 100);
      assert.equal(encoder.encode(request).count, 341);
      assert.equal(taken(request), 341);
    }
  });

  it('knows every leap day', () => {
    const days: WireBytes[] = [];
    for (let year = 1; year <= 9999; year++) {
      const march = new Date(0);
      march.setUTCFullYear(year, 2, 1);
      const first = march.getTime() / 1000;
      for (const seconds of [first - 1, first]) days.push(item('n', measurement(createdAt(seconds, 0))));
    }
    const { text } = encoder.encode(days.flat());
    assert.match(text, /"created_at":"2000-02-29T23:59:59.000000000Z"/);
    assert.equal(taken(days.flat()), days.length);
  });

  it('leaves the first other reading, and all behind it', () => {
    const others: Readonly<Record<string, WireBytes>> = {
      'fields in another order': bytesField(1, [...measurement(int64Value(1)), ...bytesField(1, 'n')]),
      'a name that comes twice': item('n', bytesField(1, 'm')),
      'a value that comes twice': item('n', measurement(int64Value(1), int64Value(2))),
      'two values': item('n', measurement(int64Value(1), doubleField(4, 2))),
      'a measurement in two pieces': item(
        'n',
        measurement(int64Value(1)),
        measurement(createdAt(SECONDS, 1)),
      ),
      'a length with padding': bytesField(1, bytesField(1, 'n'), 3),
      'a label that comes twice': item('n', label('k', '1'), label('k', '2')),
      'more labels than are compared': item(
        'n',
        ...Array.from({ length: 17 }, (_, at) => label(`k${at}`, '')),
      ),
      'an unknown field': item('n', varintField(9, 1)),
      'a field behind the readings': varintField(9, 1),
      'no name': item(''),
      'a name that is not UTF-8': bytesField(1, bytesField(1, [0x6e, 0xff])),
      'a time before year 1': item('n', measurement(createdAt(-62_135_596_801n, 0))),
      'a time after year 9999': item('n', measurement(createdAt(253_402_300_800n, 0))),
      'nanoseconds of a second': item('n', measurement(createdAt(SECONDS, 1_000_000_000))),
      'negative nanoseconds': item('n', measurement(bytesField(3, varintField(2, -1)))),
      'a reading larger than the window': item('n', measurement(bytesField(6, 'x'.repeat(20_000)))),
    };
    for (const [name, other] of Object.entries(others)) {
      assert.equal(taken([...good, ...other, ...good]), 1, name);
      encoder.encode([...good, ...other, ...good]);
    }
  });

  it('takes every value at the edges of the usual shape', () => {
    const texts = ['x', 'x'.repeat(127), 'x'.repeat(128), 'x'.repeat(4000), '"'.repeat(300), 'ü'.repeat(17)];
    // Where 16 bytes at a time meet the end of a text, and a byte of another kind stands in each place.
    for (let length = 1; length <= 33; length++) texts.push('y'.repeat(length), `${'y'.repeat(length)}\n`);
    for (const name of texts) {
      const request = item(
        name,
        measurement(int64Value(-(2n ** 63n)), createdAt(-62_135_596_800n, 999_999_999)),
      );
      assert.equal(taken(request), 1, `a name of ${name.length}`);
      encoder.encode(request);
    }
    for (const request of [item('n'), item('n', measurement()), item('n', measurement(bytesField(2, [])))]) {
      assert.equal(taken(request), 1);
      encoder.encode(request);
    }
  });

  it('stays within the limit', () => {
    const request = Uint8Array.from(Array.from({ length: 40 }, () => good).flat());
    const { length } = encoder.encode(request).text;
    let most = 0;
    for (let limit = -1; limit <= length + 2000; limit += 7) {
      const out = new ByteBuffer(16);
      usual.begin(RECEIVED_AT_MS);
      const lines = usual.encode(request, out, limit);
      assert.ok(
        out.length <= Math.max(limit, 0) && lines >= most,
        `${lines} lines, ${out.length} bytes of ${limit}`,
      );
      most = lines;
      encoder.encode(request, limit);
    }
    assert.equal(most, 40);
    for (let limit = length - 200; limit <= length + 1; limit++) encoder.encode(request, limit);
  });

  it('has room for whatever grows the most', () => {
    const control = '\u0001';
    const requests: Record<string, WireBytes> = {
      'control characters': Array.from({ length: 40 }, () => item(control.repeat(1000))).flat(),
      'a long producer': [
        ...Array.from({ length: 200 }, () => item('n')).flat(),
        ...bytesField(2, control.repeat(256)),
        ...varintField(3, 1),
      ],
      'empty labels': Array.from({ length: 1000 }, () =>
        item(
          'n',
          bytesField(3, []),
          ...Array.from({ length: 15 }, (_, at) => label(String.fromCharCode(65 + at), '')),
        ),
      ).flat(),
    };
    for (const [name, request] of Object.entries(requests)) {
      const { text, count } = encoder.encode(request);
      assert.ok(count > 0, name);
      for (let limit = text.length - 20; limit <= text.length + 20; limit++) encoder.encode(request, limit);
      // What lies behind the window of lines is used for the next ones.
      encoder.encode([...good, ...item('m', measurement(bytesField(6, control)), label('k', 'v'))]);
    }
  });

  it('takes long readings, and leaves those for which its window of lines might not do', () => {
    for (let length = 4000; length <= 12_000; length += 13) {
      const request = item('n', measurement(bytesField(6, 'x'.repeat(length))));
      encoder.encode(request);
      assert.equal(taken(request), length <= 10_825 ? 1 : 0, `${length} bytes`);
    }
  });

  it('goes without room, and leaves its memory as it was', () => {
    const many = Uint8Array.from(Array.from({ length: 2000 }, () => item('n')).flat());
    for (const limit of [-1, -1_000_000, 0]) assert.equal(taken(many, limit), 0);
    assert.equal(taken(many), 2000);
    assert.equal(encoder.encode(many).count, 2000);
  });

  it('leaves all to the general way when the clock is beyond the year 9999', () => {
    const lines = new LineEncoder(UsualLines.open());
    const out = new ByteBuffer(16);
    assert.equal(lines.encode(Uint8Array.from(good), 253_402_300_800_000, out, NO_LIMIT), 1);
    const line = Buffer.from(out.bytes.subarray(0, out.length)).toString();
    assert.equal(JSON.parse(line).received_at, '+010000-01-01T00:00:00.000Z');
  });

  it('keeps nothing of a request for the next', () => {
    const lines = new LineEncoder(UsualLines.open());
    const encode = (request: Uint8Array, at: number): string => {
      const out = new ByteBuffer(16);
      lines.encode(request, at, out, NO_LIMIT);
      return Buffer.from(out.bytes.subarray(0, out.length)).toString();
    };
    const numbered = asWritten([{ sensor_name: 'a' }], { producer_id: 'edge-7', first_sequence: 7 });
    const plain = asWritten([{ sensor_name: 'b' }]);
    const before = encode(plain, RECEIVED_AT_MS);
    assert.match(
      encode(numbered, RECEIVED_AT_MS + 1),
      /"received_at":"2026-11-20T10:00:00.131Z","producer_id":"edge-7"/,
    );
    assert.equal(encode(plain, RECEIVED_AT_MS), before);
  });
});
