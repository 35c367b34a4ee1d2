/**
 * Makes the disk of a daemon slow: loaded before it (`node --import`), in each of its threads, it lets
 * writes of the journal wait in proportion to their bytes. SLOW_DISK_BYTES_PER_SECOND says how slow.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const bytesPerSecond = Number(process.env.SLOW_DISK_BYTES_PER_SECOND);
const clock = new Int32Array(new SharedArrayBuffer(4));

const writev = fs.writevSync;
fs.writevSync = (fd, buffers, position) => {
  const bytes = buffers.reduce((sum, part) => sum + part.byteLength, 0);
  Atomics.wait(clock, 0, 0, (bytes / bytesPerSecond) * 1000);
  return writev(fd, buffers, position);
};
syncBuiltinESMExports();
