/** A writer that stands still without an error, as over a disk that hangs: probes of both kinds say so, until it is back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InProcessDaemon } from '../support/daemon-in-process.ts';
import { TestClient } from '../support/grpc-client.ts';
import { item } from '../support/reading-bytes.ts';
import { watchHealth } from '../support/side-calls.ts';

test('a writer that hangs: health over gRPC says NOT_SERVING as /readyz does, and SERVING when it is back', {
  timeout: 120_000,
}, async (t) => {
  const daemon = await InProcessDaemon.start(t);
  const client = new TestClient(daemon.grpc);
  t.after(() => client.close());
  const watch = watchHealth(client, '');
  assert.equal(await watch.next(), 'SERVING');
  const release = await daemon.hold('writer');
  const answer = client.send(Buffer.from(item('kept')));
  // It takes 20 s without a sign of life: nothing shorter tells a disk that hangs from one that is slow.
  assert.equal(await watch.next(), 'NOT_SERVING');
  const { readiness } = await daemon.status();
  assert.match(readiness.map(({ reason }) => reason ?? '').join(), /no sign of life from writer/);
  assert.ok(daemon.log.some(({ msg }) => msg.startsWith('not serving: no sign of life from writer')));
  await release();
  assert.equal(await watch.next(), 'SERVING');
  assert.equal((await answer).code, 0);
  watch.cancel();
  assert.equal(await daemon.stop(), 0);
});
