/**
 * Every file-system call of a scenario fails once, in every way it can, and after each the book of
 * answers must agree with the files and the writer must go on by itself.
 */
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Fault, FaultRule, FileSystemCall } from '../support/faulty-file-system.ts';
import { faultyFileSystem, isWrite } from '../support/faulty-file-system.ts';
import { JournalHarness, temporaryFolder, until } from '../support/journal-harness.ts';

type Durability = 'written' | 'synced';

/** Appends over several segments, with background syncs; survives refusals. */
async function scenario(harness: JournalHarness, tag: string): Promise<void> {
  const { writer } = harness;
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 4; i++) harness.append(`${tag}${round}.${i}`, 3, 300);
    writer.flush();
    harness.clock.advance(250);
    await until(() => harness.answered === harness.given);
  }
}

async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
}

async function run(
  rule: FaultRule,
  durability: Durability,
): Promise<{ harness: JournalHarness; error: unknown }> {
  const folder = temporaryFolder();
  const harness = new JournalHarness(folder.path, faultyFileSystem(rule));
  try {
    await harness.open({ rotateBytes: 6000, syncIntervalMs: 200, durability });
  } catch (error) {
    return { harness, error };
  }
  await scenario(harness, 'a');
  await harness.untilHealthy();
  const refusedBefore = harness.refused.size;
  if (harness.fileSystem.rule === undefined) {
    // The fault is behind us: from here on everything gets in.
    await scenario(harness, 'b');
    assert.equal(harness.refused.size, refusedBefore, 'after the fault everything is taken');
  }
  await harness.writer.close();
  harness.check();
  assert.deepEqual([...harness.fileSystem.openDescriptors.values()], [], 'no descriptor is left open');
  assert.deepEqual(
    [...harness.closed.keys()],
    [...harness.closed.keys()].sort((a, b) => a - b),
  );
  // Whoever keeps books of open segments waits for each; one that failed before it had anything once was never told.
  const ended = [...harness.closed.keys(), ...harness.lost.map(({ number }) => number), ...harness.empty];
  assert.deepEqual(
    ended.sort((a, b) => a - b),
    harness.opened,
  );
  return { harness, error: undefined };
}

function failOnce(index: number, fault: Fault): { rule: FaultRule; hit: () => FileSystemCall | undefined } {
  let hit: FileSystemCall | undefined;
  return {
    rule: (call) => {
      if (call.index !== index) return undefined;
      hit = call;
      return fault;
    },
    hit: () => hit,
  };
}

const FAULTS: readonly Fault[] = [
  { kind: 'error', code: 'ENOSPC' },
  { kind: 'error', code: 'EIO' },
  { kind: 'late', code: 'EIO' },
  { kind: 'short', code: 'ENOSPC' },
  { kind: 'partial', code: 'EIO' },
];

// Thousands of fsyncs: on a disk that others keep busy, minutes.
describe('each call fails once', { timeout: 900_000 }, () => {
  for (const durability of ['written', 'synced'] as const) {
    for (const fault of FAULTS) {
      test(`${durability}: ${fault.kind} ${fault.code}`, async () => {
        const calls = (await run(() => undefined, durability)).harness.fileSystem.calls;
        assert.ok(calls.length > 60);
        for (const { index, method } of calls) {
          if ((fault.kind === 'short' || fault.kind === 'partial') && !isWrite(method)) continue;
          const once = failOnce(index, fault);
          try {
            const { error } = await run(once.rule, durability);
            // Only a start may fail, and then with a clear word.
            if (error !== undefined) assert.match(String(error), /^SinkError: FILE_PATH /);
          } catch (error) {
            const call = once.hit();
            throw new Error(`call ${index}, ${call?.method} ${call?.path}`, { cause: error });
          }
        }
      });
    }
  }
});

