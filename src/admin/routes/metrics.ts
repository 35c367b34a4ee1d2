/** /metrics: the Prometheus text format. */
import type { Route } from '../route.ts';
import type { MetricsSource } from '../status-source.ts';

export function metricsRoute(metrics: MetricsSource): Route {
  return {
    path: '/metrics',
    help: 'metrics in the Prometheus text format',
    respond: async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.scrape() }),
  };
}
