/** A test that misses something is skipped with a line, or fails where nothing may be skipped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const MODULE = join(import.meta.dirname, 'requirements.ts');

function ask(
  name: string,
  env: Readonly<Record<string, string>>,
): { stdout: string; stderr: string; status: number | null } {
  const program = `import { requirement } from ${JSON.stringify(MODULE)};
    process.stdout.write(String(requirement(${JSON.stringify(name)})));`;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  return spawnSync(process.execPath, args, { env, encoding: 'utf8' });
}

test('a program on the PATH is no reason to skip', () => {
  assert.equal(ask('sh', { PATH: '/nowhere:/bin' }).stdout, 'false');
});

test('a missing one is, and says so', () => {
  const { stdout, stderr } = ask('no-such-program', { PATH: '/bin' });
  assert.match(stdout, /needs no-such-program/);
  assert.match(stderr, /^SKIPPED: needs no-such-program.*\n$/);
});

test('with REQUIRE_ALL=1 it is a failure', () => {
  const { status, stderr } = ask('no-such-program', { PATH: '/bin', REQUIRE_ALL: '1' });
  assert.equal(status, 1);
  assert.match(stderr, /REQUIRE_ALL=1 forbids to skip/);
});

test('a folder of that name is not a program', () => {
  assert.match(ask('lib', { PATH: '/' }).stdout, /needs lib/);
});
