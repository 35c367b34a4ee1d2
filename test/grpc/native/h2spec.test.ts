/** The conformance suite h2spec in strict mode: HTTP/2 and HPACK, all cases, none skipped. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { startBodyServer } from '../../support/body-server.ts';
import { requirement } from '../../support/requirements.ts';

test('h2spec --strict', { skip: requirement('h2spec') }, async () => {
  // Some cases need a limit of streams to go beyond, and an answer with a body.
  const { server, port } = await startBodyServer(100);
  try {
    const { stdout, status } = await new Promise<{ stdout: string; status: number }>((resolve) => {
      const args = ['--strict', '-h', '127.0.0.1', '-p', String(port), '-o', '5'];
      execFile('h2spec', args, (error, stdout) => resolve({ stdout, status: error === null ? 0 : 1 }));
    });
    const [, cases, passed, skipped, failed] =
      /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(stdout) ?? [];
    assert.deepEqual(
      [passed, skipped, failed, status],
      [cases, '0', '0', 0],
      stdout.slice(stdout.indexOf('Failures')),
    );
    assert.ok(Number(cases) >= 146);
  } finally {
    server.close();
  }
});
