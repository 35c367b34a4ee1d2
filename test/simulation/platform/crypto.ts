/** In place of node:crypto: the same, but randomness comes from the seed. */
import * as crypto from 'node:crypto';
import { isRunning, world } from '../world.ts';

export * from 'node:crypto';

export function randomBytes(size: number): Buffer {
  // What is drawn when a module is loaded belongs to no run.
  if (!isRunning()) return crypto.randomBytes(size);
  const { random } = world().scheduler;
  return Buffer.from(Array.from({ length: size }, () => random.below(256)));
}
