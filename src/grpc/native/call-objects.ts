/**
 * What a handler that was written for grpc-js gets as its `call`: the surface of ServerUnaryCall,
 * ServerReadableStream, ServerWritableStream and ServerDuplexStream, over a call of ours.
 *
 *   unary          request, callback           client stream   'data', 'end', callback
 *   server stream  request, write(), end()     bidirectional   'data', 'end', write(), end()
 */
import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import { Metadata, type MethodDefinition, type StatusObject } from '@grpc/grpc-js';
import { GRPC_STATUS } from '../status.ts';

/** The call behind the object. */
export interface CallCore {
  readonly peer: string;
  readonly path: string;
  readonly authority: string;
  readonly deadlineMs: number | undefined;
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
  /** `onLeft` is called once the message has left. */
  sendMessage(message: unknown, onLeft: () => void): void;
  /** So many messages wait in the object for one that has not left. */
  onWaiting(messages: number): void;
  finish(code: number, message: string, trailers: Metadata | undefined): void;
}

export type Method = MethodDefinition<unknown, unknown>;
export type Handler = (call: CallObject, callback: Callback) => void;
export type Callback = (
  error: Partial<StatusObject> | Error | null,
  value?: unknown,
  trailers?: Metadata,
) => void;

export interface CallObject extends EventEmitter {
  cancelled: boolean;
  /** Undefined of streaming requests. */
  request: unknown;
}

const UNKNOWN = 2;

class UnaryCall extends EventEmitter implements CallObject {
  cancelled = false;
  readonly request: unknown;
  readonly metadata: Metadata;
  readonly #core: CallCore;

  constructor(core: CallCore, request: unknown) {
    super();
    this.#core = core;
    this.request = request;
    this.metadata = core.metadata;
  }
  getPeer(): string {
    return this.#core.peer;
  }
  getPath(): string {
    return this.#core.path;
  }
  getHost(): string {
    return this.#core.authority;
  }
  getDeadline(): number {
    return this.#core.deadlineMs ?? Number.POSITIVE_INFINITY;
  }
  sendMetadata(metadata: Metadata): void {
    this.#core.sendMetadata(metadata);
  }
}

export class StreamCall extends Duplex implements CallObject {
  cancelled = false;
  readonly request: unknown;
  readonly metadata: Metadata;
  readonly #core: CallCore;
  #trailers: Metadata | undefined;
  #status = { code: GRPC_STATUS.OK as number, message: '' };

  constructor(core: CallCore, request: unknown) {
    super({ objectMode: true, autoDestroy: false });
    this.#core = core;
    this.request = request;
    this.metadata = core.metadata;
    // A handler says with an error what the status is.
    this.on('error', (error) => {
      const { code, message, trailers } = statusOf(error, this.#trailers);
      this.#core.finish(code, message, trailers);
    });
  }
  getPeer(): string {
    return this.#core.peer;
  }
  getPath(): string {
    return this.#core.path;
  }
  getHost(): string {
    return this.#core.authority;
  }
  getDeadline(): number {
    return this.#core.deadlineMs ?? Number.POSITIVE_INFINITY;
  }
  sendMetadata(metadata: Metadata): void {
    this.#core.sendMetadata(metadata);
  }
  override _read(): void {}
  override _write(message: unknown, _encoding: string, onLeft: () => void): void {
    this.#core.sendMessage(message, onLeft);
  }
  /** Handlers that do not look at the result of `write` would fill memory for a client that does not read. */
  override write(message: unknown, ...rest: unknown[]): boolean {
    const goOn = super.write(message, ...(rest as []));
    if (this.writableLength > 1) this.#core.onWaiting(this.writableLength);
    return goOn;
  }
  override _final(onDone: () => void): void {
    this.#core.finish(this.#status.code, this.#status.message, this.#trailers);
    onDone();
  }
  /** Trailers may be handed over with the end. */
  override end(...args: unknown[]): this {
    if (args[0] instanceof Metadata) this.#trailers = args[0];
    return super.end();
  }
}

export interface StartedCall {
  readonly object: CallObject;
  /** For the messages of a streaming request; undefined otherwise. */
  readonly stream: StreamCall | undefined;
}

/** Makes the object and calls the handler. `request` is the one message of a request that does not stream. */
export function startCall(core: CallCore, method: Method, handler: Handler, request: unknown): StartedCall {
  const object =
    method.requestStream || method.responseStream
      ? new StreamCall(core, request)
      : new UnaryCall(core, request);
  try {
    handler(object, method.responseStream ? noCallback : answerWith(core));
  } catch {
    core.finish(UNKNOWN, 'Unknown error', undefined);
  }
  return { object, stream: object instanceof StreamCall ? object : undefined };
}

function answerWith(core: CallCore): Callback {
  return (error, value, trailers) => {
    if (error) {
      const status = statusOf(error, trailers);
      core.finish(status.code, status.message, status.trailers);
    } else {
      core.sendMessage(value, () => {});
      core.finish(GRPC_STATUS.OK, '', trailers);
    }
  };
}

function noCallback(): void {}

function statusOf(
  error: Partial<StatusObject> | Error,
  trailers: Metadata | undefined,
): { code: number; message: string; trailers: Metadata | undefined } {
  const { code, details, metadata } = error as Partial<StatusObject>;
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : UNKNOWN,
    message: details ?? (error as Error).message ?? '',
    trailers: trailers ?? metadata,
  };
}
