import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { Outcome } from '../../src/base/outcome.ts';
import { SUMMED_BATCH_BYTES } from '../../src/pipeline/batch.ts';
import { pipelineUnderTest } from '../support/pipeline.ts';

test('flushes on size, counted in readings', async (t) => {
  const p = pipelineUnderTest({ bufferSizeReadings: 3 });
  t.after(() => p.stop());
  p.commit('a\n', 1);
  p.commit('b\n', 1);
  assert.equal(p.flushes.length, 0);
  p.commit('c\n', 1);
  await p.arrived(1);
  assert.deepEqual(p.flushes, [{ cause: 'size', lines: 3, bytes: 6 }]);
  assert.equal(p.held[0]!.text, 'a\nb\nc\n');
});

test('flushes on bytes', async (t) => {
  const p = pipelineUnderTest({ bufferBytes: 10 });
  t.after(() => p.stop());
  p.commit('12345678\n', 1);
  assert.equal(p.flushes.length, 0);
  p.commit('x\n', 1);
  assert.deepEqual(p.flushes, [{ cause: 'bytes', lines: 2, bytes: 11 }]);
});

test('sums up a large batch, so that the writer need not', async (t) => {
  const p = pipelineUnderTest({ bufferBytes: SUMMED_BATCH_BYTES });
  t.after(() => p.stop());
  p.commit('a\n', 1);
  p.processor.makeRoom();
  p.commit(`${'x'.repeat(SUMMED_BATCH_BYTES)}\n`, 1);
  await p.arrived(2);
  assert.deepEqual(
    p.held.map((batch) => batch.crc32),
    [undefined, crc32(p.held[1]!.text)],
  );
});

test('flushes on the timer, counted from the first line, and arms no timer while empty', async (t) => {
  const p = pipelineUnderTest({ bufferFlushIntervalMs: 500 });
  t.after(() => p.stop());
  assert.equal(p.clock.armedTimers, 0);
  p.commit('a\n', 1);
  p.clock.advance(499);
  p.commit('b\n', 1);
  assert.equal(p.flushes.length, 0);
  p.clock.advance(1);
  assert.deepEqual(p.flushes, [{ cause: 'timer', lines: 2, bytes: 4 }]);
  assert.equal(p.clock.armedTimers, 0);
});

test('group commit: requests of one turn travel together, the next group leaves with the result', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  const outcomes: Outcome[] = [];
  const acknowledge = (outcome: Outcome): void => void outcomes.push(outcome);
  p.commit('a\n', 1, acknowledge);
  p.commit('b\n', 1, acknowledge);
  await p.arrived(1);
  assert.equal(p.held[0]!.text, 'a\nb\n');
  p.commit('c\n', 1, acknowledge);
  p.commit('d\n', 1, acknowledge);
  await turn();
  assert.equal(p.held.length, 1, 'the writer is busy, so the second group gathers');
  assert.equal(outcomes.length, 0, 'nothing is acknowledged before its result');
  p.held[0]!.answer({ ok: true });
  await p.arrived(2);
  assert.equal(p.held[1]!.text, 'c\nd\n');
  assert.deepEqual(
    outcomes.map((o) => o.kind),
    ['ok', 'ok'],
  );
  p.held[1]!.answer({ ok: false, code: 'ENOSPC', message: 'no space left' });
  await p.processor.close();
  assert.deepEqual(
    outcomes.map((o) => o.kind),
    ['ok', 'ok', 'failed', 'failed'],
  );
});

test('the next group has left when the one before it is acknowledged, which takes its time', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  let sentBefore = 0;
  p.commit('a\n', 1, () => {
    sentBefore = p.flushes.length;
  });
  await p.arrived(1);
  p.commit('b\n', 1, () => {});
  p.held[0]!.answer({ ok: true });
  await p.arrived(2);
  assert.equal(sentBefore, 2);
  p.held[1]!.answer({ ok: true });
});

test('close hands over what is gathered and resolves after the last result', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  p.commit('a\n', 1);
  let closed = false;
  const closing = p.processor.close().then(() => {
    closed = true;
  });
  await p.arrived(1);
  assert.equal(p.flushes[0]!.cause, 'close');
  assert.equal(closed, false);
  p.held[0]!.answer({ ok: true });
  await closing;
  assert.equal(p.done.length, 1);
});

test('close with no item room hands over the rest with the results', async (t) => {
  const p = pipelineUnderTest({ bufferSizeReadings: 1, capacityItems: 1 });
  t.after(() => p.stop());
  p.commit('a\n', 1);
  p.commit('b\n', 1);
  p.commit('c\n', 1);
  assert.equal(p.flushes.length, 1, 'one batch of room: the rest goes on gathering');
  const closing = p.processor.close();
  await p.arrived(1);
  p.held[0]!.answer({ ok: true });
  await p.arrived(2);
  assert.equal(p.held[1]!.text, 'b\nc\n');
  p.held[1]!.answer({ ok: true });
  await closing;
});

