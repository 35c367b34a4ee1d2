import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeManifestRecord } from '../../src/journal/manifest.ts';
import { faultyFileSystem } from '../support/faulty-file-system.ts';
import { JournalHarness, makeBatch, temporaryFolder, until } from '../support/journal-harness.ts';

const BASE = 'telemetry-20261120T090000Z-000007';

/** A folder as a crash leaves it: one segment, its sidecar whole, cut, or missing. */
function crashed(folder: string, data: Uint8Array | string, blocks = ''): string {
  mkdirSync(join(folder, '.journal'));
  writeFileSync(join(folder, `${BASE}.jsonl`), data);
  if (blocks !== '') writeFileSync(join(folder, '.journal', `${BASE}.blocks`), blocks);
  return join(folder, `${BASE}.jsonl`);
}

/** Data and sidecar as the writer itself leaves them. */
async function written(
  batches: number,
  padBytes: number,
): Promise<{ data: Buffer; blocks: Buffer; lines: number }> {
  const folder = temporaryFolder();
  const harness = new JournalHarness(folder.path);
  await harness.open({ rotateBytes: 1024 ** 3 });
  for (let i = 0; i < batches; i++) {
    harness.append(`a${i}`, 3, padBytes);
    harness.writer.flush();
  }
  await harness.writer.close();
  const file = harness.segmentFiles()[0]!;
  return {
    data: readFileSync(join(folder.path, file)),
    blocks: readFileSync(join(folder.path, '.journal', file.replace('.jsonl', '.blocks'))),
    lines: batches * 3,
  };
}

async function recover(folder: string): Promise<JournalHarness> {
  const harness = new JournalHarness(folder);
  await harness.open();
  await harness.writer.close();
  harness.check();
  return harness;
}

function lengthOf(text: string): number {
  return Buffer.byteLength(text);
}

test('what a start takes over is written again before it is synced: a sync may have failed before the crash', async () => {
  const { data, blocks } = await written(3, 0);
  const folder = temporaryFolder();
  const path = crashed(folder.path, data, blocks.toString());
  const harness = await recover(folder.path);
  const calls = harness.fileSystem.calls.filter((call) => call.path === path).map(({ method }) => method);
  assert.deepEqual(
    calls.filter((method) => method === 'write' || method === 'sync'),
    ['write', 'sync'],
  );
  assert.deepEqual(readFileSync(path), data);
});

test('where it cannot be written again it is suspect, and the start goes on', async () => {
  const { data, blocks, lines } = await written(3, 0);
  const folder = temporaryFolder();
  const path = crashed(folder.path, data, blocks.toString());
  const harness = new JournalHarness(folder.path);
  harness.fileSystem.rule = (call) =>
    call.method === 'write' && call.path === path ? { kind: 'error', code: 'EROFS' } : undefined;
  await harness.open();
  await harness.writer.close();
  const { closed } = harness.recovered[0]!.segments[0]!;
  assert.equal(closed.suspect, true);
  assert.equal(closed.lines, lines);
  assert.match(harness.recovered[0]!.faults[0]!, /cannot write it again/);
});

