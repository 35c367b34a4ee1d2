/** Numbers and times as text, each over its whole range against what the platform prints. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DOUBLE_ROOM, writeDouble } from '../../src/ingest/double-text.ts';
import { FixedText } from '../../src/ingest/fixed-text.ts';
import { INTEGER_ROOM, writeInt64, writeUint64 } from '../../src/ingest/int64-text.ts';
import { JsonTextWriter, MAX_ESCAPED_BYTES, TEXT_OVERWRITE } from '../../src/ingest/json-text.ts';
import { TIMESTAMP_ROOM, TimestampText } from '../../src/ingest/timestamp-text.ts';
import { double, int64, text } from '../support/request-arbitrary.ts';

const SEED = 20261120;

/** What `write` writes, given exactly the room it asks for. */
function written(roomBytes: number, write: (view: DataView, pos: number) => number): string {
  const view = new DataView(new ArrayBuffer(roomBytes + 3));
  const end = write(view, 3);
  return Buffer.from(view.buffer, 3, end - 3).toString();
}

describe('integers', () => {
  const signed = (value: bigint) =>
    written(INTEGER_ROOM, (view, pos) =>
      writeInt64(view, pos, Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value))),
    );
  const unsigned = (value: bigint) =>
    written(INTEGER_ROOM, (view, pos) =>
      writeUint64(view, pos, Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value))),
    );

  it('keep every digit', () => {
    fc.assert(
      fc.property(int64, (value) => {
        assert.equal(signed(value), String(value));
        const bits = BigInt.asUintN(64, value);
        assert.equal(unsigned(bits), String(bits));
      }),
      { seed: SEED, numRuns: 50_000 },
    );
  });

  it('keep every digit next to each power of two and of ten', () => {
    for (let power = 0n; power < 64n; power++) {
      for (const base of [2n ** power, 10n ** (power % 20n), 999n ** (power % 6n) * 10n ** (power % 5n)]) {
        for (const value of [base - 1n, base, base + 1n]) {
          assert.equal(unsigned(BigInt.asUintN(64, value)), String(BigInt.asUintN(64, value)));
          assert.equal(signed(BigInt.asIntN(64, value)), String(BigInt.asIntN(64, value)));
          assert.equal(signed(BigInt.asIntN(64, -value)), String(BigInt.asIntN(64, -value)));
        }
      }
    }
  });
});

describe('doubles', () => {
  const printed = (value: number) => written(DOUBLE_ROOM, (view, pos) => writeDouble(view, pos, value));

  it('are printed as JavaScript prints them', () => {
    fc.assert(
      fc.property(double, (value) => {
        if (!Number.isFinite(value)) assert.equal(printed(value), `"${value}"`);
        else assert.equal(printed(value), Object.is(value, -0) ? '-0' : JSON.stringify(value));
      }),
      { seed: SEED, numRuns: 60_000 },
    );
  });

  it('keep their shortest form when a decimal is not exact', () => {
    // Each of these times a power of ten is not whole, although the decimal has that many places.
    for (const value of [
      -2322310.47,
      0.1,
      0.3,
      1.005,
      4.35,
      1.1,
      8.41,
      64.1,
      16.4,
      0.1 + 0.2,
      999999999.999999,
    ]) {
      assert.equal(printed(value), String(value));
    }
  });

  it('round-trip as JSON', () => {
    fc.assert(
      fc.property(double, (value) => {
        if (Number.isFinite(value)) assert.ok(Object.is(JSON.parse(printed(value)), value));
      }),
      { seed: SEED, numRuns: 10_000 },
    );
  });
});

