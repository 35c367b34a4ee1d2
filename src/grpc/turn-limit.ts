/**
 * Ends a turn of the event loop that has become long. libuv works off up to 48 times 1,024 readable sockets before it
 * comes to anything else: timers, groups that are to be written, and whatever node:http2 frees at the end of a turn. With
 * thousands of connections that send again as soon as they are answered, a turn of grpc-js took 20 seconds and 3 GB.
 * Once sockets have brought work for TURN_MS, none is read until the turn is over.
 *
 *   resting ──work──▶ running ──work, TURN_MS later──▶ held: nothing is read
 *      ▲                 │                               │
 *      └──turn is over───┴───────────────────────────────┘
 */
import type { Socket } from 'node:net';
import { invariant } from '../base/assert.ts';

/** Stopping and starting thousands of sockets takes some 10 ms. */
const TURN_MS = 100;

/** Below Node's API: a socket that node:http2 has taken over is read past it, and pause() does nothing there. */
interface ReadingHandle {
  readStart(): void;
  readStop(): void;
}

export class TurnLimit {
  readonly #sockets: Iterable<Socket>;
  #state: 'resting' | 'running' | 'held' = 'resting';
  #sinceMs = 0;

  /** Of all connections of the thread. */
  constructor(sockets: Iterable<Socket>) {
    this.#sockets = sockets;
  }

  /** A socket has brought something. */
  onWork(nowMs: number): void {
    if (this.#state === 'resting') {
      this.#state = 'running';
      this.#sinceMs = nowMs;
      setImmediate(this.#onTurnOver);
    } else if (this.#state === 'running' && nowMs - this.#sinceMs > TURN_MS) {
      this.#state = 'held';
      for (const socket of this.#sockets) handleOf(socket)?.readStop();
    }
  }

  readonly #onTurnOver = (): void => {
    if (this.#state === 'held') {
      for (const socket of this.#sockets) if (!socket.isPaused()) handleOf(socket)?.readStart();
    }
    this.#state = 'resting';
  };
}

/** Null once it is closed. */
function handleOf(socket: Socket): ReadingHandle | null {
  const { _handle: handle } = socket as unknown as { readonly _handle: ReadingHandle | null };
  invariant(
    handle === null || (typeof handle.readStart === 'function' && typeof handle.readStop === 'function'),
    'sockets have no handle that can be told to stop reading any more',
  );
  return handle;
}
