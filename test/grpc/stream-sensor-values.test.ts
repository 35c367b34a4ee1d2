/** What a client sees of StreamSensorValues, over real sockets, and the books after each. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as passed } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { failed, NEVER_RETRY, OK, refused } from '../../src/base/outcome.ts';
import {
  MAX_STREAM_UNACKNOWLEDGED,
  MAX_STREAM_UNDER_WAY_BYTES,
  STREAM_WINDOW_BYTES,
} from '../../src/grpc/stream-link.ts';
import { BareClient, frame, TestClient } from '../support/grpc-client.ts';
import { type HandledCall, TestServer, TRANSPORTS } from '../support/grpc-server.ts';
import { requestsOf, STREAM_PATH, TestStream } from '../support/stream-client.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

for (const transport of TRANSPORTS) {
  describe(`StreamSensorValues, ${transport}`, () => {
    let server: TestServer;
    let client: TestClient;

    beforeEach(async () => {
      server = await TestServer.start(transport);
      client = new TestClient(server.target);
    });
    afterEach(() => {
      client.close();
      server.destroy();
    });

    const open = (options?: { deadline?: number }): TestStream => new TestStream(client.bare, options);
    const next = async (expected: string): Promise<HandledCall> => {
      const handled = await server.nextCall();
      assert.equal(text(handled.request), expected);
      return handled;
    };

    test('acknowledged in order, however the outcomes come, then OK', async () => {
      const stream = open();
      stream.send(Buffer.from('a'), Buffer.from('b'), Buffer.from('c'));
      const calls = [await next('a'), await next('b'), await next('c')];
      assert.deepEqual(server.books(), { received: 3, inFlight: 3 });
      assert.equal(server.server.stats().calls, 3);
      calls[2]!.respond(OK);
      calls[1]!.respond(OK);
      assert.deepEqual(server.books(), { received: 3, inFlight: 3 });
      calls[0]!.respond(OK);
      calls[0]!.respond(failed('disk', 'late'));
      await stream.until(3);
      assert.deepEqual(stream.acknowledged, [3]);
      stream.call.end();
      assert.equal((await stream.ended).code, status.OK);
      assert.deepEqual(server.books(), { received: 3, ok: 3 });
      const stats = server.server.stats();
      assert.deepEqual([stats.calls, stats.receiveBufferUsedBytes, stats.requestBytes], [0, 0, 18]);
    });

    test('a stream without a request, and an empty request', async () => {
      const nothing = open();
      nothing.call.end();
      assert.equal((await nothing.ended).code, status.OK);
      assert.deepEqual(server.books(), {});
      server.handler = (_request, _call, respond) => respond(OK);
      const empty = open();
      empty.send(Buffer.alloc(0));
      empty.call.end();
      assert.equal((await empty.ended).code, status.OK);
      assert.deepEqual(empty.acknowledged, [1]);
      assert.deepEqual(server.books(), { received: 1, ok: 1 });
    });

    test('half close with requests under way: all acknowledged, then OK', async () => {
      const stream = open();
      stream.send(Buffer.from('a'), Buffer.from('b'));
      stream.call.end();
      const [a, b] = [await next('a'), await next('b')];
      a.respond(OK);
      await stream.until(1);
      b.respond(OK);
      assert.equal((await stream.ended).code, status.OK);
      assert.equal(stream.last, 2);
    });

    for (const outcome of [
      refused('malformed', 'item 3: sensor_name is empty'),
      refused('over_burst', 'never', NEVER_RETRY),
      refused('disk', 'the journal is faulty', 1000),
    ]) {
      test(`refused ${outcome.reason}: what came before is acknowledged, what comes behind is not looked at`, async () => {
        const stream = open();
        stream.send(Buffer.from('a'));
        const a = await next('a');
        server.handler = (_request, _call, respond) => respond(outcome);
        stream.send(Buffer.from('bad'), Buffer.from('behind'));
        while (server.ledger.snapshot().requests.received < 2) await passed(1);
        a.respond(OK);
        const ended = await stream.ended;
        assert.equal(ended.details, `request 1 of this stream: ${outcome.message}`);
        assert.notEqual(ended.code, status.OK);
        assert.deepEqual(stream.acknowledged, [1]);
        assert.deepEqual(server.books(), { received: 2, ok: 1, [`refused ${outcome.reason}`]: 1 });
        const pushback = outcome.retryAfterMs === undefined ? undefined : String(outcome.retryAfterMs);
        assert.equal(ended.metadata.get('grpc-retry-pushback-ms')[0], pushback);
      });
    }

    test('a failure behind others: it ends the stream when these are acknowledged', async () => {
      const stream = open();
      stream.send(Buffer.from('a'), Buffer.from('b'), Buffer.from('c'));
      const [a, b, c] = [await next('a'), await next('b'), await next('c')];
      c.respond(OK);
      b.respond(failed('disk', 'not written', 1000));
      a.respond(OK);
      const ended = await stream.ended;
      assert.equal(ended.code, status.UNAVAILABLE);
      assert.equal(ended.details, 'request 1 of this stream: not written');
      assert.deepEqual(stream.acknowledged, [1]);
      assert.deepEqual(server.books(), { received: 3, ok: 1, 'failed disk': 1, 'failed cancelled': 1 });
    });

    for (const reason of ['rate_limited', 'quota', 'queue_full'] as const) {
      test(`${reason}: offered again after the time named, in order, refused to nobody`, async () => {
        const seen: string[] = [];
        const heldBack: unknown[] = [];
        let isShort = true;
        server.handler = (request, call, respond) => {
          seen.push(`${text(request)}${call.isRepeat ? ' again' : ''}`);
          heldBack.push(call.isHeldBack);
          if (!isShort) return respond(OK);
          isShort = false;
          respond(refused(reason, 'not now', 5));
        };
        const stream = open();
        stream.send(Buffer.from('a'), Buffer.from('b'), Buffer.from('c'));
        stream.call.end();
        assert.equal((await stream.ended).code, status.OK);
        assert.equal(stream.last, 3);
        assert.deepEqual(seen, ['a', 'a again', 'b', 'c']);
        assert.deepEqual(heldBack.slice(0, 2), [false, true]);
        assert.deepEqual(server.books(), { received: 3, ok: 3 });
      });
    }

    test('while a request waits for room, a client can send a window more and no further', async () => {
      let waiting: { call: HandledCall['call']; respond: HandledCall['respond'] } | undefined;
      const arrived = Promise.withResolvers<void>();
      server.handler = (_request, call, respond) => {
        if (waiting !== undefined) return respond(OK);
        waiting = { call, respond };
        call.onCancelled = () => {};
        arrived.resolve();
      };
      const stream = open();
      const message = Buffer.alloc(16 * 1024);
      const messages = (4 * STREAM_WINDOW_BYTES) / message.length;
      for (let i = 0; i < messages; i++) stream.send(message);
      stream.call.end();
      await arrived.promise;
      // Nothing tells that a client cannot go on: look until no more comes.
      for (let before = -1, now = 0; now !== before; ) {
        before = now;
        await passed(100);
        now = server.server.stats().requestBytes;
      }
      const { requestBytes, receiveBufferUsedBytes } = server.server.stats();
      assert.ok(requestBytes <= STREAM_WINDOW_BYTES + 2 * message.length, `${requestBytes} came`);
      assert.ok(receiveBufferUsedBytes <= 3 * STREAM_WINDOW_BYTES, `${receiveBufferUsedBytes} held`);
      assert.deepEqual(server.books(), { received: 1, inFlight: 1 });
      waiting!.respond(OK);
      waiting!.call.onTaken!();
      assert.equal((await stream.ended).code, status.OK);
      assert.equal(stream.last, messages);
      assert.deepEqual(server.books(), { received: messages, ok: messages });
      assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
    });

    test('so many may be unacknowledged, then nothing more is read until some are', async () => {
      const responds: HandledCall['respond'][] = [];
      const isFull = Promise.withResolvers<void>();
      server.handler = (_request, _call, respond) => {
        if (responds.push(respond) === MAX_STREAM_UNACKNOWLEDGED) isFull.resolve();
      };
      const stream = open();
      for (let i = 0; i < MAX_STREAM_UNACKNOWLEDGED + 10; i++) stream.send(Buffer.alloc(1));
      await isFull.promise;
      await passed(20);
      assert.equal(responds.length, MAX_STREAM_UNACKNOWLEDGED);
      responds[0]!(OK);
      await stream.until(1);
      while (responds.length < MAX_STREAM_UNACKNOWLEDGED + 1) await passed(1);
      assert.equal(responds.length, MAX_STREAM_UNACKNOWLEDGED + 1);
      server.handler = (_request, _call, respond) => respond(OK);
      for (const respond of responds) respond(OK);
      stream.call.end();
      assert.equal((await stream.ended).code, status.OK);
      assert.equal(stream.last, MAX_STREAM_UNACKNOWLEDGED + 10);
    });

    test('in bytes too, however small their number', async () => {
      const responds: HandledCall['respond'][] = [];
      server.handler = (_request, _call, respond) => void responds.push(respond);
      const stream = open();
      const message = Buffer.alloc(32 * 1024);
      const messages = (4 * MAX_STREAM_UNDER_WAY_BYTES) / message.length;
      for (let i = 0; i < messages; i++) stream.send(message);
      stream.call.end();
      let most = 0;
      for (let answered = 0; answered < messages; answered++) {
        while (responds.length === answered) await passed(1);
        most = Math.max(most, responds.length - answered);
        responds[answered]!(OK);
      }
      assert.equal((await stream.ended).code, status.OK);
      assert.equal(stream.last, messages);
      assert.ok(most <= MAX_STREAM_UNDER_WAY_BYTES / message.length + 1, `${most} under way`);
    });

    test('messages larger than a window, one behind the other', async () => {
      const large = await TestServer.start(transport, { maxRequestBytes: 4 * 1024 * 1024 });
      const seen: number[] = [];
      large.handler = (request, _call, respond) => {
        seen.push(request.length);
        setImmediate(respond, OK);
      };
      const largeClient = new TestClient(large.target);
      const stream = new TestStream(largeClient.bare);
      const sizes = [3 * STREAM_WINDOW_BYTES, 10, 4 * 1024 * 1024, 0, STREAM_WINDOW_BYTES];
      stream.send(...sizes.map((size) => Buffer.alloc(size)));
      stream.call.end();
      assert.equal((await stream.ended).code, status.OK);
      assert.deepEqual(seen, sizes);
      assert.equal(large.server.stats().receiveBufferUsedBytes, 0);
      largeClient.close();
      large.destroy();
    });

    test('messages cut anywhere, several at once, compressed ones, and one of 60 KiB', async () => {
      const seen: string[] = [];
      server.handler = (request, _call, respond) => {
        seen.push(text(request));
        respond(OK);
      };
      const large = 'x'.repeat(60 * 1024);
      const sent = ['first', '', 'second', large, 'third', large];
      const bytes = Buffer.concat(
        sent.map((message, i) => (i % 3 === 2 ? frame(gzipSync(message), 1) : frame(Buffer.from(message)))),
      );
      for (const size of [1000, 7, bytes.length]) {
        seen.length = 0;
        const bare = new BareClient(server.target);
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
        const result = await bare.post(chunks, { ':path': STREAM_PATH, 'grpc-encoding': 'gzip' });
        assert.equal(result.grpcStatus, '0');
        assert.deepEqual(seen, sent);
        assert.equal(requestsOf(lastMessage(result.body)), sent.length);
        bare.close();
      }
      assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
    });

    test('framing faults end the stream behind what is acknowledged', async () => {
      server.handler = (_request, _call, respond) => respond(OK);
      const faults: [Buffer, string, string][] = [
        [frame(Buffer.from('abc')).subarray(0, 6), String(status.INTERNAL), 'failed protocol'],
        [frame(Buffer.from('abc'), 2), String(status.INTERNAL), 'failed protocol'],
        [frame(Buffer.from('abc'), 1), String(status.INTERNAL), 'failed protocol'],
        [Buffer.from([0, 0x7f, 255, 255, 255]), String(status.RESOURCE_EXHAUSTED), 'refused too_large'],
      ];
      let received = 0;
      for (const [fault, code, reason] of faults) {
        const before = server.books()[reason] ?? 0;
        const bare = new BareClient(server.target);
        const result = await bare.post([frame(Buffer.from('good')), fault], { ':path': STREAM_PATH });
        received += 2;
        assert.equal(result.grpcStatus, code);
        assert.match(result.grpcMessage, /^request 1 of this stream: /);
        assert.equal(requestsOf(lastMessage(result.body)), 1);
        const books = server.books();
        assert.deepEqual([books.received, books[reason]], [received, before + 1]);
        bare.close();
      }
    });

    test('cancelled: what waits is withdrawn, what is taken leaves the books', async () => {
      const stream = open();
      stream.send(Buffer.from('a'));
      const a = await next('a');
      const withdrawn = Promise.withResolvers<void>();
      server.handler = (_request, call) => {
        call.onCancelled = withdrawn.resolve;
      };
      stream.send(Buffer.from('b'));
      while (server.ledger.snapshot().requests.received < 2) await passed(1);
      stream.call.cancel();
      await withdrawn.promise;
      a.respond(OK);
      assert.deepEqual(server.books(), { received: 2, 'failed cancelled': 2 });
      const { calls, receiveBufferUsedBytes } = server.server.stats();
      assert.deepEqual([calls, receiveBufferUsedBytes], [0, 0]);
    });

    test('the deadline of a stream ends it', async () => {
      const stream = open({ deadline: Date.now() + 300 });
      stream.send(Buffer.from('a'), Buffer.from('b'));
      const a = await next('a');
      await next('b');
      a.respond(OK);
      assert.equal((await stream.ended).code, status.DEADLINE_EXCEEDED);
      while (server.books().inFlight !== undefined) await passed(1);
      const { 'failed deadline': late = 0, 'failed cancelled': gone = 0, ok } = server.books();
      assert.deepEqual([late + gone, ok], [1, 1]);
    });

    test('a stop acknowledges what was taken and says when to come back', async () => {
      const stream = open();
      stream.send(Buffer.from('a'));
      const a = await next('a');
      const stopped = server.server.stop(10_000);
      a.respond(OK);
      const ended = await stream.ended;
      assert.equal(ended.code, status.UNAVAILABLE);
      assert.equal(ended.metadata.get('grpc-retry-pushback-ms')[0], '1000');
      assert.deepEqual(stream.acknowledged, [1]);
      assert.deepEqual(await stopped, { finished: true, left: 0 });
      assert.deepEqual(server.books(), { received: 1, ok: 1 });
    });

    test('a stop that runs out of time fails what is left', async () => {
      const stream = open();
      stream.send(Buffer.from('a'));
      await next('a');
      const { finished, left } = await server.server.stop(100);
      assert.deepEqual([finished, left], [false, 1]);
      assert.equal((await stream.ended).code, status.UNAVAILABLE);
      assert.deepEqual(server.books(), { received: 1, 'failed drain_deadline': 1 });
    });

    test('a handler that throws: INTERNAL, counted and told', async () => {
      server.handler = () => {
        throw new Error('oh');
      };
      const stream = open();
      stream.send(Buffer.from('a'));
      assert.equal((await stream.ended).code, status.INTERNAL);
      assert.deepEqual(server.books(), { received: 1, 'failed internal': 1 });
      assert.equal(server.handlerFaults.length, 1);
    });

    test('no budget: refused for now, before any request', async () => {
      const small = await TestServer.start(transport, { receiveBufferBytes: 16 * 1024 });
      const smallClient = new TestClient(small.target);
      const ended = await new TestStream(smallClient.bare).ended;
      assert.equal(ended.code, status.UNAVAILABLE);
      assert.equal(ended.metadata.get('grpc-retry-pushback-ms')[0], '250');
      assert.deepEqual(small.books(), {});
      smallClient.close();
      small.destroy();
    });

    test('a connection of age ends its streams behind their acknowledgements', async () => {
      const aging = await TestServer.start(transport, { maxConnectionAgeMs: 200 });
      aging.handler = (_request, _call, respond) => respond(OK);
      const agingClient = new TestClient(aging.target);
      const stream = new TestStream(agingClient.bare);
      stream.send(Buffer.from('a'));
      const ended = await stream.ended;
      assert.equal(ended.code, status.UNAVAILABLE);
      assert.equal(ended.metadata.get('grpc-retry-pushback-ms')[0], '0');
      assert.deepEqual(stream.acknowledged, [1]);
      agingClient.close();
      aging.destroy();
    });
  });
}

/** The last message of a gRPC body. */
function lastMessage(body: Buffer): Buffer {
  let at = 0;
  let last: Buffer = Buffer.alloc(0);
  while (at < body.length) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    last = body.subarray(at + 5, end);
    at = end;
  }
  return last;
}
