/** /api/v1/status: everything the daemon can say about itself, as one JSON document. */
import { json, type Route } from '../route.ts';
import { statusDocument } from '../status.ts';
import type { StatusSource } from '../status-source.ts';

export function statusRoute(source: StatusSource, adminAddresses: () => readonly string[]): Route {
  return {
    path: '/api/v1/status',
    help: 'state, ledger, queue, journal, threads, memory and configuration as JSON',
    respond: () => json(200, statusDocument(source, adminAddresses(), Date.now())),
  };
}
