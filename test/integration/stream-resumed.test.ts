/**
 * A numbered producer whose stream is cut at any byte, in either direction, and that goes on behind the last acknowledgement:
 * each of its readings is in the journal once, in order.
 *
 *   SEEDS=200 node --test test/integration/stream-resumed.test.ts     more lives, each with cuts of its own
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { int64Value, item, measurement } from '../support/reading-bytes.ts';
import { TestStream } from '../support/stream-client.ts';
import { bytesField, varintField } from '../support/wire-bytes.ts';

const SEEDS = Number(process.env.SEEDS ?? 6);
const REQUESTS = 200;
/** Between a stream's headers and half of all requests; answers are a twentieth of that. */
const CUT_BYTES_MAX = 3000;

interface Request {
  readonly bytes: Uint8Array;
  readonly last: number;
}

function requestsOf(producer: string, random: () => number): readonly Request[] {
  const requests: Request[] = [];
  for (let first = 1; requests.length < REQUESTS; ) {
    const last = first + Math.floor(random() * 4);
    const items: number[] = [];
    for (let n = first; n <= last; n++) items.push(...item('s', measurement(int64Value(n))));
    const bytes = Uint8Array.from([...items, ...bytesField(2, producer), ...varintField(3, first)]);
    requests.push({ bytes, last });
    first = last + 1;
  }
  return requests;
}

/** Park and Miller. */
function randomOf(seed: number): () => number {
  let state = seed * 7919 + 1;
  return () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

async function numbersIn(folder: string): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) {
      const { producer_id, sequence } = JSON.parse(line.toString()) as {
        producer_id: string;
        sequence: number;
      };
      (found[producer_id] ??= []).push(sequence);
    }
  }
  return found;
}

for (const transport of ['native', 'grpc-js']) {
  test(`cut anywhere and resumed, ${transport}`, { timeout: 120_000 + SEEDS * 20_000 }, async (t) => {
    const home = await daemonHome(t);
    const daemon = home.start({ TRANSPORT: transport, INGEST_THREADS: '2' });
    const { grpc } = await daemon.ready();
    const proxy = await CuttingProxy.start(grpc);
    t.after(() => proxy.stop());
    const lasts: Record<string, number> = {};
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = randomOf(seed);
      const producer = `p${seed}`;
      const requests = requestsOf(producer, random);
      lasts[producer] = requests.at(-1)!.last;
      for (let done = 0, isWhole = false; !isWhole; ) {
        // One of ten is left whole, so that every life comes to its end.
        const cut = 1 + Math.floor(random() * CUT_BYTES_MAX);
        const where = random();
        proxy.limits = {
          up: where < 0.6 ? cut : Number.POSITIVE_INFINITY,
          down: where >= 0.6 && where < 0.9 ? Math.ceil(cut / 20) : Number.POSITIVE_INFINITY,
        };
        const client = new TestClient(proxy.target);
        const stream = new TestStream(client.bare);
        for (const { bytes } of requests.slice(done)) stream.send(bytes);
        stream.call.end();
        const { code, details } = await stream.ended;
        assert.ok([status.OK, status.UNAVAILABLE, status.INTERNAL].includes(code), `${code}: ${details}`);
        done += stream.last;
        isWhole = code === status.OK;
        assert.ok(!isWhole || done === REQUESTS);
        client.close();
      }
    }
    assert.equal((await daemon.stop()).status, 0);
    t.diagnostic(`${proxy.cuts} cuts`);
    assert.ok(proxy.cuts >= 2 * SEEDS);
    const found = await numbersIn(home.folder);
    for (const [producer, last] of Object.entries(lasts)) {
      assert.deepEqual(
        found[producer],
        Array.from({ length: last }, (_, i) => i + 1),
      );
    }
  });
}
