/** The `tail` command: the newest readings, following, filtering, and its ways to end. */
import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { CommandIo } from '../../src/commands/command.ts';
import { readingText } from '../../src/commands/tail/reading-text.ts';
import { tail } from '../../src/commands/tail.ts';
import { startCommand } from '../support/command-line.ts';
import { runCommandLine } from '../support/command-run.ts';
import { LiveJournal } from '../support/live-journal.ts';
import { temporaryFolder, writeSegment } from '../support/sample-journal.ts';

async function compressedJournal(folder: string): Promise<LiveJournal> {
  const journal = new LiveJournal(folder);
  await journal.open(4 * 1024, { compress: 'zstd' });
  for (let batch = 0; batch < 30; batch++) await journal.write(5);
  await journal.idle();
  return journal;
}

test('the newest ten, or as many as asked for, as they are in the files', async (t) => {
  const journal = await compressedJournal(await temporaryFolder(t));
  const run = await runCommandLine(['tail', journal.folder]);
  assert.deepEqual(run, { status: 0, stdout: journal.written.slice(-10).join(''), stderr: '' });
  assert.equal(
    (await runCommandLine(['tail', journal.folder, '-n', '120'])).stdout,
    journal.written.slice(-120).join(''),
  );
  assert.equal((await runCommandLine(['tail', journal.folder, '-n', '0'])).stdout, '');
  await journal.close();
});

test('--sensor picks sensors, also those whose names need escapes', async (t) => {
  const folder = await temporaryFolder(t);
  const names = ['a', 'a"b', 'grün', 'a\\', 'a'];
  const lines = names.map((name, i) => `{"sensor_name":${JSON.stringify(name)},"sensor_value":${i}}\n`);
  lines.push('{"sensor_value":5,"sensor_name":"a"}\n', '{"sensor_name":"b","labels":{"sensor_name":"a"}}\n');
  await writeSegment(folder, 1, { lines });
  const tailOf = async (...sensors: string[]): Promise<string> => {
    const flags = sensors.flatMap((sensor) => ['--sensor', sensor]);
    return (await runCommandLine(['tail', folder, ...flags])).stdout;
  };
  assert.equal(await tailOf('a'), [lines[0], lines[4], lines[5]].join(''));
  assert.equal(await tailOf('a"b', 'grün'), [lines[1], lines[2]].join(''));
  assert.equal(await tailOf('a\\'), lines[3]);
  assert.equal(await tailOf('nobody'), '');
});

test('following shows what comes, and only the sensors asked for', async (t) => {
  const journal = await compressedJournal(await temporaryFolder(t));
  const stop = new AbortController();
  const stdout = new PassThrough();
  const io: CommandIo = {
    stdin: new PassThrough(),
    stdout,
    stderr: new PassThrough(),
    isTty: false,
    isColour: false,
    env: {},
  };
  const config = {
    tail: { folder: journal.folder, lines: 0, follow: true, sensor: ['boiler-4'], json: false },
  };
  let text = '';
  const before = journal.written.length;
  const isComplete = new Promise<void>((resolve) => {
    stdout.on('data', (chunk: Buffer) => {
      text += chunk;
      if (text.includes(`"sensor_value":${before + 199 - ((before + 199 - 4) % 7)},`)) resolve();
    });
  });
  const tailing = tail(config, io, stop.signal);
  // The first write may come before or after it began to follow: readings since the start count either way.
  for (let batch = 0; batch < 40; batch++) await journal.write(5);
  await isComplete;
  stop.abort();
  assert.equal(await tailing, 0);
  const wanted = journal.written.slice(before).filter((line) => line.includes('"boiler-4"'));
  assert.equal(text, wanted.slice(-text.split('\n').length + 1).join(''));
  assert.ok(text.length > 0);
  await journal.close();
});

test('SIGINT ends following with 0, and so does a reader that has had enough', async (t) => {
  const folder = await temporaryFolder(t);
  const { file } = await writeSegment(folder, 1);
  const interrupted = startCommand(['tail', folder, '-f', '-n', '1']);
  await new Promise((resolve) => interrupted.child.stdout!.once('data', resolve));
  interrupted.child.kill('SIGINT');
  const { status, stderr } = await interrupted.finished;
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });

  const abandoned = startCommand(['tail', folder, '-f', '-n', '1']);
  await new Promise((resolve) => abandoned.child.stdout!.once('data', resolve));
  abandoned.child.stdout!.destroy();
  await appendFile(join(folder, file), '{"sensor_name":"one more"}\n');
  const end = await abandoned.finished;
  assert.deepEqual({ status: end.status, stderr: end.stderr }, { status: 0, stderr: '' });
});

test('a reading for eyes: time, sensor, value with every digit, labels; nothing that drives a terminal', () => {
  const rest = '"created_at":"2026-11-20T10:00:00.123456789Z","received_at":"2026-11-20T10:00:00.130Z"';
  assert.equal(
    readingText(
      `{"sensor_name":"boiler-1","sensor_value":-9223372036854775808,${rest},"labels":{"site":"b"}}\n`,
      false,
    ),
    '2026-11-20 10:00:00.123  boiler-1                  -9223372036854775808  site=b',
  );
  const value = (pair: string): string =>
    readingText(`{"sensor_name":"x","sensor_value":null,${pair},${rest}}`, false).slice(51);
  assert.equal(value('"double_value":2.5'), '2.5');
  assert.equal(value('"double_value":"NaN"'), 'NaN');
  assert.equal(value('"bool_value":false'), 'false');
  assert.equal(value('"string_value":"on"'), '"on"');
  const hostile = readingText(`{"sensor_name":"\\u001b[2J\\u202e","sensor_value":1,${rest}}`, false);
  assert.ok(hostile.includes('\\u001b[2J\\u202e'));
  assert.match(readingText('{"half', false), /^\{"half$/);
  assert.ok(readingText(`{"sensor_name":"x","sensor_value":1,${rest}}`, true).includes('\u001b['));
});

test('no folder: one line, exit 2', async (t) => {
  const run = await runCommandLine(['tail', join(await temporaryFolder(t), 'nowhere')]);
  assert.equal(run.status, 2);
  assert.match(run.stderr, /there is no journal folder/);
});
