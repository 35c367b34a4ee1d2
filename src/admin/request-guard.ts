/**
 * Keeps web pages of strangers away from /api. A page in the operator's browser can reach our loopback
 * port; after DNS rebinding it even counts as same-origin, but its name stays in the Host header.
 *
 * This is no access control: a program can send any Host. Who may reach the port at all is decided by
 * ADMIN_SOCKET and the network.
 */
import type { ListenAddress } from '../base/listen-address.ts';
import { type AdminResponse, errorResponse } from './route.ts';

/** Any port: forwarding (`kubectl port-forward 19464:9464`) changes it, and no stranger's page has such a name. */
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/i;

export interface GuardedHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
}

/** The refusal, or undefined when the request may pass. */
export function guardApi(
  headers: GuardedHeaders,
  configured: ListenAddress,
  port: number,
): AdminResponse | undefined {
  const host = headers.host ?? '';
  if (!LOOPBACK.test(host) && !isConfiguredHost(host, configured, port)) {
    return errorResponse(
      403,
      'FORBIDDEN_HOST',
      'the Host header is neither a loopback name nor the host:port of ADMIN_SOCKET; reach /api through localhost (kubectl port-forward, ssh -L)',
    );
  }
  const origin = headers.origin;
  if (origin === undefined) return undefined;
  const own = host.toLowerCase();
  if (origin === `http://${own}` || origin === `https://${own}`) return undefined;
  return errorResponse(403, 'FORBIDDEN_ORIGIN', 'the Origin header is that of another site');
}

/** A wildcard (`:9464`, `0.0.0.0:9464`, `[::]:9464`) names no host, so only loopback names pass there. */
function isConfiguredHost(host: string, configured: ListenAddress, port: number): boolean {
  if (configured.host === '' || configured.host === '0.0.0.0' || configured.host === '::') return false;
  const name = configured.host.includes(':') ? `[${configured.host}]` : configured.host;
  const own = host.toLowerCase();
  return own === `${name}:${port}`.toLowerCase() || (port === 80 && own === name.toLowerCase());
}
