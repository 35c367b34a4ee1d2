/** Folders with their parents, and an end where none can be made. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeFolders } from '../../src/base/make-folders.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-folders-'));
});
after(() => rmSync(folder, { recursive: true }));

test('makes what is missing, and is content with what is there', async () => {
  const deep = join(folder, 'a/b/c');
  await makeFolders(deep);
  await makeFolders(deep);
  await makeFolders(`${deep}/`);
  assert.ok(statSync(deep).isDirectory());
  symlinkSync(deep, join(folder, 'link'));
  await makeFolders(join(folder, 'link'));
  await makeFolders('/');
});

test('several at once do not trip over each other', async () => {
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => makeFolders(join(folder, 'x/y/z', `${index % 4}`))),
  );
  assert.ok(existsSync(join(folder, 'x/y/z/3')));
});

test('a file in the way is the system error', async () => {
  writeFileSync(join(folder, 'file'), '');
  await assert.rejects(makeFolders(join(folder, 'file')), { code: 'EEXIST' });
  await assert.rejects(makeFolders(join(folder, 'file/below')), { code: 'ENOTDIR' });
  mkdirSync(join(folder, 'dangling'));
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling/link'));
  await assert.rejects(makeFolders(join(folder, 'dangling/link')), { code: 'EEXIST' });
});

test('where the system has no room for folders, it ends', { skip: !existsSync('/proc/self') }, async () => {
  await assert.rejects(makeFolders('/proc/telemetry-sink/data'), { code: 'ENOENT' });
});
