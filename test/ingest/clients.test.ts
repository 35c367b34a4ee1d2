/** Clients that are forgotten and come back: what their open calls hold of memory is not forgotten with them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clients } from '../../src/ingest/clients.ts';

test('who is forgotten while its calls are open is charged for them when it comes back', () => {
  const clients = new Clients(10);
  const before = clients.of('token', 'boiler');
  before.holder.heldBytes = 100;
  clients.forget('token');
  const after = clients.of('token', 'boiler');
  assert.notEqual(after, before);
  assert.equal(after.holder, before.holder);
  assert.notEqual(clients.of('token', 'other').holder, before.holder);
  // And again, by the one that made room for another.
  const crowded = new Clients(1);
  crowded.of('address', 'a').holder.heldBytes = 7;
  crowded.of('address', 'b');
  assert.equal(crowded.of('address', 'a').holder.heldBytes, 7);
});

test('who came to hold nothing meanwhile begins anew, however many are forgotten', () => {
  const clients = new Clients(1);
  const holders = Array.from({ length: 500 }, (_, i) => {
    const { holder } = clients.of('address', `${i}`);
    holder.heldBytes = 1;
    return holder;
  });
  clients.of('address', 'last');
  for (const holder of holders) holder.heldBytes = 0;
  for (let i = 500; i < 1100; i++) clients.of('address', `${i}`).holder.heldBytes = 1;
  assert.notEqual(clients.of('address', '0').holder, holders[0]);
  // Those that still hold something are all known.
  for (let i = 500; i < 1100; i++) assert.equal(clients.of('address', `${i}`).holder.heldBytes, 1);
});
