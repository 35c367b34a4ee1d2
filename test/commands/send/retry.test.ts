/** What each failure means: retry or not, how long to wait, and whether the readings may be stored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { seededRandom } from '../../../src/base/random.ts';
import { judge, retryInfoMs, waitBeforeRetryMs } from '../../../src/commands/send/retry.ts';

function failure(code: number, details = '', trailers: Record<string, string | Buffer> = {}) {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
  return judge({ code, details, metadata });
}

/** A google.rpc.Status with one foreign detail and a RetryInfo, built by protobufjs. */
function statusWithRetryInfo(seconds: number, nanos: number): Buffer {
  const { root } = protobuf.parse(`syntax = "proto3"; package google.rpc;
    message Any { string type_url = 1; bytes value = 2; }
    message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
    message Duration { int64 seconds = 1; int32 nanos = 2; }
    message RetryInfo { Duration retry_delay = 1; }`);
  const encode = (name: string, value: object): Uint8Array => {
    const type = root.lookupType(`google.rpc.${name}`);
    return type.encode(type.fromObject(value)).finish();
  };
  const details = [
    { typeUrl: 'type.googleapis.com/google.rpc.Help', value: Uint8Array.of(1, 2, 3) },
    {
      typeUrl: 'type.googleapis.com/google.rpc.RetryInfo',
      value: encode('RetryInfo', { retryDelay: { seconds, nanos } }),
    },
  ];
  return Buffer.from(encode('Status', { code: 8, message: 'slow down', details }));
}

test('pushback of the daemon decides', () => {
  const slow = failure(status.RESOURCE_EXHAUSTED, 'rate', { 'grpc-retry-pushback-ms': '1500' });
  assert.deepEqual(slow, { retry: true, waitMs: 1500, ambiguous: false, unreachable: false });
  const never = failure(status.RESOURCE_EXHAUSTED, 'too large', { 'grpc-retry-pushback-ms': '-1' });
  assert.equal(never.retry, false);
  assert.equal(failure(status.UNAVAILABLE, '', { 'grpc-retry-pushback-ms': 'soon' }).retry, false);
});

test('RetryInfo counts where there is no pushback', () => {
  assert.equal(retryInfoMs(statusWithRetryInfo(2, 250_000_000)), 2250);
  const bin = statusWithRetryInfo(0, 40_000_000);
  assert.equal(failure(status.UNAVAILABLE, 'full', { 'grpc-status-details-bin': bin }).waitMs, 40);
  for (let length = 0; length < bin.length; length++) retryInfoMs(bin.subarray(0, length));
  assert.equal(retryInfoMs(Buffer.from('no status at all')), undefined);
});

test('statuses without a hint', () => {
  const table: readonly [number, string, boolean, boolean][] = [
    // status, details, retry, ambiguous
    [status.UNAVAILABLE, 'Connection dropped', true, true],
    [status.UNAVAILABLE, 'No connection established. Last error: ECONNREFUSED', true, false],
    [status.DEADLINE_EXCEEDED, 'Deadline exceeded', true, true],
    [status.INTERNAL, 'Received RST_STREAM with code 2', true, true],
    [status.INTERNAL, 'a fault of ours', false, false],
    [status.RESOURCE_EXHAUSTED, 'Received message larger than max (9 vs 4)', false, false],
    [status.RESOURCE_EXHAUSTED, 'slow down', true, false],
    [status.INVALID_ARGUMENT, 'items[3].sensor_name is empty', false, false],
    [status.UNIMPLEMENTED, 'unknown method', false, false],
  ];
  for (const [code, details, retry, ambiguous] of table) {
    const verdict = failure(code, details);
    assert.deepEqual({ details, ...verdict }, { ...verdict, details, retry, ambiguous });
  }
});

test('waits: never before what was told, backoff grows to a ceiling', () => {
  const random = seededRandom(3);
  for (let round = 0; round < 200; round++) {
    const told = waitBeforeRetryMs(1, 1000, random);
    assert.ok(told >= 1000 && told <= 1050);
    const toldAgain = waitBeforeRetryMs(60, 1000, random);
    assert.ok(toldAgain >= 1000 && toldAgain <= 1500);
    const first = waitBeforeRetryMs(1, undefined, random);
    assert.ok(first >= 25 && first <= 50);
    const late = waitBeforeRetryMs(60, undefined, random);
    assert.ok(late >= 1500 && late <= 3000);
  }
});
