/** Several ingest threads in one daemon: one port, one set of bounds, and a thread that dies or hangs. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { InProcessDaemon } from '../support/daemon-in-process.ts';
import { TestClient } from '../support/grpc-client.ts';
import { item } from '../support/reading-bytes.ts';
import { watchHealth } from '../support/side-calls.ts';

const KiB = 1024;
const UNAVAILABLE = 14;
const RESOURCE_EXHAUSTED = 8;
const THREADS = ['ingest-1', 'ingest-2', 'ingest-3'];

type Test = { after(clean: () => Promise<void> | void): void };

/** Each has a connection of its own; 40 of them leave none of three threads without (in one of ten million runs). */
function clients(t: Test, daemon: InProcessDaemon, count = 40): TestClient[] {
  const all = Array.from({ length: count }, () => new TestClient(daemon.grpc));
  t.after(() => {
    for (const client of all) client.close();
  });
  return all;
}

/** `count` readings whose sensors are called `${name} 0`, `${name} 1` ... */
function request(name: string, count = 1, padding = ''): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.from(item(`${name} ${i}${padding}`))));
}

async function sensorsIn(folder: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) {
      const { sensor_name } = JSON.parse(line.toString()) as { sensor_name: string };
      found.set(sensor_name, (found.get(sensor_name) ?? 0) + 1);
    }
  }
  return found;
}

function lastLine(daemon: InProcessDaemon): string {
  return daemon.log.at(-1)!.msg;
}

