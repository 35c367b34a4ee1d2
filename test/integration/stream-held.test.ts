/** Streams that are far too fast for a whole daemon: slowed down and not refused, all written, in order, in bounded memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { int64Value, item, measurement } from '../support/reading-bytes.ts';
import { TestStream } from '../support/stream-client.ts';

const STREAMS = 4;
const REQUESTS = 500;
const READINGS = 40;

function request(stream: number, index: number): Uint8Array {
  const items: number[] = [];
  for (let i = 0; i < READINGS; i++)
    items.push(...item(`s${stream}`, measurement(int64Value(index * READINGS + i))));
  return Uint8Array.from(items);
}

async function valuesIn(folder: string): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) {
      const { sensor_name, sensor_value } = JSON.parse(line.toString()) as {
        sensor_name: string;
        sensor_value: number;
      };
      (found[sensor_name] ??= []).push(sensor_value);
    }
  }
  return found;
}

/** About 1.4 MB of requests and 8 MB of lines, for little room or little rate. */
const SHORTAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'queue room': { QUEUE_BYTES: '1MiB', BUFFER_BYTES: '64KiB', MAX_REQUEST_BYTES: '4KiB' },
  'queue room, nobody waits in line': {
    ...{ QUEUE_BYTES: '1MiB', BUFFER_BYTES: '64KiB', MAX_REQUEST_BYTES: '4KiB' },
    QUEUE_FULL: 'refuse',
  },
  rate: { RATE_PER_SECOND: '1200KiB', RATE_BURST: '20KiB' },
  quota: { CLIENT_RATE_PER_SECOND: '1200KiB', CLIENT_RATE_BURST: '20KiB' },
};

for (const transport of ['native', 'grpc-js']) {
  for (const [what, environment] of Object.entries(SHORTAGES)) {
    test(`short of ${what}, ${transport}`, { timeout: 120_000 }, async (t) => {
      const home = await daemonHome(t);
      const daemon = home.start({ TRANSPORT: transport, ACK: 'written', ...environment });
      const { grpc } = await daemon.ready();
      const client = new TestClient(grpc);
      t.after(() => client.close());
      const streams = Array.from({ length: STREAMS }, () => new TestStream(client.bare));
      for (let index = 0; index < REQUESTS; index++)
        for (const [number, stream] of streams.entries()) stream.send(request(number, index));
      for (const stream of streams) stream.call.end();
      for (const stream of streams) {
        const { code, details } = await stream.ended;
        assert.equal(code, status.OK, details);
        assert.equal(stream.last, REQUESTS);
      }
      assert.equal((await daemon.stop()).status, 0);
      const { requests, readings } = daemon.log.at(-1) as unknown as Record<
        'requests' | 'readings',
        { received: number; ok: number; written: number; difference: number }
      >;
      const sent = STREAMS * REQUESTS;
      assert.deepEqual([requests.received, requests.ok, requests.difference], [sent, sent, 0]);
      assert.deepEqual([readings.written, readings.difference], [sent * READINGS, 0]);
      const found = await valuesIn(home.folder);
      const all = Array.from({ length: REQUESTS * READINGS }, (_, i) => i);
      for (let number = 0; number < STREAMS; number++) assert.deepEqual(found[`s${number}`], all);
    });
  }

  test(`SIGTERM under streams, ${transport}: what is acknowledged is written, the books balance`, async (t) => {
    const home = await daemonHome(t);
    const daemon = home.start({ TRANSPORT: transport, ACK: 'written' });
    const { grpc } = await daemon.ready();
    const client = new TestClient(grpc);
    t.after(() => client.close());
    const streams = Array.from({ length: STREAMS }, () => new TestStream(client.bare));
    const sending = streams.map(async (stream, number) => {
      for (let index = 0; !stream.isOver; index++) {
        stream.send(request(number, index));
        await stream.until(index - 5);
      }
    });
    await Promise.all(streams.map((stream) => stream.until(20)));
    const stopped = daemon.stop();
    for (const stream of streams) assert.equal((await stream.ended).code, status.UNAVAILABLE);
    await Promise.all(sending);
    assert.equal((await stopped).status, 0);
    const found = await valuesIn(home.folder);
    for (const [number, stream] of streams.entries()) {
      const values = found[`s${number}`]!;
      assert.ok(values.length >= stream.last * READINGS);
      assert.deepEqual(
        values,
        values.map((_, i) => i),
      );
    }
  });
}
