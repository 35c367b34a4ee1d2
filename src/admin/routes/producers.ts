/** /api/v1/producers: who numbers its readings, and how far each has come. By id, a page at a time. */
import { errorResponse, json, type Route } from '../route.ts';
import type { StatusSource } from '../status-source.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

export function producersRoute(source: StatusSource): Route {
  return {
    path: '/api/v1/producers',
    help: `producers that number their readings, and how far each has come, as JSON; ?limit=${DEFAULT_LIMIT}&after=<producer_id>`,
    respond: async (query) => {
      const text = query.get('limit') ?? String(DEFAULT_LIMIT);
      const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
      if (limit < 1 || limit > MAX_LIMIT) {
        return errorResponse(400, 'BAD_REQUEST', `limit is a whole number from 1 to ${MAX_LIMIT}`);
      }
      const { producers, hasMore } = await source.producersPage({ limit, after: query.get('after') ?? '' });
      return json(200, {
        producers: producers.map((producer) => ({
          producer_id: producer.id,
          last_sequence_taken: producer.lastTaken,
          last_sequence_acknowledged: producer.lastAcknowledged,
          missing: producer.missing,
          waiting_requests: producer.waitingRequests,
          deduplicated_readings: producer.deduplicated,
          gaps: producer.gaps,
          last_seen_at: new Date(producer.seenAtMs).toISOString(),
        })),
        next_after: hasMore ? producers.at(-1)!.id : null,
      });
    },
  };
}
