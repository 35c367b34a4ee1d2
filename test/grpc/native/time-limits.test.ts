/** What a connection may take its time with, on a clock that the test moves: nobody holds a place by saying nothing. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import * as limits from '../../../src/grpc/native/limits.ts';
import { NativeServer } from '../../../src/grpc/native/native-server.ts';
import type { CallContext } from '../../../src/grpc/server.ts';
import { Ledger } from '../../../src/observe/ledger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { PaperSocket } from '../../support/paper-socket.ts';
import {
  cutFrames,
  ERROR_CODE,
  FLAG,
  FRAME,
  GREETING,
  rawFrame,
  SEND_BLOCK,
} from '../../support/raw-http2.ts';

let clock: ManualClock;
let ledger: Ledger;
let server: NativeServer;
let socket: PaperSocket;
let handled: CallContext[];

beforeEach(async () => {
  clock = new ManualClock();
  ledger = new Ledger();
  handled = [];
  server = new NativeServer(
    {
      maxRequestBytes: 1000,
      maxConnections: 4,
      maxStreamsPerConnection: 5,
      receiveBufferBytes: 1 << 20,
      maxConnectionAgeMs: 0,
      maxConnectionAgeGraceMs: 1000,
    },
    {
      ledger,
      clock,
      sendSensorValues: (_request, call) => handled.push(call),
      events: { onConnectionRefused() {}, onHandlerFault() {} },
    },
  );
  await server.listen({ host: '127.0.0.1', port: 0 });
  socket = new PaperSocket();
  server.onConnection(socket.asSocket());
  // Our SETTINGS leave at the end of the turn.
  await new Promise(setImmediate);
});
afterEach(async () => {
  server.destroy();
  await new Promise(setImmediate);
  assert.equal(ledger.snapshot().requests.difference, 0);
  assert.equal(server.stats().receiveBufferUsedBytes, 0);
});

const ACK = rawFrame(FRAME.SETTINGS, FLAG.ACK, 0);
const headers = (flags: number = FLAG.END_HEADERS) => rawFrame(FRAME.HEADERS, flags, 1, SEND_BLOCK);

/** The kernel takes what is written at the end of the turn. */
async function feed(bytes: Buffer): Promise<void> {
  socket.feed(bytes);
  await new Promise(setImmediate);
}

/** What is gathered leaves at the end of the turn. */
async function frames() {
  await new Promise(setImmediate);
  return cutFrames(socket.output).frames;
}
async function goawayCode(): Promise<number | undefined> {
  return (await frames()).find(({ type }) => type === FRAME.GOAWAY)?.payload.readUInt32BE(4);
}
async function pings(): Promise<number> {
  return (await frames()).filter(({ type }) => type === FRAME.PING).length;
}

test('nothing, or half a preface: closed', async () => {
  await feed(GREETING.subarray(0, 20));
  clock.advance(limits.PREFACE_TIMEOUT_MS - limits.SWEEP_INTERVAL_MS);
  assert.equal(socket.destroyed, false);
  clock.advance(3 * limits.SWEEP_INTERVAL_MS);
  assert.equal(socket.destroyed, true);
});

test('our SETTINGS are not acknowledged: SETTINGS_TIMEOUT', async () => {
  await feed(GREETING);
  clock.advance(limits.SETTINGS_TIMEOUT_MS - limits.SWEEP_INTERVAL_MS);
  assert.equal(await goawayCode(), undefined);
  clock.advance(3 * limits.SWEEP_INTERVAL_MS);
  assert.equal(await goawayCode(), ERROR_CODE.SETTINGS_TIMEOUT);
  clock.advance(limits.GOODBYE_MS);
  assert.equal(socket.destroyed, true);
});

test('a header block that does not end: ENHANCE_YOUR_CALM, and the call never was', async () => {
  await feed(Buffer.concat([GREETING, ACK, headers(0)]));
  clock.advance(limits.HEADER_BLOCK_TIMEOUT_MS - limits.SWEEP_INTERVAL_MS);
  assert.equal(await goawayCode(), undefined);
  clock.advance(3 * limits.SWEEP_INTERVAL_MS);
  assert.equal(await goawayCode(), ERROR_CODE.ENHANCE_YOUR_CALM);
  assert.equal(ledger.snapshot().requests.received, 0);
});

test('an idle connection is asked whether it lives: an answer keeps it, silence ends it', async () => {
  await feed(Buffer.concat([GREETING, ACK]));
  clock.advance(limits.KEEPALIVE_TIME_MS + 2 * limits.SWEEP_INTERVAL_MS);
  assert.equal(await pings(), 1);
  await feed(rawFrame(FRAME.PING, FLAG.ACK, 0, Buffer.from('keepaliv')));
  clock.advance(limits.KEEPALIVE_TIME_MS + 2 * limits.SWEEP_INTERVAL_MS);
  assert.equal(await pings(), 2);
  assert.equal(socket.destroyed, false);
  clock.advance(limits.KEEPALIVE_TIMEOUT_MS + 2 * limits.SWEEP_INTERVAL_MS);
  assert.equal(socket.destroyed, true);
});