for (const transport of ['grpc-js', 'native']) {
  describe(transport, () => {
    const start = (t: Parameters<typeof InProcessDaemon.start>[0], environment = {}) =>
      InProcessDaemon.start(t, { TRANSPORT: transport, ...environment });

    test('connections spread over the threads, and the books are one', { timeout: 60_000 }, async (t) => {
      const daemon = await start(t);
      const all = clients(t, daemon);
      const results = await Promise.all(all.map((client, i) => client.send(request(`sensor-${i}`))));
      assert.ok(results.every(({ code }) => code === 0));
      const { connections_by_thread, ledger } = await daemon.status();
      assert.deepEqual(Object.keys(connections_by_thread), THREADS);
      for (const name of THREADS)
        assert.ok(connections_by_thread[name]! > 0, JSON.stringify(connections_by_thread));
      assert.equal(
        Object.values(connections_by_thread).reduce((sum, count) => sum + count, 0),
        all.length,
      );
      assert.equal(ledger.readings.written, all.length);
      const metrics = await daemon.metrics();
      assert.match(metrics, /^telemetry_sink_connections 40$/m);
      assert.match(metrics, /^telemetry_sink_thread_connections\{thread="ingest-3"\} [1-9]/m);
      assert.equal(await daemon.stop(), 0);
      assert.match(
        lastLine(daemon),
        /received 40 = ok 40 .*\(difference 0\); .*written 40 .*\(difference 0\)$/,
      );
    });

    test('RATE_PER_SECOND is one for all threads', { timeout: 60_000 }, async (t) => {
      const bytes = request('sensor').length;
      // At one byte per second nothing flows in while the test runs: what passes is the burst.
      const daemon = await start(t, {
        RATE_PER_SECOND: '1',
        RATE_BURST: String(10 * bytes + bytes - 1),
        MAX_REQUEST_BYTES: '1KiB',
      });
      const results = await Promise.all(clients(t, daemon).map((client) => client.send(request('sensor'))));
      assert.equal(results.filter(({ code }) => code === 0).length, 10);
      const refused = results.filter(({ code }) => code === RESOURCE_EXHAUSTED);
      assert.equal(refused.length, 30);
      for (const { retryAfterMs } of refused) assert.ok(retryAfterMs! > 0 && retryAfterMs! <= bytes * 1000);
    });

    test('QUEUE_BYTES is one for all threads', { timeout: 60_000 }, async (t) => {
      const daemon = await start(t, {
        ACK: 'accepted',
        QUEUE_FULL: 'refuse',
        QUEUE_BYTES: '1MiB',
        BUFFER_BYTES: '64KiB',
        MAX_REQUEST_BYTES: '64KiB',
      });
      const release = await daemon.hold('writer');
      const padding = 'x'.repeat(900);
      let accepted = 0;
      let lastRefused = 0;
      await Promise.all(
        clients(t, daemon).map(async (client, i) => {
          for (let n = 0; ; n++) {
            const { code } = await client.send(request(`sensor-${i}-${n}`, 4, padding));
            if (code === 0) accepted += 4;
            else {
              lastRefused = code;
              break;
            }
          }
        }),
      );
      assert.equal(lastRefused, UNAVAILABLE);
      await release();
      assert.equal(await daemon.stop(), 0);
      const found = await sensorsIn(daemon.folder);
      assert.equal(found.size, accepted, 'all that was accepted is written');
      let bytes = 0;
      for await (const chunk of allLines(daemon.folder)) bytes += chunk.length;
      assert.ok(bytes <= 1024 * KiB, `${bytes} bytes were queued at once`);
      assert.ok(bytes > 768 * KiB, `${bytes} bytes: the room of one thread is not cut off from the others`);
    });

    test('MAX_CONNECTIONS is one for all threads', { timeout: 60_000 }, async (t) => {
      const daemon = await start(t, { MAX_CONNECTIONS: '10' });
      const results = await Promise.all(
        clients(t, daemon).map((client) => client.send(request('sensor'), { deadline: Date.now() + 5000 })),
      );
      assert.equal(results.filter(({ code }) => code === 0).length, 10);
      assert.equal(await daemon.stop(), 0);
      assert.ok(daemon.log.some(({ msg }) => msg.includes('MAX_CONNECTIONS')));
    });

    test('requests that wait for room held by another thread get it', { timeout: 60_000 }, async (t) => {
      // A thread gathers nearly all of the queue and would keep it for an hour.
      const daemon = await start(t, {
        ACK: 'accepted',
        QUEUE_BYTES: '1MiB',
        BUFFER_BYTES: '1MiB',
        MAX_REQUEST_BYTES: '1MiB',
        BUFFER_FLUSH_INTERVAL: '1h',
        QUEUE_WAIT_MAX: '10m',
      });
      const padding = 'x'.repeat(900);
      const [first, ...others] = clients(t, daemon);
      assert.equal((await first!.send(request('first', 800, padding))).code, 0);
      const results = await Promise.all(
        others.map((client, i) => client.send(request(`other-${i}`, 50, padding))),
      );
      assert.deepEqual(
        results.filter(({ code }) => code !== 0),
        [],
      );
      assert.equal(await daemon.stop(), 0);
      assert.equal((await sensorsIn(daemon.folder)).size, 800 + others.length * 50);
    });

    test('a thread is ended again and again in mid-load: nothing acknowledged is missing, the books balance', {
      timeout: 120_000,
    }, async (t) => {
      const daemon = await start(t);
      const acknowledged = new Set<string>();
      const unclear = new Set<string>();
      let isOver = false;
      const load = clients(t, daemon).map(async (client, i) => {
        for (let n = 0; !isOver; n++) {
          const name = `sensor-${i}-${n}`;
          const { code } = await client.send(request(name, 20));
          (code === 0 ? acknowledged : unclear).add(name);
        }
      });
      for (let round = 1; round <= 6; round++) {
        const before = acknowledged.size;
        while (acknowledged.size < before + 200) await new Promise((done) => setTimeout(done, 5));
        // The writer is busy, so that there are calls under way: what they brought is written when it is free.
        const release = await daemon.hold('writer');
        await daemon.until(({ ledger }) => ledger.requests.in_flight >= 30);
        const thread = THREADS[round % 3]!;
        if (transport === 'native' && round > 3) await daemon.kill(thread);
        else await daemon.break(thread);
        await daemon.until(({ readiness }) => readiness.some(({ ok }) => !ok));
        await release();
        await daemon.until(({ readiness }) => readiness.every(({ ok }) => ok));
      }
      isOver = true;
      await Promise.all(load);
      // The thread that was ended last takes connections again.
      await Promise.all(clients(t, daemon).map((client) => client.send(request('afterwards', 20))));
      const { connections_by_thread } = await daemon.status();
      for (const name of THREADS) assert.ok(connections_by_thread[name]! > 0, name);
      const { ledger } = await daemon.status();
      assert.equal(ledger.requests.difference, 0);
      assert.equal(ledger.readings.difference, 0);
      const metrics = await daemon.metrics();
      assert.match(metrics, /^telemetry_sink_thread_restarts_total\{thread="ingest-2"\} 2$/m);
      assert.equal(await daemon.stop(), 0);

      const found = await sensorsIn(daemon.folder);
      const missing = [...acknowledged].filter(
        (name) => found.get(`${name} 0`) !== 1 || found.get(`${name} 19`) !== 1,
      );
      assert.deepEqual(missing, []);
      const [, received, ok, failed, decoded, written] =
        /received (\d+) = ok (\d+) \+ refused 0 \+ failed (\d+) \+ in flight 0 \(difference 0\); readings decoded (\d+) = written (\d+) \+ .* in flight 0 \(difference 0\)$/
          .exec(lastLine(daemon))!
          .map(Number);
      assert.equal(ok! + failed!, received);
      assert.ok(failed! > 0, 'calls were under way when a thread was ended');
      assert.ok(ok! >= acknowledged.size);
      assert.ok(written! > 20 * ok!, 'of calls that failed with their thread some had been written');
      // Written is what is in the files, also where the thread did not live to know it.
      assert.equal(
        written,
        [...found.values()].reduce((sum, count) => sum + count, 0),
      );
      t.diagnostic(
        `${acknowledged.size} acknowledged, ${unclear.size} not; ${failed} failed; ${decoded! - written!} readings lost`,
      );
    });
  });
}

