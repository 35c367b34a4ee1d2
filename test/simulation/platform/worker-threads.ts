/** In place of node:worker_threads: threads and ports of the scheduler. */
import { SimulatedChannel, type SimulatedPort, SimulatedWorker } from '../threads.ts';

export { SimulatedChannel as MessageChannel, SimulatedWorker as Worker };

/** Read by an entry at the start of its turn, as in a real worker. */
export let parentPort: SimulatedPort | null = null;
export let workerData: unknown;

export function enterWorker(port: SimulatedPort, data: unknown): void {
  parentPort = port;
  workerData = data;
}

export function receiveMessageOnPort(port: SimulatedPort): { message: unknown } | undefined {
  return port.takeArrived();
}
