/** A port to come back to, for daemons that are started again and again at one address. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below those that systems lend to clients (Linux from 32768 on): while a daemon is down, somebody's connection would take
 * its port, and has.
 */
const FIRST = 10_000;
const BEHIND_LAST = 32_000;

/** Nobody listens on it now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, BEHIND_LAST);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
