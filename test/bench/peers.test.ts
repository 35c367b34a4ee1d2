/**
 * The comparison with peers in small: they build, they serve what they answered, and one that cannot be had is
 * named rather than left out in silence. The Collector takes minutes to build, so it takes part only with
 * BENCH_COLLECTOR=1.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { requirement } from '../support/requirements.ts';
import { assertSpread, benchReport, type Spread } from './bench-run.ts';

interface Report {
  readonly page_cache: { readonly fresh_ms_per_mib: number; readonly reused_ms_per_mib: number };
  readonly peers: {
    readonly cells: readonly {
      readonly name: string;
      readonly requests_per_second: Spread;
      readonly readings_per_second: Spread;
    }[];
    readonly targets: readonly {
      readonly measure: string;
      readonly met?: boolean;
      readonly by_wall_clock?: Spread;
      readonly text: string;
    }[];
    readonly versions: readonly { readonly name: string; readonly version: string }[];
    readonly missing: readonly { readonly name: string; readonly missing: string }[];
  };
}

const SMALL = [
  ...['--peers', '--runs', '1', '--duration', '300ms', '--warm-up', '200ms'],
  ...['--connections', '2', '--streams', '8'],
];
const BUILD = fileURLToPath(new URL('../../bench/peers/build.ts', import.meta.url));

/** Outside of the benchmark's own time limit: the first build takes a minute. */
async function build(peer: string): Promise<void> {
  await promisify(execFile)(process.execPath, [BUILD, peer], { maxBuffer: 1 << 26 });
}

test('grpc-go decodes what it is sent, beside both transports', {
  skip: requirement('go') || requirement('h2load'),
}, async () => {
  await build('grpc-go');
  const { peers, page_cache, machine } = await benchReport<Report>('daemon', [
    ...SMALL,
    ...['--peer', 'grpc-go', '--only', 'native/1,grpc-js/1,grpc-go/1,grpc-go/100'],
  ]);
  assert.deepEqual(
    peers.cells.map(({ name }) => name),
    ['native/1', 'grpc-js/1', 'grpc-go/1', 'grpc-go/100'],
  );
  for (const { name, requests_per_second } of peers.cells) assertSpread(requests_per_second, name);
  const judged = peers.targets.filter(({ met }) => met !== undefined);
  assert.deepEqual(
    judged.map(({ measure }) => measure),
    ['1 reading/request, native : grpc-js', '1 reading/request, native : no-op grpc-go'],
  );
  for (const { measure, by_wall_clock } of judged) assertSpread(by_wall_clock!, measure);
  assert.match(
    peers.versions.find(({ name }) => name === 'grpc-go')!.version,
    /grpc-go v1\.\d+\.\d+, .*go1\./,
  );
  assert.ok(page_cache.fresh_ms_per_mib > 0 && page_cache.reused_ms_per_mib > 0, String(machine.cpu));
});

test('streams are all acknowledged, and judged beside unary calls', {
  skip: requirement('h2load'),
}, async () => {
  const cells = ['native/100', 'native-stream/100', 'grpc-js-stream/100'];
  const { peers } = await benchReport<Report>('daemon', [...SMALL, '--only', cells.join(',')]);
  assert.deepEqual(peers.cells.map(({ name }) => name).toSorted(), cells.toSorted());
  for (const { name, requests_per_second } of peers.cells) assertSpread(requests_per_second, name);
  const judged = peers.targets.filter(({ met }) => met !== undefined).map(({ measure }) => measure);
  assert.deepEqual(judged, [
    '100 readings/request, readings per CPU-second',
    '100 readings/request, native: streams : unary calls',
  ]);
});

test('without Go the peers are missing, and the targets that need them are not judged', {
  skip: requirement('h2load'),
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'telemetry-sink-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const program of ['h2load', 'taskset', 'git', 'sh']) {
    const places = (process.env.PATH ?? '').split(delimiter).map((place) => join(place, program));
    const found = places.find((place) => existsSync(place));
    if (found !== undefined) await symlink(found, join(folder, program));
  }
  const environment = { ...process.env, PATH: folder };
  const { peers } = await benchReport<Report>(
    'daemon',
    [...SMALL, '--only', 'native/1,grpc-go/1,otel-collector/100'],
    environment,
  );
  assert.deepEqual(peers.missing, [
    { name: 'grpc-go', missing: 'go is not installed' },
    { name: 'otel-collector', missing: 'go is not installed' },
  ]);
  const [, grpcGo, collector] = peers.targets;
  assert.deepEqual([grpcGo!.text, collector!.met], ['not measured: no runs of grpc-go/1', undefined]);
});

if (process.env.BENCH_COLLECTOR === '1') {
  test('the Collector writes every point that it answered for', {
    skip: requirement('go') || requirement('h2load'),
  }, async () => {
    await build('otel-collector');
    const { peers } = await benchReport<Report>('daemon', [...SMALL, '--only', 'otel-collector']);
    assert.deepEqual(
      peers.cells.map(({ name }) => name),
      ['otel-collector/1', 'otel-collector/100'],
    );
    for (const { name, readings_per_second } of peers.cells) assertSpread(readings_per_second, name);
  });
} else {
  process.stderr.write(
    'LEFT OUT: the OpenTelemetry Collector as a peer; BENCH_COLLECTOR=1 builds and runs it\n',
  );
}
