/** The line format, the faults a client is told about, and what the encoder leaves behind after each of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { LineEncoder } from '../../src/ingest/line-encoder.ts';
import { RECEIVED_AT_MS, RequestEncoder } from '../support/encode-request.ts';
import { oracleLines } from '../support/reading-oracle.ts';
import { requestBytes } from '../support/request-arbitrary.ts';
import { bytesField, doubleField, groupField, varintField, type WireBytes } from '../support/wire-bytes.ts';

const encoder = new RequestEncoder();

const int64Value = (value: bigint | number) => bytesField(2, varintField(1, value));
const createdAt = (seconds: bigint | number, nanos: number) =>
  bytesField(3, [...varintField(1, seconds), ...varintField(2, nanos)]);
const measurement = (...fields: WireBytes[]) => bytesField(2, fields.flat());
const label = (key: string, value: string) => bytesField(3, [...bytesField(1, key), ...bytesField(2, value)]);
const item = (name: string, ...fields: WireBytes[]) =>
  bytesField(1, [...bytesField(1, name), ...fields.flat()]);

const RECEIVED = '"received_at":"2026-11-20T10:00:00.130Z"';
const SECONDS = Date.UTC(2026, 10, 20, 10) / 1000;

describe('the line', () => {
  it('is the one of an old client, byte by byte', () => {
    // Fields 1.1, 1.2.2 and 1.2.3 only, as protoc-generated code writes them.
    const request = Buffer.from('0a1d0a08626f696c65722d3112111202082a1a0b08a0b480d80610959aef3a', 'hex');
    assert.equal(
      encoder.encode(request).text,
      `{"sensor_name":"boiler-1","sensor_value":42,"created_at":"2026-11-20T10:00:00.123456789Z",${RECEIVED}}\n`,
    );
  });

  it('takes the bytes of old clients in every value and comes back to what they sent', () => {
    const reading = fc.record({
      name: fc.string({ minLength: 1, unit: 'grapheme' }),
      value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      seconds: fc.integer({ min: 0, max: 4_000_000_000 }),
      nanos: fc.integer({ min: 0, max: 999_999_999 }),
    });
    fc.assert(
      fc.property(fc.array(reading, { maxLength: 20 }), (readings) => {
        const items = readings.map(({ name, value, seconds, nanos }) =>
          item(name, measurement(int64Value(value), createdAt(seconds, nanos))),
        );
        const { count, text } = encoder.encode(items.flat());
        assert.equal(count, readings.length);
        const lines = text.split('\n').slice(0, -1);
        for (const [index, { name, value, seconds, nanos }] of readings.entries()) {
          const line = JSON.parse(lines[index]!);
          assert.deepEqual(Object.keys(line), ['sensor_name', 'sensor_value', 'created_at', 'received_at']);
          assert.equal(line.sensor_name, name);
          assert.match(lines[index]!, new RegExp(`"sensor_value":${value},`));
          assert.equal(Date.parse(line.created_at), seconds * 1000 + Math.floor(nanos / 1e6));
          assert.ok(line.created_at.endsWith(`.${String(nanos).padStart(9, '0')}Z`));
        }
      }),
      { seed: 20261120, numRuns: 300 },
    );
  });

  it('has null for what was not sent, and 0 for a value that is there but empty', () => {
    assert.equal(
      encoder.encode(item('n')).text,
      `{"sensor_name":"n","sensor_value":null,"created_at":null,${RECEIVED}}\n`,
    );
    assert.equal(
      encoder.encode(item('n', measurement(bytesField(2, []), bytesField(3, [])))).text,
      `{"sensor_name":"n","sensor_value":0,"created_at":"1970-01-01T00:00:00.000000000Z",${RECEIVED}}\n`,
    );
  });

  it('has one key per kind of value', () => {
    const values: [WireBytes, string][] = [
      [doubleField(4, 21.5), '"double_value":21.5'],
      [doubleField(4, 0), '"double_value":0'],
      [doubleField(4, -0), '"double_value":-0'],
      [doubleField(4, Number.NaN), '"double_value":"NaN"'],
      [doubleField(4, -Infinity), '"double_value":"-Infinity"'],
      [varintField(5, 1), '"bool_value":true'],
      [varintField(5, 0), '"bool_value":false'],
      [bytesField(6, ''), '"string_value":""'],
      [bytesField(6, 'a"b\n\u2028'), '"string_value":"a\\"b\\n\u2028"'],
    ];
    for (const [field, text] of values) {
      assert.equal(
        encoder.encode(item('n', measurement(field))).text,
        `{"sensor_name":"n","sensor_value":null,${text},"created_at":null,${RECEIVED}}\n`,
      );
    }
  });

  it('has labels in the order of their first appearance, the last value of each', () => {
    const labels = [
      label('site', 'a'),
      label('7', 'b'),
      label('site', 'c'),
      label('__proto__', 'd'),
      bytesField(3, []),
    ];
    assert.match(
      encoder.encode(item('n', ...labels)).text,
      /,"labels":\{"site":"c","7":"b","__proto__":"d","":""\}\}\n$/,
    );
  });

  it('has every label when there are many, each once', () => {
    const keys = Array.from({ length: 5000 }, (_, index) => `key-${index}`);
    const first = keys.map((key) => label(key, 'old'));
    const again = keys.map((key, index) => label(key, `new-${index}`));
    const { text } = encoder.encode([...item('n', ...first, ...again), ...item('m', label('key-1', 'x'))]);
    const [many, one] = text.split('\n');
    assert.deepEqual(
      Object.entries(JSON.parse(many!).labels),
      keys.map((key, index) => [key, `new-${index}`]),
    );
    assert.deepEqual(JSON.parse(one!).labels, { 'key-1': 'x' });
  });

  it('numbers the readings of a producer, wherever its fields stand', () => {
    const producer = [...bytesField(2, 'edge "7"'), ...varintField(3, 0xffff_ffffn)];
    const expected = [0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0001n].map(
      (sequence) =>
        `{"sensor_name":"n","sensor_value":null,"created_at":null,${RECEIVED},` +
        `"producer_id":"edge \\"7\\"","sequence":${sequence}}\n`,
    );
    const items = [item('n'), item('n'), item('n')].flat();
    for (const request of [
      [...producer, ...items],
      [...items, ...producer],
      [...item('n'), ...producer, ...item('n'), ...item('n')],
    ]) {
      assert.equal(encoder.encode(request).text, expected.join(''));
    }
  });

  it('reaches the largest sequence, and not past it', () => {
    const numbered = (first: bigint) => [
      ...bytesField(2, 'p'),
      ...varintField(3, first),
      ...item('a'),
      ...item('b'),
    ];
    const { text } = encoder.encode(numbered(2n ** 64n - 2n));
    assert.deepEqual(text.match(/\d+(?=\}\n)/g), ['18446744073709551614', '18446744073709551615']);
    const { fault } = encoder.encode(numbered(2n ** 64n - 1n));
    assert.deepEqual([fault?.reason, fault?.field, fault?.itemIndex], ['sequence', 'first_sequence', -1]);
  });

  it('takes strings of any length, escaped or not', () => {
    for (const unit of ['x', '\u0001', '\u{1f321}', 'ab\u00e9"']) {
      for (const length of [4095, 4096, 4097, 20_000]) {
        const value = unit.repeat(length);
        const request = item(value, label(value, value), measurement(bytesField(6, value)));
        const line = JSON.parse(encoder.encode(request).text);
        assert.equal(line.sensor_name, value);
        assert.equal(line.string_value, value);
        assert.deepEqual(line.labels, { [value]: value });
      }
    }
  });

  it('always parses, with its keys in the documented order', () => {
    const order = ['sensor_name', 'sensor_value', 'double_value', 'bool_value', 'string_value', 'created_at'];
    order.push('received_at', 'labels', 'producer_id', 'sequence');
    let lines = 0;
    fc.assert(
      fc.property(requestBytes({ plain: false }), (request) => {
        const { count, text } = encoder.encode(request);
        if (count === -1) return;
        const parsed = text
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line));
        assert.equal(parsed.length, count);
        for (const line of parsed) {
          const keys = Object.keys(line);
          assert.deepEqual(
            keys,
            order.filter((key) => keys.includes(key)),
          );
        }
        lines += count;
      }),
      { seed: 7, numRuns: 1000 },
    );
    assert.ok(lines > 500, `${lines} lines parsed`);
  });

  it('is nothing for a request without readings', () => {
    assert.deepEqual(encoder.encode([]), { count: 0, text: '', fault: undefined });
    assert.equal(encoder.encode([...bytesField(2, 'p'), ...varintField(3, 1)]).count, 0);
    assert.equal(encoder.encode(groupField(9, varintField(1, 1))).count, 0);
  });
});

describe('protobuf semantics', () => {
  const sensorValueOf = (...fields: WireBytes[]) =>
    JSON.parse(encoder.encode(item('n', ...fields)).text).sensor_value;

  it('merge a submessage that comes in pieces', () => {
    const pieces = [measurement(int64Value(5)), measurement(createdAt(0, 0)), measurement(bytesField(2, []))];
    assert.equal(
      encoder.encode(item('n', ...pieces)).text,
      `{"sensor_name":"n","sensor_value":5,"created_at":"1970-01-01T00:00:00.000000000Z",${RECEIVED}}\n`,
    );
    const time = [
      bytesField(3, varintField(1, 1)),
      bytesField(3, varintField(2, 2)),
      bytesField(3, varintField(1, 3)),
    ];
    assert.match(encoder.encode(item('n', measurement(...time))).text, /"1970-01-01T00:00:03\.000000002Z"/);
  });

  it('let the last scalar win', () => {
    assert.equal(sensorValueOf(measurement(int64Value(1), int64Value(2)), measurement(int64Value(3))), 3);
    assert.match(encoder.encode(item('first', bytesField(1, 'last'))).text, /"sensor_name":"last"/);
  });

  it('skip a known field with another wire type', () => {
    const packed = bytesField(2, bytesField(1, [1, 2, 3]));
    assert.equal(sensorValueOf(measurement(packed)), 0);
    assert.equal(sensorValueOf(measurement(varintField(2, 9), int64Value(4))), 4);
    assert.equal(sensorValueOf(varintField(2, 9)), null);
    assert.equal(encoder.encode([...varintField(1, 9), ...item('n')]).count, 1);
  });

  it('agree with the oracle on every truncation of a message that has everything', () => {
    const full = measurement(
      createdAt(SECONDS, 999_999_999),
      bytesField(6, 'text \u00e9'),
      groupField(30, doubleField(1, 1)),
    );
    const request = Uint8Array.from([
      ...item('boiler-1', full, label('k', 'v')),
      ...item('boiler-2', measurement(int64Value(-1), createdAt(-1, 5))),
      ...item('boiler-3', measurement(doubleField(4, 0.1))),
      ...item('boiler-4', measurement(varintField(5, 1))),
      ...bytesField(2, 'producer'),
      ...varintField(3, 2n ** 40n),
    ]);
    let refused = 0;
    for (let length = 0; length <= request.length; length++) {
      const expected = oracleLines(request.slice(0, length), RECEIVED_AT_MS);
      const actual = encoder.encode(request.slice(0, length));
      assert.equal(actual.count, expected === undefined ? -1 : expected.length, `cut to ${length} bytes`);
      assert.equal(actual.text, (expected ?? []).map((line) => `${line}\n`).join(''));
      if (expected === undefined) refused++;
    }
    // A cut between two fields of the top level leaves a valid request, every other one does not.
    assert.equal(refused, request.length - 5);
  });
});

describe('a fault', () => {
  const good = item('n', measurement(int64Value(1)));
  const nested = (depth: number) => [...Array(depth).fill(0x7b), ...Array(depth).fill(0x7c)];
  const notUtf8 = [0x61, 0xff];

  const cases: [name: string, request: WireBytes, reason: string, itemIndex: number, field: string][] = [
    ['an empty name', [...good, ...item('')], 'empty_sensor_name', 1, 'sensor_name'],
    ['no name', bytesField(1, measurement(int64Value(1))), 'empty_sensor_name', 0, 'sensor_name'],
    ['a name that is not UTF-8', bytesField(1, bytesField(1, notUtf8)), 'bad_utf8', 0, 'sensor_name'],
    [
      'such a name, replaced later',
      bytesField(1, [...bytesField(1, notUtf8), ...bytesField(1, 'n')]),
      'bad_utf8',
      0,
      'sensor_name',
    ],
    [
      'a string value that is not UTF-8',
      item('n', measurement(bytesField(6, notUtf8))),
      'bad_utf8',
      0,
      'measurement.string_value',
    ],
    [
      'such a value, replaced later',
      item('n', measurement(bytesField(6, notUtf8), bytesField(6, 'x'))),
      'bad_utf8',
      0,
      'measurement.string_value',
    ],
    [
      'a label that is not UTF-8',
      [...good, ...item('n', bytesField(3, bytesField(2, notUtf8)))],
      'bad_utf8',
      1,
      'labels',
    ],
    [
      'such a label, replaced later',
      item('n', bytesField(3, [...bytesField(1, 'k'), ...bytesField(2, notUtf8)]), label('k', 'v')),
      'bad_utf8',
      0,
      'labels',
    ],
    ['a producer that is not UTF-8', bytesField(2, notUtf8), 'bad_utf8', -1, 'producer_id'],
    ['a producer without sequence', [...bytesField(2, 'p'), ...good], 'sequence', -1, 'first_sequence'],
    [
      'a producer with sequence 0',
      [...bytesField(2, 'p'), ...varintField(3, 0), ...good],
      'sequence',
      -1,
      'first_sequence',
    ],
    ['a sequence without producer', [...varintField(3, 1), ...good], 'sequence', -1, 'producer_id'],
    [
      'two values',
      item('n', measurement(int64Value(1), doubleField(4, 1))),
      'several_values',
      0,
      'measurement',
    ],
    [
      'two values, both default',
      item('n', measurement(bytesField(2, []), varintField(5, 0))),
      'several_values',
      0,
      'measurement',
    ],
    [
      'two values in two pieces',
      item('n', measurement(varintField(5, 1)), measurement(bytesField(6, ''))),
      'several_values',
      0,
      'measurement',
    ],
    [
      'a time before year 1',
      item('n', measurement(createdAt(-62_135_596_801n, 0))),
      'timestamp_range',
      0,
      'measurement.created_at.seconds',
    ],
    [
      'a time after year 9999',
      item('n', measurement(createdAt(253_402_300_800n, 0))),
      'timestamp_range',
      0,
      'measurement.created_at.seconds',
    ],
    [
      'negative nanoseconds',
      item('n', measurement(createdAt(0, -1))),
      'timestamp_range',
      0,
      'measurement.created_at.nanos',
    ],
    [
      'too many nanoseconds',
      item('n', measurement(createdAt(0, 1e9))),
      'timestamp_range',
      0,
      'measurement.created_at.nanos',
    ],
    ['a truncated item', good.slice(0, -1), 'truncated', 0, ''],
    ['a length past the end of the item', bytesField(1, [0x12, 5, 0]), 'truncated', 0, 'measurement'],
    [
      'a double cut short',
      item('n', measurement([0x21, 1, 2, 3])),
      'truncated',
      0,
      'measurement.double_value',
    ],
    ['a tag cut short', [0x80], 'truncated', -1, ''],
    ['a length of 32 bits', [0x0a, 0x80, 0x80, 0x80, 0x80, 0x08], 'bad_varint', 0, ''],
    [
      'a value of 11 bytes',
      item('n', measurement(bytesField(2, [0x08, ...Array(10).fill(0x80), 1]))),
      'bad_varint',
      0,
      'measurement.sensor_value',
    ],
    ['field number 0', bytesField(1, [0x00, 0x01]), 'bad_tag', 0, ''],
    ['a tag of more than 32 bits', [0x80, 0x80, 0x80, 0x80, 0x10], 'bad_tag', -1, ''],
    ['wire type 6', item('n', measurement([0x16])), 'wire_type', 0, 'measurement'],
    ['wire type 7', [0x7f], 'wire_type', -1, ''],
    ['the end of a group that never began', item('n', [0x7c]), 'bad_group', 0, ''],
    ['a group ended by another number', [0x7b, 0x74], 'bad_group', -1, ''],
    ['a group without end', [...good, 0x7b], 'truncated', -1, ''],
    ['groups nested too deep', nested(5000), 'too_deep', -1, ''],
  ];

  for (const [name, request, reason, itemIndex, field] of cases) {
    it(`names ${name}`, () => {
      const { count, text, fault } = encoder.encode(request);
      assert.equal(count, -1);
      assert.equal(text, '');
      assert.deepEqual(
        { kind: fault?.kind, reason: fault?.reason, itemIndex: fault?.itemIndex, field: fault?.field },
        { kind: 'malformed', reason, itemIndex, field },
      );
      const place = itemIndex === -1 ? field || 'request' : `items[${itemIndex}]${field && `.${field}`}`;
      assert.ok(fault!.message.startsWith(`${place}: `) && fault!.message.endsWith('.'), fault!.message);
      assert.equal(oracleLines(Uint8Array.from(request), RECEIVED_AT_MS), undefined, 'the oracle takes it');
      // The next request finds the encoder as if nothing had happened.
      assert.match(
        encoder.encode(good).text,
        /^\{"sensor_name":"n","sensor_value":1,"created_at":null,[^{]*\}\n$/,
      );
      assert.equal(encoder.encode(good).fault, undefined);
    });
  }

  it('is told in one sentence', () => {
    const { fault } = encoder.encode([...good, ...item('n', measurement(createdAt(0, 1e9)))]);
    assert.equal(
      fault?.message,
      'items[1].measurement.created_at.nanos: 1000000000 is outside 0..999999999.',
    );
  });

  it('leaves nothing of the readings before it', () => {
    const many = Array(1000).fill(good).flat();
    assert.deepEqual(encoder.encode([...many, ...item('')]).text, '');
  });
});

describe('the output limit', () => {
  const request = [
    item('a', measurement(int64Value(1))),
    item('b', bytesField(3, bytesField(1, '\u0001'))),
  ].flat();
  const exact = encoder.encode(request).text.length;

  it('lets through what fits exactly and refuses one byte less', () => {
    assert.equal(encoder.encode(request, exact).count, 2);
    const { count, text, fault } = encoder.encode(request, exact - 1);
    assert.equal(count, -1);
    assert.equal(text, '');
    assert.deepEqual(
      [fault?.kind, fault?.reason, fault?.itemIndex, fault?.field],
      ['too_large', 'too_large', 1, ''],
    );
    assert.match(fault!.message, new RegExp(`more than ${exact - 1} bytes`));
  });

  it('bounds the memory of a request that grows sixfold', () => {
    const limit = 64 * 1024;
    const out = new ByteBuffer(1024);
    const lines = new LineEncoder();
    const hostile = Uint8Array.from(item('\u0001'.repeat(1_000_000)));
    assert.equal(lines.encode(hostile, RECEIVED_AT_MS, out, limit), -1);
    assert.equal(lines.fault?.kind, 'too_large');
    assert.equal(out.length, 0);
    assert.ok(out.bytes.length <= 4 * limit, `${out.bytes.length} bytes held`);
  });
});
