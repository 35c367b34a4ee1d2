/**
 * Decimal digits of 64-bit integers given as two 32-bit halves, without BigInt. The functions write at `pos`, return
 * where the text ends, and may overwrite up to INTEGER_ROOM bytes from `pos`.
 */
export const INTEGER_ROOM = 24;

const ZERO = 0x30;
const MINUS = 0x2d;
const BILLION = 1_000_000_000;
const TWO_POW_32 = 4_294_967_296;

/** '00'..'99' and '000'..'999' as little-endian words, so that one store writes the group (and a byte too many). */
export const PAIRS = new Uint16Array(100);
export const TRIPLES = new Int32Array(1000);
for (let n = 0; n < 100; n++) PAIRS[n] = (ZERO + Math.trunc(n / 10)) | ((ZERO + (n % 10)) << 8);
for (let n = 0; n < 1000; n++) TRIPLES[n] = (ZERO + Math.trunc(n / 100)) | (PAIRS[n % 100]! << 8);

/** 0 <= n < 1000, without leading zeros. */
function writeUpTo3(view: DataView, pos: number, n: number): number {
  if (n < 10) {
    view.setUint8(pos, ZERO + n);
    return pos + 1;
  }
  if (n < 100) {
    view.setUint16(pos, PAIRS[n]!, true);
    return pos + 2;
  }
  view.setInt32(pos, TRIPLES[n]!, true);
  return pos + 3;
}

/** 0 <= n < 1e9, always nine digits. */
export function writeNineDigits(view: DataView, pos: number, n: number): number {
  const thousands = (n / 1000) | 0;
  const millions = (n / 1_000_000) | 0;
  view.setInt32(pos, TRIPLES[millions]!, true);
  view.setInt32(pos + 3, TRIPLES[thousands - millions * 1000]!, true);
  view.setInt32(pos + 6, TRIPLES[n - thousands * 1000]!, true);
  return pos + 9;
}

/** 0 <= n < 2^31 */
function writeUint31(view: DataView, pos: number, n: number): number {
  if (n < 1000) return writeUpTo3(view, pos, n);
  const thousands = (n / 1000) | 0;
  if (n < 1_000_000) {
    const at = writeUpTo3(view, pos, thousands);
    view.setInt32(at, TRIPLES[n - thousands * 1000]!, true);
    return at + 3;
  }
  const millions = (n / 1_000_000) | 0;
  let at: number;
  if (millions < 1000) {
    at = writeUpTo3(view, pos, millions);
  } else {
    const billions = (millions / 1000) | 0;
    at = writeUpTo3(view, pos, billions);
    view.setInt32(at, TRIPLES[millions - billions * 1000]!, true);
    at += 3;
  }
  view.setInt32(at, TRIPLES[thousands - millions * 1000]!, true);
  view.setInt32(at + 3, TRIPLES[n - thousands * 1000]!, true);
  return at + 6;
}

/** A whole number from 0 to 2^53. */
export function writeSafeInteger(view: DataView, pos: number, n: number): number {
  if (n < BILLION) return writeUint31(view, pos, n);
  const billions = Math.floor(n / BILLION);
  return writeNineDigits(view, writeUint31(view, pos, billions), n - billions * BILLION);
}

/** An unsigned 64-bit integer; the halves may be given as signed or unsigned numbers. */
export function writeUint64(view: DataView, pos: number, hi: number, lo: number): number {
  const high = hi >>> 0;
  const low = lo >>> 0;
  if (high < 0x200000) return writeSafeInteger(view, pos, high * TWO_POW_32 + low);
  // Long division by 1e9 in base 2^16, so that each partial dividend is exact in a double.
  const quotientHigh = Math.floor(high / BILLION);
  const upper = (high - quotientHigh * BILLION) * 65536 + (low >>> 16);
  const quotientMiddle = Math.floor(upper / BILLION);
  const lower = (upper - quotientMiddle * BILLION) * 65536 + (low & 0xffff);
  const quotientLow = Math.floor(lower / BILLION);
  const billions = quotientHigh * TWO_POW_32 + quotientMiddle * 65536 + quotientLow;
  return writeNineDigits(view, writeSafeInteger(view, pos, billions), lower - quotientLow * BILLION);
}

/** A signed 64-bit integer in two's complement. */
export function writeInt64(view: DataView, pos: number, hi: number, lo: number): number {
  if (hi === 0 && lo >= 0) return writeUint31(view, pos, lo);
  if (hi >= 0) return writeUint64(view, pos, hi, lo);
  view.setUint8(pos, MINUS);
  const negatedLo = -lo | 0;
  return writeUint64(view, pos + 1, negatedLo === 0 ? -hi | 0 : ~hi, negatedLo);
}
