/**
 * What the admin server reads, and all it can do: it has no way to change the daemon. `commands/serve/`
 * implements it.
 */
import type { ProducersPage, ProducersQuestion } from '../journal/producers/producers-page.ts';
import type { BuildInfo } from '../observe/build-info.ts';
import type { DaemonState } from '../observe/daemon-state.ts';

export type Phase = 'starting' | 'serving' | 'draining' | 'stopped';

export interface StatusSource extends DaemonState {
  readonly build: BuildInfo;
  readonly startedAtMs: number;
  phase(): Phase;
  /** Where gRPC is served, in the form that clients dial. */
  grpcAddresses(): readonly string[];
  /** By id; journal/producers/ says what each field means. */
  producersPage(question: ProducersQuestion): Promise<ProducersPage>;
  /** Option name to what may be shown of its value (shown-config.ts). */
  config(): Readonly<Record<string, string>>;
}

/** The text of /metrics. */
export interface MetricsSource {
  readonly contentType: string;
  scrape(): Promise<string>;
}
