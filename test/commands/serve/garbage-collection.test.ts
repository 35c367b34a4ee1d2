import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = new URL('../../../src/commands/serve/garbage-collection.ts', import.meta.url).href;

/** V8 says on stderr what it does not know, and goes on. */
function stderrOf(code: string): string {
  const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  return stderr;
}

test('this V8 knows what it is told about its collections', () => {
  assert.equal(stderrOf(`(await import('${MODULE}')).collectWithoutHelpers()`), '');
  const unknown = stderrOf(`(await import('node:v8')).setFlagsFromString('--no-such-flag')`);
  assert.match(unknown, /unrecognized flag/, 'otherwise the line above shows nothing');
});
