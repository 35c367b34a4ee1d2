/** `npm start` is the daemon itself: flags pass through, a signal to npm reaches it, its exit status comes back. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { requirement } from '../support/requirements.ts';

const root = join(import.meta.dirname, '../..');
const skip = requirement('npm');

async function npmStart(
  args: readonly string[],
  env: Record<string, string>,
  onLine: (line: string) => void,
) {
  const child = spawn('npm', ['start', '--', ...args], {
    cwd: root,
    // npm looks for the pinned runtime first; for this test it is whatever runs the tests.
    env: { ...process.env, ...env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const errors: string[] = [];
  const kill = (): boolean => child.kill('SIGTERM');
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    if (line.includes('"msg":"serving')) kill();
    onLine(line);
  });
  createInterface(child.stderr).on('line', (line) => errors.push(line));
  const [status, signal] = await once(child, 'close');
  return { status, signal, lines, errors };
}

test('SIGTERM to npm start drains the daemon and gives its exit status', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-npm-'));
  try {
    let pid = 0;
    const { status, signal, lines, errors } = await npmStart(
      ['--dotenv', '/dev/null', '--file-path', join(folder, 'data'), '--log-format', 'json'],
      { GRPC_SERVER_SOCKET: 'localhost:0', ADMIN_SOCKET: 'localhost:0' },
      (line) => {
        if (line.startsWith('{')) pid = JSON.parse(line).pid ?? pid;
      },
    );
    assert.deepEqual({ status, signal }, { status: 0, signal: null }, errors.join('\n'));
    assert.match(lines.at(-1)!, /"msg":"balance: /);
    assert.ok(existsSync(join(folder, 'data')), 'the flag came through');
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'nothing is left behind');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a bad option ends npm start with 2', { skip }, async () => {
  const { status, errors } = await npmStart(['--dotenv', '/dev/null', '--compress', 'zst'], {}, () => {});
  assert.equal(status, 2);
  assert.match(errors.join('\n'), /COMPRESS "zst" \(flag --compress\) is not one of the choices/);
});
