/**
 * Copies UTF-8 text into a JSON string: checks every byte, escapes what JSON.stringify escapes, passes the rest
 * through. Four plain ASCII bytes go at a time; anything else falls back to one character at a time.
 */

/** One input byte becomes at most this many: a control character as \u00XX. */
export const MAX_ESCAPED_BYTES = 6;
/** `write` may touch this many bytes past the text it wrote. */
export const TEXT_OVERWRITE = 4;

const HIGH_BITS = 0x80808080 | 0;
const SPACES = 0x20202020;
const QUOTES = 0x22222222;
const BACKSLASHES = 0x5c5c5c5c;
const ONES = 0x01010101;

const BACKSLASH = 0x5c;
/** `\u00`, as four bytes of a little-endian word. */
const ESCAPE_PREFIX = 0x3030755c;
/** The two hexadecimal digits of each byte, as a little-endian half-word. */
const HEX_DIGITS = Uint16Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, '0');
  return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8);
});

const PLAIN = 0;
const HEX_ESCAPE = 1;
const BEYOND_ASCII = 2;
/** What to do with each byte: one of the three above, or the letter of its short escape. */
const TREATMENT = new Uint8Array(256);
TREATMENT.fill(HEX_ESCAPE, 0, 0x20).fill(BEYOND_ASCII, 0x80);
for (const [char, letter] of ['\bb', '\tt', '\nn', '\ff', '\rr', '""', '\\\\']) {
  TREATMENT[char!.charCodeAt(0)] = letter!.charCodeAt(0);
}

export class JsonTextWriter {
  /** Where the text of the last `write` stopped in the source. */
  sourcePos = 0;

  /**
   * Writes the characters that begin in [from, until) of a string that ends at `end`. The last one may reach past
   * `until`, never past `end`. Returns where the text ends in `target`, or -1 when it is not valid UTF-8.
   */
  write(source: DataView, from: number, until: number, end: number, target: DataView, at: number): number {
    let next = from;
    let pos = at;
    while (next < until) {
      while (until - next >= 4) {
        const word = source.getInt32(next, true);
        // The lowest byte that is not plain always sets its high bit, since nothing below it borrows.
        const special = word | (word - SPACES) | ((word ^ QUOTES) - ONES) | ((word ^ BACKSLASHES) - ONES);
        if ((special & HIGH_BITS) !== 0) break;
        target.setInt32(pos, word, true);
        next += 4;
        pos += 4;
      }
      if (next === until) break;
      let byte = source.getUint8(next);
      const treatment = TREATMENT[byte]!;
      if (treatment === PLAIN) {
        target.setUint8(pos++, byte);
        next++;
      } else if (treatment === BEYOND_ASCII) {
        const length = sequenceLength(source, next, end);
        if (length === 0) return -1;
        for (let copied = 0; copied < length; copied++) target.setUint8(pos++, source.getUint8(next++));
      } else if (treatment === HEX_ESCAPE) {
        // They come in rows, when somebody means harm: nothing else is looked for between them.
        do {
          target.setInt32(pos, ESCAPE_PREFIX, true);
          target.setUint16(pos + 4, HEX_DIGITS[byte]!, true);
          pos += MAX_ESCAPED_BYTES;
          next++;
        } while (next < until && TREATMENT[(byte = source.getUint8(next))] === HEX_ESCAPE);
      } else {
        target.setUint8(pos, BACKSLASH);
        target.setUint8(pos + 1, treatment);
        pos += 2;
        next++;
      }
    }
    this.sourcePos = next;
    return pos;
  }
}

/** How many bytes the character at `at` takes, or 0 when it is not valid. Its first byte is 0x80 or more. */
function sequenceLength(source: DataView, at: number, end: number): number {
  const first = source.getUint8(at);
  // 0x80..0xbf continue a character; 0xc0 and 0xc1 could only begin an overlong one.
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (at + length > end) return 0;
  const second = source.getUint8(at + 1);
  // The second byte tells overlong forms, surrogates and code points past U+10FFFF from the valid ones.
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let offset = 2; offset < length; offset++) {
    if ((source.getUint8(at + offset) & 0xc0) !== 0x80) return 0;
  }
  return length;
}
