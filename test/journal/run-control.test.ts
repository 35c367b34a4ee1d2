/** Runs written by a thread beside the writer's: the same files, and its faults are the writer's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RunThread } from '../../src/commands/serve/run-thread.ts';
import { realFileSystem } from '../../src/journal/file-system.ts';
import type { RunControl } from '../../src/journal/run-control.ts';
import { DIRECT_BLOCK_BYTES, type RunWriter } from '../../src/journal/run-writer.ts';
import type { FaultyFileSystem } from '../support/faulty-file-system.ts';
import { JournalHarness, makeBatch, temporaryFolder } from '../support/journal-harness.ts';
import { requirement } from '../support/requirements.ts';

const LARGE = { rotateBytes: 64 * 1024 * 1024 };

const twoCores = { skip: requirement('two cores', () => availableParallelism() > 1) };

/** What threads that ended have said. */
const gone: string[] = [];

async function startThread(context: TestContext): Promise<RunControl> {
  const thread = RunThread.start((message) => gone.push(message))!;
  context.after(() => thread.close());
  while (!thread.control.isReady) await sleep(1);
  return thread.control;
}

describe('a thread that writes runs', { ...twoCores, timeout: 60_000 }, () => {
  test('groups of several runs: it writes them, in order', async (context) => {
    const control = await startThread(context);
    const begun: { bytes: number; position: number }[] = [];
    const runs: RunWriter = {
      get isReady() {
        return control.isReady;
      },
      memories: control.memories,
      begin(fd, memory, bytes, position) {
        begun.push({ bytes, position });
        control.begin(fd, memory, bytes, position);
      },
      end: () => control.end(),
    };
    const harness = new JournalHarness(temporaryFolder().path, realFileSystem as FaultyFileSystem, runs);
    const writer = await harness.open(LARGE);
    let expected = Buffer.alloc(0);
    for (const [group, kib] of [5000, 3, 2049, 700, 9000].entries()) {
      expected = Buffer.concat([expected, makeBatch(`g${group}`, kib, 900 + group).bytes]);
      harness.append(`g${group}`, kib, 900 + group);
      writer.flush();
    }
    const [file] = harness.segmentFiles();
    await writer.close();
    harness.check();
    harness.checkSidecars();
    assert.ok(readFileSync(join(harness.folder, file!)).equals(expected));
    assert.equal(harness.closed.get(1)!.sha256, createHash('sha256').update(expected).digest('hex'));
    let end = 0;
    for (const { bytes, position } of begun) {
      assert.ok(position >= end);
      assert.equal(position % DIRECT_BLOCK_BYTES, 0);
      end = position + bytes;
    }
    assert.ok(begun.reduce((sum, { bytes }) => sum + bytes, 0) > expected.length / 2, 'most of it');
  });

  test('the error of a write is told by its code, and the thread goes on', async (context) => {
    const control = await startThread(context);
    const path = join(temporaryFolder().path, 'file');
    const fd = openSync(path, 'w');
    const readOnly = openSync(path, 'r');
    control.memories[0]!.start = 0;
    control.memories[0]!.bytes.fill(0x61, 0, DIRECT_BLOCK_BYTES);
    control.begin(readOnly, 0, DIRECT_BLOCK_BYTES, 0);
    assert.throws(() => control.end(), { code: 'EBADF', message: 'EBADF: bad file descriptor, write' });
    control.begin(fd, 0, DIRECT_BLOCK_BYTES, 0);
    assert.equal(control.end(), DIRECT_BLOCK_BYTES);
    assert.equal(readFileSync(path, 'latin1'), 'a'.repeat(DIRECT_BLOCK_BYTES));
    closeSync(fd);
    closeSync(readOnly);
  });

  test('a thread that ends over a run: the run has failed, and no other is begun', async (context) => {
    const control = await startThread(context);
    control.memories[1]!.start = 0;
    const path = join(temporaryFolder().path, 'file');
    const fd = openSync(path, 'w');
    // No such memory: a fault of its own.
    (control.memories as { start: number; bytes: Uint8Array }[]).push({ start: 0, bytes: new Uint8Array(0) });
    control.begin(fd, 2, DIRECT_BLOCK_BYTES, 0);
    assert.throws(() => control.end(), { code: 'EIO' });
    assert.equal(control.isReady, false);
    control.begin(fd, 1, DIRECT_BLOCK_BYTES, 0);
    assert.throws(() => control.end(), { code: 'EIO' });
    assert.equal(readFileSync(path).length, 0);
    closeSync(fd);
    while (gone.length === 0) await sleep(1);
    assert.match(gone.join(), /is gone: .*; the writer writes by itself/);
  });
});
