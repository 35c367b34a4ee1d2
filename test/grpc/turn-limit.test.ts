/** Turns of the event loop over real sockets: what is not read in one is read in the next. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { TurnLimit } from '../../src/grpc/turn-limit.ts';

const SOCKETS = 12;
/** By the clock that the limit is given; three reads are more than 100 ms. */
const READ_MS = 60;

test('a long turn ends, every socket has its read in a later one, and who is paused stays so', async (t) => {
  const accepted: Socket[] = [];
  const limit = new TurnLimit(accepted);
  const server = createServer((socket) => accepted.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: SOCKETS }, () => connect(port, '127.0.0.1'));
  t.after(() => {
    for (const socket of [...clients, ...accepted]) socket.destroy();
    server.close();
  });
  await Promise.all(clients.map((client) => once(client, 'connect')));
  while (accepted.length < SOCKETS) await new Promise(setImmediate);

  let nowMs = 0;
  let turn = 0;
  const turnOf = new Map<Socket, number>();
  const nextTurn = (): void => {
    turn++;
    if (turnOf.size < SOCKETS - 1) setImmediate(nextTurn);
  };
  const allRead = new Promise<void>((resolve) => {
    for (const socket of accepted) {
      socket.on('data', () => {
        limit.onWork((nowMs += READ_MS));
        turnOf.set(socket, turn);
        if (turnOf.size === SOCKETS - 1) resolve();
      });
    }
  });
  accepted[0]!.pause();
  // All of it is in the sockets before any is read.
  for (const client of clients) client.write('work');
  setImmediate(nextTurn);
  await allRead;
  const reads = new Map<number, number>();
  for (const read of turnOf.values()) reads.set(read, (reads.get(read) ?? 0) + 1);
  assert.ok(reads.size >= 3, `all in ${reads.size} turns`);
  assert.ok(Math.max(...reads.values()) <= 3, `${Math.max(...reads.values())} in one turn`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(turnOf.has(accepted[0]!), false);
  accepted[0]!.resume();
  await once(accepted[0]!, 'data');
});
