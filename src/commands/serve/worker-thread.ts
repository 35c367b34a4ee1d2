/**
 * A worker thread of the daemon, seen from the main thread: started with its data, ready or failed
 * with a SinkError, commanded, closed on request, and watched for a death nobody asked for.
 *
 *   starting ──ready──▶ running ──close()──▶ closing ──closed──▶ ended
 *       └──failed──▶ ended      └──exit or uncaught error──┴──▶ dead (onDeath; close() rejects)
 */
import { type MessagePort, parentPort, type Transferable, Worker } from 'node:worker_threads';
import { type ErrorCode, errorMessage, SinkError } from '../../base/errors.ts';
import { workerEntry } from '../../base/worker-entry.ts';

/**
 * V8 takes 48 on its own, which a busy thread fills with garbage before it looks at any of it. What survives here is a
 * few hundred calls, so collecting four times as often costs nothing that can be measured (docs/decisions/0127).
 */
const YOUNG_GENERATION_MIB = 12;

/** What every worker says over its parent port, beside the events of its own. */
type WorkerMessage<Ready, Event> =
  | { readonly type: 'ready'; readonly ready: Ready }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'event'; readonly event: Event }
  | { readonly type: 'dying'; readonly message: string }
  | { readonly type: 'closed' };

/** What every worker is told, beside the commands of its own. */
type MainMessage<Command> =
  | { readonly type: 'command'; readonly command: Command }
  | { readonly type: 'close' };

export interface WorkerThreadOptions<Event> {
  readonly name: string;
  /** The entry file without its ending, in this folder. */
  readonly entry: string;
  readonly data: unknown;
  readonly transfer: readonly Transferable[];
  readonly onEvent: (event: Event) => void;
  /** The thread ended without being asked to, after it was ready. Nothing of it runs any more. */
  readonly onDeath: (message: string) => void;
}

export class WorkerThread<Ready, Event, Command = never> {
  readonly ready: Promise<Ready>;
  readonly #worker: Worker;
  readonly #closed: Promise<void>;
  #ended = false;

  constructor(options: WorkerThreadOptions<Event>) {
    this.#worker = new Worker(workerEntry(options.entry, import.meta.url), {
      name: options.name,
      workerData: options.data,
      transferList: [...options.transfer],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
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
    let fault: string | undefined;
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
        case 'dying':
          fault = message.message;
          break;
        case 'closed':
          this.#ended = true;
          onClosed();
          break;
      }
    });
    // The error comes first and says why; only with the exit is the thread really gone.
    this.#worker.on('error', (error) => {
      fault ??= errorMessage(error);
    });
    this.#worker.on('exit', (status) => die(fault ?? `exited with status ${status}`));
  }

  /** Tells the thread something; one that has ended hears nothing. */
  post(command: Command, transfer: readonly Transferable[] = []): void {
    const message: MainMessage<Command> = { type: 'command', command };
    if (!this.#ended) this.#worker.postMessage(message, [...transfer]);
  }

  /** Asks the thread to finish; resolves when it has, or had ended before, and rejects when it dies over it. */
  close(): Promise<void> {
    const message: MainMessage<Command> = { type: 'close' };
    if (!this.#ended) this.#worker.postMessage(message);
    return this.#ended ? Promise.resolve() : this.#closed;
  }

  /** Ends it at once; resolves when nothing of it runs any more. */
  async terminate(): Promise<void> {
    this.#ended = true;
    await this.#worker.terminate();
  }
}

/** What lives in the thread. */
export interface WorkerLife<Ready, Command> {
  readonly ready: Ready;
  command?(command: Command): void;
  close(): Promise<void>;
}

/** The other side, inside the thread: starts it, says so, and ends it when asked. A SinkError while starting is reported, anything else kills the thread. */
export async function runWorker<Ready, Event, Command = never>(
  start: (emit: (event: Event) => void, die: (error: unknown) => void) => Promise<WorkerLife<Ready, Command>>,
): Promise<void> {
  const port = parentPort as MessagePort;
  const say = (message: WorkerMessage<Ready, Event>): void => port.postMessage(message);
  /** Ends the thread by a fault, once handles that were closed in this turn are gone. */
  let isDying = false;
  const die = (error: unknown): void => {
    if (isDying) return;
    isDying = true;
    say({ type: 'dying', message: errorMessage(error) });
    setImmediate(() => setImmediate(() => process.exit(1)));
  };
  let life: WorkerLife<Ready, Command>;
  try {
    life = await start((event) => say({ type: 'event', event }), die);
  } catch (error) {
    if (!(error instanceof SinkError)) throw error;
    say({ type: 'failed', code: error.code, message: error.message });
    return;
  }
  port.on('message', async (message: MainMessage<Command>) => {
    if (message.type === 'command') {
      life.command?.(message.command);
      return;
    }
    await life.close();
    say({ type: 'closed' });
    port.close();
  });
  say({ type: 'ready', ready: life.ready });
}
