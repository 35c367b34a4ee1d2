/**
 * A real daemon with two ingest threads and ten clients, of a byte rate or in front of a slow disk: one asks for a
 * hundred times its share, nine for less than theirs. Nobody retries. SECONDS= makes it longer.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { TRANSPORTS } from '../support/grpc-server.ts';
import { item } from '../support/reading-bytes.ts';

const SECONDS = Number(process.env.SECONDS ?? 4);
const MODEST = 9;
/** Where others take the machine, a try says nothing of the daemon; one that is unfair is so every time. */
const TRIES = 3;
/** All begin at once, with an empty queue and a full bucket: in the first second it has yet to show who wants how much. */
const COUNT_FROM_MS = 1000;
/** A line is so much longer than the reading in its request. */
const LINE_PER_READING = 1.5;
const reading = Buffer.from(item('x'.repeat(180)));

class Sender {
  asked = 0;
  granted = 0;
  /** What was asked for before is not counted. */
  #begun = 0;
  readonly #connections: readonly TestClient[];
  readonly #metadata = new Metadata();
  readonly #request: Buffer;
  readonly #perSecond: number;
  readonly #underWay = new Set<Promise<void>>();

  constructor(
    target: string,
    token: string,
    connections: number,
    requestBytes: number,
    bytesPerSecond: number,
  ) {
    this.#connections = Array.from({ length: connections }, () => new TestClient(target));
    this.#metadata.set('authorization', `Bearer ${token}`);
    this.#request = Buffer.concat(Array(Math.ceil(requestBytes / reading.length)).fill(reading));
    this.#perSecond = bytesPerSecond / this.#request.length;
  }

  /** As many as should have been asked for by now. */
  askUpTo(elapsedMs: number): void {
    for (; this.#begun < (elapsedMs / 1000) * this.#perSecond; this.#begun++) {
      const client = this.#connections[this.#begun % this.#connections.length]!;
      const counts = elapsedMs >= COUNT_FROM_MS ? 1 : 0;
      this.asked += counts;
      const done = client.send(this.#request, { metadata: this.#metadata }).then(({ code }) => {
        if (code === 0) this.granted += counts;
        this.#underWay.delete(done);
      });
      this.#underWay.add(done);
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#underWay);
    for (const client of this.#connections) client.close();
  }
}

interface Bottleneck {
  readonly name: string;
  /** Bytes of requests a second that it lets through. */
  readonly bytesPerSecond: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly modestRequestBytes: number;
  /** How the metric of shares calls it. */
  readonly resource: string;
}

const bottlenecks: readonly Bottleneck[] = [
  {
    name: 'of the byte rate',
    bytesPerSecond: 200_000,
    environment: { RATE_PER_SECOND: '200000B', RATE_BURST: '200000B' },
    modestRequestBytes: 800,
    resource: 'rate',
  },
  ...['wait', 'refuse'].map((whenFull) => ({
    name: `of a slow disk, QUEUE_FULL=${whenFull}`,
    bytesPerSecond: 700_000,
    environment: {
      QUEUE_FULL: whenFull,
      QUEUE_BYTES: '1MiB',
      BUFFER_BYTES: '32KiB',
      MAX_REQUEST_BYTES: '256KiB',
      DIRECT_WRITES: 'off',
      NODE_OPTIONS: `--import ${new URL('../overload/slow-disk.ts', import.meta.url).pathname}`,
      SLOW_DISK_BYTES_PER_SECOND: String(700_000 * LINE_PER_READING),
    },
    modestRequestBytes: 2000,
    resource: 'queue',
  })),
];

for (const transport of TRANSPORTS) {
  for (const bottleneck of bottlenecks) {
    const { name } = bottleneck;
    test(`${transport}: one at 100 times its share ${name} leaves nine others 95% of what they ask for`, async (t) => {
      for (let tries = 1; ; tries++) {
        const parts = await partsGranted(t, transport, bottleneck);
        t.diagnostic(parts.map((part) => part.toFixed(3)).join(' '));
        assert.ok(parts[0]! < 0.3, `the aggressive one was not limited: ${parts[0]}`);
        if (parts.slice(1).every((part) => part >= 0.95)) return;
        assert.ok(tries < TRIES, `of what each of the others asked for: ${parts.slice(1).join(' ')}`);
      }
    });
  }
}

/** Of what each asked for; the first is the aggressive one. */
async function partsGranted(
  t: TestContext,
  transport: string,
  { bytesPerSecond, environment, modestRequestBytes, resource }: Bottleneck,
): Promise<readonly number[]> {
  const home = await daemonHome(t);
  const tokens = join(home.folder, '..', 'tokens');
  const tokenOf = (i: number): string => `token-of-client-number-${i}`;
  const names = Array.from({ length: MODEST + 1 }, (_, i) => `client-${i} ${tokenOf(i)}`);
  await writeFile(tokens, names.join('\n'));
  const daemon = home.start({
    TRANSPORT: transport,
    INGEST_THREADS: '2',
    TOKENS_FILE: tokens,
    ...environment,
  });
  const { grpc, admin } = await daemon.ready();
  const share = bytesPerSecond / (MODEST + 1);
  const senders = [
    new Sender(grpc, tokenOf(0), 4, 20_000, 100 * share),
    ...Array.from(
      { length: MODEST },
      (_, i) => new Sender(grpc, tokenOf(i + 1), 1, modestRequestBytes, 0.8 * share),
    ),
  ];
  const startMs = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsedMs = performance.now() - startMs;
      for (const sender of senders) sender.askUpTo(elapsedMs);
      if (elapsedMs < SECONDS * 1000) return;
      clearInterval(timer);
      resolve();
    }, 10);
  });
  const metrics = await (await fetch(`http://${admin}/metrics`)).text();
  await Promise.all(senders.map((sender) => sender.end()));
  await daemon.stop();
  const shown = new RegExp(
    `^telemetry_sink_fair_share_bytes_per_second\\{resource="${resource}"\\} \\d`,
    'm',
  );
  assert.match(metrics, shown);
  assert.match(metrics, /^telemetry_sink_clients 10$/m);
  return senders.map(({ granted, asked }) => granted / asked);
}
