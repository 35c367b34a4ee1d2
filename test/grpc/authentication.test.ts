/** What the door says is what the caller gets, on each transport: before the body is taken on, and in the books. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { OK } from '../../src/base/outcome.ts';
import { parseTokenFile } from '../../src/base/token-file.ts';
import { Authenticator } from '../../src/ingest/authenticator.ts';
import { Clients } from '../../src/ingest/clients.ts';
import { BareClient, frame, TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';
import { TestStream } from '../support/stream-client.ts';

const TOKEN = 'kq3VZ0o1c2mB9yTt8sWfXw';
const UNAUTHENTICATED = 16;

function parse(...lines: string[]) {
  const parsed = parseTokenFile(lines.join('\n'), 'required');
  assert.ok(parsed.ok);
  return parsed.entries;
}

function door(...lines: string[]): Authenticator {
  return new Authenticator(new Clients(100), parse(...lines));
}

function bearer(token: string): { metadata: Metadata } {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return { metadata };
}

for (const transport of TRANSPORTS) {
  test(`${transport}: with tokens only those who have one get in; health is open, reflection is not`, async (t) => {
    const gate = door(`boiler ${TOKEN}`);
    const started = await TestServer.start(transport, {}, { door: gate });
    const client = new TestClient(started.target);
    t.after(() => {
      client.close();
      started.destroy();
    });
    const names: string[] = [];
    started.handler = (_request, call, respond) => {
      names.push(call.client.key);
      respond(OK);
    };

    const none = await client.send(Buffer.alloc(10));
    assert.equal(none.code, UNAUTHENTICATED);
    assert.equal(none.pushback, '-1');
    assert.equal(none.retryAfterMs, undefined);
    assert.match(none.message, /no token.*authorization: Bearer/);
    const wrong = await client.send(Buffer.alloc(10), bearer('not-the-right-token'));
    assert.equal(wrong.code, UNAUTHENTICATED);
    assert.doesNotMatch(wrong.message, /right-token/);
    assert.equal((await client.send(Buffer.alloc(10), bearer(TOKEN))).code, 0);
    assert.equal((await client.send(Buffer.alloc(10), bearer(TOKEN))).code, 0);
    assert.deepEqual(names, ['token:boiler', 'token:boiler']);

    // Withdrawn: the same connection, the same header.
    gate.setTokens([]);
    assert.equal((await client.send(Buffer.alloc(10), bearer(TOKEN))).code, UNAUTHENTICATED);
    assert.deepEqual(started.books(), { received: 5, ok: 2, 'refused unauthenticated': 3 });

    const health = '/grpc.health.v1.Health/Check';
    assert.equal((await client.send(Buffer.alloc(0), { path: health })).code, 0);
    const bare = new BareClient(started.target);
    t.after(() => bare.close());
    const reflection = { ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo' };
    const shut = await bare.post([frame(Buffer.from([0x3a, 0x00]))], reflection);
    assert.equal(shut.grpcStatus, '16');
    assert.equal(shut.pushback, '-1');
    const stream = await bare.post([frame(Buffer.alloc(3))], {
      ':path': '/sensor.v1.SensorService/StreamSensorValues',
    });
    assert.equal(stream.grpcStatus, '16');
    assert.equal(stream.pushback, '-1');
  });

  test(`${transport}: a stream needs a token too, and ends at the next request when it is withdrawn`, async (t) => {
    const gate = door(`boiler ${TOKEN}`);
    const started = await TestServer.start(transport, {}, { door: gate });
    const client = new TestClient(started.target);
    t.after(() => {
      client.close();
      started.destroy();
    });
    started.handler = (_request, _call, respond) => respond(OK);
    const stranger = await new TestStream(client.bare).ended;
    assert.equal(stranger.code, UNAUTHENTICATED);
    assert.equal(stranger.metadata.get('grpc-retry-pushback-ms')[0], '-1');
    assert.deepEqual(started.books(), {});

    const stream = new TestStream(client.bare, bearer(TOKEN));
    stream.send(Buffer.alloc(10));
    assert.ok(await stream.until(1));
    // A change that leaves the token good is not noticed.
    gate.setTokens(parse(`boiler ${TOKEN}`, `other ${TOKEN}x`));
    stream.send(Buffer.alloc(10));
    assert.ok(await stream.until(2));
    gate.setTokens([]);
    stream.send(Buffer.alloc(10));
    assert.equal((await stream.ended).code, UNAUTHENTICATED);
    assert.equal(stream.last, 2);
    assert.deepEqual(started.books(), { received: 3, ok: 2, 'refused unauthenticated': 1 });
  });

  test(`${transport}: the body of an unauthenticated call is not held`, async (t) => {
    const started = await TestServer.start(
      transport,
      { maxRequestBytes: 4 * 1024 * 1024, receiveBufferBytes: 1024 * 1024 },
      { door: door(`boiler ${TOKEN}`) },
    );
    const bare = new BareClient(started.target);
    t.after(() => {
      bare.close();
      started.destroy();
    });
    // Announced, begun, and never finished: with the budget taken for it, the second could not have begun.
    const announced = frame(Buffer.alloc(1024 * 1024)).subarray(0, 1000);
    for (let i = 0; i < 20; i++) {
      const result = await bare.post([announced], {}, false);
      assert.equal(result.grpcStatus, '16');
    }
    assert.equal(started.server.stats().receiveBufferUsedBytes, 0);
    assert.deepEqual(started.books(), { received: 20, 'refused unauthenticated': 20 });
  });

  test(`${transport}: hostile authorization headers are refused and harm nobody`, async (t) => {
    const started = await TestServer.start(transport, {}, { door: door(`boiler ${TOKEN}`) });
    const bare = new BareClient(started.target);
    t.after(() => {
      bare.close();
      started.destroy();
    });
    started.handler = (_request, _call, respond) => respond(OK);
    const body = [frame(Buffer.alloc(3))];
    for (const authorization of [
      '',
      'Bearer',

      `Basic ${TOKEN}`,
      `Bearer ${'a'.repeat(6000)}`,
      `Bearer ${TOKEN}, Bearer x`,
      'Bearer \u00fc\u00e4"\\',
    ]) {
      assert.equal((await bare.post(body, { authorization })).grpcStatus, '16', authorization.slice(0, 30));
    }
    assert.equal((await bare.post(body, { authorization: `bearer ${TOKEN}` })).grpcStatus, '0');
  });
}
