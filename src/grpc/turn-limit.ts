/**
 * Ends a turn of the event loop that has become long. libuv works off up to 48 times 1,024 readable sockets before it
 * comes to anything else: timers, groups that are to be written, and whatever node:http2 frees at the end of a turn. With
 * thousands of connections that send again as soon as they are answered, a turn of grpc-js took 20 seconds and 3 GB.
 * Once sockets have brought work for TURN_MS, none is read until the turn is over.
 *
 * Of several long turns in a row each reads only those that were not read in the ones before: epoll keeps a socket that
 * has more at the head of its list, and one client whose requests fill a turn would be read in every turn, and others in
 * none. Such a round is over when a turn ends by itself, for then all who were not waiting have been read, or when
 * nobody is left.
 *
 *   resting ──work──▶ running ──work, TURN_MS later──▶ held: nothing is read
 *      ▲                │   ▲                             │
 *      └─turn is over:──┘   └─turn is over: who has not───┘
 *        all are read         been read in this round is
 *
 * Invariant: outside `held` a socket that Node takes for being read is, or waits and the end of a turn is to come.
 */
import type { Socket } from 'node:net';
import { invariant } from '../base/assert.ts';

/** Stopping and starting thousands of sockets takes some 10 ms. */
const TURN_MS = 100;

/** Below Node's API: a socket that node:http2 has taken over is read past it, and pause() does nothing there. */
interface ReadingHandle {
  /** What Node takes for granted. It knows nothing of our stops: to start, `resume()` waits until this is false. */
  readonly reading: boolean;
  readStart(): void;
  readStop(): void;
}

export class TurnLimit {
  readonly #sockets: Iterable<Socket>;
  #state: 'resting' | 'running' | 'held' = 'resting';
  /** When the turn brought its first work. */
  #sinceMs: number | undefined;
  /** What each had been read at the beginning of the round, if there is one. */
  #readBefore: Map<Socket, number> | undefined;
  /** Who waits for the others of the round. */
  #waiting: Socket[] = [];

  /** Of all connections of the thread. */
  constructor(sockets: Iterable<Socket>) {
    this.#sockets = sockets;
  }

  /** A socket has brought something. */
  onWork(nowMs: number): void {
    if (this.#state === 'resting') this.#run();
    this.#sinceMs ??= nowMs;
    if (this.#state === 'running' && nowMs - this.#sinceMs > TURN_MS) {
      this.#state = 'held';
      for (const socket of this.#sockets) handleOf(socket)?.readStop();
    }
  }

  #run(): void {
    this.#state = 'running';
    this.#sinceMs = undefined;
    // Behind the reads of this turn, or of the next one when it is asked for at the end of a turn.
    setImmediate(this.#onTurnOver);
  }

  readonly #onTurnOver = (): void => {
    const isHeld = this.#state === 'held';
    this.#state = 'resting';
    if (isHeld) {
      this.#readThoseLeft();
      return;
    }
    for (const socket of this.#waiting) readAgain(socket);
    this.#waiting = [];
    this.#readBefore = undefined;
  };

  #readThoseLeft(): void {
    const before = this.#readBefore;
    let left: Socket[] = [];
    this.#waiting = [];
    for (const socket of this.#sockets) {
      // A connection that came later had read nothing then.
      const isLeft = before === undefined || (before.get(socket) ?? 0) === socket.bytesRead;
      (isLeft ? left : this.#waiting).push(socket);
    }
    if (left.length === 0) [left, this.#waiting] = [this.#waiting, left];
    if (this.#waiting.length === 0)
      this.#readBefore = new Map(left.map((socket) => [socket, socket.bytesRead]));
    for (const socket of left) readAgain(socket);
    // Nobody may have anything to say, and then nothing else would end the round.
    this.#run();
  }
}

/** Unless Node itself has stopped it since. A pause alone need not: then Node goes on until its buffer is full. */
function readAgain(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading === true) handle.readStart();
}

/** Null once it is closed. */
function handleOf(socket: Socket): ReadingHandle | null {
  const { _handle: handle } = socket as unknown as { readonly _handle: ReadingHandle | null };
  invariant(
    handle === null || (typeof handle.reading === 'boolean' && typeof handle.readStart === 'function'),
    'sockets have no handle that can be told to stop reading any more',
  );
  return handle;
}