test('a request that stalls is given up and gives back what it held; one that trickles is not', async () => {
  await feed(Buffer.concat([GREETING, ACK, headers()]));
  for (let i = 0; i < 3; i++) {
    clock.advance(limits.REQUEST_STALL_TIMEOUT_MS / 2);
    await feed(
      Buffer.concat([
        rawFrame(FRAME.DATA, 0, 1, [0]),
        rawFrame(FRAME.PING, FLAG.ACK, 0, Buffer.from('keepaliv')),
      ]),
    );
  }
  assert.equal(ledger.requestsInFlight, 1);
  for (let i = 0; i < 5; i++) {
    clock.advance(limits.REQUEST_STALL_TIMEOUT_MS / 4);
    // The connection lives; only the request does not go on.
    await feed(rawFrame(FRAME.PING, 0, 0, new Uint8Array(8)));
  }
  const { failed, inFlight } = ledger.snapshot().requests;
  assert.deepEqual([failed.deadline, inFlight], [1, 0]);
  assert.equal(server.stats().receiveBufferUsedBytes, 0);
  assert.equal(socket.destroyed, false);
});

test('a thread that stood still judges nobody before it has read what came meanwhile', async () => {
  await feed(Buffer.concat([GREETING, ACK, headers()]));
  clock.advance(limits.REQUEST_STALL_TIMEOUT_MS / 2);
  clock.standStill(2 * limits.REQUEST_STALL_TIMEOUT_MS);
  clock.advance(limits.SWEEP_INTERVAL_MS);
  assert.equal(ledger.requestsInFlight, 1);
  await feed(rawFrame(FRAME.DATA, FLAG.END_STREAM, 1, [0, 0, 0, 0, 0]));
  clock.advance(2 * limits.SWEEP_INTERVAL_MS);
  assert.equal(handled.length, 1);
  assert.equal(socket.destroyed, false);
});

test('a call that is whole may take its time, up to its deadline', async () => {
  await feed(
    Buffer.concat([GREETING, ACK, headers(), rawFrame(FRAME.DATA, FLAG.END_STREAM, 1, [0, 0, 0, 0, 0])]),
  );
  for (let i = 0; i < 10; i++) {
    clock.advance(limits.REQUEST_STALL_TIMEOUT_MS / 2);
    await feed(rawFrame(FRAME.PING, 0, 0, new Uint8Array(8)));
  }
  assert.equal(handled.length, 1);
  assert.equal(handled[0]!.cancelled, false);
  assert.equal(ledger.requestsInFlight, 1);
});

test('a stop: GOAWAY without a last id, PING, PING, GOAWAY with it, and the end with the last call', async () => {
  await feed(Buffer.concat([GREETING, ACK, headers()]));
  const stopped = server.stop(5000);
  const first = await frames();
  assert.equal(first.at(-2)!.payload.readUInt32BE(0), 0x7fff_ffff);
  const { type, payload } = first.at(-1)!;
  assert.equal(type, FRAME.PING);
  await feed(rawFrame(FRAME.PING, FLAG.ACK, 0, payload));
  assert.equal((await frames()).filter(({ type }) => type === FRAME.GOAWAY).length, 1);
  await feed(rawFrame(FRAME.PING, FLAG.ACK, 0, payload));
  const last = (await frames()).filter(({ type }) => type === FRAME.GOAWAY);
  assert.deepEqual([last.length, last.at(-1)!.payload.readUInt32BE(0)], [2, 1]);
  await feed(rawFrame(FRAME.RST_STREAM, 0, 1, [0, 0, 0, ERROR_CODE.CANCEL]));
  clock.advance(limits.GOODBYE_MS);
  assert.deepEqual(await stopped, { finished: true, left: 0 });
});

test('a stop of a client that does not answer PINGs: the grace decides', async () => {
  await feed(Buffer.concat([GREETING, ACK, headers()]));
  const stopped = server.stop(5000);
  clock.advance(limits.GOAWAY_GRACE_MS + 2 * limits.SWEEP_INTERVAL_MS);
  const last = (await frames()).filter(({ type }) => type === FRAME.GOAWAY).at(-1)!;
  assert.equal(last.payload.readUInt32BE(0), 1);
  // The call that was open may still finish; a later one is not looked at.
  await feed(rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, 3, SEND_BLOCK));
  await feed(rawFrame(FRAME.DATA, FLAG.END_STREAM, 3, [0, 0, 0, 0, 0]));
  assert.equal(ledger.snapshot().requests.received, 1);
  clock.advance(5000);
  await new Promise(setImmediate);
  clock.advance(limits.GOODBYE_MS);
  assert.deepEqual(await stopped, { finished: false, left: 1 });
});
