/** What a client sees of SendSensorValues, outcome by outcome, over real sockets; and the books after each. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { compressionAlgorithms, Metadata, status } from '@grpc/grpc-js';
import { failed, NEVER_RETRY, OK, type Outcome, refused } from '../../src/base/outcome.ts';
import { BareClient, frame, TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';
import { bytesField, varintField } from '../support/wire-bytes.ts';

const REQUEST = Buffer.from('any bytes: the transport does not look inside');

for (const transport of TRANSPORTS) {
  describe(transport, () => {
    describe('SendSensorValues', () => {
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

      test('OK is an empty message, and the handler got the bytes', async () => {
        const pending = client.start(REQUEST);
        const handled = await server.nextCall();
        assert.deepEqual(server.books(), { received: 1, inFlight: 1 });
        assert.equal(server.server.stats().calls, 1);
        assert.deepEqual(Buffer.from(handled.request), REQUEST);
        assert.equal(handled.call.deadlineMs, undefined);
        assert.match(handled.call.peer, /^127\.0\.0\.1:\d+$/);
        handled.respond(OK);
        const result = await pending.result;
        assert.equal(result.code, status.OK);
        assert.deepEqual(result.response, Buffer.alloc(0));
        assert.equal(result.pushback, undefined);
        assert.deepEqual(server.books(), { received: 1, ok: 1 });
        const stats = server.server.stats();
        assert.equal(stats.requestBytes, REQUEST.length + 5);
        assert.equal(stats.receiveBufferUsedBytes, 0);
        assert.equal(stats.calls, 0);
      });

      test('the wire of the existing fleet: fields 1.1, 1.2.2 and 1.2.3, over both loopbacks', async () => {
        const timestamp = [...varintField(1, 1_795_000_000), ...varintField(2, 5)];
        const measurement = [...bytesField(2, varintField(1, 42)), ...bytesField(3, timestamp)];
        const reading = [...bytesField(1, 'boiler-1'), ...bytesField(2, measurement)];
        const wire = Buffer.from(bytesField(1, reading));
        for (const target of server.addresses) {
          const oldClient = new TestClient(target);
          const pending = oldClient.start(wire);
          const handled = await server.nextCall();
          assert.deepEqual(Buffer.from(handled.request), wire);
          handled.respond(OK);
          assert.equal((await pending.result).code, status.OK);
          oldClient.close();
        }
      });

      test('an empty request reaches the handler', async () => {
        const pending = client.start(Buffer.alloc(0));
        const handled = await server.nextCall();
        assert.equal(handled.request.length, 0);
        handled.respond(OK);
        assert.equal((await pending.result).code, status.OK);
      });

      const outcomes: [Outcome, number, string | undefined, number | undefined][] = [
        [refused('malformed', 'item 3: sensor_name is empty'), status.INVALID_ARGUMENT, undefined, undefined],
        [refused('too_large', 'too large', NEVER_RETRY), status.RESOURCE_EXHAUSTED, '-1', undefined],
        [refused('over_burst', 'over the burst', NEVER_RETRY), status.RESOURCE_EXHAUSTED, '-1', undefined],
        [refused('rate_limited', 'too fast', 1234.5), status.RESOURCE_EXHAUSTED, '1235', 1234.5],
        [refused('queue_full', 'full', 250), status.UNAVAILABLE, '250', 250],
        [refused('draining', 'stopping', 1000), status.UNAVAILABLE, '1000', 1000],
        [refused('disk', 'disk full', 5000), status.UNAVAILABLE, '5000', 5000],
        [failed('disk', 'write failed', 1), status.UNAVAILABLE, '1', 1],
        [failed('internal', 'oh'), status.INTERNAL, undefined, undefined],
      ];
      for (const [outcome, code, pushback, retryAfterMs] of outcomes) {
        if (outcome.kind === 'ok') continue;
        test(`${outcome.kind} ${outcome.reason}: status, pushback and RetryInfo`, async () => {
          const pending = client.start(REQUEST);
          (await server.nextCall()).respond(outcome);
          const result = await pending.result;
          assert.equal(result.code, code);
          assert.equal(result.message, outcome.message);
          assert.equal(result.pushback, pushback);
          assert.equal(result.retryAfterMs, retryAfterMs);
          if (retryAfterMs !== undefined)
            assert.deepEqual(result.details, { code, message: outcome.message });
          assert.deepEqual(server.books(), { received: 1, [`${outcome.kind} ${outcome.reason}`]: 1 });
        });
      }

      test('a message that no header could carry arrives mended', async () => {
        const pending = client.start(REQUEST);
        (await server.nextCall()).respond(
          refused('malformed', `100% of "ä€\u{1f321}" \ud800 \n ${'x'.repeat(5000)}`),
        );
        const result = await pending.result;
        assert.equal(result.code, status.INVALID_ARGUMENT);
        assert.ok(result.message.startsWith('100% of "ä€\u{1f321}" \ufffd \n xxx'));
        assert.equal(result.message.length, 1024);
      });

      test('a second answer is ignored', async () => {
        const pending = client.start(REQUEST);
        const handled = await server.nextCall();
        handled.respond(OK);
        handled.respond(failed('disk', 'late'));
        assert.equal((await pending.result).code, status.OK);
        assert.deepEqual(server.books(), { received: 1, ok: 1 });
      });

      test('a handler that throws: INTERNAL, counted and told', async () => {
        const fault = new Error('broken');
        server.handler = () => {
          throw fault;
        };
        const result = await client.send(REQUEST);
        assert.equal(result.code, status.INTERNAL);
        assert.doesNotMatch(result.message, /broken/);
        assert.deepEqual(server.handlerFaults, [fault]);
        assert.deepEqual(server.books(), { received: 1, 'failed internal': 1 });
      });

      test('an unknown method is UNIMPLEMENTED and outside the books', async () => {
        for (const path of ['/sensor.v1.SensorService/Nothing', '/nobody.Service/Nothing']) {
          assert.equal((await client.send(REQUEST, { path })).code, status.UNIMPLEMENTED);
        }
        assert.deepEqual(server.books(), {});
        assert.equal(server.server.stats().unknownMethodCalls, 2);
      });

      test('cancelled by the client: the handler is told once, a late answer does nothing', async () => {
        const pending = client.start(REQUEST);
        const handled = await server.nextCall();
        let told = 0;
        const cancelled = new Promise<void>((resolve) => {
          handled.call.onCancelled = () => {
            told++;
            resolve();
          };
        });
        pending.cancel();
        await cancelled;
        assert.equal(handled.call.cancelled, true);
        assert.equal((await pending.result).code, status.CANCELLED);
        handled.respond(OK);
        assert.equal(told, 1);
        assert.deepEqual(server.books(), { received: 1, 'failed cancelled': 1 });
        assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
      });

      test('a connection that breaks: cancelled', async () => {
        const bare = new BareClient(server.target);
        const pending = bare.post([frame(REQUEST)]).catch(() => {});
        const handled = await server.nextCall();
        const cancelled = new Promise<void>((resolve) => {
          handled.call.onCancelled = resolve;
        });
        bare.close();
        await cancelled;
        await pending;
        assert.deepEqual(server.books(), { received: 1, 'failed cancelled': 1 });
      });

      test('the deadline passes: the handler knows it, and is told when it is over', async () => {
        const deadline = Date.now() + 150;
        const pending = client.start(REQUEST, { deadline });
        const handled = await server.nextCall();
        const told = new Promise<void>((resolve) => {
          handled.call.onCancelled = resolve;
        });
        assert.ok(Math.abs(handled.call.deadlineMs! - deadline) < 100);
        await told;
        assert.equal((await pending.result).code, status.DEADLINE_EXCEEDED);
        handled.respond(OK);
        const { failed: failures, difference } = server.ledger.snapshot().requests;
        // Whichever came first: our timer, or the cancellation by the client's.
        assert.equal(failures.deadline + failures.cancelled, 1);
        assert.equal(difference, 0);
      });

      test('a deadline beyond what timers can count is none', async () => {
        const bare = new BareClient(server.target);
        for (const [timeout, known] of [
          ['596H', true],
          ['597H', false],
          ['99999999H', false],
          ['99999999M', false],
          ['2147484S', false],
          ['99999999m', true],
        ] as const) {
          const pending = bare.post([frame(REQUEST)], { 'grpc-timeout': timeout });
          const handled = await server.nextCall();
          assert.equal(handled.call.deadlineMs !== undefined, known, timeout);
          handled.respond(OK);
          assert.equal((await pending).grpcStatus, '0', timeout);
        }
        bare.close();
      });

      test('a client that does not speak HTTP/2 is hung up on, and the others are served', async () => {
        const port = Number(server.target.split(':').at(-1));
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.resume();
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
        await new Promise((resolve) => socket.on('close', resolve));
        const pending = client.start(REQUEST);
        (await server.nextCall()).respond(OK);
        assert.equal((await pending.result).code, status.OK);
      });

      test('the deadline is kept by the server for a client that does not', async () => {
        const bare = new BareClient(server.target);
        const result = await bare.post([frame(REQUEST)], { 'grpc-timeout': '20m' });
        assert.equal(result.grpcStatus, String(status.DEADLINE_EXCEEDED));
        assert.deepEqual(server.books(), { received: 1, 'failed deadline': 1 });
        bare.close();
      });
    });

    describe('size, compression and framing', () => {
      const LIMIT = 64 * 1024;
      let server: TestServer;
      let client: TestClient;
      let bare: BareClient;
      let before_: Readonly<Record<string, number>>;

      before(async () => {
        server = await TestServer.start(transport, { maxRequestBytes: LIMIT });
        server.handler = (_request, _call, respond) => respond(OK);
        client = new TestClient(server.target);
        bare = new BareClient(server.target);
      });
      beforeEach(() => {
        before_ = server.books();
      });
      after(() => {
        client.close();
        bare.close();
        server.destroy();
      });

      /** What the books gained since the test began. */
      function gained(): Readonly<Record<string, number>> {
        const gains: Record<string, number> = {};
        for (const [reason, count] of Object.entries(server.books())) {
          if (count !== before_[reason]) gains[reason] = count - (before_[reason] ?? 0);
        }
        return gains;
      }

      function assertTooLarge(result: { code: number; message: string; pushback: string | undefined }): void {
        assert.equal(result.code, status.RESOURCE_EXHAUSTED);
        assert.match(result.message, /MAX_REQUEST_BYTES \(65536\).*do not retry/);
        assert.equal(result.pushback, '-1');
        assert.deepEqual(gained(), { received: 1, 'refused too_large': 1 });
      }

      test('the largest request allowed passes', async () => {
        assert.equal((await client.send(Buffer.alloc(LIMIT))).code, status.OK);
        assert.deepEqual(gained(), { received: 1, ok: 1 });
      });

      test('one byte more is refused for good', async () => {
        const result = await client.send(Buffer.alloc(LIMIT + 1));
        assertTooLarge(result);
        assert.equal(result.retryAfterMs, undefined);
      });

      test('a far larger one is refused at its announcement, and the connection lives on', async () => {
        assertTooLarge(await client.send(Buffer.alloc(100 * LIMIT)));
        assert.equal((await client.send(Buffer.alloc(10))).code, status.OK);
      });

      test('a client that announces 4 GiB and goes on sending is told to stop', async () => {
        const announced = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
        const result = await bare.post([announced, Buffer.alloc(1000)], {}, false);
        assert.equal(result.grpcStatus, String(status.RESOURCE_EXHAUSTED));
        assert.equal(result.pushback, '-1');
        assert.deepEqual(gained(), { received: 1, 'refused too_large': 1 });
      });

      test('gzip and deflate requests work', async () => {
        for (const algorithm of [compressionAlgorithms.gzip, compressionAlgorithms.deflate]) {
          const request = Buffer.from('compressible '.repeat(1000));
          let got: Uint8Array | undefined;
          server.handler = (received, _call, respond) => {
            got = Buffer.from(received);
            respond(OK);
          };
          const gzipClient = new TestClient(server.target, {
            'grpc.default_compression_algorithm': algorithm,
          });
          assert.equal((await gzipClient.send(request)).code, status.OK);
          assert.deepEqual(Buffer.from(got!), request);
          gzipClient.close();
        }
      });

      test('a gzip request of exactly the limit passes, a byte more and a bomb are cut off', async () => {
        const post = (message: Buffer) =>
          bare.post([frame(gzipSync(message), 1)], { 'grpc-encoding': 'gzip' });
        assert.equal((await post(Buffer.alloc(LIMIT))).grpcStatus, '0');
        before_ = server.books();
        for (const bytes of [LIMIT + 1, 50_000_000]) {
          const result = await post(Buffer.alloc(bytes));
          assert.ok(gzipSync(Buffer.alloc(bytes)).length < LIMIT);
          assertTooLarge({
            code: Number(result.grpcStatus),
            message: result.grpcMessage,
            pushback: result.pushback,
          });
          before_ = server.books();
        }
        assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
      });

      const message = Buffer.from('message');
      const misuse: [string, Buffer[], Record<string, string>, number, RegExp][] = [
        ['no message', [], {}, status.UNIMPLEMENTED, /one message, none came/],
        ['two messages', [frame(message), frame(message)], {}, status.UNIMPLEMENTED, /one message, two came/],
        ['a message cut off', [frame(message).subarray(0, 8)], {}, status.INTERNAL, /cut off/],
        ['a frame header cut off', [Buffer.from([0, 0])], {}, status.INTERNAL, /cut off/],
        ['bytes after the message', [frame(message), Buffer.from([0])], {}, status.INTERNAL, /cut off/],
        ['an unknown flag', [frame(message, 2)], {}, status.INTERNAL, /flag 2/],
        ['compressed without saying how', [frame(message, 1)], {}, status.INTERNAL, /no grpc-encoding/],
        ['damaged gzip', [frame(message, 1)], { 'grpc-encoding': 'gzip' }, status.INTERNAL, /damaged/],
        [
          'a half of gzip',
          [frame(gzipSync(message).subarray(0, 15), 1)],
          { 'grpc-encoding': 'gzip' },
          status.INTERNAL,
          /damaged/,
        ],
        [
          'an unknown encoding',
          [frame(message, 1)],
          { 'grpc-encoding': 'snappy' },
          status.UNIMPLEMENTED,
          /snappy.*not supported/,
        ],
        [
          'a timeout that is none',
          [frame(message)],
          { 'grpc-timeout': 'soon' },
          status.INTERNAL,
          /grpc-timeout/,
        ],
      ];
      for (const [name, chunks, headers, code, pattern] of misuse) {
        test(`${name}: answered by status and counted as protocol`, async () => {
          let handled = 0;
          // A timeout that is none is found after the handler may have begun.
          server.handler = () => handled++;
          const result = await bare.post(chunks, headers);
          assert.equal(result.grpcStatus, String(code));
          assert.match(result.grpcMessage, pattern);
          assert.deepEqual(gained(), { received: 1, 'failed protocol': 1 });
          assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
          if (code === status.UNIMPLEMENTED)
            assert.match(String(result.headers['grpc-accept-encoding']), /gzip/);
        });
      }

      test('a message split at every byte arrives whole', async () => {
        let got: Uint8Array | undefined;
        server.handler = (received, _call, respond) => {
          got = Buffer.from(received);
          respond(OK);
        };
        const bytes = frame(message);
        const result = await bare.post([...bytes].map((byte) => Buffer.from([byte])));
        assert.equal(result.grpcStatus, '0');
        assert.deepEqual(Buffer.from(got!), message);
      });

      test('another content type is no gRPC call: 415, outside the books', async () => {
        const result = await bare.post([frame(message)], { 'content-type': 'application/json' });
        assert.equal(result.httpStatus, 415);
        assert.deepEqual(gained(), {});
      });

      test('a header list beyond 8 KiB is refused and the connection lives on', async () => {
        const metadata = new Metadata();
        for (let i = 0; i < 9; i++) metadata.set(`x-filler-${i}`, 'f'.repeat(1000));
        const result = await client.send(message, { metadata });
        assert.notEqual(result.code, status.OK);
        server.handler = (_request, _call, respond) => respond(OK);
        assert.equal((await client.send(message)).code, status.OK);
      });
    });
  });
}
