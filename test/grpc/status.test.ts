/** Outcome to status: every reason has a code, and RetryInfo decodes to the delay that was meant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { FAILURE_REASONS, failed, NEVER_RETRY, REFUSAL_REASONS, refused } from '../../src/base/outcome.ts';
import { encodeRetryStatus } from '../../src/grpc/rpc-status.ts';
import { statusTrailers } from '../../src/grpc/status.ts';

const Status = protobuf.parse(`syntax = "proto3";
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }`).root;

test('the details decode to code, message and delay', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 16 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.oneof(fc.integer({ min: 0, max: 2 ** 40 }), fc.double({ min: 0, max: 1e9, noNaN: true })),
      (code, text, retryAfterMs) => {
        const message = text.toWellFormed();
        const bytes = encodeRetryStatus(code, message, retryAfterMs);
        const status = Status.lookupType('Status').toObject(Status.lookupType('Status').decode(bytes));
        assert.equal(status.code, code);
        assert.equal(status.message ?? '', message);
        assert.equal(status.details.length, 1);
        assert.equal(status.details[0].typeUrl, 'type.googleapis.com/google.rpc.RetryInfo');
        const RetryInfo = Status.lookupType('RetryInfo');
        const info = RetryInfo.toObject(RetryInfo.decode(status.details[0].value), {
          longs: Number,
          defaults: true,
        });
        const { seconds, nanos } = info.retryDelay;
        assert.ok(nanos >= 0 && nanos <= 999_999_999, `${nanos} nanos`);
        assert.ok(Math.abs(seconds * 1000 + nanos / 1e6 - retryAfterMs) <= 1e-6 + retryAfterMs * 1e-12);
      },
    ),
    { seed: 20261120, numRuns: 500 },
  );
});

test('every reason has an error code of gRPC', () => {
  const codes = new Map<string, number>();
  for (const reason of REFUSAL_REASONS)
    codes.set(`refused ${reason}`, statusTrailers(refused(reason, '')).code);
  for (const reason of FAILURE_REASONS)
    codes.set(`failed ${reason}`, statusTrailers(failed(reason, '')).code);
  for (const [reason, code] of codes) assert.ok(code >= 1 && code <= 16, reason);
  // Those that retry policies act on, and no other.
  const retryable = [...codes].filter(([, code]) => code === 8 || code === 14).map(([reason]) => reason);
  assert.deepEqual(retryable, [
    'refused too_large',
    'refused over_burst',
    'refused rate_limited',
    'refused quota',
    'refused queue_full',
    'refused draining',
    'refused disk',
    'failed disk',
    'failed drain_deadline',
    'failed thread_death',
  ]);
});

test('hints: none, never, and a whole number of milliseconds that any client can parse', () => {
  assert.deepEqual(statusTrailers(refused('malformed', 'm')), {
    code: 3,
    message: 'm',
    pushback: undefined,
    details: undefined,
  });
  const never = statusTrailers(refused('over_burst', 'm', NEVER_RETRY));
  assert.deepEqual([never.pushback, never.details], ['-1', undefined]);
  assert.equal(statusTrailers(refused('rate_limited', 'm', 0.2)).pushback, '1');
  assert.equal(statusTrailers(refused('rate_limited', 'm', 0)).pushback, '0');
  assert.equal(statusTrailers(refused('rate_limited', 'm', 1e12)).pushback, String(2 ** 31 - 1));
});
