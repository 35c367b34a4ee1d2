/** A file that changes: by writing, by rename, and as Kubernetes swaps a Secret. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { readSmallFile, WatchedFile } from '../../src/base/watched-file.ts';

/** Looks as soon as it is armed: the test waits for events, not for seconds. */
const hurriedClock = {
  ...systemClock,
  setTimer: (_delayMs: number, onFire: () => void) => systemClock.setTimer(5, onFire),
};

async function watched(t: { after(clean: () => Promise<void>): void }, path: string, folder: string) {
  const seen: string[] = [];
  const wakes: (() => void)[] = [];
  const see = (what: string): void => {
    seen.push(what);
    for (const wake of wakes.splice(0)) wake();
  };
  const file = new WatchedFile(path, 1000, await readSmallFile(path, 1000), hurriedClock, {
    onContent: see,
    onFault: (reason) => see(/ENOENT/.exec(reason)?.[0] ?? reason),
  });
  t.after(async () => {
    file.close();
    await rm(folder, { recursive: true });
  });
  return async (what: string): Promise<void> => {
    while (!seen.includes(what)) await new Promise<void>((resolve) => wakes.push(resolve));
    seen.length = 0;
  };
}

test('a file that is written anew, replaced, removed and put back', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'watched-'));
  const path = join(folder, 'file');
  await writeFile(path, 'one');
  const sees = await watched(t, path, folder);
  await writeFile(path, 'two');
  await sees('two');
  await writeFile(`${path}.new`, 'three');
  await rename(`${path}.new`, path);
  await sees('three');
  await rm(path);
  await sees('ENOENT');
  await writeFile(path, 'three');
  await sees('three');
});

test('a Secret of Kubernetes: the link behind the link is swapped, and the old folder goes', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'watched-'));
  for (const version of ['..v1', '..v2']) {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, 'tokens'), version);
  }
  await symlink('..v1', join(folder, '..data'));
  await symlink('..data/tokens', join(folder, 'tokens'));
  const sees = await watched(t, join(folder, 'tokens'), folder);
  await symlink('..v2', join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  await rm(join(folder, '..v1'), { recursive: true });
  await sees('..v2');
});

test('of a file that is too large no more is read than shows that it is', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'watched-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'large'), 'x'.repeat(5000));
  assert.equal((await readSmallFile(join(folder, 'large'), 1000)).length, 1001);
});
