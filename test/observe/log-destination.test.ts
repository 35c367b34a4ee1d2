/** Writing a line to a descriptor that misbehaves: never an exception, never a hang, nothing uncounted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DescriptorDestination, type WriteChunk } from '../../src/observe/log-destination.ts';

function fault(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Writes what the plan says: a number of bytes, or a fault; after the plan, everything. */
function planned(plan: (number | string)[]) {
  let text = '';
  const write: WriteChunk = (_fd, bytes, offset) => {
    const step = plan.shift() ?? bytes.length;
    if (typeof step === 'string') throw fault(step);
    const chunk = bytes.subarray(offset, Math.min(bytes.length, offset + step));
    text += new TextDecoder().decode(chunk);
    return chunk.length;
  };
  return { destination: new DescriptorDestination(1, write), text: () => text, plan };
}

test('a line written in pieces is written once and whole', () => {
  const { destination, text } = planned([3, 'EAGAIN', 2, 'EINTR', 1]);
  destination.write('0123456789\n');
  assert.equal(text(), '0123456789\n');
  assert.equal(destination.droppedLines, 0);
});

test('a reader that is stuck costs the line, not the process, and the next line stands on its own', () => {
  const { destination, text } = planned([4, ...Array(21).fill('EAGAIN')]);
  destination.write('lost line\n');
  assert.equal(destination.droppedLines, 1);
  destination.write('next\n');
  assert.equal(text(), 'lost\nnext\n');
});

test('while the reader stays stuck, further lines do not wait', () => {
  const { destination, plan, text } = planned([
    ...Array(21).fill('EAGAIN'),
    'EAGAIN',
    'EAGAIN',
    100,
    'EAGAIN',
  ]);
  for (const line of ['a\n', 'b\n', 'c\n', 'd\n']) destination.write(line);
  assert.equal(destination.droppedLines, 3);
  assert.deepEqual(plan, ['EAGAIN']);
  destination.write('e\n');
  assert.equal(text(), 'd\ne\n', 'after the reader caught up, a full pipe is waited for again');
});

test('a full disk drops lines while it is full, and only then', () => {
  const { destination, text } = planned([100, 'ENOSPC', 'ENOSPC']);
  for (const line of ['a\n', 'b\n', 'c\n', 'd\n']) destination.write(line);
  assert.equal(text(), 'a\nd\n');
  assert.equal(destination.droppedLines, 2);
});

test('a reader that is gone is not asked again', () => {
  const { destination, plan } = planned(['EPIPE', 'ENOSPC']);
  destination.write('a\n');
  destination.write('b\n');
  assert.equal(destination.droppedLines, 2);
  assert.deepEqual(plan, ['ENOSPC']);
});
