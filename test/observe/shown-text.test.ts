/** Text from outside, made fit to be shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shownLines, shownText } from '../../src/observe/shown-text.ts';

test('control characters are escaped, ordinary text of any language is not', () => {
  assert.equal(
    shownText('a\u001b[0m\n\t\u0000\u009b\u2028\u202e'),
    'a\\u001b[0m\\n\\t\\u0000\\u009b\\u2028\\u202e',
  );
  assert.equal(shownText('Kessel-1 温度 📈'), 'Kessel-1 温度 📈');
});

test('a long text is cut, says so, and stays well-formed', () => {
  assert.equal(shownText('abcdef', 3), 'abc... (3 more)');
  assert.ok(shownText('ab📈', 3).isWellFormed());
});

/** Half of it from the range where the control characters are; lone surrogates too. */
const anyText = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 0x10ffff })), {
    maxLength: 80,
  })
  .map((points) => String.fromCodePoint(...points));

test('any text ends up on one line of bounded length', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 100 }), (text, max) => {
      const shown = shownText(text, max);
      assert.ok(shown.length <= 6 * max + 20);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
      assert.doesNotMatch(shown, /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
    }),
    { seed: 63 },
  );
});

test('a stack keeps its lines', () => {
  assert.equal(shownLines('Error: x\u0007\n  at y'), 'Error: x\\u0007\n  at y');
});
