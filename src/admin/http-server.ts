/**
 * The admin HTTP server: looks, never touches. GET and HEAD on a fixed set of paths.
 *
 * Invariants:
 * 1. Every request that could be parsed gets exactly one response; every error has the one JSON shape.
 * 2. What all clients together can hold is bounded: connections, header bytes, time.
 * 3. After `close` resolves no connection is left.
 *
 *   listening ──close()──▶ closing: idle connections end, responses say `connection: close`
 *                             └── all ended, or closeGraceMs over and the rest destroyed ──▶ closed
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Socket } from 'node:net';
import { KiB } from '../base/byte-size.ts';
import { formatListenAddress, type ListenAddress } from '../base/listen-address.ts';
import type { TokenEntry } from '../base/token-file.ts';
import { listenAll } from './listen.ts';
import { guardApi } from './request-guard.ts';
import { type AdminResponse, errorResponse, type Route } from './route.ts';
import { healthRoute, readyRoute } from './routes/checks.ts';
import { metricsRoute } from './routes/metrics.ts';
import { pageRoute } from './routes/page.ts';
import { producersRoute } from './routes/producers.ts';
import { statusRoute } from './routes/status.ts';
import type { MetricsSource, StatusSource } from './status-source.ts';
import { TokenGate } from './token-gate.ts';

/** What clients can take up, per address that is listened on. */
export interface AdminLimits {
  /** A scraper, a few probes and a few open pages use a dozen. */
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  /** A request of ours is a few hundred bytes; whoever needs longer is stuck or hostile. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Longer than the page's poll, so that a page keeps its connection. */
  readonly keepAliveTimeoutMs: number;
  /** No byte moved either way for so long: a client that does not read its response. */
  readonly stalledTimeoutMs: number;
  /** How often the timeouts above are looked at. */
  readonly checkIntervalMs: number;
  /** What a connection gets to end by itself when the server closes. */
  readonly closeGraceMs: number;
}

export const ADMIN_LIMITS: AdminLimits = {
  maxConnections: 64,
  maxHeaderBytes: 8 * KiB,
  headersTimeoutMs: 5000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 5000,
  stalledTimeoutMs: 30_000,
  checkIntervalMs: 1000,
  closeGraceMs: 1000,
};

const ALLOWED_METHODS = 'GET, HEAD';

export interface AdminServerDeps {
  readonly status: StatusSource;
  readonly metrics: MetricsSource;
  /** Those that are good now; undefined or left out: none is asked for. */
  readonly tokens?: () => readonly TokenEntry[] | undefined;
  /** A route threw: a fault of ours. The client got a 500 without details. */
  readonly onFault: (path: string, error: unknown) => void;
}

export interface AdminServer {
  readonly port: number;
  /** Every address it listens on, in the form that clients dial. */
  readonly addresses: readonly string[];
  /** Loopback addresses that this machine does not have. */
  readonly missing: readonly string[];
  close(): Promise<void>;
}

/** Throws SinkError ADDRESS_IN_USE or ADDRESS_UNAVAILABLE. */
export async function openAdminServer(
  address: ListenAddress,
  deps: AdminServerDeps,
  limits: AdminLimits = ADMIN_LIMITS,
): Promise<AdminServer> {
  let addresses: readonly string[] = [];
  let isClosing = false;
  const gate = new TokenGate(deps.tokens ?? (() => undefined));
  const routes = new Map<string, Route>();
  for (const route of [
    pageRoute(),
    metricsRoute(deps.metrics),
    healthRoute(deps.status),
    readyRoute(deps.status),
    statusRoute(deps.status, () => addresses),
    producersRoute(deps.status),
  ]) {
    routes.set(route.path, route);
  }
  const paths = [...routes.values()].map(({ path, help }) => ({ path, help }));

  async function answer(request: IncomingMessage): Promise<AdminResponse> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return errorResponse(
        405,
        'METHOD_NOT_ALLOWED',
        `only ${ALLOWED_METHODS}: nothing here can be changed`,
        {
          headers: { allow: ALLOWED_METHODS },
        },
      );
    }
    const url = request.url ?? '';
    if (!url.startsWith('/')) return errorResponse(400, 'BAD_REQUEST', 'the request target must be a path');
    const path = url.split('?', 1)[0]!;
    // A stranger's page has no token, whatever name it reaches us by.
    if (!gate.isShut && (path === '/api' || path.startsWith('/api/'))) {
      const refusal = guardApi(request.headers, address, request.socket.localPort ?? address.port);
      if (refusal !== undefined) return refusal;
    }
    const route = routes.get(path);
    if (route?.isOpen !== true) {
      const refusal = gate.refusal(request.headers.authorization);
      if (refusal !== undefined) return refusal;
    }
    if (route === undefined) {
      return errorResponse(404, 'NOT_FOUND', 'no such path; `paths` lists all there are', {
        body: { paths },
      });
    }
    try {
      return await route.respond(new URLSearchParams(url.slice(path.length + 1)));
    } catch (error) {
      deps.onFault(path, error);
      return errorResponse(500, 'INTERNAL', 'a fault of the daemon; its log says more');
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that leaves before its response is none of our faults.
    response.on('error', () => {});
    const answered = await answer(request);
    // What it sent as a body is not read, so the connection cannot be used again.
    const hasBody =
      'transfer-encoding' in request.headers || Number(request.headers['content-length'] ?? 0) > 0;
    send(response, answered, { isHead: request.method === 'HEAD', isLast: isClosing || hasBody });
  }

  const bound = await listenAll(address, () => createAdminServer(handle, limits));
  addresses = bound.servers.map((server) => dialAddress(server, address));
  return {
    port: bound.port,
    addresses,
    missing: bound.missing,
    close: async () => {
      isClosing = true;
      await Promise.all(bound.servers.map((server) => closeServer(server, limits.closeGraceMs)));
    },
  };
}

function createAdminServer(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  limits: AdminLimits,
): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.checkIntervalMs,
    },
    (request, response) => void handle(request, response),
  );
  server.maxConnections = limits.maxConnections;
  server.setTimeout(limits.stalledTimeoutMs);
  server.on('clientError', refuseUnparsed);
  // `expect:` and upgrades are never needed here; they get the answer of an ordinary request.
  server.on('checkExpectation', (request, response) => void handle(request, response));
  return server;
}

function send(
  response: ServerResponse,
  { status, contentType, body, headers }: AdminResponse,
  { isHead, isLast }: { readonly isHead: boolean; readonly isLast: boolean },
): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    ...(isLast ? { connection: 'close' } : {}),
    ...headers,
  });
  response.end(isHead ? undefined : body);
}

/** What the parser refused has no request object; the answer is written by hand. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, body, contentType } =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? errorResponse(431, 'HEADERS_TOO_LARGE', `the headers are too large`)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? errorResponse(408, 'REQUEST_TIMEOUT', 'the request did not arrive in time')
        : errorResponse(400, 'BAD_REQUEST', 'not an HTTP/1.1 request');
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${contentType}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function dialAddress(server: Server, configured: ListenAddress): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return '';
  // A wildcard is no address to dial; the loopback name of the same port is.
  const isWildcard = bound.address === '::' || bound.address === '0.0.0.0';
  return formatListenAddress(isWildcard && configured.host === '' ? 'localhost' : bound.address, bound.port);
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const grace = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(grace);
      resolve();
    });
    server.closeIdleConnections();
  });
}
