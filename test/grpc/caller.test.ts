/** What a refusal says of the connection that it went to: who may do something about it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failed, NEVER_RETRY, type Outcome, queueFull, refused } from '../../src/base/outcome.ts';
import { Caller, openDoor } from '../../src/grpc/caller.ts';

function countsAfter(outcome: Outcome): { hopeless: number; wasted: number } {
  const caller = new Caller(openDoor, undefined, '127.0.0.1');
  if (outcome.kind !== 'ok') caller.onRefused(outcome);
  return { hopeless: caller.hopelessCalls, wasted: caller.wastedCalls };
}

test('no repeat mends it: hopeless', () => {
  const hopeless = [
    refused('malformed', 'a varint of eleven bytes'),
    refused('over_burst', 'too much at once', NEVER_RETRY),
    failed('protocol', 'two messages'),
  ];
  for (const outcome of hopeless) assert.deepEqual(countsAfter(outcome), { hopeless: 1, wasted: 0 });
});

test('more than it may, or before its turn: wasted', () => {
  const wasted = [
    refused('rate_limited', 'later', 10),
    refused('quota', 'later', 10),
    refused('sequence_gap', 'from 7 on'),
    queueFull('not waiting', true, 250),
  ];
  for (const outcome of wasted) assert.deepEqual(countsAfter(outcome), { hopeless: 0, wasted: 1 });
});

test('not its doing: neither', () => {
  const others = [
    queueFull('not waiting', false, 250),
    refused('queue_full', 'RECEIVE_BUFFER_BYTES is used up', 250),
    refused('disk', 'no space', 1000),
    refused('draining', 'elsewhere', 1000),
    failed('disk', 'EIO'),
  ];
  for (const outcome of others) assert.deepEqual(countsAfter(outcome), { hopeless: 0, wasted: 0 });
});

test('before anybody is asked who he is, a host is one address', () => {
  const nameOf = (address: string | undefined) => new Caller(openDoor, undefined, address).addressName;
  assert.equal(nameOf('2001:db8::1'), nameOf('2001:db8::2'));
  assert.equal(nameOf('::ffff:192.0.2.7'), '192.0.2.7');
  assert.equal(nameOf(undefined), 'unknown');
});
