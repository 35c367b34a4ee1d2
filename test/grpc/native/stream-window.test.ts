/** The window of a stream over a long way: how far it grows, and that its client is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_STREAM_WINDOW_BYTES, STREAM_WINDOW_BYTES } from '../../../src/grpc/native/limits.ts';
import { NativeServer } from '../../../src/grpc/native/native-server.ts';
import { SETTING } from '../../../src/grpc/native/protocol.ts';
import { StreamWindow } from '../../../src/grpc/native/stream-window.ts';
import type { SendSensorValuesHandler } from '../../../src/grpc/server.ts';
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
  STREAM_FIELDS,
} from '../../support/raw-http2.ts';

test('a window that is used up each round trip doubles until its limit', () => {
  const window = new StreamWindow(50, 0);
  let bytes = STREAM_WINDOW_BYTES;
  const sizes = [];
  for (let nowMs = 50; nowMs <= 400; nowMs += 50) {
    bytes += window.arrived(bytes, nowMs);
    sizes.push(bytes / STREAM_WINDOW_BYTES);
  }
  assert.deepEqual(sizes, [2, 4, 8, 16, 16, 16, 16, 16]);
  assert.equal(bytes, MAX_STREAM_WINDOW_BYTES);
});

test('whoever sends less than half a window per round trip has enough, in bursts or evenly', () => {
  const window = new StreamWindow(50, 0);
  for (let nowMs = 10; nowMs <= 1000; nowMs += 10) {
    assert.equal(window.arrived(STREAM_WINDOW_BYTES / 11, nowMs), 0);
  }
  assert.equal(
    window.arrived(STREAM_WINDOW_BYTES, 5000),
    0,
    'after a rest it is not the window that was waited for',
  );
});

function serverOnPaper(clock: ManualClock, sendSensorValues: SendSensorValuesHandler): NativeServer {
  return new NativeServer(
    {
      maxRequestBytes: 1 << 20,
      maxConnections: 4,
      maxStreamsPerConnection: 5,
      receiveBufferBytes: 1 << 24,
      maxConnectionAgeMs: 0,
      maxConnectionAgeGraceMs: 1000,
    },
    {
      ledger: new Ledger(),
      clock,
      sendSensorValues,
      events: { onConnectionRefused() {}, onHandlerFault() {} },
    },
  );
}

/** Sends as much as the window allows, `roundTripMs` after the greeting, and returns the window that was given in all. */
async function windowAfter(roundTripMs: number): Promise<number> {
  const clock = new ManualClock();
  const server = serverOnPaper(clock, (_request, _call, respond) => respond({ kind: 'ok' }));
  await server.listen({ host: '127.0.0.1', port: 0 });
  const socket = new PaperSocket();
  server.onConnection(socket.asSocket());
  await new Promise(setImmediate);
  // The call begins before the acknowledgement of our SETTINGS can be there.
  const open = rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, 1, plainBlock(STREAM_FIELDS));
  socket.feed(Buffer.concat([GREETING, open]));
  clock.advance(roundTripMs);
  socket.feed(rawFrame(FRAME.SETTINGS, FLAG.ACK, 0));
  const message = Buffer.alloc(16_384);
  message.writeUInt32BE(message.length - 5, 1);
  let given = STREAM_WINDOW_BYTES;
  for (let sent = 0; sent <= STREAM_WINDOW_BYTES; sent += message.length) {
    clock.advance((roundTripMs * message.length) / STREAM_WINDOW_BYTES);
    socket.feed(rawFrame(FRAME.DATA, 0, 1, message));
    await new Promise(setImmediate);
  }
  for (const { type, streamId, payload } of cutFrames(socket.output).frames) {
    if (type === FRAME.WINDOW_UPDATE && streamId === 1) given += payload.readUInt32BE();
  }
  server.destroy();
  await new Promise(setImmediate);
  return given;
}

test('over 50 ms its client has twice the window after a round trip; near the daemon what it had', async () => {
  const near = await windowAfter(1);
  assert.equal(near, 2 * STREAM_WINDOW_BYTES, 'what it used came back');
  assert.ok((await windowAfter(50)) - near > 0.9 * STREAM_WINDOW_BYTES);
});

test('a client that takes no acknowledgements may still send: window comes back with the outcomes', async () => {
  const requests: (() => void)[] = [];
  const server = serverOnPaper(new ManualClock(), (_request, _call, respond) =>
    requests.push(() => respond({ kind: 'ok' })),
  );
  const socket = new PaperSocket();
  server.onConnection(socket.asSocket());
  // Room for an acknowledgement or two, and never more.
  const narrow = Buffer.alloc(6);
  narrow.writeUInt16BE(SETTING.INITIAL_WINDOW_SIZE, 0);
  narrow.writeUInt32BE(20, 2);
  const open = rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, 1, plainBlock(STREAM_FIELDS));
  socket.feed(Buffer.concat([GREETING, rawFrame(FRAME.SETTINGS, 0, 0, narrow), open]));
  const message = Buffer.alloc(16_384);
  message.writeUInt32BE(message.length - 5, 1);
  let sentBytes = 0;
  let taken = 0;
  for (let turn = 0; turn < 20; turn++) {
    let granted = STREAM_WINDOW_BYTES;
    for (const { type, streamId, payload } of cutFrames(socket.output).frames) {
      if (type === FRAME.WINDOW_UPDATE && streamId === 1) granted += payload.readUInt32BE();
    }
    for (; sentBytes + message.length <= granted; sentBytes += message.length) {
      socket.feed(rawFrame(FRAME.DATA, 0, 1, message));
    }
    await new Promise(setImmediate);
    taken += requests.length;
    for (const respond of requests.splice(0)) {
      respond();
      await new Promise(setImmediate);
    }
  }
  assert.ok(taken > 100, `${taken} requests of 16 KiB in a window of 256 KiB`);
  server.destroy();
});
