/** MAX_CONNECTION_AGE: a connection is asked to leave, loses no call over it, and is cut after the grace. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { OK } from '../../src/base/outcome.ts';
import { limitAge } from '../../src/grpc/connection-age.ts';
import { BareClient, frame, TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';
import { ManualClock } from '../support/manual-clock.ts';

const REQUEST = Buffer.from('request');

test('the age varies by a tenth, the grace follows, and a closed connection has no timer left', () => {
  const ages: number[] = [];
  for (let i = 0; i < 500; i++) {
    const clock = new ManualClock();
    const events: string[] = [];
    const at = (name: string) => () => void events.push(`${name} ${clock.monotonicMs()}`);
    const timer = limitAge({ maxConnectionAgeMs: 1000, maxConnectionAgeGraceMs: 50 }, clock, {
      leave: at('leave'),
      end: at('end'),
    });
    clock.advance(1100);
    clock.advance(50);
    const [left, ended] = events.map((event) => Number(event.split(' ')[1]));
    ages.push(left!);
    assert.ok(Math.abs(ended! - left! - 50) < 1e-6);
    timer.cancel();
    assert.equal(clock.armedTimers, 0);
  }
  assert.ok(Math.min(...ages) >= 900 && Math.max(...ages) <= 1100);
  assert.ok(Math.min(...ages) < 950 && Math.max(...ages) > 1050, 'spread');
});

test('0 is no limit, and a connection that closes young is left alone', () => {
  const clock = new ManualClock();
  const never = { leave: () => assert.fail(), end: () => assert.fail() };
  limitAge({ maxConnectionAgeMs: 0, maxConnectionAgeGraceMs: 1 }, clock, never);
  assert.equal(clock.armedTimers, 0);
  limitAge({ maxConnectionAgeMs: 1000, maxConnectionAgeGraceMs: 1 }, clock, never).cancel();
  clock.advance(10_000);
});

for (const transport of TRANSPORTS) {
  describe(transport, () => {
    test('a client under load changes its connection again and again and loses no call', {
      timeout: 30_000,
    }, async (t) => {
      const server = await TestServer.start(transport, { maxConnectionAgeMs: 100 });
      server.handler = (_request, _call, respond) => void setImmediate(respond, OK);
      // As clients are: a call that crossed the last GOAWAY is refused unseen, and the client's library sends it anew.
      const client = new TestClient(server.target, { 'grpc.enable_retries': 1 });
      t.after(() => {
        client.close();
        server.destroy();
      });
      while (server.server.stats().connectionsOpened < 4) {
        const results = await Promise.all(Array.from({ length: 20 }, () => client.send(REQUEST)));
        assert.deepEqual(
          results.filter(({ code }) => code !== 0),
          [],
        );
      }
      assert.equal(server.books().inFlight, undefined);
    });

    test('a call under way when the age is over is still answered, then the connection ends', {
      timeout: 30_000,
    }, async (t) => {
      const server = await TestServer.start(transport, {
        maxConnectionAgeMs: 100,
        maxConnectionAgeGraceMs: 20_000,
      });
      const bare = new BareClient(server.target);
      t.after(() => {
        bare.close();
        server.destroy();
      });
      const goaway = once(bare.session, 'goaway');
      const closed = once(bare.session, 'close');
      const answer = bare.post([frame(REQUEST)]);
      const call = await server.nextCall();
      const [code] = (await goaway) as [number];
      assert.equal(code, 0);
      call.respond(OK);
      assert.equal((await answer).grpcStatus, '0');
      await closed;
      assert.deepEqual(server.books(), { received: 1, ok: 1 });
    });

    test('after the grace what is left is cut', { timeout: 30_000 }, async (t) => {
      const server = await TestServer.start(transport, {
        maxConnectionAgeMs: 100,
        maxConnectionAgeGraceMs: 100,
      });
      const client = new TestClient(server.target);
      t.after(() => {
        client.close();
        server.destroy();
      });
      const pending = client.send(REQUEST);
      const handled = await server.nextCall();
      const cancelled = new Promise<void>((resolve) => {
        handled.call.onCancelled = resolve;
      });
      await cancelled;
      assert.notEqual((await pending).code, 0);
      assert.deepEqual(server.books(), { received: 1, 'failed cancelled': 1 });
    });
  });
}
