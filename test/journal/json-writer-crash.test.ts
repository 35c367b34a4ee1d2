/** The writer against the real thing: kill -9 in the middle of writing, and a disk that is really full. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JournalHarness, temporaryFolder, until } from '../support/journal-harness.ts';

const CHILD = fileURLToPath(new URL('../support/journal-child.ts', import.meta.url));

describe('kill -9', { timeout: 120_000 }, () => {
  for (const durability of ['written', 'synced'] as const) {
    test(`${durability}: whatever was acknowledged is in the files, again and again in one folder`, async () => {
      const folder = temporaryFolder();
      const acknowledged = new Map<string, number>();
      for (let round = 0; round < 5; round++) {
        const child = spawn(process.execPath, [CHILD, folder.path, `r${round}`, durability], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let output = '';
        let lines = 0;
        child.stdout.on('data', (chunk: Buffer) => {
          output += chunk;
          lines += chunk.toString('latin1').split('\n').length - 1;
          if (lines > 40 + round * 37) child.kill('SIGKILL');
        });
        await once(child, 'close');
        assert.equal(child.signalCode, 'SIGKILL');
        // Only whole lines count: the last one may have been cut by the kill.
        for (const line of output.slice(0, output.lastIndexOf('\n')).split('\n')) {
          const [verdict, id] = line.split(' ');
          assert.equal(verdict, 'ok');
          acknowledged.set(id!, 3);
        }
      }
      const harness = new JournalHarness(folder.path);
      await harness.open();
      await harness.writer.close();
      for (const [id, lines] of acknowledged) harness.acknowledged.set(id, lines);
      harness.given = acknowledged.size;
      harness.check();
      harness.checkSidecars();
      assert.deepEqual(harness.recovered[0]!.faults, []);
      const numbers = harness.segmentFiles().map((file) => Number(file.slice(-12, -6)));
      assert.equal(new Set(numbers).size, numbers.length);
    });
  }
});

describe('a disk that is really full', { timeout: 60_000 }, () => {
  for (const durability of ['written', 'synced'] as const) {
    test(`${durability}: refused, nothing half-written, goes on by itself when there is room`, async (t) => {
      const folder = temporaryFolder();
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder.path], { stdio: 'ignore' });
      } catch {
        t.skip('NOT TESTED: a really full disk, which takes the right to mount a tmpfs');
        return;
      }
      try {
        const harness = new JournalHarness(join(folder.path, 'data'));
        const writer = await harness.open({ rotateBytes: 100_000, durability });
        // Something else fills the disk all but 300 KiB.
        writeFileSync(join(folder.path, 'ballast'), Buffer.alloc(700 * 1024, 1));
        for (let i = 0; i < 60; i++) {
          harness.append(`a${i}`, 3, 4000);
          writer.flush();
          await until(() => harness.answered === harness.given);
        }
        assert.ok(harness.acknowledged.size > 10);
        assert.ok(harness.refused.size > 10);
        assert.deepEqual(new Set(harness.refused.values()), new Set(['ENOSPC']));
        assert.equal(writer.health.ok, false);
        harness.check();
        rmSync(join(folder.path, 'ballast'));
        await harness.untilHealthy();
        harness.append('b', 3, 4000);
        writer.flush();
        await writer.close();
        assert.equal(harness.acknowledged.has('b'), true);
        harness.check();
      } finally {
        execFileSync('umount', [folder.path]);
      }
    });
  }

  test('a volume unmounted under the journal is not shadowed; mounted again, the journal goes on', async (t) => {
    const folder = temporaryFolder();
    const mount = (): void => {
      execFileSync('mount', ['--bind', join(folder.path, 'volume'), join(folder.path, 'data')], {
        stdio: 'ignore',
      });
    };
    execFileSync('mkdir', [join(folder.path, 'volume'), join(folder.path, 'data')]);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', join(folder.path, 'volume')], {
        stdio: 'ignore',
      });
      mount();
    } catch {
      t.skip('NOT TESTED: a volume that is unmounted and mounted again, which takes the right to mount');
      return;
    }
    let mounted = true;
    try {
      const harness = new JournalHarness(join(folder.path, 'data'));
      const writer = await harness.open();
      harness.append('a');
      writer.flush();
      execFileSync('umount', ['-l', join(folder.path, 'data')]);
      mounted = false;
      harness.clock.advance(1000);
      harness.append('b');
      writer.flush();
      assert.equal(harness.refused.has('b'), true);
      harness.clock.advance(5000);
      await until(() => harness.health.some((health) => !health.ok && health.code === 'VOLUME_MISSING'));
      assert.deepEqual(harness.segmentFiles(), [], 'nothing written into the mount point');
      mount();
      mounted = true;
      await harness.untilHealthy();
      harness.append('c');
      writer.flush();
      await writer.close();
      harness.check();
      harness.checkSidecars();
      assert.deepEqual(harness.lost, []);
    } finally {
      if (mounted) execFileSync('umount', ['-l', join(folder.path, 'data')]);
      execFileSync('umount', ['-l', join(folder.path, 'volume')]);
    }
  });
});
