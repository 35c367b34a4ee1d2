/**
 * kill -9 at random moments, again and again on one folder, under the load of clients that number their readings,
 * reconnect and repeat: in the end each of them has each of its numbers in the journal, once, in order, without a gap.
 *
 *   npm run test:crash                            500 times
 *   ROUNDS=20 SEED=7 npm test -- test/crash       other moments
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/base/random.ts';
import { numbersIn } from '../../src/journal/producers/line-numbers.ts';
import { allLines } from '../../src/journal/reader.ts';
import { runCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { NumberedClient } from '../support/numbered-client.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SEED = Number(process.env.SEED ?? 20_261_121);
const CLIENTS = 8;
const READINGS_PER_REQUEST = 20;
/** The kill comes this long after so many readings of the life were acknowledged, at most. */
const MOST_READINGS = 4000;
const MOST_DELAY_MS = 30;

interface Book {
  readonly difference: number;
}

test(`${ROUNDS} x kill -9 under numbered load`, { timeout: (ROUNDS + 20) * 20_000 }, async (t) => {
  const random = seededRandom(SEED);
  const pick = <T>(...choices: T[]): T => choices[Math.floor(random.next() * choices.length)]!;
  const home = await daemonHome(t);
  const port = await freePort();
  const start = () =>
    home.start({
      GRPC_SERVER_SOCKET: `127.0.0.1:${port}`,
      TRANSPORT: pick('native', 'grpc-js'),
      INGEST_THREADS: pick('1', '2'),
      ACK: pick('accepted', 'written', 'synced'),
      ROTATE_BYTES: pick('64KiB', '256KiB'),
      COMPRESS: pick('none', 'zstd'),
      LOGGER_MIN_LOG_LEVEL: 'info',
    });
  const clients = Array.from(
    { length: CLIENTS },
    (_, i) => new NumberedClient(`127.0.0.1:${port}`, `producer-${i}`, READINGS_PER_REQUEST),
  );
  t.after(() => {
    for (const client of clients) client.close();
  });

  for (let round = 0; round < ROUNDS; round++) {
    const daemon = start();
    const readings = Math.ceil(random.next() * MOST_READINGS);
    await daemon.ready();
    await pick(...clients).progress(readings / CLIENTS);
    await sleep(random.next() * MOST_DELAY_MS);
    daemon.signal('SIGKILL');
    await daemon.exited;
    if (round % 50 === 49) t.diagnostic(`${round + 1} kills, ${sum(clients)} readings acknowledged`);
  }

  const last = start();
  await last.ready();
  await Promise.all(clients.map((client) => client.finish()));
  assert.deepEqual(await last.stop(), { status: 0, signal: null });
  const { requests, readings } = last.log.at(-1) as unknown as Record<'requests' | 'readings', Book>;
  assert.deepEqual([requests.difference, readings.difference], [0, 0]);
  for (const client of clients) assert.deepEqual(client.faults, [], client.producerId);

  const runs = new Map<string, { first: bigint; last: bigint }[]>();
  for await (const lines of allLines(home.folder)) {
    numbersIn(lines, (id, first, last) => {
      const ofProducer = runs.get(id) ?? [];
      const before = ofProducer.at(-1);
      if (before !== undefined && before.last + 1n === first) before.last = last;
      else ofProducer.push({ first, last });
      runs.set(id, ofProducer);
    });
  }
  for (const { producerId, acknowledged } of clients) {
    // One run from 1 on: none missing, none repeated, none out of order.
    assert.deepEqual(
      runs.get(producerId),
      [{ first: 1n, last: BigInt(acknowledged) }],
      `${producerId}, SEED=${SEED}`,
    );
  }
  const verified = await runCommand(['verify', home.folder]);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  const repeats = clients.reduce((total, client) => total + client.repeats, 0);
  t.diagnostic(`${ROUNDS} kills, ${sum(clients)} readings acknowledged, ${repeats} requests repeated`);
});

function sum(clients: readonly NumberedClient[]): number {
  return clients.reduce((total, { acknowledged }) => total + acknowledged, 0);
}
