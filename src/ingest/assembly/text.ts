/**
 * Copies UTF-8 text into a JSON string: checks every byte, escapes what JSON.stringify escapes, passes the rest through.
 * Sixteen plain ASCII bytes go at a time; where there is anything else, one character does.
 */

const SPACE: i8 = 0x20;
const QUOTE: i8 = 0x22;
const BACKSLASH: i8 = 0x5c;

/** One input byte becomes at most this many: a control character as \u00XX. */
export const MAX_ESCAPED_BYTES: usize = 6;

/** For each control character eight bytes: its escape, and in the last one how long that is. */
const ESCAPES: usize = memory.data(32 * 8);
for (let byte: u32 = 0; byte < 0x20; byte++) {
  const low = byte & 0xf;
  const digits = (0x30 + (byte >> 4)) | ((low < 10 ? 0x30 + low : 0x57 + low) << 8);
  // `\u00`, and the digits behind it.
  store<u64>(
    ESCAPES + <usize>(byte << 3),
    0x3030755c | ((<u64>digits) << 32) | ((<u64>MAX_ESCAPED_BYTES) << 56),
  );
}
keepShort(0x08, 0x62);
keepShort(0x09, 0x74);
keepShort(0x0a, 0x6e);
keepShort(0x0c, 0x66);
keepShort(0x0d, 0x72);

function keepShort(byte: u32, letter: u32): void {
  store<u64>(ESCAPES + <usize>(byte << 3), <u64>(0x5c | (letter << 8)) | ((<u64>2) << 56));
}

/** So many plain bytes in a row, and sixteen are looked at again. */
const PLAIN_AGAIN: u32 = 4;

/** Where `writeCharacters` stopped in the source. */
let stoppedAt: usize = 0;

/** Returns where the text ends, or 0 when it is not valid. May read 16 bytes past `end`, and write as many past the text. */
export function writeText(at: usize, start: usize, end: usize): usize {
  let from = start;
  let next = at;
  while (from < end) {
    const chunk = v128.load(from);
    // Bytes of 0x80 and more are negative here, so they are below a space, too.
    const isSpecial = v128.or(
      i8x16.lt_s(chunk, i8x16.splat(SPACE)),
      v128.or(i8x16.eq(chunk, i8x16.splat(QUOTE)), i8x16.eq(chunk, i8x16.splat(BACKSLASH))),
    );
    const left = end - from;
    let special = i8x16.bitmask(isSpecial);
    if (left < 16) special &= (1 << (<i32>left)) - 1;
    v128.store(next, chunk);
    if (special === 0) {
      if (left <= 16) return next + left;
      from += 16;
      next += 16;
      continue;
    }
    const plain = <usize>ctz(special);
    next = writeCharacters(next + plain, from + plain, end);
    if (next === 0) return 0;
    from = stoppedAt;
  }
  return next;
}

/** One at a time, until the text ends or the next bytes may well be plain again. Returns where it stopped, or 0. */
function writeCharacters(at: usize, start: usize, end: usize): usize {
  let from = start;
  let next = at;
  let plain: u32 = 0;
  while (from < end && plain < PLAIN_AGAIN) {
    const byte = <u32>load<u8>(from);
    if (byte >= 0x80) {
      const length = sequenceLength(from, end);
      if (length === 0) return 0;
      store<u32>(next, load<u32>(from));
      from += length;
      next += length;
      plain = 0;
      continue;
    }
    from++;
    if (byte >= 0x20 && byte !== <u32>QUOTE && byte !== <u32>BACKSLASH) {
      store<u8>(next++, byte);
      plain++;
      continue;
    }
    plain = 0;
    if (byte < 0x20) {
      const kept = ESCAPES + <usize>(byte << 3);
      store<u64>(next, load<u64>(kept));
      next += <usize>load<u8>(kept, 7);
    } else {
      store<u16>(next, <u16>(<u32>BACKSLASH | (byte << 8)));
      next += 2;
    }
  }
  stoppedAt = from;
  return next;
}

/** How many bytes the character at `at` takes, or 0 when it is not valid. Its first byte is 0x80 or more. RFC 3629, section 4. */
function sequenceLength(at: usize, end: usize): usize {
  const first = <u32>load<u8>(at);
  if (first < 0xc2 || first > 0xf4) return 0;
  const length: usize = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (end - at < length) return 0;
  const second = <u32>load<u8>(at, 1);
  const lowest: u32 = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest: u32 = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let offset: usize = 2; offset < length; offset++) {
    if ((load<u8>(at + offset) & 0xc0) !== 0x80) return 0;
  }
  return length;
}
