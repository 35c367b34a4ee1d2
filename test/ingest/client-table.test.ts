/** The shared table: one row for a client whatever thread it comes to, rows for new clients, and a table that is full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../../src/base/client.ts';
import { ClientTable, newClientTableCells } from '../../src/ingest/client-table.ts';
import { bucketEmptyAtMs, moveBucket } from '../../src/ingest/token-bucket.ts';

const client = (i: number): Client => new Client('address', `10.0.${i >> 8}.${i & 255}`);

test('all threads find the same row, and different clients different ones', () => {
  const cells = newClientTableCells(1000);
  const threads = [new ClientTable(cells), new ClientTable(cells), new ClientTable(cells)];
  const rows = new Set<number>();
  for (let i = 0; i < 1000; i++) {
    const found = threads.map((table) => table.rowOf(client(i), 1));
    assert.equal(new Set(found).size, 1);
    assert.notEqual(found[0], threads[0]!.commonRow);
    rows.add(found[0]!);
  }
  assert.equal(rows.size, 1000);
  assert.equal(threads[0]!.used, 1000);
});

test('where a row falls cannot be told from the name', () => {
  const rows = new Set(
    Array.from({ length: 20 }, () => new ClientTable(newClientTableCells(4096)).rowOf(client(7), 1)),
  );
  assert.ok(rows.size > 10, `${rows.size}`);
});

test('a full table: newcomers share one row, and nobody loses his', () => {
  const table = new ClientTable(newClientTableCells(16));
  const early = Array.from({ length: 500 }, (_, i) => client(i));
  const rows = early.map((each) => table.rowOf(each, 1));
  const own = early.filter((_, i) => rows[i] !== table.commonRow);
  assert.ok(own.length >= 16 && own.length <= 32, `${own.length}`);
  for (let i = 500; i < 5000; i++) table.rowOf(client(i), 2);
  early.forEach((each, i) => {
    if (rows[i] !== table.commonRow) assert.equal(table.rowOf(each, 3), rows[i]);
  });
});

test('a client that was idle for a minute makes room with its budgets as new, unless it is in debt', () => {
  const table = new ClientTable(newClientTableCells(1));
  // 2 rows of their own.
  const settled: Client[] = [];
  for (let i = 0; settled.length < 2; i++) {
    if (table.rowOf(client(i), 0) !== table.commonRow) settled.push(client(i));
  }
  const [debtor, saver] = settled as [Client, Client];
  moveBucket(table.cells.quota, table.rowOf(debtor, 0), 1_000_000, 1000, 0);
  moveBucket(table.cells.quota, table.rowOf(saver, 0), 500, 1000, 0);
  const [first, second] = [client(9000), client(9001)];
  assert.equal(table.rowOf(first, 59_000), table.commonRow);
  const row = table.rowOf(first, 61_000);
  assert.notEqual(row, table.commonRow);
  assert.equal(bucketEmptyAtMs(table.cells.quota, row), Number.NEGATIVE_INFINITY);
  assert.equal(table.rowOf(second, 61_000), table.commonRow);
  assert.ok(bucketEmptyAtMs(table.cells.quota, table.rowOf(debtor, 61_000)) > 61_000);
  // Whoever lost his row notices and asks for another.
  assert.equal(table.rowOf(saver, 61_001), table.commonRow);
});

test('a thread that died with the lock keeps nobody out', () => {
  const cells = newClientTableCells(16);
  cells.lock[0] = 1;
  const table = new ClientTable(cells);
  assert.notEqual(table.rowOf(client(1), 1), table.commonRow);
  assert.equal(cells.lock[0], 0);
});
