/**
 * How V8 collects the garbage of the daemon's threads, where its own choice costs latency.
 *
 * V8 hands parts of each young collection to helper threads and waits for the last of them. Little survives ours, so there is
 * nothing to share out, and where the cores are busy a helper that was woken waits milliseconds for one, with the thread
 * that serves waiting for it (docs/decisions/0142).
 */
import { setFlagsFromString } from 'node:v8';

/** For the whole process; V8 asks for it at each collection, so it may come late. Call it before threads are started. */
export function collectWithoutHelpers(): void {
  setFlagsFromString('--no-parallel-scavenge');
}
