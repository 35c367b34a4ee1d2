/** Distances and the nearest name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editDistance, nearest } from '../../src/config/suggest.ts';

test('one slip of the finger costs one', () => {
  assert.equal(editDistance('serve', 'serve'), 0);
  assert.equal(editDistance('srve', 'serve'), 1);
  assert.equal(editDistance('servee', 'serve'), 1);
  assert.equal(editDistance('sevre', 'serve'), 1);
  assert.equal(editDistance('sarve', 'serve'), 1);
  assert.equal(editDistance('', 'abc'), 3);
});

test('the distance is symmetric, at most the longer length, and 0 only for equal words', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '_'), maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      assert.equal(distance, editDistance(b, a));
      assert.ok(distance <= Math.max(a.length, b.length));
      assert.ok(distance >= Math.abs(a.length - b.length));
      assert.equal(distance === 0, a === b);
    }),
    { seed: 20261120 },
  );
});

test('the nearest name, or none when it would be far-fetched', () => {
  const names = ['serve', 'send', 'tail', 'verify', 'validate', 'health'];
  assert.equal(nearest('validat', names), 'validate');
  assert.equal(nearest('sned', names), 'send');
  assert.equal(nearest('start', names), undefined);
  assert.equal(nearest('x', names), undefined);
});
