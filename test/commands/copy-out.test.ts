/** The `copy-out` command beside a journal that rotates, compresses and deletes all the time. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { tarEnd, tarHeader } from '../../src/commands/copy-out/tar.ts';
import { JOURNAL_FOLDER } from '../../src/journal/segment-name.ts';
import { verifyFolder } from '../../src/journal/verify.ts';
import { startCommand } from '../support/command-line.ts';
import { runCommandLine } from '../support/command-run.ts';
import { LiveJournal } from '../support/live-journal.ts';
import { temporaryFolder, writeSegment } from '../support/sample-journal.ts';

/** A journal under load until the returned function is called. */
async function busyJournal(folder: string): Promise<{ journal: LiveJournal; stop: () => Promise<void> }> {
  const journal = new LiveJournal(folder);
  await journal.open(4 * 1024, { compress: 'zstd', retainFiles: 6 });
  let isOver = false;
  const writing = (async () => {
    while (!isOver) {
      await journal.write(5);
      await nextTurn();
    }
  })();
  while (journal.written.length < 400) await nextTurn();
  return {
    journal,
    stop: async () => {
      isOver = true;
      await writing;
      await journal.close();
      assert.deepEqual(journal.faults, []);
    },
  };
}

async function linkFolders(folder: string): Promise<string[]> {
  return (await readdir(join(folder, JOURNAL_FOLDER))).filter((name) => name.startsWith('copy-'));
}

test('a copy into a folder passes verify, whatever the daemon does meanwhile', async (t) => {
  const folder = await temporaryFolder(t);
  const target = join(await temporaryFolder(t), 'copy');
  const { stop } = await busyJournal(folder);
  for (let round = 0; round < 5; round++) {
    const to = `${target}-${round}`;
    const run = await runCommandLine(['copy-out', folder, '--to', to]);
    assert.equal(run.status, 0, run.stderr);
    assert.match(
      run.stderr,
      /^copied \d+ closed segments, [\d,]+ lines, .*copy-\d\n(left out: telemetry-.*\n)?$/,
    );
    const report = await verifyFolder(to);
    assert.deepEqual([report.faults, report.notices, report.openFile], [[], [], null]);
    assert.ok(report.segments >= 5);
  }
  await stop();
  assert.deepEqual(await linkFolders(folder), []);
});

test('a tar stream unpacks with the system tar and passes verify', async (t) => {
  const folder = await temporaryFolder(t);
  const target = await temporaryFolder(t);
  await rm(join(target, JOURNAL_FOLDER), { recursive: true });
  const { stop } = await busyJournal(folder);
  const copy = startCommand(['copy-out', folder, '--tar']);
  const tar = spawn('tar', ['-x', '-f', '-', '-C', target], { stdio: ['pipe', 'inherit', 'inherit'] });
  copy.child.stdout!.pipe(tar.stdin);
  const [[tarStatus], { status, stderr }] = await Promise.all([once(tar, 'close'), copy.finished]);
  assert.deepEqual([tarStatus, status], [0, 0], stderr);
  await stop();
  const report = await verifyFolder(target);
  assert.deepEqual([report.faults, report.notices], [[], []]);
  assert.ok(report.segments >= 5);
  assert.deepEqual(await linkFolders(folder), []);
});

test('with the open segment, a copy holds all lines up to a moment, whole and under checksums', async (t) => {
  const folder = await temporaryFolder(t);
  const target = join(await temporaryFolder(t), 'copy');
  const journal = new LiveJournal(folder);
  await journal.open(256 * 1024, { compress: 'gzip' });
  const writeSome = async (): Promise<void> => {
    for (let batch = 0; batch < 100; batch++) {
      await journal.write(30);
      await nextTurn();
    }
  };
  let openParts = 0;
  for (let round = 0; round < 6; round++) {
    const to = `${target}-${round}`;
    await writeSome();
    const copying = runCommandLine(['copy-out', folder, '--with-open', '--to', to]);
    const [run] = await Promise.all([copying, writeSome()]);
    assert.equal(run.status, 0, run.stderr);
    const report = await verifyFolder(to);
    assert.deepEqual([report.faults, report.notices], [[], []]);
    assert.match(run.stderr, new RegExp(`, ${report.lines.toLocaleString('en')} lines, `));
    if (report.openFile !== null) {
      openParts++;
      assert.match(run.stderr, /and the open one/);
      assert.doesNotMatch(run.stderr, /left out/);
    }
    const copied = await runCommandLine(['tail', to, '-n', '1000000']);
    assert.ok(copied.stdout === journal.written.slice(0, report.lines).join(''), `round ${round}`);
  }
  await journal.close();
  assert.ok(openParts > 0, 'no round met an open segment with a complete block');
  assert.deepEqual(await linkFolders(folder), []);
});

