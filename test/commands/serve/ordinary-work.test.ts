/** The work that others' is held against: it is a request's, and can be done again and again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ordinaryWork } from '../../../src/commands/serve/ordinary-work.ts';

test('the ordinary request is one of a hundred readings, each time it is worked on', () => {
  const { requestBytes, run } = ordinaryWork();
  assert.ok(requestBytes > 2000 && requestBytes < 8000, `${requestBytes} bytes`);
  for (let i = 0; i < 3; i++) assert.equal(run(), 100);
});
