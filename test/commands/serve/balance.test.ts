import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, balanceOf } from '../../../src/commands/serve/balance.ts';
import { Ledger } from '../../../src/observe/ledger.ts';

function ledgerOf(entries: (ledger: Ledger) => void): Ledger {
  const ledger = new Ledger();
  entries(ledger);
  return ledger;
}

test('balanced when what is in flight by the books is what is held', () => {
  const ledger = ledgerOf((books) => {
    books.requestReceived();
    books.requestReceived();
    books.requestOk();
    books.readingsDecoded(7);
    books.readingsWritten(4);
  });
  const balance = balanceOf(audit(ledger.snapshot(), { requests: 1, readings: 3 }));
  assert.equal(balance.isBalanced, true);
  assert.match(
    balance.text,
    /ok 1 .* in flight 1 \(difference 0\); .*written 4 .* in flight 3 \(difference 0\)/,
  );
});

test('a request answered twice, one forgotten, and readings that went missing show as a difference', () => {
  const twice = ledgerOf((books) => {
    books.requestReceived();
    books.requestOk();
    books.requestOk();
  });
  const answeredTwice = balanceOf(audit(twice.snapshot(), { requests: 0, readings: 0 }));
  assert.equal(answeredTwice.isBalanced, false);
  assert.match(answeredTwice.text, /^balance: requests .*\(difference -1\);/);

  const forgotten = audit(ledgerOf((books) => books.requestReceived()).snapshot(), {
    requests: 0,
    readings: 0,
  });
  assert.equal(forgotten.requests.difference, 1);

  const missing = balanceOf(
    audit(ledgerOf((books) => books.readingsDecoded(5)).snapshot(), { requests: 0, readings: 2 }),
  );
  assert.equal(missing.isBalanced, false);
  assert.match(missing.text, /decoded 5 .* in flight 2 \(difference 3\)$/);
});
