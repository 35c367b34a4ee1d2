/** The daemon's maximum right now, from a short closed-loop run: what open-loop benchmarks take their half of. */
import type { DaemonUnderTest } from './daemon-under-test.ts';
import { type LoadShape, loadDaemon } from './load.ts';

/** Requests per second. */
export async function measureMaximum(
  daemon: DaemonUnderTest,
  shape: Omit<LoadShape, 'warmUpMs' | 'durationMs'>,
  durationMs: number,
): Promise<number> {
  const window = await loadDaemon(daemon, { ...shape, durationMs, warmUpMs: durationMs / 2 });
  return (window.requests / window.elapsedMs) * 1000;
}
