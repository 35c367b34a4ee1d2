/**
 * The LineEncoder against two other protobuf implementations over generated requests. protobufjs is the main oracle
 * (see test/support/reading-oracle.ts); protobuf-es is the second opinion on what both accept.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { LineEncoder } from '../../src/ingest/line-encoder.ts';
import { UsualLines } from '../../src/ingest/usual-lines.ts';
import { RECEIVED_AT_MS, RequestEncoder } from '../support/encode-request.ts';
import { protobufEsReadings } from '../support/protobuf-es-oracle.ts';
import { oracleLines, RequestType } from '../support/reading-oracle.ts';
import { requestBytes } from '../support/request-arbitrary.ts';
import { bytesField, varintField, type WireBytes } from '../support/wire-bytes.ts';

const SEED = 20261120;
const encoder = new RequestEncoder();

/** The encoder must do what the oracle does; true when both accept. */
function agree(request: Uint8Array): boolean {
  const expected = oracleLines(request, RECEIVED_AT_MS);
  const actual = encoder.encode(request);
  if (expected === undefined) {
    assert.equal(actual.count, -1, 'the oracle refuses what the encoder takes');
    assert.equal(actual.text, '');
    assert.equal(actual.fault?.kind, 'malformed');
    return false;
  }
  assert.equal(actual.fault, undefined);
  assert.equal(actual.text, expected.map((line) => `${line}\n`).join(''));
  assert.equal(actual.count, expected.length);
  return true;
}

describe('LineEncoder against protobufjs', () => {
  it('prints the same lines for requests in every form the wire allows', () => {
    let accepted = 0;
    let runs = 0;
    fc.assert(
      fc.property(requestBytes({ plain: false }), (request) => {
        runs++;
        if (agree(request)) accepted++;
      }),
      { seed: SEED, numRuns: 4000 },
    );
    // The property means little if nearly everything is refused, or nothing.
    assert.ok(accepted > runs * 0.4 && accepted < runs * 0.95, `${accepted} of ${runs} requests accepted`);
  });

  it('agrees on every truncation', () => {
    fc.assert(
      fc.property(requestBytes({ plain: true }), (request) => {
        for (let length = 0; length < request.length; length++) agree(request.slice(0, length));
      }),
      { seed: SEED, numRuns: 40 },
    );
  });

  it('agrees after random changes of bytes', () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x7f, 0x80, 0xff)),
    });
    let accepted = 0;
    fc.assert(
      fc.property(
        requestBytes({ plain: true }),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (request, changes) => {
          const changed = Uint8Array.from(request);
          for (const { at, byte } of changes) if (changed.length > 0) changed[at % changed.length] = byte;
          if (agree(changed)) accepted++;
        },
      ),
      { seed: SEED, numRuns: 4000 },
    );
    assert.ok(accepted > 400, `${accepted} changed requests accepted`);
  });

  it('agrees on random bytes, and never throws', () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0x08, 0x0a, 0x12, 0x18, 0x1a, 0x02, 0x04));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 60 }), (bytes) => {
        agree(Uint8Array.from(bytes));
      }),
      { seed: SEED, numRuns: 10_000 },
    );
  });

  it('reads a request from the middle of a larger buffer, and makes the room it needs', () => {
    const lines = new LineEncoder(UsualLines.open());
    fc.assert(
      fc.property(requestBytes({ plain: true }), fc.nat(9), (request, offset) => {
        const around = new Uint8Array(request.length + offset + 3).fill(0x80);
        around.set(request, offset);
        const out = new ByteBuffer(0);
        const count = lines.encode(
          around.subarray(offset, offset + request.length),
          RECEIVED_AT_MS,
          out,
          1 << 20,
        );
        const alone = encoder.encode(request);
        assert.equal(count, alone.count);
        assert.equal(Buffer.from(out.bytes.subarray(0, out.length)).toString(), alone.text);
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});

describe('LineEncoder against protobuf-es', () => {
  it('means the same by what both accept', () => {
    let compared = 0;
    fc.assert(
      fc.property(requestBytes({ plain: true }), (request) => {
        const { count, text } = encoder.encode(request);
        if (count === -1) return;
        compared += count;
        const readings = protobufEsReadings(request, RECEIVED_AT_MS);
        // The integers of protobuf-es keep every digit as strings, so those of the line are quoted to be compared.
        const quoted = text.replaceAll(/("sensor_value"|"sequence"):(-?\d+)(?=[,}])/g, '$1:"$2"');
        const lines = quoted.split('\n').slice(0, -1);
        assert.deepEqual(
          lines.map((line) => JSON.parse(line)),
          readings,
        );
      }),
      { seed: SEED, numRuns: 1500 },
    );
    assert.ok(compared > 500, `${compared} readings compared`);
  });
});

describe('known disagreements', () => {
  const uncorrected = (request: WireBytes) =>
    RequestType.decode(new protobuf.Reader(Uint8Array.from(request)));
  const named = bytesField(1, 'n');

  it('protobufjs skips an unknown varint of more than 10 bytes', () => {
    const request = bytesField(1, [...named, 0x78, ...Array(10).fill(0x80), 0x01]);
    uncorrected(request);
    assert.equal(encoder.encode(request).fault?.reason, 'bad_varint');
    assert.equal(oracleLines(Uint8Array.from(request), RECEIVED_AT_MS), undefined);
  });

  it('protobufjs takes a bool for true whose only bits lie past the 64th', () => {
    const bool = [0x28, ...Array(9).fill(0x80), 0x02];
    const request = bytesField(1, [...named, ...bytesField(2, bool)]);
    const message = uncorrected(request) as unknown as { items: { measurement: { bool_value: boolean } }[] };
    assert.equal(message.items[0]!.measurement.bool_value, true);
    assert.match(encoder.encode(request).text, /"bool_value":false/);
  });

  it('protobufjs lets an unknown group nest 101 deep', () => {
    const nested = (depth: number) => [...Array(depth).fill(0x7b), ...Array(depth).fill(0x7c)];
    uncorrected(nested(101));
    assert.equal(encoder.encode(nested(101)).fault?.reason, 'too_deep');
    assert.equal(encoder.encode(nested(100)).count, 0);
    // One enclosing message takes one level.
    assert.equal(encoder.encode(bytesField(1, [...named, ...nested(100)])).fault?.reason, 'too_deep');
    assert.equal(encoder.encode(bytesField(1, [...named, ...nested(99)])).count, 1);
  });

  it('protobuf-es reads a known field whatever its wire type', () => {
    const request = bytesField(1, [...named, ...varintField(1, 1)]);
    assert.throws(() => protobufEsReadings(Uint8Array.from(request), RECEIVED_AT_MS));
    assert.equal(encoder.encode(request).count, 1);
    uncorrected(request);
  });
});