test('an error that nobody catches ends its thread alone, is logged, and the thread comes back', {
  timeout: 60_000,
}, async (t) => {
  const daemon = await InProcessDaemon.start(t);
  await daemon.break('ingest-2');
  await daemon.until(() => daemon.log.some(({ msg }) => msg.includes('pulled the rug')));
  await daemon.until(({ readiness }) => readiness.every(({ ok }) => ok));
  const all = clients(t, daemon);
  const results = await Promise.all(all.map((client) => client.send(request('sensor'))));
  assert.ok(results.every(({ code }) => code === 0));
  assert.ok((await daemon.status()).connections_by_thread['ingest-2']! > 0);
  assert.equal(await daemon.stop(), 0);
});

test('a thread that hangs: the others say NOT_SERVING and the daemon is not ready, until it is back', {
  timeout: 60_000,
}, async (t) => {
  const daemon = await InProcessDaemon.start(t);
  const watches = clients(t, daemon).map((client) => watchHealth(client, ''));
  for (const watch of watches) assert.equal(await watch.next(), 'SERVING');
  const onStuckThread = (await daemon.status()).connections_by_thread['ingest-1']!;
  const release = await daemon.hold('ingest-1');
  const states = watches.map((watch) => watch.next());
  const { readiness } = await daemon.until(({ readiness }) => readiness.some(({ ok }) => !ok));
  assert.match(readiness.map(({ reason }) => reason ?? '').join(), /ingest-1.*no sign of life/);
  let told = 0;
  const toldAll = new Promise<void>((resolve) => {
    for (const state of states) {
      void state.then((status) => {
        assert.equal(status, 'NOT_SERVING');
        if (++told === watches.length - onStuckThread) resolve();
      });
    }
  });
  await toldAll;
  await release();
  // Those of the thread that hung never heard of it, or hear both.
  const again = await Promise.race(
    watches.map(async (watch) => {
      for (;;) if ((await watch.next()) === 'SERVING') return 'SERVING';
    }),
  );
  assert.equal(again, 'SERVING');
  await daemon.until(({ readiness }) => readiness.every(({ ok }) => ok));
  for (const watch of watches) {
    watch.cancel();
  }
  assert.equal(await daemon.stop(), 0);
});

test('a thread that hangs does not cost the others their drain', { timeout: 60_000 }, async (t) => {
  const daemon = await InProcessDaemon.start(t, {
    ACK: 'accepted',
    BUFFER_FLUSH_INTERVAL: '1h',
    DRAIN_TIMEOUT: '6s',
  });
  const all = clients(t, daemon);
  for (const [i, client] of all.entries()) {
    assert.equal((await client.send(request(`sensor-${i}`))).code, 0);
  }
  const byThread = (await daemon.status()).connections_by_thread;
  await daemon.hold('ingest-1');
  assert.equal(await daemon.stop(), 1);
  assert.match(lastLine(daemon), /in flight 0 \(difference 0\)$/);
  // Accepted means queued: what only the thread that hangs had is lost with it, and said to be.
  assert.equal((await sensorsIn(daemon.folder)).size, all.length - byThread['ingest-1']!);
  assert.match(lastLine(daemon), new RegExp(`lost ${byThread['ingest-1']} `));
});

test('a thread that dies behind the writer has its books closed: nobody is left to say what became of its batches', {
  timeout: 60_000,
}, async (t) => {
  const daemon = await InProcessDaemon.start(t, { DRAIN_TIMEOUT: '6s' });
  await daemon.hold('ingest-1');
  await daemon.kill('writer');
  assert.equal(await daemon.stop(), 1);
  const messages = daemon.log.map(({ msg }) => msg);
  assert.ok(messages.some((msg) => msg.includes('ingest-1 thread: hangs, and is given up')));
  assert.deepEqual(
    messages.filter((msg) => msg.includes('batches on their way to the writer')),
    [],
  );
});

test('abort does not wait for a thread that hangs', { timeout: 60_000 }, async (t) => {
  const daemon = await InProcessDaemon.start(t);
  await daemon.hold('ingest-3');
  assert.equal(await daemon.abort(), 1);
  assert.match(lastLine(daemon), /^balance: .*\(difference 0\).*\(difference 0\)$/);
});