describe('a disk that stays broken', { timeout: 30_000 }, () => {
  for (const durability of ['written', 'synced'] as const) {
    test(`${durability}: full: all is refused, nothing left in the files; room again: it goes on by itself`, async () => {
      const folder = temporaryFolder();
      const harness = new JournalHarness(folder.path);
      const writer = await harness.open({ durability });
      await scenario(harness, 'a');
      assert.equal(harness.refused.size, 0);
      harness.fileSystem.rule = (call) =>
        isWrite(call.method) ? { kind: 'partial', code: 'ENOSPC' } : undefined;
      await scenario(harness, 'b');
      assert.equal(harness.refused.size, 24);
      assert.deepEqual(harness.health, [
        { ok: false, code: 'ENOSPC', reason: harness.health[0]!.ok ? '' : harness.health[0]!.reason },
      ]);
      harness.check();
      harness.clock.advance(5000);
      harness.fileSystem.rule = undefined;
      await harness.untilHealthy();
      assert.deepEqual(harness.health.at(-1), { ok: true });
      await scenario(harness, 'c');
      await writer.close();
      assert.equal(harness.acknowledged.size, 48);
      harness.check();
      harness.checkSidecars();
      assert.deepEqual(harness.opened, [1], 'a segment that could be cut back is gone on with');
    });

    test(`${durability}: read-only, writes and cuts refused alike: the same`, async () => {
      const folder = temporaryFolder();
      const harness = new JournalHarness(folder.path);
      const writer = await harness.open({ durability });
      await scenario(harness, 'a');
      harness.fileSystem.rule = (call) =>
        /^(write|truncate|unlink|rename|makeFolder|sync)/.test(call.method) ||
        (call.method.startsWith('open') && !call.path.endsWith('.jsonl'))
          ? { kind: 'error', code: 'EROFS' }
          : undefined;
      await scenario(harness, 'b');
      assert.equal(harness.refused.size, 24);
      assert.equal(writer.health.ok, false);
      harness.fileSystem.rule = undefined;
      await harness.untilHealthy();
      await scenario(harness, 'c');
      await writer.close();
      assert.equal(harness.acknowledged.size, 48);
      harness.check();
    });
  }

  test('a file that cannot be cut back stops the intake for ten seconds, then is closed with fewer valid bytes', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open();
    harness.append('a');
    writer.flush();
    let writes = 0;
    harness.fileSystem.rule = (call) => {
      if (call.method === 'writevSync' && call.path.endsWith('.jsonl')) {
        return { kind: writes++ === 0 ? 'short' : 'partial', code: 'ENOSPC' };
      }
      return call.method.startsWith('truncate') ? { kind: 'error', code: 'EIO' } : undefined;
    };
    for (let i = 0; i < 4; i++) harness.append(`b${i}`);
    writer.flush();
    assert.equal(harness.acknowledged.size, 3, 'what was wholly written before the fault stays');
    assert.equal(harness.refused.size, 2);
    const cuts = (): number => harness.fileSystem.calls.filter(({ method }) => method === 'truncate').length;
    for (let attempts = 1; attempts < 10; attempts++) {
      await until(() => cuts() === attempts);
      assert.equal(harness.closed.size, 0);
      harness.append(`c${attempts}`);
      writer.flush();
      assert.equal(harness.refused.size, 2 + attempts);
      while (cuts() === attempts) {
        await nextTurns();
        harness.clock.advance(100);
      }
    }
    await until(() => harness.closed.size === 1);
    const closed = harness.closed.get(1)!;
    assert.ok(closed.fileBytes > closed.bytes);
    assert.equal(closed.suspect, false);
    harness.fileSystem.rule = undefined;
    harness.append('c');
    writer.flush();
    await writer.close();
    harness.check();
    assert.deepEqual(harness.opened, [1, 2]);
  });

  test('synced: after a failed sync nothing later is acknowledged, the segment ends at the last good sync', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ durability: 'synced' });
    harness.append('a', 3, 30_000);
    writer.flush();
    await until(() => harness.answered === 1);
    let failing = true;
    harness.fileSystem.rule = (call) =>
      failing && call.method === 'syncData' && call.path.endsWith('.jsonl')
        ? { kind: 'error', code: 'EIO' }
        : undefined;
    harness.append('b', 3, 30_000);
    writer.flush();
    harness.append('c', 3, 30_000);
    writer.flush();
    await until(() => harness.answered === 3);
    assert.deepEqual([...harness.refused.values()], ['EIO', 'EIO']);
    failing = false;
    harness.append('d');
    writer.flush();
    await until(() => harness.answered === 4);
    await writer.close();
    harness.check();
    harness.checkSidecars();
    assert.deepEqual(
      [...harness.closed.values()].map(({ suspect, lines }) => [suspect, lines]),
      [
        [true, 3],
        [false, 3],
      ],
    );
    const dataSyncs = harness.fileSystem.calls.filter(
      (call) => call.method === 'syncData' && call.path.endsWith('1.jsonl'),
    );
    assert.equal(dataSyncs.length, 2, 'a failed sync is never tried again');
    const ofSegment = harness.fileSystem.calls.filter((call) => call.path.endsWith('1.jsonl'));
    const cut = ofSegment.findLastIndex((call) => call.method === 'truncateSync');
    assert.ok(
      ofSegment.slice(cut).some((call) => call.method === 'sync'),
      'a power cut must not bring back what was cut off',
    );
  });

  test('synced: what was refused cannot be taken again while a power cut would bring it back', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ durability: 'synced' });
    harness.append('a');
    writer.flush();
    await until(() => harness.answered === 1);
    let failing = true;
    const { promise: slowly, resolve: goOn } = Promise.withResolvers<void>();
    harness.fileSystem.rule = ({ method, path }) => {
      if (!failing || !path.endsWith('1.jsonl')) return undefined;
      if (method === 'truncate') return { kind: 'slow', code: '', until: slowly };
      return method.startsWith('sync') ? { kind: 'error', code: 'EIO' } : undefined;
    };
    harness.append('b');
    writer.flush();
    await until(() => harness.answered === 2);
    harness.append('while it is cut');
    writer.flush();
    await nextTurns();
    assert.equal(harness.answered, 2, 'it waits, and is not written');
    goOn();
    await until(() => harness.answered === 3);
    harness.append('after that failed');
    writer.flush();
    assert.deepEqual([...harness.refused.values()], ['EIO', 'EIO', 'EIO']);
    harness.clock.advance(1000);
    await nextTurns();
    assert.deepEqual([writer.health.ok, harness.opened, harness.closed.size], [false, [1], 0]);
    failing = false;
    await harness.untilHealthy();
    harness.append('d');
    writer.flush();
    await until(() => harness.answered === 5);
    await writer.close();
    harness.check();
    assert.deepEqual([...harness.acknowledged.keys()].length, 2);
    const [closed] = [...harness.closed.values()];
    assert.deepEqual([closed!.suspect, closed!.bytes], [true, closed!.fileBytes]);
    const steps = harness.fileSystem.calls.filter(
      ({ path }) => path.endsWith('1.jsonl') || path.endsWith('2.jsonl'),
    );
    const begun = steps.findIndex(({ method, path }) => method === 'openSync' && path.endsWith('2.jsonl'));
    const before = steps.slice(0, begun).map(({ method }) => method);
    assert.ok(before.lastIndexOf('sync') > before.lastIndexOf('truncate'), String(before));
  });

  test('a folder that goes away while a cut is tried again: the file is closed behind that, not under it', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ durability: 'synced' });
    harness.append('a');
    writer.flush();
    await until(() => harness.answered === 1);
    let cuts = 0;
    const { promise: slowly, resolve: goOn } = Promise.withResolvers<void>();
    harness.fileSystem.rule = ({ method, path }) => {
      if (!path.endsWith('1.jsonl')) return undefined;
      if (method === 'truncate' && ++cuts > 1) return { kind: 'slow', code: '', until: slowly };
      return method.startsWith('sync') ? { kind: 'error', code: 'EIO' } : undefined;
    };
    harness.append('b');
    writer.flush();
    await until(() => harness.answered === 2);
    while (cuts < 2) {
      harness.clock.advance(100);
      await nextTurns();
    }
    const away = `${folder.path}-away`;
    renameSync(folder.path, away);
    harness.clock.advance(1000);
    // What would close it now syncs the sidecar first.
    await sleep(100);
    const closes = (): number =>
      harness.fileSystem.calls.filter(({ method, path }) => method === 'close' && path.endsWith('1.jsonl'))
        .length;
    assert.equal(closes(), 0);
    goOn();
    await until(() => closes() === 1);
    harness.fileSystem.rule = undefined;
    renameSync(away, folder.path);
    await harness.untilHealthy();
    harness.append('c');
    writer.flush();
    await until(() => harness.answered === 3);
    await writer.close();
    harness.check();
    assert.equal(harness.acknowledged.size, 2);
  });

  test('a journal that is closed while a cut fails ends nevertheless, and refuses what waits', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ durability: 'synced' });
    harness.append('a');
    writer.flush();
    await until(() => harness.answered === 1);
    harness.fileSystem.rule = ({ method }) =>
      method.startsWith('sync') ? { kind: 'error', code: 'EIO' } : undefined;
    harness.append('b');
    writer.flush();
    await until(() => harness.answered === 2);
    harness.append('c');
    await writer.close();
    harness.check();
    assert.equal(harness.refused.size, 2);
    assert.deepEqual(
      [...harness.closed.values()].map(({ suspect, lines }) => [suspect, lines]),
      [[true, 3]],
    );
  });

  test('written: a failed background sync closes the segment as suspect, with all its lines', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open();
    harness.append('a');
    writer.flush();
    harness.fileSystem.rule = (call) =>
      call.method === 'syncData' ? { kind: 'error', code: 'EIO' } : undefined;
    harness.clock.advance(1000);
    await until(() => !writer.health.ok);
    harness.fileSystem.rule = undefined;
    harness.append('b');
    writer.flush();
    await harness.untilHealthy();
    await writer.close();
    harness.check();
    assert.deepEqual(
      [...harness.closed.values()].map(({ suspect }) => suspect),
      [true, false],
    );
    assert.deepEqual(harness.causes, ['suspect', 'close']);
  });
});

