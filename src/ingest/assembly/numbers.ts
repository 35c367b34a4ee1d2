/** Decimal digits. Each function writes at `at`, returns where the text ends, and may touch INTEGER_ROOM bytes. */

/** '000' to '999', each as a little-endian word, so that one store writes the group and a byte too many. */
const TRIPLES: usize = memory.data(4000);
for (let n: u32 = 0; n < 1000; n++) {
  store<u32>(TRIPLES + ((<usize>n) << 2), 0x303030 + n / 100 + (((n / 10) % 10) << 8) + ((n % 10) << 16));
}

const ZERO: u32 = 0x30;
const MINUS: u32 = 0x2d;
const POINT: u32 = 0x2e;
const BILLION: u64 = 1_000_000_000;

/** 2^53 and 1e15 stand in src/ingest/double-text.ts, with the reason. */
const FIFTEEN_DIGITS: f64 = 1e15;
const MAX_DECIMALS: u32 = 6;

/** What `writeDouble` cannot make by itself: the shortest text of any double, made by JavaScript. */
declare function writeAnyDouble(at: usize, value: f64): usize;

function triple(n: u32): u32 {
  return load<u32>(TRIPLES + ((<usize>n) << 2));
}

/** 0 <= n < 1000, without leading zeros. */
function writeUpToThree(at: usize, n: u32): usize {
  if (n >= 100) {
    store<u32>(at, triple(n));
    return at + 3;
  }
  if (n >= 10) {
    store<u32>(at, triple(n) >> 8);
    return at + 2;
  }
  store<u8>(at, ZERO + n);
  return at + 1;
}

/** 0 <= n < 1e9, always nine digits. */
export function writeNine(at: usize, n: u32): usize {
  const thousands = n / 1000;
  const millions = thousands / 1000;
  store<u32>(at, triple(millions));
  store<u32>(at, triple(thousands - millions * 1000), 3);
  store<u32>(at, triple(n - thousands * 1000), 6);
  return at + 9;
}

/** 0 <= n < 1e9 */
function writeUpToNine(at: usize, n: u32): usize {
  if (n < 1000) return writeUpToThree(at, n);
  const thousands = n / 1000;
  let next: usize;
  if (thousands < 1000) {
    next = writeUpToThree(at, thousands);
  } else {
    const millions = thousands / 1000;
    next = writeUpToThree(at, millions);
    store<u32>(next, triple(thousands - millions * 1000));
    next += 3;
  }
  store<u32>(next, triple(n - thousands * 1000));
  return next + 3;
}

export function writeUnsigned(at: usize, n: u64): usize {
  if (n < BILLION) return writeUpToNine(at, <u32>n);
  const billions = n / BILLION;
  let next: usize;
  if (billions < BILLION) {
    next = writeUpToNine(at, <u32>billions);
  } else {
    const top = billions / BILLION;
    next = writeNine(writeUpToNine(at, <u32>top), <u32>(billions - top * BILLION));
  }
  return writeNine(next, <u32>(n - billions * BILLION));
}

export function writeSigned(at: usize, n: i64): usize {
  if (n >= 0) return writeUnsigned(at, <u64>n);
  store<u8>(at, MINUS);
  return writeUnsigned(at + 1, 0 - <u64>n);
}

/** As src/ingest/double-text.ts does it: a few decimals here, everything else in JavaScript. */
export function writeDouble(at: usize, value: f64): usize {
  const magnitude = Math.abs(value);
  if (magnitude < FIFTEEN_DIGITS) {
    let power: f64 = 1;
    for (let decimals: u32 = 0; decimals <= MAX_DECIMALS; decimals++) {
      const scaled = Math.floor(magnitude * power + 0.5);
      if (scaled >= FIFTEEN_DIGITS) break;
      if (scaled / power === magnitude) {
        let next = at;
        // A negative zero, too, has its sign bit set.
        if (reinterpret<i64>(value) < 0) store<u8>(next++, MINUS);
        return writeDecimal(next, <u64>scaled, <u64>power, decimals);
      }
      power *= 10;
    }
  }
  return writeAnyDouble(at, value);
}

function writeDecimal(at: usize, scaled: u64, power: u64, decimals: u32): usize {
  const whole = scaled / power;
  const point = writeUnsigned(at, whole);
  if (decimals === 0) return point;
  let rest = <u32>(scaled - whole * power);
  store<u8>(point, POINT);
  for (let digit = point + decimals; digit > point; digit--) {
    const tens = rest / 10;
    store<u8>(digit, ZERO + rest - tens * 10);
    rest = tens;
  }
  return point + 1 + decimals;
}
