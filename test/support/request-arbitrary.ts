/**
 * Generated SensorValuesRequest bytes: valid in most parts, in every form the wire allows (pieces, repetitions, any
 * order, unknown fields, known fields with another wire type, padded varints), with now and then something that
 * must be refused.
 */
import fc from 'fast-check';
import {
  bytesField,
  doubleField,
  fixed32Field,
  fixed64Field,
  groupField,
  varintField,
  type WireBytes,
} from './wire-bytes.ts';

type Piece = fc.Arbitrary<number[]>;

const EDGES_64 = [
  0n,
  1n,
  127n,
  128n,
  -1n,
  2n ** 31n - 1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 32n,
  2n ** 53n,
  -(2n ** 53n),
];
const POWERS_OF_TEN = Array.from({ length: 19 }, (_, power) => 10n ** BigInt(power));

export const int64: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer({ min: -100_000, max: 100_000 }).map(BigInt),
  fc.constantFrom(...EDGES_64, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.constantFrom(...POWERS_OF_TEN).chain((power) => fc.constantFrom(power, power - 1n, -power, 1n - power)),
);

/** Any bit pattern, and the decimals that sensors send. */
export const double: fc.Arbitrary<number> = fc.oneof(
  fc
    .bigInt({ min: 0n, max: 2n ** 64n - 1n })
    .map((bits) => new Float64Array(new BigUint64Array([bits]).buffer)[0]!),
  fc
    .tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 12 }))
    .map(([digits, decimals]) => Number(`${digits}e-${decimals}`)),
  fc.double(),
  fc.constantFrom(
    0,
    -0,
    Number.NaN,
    Infinity,
    -Infinity,
    5e-324,
    1e15,
    1e21,
    123456789012345680000,
    1e-6,
    1e-7,
  ),
);

/** Every kind of character: control, to be escaped, one to four bytes, separators, the byte-order mark. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 24 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom(
      '\0',
      '\b',
      '\t',
      '\n',
      '\f',
      '\r',
      '\x1f',
      ' ',
      '"',
      '\\',
      '/',
      '\x7f',
      '\x80',
      '\u07ff',
    ),
    maxLength: 12,
  }),
  fc.string({
    unit: fc.constantFrom(
      'a',
      '\u0800',
      '\u2028',
      '\u2029',
      '\ud7ff',
      '\ue000',
      '\ufeff',
      '\uffff',
      '\u{10000}',
    ),
    maxLength: 12,
  }),
  fc.constantFrom('7', '__proto__', 'boiler-1', '', '\u{10ffff}', 'x'.repeat(300)),
);

/** Bytes that are not UTF-8: a stray or missing continuation, overlong forms, surrogates, past U+10FFFF. */
const notUtf8 = fc.constantFrom<number[]>(
  [0x80],
  [0xc3],
  [0xc0, 0xaf],
  [0xe0, 0x9f, 0xbf],
  [0xed, 0xa0, 0x80],
  [0xf0, 0x8f, 0xbf, 0xbf],
  [0xf4, 0x90, 0x80, 0x80],
  [0xff],
  [0xe2, 0x82],
  [0xf5, 0x80, 0x80, 0x80],
);

const textBytes = (rarely: boolean): fc.Arbitrary<WireBytes> => {
  const valid = text.map((value) => [...Buffer.from(value)]);
  if (!rarely) return valid;
  const broken = fc.tuple(valid, notUtf8, valid).map((parts) => parts.flat());
  return fc.oneof({ weight: 60, arbitrary: valid }, { weight: 1, arbitrary: broken });
};

const stringField = (field: number, faults: boolean): Piece =>
  fc
    .tuple(textBytes(faults), fc.integer({ min: 1, max: 5 }))
    .map(([value, width]) => bytesField(field, value, width));

/** A text that must not be empty, and rarely is. */
const filledField = (field: number, options: RequestOptions): Piece => {
  const filled = text.map((value) => bytesField(field, `n${value}`));
  return fc.oneof(
    { weight: 8, arbitrary: filled },
    { weight: 1, arbitrary: stringField(field, !options.plain) },
  );
};

const int64Field = (field: number, value: fc.Arbitrary<bigint | number>): Piece =>
  fc
    .tuple(value, fc.integer({ min: 1, max: 10 }))
    .map(([number, width]) => varintField(field, number, width));

const fixedBytes = (count: number) => fc.array(fc.nat(255), { minLength: count, maxLength: count });

/** A field of the given number with any wire type that fits; groups hold more of the same. */
const fieldOf = (number: fc.Arbitrary<number>, depth: number): Piece =>
  number.chain((field) =>
    fc.oneof(
      int64Field(field, int64),
      fixedBytes(8).map((bytes) => fixed64Field(field, bytes)),
      fc.array(fc.nat(255), { maxLength: 12 }).map((bytes) => bytesField(field, bytes)),
      fixedBytes(4).map((bytes) => fixed32Field(field, bytes)),
      ...(depth === 0
        ? []
        : [fc.array(unknown(depth - 1), { maxLength: 2 }).map((inner) => groupField(field, inner.flat()))]),
    ),
  );

const unknown = (depth: number): Piece =>
  fieldOf(fc.oneof(fc.integer({ min: 7, max: 20 }), fc.constantFrom(1000, 536_870_911)), depth);

