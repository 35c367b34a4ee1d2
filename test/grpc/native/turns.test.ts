/**
 * Turns, on a clock that the handler moves: what a connection's work costs is known exactly. What is held back is
 * neither lost nor overtaken; once what came behind it was read first, and the frames fell apart.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { NEVER_RETRY, type Outcome, refused } from '../../../src/base/outcome.ts';
import * as limits from '../../../src/grpc/native/limits.ts';
import { NativeServer } from '../../../src/grpc/native/native-server.ts';
import { READ_BUFFER_BYTES } from '../../../src/grpc/native/shared-reads.ts';
import { Ledger } from '../../../src/observe/ledger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { PaperSocket } from '../../support/paper-socket.ts';
import { cutFrames, FLAG, FRAME, GREETING, rawFrame, SEND_BLOCK } from '../../support/raw-http2.ts';

let clock: ManualClock;
let ledger: Ledger;
let server: NativeServer;
/** Who sent what was handled, in order. */
let handled: string[];
let costMs: number;
let outcome: Outcome;

beforeEach(async () => {
  clock = new ManualClock();
  ledger = new Ledger();
  handled = [];
  costMs = 0;
  outcome = { kind: 'ok' };
  server = new NativeServer(
    {
      maxRequestBytes: 1000,
      maxConnections: 4,
      maxStreamsPerConnection: 1000,
      receiveBufferBytes: 1 << 22,
      maxConnectionAgeMs: 0,
      maxConnectionAgeGraceMs: 1000,
    },
    {
      ledger,
      clock,
      sendSensorValues: (request, _call, respond) => {
        handled.push(Buffer.from(request).toString());
        clock.advance(costMs);
        respond(outcome);
      },
      events: { onConnectionRefused() {}, onHandlerFault() {} },
    },
  );
  await server.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  server.destroy();
  await new Promise(setImmediate);
  assert.equal(ledger.snapshot().requests.difference, 0);
  assert.equal(server.stats().receiveBufferUsedBytes, 0);
});

async function connect(): Promise<PaperSocket> {
  const socket = new PaperSocket();
  server.onConnection(socket.asSocket());
  await new Promise(setImmediate);
  socket.feed(Buffer.concat([GREETING, rawFrame(FRAME.SETTINGS, FLAG.ACK, 0)]));
  await new Promise(setImmediate);
  return socket;
}

/** Calls with the texts `<name><n>`, of `bytes` each at least. */
function calls(name: string, from: number, count: number, bytes = 0): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) => {
      const text = Buffer.from(`${name}${from + i}`.padEnd(bytes));
      const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), text]);
      message.writeUInt32BE(text.length, 1);
      const stream = 2 * (from + i) + 1;
      return Buffer.concat([
        rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, stream, SEND_BLOCK),
        rawFrame(FRAME.DATA, FLAG.END_STREAM, stream, message),
      ]);
    }),
  );
}
const names = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);
const isOpen = (socket: PaperSocket) =>
  !socket.destroyed && !cutFrames(socket.output).frames.some(({ type }) => type === FRAME.GOAWAY);

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

test('dear work is cut into slices; what is held back comes in order, before what was sent behind it', async () => {
  costMs = 0.2;
  const socket = await connect();
  socket.feed(calls('a', 0, 50));
  assert.equal(handled.length, 50, 'nobody knew that it would be dear');
  await turns(50);
  socket.feed(calls('a', 50, 100));
  const first = handled.length;
  assert.ok(first > 50 && first < 100, `${first} in its first turn`);
  assert.equal(socket.isPaused(), true);
  // A paused socket may still have had something for us; cut in the middle of a frame.
  const behind = calls('a', 150, 50);
  socket.feed(behind.subarray(0, 777));
  socket.feed(behind.subarray(777));
  assert.equal(handled.length, first, 'it waits behind what is held back');
  await turns(1000);
  assert.deepEqual(handled, names('a', 200));
  assert.equal(socket.isPaused(), false);
  assert.ok(isOpen(socket));
});

test('others have their turns while one that is dear sits out as many as it took', async () => {
  costMs = 0.5;
  const [dear, other] = [await connect(), await connect()];
  dear.feed(calls('dear', 0, 100));
  // 50 ms are a hundred turns of half a millisecond: none is taken before the others had theirs.
  costMs = 0;
  dear.feed(calls('dear', 100, 1));
  await turns(10);
  other.feed(calls('other', 0, 20));
  assert.equal(handled.at(-1), 'other19');
  assert.equal(dear.isPaused(), true);
  await turns(100);
  assert.equal(dear.isPaused(), false);
  assert.ok(isOpen(dear) && isOpen(other));
});

test('honest work is no debt, however long it took: the next turn is its own again', async () => {
  const socket = await connect();
  const chunk = calls('honest', 0, 400, 150);
  assert.ok(chunk.length > READ_BUFFER_BYTES);
  socket.feed(chunk);
  // Another thread had the core meanwhile.
  costMs = (1.5 * limits.TURN_SHARE_MS) / 400;
  socket.feed(calls('honest', 400, 400, 150));
  assert.equal(socket.isPaused(), true);
  await turns(3);
  assert.equal(socket.isPaused(), false);
});

test('calls that could never succeed make a connection dear, whatever they cost', async () => {
  outcome = refused('malformed', 'no', NEVER_RETRY);
  const socket = await connect();
  socket.feed(calls('bad', 0, 500, 200));
  await turns(5);
  costMs = 0.1;
  socket.feed(calls('bad', 500, 100, 200));
  assert.ok(handled.length < 600, `${handled.length}`);
  await turns(1000);
  assert.deepEqual(
    handled.map((text) => text.trimEnd()),
    names('bad', 600),
  );
});

test('a connection that ends takes with it what is held back', async () => {
  costMs = 0.2;
  const socket = await connect();
  socket.feed(calls('a', 0, 50));
  await turns(50);
  socket.feed(calls('a', 50, 100));
  const before = handled.length;
  socket.destroy();
  await turns(200);
  assert.equal(handled.length, before);
});
