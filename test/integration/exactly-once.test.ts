/** Readings that are numbered, against the whole daemon: whatever is repeated, overtaken or cut off, each is there once. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { runCommand, startCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { type CallResult, TestClient } from '../support/grpc-client.ts';
import { int64Value, item, measurement } from '../support/reading-bytes.ts';
import { bytesField, varintField } from '../support/wire-bytes.ts';

/** Readings `first` to `last`, whose values are their numbers. */
function request(producer: string, first: number, last: number): Uint8Array {
  const items: number[] = [];
  for (let n = first; n <= last; n++) items.push(...item(`s-${producer}`, measurement(int64Value(n))));
  return Uint8Array.from([...items, ...bytesField(2, producer), ...varintField(3, first)]);
}

async function numbersIn(folder: string): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) {
      const reading = JSON.parse(line.toString()) as {
        producer_id: string;
        sequence: number;
        sensor_value: number;
      };
      assert.equal(reading.sensor_value, reading.sequence);
      (found[reading.producer_id] ??= []).push(reading.sequence);
    }
  }
  return found;
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const codes = (results: readonly CallResult[]) => results.map(({ code }) => code);

async function begin(t: TestContext, environment: Record<string, string> = {}) {
  const home = await daemonHome(t);
  const start = async (more: Record<string, string> = {}) => {
    const daemon = home.start({ REORDER_WAIT: '300ms', ...environment, ...more });
    const { grpc, admin } = await daemon.ready();
    const client = new TestClient(grpc);
    t.after(() => client.close());
    const send = (producer: string, first: number, last: number) =>
      client.send(request(producer, first, last));
    return { daemon, send, grpc, admin, client };
  };
  return { home, start };
}

for (const transport of ['native', 'grpc-js']) {
  for (const ack of ['accepted', 'written', 'synced']) {
    test(`repeats, overlaps and overtaking, ${transport}, ACK=${ack}`, async (t) => {
      const { home, start } = await begin(t, { TRANSPORT: transport, ACK: ack });
      const { daemon, send, admin } = await start();
      assert.equal((await send('a', 1, 10)).code, status.OK);
      assert.equal((await send('a', 1, 10)).code, status.OK);
      assert.equal((await send('a', 6, 15)).code, status.OK);
      // All at once: the later ones wait for their turn.
      const together = await Promise.all([
        send('a', 31, 40),
        send('a', 21, 30),
        send('a', 16, 20),
        send('a', 16, 25),
        send('b', 101, 110),
      ]);
      assert.deepEqual(codes(together), Array(5).fill(status.OK));
      const page = (await (await fetch(`http://${admin}/api/v1/producers`)).json()) as {
        producers: { producer_id: string; last_sequence_acknowledged: string }[];
      };
      assert.deepEqual(
        page.producers.map((producer) => [producer.producer_id, producer.last_sequence_acknowledged]),
        [
          ['a', '40'],
          ['b', '110'],
        ],
      );
      assert.equal((await daemon.stop()).status, 0);
      const { readings } = daemon.log.at(-1) as unknown as {
        readings: { written: number; deduplicated: number; difference: number };
      };
      assert.deepEqual([readings.written, readings.deduplicated, readings.difference], [50, 25, 0]);
      assert.deepEqual(await numbersIn(home.folder), { a: upTo(40), b: upTo(110, 101) });
    });
  }
}

test('a gap that stays: ABORTED with the number expected, nothing skipped', async (t) => {
  const { home, start } = await begin(t);
  const { daemon, send, admin } = await start();
  assert.equal((await send('a', 1, 5)).code, status.OK);
  const early = await send('a', 11, 15);
  assert.equal(early.code, status.ABORTED);
  assert.deepEqual(early.errorInfo, {
    reason: 'SEQUENCE_GAP',
    domain: 'telemetry-sink',
    metadata: { expected_sequence: '6' },
  });
  assert.equal((await send('a', 6, 10)).code, status.OK);
  assert.equal((await send('a', 11, 15)).code, status.OK);
  // Counted four times a second.
  let metrics = '';
  while (!/^telemetry_sink_producer_gaps_total 1$/m.test(metrics)) {
    metrics = await (await fetch(`http://${admin}/metrics`)).text();
  }
  assert.match(metrics, /^telemetry_sink_producers 1$/m);
  assert.equal((await daemon.stop()).status, 0);
  assert.deepEqual(await numbersIn(home.folder), { a: upTo(15) });
});

