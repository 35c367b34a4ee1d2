/** The stop of the gRPC front: who is refused, who may finish, and what is ended by us. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { OK } from '../../src/base/outcome.ts';
import { BareClient, frame, TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';
import { openReflection, watchHealth } from '../support/side-calls.ts';

const REQUEST = Buffer.from('request');

for (const transport of TRANSPORTS) {
  describe(transport, () => {
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

    test('an idle server stops at once, and its port is free again', async () => {
      assert.deepEqual(await server.server.stop(10_000), { finished: true, left: 0 });
      const port = Number(server.target.split(':').at(-1));
      const successor = createServer().listen(port, '127.0.0.1');
      await once(successor, 'listening');
      assert.equal((successor.address() as AddressInfo).port, port);
      successor.close();
    });

    test('beginDrain: NOT_SERVING for watchers, and calls are still served', async () => {
      const watch = watchHealth(client, '');
      assert.equal(await watch.next(), 'SERVING');
      server.server.beginDrain();
      assert.equal(await watch.next(), 'NOT_SERVING');
      const pending = client.start(REQUEST);
      (await server.nextCall()).respond(OK);
      assert.equal((await pending.result).code, status.OK);
    });

    test('stop: a call in flight finishes, new ones are refused, watches and reflection end, sockets close', async () => {
      const watch = watchHealth(client, 'sensor.v1.SensorService');
      assert.equal(await watch.next(), 'SERVING');
      const reflection = openReflection(client);
      assert.equal(
        await reflection.ask({ listServices: '' }).then((r) => r.messageResponse),
        'listServicesResponse',
      );
      assert.equal(server.server.stats().sideCalls, 2);

      const pending = client.start(REQUEST);
      const handled = await server.nextCall();
      const bare = new BareClient(server.target);
      await once(bare.session, 'remoteSettings');

      // On its way when the stop begins: the client writes it at the end of this turn of the loop, right before us,
      // and the server reads it in the next. (Out of the callback that brought the settings first: it writes at its end.)
      await new Promise(setImmediate);
      const crossing = bare.post([frame(REQUEST)]);
      await new Promise(setImmediate);
      let stopped = false;
      const stop = server.server.stop(10_000).then((result) => {
        stopped = true;
        return result;
      });
      assert.equal(await watch.next(), 'NOT_SERVING');
      assert.equal((await watch.ended).code, status.UNAVAILABLE);
      assert.equal((await reflection.ended).code, status.UNAVAILABLE);

      const late = await crossing;
      assert.equal(late.grpcStatus, String(status.UNAVAILABLE));
      assert.equal(late.pushback, '1000');
      assert.ok(late.headers['grpc-status-details-bin']);
      assert.equal(stopped, false);

      handled.respond(OK);
      assert.equal((await pending.result).code, status.OK);
      assert.deepEqual(await stop, { finished: true, left: 0 });
      assert.deepEqual(server.books(), { received: 2, ok: 1, 'refused draining': 1 });
      const stats = server.server.stats();
      assert.equal(stats.connections, 0);
      assert.equal(stats.connectionsOpened, stats.connectionsClosed);
      assert.equal(stats.sideCalls, 0);
    });

    test('stop: a request that is half way in may still come in', async () => {
      const bare = new BareClient(server.target);
      const stream = bare.session.request({
        ':method': 'POST',
        ':path': '/sensor.v1.SensorService/SendSensorValues',
        'content-type': 'application/grpc',
      });
      const bytes = frame(REQUEST);
      stream.write(bytes.subarray(0, 3));
      while (server.server.stats().requestBytes < 3) await new Promise(setImmediate);
      const stop = server.server.stop(10_000);
      stream.end(bytes.subarray(3));
      const trailers = once(stream, 'trailers');
      stream.resume();
      (await server.nextCall()).respond(OK);
      assert.equal((await trailers)[0]['grpc-status'], '0');
      assert.deepEqual(await stop, { finished: true, left: 0 });
      assert.deepEqual(server.books(), { received: 1, ok: 1 });
      bare.close();
    });

    test('stop: what is left at the deadline is answered and counted as drain_deadline', async () => {
      const pending = [client.start(REQUEST), client.start(REQUEST)];
      const handled = [await server.nextCall(), await server.nextCall()];
      let told = 0;
      for (const { call } of handled) {
        call.onCancelled = () => {
          told++;
        };
      }
      assert.deepEqual(await server.server.stop(20), { finished: false, left: 2 });
      for (const { result } of pending) {
        const { code, pushback, retryAfterMs } = await result;
        assert.equal(code, status.UNAVAILABLE);
        // As when a connection breaks: it may be stored already, and a hint would say that it is not.
        assert.equal(pushback, undefined);
        assert.equal(retryAfterMs, undefined);
      }
      assert.equal(told, 2);
      for (const { call, respond } of handled) {
        assert.equal(call.cancelled, true);
        respond(OK);
      }
      assert.deepEqual(server.books(), { received: 2, 'failed drain_deadline': 2 });
      assert.equal(server.server.stats().connections, 0);
    });

    test('stop: a peer that never speaks does not hold it up', async () => {
      const port = Number(server.target.split(':').at(-1));
      const mute: Socket = connect(port, '127.0.0.1');
      await once(mute, 'connect');
      mute.on('error', () => {});
      const gone = once(mute, 'close');
      mute.resume();
      while (server.server.stats().connections === 0) await new Promise(setImmediate);
      assert.deepEqual(await server.server.stop(10_000), { finished: true, left: 0 });
      await gone;
      assert.equal(server.server.stats().connections, 0);
    });

    test('destroy: calls in flight fail, connections are gone, the books balance', async () => {
      const pending = client.start(REQUEST);
      await server.nextCall();
      server.destroy();
      assert.equal((await pending.result).code, status.UNAVAILABLE);
      assert.deepEqual(server.books(), { received: 1, 'failed drain_deadline': 1 });
      server.destroy();
    });

    test('stop twice, and destroy while stopping, are harmless', async () => {
      client.start(REQUEST);
      await server.nextCall();
      const first = server.server.stop(10_000);
      server.destroy();
      await first;
      await server.server.stop(10);
      assert.deepEqual(server.books(), { received: 1, 'failed drain_deadline': 1 });
    });

    test('health: Check and Watch by name', async () => {
      const check = (name: string) =>
        new Promise<[number, string | undefined]>((resolve) => {
          const { path, requestSerialize, responseDeserialize } = healthService.Check!;
          client.bare.makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            { service: name },
            (error, value) => resolve([error?.code ?? 0, (value as { status: string } | undefined)?.status]),
          );
        });
      assert.deepEqual(await check(''), [status.OK, 'SERVING']);
      assert.deepEqual(await check('sensor.v1.SensorService'), [status.OK, 'SERVING']);
      assert.deepEqual(await check('nobody'), [status.NOT_FOUND, undefined]);
      const watch = watchHealth(client, 'nobody');
      assert.equal(await watch.next(), 'SERVICE_UNKNOWN');
      server.server.beginDrain();
      assert.deepEqual(await check(''), [status.OK, 'NOT_SERVING']);
      assert.deepEqual(await check('liveness'), [status.OK, 'SERVING']);
      assert.deepEqual(server.books(), {});
    });
  });
}
