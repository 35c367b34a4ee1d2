/** `npm start`, stopped the way a service manager and a terminal stop it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { isOnPath, requirement } from '../support/requirements.ts';

const ROOT = dirname(dirname(import.meta.dirname));

for (const to of ['npm alone', 'the whole process group'] as const) {
  test(`SIGTERM to ${to} drains and leaves nobody behind`, {
    skip: requirement('npm', () => isOnPath('npm')),
    timeout: 60_000,
  }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'telemetry-sink-npm-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const npm = spawn('npm', ['start', '--silent'], {
      cwd: ROOT,
      detached: true,
      env: {
        ...process.env,
        FILE_PATH: folder,
        GRPC_SERVER_SOCKET: 'localhost:0',
        ADMIN_SOCKET: 'localhost:0',
        LOG_FORMAT: 'json',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => {
      try {
        process.kill(-npm.pid!, 'SIGKILL');
      } catch {
        // Already gone, as it should be.
      }
    });
    const messages: string[] = [];
    let pid = 0;
    let onServing = (): void => {};
    const serving = new Promise<void>((resolve) => {
      onServing = resolve;
    });
    createInterface({ input: npm.stdout }).on('line', (line) => {
      const record = JSON.parse(line) as { msg: string; pid?: number };
      messages.push(record.msg);
      if (record.msg === 'starting') pid = record.pid!;
      if (record.msg.startsWith('serving')) onServing();
    });
    await serving;
    process.kill(to === 'npm alone' ? npm.pid! : -npm.pid!, 'SIGTERM');
    await once(npm, 'close');
    assert.match(messages.at(-1)!, /^balance: /, 'the drain ran to its end');
    assert.throws(() => process.kill(pid, 0), 'the daemon itself is gone too');
  });
}
