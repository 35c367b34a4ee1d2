/** The line format, and the meaning of protobuf behind it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { LineEncoder } from '../../src/ingest/line-encoder.ts';
import { UsualLines } from '../../src/ingest/usual-lines.ts';
import { RECEIVED_AT_MS, RequestEncoder } from '../support/encode-request.ts';
import { createdAt, int64Value, item, label, measurement } from '../support/reading-bytes.ts';
import { oracleLines } from '../support/reading-oracle.ts';
import { requestBytes } from '../support/request-arbitrary.ts';
import { bytesField, doubleField, groupField, varintField, type WireBytes } from '../support/wire-bytes.ts';

const encoder = new RequestEncoder();

const RECEIVED = '"received_at":"2026-11-20T10:00:00.130Z"';
const SECONDS = Date.UTC(2026, 10, 20, 10) / 1000;

describe('the line', () => {
  it('is the one of an old client, byte by byte', () => {
    // Fields 1.1, 1.2.2 and 1.2.3 only, as an encoder (protobufjs) generated from the old contract writes them.
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
    const others = keys.slice(100, 140).map((key) => label(key, 'other'));
    const { text } = encoder.encode([...item('n', ...first, ...again), ...item('m', ...others)]);
    const [many, fewer] = text.split('\n');
    assert.deepEqual(
      Object.entries(JSON.parse(many!).labels),
      keys.map((key, index) => [key, `new-${index}`]),
    );
    assert.deepEqual(
      Object.entries(JSON.parse(fewer!).labels),
      keys.slice(100, 140).map((key) => [key, 'other']),
    );
  });

  it('makes its own room, whatever the buffer has left', () => {
    const widest = Uint8Array.from([
      ...bytesField(2, 'p'),
      ...varintField(3, 2n ** 64n - 1n),
      ...item('n', measurement(doubleField(4, -Number.MAX_VALUE), createdAt(SECONDS, 1)), label('k', 'v')),
    ]);
    const expected = encoder.encode(widest).text;
    const lines = new LineEncoder(UsualLines.open());
    for (let capacity = 0; capacity < 3 * expected.length; capacity++) {
      const out = new ByteBuffer(capacity);
      assert.equal(lines.encode(widest, RECEIVED_AT_MS, out, 1 << 20), 1);
      assert.equal(Buffer.from(out.bytes.subarray(0, out.length)).toString(), expected);
    }
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
