/** The whole command against a real server over real sockets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { parseListenAddress } from '../../../src/base/listen-address.ts';
import type { AnyOptionGroup, Option } from '../../../src/base/option.ts';
import { readAcknowledgedLog } from '../../../src/commands/send/acknowledged-log.ts';
import {
  checkSend,
  deliveryOptions,
  paceOptions,
  reportOptions,
  type SendConfig,
  whatOptions,
} from '../../../src/commands/send/options.ts';
import { runSend } from '../../../src/commands/send/run-send.ts';
import { parseOption } from '../../../src/config/parse-option.ts';
import { type Answer, ReceivingServer } from './receiving-server.ts';

/** The defaults, parsed as the command line would. */
function defaults(group: AnyOptionGroup): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(group.options as Record<string, Option>).map(([key, option]) => {
      const parsed = parseOption(option, option.default);
      assert.ok(parsed.ok, key);
      return [key, parsed.value];
    }),
  );
}

type Overrides = { [K in keyof SendConfig]?: Partial<SendConfig[K]> };

function config(target: string, given: Overrides): SendConfig {
  return {
    what: { ...defaults(whatOptions), ...given.what },
    pace: { ...defaults(paceOptions), ...given.pace },
    delivery: { ...defaults(deliveryOptions), target: parseListenAddress(target), ...given.delivery },
    report: { ...defaults(reportOptions), json: true, quiet: true, ...given.report },
  } as SendConfig;
}

class Collector extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

interface Ended {
  readonly exitStatus: number;
  // biome-ignore lint/suspicious/noExplicitAny: the summary is looked at field by field
  readonly summary: any;
  readonly stderr: string;
}

async function send(target: string, given: Overrides, input = ''): Promise<Ended> {
  const stdout = new Collector();
  const stderr = new Collector();
  const settings = config(target, given);
  assert.deepEqual(checkSend(settings), []);
  const exitStatus = await runSend(settings, { stdin: Readable.from([input]), stdout, stderr });
  return { exitStatus, summary: JSON.parse(stdout.text), stderr: stderr.text };
}

