/** A daemon under the load of `send`, ended in the middle by a signal, again and again on the same folder. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAcknowledged, countJournal } from '../support/acknowledged.ts';
import { runCommand, startCommand } from '../support/command-line.ts';
import { type DaemonProcess, daemonHome, type Exit } from '../support/daemon.ts';

const SENSORS = 200;
/** Far more than a round can send. */
const READINGS_PER_SENSOR = 1_000_000;

export interface Round {
  readonly daemon: DaemonProcess;
  readonly exit: Exit;
}

/**
 * `rounds` times: start, load from 50 connections, signal at a random moment while requests are being
 * acknowledged, see that every acknowledged reading is in the files.
 */
export async function endUnderLoad(
  t: { after(clean: () => Promise<void>): void; diagnostic(message: string): void },
  options: {
    readonly rounds: number;
    readonly signal: NodeJS.Signals;
    readonly environment: Readonly<Record<string, string>>;
    readonly seed: number;
    readonly afterRound: (round: Round) => void;
  },
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'telemetry-sink-load-'));
  t.after(() => rm(scratch, { recursive: true, force: true }));
  const home = await daemonHome(t);
  for (let round = 0; round < options.rounds; round++) {
    // Alternately one ingest thread and three.
    const environment = { ...options.environment, INGEST_THREADS: round % 2 === 0 ? '1' : '3' };
    const daemon = home.start(environment);
    const { grpc } = await daemon.ready();
    const log = join(scratch, `acknowledged-${round}.jsonl`);
    const load = startCommand([
      'send',
      ...[
        '--target',
        grpc,
        '--connections',
        '50',
        '--sensors',
        String(SENSORS),
        '--readings-per-request',
        '20',
      ],
      ...['--count', String(SENSORS * READINGS_PER_SENSOR), '--sensor-prefix', `round${round}-`],
      ...['--acknowledged-log', log, '--retries', '0'],
    ]);
    await acknowledgedSome(log, 50 + ((options.seed * 7919 + round * 104_729) % 400));
    daemon.signal(options.signal);
    const exit = await daemon.exited;
    load.child.kill('SIGKILL');
    await load.finished;
    options.afterRound({ daemon, exit });

    // As after any crash: the next start recovers, a clean stop closes what it recovered.
    const next = home.start(environment);
    await next.ready();
    assert.equal((await next.stop()).status, 0);
    const verified = await runCommand(['verify', home.folder]);
    assert.equal(verified.status, 0, `verify after round ${round}: ${verified.stdout}${verified.stderr}`);
    const journal = await countJournal(home.folder, READINGS_PER_SENSOR);
    assert.equal(journal.inconsistent, 0);
    const acknowledged = await checkAcknowledged(log, journal);
    assert.ok(acknowledged.readings > 0, 'the load was acknowledged before the signal');
    assert.deepEqual(acknowledged.missing.slice(0, 10), [], `missing after round ${round}`);
    assert.deepEqual(acknowledged.altered.slice(0, 10), [], `altered after round ${round}`);
    assert.deepEqual(acknowledged.repeated.slice(0, 10), [], `repeated after round ${round}`);
    t.diagnostic(`round ${round}: ${acknowledged.readings} acknowledged readings, none missing`);
    await rm(home.folder, { recursive: true, force: true });
  }
}

/** Resolves once the acknowledged log has so many lines. */
async function acknowledgedSome(path: string, lines: number): Promise<void> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.split('\n').length > lines) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