test('what a copy leaves out is named, with the way to have it', async (t) => {
  const folder = await temporaryFolder(t);
  const { file, bytes } = await writeSegment(folder, 1);
  await appendFile(join(folder, file), 'not yet under a checksum');
  const target = await temporaryFolder(t);
  const without = await runCommandLine(['copy-out', folder, '--to', join(target, 'without')]);
  assert.match(
    without.stderr,
    /^copied 0 closed segments, 0 lines, .*\nleft out: telemetry-.*-000001\.jsonl, .*--with-open/,
  );
  const withOpen = await runCommandLine(['copy-out', folder, '--with-open', '--to', join(target, 'with')]);
  assert.match(withOpen.stderr, /^copied 0 closed segments and the open one, 100 lines, [^\n]*\n$/);
  assert.equal((await stat(join(target, 'with', file))).size, bytes);

  await truncate(join(folder, JOURNAL_FOLDER, file.replace('.jsonl', '.blocks')), 0);
  const nothing = await runCommandLine(['copy-out', folder, '--with-open', '--to', join(target, 'nothing')]);
  assert.match(nothing.stderr, /left out: .*nothing of which is synced yet/);
  assert.deepEqual(await readdir(join(target, 'nothing')), [JOURNAL_FOLDER]);
});

test('a reader that goes away leaves no links behind; links of a killed copy are removed by the next', async (t) => {
  const folder = await temporaryFolder(t);
  const journal = new LiveJournal(folder);
  await journal.open(64 * 1024);
  while (journal.written.length < 20_000) await journal.write(200); // more than a pipe holds
  await journal.close();

  const abandoned = startCommand(['copy-out', folder, '--tar']);
  await new Promise((resolve) => abandoned.child.stdout!.once('data', resolve));
  abandoned.child.stdout!.destroy();
  await abandoned.finished;
  assert.deepEqual(await linkFolders(folder), []);

  // Held by nobody: nothing reads its output, so it stands still until it is killed.
  const killed = spawn(
    process.execPath,
    [new URL('../../bin/telemetry-sink.js', import.meta.url).pathname, 'copy-out', folder, '--tar'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await once(killed.stdout, 'readable');
  const [held] = await linkFolders(folder);
  assert.ok(held !== undefined);
  const beside = await runCommandLine(['copy-out', folder, '--to', join(await temporaryFolder(t), 'beside')]);
  assert.equal(beside.status, 0);
  assert.deepEqual(await linkFolders(folder), [held], 'the links of a living copy stay');
  killed.kill('SIGKILL');
  await once(killed, 'close');
  const next = await runCommandLine(['copy-out', folder, '--to', join(await temporaryFolder(t), 'next')]);
  assert.equal(next.status, 0);
  assert.deepEqual(await linkFolders(folder), []);
});

test('an empty journal gives an empty copy; what cannot work is said before anything is done', async (t) => {
  const folder = await temporaryFolder(t);
  await writeSegment(folder, 1); // open: not yet part of any copy
  const to = join(await temporaryFolder(t), 'copy');
  assert.equal((await runCommandLine(['copy-out', folder, '--to', to])).status, 0);
  assert.deepEqual(await readdir(to), [JOURNAL_FOLDER]);

  await mkdir(join(folder, 'full'));
  await writeFile(join(folder, 'full', 'mine'), '');
  const full = await runCommandLine(['copy-out', folder, '--to', join(folder, 'full')]);
  assert.equal(full.status, 2);
  assert.match(full.stderr, /is not empty/);
  const neither = await runCommandLine(['copy-out', folder]);
  assert.equal(neither.status, 2);
  assert.match(neither.stderr, /give one of the two/);
  const missing = await runCommandLine(['copy-out', join(folder, 'nowhere'), '--tar']);
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /there is no journal folder/);
});

test('a tar header can say sizes beyond eight gibibytes', () => {
  const bytes = 20 * 1024 ** 3;
  const header = tarHeader({ path: 'telemetry-20261120T100000Z-000001.jsonl', bytes, modifiedAtMs: 0 });
  assert.equal(header.readBigUInt64BE(128), BigInt(bytes));
  assert.equal(header[124], 0x80);
  assert.equal(tarEnd(512).length, 19 * 512);
  assert.equal(tarEnd(10_240).length, 10_240);
});
