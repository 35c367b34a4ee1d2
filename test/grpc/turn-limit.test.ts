/** Turns of the event loop over real sockets: what is not read in one is read in the next. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { TurnLimit } from '../../src/grpc/turn-limit.ts';

const SOCKETS = 12;
/** By the clock that the limit is given; three reads are more than 100 ms. */
const READ_MS = 60;

test('a long turn ends, every socket has its read in a later one, and who is paused stays so', async (t) => {
  const { limit, accepted, clients } = await connected(t, SOCKETS);
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

test('clients who could fill every turn do not keep the others from being read', {
  timeout: 60_000,
}, async (t) => {
  const greedy = 3;
  const { limit, accepted, clients } = await connected(t, greedy + 1);
  let nowMs = 0;
  let turns = 0;
  let isOver = false;
  const nextTurn = (): void => {
    turns++;
    if (!isOver) setImmediate(nextTurn);
  };
  const turnsWaited: number[] = [];
  for (const socket of accepted.slice(0, greedy)) socket.on('data', () => limit.onWork((nowMs += READ_MS)));
  const rounds = new Promise<void>((resolve) => {
    accepted[greedy]!.on('data', () => {
      limit.onWork(nowMs);
      turnsWaited.push(turns);
      turns = 0;
      if (turnsWaited.length === 10) resolve();
      else clients[greedy]!.write('again');
    });
  });
  for (const client of clients.slice(0, greedy)) sendWithoutEnd(client);
  clients[greedy]!.write('once');
  setImmediate(nextTurn);
  await rounds;
  isOver = true;
  // One turn for each of them, one to begin the round, and two for the way of the answer through this loop.
  assert.ok(Math.max(...turnsWaited) <= greedy + 4, `turns without a read: ${turnsWaited}`);
});

test('where all could fill every turn, each has its own', { timeout: 60_000 }, async (t) => {
  const { limit, accepted, clients } = await connected(t, 4);
  let nowMs = 0;
  const reads = new Map<Socket, number>(accepted.map((socket) => [socket, 0]));
  for (const socket of accepted) {
    socket.on('data', () => {
      limit.onWork((nowMs += READ_MS));
      reads.set(socket, reads.get(socket)! + 1);
    });
  }
  for (const client of clients) sendWithoutEnd(client);
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
  const [least, most] = [Math.min(...reads.values()), Math.max(...reads.values())];
  assert.ok(least > 0 && most <= 3 * least, `reads: ${[...reads.values()]}`);
});

test('who pauses in a long turn and goes on behind it is read again', { timeout: 60_000 }, async (t) => {
  const { limit, accepted, clients } = await connected(t, 1);
  const [socket] = accepted;
  clients[0]!.write('work');
  await once(socket!, 'data');
  limit.onWork(0);
  limit.onWork(1000);
  socket!.pause();
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  socket!.resume();
  clients[0]!.write('more');
  const [data] = (await once(socket!, 'data')) as [Buffer];
  assert.equal(data.toString(), 'more');
});

/** There is always more than a turn can read. */
function sendWithoutEnd(client: Socket): void {
  while (client.write(Buffer.alloc(1 << 20)));
  client.once('drain', () => sendWithoutEnd(client));
}

/** As many connections as asked for, from both ends, in the same order. */
async function connected(t: TestContext, count: number) {
  const accepted: Socket[] = [];
  const limit = new TurnLimit(accepted);
  const server = createServer((socket) => accepted.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients: Socket[] = [];
  t.after(() => {
    for (const socket of [...clients, ...accepted]) socket.destroy();
    server.close();
  });
  while (clients.length < count) {
    const client = connect(port, '127.0.0.1');
    clients.push(client);
    await once(client, 'connect');
    while (accepted.length < clients.length) await new Promise(setImmediate);
  }
  return { limit, accepted, clients };
}
