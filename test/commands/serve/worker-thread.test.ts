import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkerThread } from '../../../src/commands/serve/worker-thread.ts';

test('a thread that dies over its close rejects the close: nobody waits for it any longer', async () => {
  const deaths: string[] = [];
  const thread = new WorkerThread<undefined, never>({
    name: 'writer',
    entry: '../../../test/support/dying-worker',
    data: undefined,
    transfer: [],
    onEvent: () => {},
    onDeath: (message) => deaths.push(message),
  });
  await thread.ready;
  await assert.rejects(thread.close(), { code: 'WORKER_DIED', message: 'writer thread: the floor gave way' });
  assert.deepEqual(deaths, ['writer thread: the floor gave way']);
  await thread.close();
});
