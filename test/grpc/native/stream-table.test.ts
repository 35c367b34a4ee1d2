import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamTable } from '../../../src/grpc/native/stream-table.ts';

test('does what a Map does, whatever comes and goes', () => {
  // Ids as clients give them (odd, rising), as they must not (even, far apart), and few, so that they meet again.
  const id = fc.oneof(
    fc.nat(40).map((n) => 2 * n + 1),
    fc.nat(40).map((n) => 2 * n),
    fc.nat(20).map((n) => 1 + n * 512),
    fc.integer({ min: 0x7fff_ff00, max: 0x7fff_ffff }),
  );
  const step = fc.record({ kind: fc.constantFrom('add', 'add', 'delete', 'trim', 'clear'), id });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new StreamTable<{ readonly id: number }>();
      const expected = new Map<number, { readonly id: number }>();
      for (const { kind, id } of steps) {
        if (kind === 'add' && !expected.has(id)) {
          const stream = { id };
          table.add(stream);
          expected.set(id, stream);
        } else if (kind === 'delete') {
          table.delete(id);
          expected.delete(id);
        } else if (kind === 'trim') {
          table.trim();
        } else if (kind === 'clear' && expected.size > 30) {
          table.clear();
          expected.clear();
        }
        assert.equal(table.size, expected.size);
        assert.equal(table.get(id), expected.get(id));
      }
      for (const [id, stream] of expected) assert.equal(table.get(id), stream);
      assert.deepEqual(new Set(table.all()), new Set(expected.values()));
      assert.equal(table.all().length, expected.size);
    }),
  );
});

test('a list of them stays what it was while streams leave', () => {
  const table = new StreamTable<{ readonly id: number }>();
  for (let id = 1; id < 100; id += 2) table.add({ id });
  let seen = 0;
  for (const { id } of table.all()) {
    table.delete(id);
    seen++;
  }
  assert.equal(seen, 50);
  assert.equal(table.size, 0);
  assert.deepEqual(table.all(), []);
});
