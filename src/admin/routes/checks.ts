/**
 * /healthz and /readyz: checks with their reasons, 200 when all pass, else 503.
 * A failing /healthz asks for a restart, a failing /readyz for traffic to go elsewhere.
 */
import type { Check } from '../../observe/daemon-state.ts';
import { type AdminErrorCode, type AdminResponse, errorResponse, json, type Route } from '../route.ts';
import type { StatusSource } from '../status-source.ts';

function checksResponse(checks: readonly Check[], code: AdminErrorCode): AdminResponse {
  const failing = checks.filter(({ ok }) => !ok);
  if (failing.length === 0) return json(200, { ok: true, checks });
  const message = failing.map(({ check, reason }) => `${check}: ${reason ?? 'fails'}`).join('; ');
  return errorResponse(503, code, message, { body: { ok: false, checks } });
}

export function healthRoute(source: StatusSource): Route {
  return {
    path: '/healthz',
    isOpen: true,
    help: 'liveness: 200, or 503 when a restart is called for',
    respond: () => checksResponse(source.liveness(), 'NOT_HEALTHY'),
  };
}

export function readyRoute(source: StatusSource): Route {
  return {
    path: '/readyz',
    isOpen: true,
    help: 'readiness: 200, or 503 with the reasons',
    respond: () => checksResponse(source.readiness(), 'NOT_READY'),
  };
}