async function server(
  t: TestContext,
  answer?: (call: number) => Answer | Promise<Answer>,
): Promise<ReceivingServer> {
  const receiving = new ReceivingServer(answer);
  await receiving.start();
  t.after(() => receiving.stop());
  return receiving;
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-send-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** `sensor number` of each reading stored. */
function stored(receiving: ReceivingServer): string[] {
  return receiving.readings().map((item) => `${item.sensorName} ${item.measurement.sensorValue?.value}`);
}

test('exactly as many readings as asked for, each once, over as many connections as asked for', async (t) => {
  const receiving = await server(t);
  const { exitStatus, summary } = await send(receiving.target, {
    what: { count: 20_011, sensors: 7, readingsPerRequest: 50, labels: ['site=A', 'line=x=y'] },
    pace: { connections: 6 },
  });
  assert.equal(exitStatus, 0);
  const readings = stored(receiving);
  assert.equal(readings.length, 20_011);
  assert.equal(new Set(readings).size, 20_011);
  assert.equal(receiving.peers.size, 6);
  assert.deepEqual({ ...receiving.readings()[0]?.labels }, { site: 'A', line: 'x=y' });
  assert.equal(summary.delivered, true);
  assert.equal(summary.readings.acknowledged, 20_011);
  assert.equal(summary.latency_ms.count, 401);
});

test('threads together send the exact total', async (t) => {
  const receiving = await server(t);
  const { exitStatus, summary } = await send(receiving.target, {
    what: { count: 5_003, readingsPerRequest: 10 },
    pace: { threads: 2, connections: 3 },
  });
  assert.equal(exitStatus, 0);
  assert.equal(new Set(stored(receiving)).size, 5_003);
  assert.equal(summary.readings.acknowledged, 5_003);
  assert.equal(summary.latency_ms.count, 501);
  assert.equal(receiving.peers.size, 3);
});

test('refusals with pushback are waited out and everything arrives once', async (t) => {
  const receiving = await server(t, (call) =>
    call % 3 === 0
      ? { code: status.RESOURCE_EXHAUSTED, trailers: { 'grpc-retry-pushback-ms': '30' } }
      : { code: 0 },
  );
  const { exitStatus, summary } = await send(receiving.target, {
    what: { count: 1_000, readingsPerRequest: 10 },
    pace: { concurrency: 1 },
  });
  assert.equal(exitStatus, 0);
  assert.equal(stored(receiving).length, 1_000);
  assert.equal(new Set(stored(receiving)).size, 1_000);
  assert.equal(summary.requests.retries, summary.failed_attempts.RESOURCE_EXHAUSTED);
  assert.ok(summary.requests.retries > 0);
  assert.equal(summary.readings.possible_duplicates, 0);
  // With one request underway, the call after a refusal is its retry: never before the time told. Timers
  // may fire up to a millisecond early.
  for (let call = 3; call < receiving.arrivalsMs.length; call += 3) {
    assert.ok(receiving.arrivalsMs[call]! - receiving.arrivalsMs[call - 1]! >= 29);
  }
});

test('a refusal for good is not repeated, and the exit status says so', async (t) => {
  const receiving = await server(t, (call) =>
    call === 2
      ? {
          code: status.RESOURCE_EXHAUSTED,
          details: 'over the limit',
          trailers: { 'grpc-retry-pushback-ms': '-1' },
        }
      : { code: 0 },
  );
  const { exitStatus, summary } = await send(receiving.target, {
    what: { count: 50, readingsPerRequest: 10 },
  });
  assert.equal(exitStatus, 1);
  assert.equal(receiving.arrivalsMs.length, 5);
  assert.equal(summary.delivered, false);
  assert.equal(summary.readings.rejected, 10);
  assert.equal(summary.readings.acknowledged, 40);
  assert.equal(summary.last_failure, 'RESOURCE_EXHAUSTED: over the limit');
});

test('the acknowledged log names exactly what was acknowledged', async (t) => {
  const receiving = await server(t, (call) =>
    call % 4 === 0 ? { code: status.INVALID_ARGUMENT, details: 'no' } : { code: 0 },
  );
  const path = join(temporaryFolder(t), 'acknowledged.jsonl');
  const { exitStatus } = await send(receiving.target, {
    what: { count: 505, sensors: 3, readingsPerRequest: 20 },
    report: { acknowledgedLog: path },
  });
  assert.equal(exitStatus, 1);
  const named: string[] = [];
  for (const request of readAcknowledgedLog(path)) {
    assert.ok('sensor_name' in request);
    assert.deepEqual([request.attempts, request.maybe_twice], [1, false]);
    for (let number = request.first; number < request.first + request.count; number++) {
      const nanos = BigInt(request.created_at_ms) * 1_000_000n + BigInt(number % 1_000_000);
      named.push(`${request.sensor_name} ${number} ${nanos}`);
    }
  }
  const readings = receiving.readings().map(({ sensorName, measurement }) => {
    const { seconds, nanos } = measurement.createdAt!;
    const total = BigInt(seconds ?? 0) * 1_000_000_000n + BigInt(nanos ?? 0);
    return `${sensorName} ${measurement.sensorValue?.value} ${total}`;
  });
  assert.deepEqual(named.sort(), readings.sort());
});

test('a daemon that dies is found again when it is back, and nothing acknowledged is missing', async (t) => {
  const path = join(temporaryFolder(t), 'acknowledged.jsonl');
  const restarted = Promise.withResolvers<void>();
  const first: ReceivingServer = await server(t, async (call) => {
    if (call === 20) {
      const { port } = first;
      setImmediate(() => {
        first.stop();
        second.start(port).then(restarted.resolve, restarted.reject);
      });
    }
    // From there on no answer: those calls are cut off by the stop.
    return call < 20 ? { code: 0 } : new Promise<Answer>(() => undefined);
  });
  const second = new ReceivingServer();
  t.after(() => second.stop());
  const { exitStatus, summary } = await send(first.target, {
    what: { count: 1_000, readingsPerRequest: 10 },
    report: { acknowledgedLog: path },
  });
  await restarted.promise;
  assert.equal(exitStatus, 0);
  assert.equal(summary.readings.acknowledged, 1_000);
  const everywhere = new Set([...stored(first), ...stored(second)]);
  assert.equal(everywhere.size, 1_000);
  assert.ok(summary.readings.possible_duplicates > 0);
  const log = readAcknowledgedLog(path);
  assert.equal(
    log.reduce((sum, { count }) => sum + count, 0),
    1_000,
  );
  assert.ok(log.some((request) => request.maybe_twice && request.attempts > 1));
});

test('an open loop sends what rate and duration come to', async (t) => {
  const receiving = await server(t);
  const { exitStatus, summary } = await send(receiving.target, {
    what: { readingsPerRequest: 5 },
    pace: { rate: 1000, duration: 500 },
    delivery: { gzip: true },
  });
  assert.equal(exitStatus, 0);
  assert.equal(receiving.readings().length, 500);
  assert.equal(summary.planned_requests_per_s, 200);
  // A plan of 100 requests over half a second cannot have been over much sooner.
  assert.ok(summary.elapsed_s >= 0.49);
});

test('lines of standard input arrive; faulty ones are named and make the exit status 1', async (t) => {
  const receiving = await server(t);
  const lines = [
    '{"sensor_name":"ä","sensor_value":9007199254740993}',
    'bad',
    '{"sensor_name":"b","bool_value":true}',
  ];
  const { exitStatus, summary, stderr } = await send(
    receiving.target,
    { what: { stdin: true } },
    lines.join('\n'),
  );
  assert.equal(exitStatus, 1);
  assert.equal(summary.faulty_lines, 1);
  assert.match(stderr, /^line 2: not JSON/);
  const [first, second] = receiving.readings();
  assert.equal(first?.sensorName, 'ä');
  assert.equal(first?.measurement.sensorValue?.value, '9007199254740993');
  assert.equal(second?.measurement.boolValue, true);
});

test('Ctrl-C ends gracefully with a summary', async (t) => {
  const receiving = await server(t, (call) => {
    if (call === 10) process.emit('SIGINT');
    return { code: 0 };
  });
  const { exitStatus, summary } = await send(receiving.target, {
    what: { count: 1_000_000, readingsPerRequest: 1 },
    pace: { concurrency: 1 },
  });
  assert.equal(exitStatus, 1);
  assert.equal(summary.ended_early, 'interrupted');
  assert.equal(summary.readings.acknowledged, receiving.stored.length);
  assert.equal(summary.readings.not_sent, 1_000_000 - receiving.stored.length);
  assert.equal(process.listenerCount('SIGINT'), 0);
});

test('a second Ctrl-C ends at once', async (t) => {
  const receiving = await server(t, () => {
    process.emit('SIGINT');
    process.emit('SIGINT');
    return new Promise<Answer>(() => undefined);
  });
  await assert.rejects(send(receiving.target, { what: { count: 10 } }), { code: 'STOPPED_BY_SECOND_SIGNAL' });
});

test('nobody there: one clear line', async (t) => {
  const receiving = await server(t);
  const { target } = receiving;
  receiving.stop();
  for (const threads of [1, 2]) {
    await assert.rejects(send(target, { pace: { threads }, delivery: { connectTimeout: 100 } }), {
      code: 'SEND_FAILED',
      message: /no daemon answers at 127\.0\.0\.1:\d+ \(waited 0\.1s\)/,
    });
  }
});

test('options that contradict each other are named', () => {
  const faults = (given: Overrides) => checkSend(config('localhost:8000', given)).join('\n');
  assert.match(faults({ pace: { rate: 1, requestsPerSecond: 1 } }), /--rate and --requests-per-second/);
  assert.match(faults({ pace: { threads: 5 } }), /--threads 5 .*--connections is 4/);
  assert.match(faults({ delivery: { retries: 'many' } }), /--retries=many/);
  assert.match(faults({ what: { labels: ['=x'] } }), /--labels =x/);
  assert.match(faults({ what: { stdin: true, count: 5 } }), /--count/);
  assert.match(faults({ what: { strict: true } }), /--strict/);
  assert.match(faults({ delivery: { target: { host: 'a', port: 0 } } }), /port 0/);
});