test('what is not numbering', async (t) => {
  const { start } = await begin(t);
  const { client } = await start();
  const reading = item('s', measurement(int64Value(1)));
  const bad: [string, readonly number[]][] = [
    ['producer_id alone', bytesField(2, 'a')],
    ['first_sequence alone', varintField(3, 1)],
    ['first_sequence 0', [...bytesField(2, 'a'), ...varintField(3, 0)]],
    ['beyond uint64', [...reading, ...bytesField(2, 'a'), ...varintField(3, 2n ** 64n - 1n)]],
    ['a long producer_id', [...bytesField(2, 'a'.repeat(257)), ...varintField(3, 1)]],
    ['bad UTF-8', [...bytesField(2, [0xff]), ...varintField(3, 1)]],
  ];
  for (const [name, fields] of bad) {
    const { code } = await client.send(Uint8Array.from([...reading, ...fields]));
    assert.equal(code, status.INVALID_ARGUMENT, name);
  }
  const last = [...reading, ...bytesField(2, 'z'), ...varintField(3, 2n ** 64n - 1n)];
  assert.equal((await client.send(Uint8Array.from(last))).code, status.OK);
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a restart remembers, after ${signal}, with rotation, compression and retention`, async (t) => {
    const { home, start } = await begin(t, {
      ROTATE_BYTES: '16KiB',
      COMPRESS: 'zstd',
      RETAIN_FILES: '2',
      INGEST_THREADS: '2',
    });
    let life = await start();
    let sent = 0;
    for (let round = 0; round < 4; round++) {
      // Producer `old` says something in the first life only; its segment is long gone by the last.
      if (round === 0) assert.equal((await life.send('old', 1, 10)).code, status.OK);
      for (let i = 0; i < 12; i++) {
        assert.equal((await life.send('a', sent + 1, sent + 20)).code, status.OK);
        sent += 20;
      }
      life.daemon.signal(signal);
      await life.daemon.exited;
      life = await start();
      // As a client does that never heard the answer.
      assert.equal((await life.send('a', sent - 39, sent + 5)).code, status.OK);
      sent += 5;
    }
    assert.equal((await life.send('old', 1, 10)).code, status.OK);
    assert.equal((await life.daemon.stop()).status, 0);
    const { a, old } = await numbersIn(home.folder);
    assert.equal(old, undefined, 'repeated although its segment is only deleted');
    assert.deepEqual(a, upTo(sent, a![0]!));
    const verified = await runCommand(['verify', home.folder]);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  });
}

test('send --exactly-once: a run that is repeated, over a kill in its middle, is there once', async (t) => {
  const { home, start } = await begin(t);
  const port = await freePort();
  const first = await start({ GRPC_SERVER_SOCKET: `127.0.0.1:${port}` });
  const args = [
    'send',
    ...['--exactly-once', '--producer-id', 'run-1', '--count', '20000', '--sensors', '50', '--json'],
    ...['--target', `127.0.0.1:${port}`, '--readings-per-request', '10'],
  ];
  const running = startCommand(args);
  while (
    !(await (await fetch(`http://${first.admin}/metrics`)).text()).match(
      /^telemetry_sink_readings_written_total [1-9]\d{3}/m,
    )
  );
  first.daemon.signal('SIGKILL');
  await first.daemon.exited;
  const second = await start({ GRPC_SERVER_SOCKET: `127.0.0.1:${port}` });
  const { status: exit, stdout, stderr } = await running.finished;
  assert.equal(exit, 0, stderr);
  const summary = JSON.parse(stdout) as { readings: { acknowledged: number; possible_duplicates: number } };
  assert.deepEqual([summary.readings.acknowledged, summary.readings.possible_duplicates], [20_000, 0]);
  assert.match(stderr, /Producer ids begin with run-1\//);
  // Once more, as somebody does who lost the output.
  assert.equal((await runCommand(args)).status, 0);
  assert.equal((await second.daemon.stop()).status, 0);
  const numbers = await numbersIn(home.folder);
  assert.equal(Object.keys(numbers).length, 50);
  for (const [producer, found] of Object.entries(numbers)) assert.deepEqual(found, upTo(400), producer);
});
