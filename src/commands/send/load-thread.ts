/**
 * Entry file of a load thread.
 *
 *   start ─▶ connecting ─connected▶ waiting for `run` ─▶ running (progress now and then) ─done▶ exit
 *                └──────failed────▶ exit
 */
import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../base/assert.ts';
import { SinkError } from '../../base/errors.ts';
import { LatencyHistogram } from './latency.ts';
import { LocalLoad } from './local-load.ts';
import type { FromLoadThread, LoadThreadData, ToLoadThread } from './thread-messages.ts';

const PROGRESS_INTERVAL_MS = 250;

invariant(parentPort, 'load-thread.ts is the entry file of a worker thread');
const port = parentPort;
const { plan, thread, threads } = workerData as LoadThreadData;
const say = (message: FromLoadThread): void => port.postMessage(message);

async function main(): Promise<void> {
  const load = new LocalLoad(
    plan,
    { thread, threads, onWaiting: (target) => say({ kind: 'waiting', target }) },
    undefined,
  );
  const start = Promise.withResolvers<number>();
  port.on('message', (message: ToLoadThread) => {
    if (message.kind === 'run') start.resolve(message.startMs);
    else load.stop(message.reason);
  });
  try {
    await load.connect();
    say({ kind: 'connected' });
    const startMs = await start.promise;
    const progress = setInterval(() => {
      const recent = new LatencyHistogram();
      load.takeRecentLatency(recent);
      const recentLatency = recent.count === 0 ? undefined : recent.encode();
      say({ kind: 'progress', counters: load.counters(), recentLatency });
    }, PROGRESS_INTERVAL_MS);
    const result = await load.run(startMs);
    clearInterval(progress);
    say({
      kind: 'done',
      counters: result.counters,
      latency: result.latency.encode(),
      attemptLatency: result.attemptLatency.encode(),
      endedEarly: result.endedEarly,
    });
  } finally {
    load.close();
  }
}

main()
  .catch((error: unknown) => {
    if (!(error instanceof SinkError)) throw error;
    say({ kind: 'failed', code: error.code === 'USAGE' ? 'USAGE' : 'SEND_FAILED', message: error.message });
  })
  // The open port is what keeps this thread alive.
  .finally(() => port.close());
