/** Every reading once, as sent, over three ingest threads, across rotations and compression. `READINGS=1000000` for the long form. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAcknowledged, countJournal } from '../support/acknowledged.ts';
import { runCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';

const READINGS = Number(process.env.READINGS ?? 100_000);
const SENSORS = 500;

test(`${READINGS} readings from 50 connections: exactly so many lines, each as sent`, {
  timeout: 300_000,
}, async (t) => {
  const home = await daemonHome(t);
  const scratch = await mkdtemp(join(tmpdir(), 'telemetry-sink-exact-'));
  t.after(() => rm(scratch, { recursive: true, force: true }));
  const daemon = home.start({ ROTATE_BYTES: '1MiB', COMPRESS: 'gzip', INGEST_THREADS: '3' });
  const { grpc } = await daemon.ready();
  const log = join(scratch, 'acknowledged.jsonl');
  const sent = await runCommand([
    'send',
    ...['--target', grpc, '--connections', '50', '--sensors', String(SENSORS), '--count', String(READINGS)],
    ...['--readings-per-request', '50', '--acknowledged-log', log, '--json'],
  ]);
  assert.equal(sent.status, 0, sent.stdout + sent.stderr);
  assert.deepEqual(await daemon.stop(), { status: 0, signal: null });
  assert.match(
    daemon.log.at(-1)!.msg,
    new RegExp(`written ${READINGS} .*lost 0 \\+ in flight 0 \\(difference 0\\)$`),
  );

  const files = (await readdir(home.folder)).filter((name) => name.startsWith('telemetry-'));
  assert.ok(files.length > READINGS / 20_000, `${files.length} segments: rotation was forced`);
  const verified = await runCommand(['verify', home.folder]);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  const journal = await countJournal(home.folder, Math.ceil(READINGS / SENSORS) + 50);
  assert.equal(journal.lines, READINGS);
  assert.equal(journal.inconsistent, 0);
  const acknowledged = await checkAcknowledged(log, journal);
  assert.equal(acknowledged.readings, READINGS);
  assert.deepEqual(
    [acknowledged.missing.length, acknowledged.repeated.length, acknowledged.altered.length],
    [0, 0, 0],
  );
  t.diagnostic(`${files.length} segments`);
});
