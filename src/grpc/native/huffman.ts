/**
 * The Huffman code of RFC 7541 (section 5.2, Appendix B).
 *
 * The code is canonical: among codes of one length the symbols ascend, and each length goes on where the
 * shorter ones ended. So the lengths alone make it. Decoding walks four bits per step through a table of
 * states; as no code is shorter than five bits, a step yields at most one symbol.
 */

/** Bits of the code of each byte 0..255, then of EOS. */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const EOS = 256;
const LONGEST_BITS = 30;

/** The code of each symbol, right-aligned in `CODE_BITS` bits; for encoders and tests. */
export const HUFFMAN_CODES: readonly { readonly code: number; readonly bits: number }[] = canonicalCodes();

function canonicalCodes(): { code: number; bits: number }[] {
  const codes = CODE_BITS.map((bits) => ({ code: 0, bits }));
  let next = 0;
  for (let bits = 1; bits <= LONGEST_BITS; bits++) {
    next *= 2;
    for (const entry of codes) if (entry.bits === bits) entry.code = next++;
  }
  return codes;
}

/** One step: bits 0-7 the symbol, 8 whether there is one, 9 whether the input is at fault, 10-17 the next state. */
const HAS_SYMBOL = 0x100;
const IS_FAULT = 0x200;
const STATE_SHIFT = 10;

const { steps, mayEnd } = buildSteps();

/** A state is a node of the code tree; there are as many inner nodes as bytes. */
function buildSteps(): { steps: Int32Array; mayEnd: Uint8Array } {
  // children[2 * node + bit]: an inner node >= 0, a symbol as -1 - symbol, or undefined.
  const children: number[] = [];
  let nodes = 1;
  HUFFMAN_CODES.forEach(({ code, bits }, symbol) => {
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const at = 2 * node + ((code >>> bit) & 1);
      node = children[at] ??= nodes++;
    }
    children[2 * node + (code & 1)] = -1 - symbol;
  });
  const table = new Int32Array(nodes * 16);
  for (let state = 0; state < nodes; state++) {
    for (let nibble = 0; nibble < 16; nibble++) table[state * 16 + nibble] = step(children, state, nibble);
  }
  // Padding is a run of ones, at most seven (section 5.2).
  const ends = new Uint8Array(nodes);
  for (let node = 0, ones = 0; ones <= 7; ones++) {
    ends[node] = 1;
    node = children[2 * node + 1]!;
  }
  return { steps: table, mayEnd: ends };
}

function step(children: readonly number[], state: number, nibble: number): number {
  let node = state;
  let symbol = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[2 * node + ((nibble >>> bit) & 1)]!;
    if (next >= 0) {
      node = next;
    } else if (-1 - next === EOS) {
      return IS_FAULT;
    } else {
      symbol = HAS_SYMBOL | (-1 - next);
      node = 0;
    }
  }
  return (node << STATE_SHIFT) | symbol;
}

/** Decoded values are bounded by the header list; the buffer grows to the longest seen, once per process. */
let scratch = Buffer.alloc(1024);

/** The text as latin1, or undefined where the input is no Huffman string: EOS inside, or wrong padding. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  const longest = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < longest) scratch = Buffer.alloc(longest * 2);
  const out = scratch;
  let length = 0;
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    const high = steps[(state << 4) | (byte >>> 4)]!;
    if ((high & HAS_SYMBOL) !== 0) out[length++] = high & 0xff;
    const low = steps[((high >>> STATE_SHIFT) << 4) | (byte & 15)]!;
    if ((low & HAS_SYMBOL) !== 0) out[length++] = low & 0xff;
    if (((high | low) & IS_FAULT) !== 0) return undefined;
    state = low >>> STATE_SHIFT;
  }
  if (mayEnd[state] === 0) return undefined;
  return out.toString('latin1', 0, length);
}
