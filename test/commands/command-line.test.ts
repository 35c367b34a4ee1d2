/** The command line as a whole: help, suggestions, faults and exit statuses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { flagOf, type Option } from '../../src/base/option.ts';
import { catalogue } from '../../src/commands/catalogue.ts';
import type { OptionGroups } from '../../src/config/resolve.ts';
import { resolve } from '../../src/config/resolve.ts';
import { editDistance } from '../../src/config/suggest.ts';
import { runCommandLine } from '../support/command-run.ts';

const BIN = join(import.meta.dirname, '../../bin/telemetry-sink.js');

/** The real program, in a folder of its own with this .env. */
function runProgram(args: readonly string[], env: Record<string, string>, envFile: string) {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-bin-'));
  try {
    writeFileSync(join(folder, '.env'), envFile);
    return spawnSync(process.execPath, [BIN, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the real program reports every fault at once, without a stack, and exits with 2', () => {
  const { status, stdout, stderr } = runProgram(
    ['serve', '--rotate-bytes', '12x', '--max-connections=0'],
    { BUFFER_FLUSH_INTERVAL: '5' },
    'GRPC_SERVER_SOCKET=nowhere\nACK=writen\nQUEUE_BYTE=1\n',
  );
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.deepEqual(
    stderr.split('\n').map((line) => line.trim().replace(/;.*/, '')),
    [
      'telemetry-sink: warning: .env line 3: QUEUE_BYTE is not known',
      'telemetry-sink: 5 faults in the configuration:',
      'GRPC_SERVER_SOCKET "nowhere" (.env line 1) is not an address',
      'MAX_CONNECTIONS "0" (flag --max-connections) is too small',
      'ACK "writen" (.env line 2) is not one of the choices (did you mean written?)',
      'BUFFER_FLUSH_INTERVAL "5" (environment) is a duration without a unit',
      'ROTATE_BYTES "12x" (flag --rotate-bytes) is not a size',
      "See 'telemetry-sink serve --help'.",
      '',
    ],
  );
});

test('the real program shows help and nothing else', () => {
  const { status, stdout, stderr } = runProgram(['--help'], {}, '');
  assert.equal(status, 0);
  assert.equal(stderr, '');
  assert.match(stdout, /Usage: telemetry-sink <command>/);
});

test('a misspelt command or flag gets a suggestion and exit status 2', async () => {
  const command = await runCommandLine(['validat']);
  assert.equal(command.status, 2);
  assert.equal(
    command.stderr,
    `telemetry-sink: unknown command "validat". Did you mean validate? See 'telemetry-sink --help'.\n`,
  );
  const flag = await runCommandLine(['validate', '--rotate-byte', '1']);
  assert.equal(flag.status, 2);
  assert.match(
    flag.stderr,
    /^telemetry-sink: unknown option '--rotate-byte'\. Did you mean --rotate-bytes\?.*\n$/,
  );
  const early = await runCommandLine(['--rotate-bytes', '1']);
  assert.match(early.stderr, /the first argument is the command/);
});

test('without a command: help, on standard error, exit status 2', async () => {
  const { status, stdout, stderr } = await runCommandLine([]);
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /Commands:/);
});

test('the version', async () => {
  for (const args of [['--version'], ['version']]) {
    const { status, stdout } = await runCommandLine(args);
    assert.equal(status, 0);
    assert.match(stdout, /^telemetry-sink \d+\.\d+\.\d+ \(commit \w+, Node\.js \d+\.\d+\.\d+\)\n$/);
  }
});

for (const entry of catalogue) {
  test(`${entry.name}: help names every option, its variable and its default`, async () => {
    const command = await entry.load();
    assert.equal(command.name, entry.name);
    assert.equal(command.summary, entry.summary);
    const { status, stdout, stderr } = await runCommandLine([entry.name, '--help']);
    assert.equal(status, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /\nExamples:\n/, 'it shows examples');
    for (const option of optionsOf(command.groups)) {
      const flag = flagOf(option);
      if (flag !== undefined) assert.match(stdout, new RegExp(`--(no-)?${flag}\\b`));
      if (option.env !== undefined) assert.match(stdout, new RegExp(`\\[${option.env}\\b`));
      assert.match(option.help, /^[\p{Lu}\p{N}]|^gRPC|^json/u, `help begins with a capital: ${option.help}`);
      assert.doesNotMatch(option.help, /\.$|\n/, `help is one line without a full stop: ${option.help}`);
    }
    // Example lines are for copying and stay whole.
    const isExample = (line: string): boolean => line.startsWith('  telemetry-sink ') || line.includes(' | ');
    const long = stdout.split('\n').filter((line) => line.length > 100 && !isExample(line));
    assert.deepEqual(long, [], 'nothing is wider than the terminal');
    assert.deepEqual((await runCommandLine(['help', entry.name])).stdout, stdout);
    const coloured = await runCommandLine([entry.name, '--help'], { isColour: true });
    assert.notEqual(coloured.stdout, stdout);
    assert.equal(stripVTControlCharacters(coloured.stdout), stdout);
  });

  test(`${entry.name}: its defaults parse, and without input nothing but what must be given is missing`, async () => {
    const { groups } = await entry.load();
    const { faults } = resolve(groups, { given: new Map(), env: {}, envFile: undefined });
    // A check across options may ask for one of several; those faults have no source.
    assert.deepEqual(
      faults.filter(({ source }) => source !== undefined && source.kind !== 'default'),
      [],
    );
  });
}

test('no variable of one command looks like a misspelt one of another', async () => {
  const commands = await Promise.all(catalogue.map((entry) => entry.load()));
  const namesOf = (groups: OptionGroups): string[] =>
    optionsOf(groups).flatMap(({ env }) => (env === undefined ? [] : [env]));
  const all = new Set(commands.flatMap(({ groups }) => namesOf(groups)));
  for (const { name, groups } of commands) {
    const own = new Set(namesOf(groups));
    for (const other of all) {
      if (own.has(other)) continue;
      for (const mine of own) {
        assert.ok(editDistance(mine, other) > 2, `${name} would take ${other} for a misspelt ${mine}`);
      }
    }
  }
});

function optionsOf(groups: OptionGroups): Option[] {
  return Object.values(groups).flatMap((group) => Object.values(group.options as Record<string, Option>));
}