test('any interleaving of appends, flushes, time, faults and repairs keeps the book', {
  timeout: 120_000,
}, async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        lines: fc.integer({ min: 1, max: 4 }),
        pad: fc.integer({ min: 0, max: 3000 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('turn' as const), turns: fc.integer({ min: 1, max: 5 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('jump' as const),
        ms: fc.integer({ min: -100_000, max: 100_000 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('fault' as const),
        methods: fc.constantFrom(
          /^write/,
          /^truncate/,
          /^sync/,
          /^open/,
          /^stat/,
          /^close/,
          /^unlink/,
          /^(write|truncate)/,
          /./,
        ),
        kind: fc.constantFrom('error' as const, 'late' as const, 'short' as const, 'partial' as const),
        code: fc.constantFrom('ENOSPC', 'EIO', 'EROFS'),
        every: fc.integer({ min: 1, max: 4 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('repair' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<Durability>('written', 'synced'),
      fc.array(step, { maxLength: 60 }),
      async (durability, steps) => {
        const folder = temporaryFolder();
        const harness = new JournalHarness(folder.path);
        const writer = await harness.open({
          rotateBytes: 5000,
          rotateIntervalMs: 60_000,
          syncIntervalMs: 300,
          durability,
        });
        for (const [index, next] of steps.entries()) {
          if (next.do === 'append') harness.append(`s${index}`, next.lines, next.pad);
          else if (next.do === 'flush') writer.flush();
          else if (next.do === 'time') harness.clock.advance(next.ms);
          else if (next.do === 'jump') harness.clock.jumpWall(next.ms);
          else if (next.do === 'repair') harness.fileSystem.rule = undefined;
          else if (next.do === 'turn') for (let i = 0; i < next.turns; i++) await new Promise(setImmediate);
          else {
            const { methods, kind, code, every } = next;
            harness.fileSystem.rule = (call) => {
              if (!methods.test(call.method) || call.index % every !== 0) return undefined;
              return { kind: isWrite(call.method) || kind === 'late' ? kind : 'error', code };
            };
          }
        }
        harness.fileSystem.rule = undefined;
        writer.flush();
        // A sync that was made to fail may still be on its way.
        await until(() => harness.answered === harness.given);
        await harness.untilHealthy();
        harness.append('last');
        writer.flush();
        await writer.close();
        assert.equal(harness.acknowledged.has('last'), true, 'it goes on by itself');
        harness.check();
        assert.deepEqual([...harness.fileSystem.openDescriptors.values()], []);
      },
    ),
    { numRuns: 300, ...(process.env.SEED ? { seed: Number(process.env.SEED) } : {}) },
  );
});
