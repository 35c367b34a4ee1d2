/** kill -9 in the middle of a load with ACK=written. `ROUNDS=20` for the long form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endUnderLoad } from './load.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 2);

test(`kill -9 under load, ${ROUNDS} times: restarts clean, every acknowledged reading on disk`, {
  timeout: 60_000 + ROUNDS * 20_000,
}, async (t) => {
  await endUnderLoad(t, {
    rounds: ROUNDS,
    signal: 'SIGKILL',
    seed: 2,
    environment: { ROTATE_BYTES: '1MiB', COMPRESS: 'zstd' },
    afterRound: ({ exit }) => assert.equal(exit.signal, 'SIGKILL'),
  });
});