describe('times', () => {
  const times = new TimestampText();
  const printed = (seconds: number, nanos: number) =>
    written(TIMESTAMP_ROOM, (view, pos) => times.write(view, pos, seconds, nanos));
  const expected = (seconds: number, nanos: number) =>
    `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanos).padStart(9, '0')}`;

  it('are right around midnight of every 13th day from year 1 to 9999, and of each turn of a year', () => {
    const check = (midnight: number) => {
      for (const seconds of [midnight - 1, midnight, midnight + 86_399]) {
        if (seconds < -62_135_596_800 || seconds > 253_402_300_799) continue;
        assert.equal(printed(seconds, 7), expected(seconds, 7));
      }
    };
    for (let day = -719_162; day <= 2_932_896; day += 13) check(day * 86_400);
    for (let year = 1; year <= 9999; year++) {
      // Date.UTC takes the years 0 to 99 for 1900 to 1999.
      const newYear = new Date(Date.UTC(2000, 0, 1)).setUTCFullYear(year) / 1000;
      check(newYear);
      check(newYear + 59 * 86_400);
      check(newYear + 60 * 86_400);
    }
  });

  it('are right for any second and nanosecond, whatever was printed before', () => {
    const seconds = fc.oneof(
      fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
      fc.integer({ min: 1_795_132_800, max: 1_795_219_200 }),
    );
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 999_999_999 }), (second, nanos) => {
        assert.equal(printed(second, nanos), expected(second, nanos));
      }),
      { seed: SEED, numRuns: 20_000 },
    );
  });
});

describe('text', () => {
  const writer = new JsonTextWriter();

  /** Writes `bytes` in pieces of `pieceBytes`; undefined when they are refused. */
  function escaped(bytes: Uint8Array, pieceBytes: number): string | undefined {
    const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const target = new DataView(new ArrayBuffer(bytes.length * MAX_ESCAPED_BYTES + TEXT_OVERWRITE));
    let pos = 0;
    for (let from = 0; from < bytes.length; from = writer.sourcePos) {
      const until = Math.min(from + pieceBytes, bytes.length);
      pos = writer.write(source, from, until, bytes.length, target, pos);
      if (pos === -1) return undefined;
    }
    return Buffer.from(target.buffer, 0, pos).toString();
  }

  it('is escaped as JSON.stringify escapes it, in one piece or several', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (value, pieceBytes) => {
        const bytes = Uint8Array.from(Buffer.from(value));
        assert.equal(`"${escaped(bytes, Math.max(bytes.length, 1))}"`, JSON.stringify(value));
        assert.equal(`"${escaped(bytes, pieceBytes)}"`, JSON.stringify(value));
      }),
      { seed: SEED, numRuns: 10_000 },
    );
  });

  it('is escaped as JSON.stringify escapes it for every character there is', () => {
    for (let from = 0; from <= 0x10ffff; from += 64) {
      const codes = Array.from({ length: 64 }, (_, offset) => from + offset);
      const value = String.fromCodePoint(...codes.filter((code) => code < 0xd800 || code > 0xdfff));
      const bytes = Uint8Array.from(Buffer.from(value));
      assert.equal(`"${escaped(bytes, 1000)}"`, JSON.stringify(value));
    }
  });

  it('is refused exactly when TextDecoder refuses it, for every start of two and three bytes', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const accepts = (bytes: Uint8Array) => {
      try {
        decoder.decode(bytes);
        return true;
      } catch {
        return false;
      }
    };
    for (let first = 0x7f; first < 0x100; first++) {
      for (let second = 0; second < 0x100; second++) {
        for (const rest of [[], [0x80], [0xbf, 0x80], [0x80, 0xc0], [0x41], [0x80, 0x80, 0x80]]) {
          const bytes = Uint8Array.from([first, second, ...rest]);
          assert.equal(escaped(bytes, bytes.length) !== undefined, accepts(bytes), `bytes ${bytes}`);
        }
      }
    }
  });
});

describe('fixed text', () => {
  it('arrives byte for byte, whatever its length', () => {
    const all = Array.from({ length: 0x5f }, (_, offset) => String.fromCharCode(0x20 + offset)).join('');
    for (let length = 0; length <= all.length; length++) {
      for (const part of [all.slice(0, length), all.slice(all.length - length)]) {
        assert.equal(
          written(length + 8, (view, pos) => new FixedText(part).write(view, pos)),
          part,
        );
      }
    }
  });

  it('takes ASCII only', () => {
    assert.throws(() => new FixedText('\u00e9'), RangeError);
  });
});
