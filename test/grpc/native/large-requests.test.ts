/** Requests of many frames on several connections at once, some of them given up midway: nobody gets a byte of another's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { OK } from '../../../src/base/outcome.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { TestClient } from '../../support/grpc-client.ts';
import { TestServer } from '../../support/grpc-server.ts';

const CLIENTS = 4;
const ROUNDS = 60;
const MOST_BYTES = 300_000;

/** Every byte says whose it is. */
const requestOf = (id: number, bytes: number): Buffer => Buffer.alloc(bytes, 1 + (id % 251));

test('large requests in pieces, some cancelled: each arrives as it was sent, and all memory is given back', async (t) => {
  const random = seededRandom(20261121);
  const server = await TestServer.start('native', {
    maxRequestBytes: MOST_BYTES,
    receiveBufferBytes: 64 * 1024 * 1024,
  });
  t.after(() => server.destroy());
  const wrong: string[] = [];
  const late: (() => void)[] = [];
  server.handler = (request, _call, respond) => {
    const [first] = request;
    if (!request.every((byte) => byte === first)) wrong.push(`${request.length} bytes of ${first}`);
    // Some answers come when the memory is somebody else's.
    if (random.next() < 0.5) respond(OK);
    else late.push(() => respond(OK));
  };
  const clients = Array.from({ length: CLIENTS }, () => new TestClient(server.target));
  t.after(() => {
    for (const client of clients) client.close();
  });
  let id = 0;
  let cancelled = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const calls = clients.flatMap((client) =>
      Array.from({ length: 3 }, () => {
        const bytes = 2000 + Math.floor(random.next() ** 3 * (MOST_BYTES - 2000));
        return client.start(requestOf(id++, bytes));
      }),
    );
    if (round % 3 === 0) {
      await sleep(random.next() * 3);
      for (const call of calls) if (random.next() < 0.5) call.cancel();
    }
    const results = Promise.all(calls.map(({ result }) => result));
    const answering = setInterval(() => {
      for (const answer of late.splice(0)) answer();
    }, 1);
    for (const { code } of await results) {
      if (code === status.CANCELLED) cancelled++;
      else assert.equal(code, status.OK);
    }
    clearInterval(answering);
  }
  assert.deepEqual(wrong, []);
  assert.ok(cancelled > 0, 'no call was cancelled in time');
  while (server.server.stats().receiveBufferUsedBytes > 0) await sleep(5);
  const { received = 0, ok = 0, inFlight = 0 } = server.books();
  assert.equal(inFlight, 0);
  assert.ok(received >= ok && ok >= CLIENTS * 3 * ROUNDS - cancelled, `${received} ${ok} ${cancelled}`);
});
