/**
 * Turns, on a clock that the handler moves: what a connection's work costs is known exactly. What is held back is
 * neither lost nor overtaken; once what came behind it was read first, and the frames fell apart.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Outcome, refused } from '../../../src/base/outcome.ts';
import * as limits from '../../../src/grpc/native/limits.ts';
import { NativeServer } from '../../../src/grpc/native/native-server.ts';
import { Authenticator } from '../../../src/ingest/authenticator.ts';
import { Clients } from '../../../src/ingest/clients.ts';
import { Ledger } from '../../../src/observe/ledger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { PaperSocket } from '../../support/paper-socket.ts';
import {
  cutFrames,
  FLAG,
  FRAME,
  GREETING,
  plainBlock,
  rawFrame,
  SEND_BLOCK,
  SEND_FIELDS,
} from '../../support/raw-http2.ts';

let clock: ManualClock;
let ledger: Ledger;
let server: NativeServer;
/** Who sent what was handled, in order. */
let handled: string[];
let costMs: number;
/** Requests are not answered by their handler. */
let answersLater: boolean;
let later: ((outcome: Outcome) => void)[];
/** What an ordinary request of 1,000 bytes takes. */
let ordinaryMs: number;
/** What time passes is not our work. */
let othersTake: boolean;

beforeEach(async () => {
  clock = new ManualClock();
  ledger = new Ledger();
  handled = [];
  costMs = 0;
  othersTake = false;
  answersLater = false;
  later = [];
  ordinaryMs = 0;
  server = new NativeServer(
    {
      maxRequestBytes: 10_000,
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
        const text = Buffer.from(request).toString();
        handled.push(text);
        if (answersLater) {
          later.push(respond);
          return;
        }
        if (othersTake) clock.othersCpuMs += costMs;
        clock.advance(costMs);
        respond(text.startsWith('bad') ? refused('malformed', 'no') : { kind: 'ok' });
      },
      events: { onConnectionRefused() {}, onHandlerFault() {} },
      door: new Authenticator(new Clients(10), undefined),
      ordinaryWork: { requestBytes: 1000, run: () => clock.advance(ordinaryMs) },
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

/** By itself each is of another client. */
async function connect(address = `127.0.1.${server.stats().connectionsOpened}`): Promise<PaperSocket> {
  const socket = new PaperSocket(address);
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

/** A read of theirs, so that whoever is dear sees that others have work. */
let strangers = 0;
function work(socket: PaperSocket): void {
  const before = costMs;
  costMs = 0;
  socket.feed(calls('other', strangers++, 1));
  costMs = before;
}
const handledOf = (name: string) => handled.filter((text) => text.startsWith(name)).length;

/** Known as one whose bytes make no more work than requests do. */
async function connectOrdinary(address?: string): Promise<PaperSocket> {
  const socket = await connect(address);
  socket.feed(calls('known', 0, 400, 200));
  await turns(5);
  assert.equal(handledOf('known'), 400);
  strangers = 400;
  handled.length = 0;
  return socket;
}

/** Ordinary ones, all of one client. */
async function connectThree(): Promise<PaperSocket[]> {
  const sockets: PaperSocket[] = [];
  for (let i = 0; i < 3; i++) sockets.push(await connectOrdinary('127.0.2.1'));
  return sockets;
}

test('a stranger is worked off in slices, from the first read on; what is held back comes in order, before what was sent behind it', async () => {
  costMs = 0.2;
  const socket = await connect();
  socket.feed(calls('a', 0, 150));
  const first = handled.length;
  assert.ok(first > 0 && first < 50, `${first} in its first turn`);
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

test('who is dear rests for several times as long as he worked while others have work, and not at all when they have none', async () => {
  const other = await connectOrdinary();
  const dear = await connect();
  costMs = 0.5;
  dear.feed(calls('dear', 0, 400));
  // One turn to become known, one to work.
  await turns(2);
  work(other);
  await turns(1);
  const before = handledOf('dear');
  for (let i = 0; i < 50; i++) {
    work(other);
    await turns(1);
  }
  assert.equal(handledOf('dear'), before, 'it rests');
  assert.equal(handledOf('other'), 51);
  // A slice of a KiB is seven calls and a half.
  clock.advance(limits.DEAR_REST_FACTOR * 8 * 0.5);
  assert.ok(handledOf('dear') > before, 'it goes on');
  assert.ok(handledOf('dear') <= before + 8, 'with one slice');
  clock.advance(100);
  await turns(200);
  assert.equal(handledOf('dear'), 400, 'nobody else has work');
  assert.ok(isOpen(dear) && isOpen(other));
});

test('those who are dear go on one after the other', async () => {
  costMs = 0.5;
  const sockets = [await connect(), await connect(), await connect()];
  for (const [i, socket] of sockets.entries()) socket.feed(calls(`dear${i}-`, 0, 100));
  await turns(9);
  const counts = sockets.map((_, i) => handledOf(`dear${i}-`));
  assert.ok(Math.min(...counts) > 8 && Math.max(...counts) < 50, `${counts}`);
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 16, `${counts}`);
  await turns(200);
  assert.equal(handled.length, 300);
});

test('connections of one client share its turns while another has work', async () => {
  const other = await connectOrdinary();
  const sockets = await connectThree();
  costMs = limits.TURN_SHARE_MS;
  // For so many bytes that is not dear.
  ordinaryMs = 1;
  let sent = 400;
  const sendAll = (): void => {
    for (const [i, socket] of sockets.entries()) socket.feed(calls(`known${i}-`, sent, 2, 9000));
    sent += 2;
  };
  clock.advance(1000);
  for (let i = 0; i < 40; i++) {
    sendAll();
    await turns(1);
    if (i < 20) continue;
    assert.ok(
      sockets.every((socket) => !socket.isPaused()),
      'alone it has all of the thread',
    );
  }
  sendAll();
  assert.ok(sockets.every((socket) => socket.isPaused()));
  work(other);
  const reading = [];
  for (let turn = 0; turn < 3; turn++) {
    await turns(1);
    reading.push(sockets.filter((socket) => !socket.isPaused()).length);
    work(other);
  }
  assert.deepEqual(reading, [1, 2, 3], 'one more goes on each turn');
});

test('a connection that is gone does not keep its place in the line of its client', async () => {
  const other = await connectOrdinary();
  const sockets = await connectThree();
  costMs = limits.TURN_SHARE_MS;
  ordinaryMs = 1;
  work(other);
  for (let i = 0; i < 10; i++) {
    for (const [at, socket] of sockets.entries()) socket.feed(calls(`known${at}-`, 400 + i, 1, 9000));
    for (let turn = 0; turn < 10; turn++) {
      work(other);
      await turns(1);
    }
  }
  for (const [at, socket] of sockets.entries()) socket.feed(calls(`known${at}-`, 410, 2, 9000));
  assert.ok(sockets.every((socket) => socket.isPaused()));
  const [first, second, last] = sockets as [PaperSocket, PaperSocket, PaperSocket];
  first.destroy();
  second.destroy();
  work(other);
  // Six shares were had, and each turn pays for one.
  await turns(5);
  assert.equal(last.isPaused(), true);
  await turns(1);
  assert.equal(last.isPaused(), false, 'the first that is still there goes on');
});

test('answers are work of the client that they go to', async () => {
  const other = await connectOrdinary();
  const sockets = [await connectOrdinary('127.0.2.1'), await connectOrdinary('127.0.2.1')] as const;
  work(other);
  answersLater = true;
  for (const socket of sockets) socket.feed(calls('known', 400, 1));
  assert.equal(later.length, 2);
  for (const socket of sockets) socket.onWritten = () => clock.advance(limits.TURN_SHARE_MS);
  for (const respond of later) respond({ kind: 'ok' });
  await Promise.resolve();
  await Promise.resolve();
  answersLater = false;
  sockets[0].feed(calls('known', 401, 1));
  work(other);
  assert.deepEqual([sockets[0].isPaused(), sockets[1].isPaused(), other.isPaused()], [true, false, false]);
  for (const socket of sockets) socket.onWritten = undefined;
  await turns(5);
  assert.equal(sockets[0].isPaused(), false);
});

test('connections that bring little each wait as well once their client has had its share', async () => {
  const other = await connectOrdinary();
  const sockets = await connectThree();
  costMs = 0.4 * limits.TURN_SHARE_MS;
  work(other);
  for (const [i, socket] of sockets.entries()) socket.feed(calls(`known${i}-`, 400, 1));
  work(other);
  assert.deepEqual(
    [...sockets, other].map((socket) => socket.isPaused()),
    [false, false, true, false],
  );
  await turns(1);
  assert.ok(!sockets.some((socket) => socket.isPaused()));
});

test('what is held back for however long is not held against who sent it', async () => {
  const other = await connectOrdinary();
  const dear = await connect();
  costMs = 0.5;
  const all = calls('dear', 0, 400);
  // The last call is cut within its message.
  const cut = all.length - 3;
  dear.feed(all.subarray(0, cut));
  await turns(2);
  work(other);
  const before = handledOf('dear');
  assert.ok(before < 399 && dear.isPaused(), 'it waits for its turn');
  for (let i = 0; i < 3; i++) {
    // No turn passes meanwhile, so that it stays held back.
    clock.advance(limits.REQUEST_STALL_TIMEOUT_MS);
    work(other);
  }
  costMs = 0;
  dear.feed(all.subarray(cut));
  for (let i = 0; i < 10; i++) {
    await turns(100);
    clock.advance(1000);
  }
  assert.equal(handledOf('dear'), 400);
  assert.equal(ledger.snapshot().requests.failed.deadline, 0);
  assert.ok(isOpen(dear));
});

test('what others took of the core makes nobody dear', async () => {
  const other = await connectOrdinary();
  const socket = await connectOrdinary();
  costMs = (10 * limits.DEAR_LEAST_MS) / 400;
  othersTake = true;
  for (let i = 1; i <= 10; i++) {
    socket.feed(calls('known', 400 * i, 400, 200));
    work(other);
    await turns(300);
    assert.equal(handledOf('known'), 400 * i, 'it did not have to rest');
  }
});

test('what is dear on a fast machine is ordinary on one where everything takes long', async () => {
  const other = await connectOrdinary();
  const socket = await connectOrdinary();
  costMs = (1.4 * limits.DEAR_LEAST_MS * calls('known', 4000, 1, 200).length) / 65_536;
  let sent = 400;
  const send = async (): Promise<void> => {
    clock.advance(1000);
    socket.feed(calls('known', sent, 400, 200));
    sent += 400;
    for (let i = 0; i < 300; i++) {
      work(other);
      await turns(1);
    }
  };
  ordinaryMs = 0.015 * limits.DEAR_LEAST_MS;
  for (let i = 0; i < 10; i++) {
    await send();
    assert.equal(handledOf('known'), sent - 400, 'it did not have to rest');
  }
  ordinaryMs = 0;
  for (let i = 0; i < 10; i++) await send();
  // No time passes by itself here: who has to rest does so until the clock is moved.
  assert.ok(handledOf('known') < sent - 400, 'on a fast one it has to');
});

test('what was packed well counts as what it unpacks to', async () => {
  const other = await connectOrdinary();
  const socket = await connect();
  const packed = gzipSync('x'.repeat(900));
  const message = Buffer.concat([Buffer.from([1, 0, 0, 0, packed.length]), packed]);
  const block = plainBlock([...SEND_FIELDS, ['grpc-encoding', 'gzip']]);
  const send = async (count: number): Promise<void> => {
    for (; count > 0; count--) {
      const stream = 2 * sent++ + 1;
      const headers = rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, stream, block);
      socket.feed(Buffer.concat([headers, rawFrame(FRAME.DATA, FLAG.END_STREAM, stream, message)]));
      work(other);
      await turns(1);
    }
  };
  let sent = 0;
  // Little for what it unpacks to, much for what came.
  costMs = 0.02;
  await send(400);
  costMs = 0.6;
  await send(2);
  assert.equal(handledOf('x'), 402, 'it did not have to rest');
});

for (const [how, isBad, bytes] of [
  ['more than a few in little, among others that do', (i: number) => i % 3 === 0, 100],
  ['few, but no others', () => true, 8000],
] as const) {
  test(`calls that could never succeed make a connection dear, whatever they cost: ${how}`, async () => {
    const other = await connectOrdinary();
    const socket = await connect();
    let sent = 0;
    for (; sent < 1000; sent++) {
      socket.feed(calls(isBad(sent) ? 'bad' : 'good', sent, 1, bytes));
      await turns(1);
    }
    costMs = 0.6;
    for (const end = sent + 2; sent < end; sent++) {
      socket.feed(calls('last', sent, 1));
      work(other);
      await turns(1);
    }
    await turns(20);
    assert.equal(handledOf('last'), 1, 'it rests');
    clock.advance(1000);
    await turns(20);
    assert.equal(handledOf('last'), 2);
  });
}

test('a few calls that could never succeed, among many that do, make nobody dear', async () => {
  const other = await connectOrdinary();
  const socket = await connect();
  for (let i = 0; i < 400; i++) {
    costMs = 0.01;
    socket.feed(calls(i % 20 === 0 ? 'bad' : 'good', i, 1, 800));
    work(other);
    await turns(1);
    assert.equal(handledOf('bad') + handledOf('good'), i + 1, 'it did not have to rest');
  }
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
