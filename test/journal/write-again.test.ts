import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { type FileSystem, realFileSystem } from '../../src/journal/file-system.ts';
import { writeAgainDurably } from '../../src/journal/write-again.ts';
import { faultyFileSystem } from '../support/faulty-file-system.ts';
import { temporaryFolder } from '../support/journal-harness.ts';

function file(bytes: number): string {
  const path = `${temporaryFolder().path}/data`;
  writeFileSync(
    path,
    Buffer.from({ length: bytes } as ArrayLike<number>).map((_, at) => at % 251),
  );
  return path;
}

test('every byte is written, with itself, the end is set where it is, then synced, then the name', async () => {
  const bytes = 2.5 * 2 ** 20;
  const path = file(bytes + 10);
  const before = readFileSync(path);
  const steps: string[] = [];
  let written = 0;
  const fileSystem: FileSystem = {
    ...realFileSystem,
    write: async (fd, part, position) => {
      assert.equal(position, written, 'in order and without gaps');
      // Short writes are continued.
      const count = await realFileSystem.write(fd, part.subarray(0, Math.ceil(part.length / 2)), position);
      written += count;
      return count;
    },
    truncate: async (fd, sizeBytes) => {
      steps.push(`cut at ${sizeBytes}`);
      await realFileSystem.truncate(fd, sizeBytes);
    },
    sync: async (fd) => {
      steps.push(`sync behind ${written}`);
      await realFileSystem.sync(fd);
    },
    syncFolder: async (folder) => {
      steps.push('syncFolder');
      await realFileSystem.syncFolder(folder);
    },
  };
  await writeAgainDurably(fileSystem, { path, folder: dirname(path), bytes });
  assert.deepEqual(steps, [`cut at ${bytes + 10}`, `sync behind ${bytes}`, 'syncFolder']);
  assert.deepEqual(readFileSync(path), before);
});

for (const method of ['open', 'read', 'write', 'status', 'truncate', 'sync', 'syncFolder'] as const) {
  test(`says so when it cannot ${method}, and keeps no descriptor`, async () => {
    const path = file(100);
    const fileSystem = faultyFileSystem((call) =>
      call.method === method ? { kind: 'error', code: 'EIO' } : undefined,
    );
    const again = writeAgainDurably(fileSystem, { path, folder: dirname(path), bytes: 100 });
    await assert.rejects(again, { code: 'EIO' });
    assert.equal(fileSystem.openDescriptors.size, 0);
  });
}
