/**
 * A real daemon with a byte rate, two ingest threads and ten clients: one asks for a hundred times its share, nine for
 * less than theirs. Nobody retries. SECONDS= makes it longer.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { TRANSPORTS } from '../support/grpc-server.ts';
import { item } from '../support/reading-bytes.ts';

const SECONDS = Number(process.env.SECONDS ?? 4);
const RATE = 200_000;
const MODEST = 9;
const reading = Buffer.from(item('x'.repeat(180)));

class Sender {
  asked = 0;
  granted = 0;
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
    for (; this.asked < (elapsedMs / 1000) * this.#perSecond; this.asked++) {
      const client = this.#connections[this.asked % this.#connections.length]!;
      const done = client.send(this.#request, { metadata: this.#metadata }).then(({ code }) => {
        if (code === 0) this.granted++;
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

for (const transport of TRANSPORTS) {
  test(`${transport}: one at 100 times its share leaves nine others 95% of what they ask for`, async (t) => {
    const home = await daemonHome(t);
    const tokens = join(home.folder, '..', 'tokens');
    const tokenOf = (i: number): string => `token-of-client-number-${i}`;
    const names = Array.from({ length: MODEST + 1 }, (_, i) => `client-${i} ${tokenOf(i)}`);
    await writeFile(tokens, names.join('\n'));
    const daemon = home.start({
      TRANSPORT: transport,
      INGEST_THREADS: '2',
      TOKENS_FILE: tokens,
      RATE_PER_SECOND: String(RATE),
      RATE_BURST: String(RATE),
    });
    const { grpc, admin } = await daemon.ready();
    const share = RATE / (MODEST + 1);
    const senders = [
      new Sender(grpc, tokenOf(0), 4, 20_000, 100 * share),
      ...Array.from({ length: MODEST }, (_, i) => new Sender(grpc, tokenOf(i + 1), 1, 800, 0.9 * share)),
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
    await Promise.all(senders.map((sender) => sender.end()));
    const parts = senders.map(({ granted, asked }) => granted / asked);
    t.diagnostic(parts.map((part) => part.toFixed(3)).join(' '));
    for (let i = 1; i <= MODEST; i++) assert.ok(parts[i]! >= 0.95, `client ${i}: ${parts.join(' ')}`);
    assert.ok(parts[0]! < 0.2, `the aggressive one was not limited: ${parts[0]}`);

    const metrics = await (await fetch(`http://${admin}/metrics`)).text();
    assert.match(metrics, /^telemetry_sink_fair_share_bytes_per_second\{resource="rate"\} \d/m);
    assert.match(metrics, /^telemetry_sink_clients 10$/m);
  });
}
