/**
 * The corpus against the real daemon, one attack after the other on each transport, with an honest client beside it:
 * nothing crashes, nothing is held on to, every honest reading is acknowledged and written once, and what attackers
 * sent becomes lines or refusals, never anything else. How much goodput they cost is measured by bench/hostile.ts.
 *
 *   RAIDERS=32 HONEST_CALLS=1000 npm test -- test/hostile         longer and by more at once
 *   ATTACK='rapid reset' npm test -- test/hostile                 one of them
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { runCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { int64Value, item, measurement } from '../support/reading-bytes.ts';
import { CORPUS } from './corpus.ts';
import { Raiders } from './raiders.ts';

const RAIDERS = Number(process.env.RAIDERS ?? 2);
const HONEST_CALLS = Number(process.env.HONEST_CALLS ?? 10);
const attacks = CORPUS.filter(({ name }) => name === (process.env.ATTACK ?? name));
const HONEST = 'honest-1';
/** Who shares an attacker's address is the same client, and shares what that may hold. Elsewhere a machine has one loopback address. */
const RAIDERS_ADDRESS = process.platform === 'linux' ? '127.0.1.1' : undefined;

interface Status {
  readonly connections: number;
  readonly ledger: { readonly requests: Book; readonly readings: Book };
}
interface Book {
  readonly in_flight: number;
  readonly difference: number;
}

for (const transport of ['native', 'grpc-js']) {
  // The long form on a slow machine: behind grpc-js 100 calls of the honest take up to a minute for an attack.
  test(`every attack, ${transport}`, { timeout: 1_800_000 }, async (t) => {
    const home = await daemonHome(t);
    const daemon = home.start({ TRANSPORT: transport, ROTATE_BYTES: '16MiB', COMPRESS: 'zstd' });
    const { grpc, admin } = await daemon.ready();
    const target = `127.0.0.1:${grpc.split(':').at(-1)}`;
    const client = new TestClient(target);
    const raiders = new Raiders();
    t.after(async () => {
      client.close();
      await raiders.close();
    });
    let value = 0;
    const honestCall = async (attack: string): Promise<void> => {
      value++;
      const request = item(HONEST, measurement(int64Value(value)));
      const answer = await client.send(Uint8Array.from(request));
      assert.equal(answer.code, status.OK, `${attack}: an honest call got ${answer.code} ${answer.message}`);
    };

    for (const attack of attacks) {
      await t.test(`${attack.name}: ${attack.what}`, async (t: TestContext) => {
        await raiders.attack(attack.name, target, RAIDERS, RAIDERS_ADDRESS);
        try {
          for (let calls = 0; calls < HONEST_CALLS; calls++) await honestCall(attack.name);
        } finally {
          const { connections, bytes } = await raiders.end();
          t.diagnostic(`${connections} connections, ${bytes} bytes`);
        }
        const calm = await calmStatus(admin);
        assert.equal(calm.ledger.requests.difference, 0);
        assert.equal(calm.ledger.readings.difference, 0);
      });
    }

    client.close();
    const exit = await daemon.stop();
    assert.deepEqual(exit, { status: 0, signal: null });
    const verified = await runCommand(['verify', home.folder]);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    assert.deepEqual(
      await honestValues(home.folder),
      Array.from({ length: value }, (_, i) => i + 1),
    );
    await nothingBeside(home.folder);
  });
}

/** What the daemon says once the attackers' connections are gone and nothing is in flight. */
async function calmStatus(admin: string): Promise<Status> {
  for (;;) {
    const now = (await (await fetch(`http://${admin}/api/v1/status`)).json()) as Status;
    // The honest client's connection stays.
    if (now.connections <= 1 && now.ledger.requests.in_flight === 0 && now.ledger.readings.in_flight === 0)
      return now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** In the order of the file; each line of the journal is one JSON object with one name, whoever sent it. */
async function honestValues(folder: string): Promise<readonly number[]> {
  const values: number[] = [];
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) {
      const reading = JSON.parse(line.toString()) as { sensor_name: string; sensor_value: number | null };
      if (reading.sensor_name === HONEST) values.push(reading.sensor_value!);
      else assert.notEqual(reading.sensor_value, 666, 'a name broke out of its string');
    }
  }
  return values;
}

/** Whatever a name looked like, no file came to be but the journal's. */
async function nothingBeside(folder: string): Promise<void> {
  assert.deepEqual(await readdir(dirname(folder)), ['data']);
  const names = await readdir(folder, { recursive: true });
  const strangers = names.filter(
    (name) =>
      !/^(\.journal|(\.journal\/)?telemetry-\d{8}T\d{6}Z-\d+\.(jsonl(\.zst)?|blocks|producers)|\.journal\/(lock\.sqlite|manifest\.jsonl))$/.test(
        name,
      ),
  );
  assert.deepEqual(strangers, []);
}
