/**
 * Three daemons, each with an address of its own, restarted one after the other under load. Producers that number their
 * readings stay with theirs; the others are balanced over all. With the retry policy that docs/clients.md prints nobody
 * sees an error that cannot be repeated, no acknowledged reading is lost, and none of a numbered producer is repeated.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { numbersIn } from '../../src/journal/producers/line-numbers.ts';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { runCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { TestClient } from '../support/grpc-client.ts';
import { NumberedClient } from '../support/numbered-client.ts';
import { int64Value, item, measurement } from '../support/reading-bytes.ts';

const DAEMONS = 3;
const ROLLS = Number(process.env.ROLLS ?? 1);
const READINGS_PER_REQUEST = 10;
/** What is worth repeating when the library has given up, as the examples do it. */
const REPEATABLE: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.DEADLINE_EXCEEDED,
]);

/** The first JSON of the page that has a retryPolicy. */
function documentedPolicy(): Record<string, unknown> {
  const page = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');
  const block = [...page.matchAll(/```json\n([\s\S]*?)```/g)]
    .map(([, text]) => text!)
    .find((text) => text.includes('retryPolicy'));
  assert.ok(block !== undefined, 'docs/clients.md prints a retry policy');
  return JSON.parse(block) as Record<string, unknown>;
}

/** Sends one value after the other, each until it is acknowledged. */
class BalancedClient {
  readonly name: string;
  readonly strangeErrors: string[] = [];
  acknowledged = 0;
  #isOver = false;
  readonly #client: TestClient;
  readonly #done: Promise<void>;

  constructor(ports: readonly number[], name: string) {
    this.name = name;
    const config = { ...documentedPolicy(), loadBalancingConfig: [{ round_robin: {} }] };
    this.#client = new TestClient(`ipv4:${ports.map((port) => `127.0.0.1:${port}`).join(',')}`, {
      'grpc.service_config': JSON.stringify(config),
      'grpc.enable_retries': 1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 500,
    });
    this.#done = this.#run();
  }

  async finish(): Promise<void> {
    this.#isOver = true;
    await this.#done;
    this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const value = this.acknowledged + 1;
      const request = Uint8Array.from(item(this.name, measurement(int64Value(value))));
      for (;;) {
        const { code, message } = await this.#client.send(request, { deadline: Date.now() + 10_000 });
        if (code === status.OK) break;
        if (!REPEATABLE.has(code)) this.strangeErrors.push(`${code} ${message}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      this.acknowledged = value;
    }
  }
}

for (const transport of ['native', 'grpc-js']) {
  test(`a rolling restart of ${DAEMONS} daemons, ${transport}`, { timeout: 300_000 }, async (t) => {
    const homes = await Promise.all(Array.from({ length: DAEMONS }, () => daemonHome(t)));
    const ports = await Promise.all(homes.map(freePort));
    const start = async (i: number) => {
      const daemon = homes[i]!.start({
        TRANSPORT: transport,
        GRPC_SERVER_SOCKET: `127.0.0.1:${ports[i]}`,
        DRAIN_DELAY: '200ms',
      });
      await daemon.ready();
      return daemon;
    };
    const daemons = await Promise.all(homes.map((_, i) => start(i)));
    const numbered = ports.map(
      (port, i) => new NumberedClient(`127.0.0.1:${port}`, `producer-${i}`, READINGS_PER_REQUEST),
    );
    const balanced = Array.from({ length: 4 }, (_, i) => new BalancedClient(ports, `balanced-${i}`));
    t.after(async () => {
      for (const client of numbered) client.close();
    });
    const everybodyGoesOn = () =>
      Promise.all(numbered.map((client) => client.progress(20 * READINGS_PER_REQUEST)));

    for (let roll = 0; roll < ROLLS; roll++) {
      for (let i = 0; i < DAEMONS; i++) {
        await everybodyGoesOn();
        assert.equal((await daemons[i]!.stop()).status, 0);
        daemons[i] = await start(i);
      }
    }
    await everybodyGoesOn();
    await Promise.all([...numbered, ...balanced].map((client) => client.finish()));
    for (const daemon of daemons) assert.equal((await daemon.stop()).status, 0);

    const found = new Map<string, Set<number>>();
    for (const [i, home] of homes.entries()) {
      const runs: unknown[] = [];
      for await (const chunk of allLines(home.folder)) {
        numbersIn(chunk, (id, first, last) => runs.push([id, Number(first), Number(last)]));
        for (const line of linesOf(chunk)) {
          const { sensor_name, sensor_value } = JSON.parse(line.toString()) as {
            sensor_name: string;
            sensor_value: number;
          };
          if (!found.has(sensor_name)) found.set(sensor_name, new Set());
          found.get(sensor_name)!.add(sensor_value);
        }
      }
      assert.deepEqual(numbered[i]!.faults, []);
      assert.deepEqual(joined(runs as Run[]), [[`producer-${i}`, 1, numbered[i]!.acknowledged]]);
      assert.equal((await runCommand(['verify', home.folder])).status, 0);
    }
    for (const { name, acknowledged, strangeErrors } of balanced) {
      assert.deepEqual(strangeErrors, []);
      assert.ok(acknowledged > 0, `${name} was served`);
      for (let value = 1; value <= acknowledged; value++) {
        assert.ok(found.get(name)?.has(value), `${name} ${value} was acknowledged and is in no journal`);
      }
    }
    const total = balanced.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
    t.diagnostic(
      `${total} balanced readings, ${numbered.map(({ acknowledged }) => acknowledged).join(', ')} numbered ones`,
    );
  });
}

type Run = [id: string, first: number, last: number];

/** Runs that lie in several chunks or segments, put together. */
function joined(runs: readonly Run[]): Run[] {
  const whole: Run[] = [];
  for (const [id, first, last] of runs) {
    const before = whole.at(-1);
    if (before !== undefined && before[0] === id && before[2] + 1 === first) before[2] = last;
    else whole.push([id, first, last]);
  }
  return whole;
}
