/** The daemon's log as a whole: formats, levels, and no line lost at any kind of exit. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SinkError } from '../../src/base/errors.ts';
import { type ObserveConfig, observeOptions } from '../../src/observe/config.ts';
import type { LogDestination } from '../../src/observe/log-destination.ts';
import { createLogger, openLogger } from '../../src/observe/logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-log-'));
after(() => rmSync(folder, { recursive: true }));

const defaults: ObserveConfig = {
  minLogLevel: 'info',
  logFormat: 'auto',
  logFile: '',
  logFileRotateBytes: 64 * 1024 * 1024,
  logFileRotateEvery: 'never',
  logFileKeep: 10,
};

class Memory implements LogDestination {
  text = '';
  readonly droppedLines = 0;
  write(line: string): void {
    this.text += line;
  }
  async close(): Promise<void> {}
}

function logTo(config: Partial<ObserveConfig>, look = { isPretty: false, isColour: false }) {
  const memory = new Memory();
  return { memory, ...createLogger({ ...defaults, ...config }, memory, look) };
}

const child = fileURLToPath(new URL('./log-child.ts', import.meta.url));

function run(config: Partial<ObserveConfig>, end: string, lines = 100) {
  const args = [child, JSON.stringify({ ...defaults, ...config }), end, String(lines)];
  const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  started.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  started.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    started.on('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { started, ended };
}

test('in a pipe: one JSON object per line, level by name, ISO time', async () => {
  const { stdout } = await run({}, 'exit', 2).ended;
  const [first, second] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(first.level, 'info');
  assert.equal(first.msg, 'line');
  assert.equal(first.index, 1);
  assert.equal(second.index, 2);
  assert.equal(new Date(first.time).toISOString(), first.time);
  assert.deepEqual(Object.keys(first), ['level', 'time', 'index', 'msg']);
});

// Side by side: each waits for a process to start.
describe('the last line before the end', { concurrency: true }, () => {
  for (const end of ['exit', 'throw', 'kill', 'close']) {
    test(`no line is lost in a pipe: ${end}`, async () => {
      const { stdout } = await run({}, end).ended;
      assert.equal(JSON.parse(stdout.trimEnd().split('\n').at(-1)!).index, 100);
      assert.equal(stdout.trimEnd().split('\n').length, 100);
    });
    test(`no line is lost in a file: ${end}`, async () => {
      const logFile = join(folder, end, 'sink.log');
      await run({ logFile }, end).ended;
      const written = readFileSync(join(folder, end, 'sink.1.log'), 'utf8')
        .trimEnd()
        .split('\n');
      assert.equal(written.length, 100);
      assert.equal(JSON.parse(written.at(-1)!).index, 100);
    });
  }
});

test('a reader that goes away does not end the process', async () => {
  const { started, ended } = run({}, 'exit', 20_000);
  started.stdout.once('data', () => started.stdout.destroy());
  const { status, stderr } = await ended;
  assert.equal(status, 0, stderr);
});

test('a pipe that nobody reads does not stop the process', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Open for both, so that there is a reader; 2,000 lines are more than the pipe holds.
  const fd = openSync(pipe, 'r+');
  const args = [child, JSON.stringify(defaults), 'exit', '2000'];
  const started = spawn(process.execPath, args, { stdio: ['ignore', fd, 'inherit'] });
  const status = await new Promise((resolve) => started.once('exit', resolve));
  closeSync(fd);
  assert.equal(status, 0);
});

test('pretty on request: readable, without colour codes in a pipe', async () => {
  const { stdout } = await run({ logFormat: 'pretty' }, 'exit', 1).ended;
  assert.match(stdout, /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: line \{"index":1\}\n$/);
});

test('pretty cannot be used to steer the terminal', () => {
  const { memory, logger } = logTo({}, { isPretty: true, isColour: false });
  logger.warn({ sensor: '\u001b[2J' }, 'name \u001b[31mred\r\nERROR: forged \u202e');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  assert.doesNotMatch(memory.text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  assert.equal(memory.text.split('\n').length, 2);
});

test('pretty errors are shown with their stack and without control characters', () => {
  const { memory, logger } = logTo({}, { isPretty: true, isColour: false });
  logger.error({ err: new Error('torn \u001b[2J') }, 'fault');
  assert.match(memory.text, /torn \\{1,2}u001b\[2J/);
  assert.match(memory.text, /logger\.test\.ts/);
  assert.ok(!memory.text.includes('\u001b'));
});

test('colour is there when asked for', () => {
  const { memory, logger } = logTo({}, { isPretty: true, isColour: true });
  logger.info('hello');
  assert.ok(memory.text.includes('\u001b['));
});

test('the least level: nothing below it is logged', () => {
  const { memory, logger } = logTo({ minLogLevel: 'error' });
  logger.warn('no');
  logger.error('yes');
  assert.equal(memory.text.split('\n').length, 2);
  assert.match(memory.text, /"yes"/);
});

test('every accepted level name is one that pino knows, those of zap included', () => {
  const { values, aliases } = observeOptions.options.minLogLevel;
  const zap = ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'];
  for (const name of zap) {
    const level = (aliases as Readonly<Record<string, string>>)[name] ?? name;
    assert.ok((values as readonly string[]).includes(level), name);
  }
  for (const minLogLevel of values) assert.equal(logTo({ minLogLevel }).logger.level, minLogLevel);
});

test('an error: type, message, code and stack; a SinkError without stack', () => {
  const { memory, logger } = logTo({});
  logger.error({ err: Object.assign(new Error('no room'), { code: 'ENOSPC' }) }, 'a');
  logger.error({ err: new SinkError('FOLDER_LOCKED', 'locked') }, 'b');
  const [first, second] = memory.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).err);
  assert.deepEqual(
    { type: first.type, message: first.message, code: first.code },
    { type: 'Error', message: 'no room', code: 'ENOSPC' },
  );
  assert.match(first.stack, /logger\.test/);
  assert.deepEqual(second, { type: 'SinkError', message: 'locked', code: 'FOLDER_LOCKED' });
});

test('a log file rotates by size, keeps so many, and every kept line is whole and in order', async () => {
  const logFile = join(folder, 'rolled', 'sink.log');
  const config = { ...defaults, logFile, logFileRotateBytes: 8192, logFileKeep: 3 };
  // Each turn is a process of its own: files of earlier runs are counted and removed too.
  for (let turn = 0; turn < 3; turn++) {
    const { logger, closeLogger } = await openLogger(config);
    for (let index = 0; index < 400; index++) {
      logger.info({ turn, index }, 'a line of the log');
      // Rotation happens between turns of the event loop.
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await closeLogger();
  }
  const names = readdirSync(join(folder, 'rolled'));
  assert.ok(names.length >= 2 && names.length <= 4, names.join());
  const numbered = names.sort((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1]));
  const lines = numbered
    .flatMap((name) =>
      readFileSync(join(folder, 'rolled', name), 'utf8')
        .trimEnd()
        .split('\n'),
    )
    .map((line) => JSON.parse(line));
  const positions = lines.map(({ turn, index }) => turn * 400 + index);
  assert.equal(positions.at(-1), 1199);
  positions.forEach((position, at) => {
    assert.equal(position, positions[0]! + at);
  });
});

test('a log file that cannot be opened is one clear line', async () => {
  const file = join(folder, 'a-file');
  writeFileSync(file, '');
  await assert.rejects(openLogger({ ...defaults, logFile: join(file, 'sink.log') }), (error) => {
    assert.ok(error instanceof SinkError);
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, /^LOG_FILE=.*a-file.*cannot be opened/);
    return true;
  });
});

test('a tiny rotation size is refused', () => {
  assert.equal(observeOptions.check?.({ ...defaults, logFileRotateBytes: 10 }).length, 1);
  assert.equal(observeOptions.check?.({ ...defaults, logFileRotateBytes: 0 }).length, 0);
});
