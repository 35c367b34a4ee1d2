/** The `verify` command: what it prints and how it exits. */
import assert from 'node:assert/strict';
import { readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { progressLine } from '../../src/commands/progress-bar.ts';
import { JOURNAL_FOLDER } from '../../src/journal/segment-name.ts';
import { runCommandLine } from '../support/command-run.ts';
import { LiveJournal } from '../support/live-journal.ts';
import { temporaryFolder } from '../support/sample-journal.ts';

async function closedJournal(folder: string): Promise<string[]> {
  const journal = new LiveJournal(folder);
  await journal.open(8 * 1024);
  for (let batch = 0; batch < 30; batch++) await journal.write(5);
  await journal.close();
  return journal.written;
}

test('a clean folder: one line, exit 0', async (t) => {
  const folder = await temporaryFolder(t);
  const written = await closedJournal(folder);
  const run = await runCommandLine(['verify', folder]);
  assert.equal(run.status, 0);
  assert.match(run.stdout, new RegExp(`^clean: \\d+ segments, ${written.length} lines, [\\d.]+KiB\\n$`));
  assert.equal(run.stderr, '');
});

test('a damaged folder: each fault on a line with file and offset, exit 1; the same as JSON', async (t) => {
  const folder = await temporaryFolder(t);
  await closedJournal(folder);
  const view = JSON.parse((await runCommandLine(['verify', folder, '--json'])).stdout);
  assert.equal(view.ok, true);
  const names = (await readFile(join(folder, '.journal', 'manifest.jsonl'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).file as string);
  const damaged = join(folder, names[1]!);
  const content = await readFile(damaged);
  content[100]! ^= 1;
  await writeFile(damaged, content);
  await unlink(join(folder, names[2]!));

  const run = await runCommandLine(['verify', folder]);
  assert.equal(run.status, 1);
  assert.match(run.stdout, new RegExp(`^fault  ${names[1]}: sha256: .*$`, 'm'));
  assert.match(run.stdout, new RegExp(`^fault  ${names[1]}: crc32 at byte 0: .*$`, 'm'));
  assert.match(run.stdout, new RegExp(`^fault  ${names[2]}: missing: .*$`, 'm'));
  assert.match(run.stdout, /^3 faults found: /m);

  const json = await runCommandLine(['verify', folder, '--json']);
  assert.equal(json.status, 1);
  const report = JSON.parse(json.stdout);
  assert.equal(report.ok, false);
  assert.deepEqual(
    report.faults.map((fault: Record<string, unknown>) => [
      fault.file,
      fault.kind,
      fault.offset,
      fault.file_offset,
    ]),
    [
      [names[1], 'sha256', null, null],
      [names[1], 'crc32', 0, 0],
      [names[2], 'missing', null, null],
    ],
  );
});

test('--repair: says what was lost and where it is kept, exit 0 once clean; --dry-run changes nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const written = await closedJournal(folder);
  const [first] = (await readFile(join(folder, '.journal', 'manifest.jsonl'), 'utf8'))
    .split('\n')
    .map((line) => JSON.parse(line || '{}').file as string);
  const content = await readFile(join(folder, first!));
  content[100]! ^= 1;
  await writeFile(join(folder, first!), content);

  const dry = await runCommandLine(['verify', folder, '--repair', '--dry-run']);
  assert.equal(dry.status, 1);
  assert.match(dry.stdout, /^fault {2}.*crc32/m);
  assert.match(dry.stdout, /^ {2}cut {3}\d+ bytes, \d+ lines at byte 0: the crc32 of the block is/m);
  assert.match(dry.stdout, /^dry run: nothing was changed; a repair would end with \d+ lines/m);
  assert.deepEqual(await readFile(join(folder, first!)), content);

  const run = await runCommandLine(['verify', folder, '--repair', '--json']);
  assert.equal(run.status, 0);
  const report = JSON.parse(run.stdout);
  assert.equal(report.ok, true);
  assert.ok(report.lost_lines > 0);
  const [segment] = report.segments;
  // It is one block, so all of it goes.
  assert.deepEqual(segment.actions, ['lost']);
  assert.deepEqual(await readFile(join(folder, segment.moved_to[0])), content);

  const after = await runCommandLine(['verify', folder]);
  assert.equal(after.status, 0);
  assert.match(after.stdout, new RegExp(`^notice .*${report.lost_lines} lines are gone$`, 'm'));
  assert.match(after.stdout, new RegExp(`, ${written.length - report.lost_lines} lines, `));
  const again = await runCommandLine(['verify', folder, '--repair']);
  assert.equal(again.stdout, 'clean: nothing to repair\n');
  assert.equal(again.status, 0);
});

test('--repair refuses a folder that is in use, and --dry-run alone', async (t) => {
  const folder = await temporaryFolder(t);
  const journal = new LiveJournal(folder);
  await journal.open(8 * 1024);
  t.after(() => journal.close());
  const run = await runCommandLine(['verify', folder, '--repair']);
  assert.equal(run.status, 2);
  assert.match(run.stderr, /in use by another telemetry-sink/);
  const alone = await runCommandLine(['verify', folder, '--dry-run']);
  assert.equal(alone.status, 2);
  assert.match(alone.stderr, /give both/);
});

test('no folder: one line, exit 2', async (t) => {
  const run = await runCommandLine(['verify', join(await temporaryFolder(t), 'nowhere')]);
  assert.equal(run.status, 2);
  assert.match(run.stderr, /^telemetry-sink: there is no journal folder at .*nowhere; name [^\n]*\n$/);
});

test('a folder without a journal is not clean: it is the wrong folder, or its disk is not mounted', async (t) => {
  const folder = await temporaryFolder(t);
  await rm(join(folder, JOURNAL_FOLDER), { recursive: true });
  await writeFile(join(folder, 'notes.txt'), 'mine');
  for (const args of [
    ['verify', folder],
    ['tail', folder],
    ['copy-out', folder, '--tar'],
  ]) {
    const run = await runCommandLine(args);
    assert.equal(run.status, 2);
    assert.equal(run.stdout, '');
    assert.match(run.stderr, /^telemetry-sink: there is no journal in .*; name the folder [^\n]*\n$/);
  }
  const file = await runCommandLine(['verify', join(folder, 'notes.txt')]);
  assert.match(file.stderr, /notes\.txt is a file; name the folder/);
  assert.equal(file.status, 2);
});

test('the progress line says share, size, speed and time left', () => {
  assert.equal(
    progressLine('verifying', 512 * 1024 ** 2, 1024 ** 3, 2000),
    'verifying ████████████░░░░░░░░░░░░ 50% of 1GiB, 256MiB/s, 2s left',
  );
  assert.equal(progressLine('verifying', 0, 0, 0), `verifying ${'█'.repeat(24)}100% of 0B, 0B/s`);
});

test('the progress line never wraps: the bar gives way, then the figures', () => {
  const line = (columns: number): string => progressLine('verifying', 2 ** 30, 2 ** 32, 60_000, columns);
  for (let columns = 10; columns <= 120; columns++) assert.ok(line(columns).length < columns, `${columns}`);
  assert.match(line(60), /^verifying █+░+ 25% of 4GiB, [\d.]+MiB\/s, 3m left$/);
  assert.match(line(45), /^verifying {2}25% of 4GiB, /);
});
