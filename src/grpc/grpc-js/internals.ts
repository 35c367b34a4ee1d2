/**
 * What we use of grpc-js beyond its public API, in one place, so that an upgrade is reviewed here.
 * Every use is checked when the server is made or the call arrives; docs/decisions/0050 says why each is needed.
 */
import type { Http2Server, ServerHttp2Stream, ServerOptions } from 'node:http2';
import type { Metadata, Server, ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { invariant } from '../../base/assert.ts';

/** The innermost call: the one that grpc-js itself answers on. */
export interface BaseCall extends ServerInterceptingCallInterface {
  readonly stream: ServerHttp2Stream;
  /** Of the request. */
  readonly metadata: Metadata;
  decompressMessage(framedMessage: Buffer, encoding: string): Buffer | Promise<Buffer>;
}

interface ServerInternals {
  readonly commonServerOptions: ServerOptions;
  readonly http2Servers: Map<Http2Server, unknown>;
}

/** Must run before the first connection injector is made. */
export function tuneHttp2(server: Server, options: ServerOptions): void {
  const { commonServerOptions } = server as unknown as ServerInternals;
  invariant(typeof commonServerOptions === 'object', 'grpc-js has no commonServerOptions any more');
  Object.assign(commonServerOptions, options, {
    settings: { ...commonServerOptions.settings, ...options.settings },
  });
}

/** The HTTP/2 server behind the one connection injector: it tells us of sessions and streams. */
export function http2ServerOf(server: Server): Http2Server {
  const { http2Servers } = server as unknown as ServerInternals;
  invariant(http2Servers instanceof Map && http2Servers.size === 1, 'grpc-js has no http2Servers any more');
  const [http2Server] = http2Servers.keys();
  return http2Server!;
}

/** The `authorization` of a call; of several the first, as everywhere. */
export function authorizationOf(call: BaseCall): string | undefined {
  return call.metadata.get('authorization')[0] as string | undefined;
}

/** `grpc-encoding` of a call, which grpc-js takes out of the metadata. */
export function encodingOf(call: BaseCall): string {
  return (call as unknown as { incomingEncoding: string }).incomingEncoding;
}

export function baseCallOf(call: ServerInterceptingCallInterface): BaseCall {
  const base = call as BaseCall;
  invariant(
    base.stream !== undefined && base.decompressMessage !== undefined && base.metadata !== undefined,
    'grpc-js calls have no stream, metadata or decompressMessage any more',
  );
  return base;
}
