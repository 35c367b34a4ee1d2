/** Admission by size and byte rate: which refusal, and what the client is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../../src/base/client.ts';
import { NEVER_RETRY, type Refused } from '../../src/base/outcome.ts';
import { Admission, newAdmissionCells } from '../../src/ingest/admission.ts';
import { ManualClock } from '../support/manual-clock.ts';

function admission(limits: Partial<ConstructorParameters<typeof Admission>[0]>): {
  admit: (sizeBytes: number, by?: Client) => Refused | undefined;
  clock: ManualClock;
} {
  const clock = new ManualClock();
  const all = {
    maxRequestBytes: 1000,
    ratePerSecondBytes: 0,
    rateBurstBytes: 0,
    queueBytes: 1024 * 1024,
    clientRatePerSecondBytes: 0,
    clientRateBurstBytes: 0,
    ...limits,
  };
  const { admit } = new Admission(all, clock, newAdmissionCells(16));
  const client = new Client('address', '127.0.0.1');
  return { admit: (sizeBytes, by = client) => admit(sizeBytes, by), clock };
}

test('without a rate only the size decides', () => {
  const { admit } = admission({});
  for (let i = 0; i < 100; i++) assert.equal(admit(1000), undefined);
  const refusal = admit(1001)!;
  assert.equal(refusal.reason, 'too_large');
  assert.equal(refusal.retryAfterMs, NEVER_RETRY);
  assert.match(refusal.message, /1001 bytes.*MAX_REQUEST_BYTES \(1000\).*do not retry/);
});

test('the rate refuses for now, with the delay after which the same request passes', () => {
  const { admit, clock } = admission({ ratePerSecondBytes: 2000 });
  assert.equal(admit(1000), undefined);
  assert.equal(admit(1000), undefined);
  const refusal = admit(500)!;
  assert.equal(refusal.reason, 'rate_limited');
  assert.equal(refusal.retryAfterMs, 250);
  assert.match(refusal.message, /retry in 250ms/);
  clock.advance(249);
  assert.notEqual(admit(500), undefined);
  clock.advance(1);
  assert.equal(admit(500), undefined);
});

test('by default the burst lets the largest request pass, at any rate', () => {
  const { admit } = admission({ ratePerSecondBytes: 1 });
  assert.equal(admit(1000), undefined);
  assert.equal(admit(1000)!.retryAfterMs, 1_000_000);
});

test('over the burst is refused for good, even while the rate is used up', () => {
  const { admit } = admission({ ratePerSecondBytes: 100, rateBurstBytes: 400 });
  assert.equal(admit(400), undefined);
  const refusal = admit(401)!;
  assert.equal(refusal.reason, 'over_burst');
  assert.equal(refusal.retryAfterMs, NEVER_RETRY);
  assert.match(refusal.message, /401 bytes.*RATE_BURST.*400.*do not retry/);
  assert.equal(admit(1001)!.reason, 'too_large');
});

test('an empty request always passes', () => {
  const { admit } = admission({ ratePerSecondBytes: 100, rateBurstBytes: 100 });
  assert.equal(admit(100), undefined);
  assert.equal(admit(0), undefined);
});
