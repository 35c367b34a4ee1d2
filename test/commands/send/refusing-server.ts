/**
 * A server that refuses now and then, to try clients against: examples/clients/check.sh starts it.
 *
 *   node test/commands/send/refusing-server.ts          every third request is refused with a hint to wait
 *   node test/commands/send/refusing-server.ts --never  every request is refused for good
 *
 * Prints its address, and at SIGTERM how many readings it stored of each sensor, as JSON.
 */
import { status } from '@grpc/grpc-js';
import { type Answer, ReceivingServer } from './receiving-server.ts';

const isNever = process.argv.includes('--never');

const server = new ReceivingServer((call): Answer => {
  if (isNever) {
    return {
      code: status.RESOURCE_EXHAUSTED,
      details: 'larger than the bucket',
      trailers: { 'grpc-retry-pushback-ms': '-1' },
    };
  }
  if (call % 3 !== 0) return { code: 0 };
  const code = call % 2 === 0 ? status.UNAVAILABLE : status.RESOURCE_EXHAUSTED;
  return { code, details: 'come back', trailers: { 'grpc-retry-pushback-ms': '50' } };
});
await server.start();
console.log(server.target);

process.once('SIGTERM', () => {
  const counts: Record<string, number> = {};
  for (const { sensorName } of server.readings()) counts[sensorName] = (counts[sensorName] ?? 0) + 1;
  console.log(JSON.stringify(counts));
  server.stop();
});
