/** Precedence, faults, secrets and warnings of the resolution. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InvariantError } from '../../src/base/assert.ts';
import { SinkError } from '../../src/base/errors.ts';
import { optionGroup } from '../../src/base/option.ts';
import { parseCommandLine } from '../../src/config/command-line.ts';
import { parseEnvFile, readEnvFile } from '../../src/config/env-file.ts';
import type { Resolution } from '../../src/config/resolution.ts';
import { type OptionGroups, resolve, sourceText } from '../../src/config/resolve.ts';

const journal = optionGroup({
  title: 'Journal',
  options: {
    rotateBytes: {
      env: 'ROTATE_BYTES',
      type: 'bytes',
      min: 1,
      max: 2 ** 40,
      default: '256MiB',
      help: 'Size',
    },
    syncIntervalMs: { env: 'SYNC_INTERVAL', type: 'duration', min: 1, max: 1e6, default: '1s', help: 'Time' },
    compress: {
      env: 'COMPRESS',
      type: 'enum',
      values: ['none', 'gzip', 'zstd'],
      default: 'none',
      help: 'Kind',
    },
    token: {
      env: 'API_TOKEN',
      type: 'enum',
      values: ['right'],
      default: 'right',
      help: 'Token',
      secret: true,
    },
    isOpen: { env: 'IS_OPEN', type: 'boolean', default: 'true', help: 'Open' },
  },
  check: ({ rotateBytes }) => (rotateBytes === 13 ? ['ROTATE_BYTES must not be 13'] : []),
});
const tail = optionGroup({
  title: 'Tail',
  options: {
    folder: { env: 'FILE_PATH', type: 'path', positional: 'folder', default: 'data', help: 'Folder' },
    sensors: { flag: 'sensor', short: 's', type: 'list', default: '', help: 'Sensors' },
    key: { flag: 'key', type: 'string', required: true, default: '', help: 'Key' },
  },
});

interface Given {
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  readonly file?: string;
}

function resolveWith(groups: OptionGroups, { args = [], env = {}, file }: Given): Resolution {
  const { given } = parseCommandLine('try', groups, args);
  return resolve(groups, {
    given,
    env,
    envFile: file === undefined ? undefined : parseEnvFile('.env', file),
  });
}

function journalOf(given: Given): Readonly<Record<string, unknown>> {
  const { config, faults } = resolveWith({ journal }, given);
  assert.deepEqual(faults, []);
  return config.journal!;
}

test('flag before environment before file before default', () => {
  const file = 'ROTATE_BYTES=3\n';
  const env = { ROTATE_BYTES: '2' };
  const args = ['--rotate-bytes', '1'];
  assert.equal(journalOf({ args, env, file }).rotateBytes, 1);
  assert.equal(journalOf({ env, file }).rotateBytes, 2);
  assert.equal(journalOf({ file }).rotateBytes, 3);
  assert.equal(journalOf({}).rotateBytes, 256 * 1024 * 1024);
});

test('an empty variable is no value', () => {
  assert.equal(journalOf({ env: { COMPRESS: '' }, file: 'COMPRESS=gzip\n' }).compress, 'gzip');
  assert.equal(journalOf({ env: { COMPRESS: ' ' }, file: 'COMPRESS=\n' }).compress, 'none');
});

test('the result is frozen', () => {
  const { config } = resolveWith({ journal }, {});
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.journal));
});

test('each value knows where it came from, the file with its last line', () => {
  const { options } = resolveWith(
    { journal },
    {
      args: ['--compress=gzip'],
      env: { IS_OPEN: 'no' },
      file: '# head\nROTATE_BYTES=1\n\nexport ROTATE_BYTES="2"\n',
    },
  );
  assert.deepEqual(
    options.map(({ source }) => sourceText(source)),
    ['.env line 4', 'default', 'flag --compress', 'default', 'environment'],
  );
  assert.equal(options[0]!.value, 2);
});

test('booleans as switches, negated and with a value', () => {
  assert.equal(journalOf({ args: ['--no-is-open'] }).isOpen, false);
  assert.equal(journalOf({ args: ['--is-open=off'] }).isOpen, false);
  assert.equal(journalOf({ args: ['--is-open'], env: { IS_OPEN: 'false' } }).isOpen, true);
  const { faults } = resolveWith({ journal }, { args: ['--is-open=perhaps'] });
  assert.match(faults[0]!.message, /^IS_OPEN "perhaps" \(flag --is-open\) is neither true nor false/);
});

test('arguments fill the positionals, repeated flags gather, a missing required one is a fault', () => {
  const given = {
    args: ['-s', 'a,b', '--sensor', 'c', '--key', '-5', '--', '-odd'],
    env: { FILE_PATH: 'other' },
  };
  const { config, faults } = resolveWith({ tail }, given);
  assert.deepEqual(faults, []);
  assert.deepEqual(config.tail, { folder: '-odd', sensors: ['a,b', 'c'], key: '-5' });
  const missing = resolveWith({ tail }, {});
  assert.deepEqual(
    missing.faults.map(({ message }) => message),
    ['--key is missing; accepted: text'],
  );
});

test('all faults at once, each with its name, value, source and what is accepted', () => {
  const { faults } = resolveWith(
    { journal, tail },
    { args: ['--rotate-bytes', '12x'], env: { SYNC_INTERVAL: '5' }, file: 'COMPRESS=zst\n' },
  );
  assert.deepEqual(
    faults.map(({ message }) => message),
    [
      'ROTATE_BYTES "12x" (flag --rotate-bytes) is not a size; accepted: a size such as 64KiB or 1.5GiB, 1B to 1TiB',
      'SYNC_INTERVAL "5" (environment) is a duration without a unit; accepted: a duration such as 500ms, 5s or 1h30m, 1ms to 16m40s',
      'COMPRESS "zst" (.env line 1) is not one of the choices (did you mean zstd?); accepted: none, gzip, zstd',
      '--key is missing; accepted: text',
    ],
  );
});

test('a fault is one line whatever the value holds', () => {
  const { faults } = resolveWith({ journal }, { env: { ROTATE_BYTES: `1\n\u001b[31m${'x'.repeat(1000)}` } });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  assert.doesNotMatch(faults[0]!.message, /[\u0000-\u001f]/);
  assert.ok(faults[0]!.message.length < 400);
});

test("a group's own check runs when its values stand, and not before", () => {
  const messages = ({ faults }: Resolution): string[] => faults.map(({ message }) => message);
  assert.deepEqual(messages(resolveWith({ journal }, { env: { ROTATE_BYTES: '13' } })), [
    'ROTATE_BYTES must not be 13',
  ]);
  assert.equal(messages(resolveWith({ journal }, { env: { ROTATE_BYTES: '13', COMPRESS: '?' } })).length, 1);
});

test('a secret is in the config and nowhere else', () => {
  const right = resolveWith({ journal }, { env: { API_TOKEN: 'right' } });
  assert.equal(right.config.journal!.token, 'right');
  assert.equal(right.options.find(({ key }) => key === 'token')!.text, '');
  const wrong = resolveWith({ journal }, { env: { API_TOKEN: 'hunter2' } });
  assert.equal(wrong.faults.length, 1);
  assert.doesNotMatch(JSON.stringify({ ...wrong, config: undefined }), /hunter2/);
});

test('a variable that is nearly ours gets a warning, others do not', () => {
  const { warnings } = resolveWith(
    { journal },
    {
      env: { ROTATE_BYTE: '1', PATH: '/bin', HOME: '/root', rotate_bytes: '1' },
      file: 'COMPOSE_PROJECT_NAME=x\n\nSYNC_INTREVAL=1s\n',
    },
  );
  assert.deepEqual(warnings, [
    '.env line 3: SYNC_INTREVAL is not known; did you mean SYNC_INTERVAL?',
    'environment: ROTATE_BYTE is not known; did you mean ROTATE_BYTES?',
    'environment: rotate_bytes is not known; did you mean ROTATE_BYTES?',
  ]);
});

test('an unknown flag or argument is refused with a suggestion', () => {
  const usage = (args: string[], message: RegExp): void => {
    assert.throws(
      () => parseCommandLine('try', { journal, tail }, args),
      (error) => error instanceof SinkError && error.exitStatus === 2 && message.test(error.message),
    );
  };
  usage(['--rotate-byte', '1'], /unknown option '--rotate-byte'\. Did you mean --rotate-bytes\?/);
  usage(['--rotate_bytes=1'], /Did you mean --rotate-bytes\?/);
  usage(['data', 'more'], /unexpected argument "more"/);
  usage(['--rotate-bytes'], /argument missing/);
});

test('a default that does not parse is a fault of ours', () => {
  const broken = optionGroup({
    title: 'Broken',
    options: { size: { env: 'SIZE', type: 'bytes', min: 0, max: 1, default: 'much', help: 'Size' } },
  });
  assert.throws(() => resolveWith({ broken }, {}), InvariantError);
});

test('a missing .env is fine, a missing file that was named is not', () => {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-env-'));
  try {
    const path = join(folder, 'some.env');
    assert.equal(readEnvFile(path, false), undefined);
    assert.throws(() => readEnvFile(path, true), { code: 'CONFIG_INVALID', message: /some\.env/ });
    writeFileSync(path, '\uFEFFA=1\r\nB="two words" # note\r\n');
    assert.deepEqual(
      [...readEnvFile(path, true)!.entries].map(([name, { text, line }]) => [name, text, line]),
      [
        ['A', '1', 1],
        ['B', 'two words', 2],
      ],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('--env-file, which Node.js takes for itself even behind the script, is answered with our own flag', () => {
  assert.throws(() => parseCommandLine('try', { journal }, ['--env-file', 'x']), /our own is --dotenv/);
  assert.equal(parseCommandLine('try', { journal }, ['--dotenv', 'x']).envFilePath, 'x');
});

test('a line of the .env file that says nothing is warned about, with its number', () => {
  const file =
    '# fine\n\nROTATE_BYTES: 10MiB\nNOTE="two\nlines: both part of it"\nexport ACK=synced\nFOO BAR\n';
  assert.deepEqual(parseEnvFile('.env', file).strayLines, [3, 7]);
  const { warnings } = resolve({}, { given: new Map(), env: {}, envFile: parseEnvFile('.env', file) });
  assert.deepEqual(warnings, [
    '.env:3 is not NAME=value and has no effect',
    '.env:7 is not NAME=value and has no effect',
  ]);
});
