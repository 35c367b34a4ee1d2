/**
 * What an attack is, and the client that carries it out: connects, says what opens the attack, goes on with it as fast
 * as the server takes it, and comes back as soon as it is thrown out.
 */
import { connect, type Socket } from 'node:net';
import { GREETING } from '../support/raw-http2.ts';

export interface Attack {
  readonly name: string;
  /** One line: what it does, and what it hopes for. */
  readonly what: string;
  /** In place of preface and SETTINGS. */
  readonly greeting?: Uint8Array;
  /**
   * The `n`-th piece of a connection, from 0. Undefined: that was all, the connection is held open and silent.
   * Client streams are odd and grow: piece n uses those from `firstStream(n)` on.
   */
  piece(n: number): Uint8Array | undefined;
  /** It reads nothing of what the server answers. */
  readonly isDeaf?: boolean;
  /** Hangs up after the last piece and comes again. */
  readonly hangsUp?: boolean;
  /** Waits so long between pieces. */
  readonly pauseMs?: number;
}

/** Streams that one piece may use. */
export const STREAMS_PER_PIECE = 100;
/** RFC 9113 5.1.1: stream identifiers have 31 bits; the last piece that fits. */
const LAST_PIECE = Math.floor(2 ** 30 / STREAMS_PER_PIECE) - 1;

export function firstStream(piece: number): number {
  return 1 + 2 * STREAMS_PER_PIECE * piece;
}

/** A client thrown out comes back after this; at once would measure the kernel's accept and nothing else. */
const RECONNECT_MS = 5;

/** Attackers until it is ended. */
export class Raid {
  readonly #attack: Attack;
  readonly #port: number;
  readonly #from: string | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  connections = 0;
  bytes = 0;
  #isOver = false;
  #onEmpty: (() => void) | undefined;

  /** `from`: the address that the attackers come from; any of this machine. */
  constructor(attack: Attack, port: number, from?: string) {
    this.#attack = attack;
    this.#port = port;
    this.#from = from;
  }

  /** One attacker more. */
  join(): void {
    if (this.#isOver) return;
    const { greeting = GREETING, isDeaf = false } = this.#attack;
    const from = this.#from === undefined ? {} : { localAddress: this.#from };
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, ...from });
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('connect', () => {
      this.connections++;
      if (greeting.length > 0) this.#write(socket, greeting);
      this.#goOn(socket, 0);
    });
    if (isDeaf) socket.pause();
    else socket.resume();
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#later(RECONNECT_MS, () => this.join());
      if (this.#sockets.size === 0) this.#onEmpty?.();
    });
  }

  /** Resolves when every socket is closed. */
  async end(): Promise<void> {
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#sockets.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const socket of this.#sockets) socket.destroy();
    await empty;
  }

  /** Piece after piece, a turn of the event loop between them, while the kernel takes them. */
  #goOn(socket: Socket, n: number): void {
    if (this.#isOver || socket.destroyed) return;
    const piece = n <= LAST_PIECE ? this.#attack.piece(n) : undefined;
    if (piece === undefined) {
      if (this.#attack.hangsUp === true) socket.destroy();
      return;
    }
    const next = () => this.#goOn(socket, n + 1);
    if (!this.#write(socket, piece)) socket.once('drain', next);
    else if (this.#attack.pauseMs !== undefined) this.#later(this.#attack.pauseMs, next);
    else setImmediate(next);
  }

  #write(socket: Socket, bytes: Uint8Array): boolean {
    this.bytes += bytes.length;
    return socket.write(bytes);
  }

  #later(delayMs: number, run: () => void): void {
    if (this.#isOver) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs);
    this.#timers.add(timer);
  }
}
