import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { realFileSystem } from '../../src/journal/file-system.ts';
import { LOCK_FILE, lockFolder } from '../../src/journal/folder-lock.ts';
import { temporaryFolder } from '../support/journal-harness.ts';

const OWNER = `
  import { realFileSystem } from ${JSON.stringify(new URL('../../src/journal/file-system.ts', import.meta.url).href)};
  import { lockFolder } from ${JSON.stringify(new URL('../../src/journal/folder-lock.ts', import.meta.url).href)};
  globalThis.lock = await lockFolder(realFileSystem, process.argv[1], process.argv[1]);
  process.stdout.write('locked');
  setInterval(() => {}, 1e6);
`;

describe('the folder lock', { timeout: 30_000 }, () => {
  test('a second one is refused in one line that names folder and owner, until the first is released', async () => {
    const folder = temporaryFolder();
    const first = await lockFolder(realFileSystem, folder.path, folder.path);
    await assert.rejects(
      lockFolder(realFileSystem, folder.path, folder.path),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'FOLDER_LOCKED');
        assert.ok(
          error.message.includes(folder.path) && error.message.includes(`process ${process.pid} on `),
        );
        assert.ok(!error.message.includes('\n'));
        return true;
      },
    );
    assert.equal(first.isHeld(), true);
    await first.release();
    await first.release();
    assert.deepEqual(readdirSync(folder.path), [LOCK_FILE]);
    await (await lockFolder(realFileSystem, folder.path, folder.path)).release();
  });

  test('it holds against another process and falls with a kill -9 of the owner', async () => {
    const folder = temporaryFolder();
    const owner = spawn(process.execPath, ['--input-type=module', '-e', OWNER, folder.path], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let noise = '';
    owner.stderr.on('data', (chunk) => {
      noise += chunk;
    });
    await Promise.race([once(owner.stdout, 'data'), once(owner, 'exit')]);
    assert.equal(noise, '', 'no warning about node:sqlite');
    await assert.rejects(lockFolder(realFileSystem, folder.path, folder.path), {
      code: 'FOLDER_LOCKED',
      message: new RegExp(`process ${owner.pid} on `),
    });
    const exited = once(owner, 'exit');
    owner.kill('SIGKILL');
    await exited;
    const lock = await lockFolder(realFileSystem, folder.path, folder.path);
    assert.equal(lock.isHeld(), true);
    await lock.release();
  });

  test('a removed or replaced lock file is noticed', async () => {
    const folder = temporaryFolder();
    const lock = await lockFolder(realFileSystem, folder.path, folder.path);
    rmSync(join(folder.path, LOCK_FILE));
    assert.equal(lock.isHeld(), false);
    const other = await lockFolder(realFileSystem, folder.path, folder.path);
    assert.equal(lock.isHeld(), false);
    await lock.release();
    assert.equal(other.isHeld(), true);
    await other.release();
  });

  test('a folder that is not there or a damaged lock file gets one clear line', async () => {
    const folder = temporaryFolder();
    const missing = join(folder.path, 'missing');
    await assert.rejects(lockFolder(realFileSystem, missing, missing), { code: 'FOLDER_NOT_WRITABLE' });
    mkdirSync(missing);
    writeFileSync(join(missing, LOCK_FILE), 'x'.repeat(300));
    await assert.rejects(lockFolder(realFileSystem, missing, missing), {
      code: 'JOURNAL_UNREADABLE',
      message: /remove it while no daemon runs/,
    });
  });
});
