/** Everything at once: answers of all speeds, cancellations, deadlines, requests too large, and a stop in the middle. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { OK } from '../../src/base/outcome.ts';
import { seededRandom } from '../../src/base/random.ts';
import { TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';

const CALLS = 2000;

for (const transport of TRANSPORTS) {
  describe(transport, () => {
    for (const seed of [1, 2]) {
      test(`the books balance whatever clients do (seed ${seed})`, async () => {
        const random = seededRandom(seed);
        const server = await TestServer.start(transport);
        server.handler = (_request, _call, respond) => {
          const speed = random.below(3);
          if (speed === 0) respond(OK);
          else if (speed === 1) setImmediate(respond, OK);
          else setTimeout(respond, random.below(20), OK);
        };
        const clients = Array.from({ length: 8 }, () => new TestClient(server.target));
        // Connected before the stop can close the door.
        await Promise.all(clients.map((client) => client.send(Buffer.alloc(1))));
        const warmUps = server.books().ok!;
        const codes = new Map<number, number>();
        const results: Promise<unknown>[] = [];
        let stopped: ReturnType<typeof server.server.stop> | undefined;
        for (let i = 0; i < CALLS; i++) {
          const client = clients[random.below(clients.length)]!;
          const kind = random.below(6);
          const bytes = kind === 0 ? 70_000 : random.below(10_000);
          const call = client.start(
            Buffer.alloc(bytes),
            kind === 1 ? { deadline: Date.now() + random.below(30) } : {},
          );
          if (kind === 2) setTimeout(call.cancel, random.below(15));
          results.push(call.result.then(({ code }) => codes.set(code, (codes.get(code) ?? 0) + 1)));
          if (i === CALLS / 2) stopped = server.server.stop(10_000);
          if (i % 10 === 0) await new Promise(setImmediate);
        }
        await Promise.all(results);
        assert.deepEqual(await stopped, { finished: true, left: 0 });

        const { received, ok, inFlight, refused, failed, difference } = server.ledger.snapshot().requests;
        assert.equal(difference, 0);
        assert.equal(inFlight, 0);
        assert.ok(received > warmUps && refused.too_large > 0 && failed.cancelled + failed.deadline > 0);
        // Whoever was told OK is in the books as OK; some were gone before they could read it.
        assert.ok((codes.get(status.OK) ?? 0) <= ok - warmUps);
        // A refusal for good is never lost to the reset that follows it.
        assert.equal(codes.get(status.RESOURCE_EXHAUSTED), refused.too_large);
        assert.equal(failed.protocol + failed.internal + failed.drain_deadline, 0);
        assert.equal(codes.get(status.INTERNAL), undefined);
        assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
        assert.equal(server.server.stats().connections, 0);
        for (const client of clients) client.close();
        server.destroy();
      });
    }
  });
}
