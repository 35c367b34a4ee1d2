/**
 * gRPC health v1 by the official package, for every transport that mounts grpc-js service definitions.
 *
 * Two things the package leaves open are closed here: it remembers a watcher per service name asked for,
 * so names that we do not serve are answered without being remembered; and an open Watch never ends by
 * itself, which is why the transport ends it at the stop.
 */
import { HealthImplementation } from 'grpc-health-check';
import { SENSOR_SERVICE } from './service.ts';

type Mount = Parameters<HealthImplementation['addToServer']>[0];
type WatchCall = { readonly request: { readonly service: string }; write(message: unknown): boolean };

/** Whether to send here; the empty name stands for the server as a whole. */
const READINESS = ['', SENSOR_SERVICE];
/** Whether the process answers at all: SERVING also while it drains, so that a probe on it restarts nothing. */
const LIVENESS = 'liveness';
const SERVICES = [...READINESS, LIVENESS];

export class Health {
  readonly #implementation = new HealthImplementation(
    Object.fromEntries(SERVICES.map((service) => [service, 'SERVING' as const])),
  );

  #isServing = true;
  #isLeaving = false;

  mount(server: Mount): void {
    this.#implementation.addToServer({
      addService: (definition, handlers) => {
        const watch = handlers.watch as unknown as (call: WatchCall) => void;
        const watchKnown = (call: WatchCall): void => {
          if (SERVICES.includes(call.request.service)) watch(call);
          else call.write({ status: 'SERVICE_UNKNOWN' });
        };
        server.addService(definition, { ...handlers, watch: watchKnown as never });
      },
    });
  }

  /** Has no effect any more once the server is leaving. */
  setServing(isServing: boolean): void {
    // The package tells watchers also of what they know.
    if (this.#isLeaving || isServing === this.#isServing) return;
    this.#isServing = isServing;
    for (const service of READINESS) {
      this.#implementation.setStatus(service, isServing ? 'SERVING' : 'NOT_SERVING');
    }
  }

  leave(): void {
    this.setServing(false);
    this.#isLeaving = true;
  }
}
