/** SIGTERM in the middle of a load. `ROUNDS=20` for the long form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endUnderLoad } from './load.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 2);

test(`SIGTERM under load, ${ROUNDS} times: exit 0, books balanced, every acknowledged reading on disk`, {
  timeout: 60_000 + ROUNDS * 20_000,
}, async (t) => {
  await endUnderLoad(t, {
    rounds: ROUNDS,
    signal: 'SIGTERM',
    seed: 1,
    environment: { ROTATE_BYTES: '1MiB', COMPRESS: 'gzip' },
    afterRound: ({ daemon, exit }) => {
      assert.deepEqual(exit, { status: 0, signal: null });
      const last = daemon.log.at(-1)!;
      assert.match(last.msg, /^balance: .*\(difference 0\); .*in flight 0 \(difference 0\)$/);
    },
  });
});
