/** The encoder against protobufjs: whatever it writes, an independent decoder reads back unchanged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  labelFields,
  type ReadingValue,
  RequestEncoder,
  sensorNameField,
} from '../../../src/commands/send/request-encoder.ts';
import { decodeRequest } from './receiving-server.ts';

const value: fc.Arbitrary<ReadingValue> = fc.oneof(
  fc.constant({ kind: 'none' as const }),
  fc.record({ kind: fc.constant('int' as const), value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }),
  fc.record({ kind: fc.constant('int' as const), value: fc.maxSafeInteger() }),
  fc.record({ kind: fc.constant('double' as const), value: fc.double() }),
  fc.record({ kind: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('string' as const), value: fc.string({ unit: 'binary', maxLength: 300 }) }),
);
const reading = fc.record({
  name: fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
  value,
  seconds: fc.option(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), { nil: undefined }),
  nanos: fc.integer({ min: 0, max: 999_999_999 }),
  labels: fc.dictionary(fc.string({ minLength: 1, maxLength: 9 }), fc.string({ maxLength: 150 }), {
    maxKeys: 3,
  }),
});

test('a decoder of other make reads back what was encoded', () => {
  const encoder = new RequestEncoder();
  fc.assert(
    fc.property(fc.array(reading, { maxLength: 5 }), fc.maxSafeNat(), (readings, sequence) => {
      encoder.begin();
      for (const { name, value, seconds, nanos, labels } of readings) {
        encoder.setValue(value);
        encoder.append(sensorNameField(name), seconds, nanos, labelFields(labels));
      }
      encoder.number(Buffer.from('producer'), sequence);
      const decoded = decodeRequest(encoder.finish());
      assert.equal(decoded.producerId, 'producer');
      assert.equal(decoded.firstSequence ?? '0', String(sequence));
      assert.equal(decoded.items?.length ?? 0, readings.length);
      readings.forEach(({ name, value, seconds, nanos, labels }, index) => {
        const item = decoded.items![index]!;
        assert.equal(item.sensorName, name);
        assert.deepEqual({ ...item.labels }, { ...labels });
        const { sensorValue, doubleValue, boolValue, stringValue, createdAt } = item.measurement;
        // protobufjs leaves a zero out of its object, so presence is looked at apart.
        assert.equal(sensorValue !== undefined, value.kind === 'int');
        if (value.kind === 'int') assert.equal(sensorValue?.value ?? '0', String(value.value));
        assert.ok(Object.is(doubleValue, value.kind === 'double' ? value.value : undefined));
        assert.equal(boolValue, value.kind === 'bool' ? value.value : undefined);
        assert.equal(stringValue, value.kind === 'string' ? value.value : undefined);
        if (seconds === undefined) assert.equal(createdAt, undefined);
        else {
          assert.equal(createdAt?.seconds ?? '0', String(seconds));
          assert.equal(createdAt?.nanos ?? 0, nanos);
        }
      });
    }),
    { seed: 7, numRuns: 300 },
  );
});

test('a request larger than the first buffer is whole', () => {
  const encoder = new RequestEncoder();
  encoder.begin();
  for (let number = 1; number <= 5000; number++) {
    encoder.setInt(number);
    encoder.append(sensorNameField('boiler'), 1_795_168_800, 5, labelFields({ site: 'a'.repeat(100) }));
  }
  const items = decodeRequest(encoder.finish()).items!;
  assert.deepEqual(
    items.map((item) => item.measurement.sensorValue?.value),
    Array.from({ length: 5000 }, (_, index) => String(index + 1)),
  );
});