/** Known field numbers with a wire type they do not have. */
const mistyped = (numbers: number[], wireTypes: number[]): Piece =>
  fc.tuple(fc.constantFrom(...numbers), fc.constantFrom(...wireTypes)).map(([field, wireType]) => {
    if (wireType === 0) return varintField(field, 300);
    if (wireType === 1) return fixed64Field(field, [1, 2, 3, 4, 5, 6, 7, 8]);
    if (wireType === 2) return bytesField(field, [1, 2, 3, 0x80]);
    return wireType === 5 ? fixed32Field(field, [1, 2, 3, 4]) : groupField(field, varintField(1, 1));
  });

/** `plain` leaves out what protobuf-es reads differently: known fields with another wire type, and faults. */
export interface RequestOptions {
  readonly plain: boolean;
}

function pieces(wanted: Piece, options: RequestOptions, mistypedPiece: Piece, maxLength: number): Piece {
  const choices = [
    { weight: 12, arbitrary: wanted },
    { weight: 1, arbitrary: unknown(2) },
  ];
  if (!options.plain) choices.push({ weight: 1, arbitrary: mistypedPiece });
  return fc.array(fc.oneof(...choices), { maxLength }).map((parts) => parts.flat());
}

function timestamp(options: RequestOptions): Piece {
  const inRange = fc.oneof(
    fc.bigInt({ min: -62135596800n, max: 253402300799n }),
    fc.bigInt({ min: 1795000000n, max: 1796000000n }),
    fc.constantFrom(-62135596800n, 253402300799n, -1n, 0n, 951782399n, 951782400n, 951868800n, -2203891201n),
  );
  const seconds = options.plain
    ? inRange
    : fc.oneof({ weight: 60, arbitrary: inRange }, { weight: 1, arbitrary: int64 });
  const goodNanos = fc.oneof(fc.integer({ min: 0, max: 999_999_999 }), fc.constantFrom(0, 1, 999_999_999));
  const nanos = options.plain
    ? goodNanos
    : fc.oneof(
        { weight: 60, arbitrary: goodNanos },
        { weight: 1, arbitrary: fc.constantFrom(-1, 1_000_000_000, 2 ** 32 + 5) },
      );
  const wanted = fc.oneof(int64Field(1, seconds), int64Field(2, nanos));
  return pieces(wanted, options, mistyped([1, 2], [1, 2, 3, 5]), 4);
}

/** Fields of one of the four values. */
function valueKinds(options: RequestOptions): Piece[] {
  return [
    pieces(int64Field(1, int64), options, mistyped([1], [1, 2, 3, 5]), 3).map((inner) =>
      bytesField(2, inner),
    ),
    double.map((value) => doubleField(4, value)),
    int64Field(5, fc.oneof(fc.constantFrom(0n, 1n), int64)),
    stringField(6, !options.plain),
  ];
}

function measurement(value: Piece, options: RequestOptions): Piece {
  const time = timestamp(options).map((inner) => bytesField(3, inner));
  const part = pieces(fc.oneof(value, time), options, mistyped([2, 3, 6], [0, 1, 3, 5]), 4);
  return part.map((inner) => bytesField(2, inner));
}

function label(options: RequestOptions): Piece {
  const wanted = fc.oneof(stringField(1, !options.plain), stringField(2, !options.plain));
  return pieces(wanted, options, mistyped([1, 2], [0, 1, 3, 5]), 3).map((inner) => bytesField(3, inner));
}

function reading(options: RequestOptions): Piece {
  const kinds = valueKinds(options);
  const oneKind = fc.constantFrom(...kinds);
  const anyKind = fc.constant(fc.oneof(...kinds));
  const kind = fc.oneof({ weight: 30, arbitrary: oneKind }, { weight: 1, arbitrary: anyKind });
  return kind.chain((value) => {
    const choices = [
      { weight: 6, arbitrary: measurement(value, options) },
      { weight: 4, arbitrary: label(options) },
      { weight: 1, arbitrary: unknown(2) },
      { weight: 1, arbitrary: stringField(1, !options.plain) },
    ];
    if (!options.plain) choices.push({ weight: 1, arbitrary: mistyped([1, 2, 3], [0, 1, 3, 5]) });
    const fields = fc.array(fc.oneof(...choices), { maxLength: 4 }).map((parts) => parts.flat());
    return fc.tuple(fields, filledField(1, options), fields).map((parts) => parts.flat());
  });
}

/** Request bytes of up to four readings. */
export function requestBytes(options: RequestOptions): fc.Arbitrary<Uint8Array> {
  const item = fc
    .tuple(reading(options), fc.integer({ min: 1, max: 5 }))
    .map(([inner, width]) => bytesField(1, inner, width));
  const uint64 = fc.oneof(
    fc.bigInt({ min: 1n, max: 2n ** 64n - 5n }),
    fc.constantFrom(1n, 2n ** 32n - 1n, 2n ** 53n - 1n),
  );
  const sequence = options.plain
    ? uint64
    : fc.oneof(
        { weight: 9, arbitrary: uint64 },
        { weight: 1, arbitrary: fc.constantFrom(2n ** 64n - 1n, 0n) },
      );
  const numbering = fc.oneof(
    fc.constant<number[][]>([]),
    fc.tuple(filledField(2, options), int64Field(3, sequence)).map((pair) => [...pair]),
  );
  const extra: Piece = options.plain ? unknown(2) : fc.oneof(unknown(2), mistyped([1, 2, 3], [1, 3, 5]));
  return fc
    .tuple(fc.array(item, { maxLength: 4 }), numbering, fc.array(extra, { maxLength: 2 }))
    .chain(([items, numbers, extras]) =>
      fc.shuffledSubarray([...items, ...numbers, ...extras], {
        minLength: items.length + numbers.length + extras.length,
      }),
    )
    .map((fields) => Uint8Array.from(fields.flat()));
}
