/** Huffman strings: every symbol, every padding, and what is not allowed (RFC 7541 section 5.2). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeHuffman, HUFFMAN_CODES } from '../../../src/grpc/native/huffman.ts';

/** Bits of the symbols, filled up with `padding`. */
function encode(symbols: readonly number[], padding = '1'): Buffer {
  let bits = symbols
    .map((symbol) => HUFFMAN_CODES[symbol]!.code.toString(2).padStart(HUFFMAN_CODES[symbol]!.bits, '0'))
    .join('');
  while (bits.length % 8 !== 0) bits += padding;
  return Buffer.from(bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}
const decode = (bytes: Buffer) => decodeHuffman(bytes, 0, bytes.length);

test('the code is that of Appendix B', () => {
  // Spot checks over all lengths, as the table prints them: symbol, code, bits.
  const table: [number, number, number][] = [
    [48, 0x0, 5],
    [116, 0x9, 5],
    [32, 0x14, 6],
    [117, 0x2d, 6],
    [58, 0x5c, 7],
    [122, 0x7b, 7],
    [38, 0xf8, 8],
    [90, 0xfd, 8],
    [33, 0x3f8, 10],
    [63, 0x3fc, 10],
    [39, 0x7fa, 11],
    [124, 0x7fc, 11],
    [35, 0xffa, 12],
    [62, 0xffb, 12],
    [0, 0x1ff8, 13],
    [126, 0x1ffd, 13],
    [94, 0x3ffc, 14],
    [125, 0x3ffd, 14],
    [60, 0x7ffc, 15],
    [123, 0x7ffe, 15],
    [92, 0x7fff0, 19],
    [208, 0x7fff2, 19],
    [128, 0xfffe6, 20],
    [9, 0xffffea, 24],
    [249, 0xffffffe, 28],
    [10, 0x3ffffffc, 30],
    [22, 0x3ffffffe, 30],
    [256, 0x3fffffff, 30],
  ];
  for (const [symbol, code, bits] of table) {
    assert.deepEqual(HUFFMAN_CODES[symbol], { code, bits }, `symbol ${symbol}`);
  }
  // A complete code: no bit string is without a meaning.
  assert.equal(
    HUFFMAN_CODES.reduce((sum, { bits }) => sum + 2 ** -bits, 0),
    1,
  );
});

test('every symbol alone, after and before every other length', () => {
  for (let symbol = 0; symbol < 256; symbol++) {
    for (const other of [48, 33, 0, 92, 10]) {
      for (const symbols of [[symbol], [other, symbol], [symbol, other], [other, symbol, other]]) {
        assert.equal(decode(encode(symbols)), String.fromCharCode(...symbols));
      }
    }
  }
});

test('any bytes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(decode(encode([...bytes])), Buffer.from(bytes).toString('latin1'));
    }),
    { seed: 1 },
  );
});

test('padding: ones, and fewer than eight', () => {
  assert.equal(decode(Buffer.alloc(0)), '');
  assert.equal(decode(encode([48])), '0');
  assert.equal(decode(encode([48], '0')), undefined, 'zeroes');
  assert.equal(decode(Buffer.concat([encode([48]), Buffer.from([0xff])])), undefined, 'eleven ones');
  assert.equal(decode(Buffer.from([0xff])), undefined, 'eight ones');
  assert.equal(decode(encode([38, 38])), '&&', 'none at all');
});

test('EOS is a fault wherever it stands', () => {
  for (const symbols of [[256], [48, 256], [256, 48], [33, 256, 33]]) {
    assert.equal(decode(encode(symbols)), undefined);
  }
});

test('only the given range is read', () => {
  const bytes = Buffer.concat([Buffer.from([0xff, 0xff]), encode([48, 49]), Buffer.from([0xff, 0xff])]);
  assert.equal(decodeHuffman(bytes, 2, bytes.length - 2), '01');
});
