/** Connections, streams and memory are bounded, and what is beyond is refused and counted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Metadata, status } from '@grpc/grpc-js';
import { OK } from '../../src/base/outcome.ts';
import { parseTokenFile } from '../../src/base/token-file.ts';
import { CALL_COST_BYTES } from '../../src/grpc/receive-budget.ts';
import { Authenticator } from '../../src/ingest/authenticator.ts';
import { Clients } from '../../src/ingest/clients.ts';
import { BareClient, frame, SEND_PATH, TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';

const TOKEN = 'kq3VZ0o1c2mB9yTt8sWfXw';

for (const transport of TRANSPORTS) {
  describe(transport, () => {
    let server: TestServer;
    const clients: { close(): void }[] = [];

    afterEach(() => {
      for (const client of clients.splice(0)) client.close();
      server.destroy();
    });

    function newClient(): TestClient {
      const client = new TestClient(server.target);
      clients.push(client);
      return client;
    }
    function newBareClient(): BareClient {
      const client = new BareClient(server.target);
      clients.push(client);
      return client;
    }

    test('connections beyond MAX_CONNECTIONS are closed and counted; a place that is freed is given again', async () => {
      server = await TestServer.start(transport, { maxConnections: 2 });
      const first = newBareClient();
      const second = newBareClient();
      await Promise.all([once(first.session, 'remoteSettings'), once(second.session, 'remoteSettings')]);

      const port = Number(server.target.split(':').at(-1));
      const third = connect(port, '127.0.0.1');
      third.on('error', () => {});
      await new Promise((resolve) => third.on('close', resolve));
      assert.equal(server.refusedPeers.length, 1);
      assert.match(server.refusedPeers[0]!, /^127\.0\.0\.1:\d+$/);
      assert.equal(server.server.stats().connectionsRefused, 1);
      assert.equal(server.server.stats().connections, 2);

      first.close();
      while (server.server.stats().connections === 2) await new Promise(setImmediate);
      const pending = newClient().start(Buffer.alloc(1));
      (await server.nextCall()).respond(OK);
      assert.equal((await pending.result).code, status.OK);
      const stats = server.server.stats();
      assert.deepEqual([stats.connectionsOpened, stats.connectionsClosed, stats.connections], [3, 1, 2]);
    });

    test('the limits are told to the client', async () => {
      server = await TestServer.start(transport, { maxStreamsPerConnection: 7 });
      const [settings] = await once(newBareClient().session, 'remoteSettings');
      assert.equal(settings.maxConcurrentStreams, 7);
      assert.equal(settings.maxHeaderListSize, 8 * 1024);
    });

    test('calls beyond MAX_STREAMS_PER_CONNECTION wait at the client', async () => {
      server = await TestServer.start(transport, { maxStreamsPerConnection: 2 });
      const client = newClient();
      const pending = [1, 2, 3].map((byte) => client.start(Buffer.from([byte])));
      const first = await server.nextCall();
      const second = await server.nextCall();
      assert.deepEqual(server.books(), { received: 2, inFlight: 2 });
      first.respond(OK);
      (await server.nextCall()).respond(OK);
      second.respond(OK);
      for (const { result } of pending) assert.equal((await result).code, status.OK);
      assert.deepEqual(server.books(), { received: 3, ok: 3 });
    });

    test('requests that wait fill the receive budget: the next is refused for now, and all is given back', async () => {
      const requestBytes = 400_000;
      server = await TestServer.start(transport, {
        maxRequestBytes: requestBytes,
        receiveBufferBytes: 1.5 * 1024 * 1024,
      });
      const client = newClient();
      const pending = [client.start(Buffer.alloc(requestBytes)), client.start(Buffer.alloc(requestBytes))];
      const handled = [await server.nextCall(), await server.nextCall()];
      assert.equal(server.server.stats().receiveBufferUsedBytes, 2 * (CALL_COST_BYTES + requestBytes + 5));

      const refused = await client.send(Buffer.alloc(requestBytes));
      assert.equal(refused.code, status.UNAVAILABLE);
      assert.equal(refused.pushback, '250');
      assert.equal(refused.retryAfterMs, 250);
      assert.match(refused.message, /RECEIVE_BUFFER_BYTES \(1.5MiB\)/);
      assert.deepEqual(server.books(), { received: 3, inFlight: 2, 'refused queue_full': 1 });

      for (const { respond } of handled) respond(OK);
      for (const { result } of pending) assert.equal((await result).code, status.OK);
      assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
    });

    test('what a request grows to when inflated counts as well', async () => {
      const requestBytes = 400_000;
      server = await TestServer.start(transport, {
        maxRequestBytes: requestBytes,
        receiveBufferBytes: 1.5 * 1024 * 1024,
      });
      const bare = newBareClient();
      const bomb = () =>
        bare.post([frame(gzipSync(Buffer.alloc(requestBytes)), 1)], { 'grpc-encoding': 'gzip' });
      const pending = [bomb(), bomb()];
      const handled = [await server.nextCall(), await server.nextCall()];
      const refused = await bomb();
      assert.equal(refused.grpcStatus, String(status.UNAVAILABLE));
      for (const { respond } of handled) respond(OK);
      for (const result of pending) assert.equal((await result).grpcStatus, '0');
      assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
      assert.deepEqual(server.books(), { received: 3, ok: 2, 'refused queue_full': 1 });
    });

    test('a client that holds calls open on two connections leaves room for others, and so does an address with calls of health', async () => {
      const callsOfAll = 27;
      const tokens = parseTokenFile(`grabber ${TOKEN}\nother ${TOKEN}2`, 'required');
      assert.ok(tokens.ok);
      server = await TestServer.start(
        transport,
        { maxRequestBytes: 1024, receiveBufferBytes: callsOfAll * CALL_COST_BYTES },
        { door: new Authenticator(new Clients(10), tokens.entries) },
      );
      const grabbers = [newBareClient(), newBareClient()];
      const openCalls = () => server.server.stats().calls + server.server.stats().sideCalls;
      /** What the first that is answered is told; all others stay open. */
      const firstAnswer = (calls: number, headers: OutgoingHttpHeaders) => {
        const answers = Array.from({ length: calls }, (_, i) => grabbers[i % 2]!.post([], headers, false));
        return Promise.race(answers.map((answer) => answer.catch(() => undefined)));
      };
      // Two thirds for who comes first, two thirds of what he leaves for the next.
      for (const [path, held] of [
        [SEND_PATH, 18],
        ['/grpc.health.v1.Health/Watch', 6],
      ] as const) {
        const before = openCalls();
        const answer = await firstAnswer(held + 1, { ':path': path, authorization: `Bearer ${TOKEN}` });
        assert.equal(answer?.grpcStatus, String(status.UNAVAILABLE));
        assert.match(answer.grpcMessage, /hold what they may of RECEIVE_BUFFER_BYTES/);
        assert.equal(openCalls() - before, held);
      }

      const metadata = new Metadata();
      metadata.set('authorization', `Bearer ${TOKEN}2`);
      const pending = newClient().start(Buffer.alloc(1), { metadata });
      (await server.nextCall()).respond(OK);
      assert.equal((await pending.result).code, status.OK);
      for (const grabber of grabbers) grabber.close();
      while (openCalls() > 0) await new Promise(setImmediate);
      assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
    });

    test('open calls alone fill the budget too', async () => {
      server = await TestServer.start(transport, {
        maxRequestBytes: 1024,
        receiveBufferBytes: 2.5 * CALL_COST_BYTES,
      });
      const bare = newBareClient();
      const idle = (path: string) => bare.post([], { ':path': path }, false).catch(() => {});
      const open = [idle(SEND_PATH), idle('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')];
      const openCalls = () => server.server.stats().calls + server.server.stats().sideCalls;
      while (openCalls() < 2) await new Promise(setImmediate);
      assert.equal((await bare.post([frame(Buffer.alloc(1))])).grpcStatus, String(status.UNAVAILABLE));
      bare.close();
      await Promise.all(open);
      while (openCalls() > 0) await new Promise(setImmediate);
      assert.deepEqual(server.books(), { received: 2, 'refused queue_full': 1, 'failed cancelled': 1 });
      assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
    });
  });
}