describe('recovery', { timeout: 60_000 }, () => {
  const lines = Buffer.from(makeBatch('x', 3).bytes).toString();

  for (const [what, tail] of [
    ['a line without its end', '{"sensor_name":"torn'],
    ['a line of zeroes', `${'\0'.repeat(5000)}\n`],
    ['zeroes', '\0'.repeat(70_000)],
    ['a whole line that is no JSON', 'garbage\n'],
    ['JSON that is no object', '[1]\n'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x0a])],
    ['garbage, then good lines', `{"a":\n${lines}`],
  ] as const) {
    test(`${what} at the end is cut, kept aside and reported`, async () => {
      const folder = temporaryFolder();
      const path = crashed(folder.path, Buffer.concat([Buffer.from(lines), Buffer.from(tail)]));
      const harness = await recover(folder.path);
      assert.equal(readFileSync(path, 'utf8'), lines);
      const [found] = harness.recovered[0]!.segments;
      assert.equal(found!.closed.lines, 3);
      assert.equal(found!.cutBytes, tail.length);
      assert.equal(found!.leftBytes, 0);
      assert.deepEqual(readFileSync(join(folder.path, '.journal', found!.cutSavedAs!)), Buffer.from(tail));
      assert.equal(found!.closed.firstReceivedAtMs, Date.UTC(2026, 10, 20, 10));
      assert.equal(found!.closed.lastReceivedAtMs, Date.UTC(2026, 10, 20, 10) + 2);
      assert.deepEqual(harness.recovered[0]!.faults, []);
      harness.checkSidecars();
      assert.deepEqual(harness.causes, ['recovered']);
    });
  }

  test('a whole segment is kept as it is, found again by a second start, and numbers go on', async () => {
    const folder = temporaryFolder();
    const path = crashed(folder.path, lines);
    for (let round = 0; round < 2; round++) {
      const harness = await recover(folder.path);
      assert.equal(harness.recovered[0]!.segments[0]!.cutBytes, 0);
    }
    assert.equal(readFileSync(path, 'utf8'), lines);
    const harness = new JournalHarness(folder.path);
    await harness.open();
    harness.append('next');
    await harness.writer.close();
    assert.deepEqual(harness.opened, [8]);
  });

  test('a sidecar that is right is synced all the same: the page cache is not the disk', async () => {
    const folder = temporaryFolder();
    crashed(folder.path, lines);
    await recover(folder.path);
    const harness = await recover(folder.path);
    const ofSidecar = harness.fileSystem.calls.filter(({ path }) => path.endsWith('.blocks'));
    assert.deepEqual(
      ofSidecar.map(({ method }) => method).filter((method) => method !== 'stat' && method !== 'read'),
      ['open', 'close', 'open', 'sync', 'close'],
    );
  });

  test('empty files and files without a whole line are removed', async () => {
    const folder = temporaryFolder();
    crashed(folder.path, '{"torn', '');
    writeFileSync(join(folder.path, 'telemetry-20261120T090000Z-000009.jsonl'), '');
    const harness = await recover(folder.path);
    assert.deepEqual(harness.segmentFiles(), []);
    assert.equal(harness.recovered[0]!.removedEmpty, 2);
    assert.equal(readFileSync(join(folder.path, '.journal', 'torn', `${BASE}-0.bin`), 'utf8'), '{"torn');
    assert.equal(harness.recovered[0]!.highestNumber, 9);
  });

  test('what the manifest knows, what is compressed and what is not ours is left alone; numbers stay unique', async () => {
    const folder = temporaryFolder();
    const path = crashed(folder.path, `${lines}{"torn`);
    writeFileSync(join(folder.path, 'telemetry-20261120T090000Z-000008.jsonl.gz'), 'x');
    writeFileSync(join(folder.path, 'notes.jsonl'), '{"torn');
    const record = {
      segment: 7,
      state: 'closed',
      file: `${BASE}.jsonl`,
      startedAtMs: 0,
      closedAtMs: 1,
      lines: 3,
    } as const;
    const known = {
      ...record,
      bytes: lengthOf(lines),
      fileBytes: 1,
      firstReceivedAtMs: null,
      lastReceivedAtMs: null,
    };
    const rest = { sha256: '0'.repeat(64), compression: 'none', suspect: false } as const;
    const deleted = {
      ...known,
      ...rest,
      segment: 41,
      state: 'deleted',
      file: BASE.replace('07', '41').concat('.jsonl'),
    } as const;
    writeFileSync(
      join(folder.path, '.journal', 'manifest.jsonl'),
      encodeManifestRecord({ ...known, ...rest }) + encodeManifestRecord(deleted),
    );
    const harness = new JournalHarness(folder.path);
    await harness.open();
    assert.deepEqual(harness.recovered[0]!.segments, []);
    assert.equal(harness.recovered[0]!.highestNumber, 41);
    assert.equal(readFileSync(path, 'utf8'), `${lines}{"torn`);
    await harness.writer.close();
  });

  test('no number is used twice, also not that of an empty segment whose checkpoint is left', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder.path, '.journal'));
    writeFileSync(join(folder.path, '.journal', `${BASE.replace('07', '12')}.producers`), '');
    const harness = new JournalHarness(folder.path);
    await harness.open();
    harness.append('a');
    harness.writer.flush();
    await until(() => harness.answered === 1);
    assert.deepEqual(harness.opened, [13]);
    await harness.writer.close();
  });

  test('a tail too large to keep aside is left in the file behind the valid bytes', async () => {
    const folder = temporaryFolder();
    const path = crashed(folder.path, lines);
    truncateSync(path, 40 * 1024 * 1024);
    const harness = await recover(folder.path);
    const [found] = harness.recovered[0]!.segments;
    assert.equal(found!.cutBytes, 0);
    assert.equal(found!.closed.bytes, lengthOf(lines));
    assert.equal(found!.closed.fileBytes, 40 * 1024 * 1024);
    assert.equal(statSync(path).size, 40 * 1024 * 1024);
  });

  test('at most 16 torn tails are kept', async () => {
    const folder = temporaryFolder();
    const path = crashed(folder.path, lines);
    for (let i = 0; i < 20; i++) {
      appendFileSync(path, `${lines}{"torn`);
      await recover(folder.path);
    }
    assert.equal(readdirSync(join(folder.path, '.journal', 'torn')).length, 16);
    assert.ok(existsSync(join(folder.path, '.journal', 'torn', `${BASE}-${lengthOf(lines) * 21}.bin`)));
  });

  test('a flipped byte in a middle block costs no line: it is kept, counted and suspect', async () => {
    const folder = temporaryFolder();
    const { data, blocks, lines: count } = await written(100, 2000);
    const path = crashed(folder.path, data, blocks.toString());
    data[200_000] = data[200_000]! ^ 1;
    writeFileSync(path, Buffer.concat([data, Buffer.from('{"torn')]));
    const harness = new JournalHarness(folder.path);
    await harness.open();
    await harness.writer.close();
    const [found] = harness.recovered[0]!.segments;
    assert.equal(found!.damagedBlocks, 1);
    assert.equal(found!.cutBytes, 6);
    assert.equal(found!.closed.lines, count);
    assert.equal(found!.closed.suspect, true);
    assert.deepEqual(
      readFileSync(join(folder.path, '.journal', `${BASE}.blocks`)),
      blocks,
      'the damage stays visible',
    );
  });

  test('pages that a power cut kept from the disk end the segment, though later ones are there', async () => {
    const { data, blocks } = await written(100, 2000);
    for (const [from, to] of [
      [200_000, 204_096],
      [65_000, 70_000],
      [0, 512],
    ] as const) {
      const folder = temporaryFolder();
      const path = crashed(folder.path, data, blocks.toString());
      writeFileSync(path, Buffer.from(data).fill(0, from, to));
      const harness = await recover(folder.path);
      const wholeLines = data.subarray(0, data.lastIndexOf(0x0a, from) + 1);
      assert.deepEqual(existsSync(path) ? readFileSync(path) : Buffer.alloc(0), wholeLines);
      assert.equal(readdirSync(join(folder.path, '.journal', 'torn')).length, 1);
      if (from > 0) assert.equal(harness.recovered[0]!.segments[0]!.closed.suspect, false);
      harness.checkSidecars();
    }
  });

  test('blocks that were lost, torn or never written are made again', async () => {
    const { data, blocks } = await written(100, 2000);
    for (const keep of [0, 1, 80, 200, blocks.length - 1]) {
      const folder = temporaryFolder();
      crashed(folder.path, data, blocks.subarray(0, keep).toString());
      const harness = await recover(folder.path);
      harness.checkSidecars();
      assert.deepEqual(readFileSync(join(folder.path, `${BASE}.jsonl`)), data);
    }
  });

  test('a file cut at any byte keeps exactly its whole lines', async () => {
    const { data, blocks } = await written(30, 1500);
    await fc.assert(
      fc.asyncProperty(fc.nat(data.length), fc.nat(blocks.length), async (dataBytes, blockBytes) => {
        const folder = temporaryFolder();
        const path = crashed(
          folder.path,
          data.subarray(0, dataBytes),
          blocks.subarray(0, blockBytes).toString(),
        );
        const harness = await recover(folder.path);
        const whole = data.subarray(0, dataBytes).lastIndexOf(0x0a) + 1;
        if (whole === 0) {
          assert.equal(existsSync(path), false);
          return;
        }
        assert.deepEqual(readFileSync(path), data.subarray(0, whole));
        harness.checkSidecars();
      }),
      { numRuns: 60 },
    );
  });

  test('a read error that passes costs nothing; one that stays leaves the file as it lies, for a later start', async () => {
    for (const errors of [1, 2, Number.POSITIVE_INFINITY]) {
      const { data, blocks, lines } = await written(20, 10);
      const folder = temporaryFolder().path;
      const path = crashed(folder, data, blocks.toString().slice(0, -10));
      let left = errors;
      const fileSystem = faultyFileSystem((call) =>
        call.method === 'read' && call.path === path && left-- > 0
          ? { kind: 'error', code: 'EIO' }
          : undefined,
      );
      const harness = new JournalHarness(folder, fileSystem);
      await harness.open();
      await harness.writer.close();
      assert.deepEqual(readFileSync(path), data, 'no byte is touched');
      const report = harness.recovered[0]!;
      if (errors === Number.POSITIVE_INFINITY) {
        assert.deepEqual(report.segments, []);
        assert.match(report.faults[0]!, /left alone: EIO/);
        assert.equal(report.highestNumber, 7);
        assert.equal((await recover(folder)).closed.get(7)!.lines, lines);
      } else {
        assert.equal(report.segments[0]!.closed.lines, lines);
      }
    }
  });

  test('each file-system call fails once: the start goes on or says why, and the next one finds everything', async () => {
    const calls = await (async () => {
      const folder = temporaryFolder();
      crashed(folder.path, `${lines}{"torn`, '{"torn sidecar');
      return (await recover(folder.path)).fileSystem.calls;
    })();
    for (const { index, method, path } of calls) {
      const folder = temporaryFolder();
      crashed(folder.path, `${lines}{"torn`, '{"torn sidecar');
      const first = new JournalHarness(
        folder.path,
        faultyFileSystem((call) => (call.index === index ? { kind: 'error', code: 'EIO' } : undefined)),
      );
      try {
        await first.open();
        await first.writer.close();
        // A segment that could not even be opened is left to the next start.
        if (first.recovered[0]!.segments.length === 1) first.check();
        else assert.equal(first.recovered[0]!.faults.length, 1);
      } catch (error) {
        assert.match(String(error), /^SinkError: FILE_PATH /, `call ${index}, ${method} ${path}`);
      }
      const second = await recover(folder.path);
      assert.equal(readFileSync(join(folder.path, `${BASE}.jsonl`), 'utf8').slice(0, lines.length), lines);
      assert.equal(second.recovered[0]!.segments[0]!.closed.lines, 3);
      second.checkSidecars();
    }
  });
});