test('a batch that was due without item room leaves with the next result, under its own cause', async (t) => {
  const p = pipelineUnderTest({ bufferSizeReadings: 2, capacityItems: 1 });
  t.after(() => p.stop());
  p.commit('a\nb\n', 2);
  p.commit('c\nd\n', 2);
  await p.arrived(1);
  p.held[0]!.answer({ ok: true });
  await p.arrived(2);
  assert.deepEqual(
    p.flushes.map((f) => f.cause),
    ['size', 'size'],
  );
});

test('cancel hands over at once and waits for nothing', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  p.commit('a\n', 1);
  p.processor.cancel();
  assert.deepEqual(p.flushes, [{ cause: 'cancel', lines: 1, bytes: 2 }]);
});

test('a buffer in flight is never written to again, and is used again once it is home', async (t) => {
  const p = pipelineUnderTest({ bufferSizeReadings: 1 });
  t.after(() => p.stop());
  p.commit('first\n', 1);
  p.commit('second\n', 1);
  await p.arrived(2);
  assert.deepEqual(
    p.held.map((h) => h.text),
    ['first\n', 'second\n'],
  );
  p.held[0]!.answer({ ok: true });
  while (p.done.length < 1) await turn();
  p.commit('third\n', 1);
  await p.arrived(3);
  assert.equal(p.held[2]!.text, 'third\n');
});

test('memory comes back to be used again; what outgrew it, or came beyond it, does not', async (t) => {
  const p = pipelineUnderTest({ bufferSizeReadings: 1, bufferBytes: 64, sharedBytes: 4 * 80 });
  t.after(() => p.stop());
  const round = async (texts: readonly string[]): Promise<ArrayBufferLike[]> => {
    const before = p.held.length;
    for (const text of texts) p.commit(text, 1);
    await p.arrived(before + texts.length);
    assert.deepEqual(
      p.held.slice(before).map((h) => h.text),
      texts,
    );
    for (const held of p.held.slice(before)) held.answer({ ok: true });
    while (p.done.length < before + texts.length) await turn();
    return p.done.slice(before).map(({ batch }) => batch.bytes.buffer);
  };
  // Four are shared, one of them always gathering; the fifth and sixth are made for once.
  const first = await round(['a\n', 'b\n', 'c\n', 'd\n', 'e\n', 'f\n']);
  assert.deepEqual(
    first.map((memory) => memory instanceof SharedArrayBuffer),
    [true, true, true, true, false, false],
  );
  const second = await round(['g\n', 'h\n', 'i\n']);
  for (const memory of second.slice(1)) assert.ok(first.includes(memory));
  const [grown] = await round([`${'x'.repeat(5000)}\n`]);
  assert.ok(grown instanceof ArrayBuffer);
  for (const memory of await round(['j\n', 'k\n', 'l\n', 'm\n'])) {
    assert.ok(first.includes(memory), 'nor was what it outgrew lost');
  }
});

test('what is gathered leaves before a request for which the memory would have to grow', async (t) => {
  const p = pipelineUnderTest({ bufferBytes: 64, sharedBytes: 4 * 80 });
  t.after(() => p.stop());
  // 80 bytes of memory; the last would not fit alone either.
  const requests = [20, 50, 50, 50, 100].map((bytes, i) => `${String(i).repeat(bytes - 1)}\n`);
  for (const request of requests) {
    p.processor.prepareRoom(request.length);
    p.commit(request, 1);
  }
  await p.arrived(3);
  const [a, b, c, d, e] = requests;
  assert.deepEqual(
    p.held.map(({ text }) => text),
    [`${a}${b}`, c, `${d}${e}`],
  );
});

test('room shrinks by what is gathered and under way, and returns with the result', async (t) => {
  const p = pipelineUnderTest({ capacityBytes: 100, bufferSizeReadings: 1 });
  t.after(() => p.stop());
  p.commit('0123456789\n', 1);
  assert.equal(p.processor.roomBytes, 89);
  assert.equal(p.processor.isEmpty, false);
  await p.arrived(1);
  p.held[0]!.answer({ ok: true });
  while (p.rooms === 0) await turn();
  assert.equal(p.processor.roomBytes, 100);
  assert.equal(p.processor.isEmpty, true);
});

test('abandon answers everything gathered or under way exactly once, late results change nothing', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  const outcomes: string[] = [];
  p.commit('a\n', 1, (o) => outcomes.push(`a ${o.kind}`));
  await p.arrived(1);
  p.commit('b\n', 1, (o) => outcomes.push(`b ${o.kind}`));
  p.processor.abandon({ ok: false, code: 'WORKER_DIED', message: 'the writer thread died' });
  p.held[0]!.answer({ ok: true });
  await turn();
  await turn();
  assert.deepEqual(outcomes, ['a failed', 'b failed']);
});
