/**
 * A worker thread of the daemon, seen from the main thread: started with its data, ready or failed
 * with a SinkError, closed on request, and watched for a death nobody asked for.
 *
 *   starting ──ready──▶ running ──close()──▶ closing ──closed──▶ ended
 *       └──failed──▶ ended      └──exit or uncaught error──┴──▶ dead (onDeath; close() rejects)
 */
import { type MessagePort, parentPort, type Transferable, Worker } from 'node:worker_threads';
import { type ErrorCode, errorMessage, SinkError } from '../../base/errors.ts';

/** What every worker says over its parent port, beside the events of its own. */
type WorkerMessage<Ready, Event> =
  | { readonly type: 'ready'; readonly ready: Ready }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'event'; readonly event: Event }
  | { readonly type: 'closed' };

export interface WorkerThreadOptions<Event> {
  readonly name: string;
  /** The entry file without its ending, relative to this folder: it is .ts in a checkout, .js when built. */
  readonly entry: string;
  readonly data: unknown;
  readonly transfer: readonly Transferable[];
  readonly onEvent: (event: Event) => void;
  /** The thread ended without being asked to. */
  readonly onDeath: (message: string) => void;
}

export class WorkerThread<Ready, Event> {
  readonly ready: Promise<Ready>;
  readonly #worker: Worker;
  readonly #closed: Promise<void>;
  #ended = false;

  constructor(options: WorkerThreadOptions<Event>) {
    const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    this.#worker = new Worker(new URL(`./${options.entry}${ending}`, import.meta.url), {
      name: options.name,
      workerData: options.data,
      transferList: [...options.transfer],
    });
    let onReady: (ready: Ready) => void;
    let onFailed: (error: Error) => void;
    this.ready = new Promise((resolve, reject) => {
      onReady = resolve;
      onFailed = reject;
    });
    // Whoever starts the thread awaits `ready`; a death later must not also count as an unhandled rejection.
    this.ready.catch(() => {});
    let onClosed: () => void;
    let onDiedClosing: (error: Error) => void;
    this.#closed = new Promise((resolve, reject) => {
      onClosed = resolve;
      onDiedClosing = reject;
    });
    this.#closed.catch(() => {});
    let started = false;
    const die = (message: string): void => {
      if (this.#ended) return;
      this.#ended = true;
      const error = new SinkError('WORKER_DIED', `${options.name} thread: ${message}`);
      onFailed(error);
      onDiedClosing(error);
      if (started) options.onDeath(`${options.name} thread: ${message}`);
    };
    this.#worker.on('message', (message: WorkerMessage<Ready, Event>) => {
      switch (message.type) {
        case 'ready':
          started = true;
          onReady(message.ready);
          break;
        case 'failed':
          this.#ended = true;
          onFailed(new SinkError(message.code, message.message));
          break;
        case 'event':
          options.onEvent(message.event);
          break;
        case 'closed':
          this.#ended = true;
          onClosed();
          break;
      }
    });
    this.#worker.on('error', (error) => die(errorMessage(error)));
    this.#worker.on('exit', (status) => die(`exited with status ${status}`));
  }

  /** Asks the thread to finish; resolves when it has, or had ended before, and rejects when it dies over it. */
  close(): Promise<void> {
    if (!this.#ended) this.#worker.postMessage({ type: 'close' });
    return this.#ended ? Promise.resolve() : this.#closed;
  }

  async terminate(): Promise<void> {
    this.#ended = true;
    await this.#worker.terminate();
  }
}

/** The other side, inside the thread: starts it, says so, and ends it when asked. A SinkError while starting is reported, anything else kills the thread. */
export async function runWorker<Ready, Event>(
  start: (emit: (event: Event) => void) => Promise<{ readonly ready: Ready; close(): Promise<void> }>,
): Promise<void> {
  const port = parentPort as MessagePort;
  const say = (message: WorkerMessage<Ready, Event>): void => port.postMessage(message);
  let life: { readonly ready: Ready; close(): Promise<void> };
  try {
    life = await start((event) => say({ type: 'event', event }));
  } catch (error) {
    if (!(error instanceof SinkError)) throw error;
    say({ type: 'failed', code: error.code, message: error.message });
    return;
  }
  port.on('message', async () => {
    await life.close();
    say({ type: 'closed' });
    port.close();
  });
  say({ type: 'ready', ready: life.ready });
}
