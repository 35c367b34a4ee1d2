import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connectionsWithin,
  parseOpenFilesLimit,
  reservedDescriptors,
} from '../../../src/commands/serve/descriptor-limit.ts';

test('reads the limit from what Linux shows', () => {
  const limits =
    'Limit                     Soft Limit           Hard Limit           Units     \n' +
    'Max processes             unlimited            unlimited            processes \n' +
    'Max open files            1024                 524288               files     \n';
  assert.equal(parseOpenFilesLimit(limits), 1024);
  assert.equal(parseOpenFilesLimit('Max open files            unlimited            unlimited'), undefined);
  assert.equal(parseOpenFilesLimit(''), undefined);
});

test('connections leave the descriptors that the daemon itself needs', () => {
  assert.equal(connectionsWithin(4096, 1_048_576, 1), 4096);
  assert.equal(connectionsWithin(4096, 1024, 1), 1024 - reservedDescriptors(1));
  assert.ok(connectionsWithin(4096, 1024, 8) < connectionsWithin(4096, 1024, 1), 'each thread has its own');
  assert.equal(connectionsWithin(10, 1024, 1), 10);
  assert.equal(connectionsWithin(4096, 64, 1), 1);
  assert.equal(connectionsWithin(4096, undefined, 1), 4096);
});
