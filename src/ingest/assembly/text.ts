/**
 * Copies UTF-8 text into a JSON string: checks every byte, escapes what JSON.stringify escapes, passes the rest through.
 * Sixteen plain ASCII bytes go at a time; from the first byte that is anything else on, one character at a time.
 */

const SPACE: i8 = 0x20;
const QUOTE: i8 = 0x22;
const BACKSLASH: i8 = 0x5c;

/** `write` of six bytes at most for each. */
export const MAX_ESCAPED_BYTES: usize = 6;

/** `\u00`, as four bytes of a little-endian word. */
const ESCAPE_PREFIX: u32 = 0x3030755c;

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
    if (special !== 0) return writeCharacters(next, from, end);
    v128.store(next, chunk);
    if (left <= 16) return next + left;
    from += 16;
    next += 16;
  }
  return next;
}

function writeCharacters(at: usize, start: usize, end: usize): usize {
  let from = start;
  let next = at;
  while (from < end) {
    const byte = <u32>load<u8>(from);
    if (byte >= 0x80) {
      const length = sequenceLength(from, end);
      if (length === 0) return 0;
      store<u32>(next, load<u32>(from));
      from += length;
      next += length;
      continue;
    }
    from++;
    if (byte >= 0x20 && byte !== <u32>QUOTE && byte !== <u32>BACKSLASH) {
      store<u8>(next++, byte);
      continue;
    }
    const letter = shortEscape(byte);
    if (letter !== 0) {
      store<u16>(next, <u16>(<u32>BACKSLASH | (letter << 8)));
      next += 2;
    } else {
      store<u32>(next, ESCAPE_PREFIX);
      store<u16>(next, <u16>(hexDigit(byte >> 4) | (hexDigit(byte & 0xf) << 8)), 4);
      next += MAX_ESCAPED_BYTES;
    }
  }
  return next;
}

/** The letter behind the backslash, or 0 for a byte that has none. */
function shortEscape(byte: u32): u32 {
  switch (byte) {
    case 0x08:
      return 0x62;
    case 0x09:
      return 0x74;
    case 0x0a:
      return 0x6e;
    case 0x0c:
      return 0x66;
    case 0x0d:
      return 0x72;
    case 0x22:
      return 0x22;
    case 0x5c:
      return 0x5c;
    default:
      return 0;
  }
}

function hexDigit(n: u32): u32 {
  return n < 10 ? 0x30 + n : 0x57 + n;
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
