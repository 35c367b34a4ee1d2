/** Clients that mean harm: each flood and each lie ends what it should, with the code it should, and nobody else suffers. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { OK } from '../../../src/base/outcome.ts';
import * as limits from '../../../src/grpc/native/limits.ts';
import { frame, TestClient } from '../../support/grpc-client.ts';
import { TestServer } from '../../support/grpc-server.ts';
import {
  ERROR_CODE,
  FLAG,
  FRAME,
  GREETING,
  plainBlock,
  RawClient,
  rawFrame,
  SEND_BLOCK,
  SEND_FIELDS,
} from '../../support/raw-http2.ts';

const END_HEADERS: number = FLAG.END_HEADERS;
const END_STREAM: number = FLAG.END_STREAM;
const MESSAGE = frame(Buffer.from('message'));

let server: TestServer;
let raw: RawClient;

beforeEach(async () => {
  server = await TestServer.start('native', { maxRequestBytes: 1 << 20, receiveBufferBytes: 4 << 20 });
  server.handler = (_request, _call, respond) => respond(OK);
  raw = await RawClient.connect(server.target);
});
afterEach(async () => {
  // Whatever happened: another client is served, and nothing is left behind.
  const client = new TestClient(server.target);
  assert.equal((await client.send(Buffer.from('well behaved'))).code, status.OK);
  client.close();
  raw.close();
  while (server.server.stats().connections > 0) await new Promise(setImmediate);
  server.books();
  assert.equal(server.server.stats().calls, 0);
  assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
  server.destroy();
});

const repeat = (count: number, part: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => part(i)));
const headers = (streamId: number, flags = END_HEADERS, block: Uint8Array = SEND_BLOCK) =>
  rawFrame(FRAME.HEADERS, flags, streamId, block);

describe('floods end in ENHANCE_YOUR_CALM', () => {
  const floods: [string, number, (i: number) => Buffer][] = [
    ['PING', limits.PING_FLOOD.burst, () => rawFrame(FRAME.PING, 0, 0, new Uint8Array(8))],
    ['SETTINGS', limits.SETTINGS_FLOOD.burst, () => rawFrame(FRAME.SETTINGS, 0, 0)],
    [
      'acknowledgements of SETTINGS',
      limits.SETTINGS_FLOOD.burst,
      () => rawFrame(FRAME.SETTINGS, FLAG.ACK, 0),
    ],
    ['PRIORITY', limits.IDLE_FRAME_FLOOD.burst, () => rawFrame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0, 1])],
    ['unknown frames', limits.IDLE_FRAME_FLOOD.burst, () => rawFrame(0xbb, 0, 0)],
    ['GOAWAY', limits.IDLE_FRAME_FLOOD.burst, () => rawFrame(FRAME.GOAWAY, 0, 0, new Uint8Array(8))],
    [
      'WINDOW_UPDATE',
      limits.WINDOW_UPDATE_FLOOD.burst,
      () => rawFrame(FRAME.WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]),
    ],
    ['faulty streams', limits.FAULT_FLOOD.burst, (i) => headers(2 * i + 1, END_HEADERS, Buffer.from([0x82]))],
  ];
  for (const [name, burst, part] of floods) {
    test(name, async () => {
      // A few more than the bucket holds, as it fills a little meanwhile.
      raw.write(repeat(burst + 100, part));
      assert.equal(await raw.goawayCode(), ERROR_CODE.ENHANCE_YOUR_CALM);
    });
  }

  test('empty DATA', async () => {
    raw.write(
      headers(1),
      repeat(limits.EMPTY_DATA_FLOOD.burst + 100, () => rawFrame(FRAME.DATA, 0, 1)),
    );
    assert.equal(await raw.goawayCode(), ERROR_CODE.ENHANCE_YOUR_CALM);
    assert.deepEqual(server.books(), { received: 1, 'failed protocol': 1 });
  });

  test('rapid reset', async () => {
    server.handler = () => {};
    const calls = limits.RESET_FLOOD.burst + 200;
    raw.write(
      repeat(calls, (i) =>
        Buffer.concat([
          headers(2 * i + 1),
          rawFrame(FRAME.RST_STREAM, 0, 2 * i + 1, [0, 0, 0, ERROR_CODE.CANCEL]),
        ]),
      ),
    );
    assert.equal(await raw.goawayCode(), ERROR_CODE.ENHANCE_YOUR_CALM);
    const { received, inFlight, failed } = server.ledger.snapshot().requests;
    assert.ok(received <= limits.RESET_FLOOD.burst + 150);
    assert.equal(inFlight, 0);
    assert.equal(failed.cancelled + failed.protocol, received);
    server.handler = (_request, _call, respond) => respond(OK);
  });

  test('CONTINUATION without end', async () => {
    raw.write(
      headers(1, 0),
      repeat(1000, () => rawFrame(FRAME.CONTINUATION, 0, 1, plainBlock([['x', 'y']]))),
    );
    assert.equal(await raw.goawayCode(), ERROR_CODE.ENHANCE_YOUR_CALM);
    assert.deepEqual(server.books(), {});
  });

  test('empty CONTINUATION without end', async () => {
    raw.write(
      headers(1, 0),
      repeat(1000, () => rawFrame(FRAME.CONTINUATION, 0, 1)),
    );
    assert.equal(await raw.goawayCode(), ERROR_CODE.ENHANCE_YOUR_CALM);
  });

  test('a header block of megabytes in few frames', async () => {
    raw.write(
      headers(1, 0),
      repeat(4, () => rawFrame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(16_384))),
    );
    assert.equal(await raw.goawayCode(), ERROR_CODE.ENHANCE_YOUR_CALM);
  });
});

test('calls that are answered pay for PINGs and WINDOW_UPDATEs: a client that works is never too busy', async () => {
  const rounds = 3000;
  let seen = 0;
  for (let sent = 0; sent < rounds; sent += 50) {
    raw.write(
      repeat(50, (i) => {
        const streamId = 2 * (sent + i) + 1;
        return Buffer.concat([
          headers(streamId),
          rawFrame(FRAME.DATA, END_STREAM, streamId, MESSAGE),
          rawFrame(FRAME.PING, 0, 0, new Uint8Array(8)),
          rawFrame(FRAME.WINDOW_UPDATE, 0, 0, [0, 0, 0, 5]),
        ]);
      }),
    );
    const last = 2 * (sent + 49) + 1;
    await raw.frame((f) => f.streamId === last && f.type === FRAME.HEADERS && (f.flags & END_STREAM) !== 0);
    seen = raw.frames.filter((f) => f.type === FRAME.GOAWAY).length;
    if (seen > 0) break;
  }
  assert.equal(seen, 0);
  assert.deepEqual(server.books(), { received: rounds, ok: rounds });
});

test('a table bomb: one large field, referred to again and again', async () => {
  const bomb = Buffer.concat([
    SEND_BLOCK,
    Buffer.from([0x40, 1, 0x78]),
    Buffer.from([0x7f, 0xa1, 0x1e]),
    Buffer.alloc(4000, 'b'),
    // 8 KiB of references: 32 MiB of header list.
    Buffer.alloc(8000, 0xbe),
  ]);
  raw.write(headers(1, END_HEADERS | END_STREAM, bomb));
  const answer = await raw.frame((f) => f.type === FRAME.HEADERS && f.streamId === 1);
  // :status 431, as a literal.
  assert.equal(answer!.payload.toString('latin1'), '\x08\x03431');
  assert.deepEqual(server.books(), {});
});

describe('windows', () => {
  test('more on a stream than its window: FLOW_CONTROL_ERROR for the stream', async () => {
    // Behind the one message of a call nothing is granted any more.
    const second = Buffer.alloc(5);
    second.writeUInt32BE(1 << 20, 1);
    const data = (content: Uint8Array) => rawFrame(FRAME.DATA, 0, 1, content);
    const frames = Math.ceil(limits.STREAM_WINDOW_BYTES / 16_384);
    raw.write(
      headers(1),
      data(MESSAGE),
      data(second),
      repeat(frames, () => data(Buffer.alloc(16_384))),
    );
    assert.equal(await raw.resetCode(1), ERROR_CODE.FLOW_CONTROL_ERROR);
    assert.deepEqual(server.books(), { received: 1, 'failed protocol': 1 });
  });

  test('padding counts, and is given back', async () => {
    raw.write(
      headers(1),
      rawFrame(FRAME.DATA, FLAG.PADDED, 1, Buffer.concat([Buffer.from([200, 0]), Buffer.alloc(200)])),
    );
    const update = await raw.frame((f) => f.type === FRAME.WINDOW_UPDATE && f.streamId === 1);
    assert.equal(update!.payload.readUInt32BE(0), 201);
  });

  test('the connection window of ours beyond 2^31-1: FLOW_CONTROL_ERROR', async () => {
    raw.write(rawFrame(FRAME.WINDOW_UPDATE, 0, 0, [0x7f, 0xff, 0xff, 0xff]));
    assert.equal(await raw.goawayCode(), ERROR_CODE.FLOW_CONTROL_ERROR);
  });

  test('a stream window of ours beyond 2^31-1, by update or by SETTINGS', async () => {
    server.handler = () => {};
    raw.write(headers(1), rawFrame(FRAME.WINDOW_UPDATE, 0, 1, [0x7f, 0xff, 0xff, 0xff]));
    assert.equal(await raw.resetCode(1), ERROR_CODE.FLOW_CONTROL_ERROR);
    raw.write(headers(3), rawFrame(FRAME.WINDOW_UPDATE, 0, 3, [0x7f, 0, 0, 0]));
    raw.write(rawFrame(FRAME.SETTINGS, 0, 0, [0, 4, 0x7f, 0xff, 0xff, 0xff]));
    assert.equal(await raw.goawayCode(), ERROR_CODE.FLOW_CONTROL_ERROR);
    server.handler = (_request, _call, respond) => respond(OK);
  });

  test('no window for our answers: nothing is sent, nothing is lost, and it is sent when there is', async () => {
    raw.write(rawFrame(FRAME.SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
    raw.write(
      repeat(50, (i) =>
        Buffer.concat([headers(2 * i + 1), rawFrame(FRAME.DATA, END_STREAM, 2 * i + 1, MESSAGE)]),
      ),
    );
    await raw.frame((f) => f.streamId === 99 && f.type === FRAME.HEADERS);
    assert.equal(raw.frames.filter((f) => f.type === FRAME.DATA).length, 0);
    assert.deepEqual(server.books(), { received: 50, ok: 50 });
    raw.write(rawFrame(FRAME.WINDOW_UPDATE, 0, 99, [0, 0, 0, 3]));
    const part = await raw.frame((f) => f.streamId === 99 && f.type === FRAME.DATA);
    assert.equal(part!.payload.length, 3);
    raw.write(rawFrame(FRAME.SETTINGS, 0, 0, [0, 4, 0, 0, 0, 100]));
    await raw.frame((f) => f.streamId === 97 && f.type === FRAME.HEADERS && (f.flags & END_STREAM) !== 0);
    const dataBytes = raw.frames
      .filter((f) => f.type === FRAME.DATA)
      .reduce((sum, f) => sum + f.payload.length, 0);
    assert.equal(dataBytes, 250);
  });
});

describe('lying lengths', () => {
  const post = (streamId: number, body: Buffer) =>
    Buffer.concat([headers(streamId), rawFrame(FRAME.DATA, END_STREAM, streamId, body)]);

  test('a prefix that announces more than comes, or less', async () => {
    const more = Buffer.from(MESSAGE);
    more[4]! += 1;
    const less = Buffer.from(MESSAGE);
    less[4]! -= 1;
    raw.write(post(1, more), post(3, less), post(5, MESSAGE));
    await raw.frame((f) => f.streamId === 5 && (f.flags & END_STREAM) !== 0);
    assert.deepEqual(server.books(), { received: 3, ok: 1, 'failed protocol': 2 });
  });

  test('announcing large messages and sending nothing reserves no more than a window each', async () => {
    const announced = Buffer.alloc(5);
    announced.writeUInt32BE(1 << 20, 1);
    raw.write(
      repeat(8, (i) => Buffer.concat([headers(2 * i + 1), rawFrame(FRAME.DATA, 0, 2 * i + 1, announced)])),
    );
    while (server.server.stats().calls < 8) await new Promise(setImmediate);
    while (server.server.stats().requestBytes < 40) await new Promise(setImmediate);
    assert.ok(server.server.stats().receiveBufferUsedBytes <= 8 * (limits.STREAM_WINDOW_BYTES + 24 * 1024));
  });

  test('content-length that is not what comes: PROTOCOL_ERROR for the stream', async () => {
    const lying = (length: number) => plainBlock([...SEND_FIELDS, ['content-length', String(length)]]);
    raw.write(
      headers(1, END_HEADERS, lying(MESSAGE.length + 1)),
      rawFrame(FRAME.DATA, END_STREAM, 1, MESSAGE),
    );
    raw.write(
      headers(3, END_HEADERS, lying(MESSAGE.length - 1)),
      rawFrame(FRAME.DATA, END_STREAM, 3, MESSAGE),
    );
    raw.write(headers(5, END_HEADERS, lying(MESSAGE.length)), rawFrame(FRAME.DATA, END_STREAM, 5, MESSAGE));
    assert.equal(await raw.resetCode(1), ERROR_CODE.PROTOCOL_ERROR);
    assert.equal(await raw.resetCode(3), ERROR_CODE.PROTOCOL_ERROR);
    await raw.frame((f) => f.streamId === 5 && (f.flags & END_STREAM) !== 0);
    assert.deepEqual(server.books(), { received: 3, ok: 1, 'failed protocol': 2 });
  });
});

test('calls beyond the limit of streams are refused as never begun', async () => {
  server.handler = () => {};
  raw.write(repeat(101, (i) => headers(2 * i + 1)));
  assert.equal(await raw.resetCode(201), ERROR_CODE.REFUSED_STREAM);
  assert.deepEqual(server.books(), { received: 100, inFlight: 100 });
  server.handler = (_request, _call, respond) => respond(OK);
});

test('a client that asks on and never reads: reading stops, memory stays, the others are served', async () => {
  raw.close();
  raw = await RawClient.connect(server.target, Buffer.alloc(0));
  raw.socket.pause();
  // All the window there is: not HTTP/2 but TCP holds the answers back.
  const window = rawFrame(FRAME.WINDOW_UPDATE, 0, 0, [0x7f, 0, 0, 0]);
  let isWritable = raw.socket.write(Buffer.concat([GREETING, window]));
  let streamId = 1;
  const deadline = Date.now() + 20_000;
  // Until the server has stopped reading and the buffers of the kernel between us are full.
  while (isWritable || raw.socket.writableLength < 4 << 20) {
    const from = streamId;
    isWritable = raw.socket.write(
      repeat(500, (i) =>
        Buffer.concat([headers(from + 2 * i), rawFrame(FRAME.DATA, END_STREAM, from + 2 * i, MESSAGE)]),
      ),
    );
    streamId += 1000;
    await new Promise(setImmediate);
    assert.ok(Date.now() < deadline, 'the server reads on');
  }
  const { received, ok } = server.ledger.snapshot().requests;
  assert.equal(received, ok);
  // Answers of 35 bytes: what the kernel took, and a little more than the server's own bound.
  assert.ok(received < (streamId - 1) / 2);
});

test('not HTTP/2, half a preface, nothing at all', async () => {
  const http1 = await RawClient.connect(server.target, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  assert.equal(await http1.goawayCode(), ERROR_CODE.PROTOCOL_ERROR);
  const half = await RawClient.connect(server.target, GREETING.subarray(0, 10));
  half.socket.end();
  assert.equal(await half.goawayCode(), undefined);
});
