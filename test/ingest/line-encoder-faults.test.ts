/** What a client is told about each fault, and what the encoder leaves behind after it: nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { LineEncoder } from '../../src/ingest/line-encoder.ts';
import { UsualLines } from '../../src/ingest/usual-lines.ts';
import { RECEIVED_AT_MS, RequestEncoder } from '../support/encode-request.ts';
import { createdAt, int64Value, item, label, measurement } from '../support/reading-bytes.ts';
import { oracleLines } from '../support/reading-oracle.ts';
import { bytesField, doubleField, varintField, type WireBytes } from '../support/wire-bytes.ts';

const encoder = new RequestEncoder();

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
    const lines = new LineEncoder(UsualLines.open());
    const hostile = Uint8Array.from(item('\u0001'.repeat(1_000_000)));
    assert.equal(lines.encode(hostile, RECEIVED_AT_MS, out, limit), -1);
    assert.equal(lines.fault?.kind, 'too_large');
    assert.equal(out.length, 0);
    assert.ok(out.bytes.length <= 4 * limit, `${out.bytes.length} bytes held`);
  });
});
