/** Every option of the daemon, room by room, in the order of help and documentation. */
import { adminOptions } from '../admin/config.ts';
import { formatByteSize } from '../base/byte-size.ts';
import { bindHosts, type ListenAddress } from '../base/listen-address.ts';
import { grpcOptions } from '../grpc/config.ts';
import { ingestOptions } from '../ingest/config.ts';
import { journalOptions } from '../journal/config.ts';
import { observeOptions } from '../observe/config.ts';
import { pipelineOptions } from '../pipeline/config.ts';
import type { CommandConfig } from './command.ts';
import { serveOptions } from './serve/config.ts';

export const daemonGroups = {
  grpc: grpcOptions,
  ingest: ingestOptions,
  pipeline: pipelineOptions,
  journal: journalOptions,
  admin: adminOptions,
  serve: serveOptions,
  observe: observeOptions,
};

export type DaemonConfig = CommandConfig<typeof daemonGroups>;

/** What no room can see alone. */
export function checkDaemonConfig(config: DaemonConfig): readonly string[] {
  const { grpc, ingest, pipeline, admin } = config;
  const faults: string[] = [];
  if (overlaps(grpc.grpcServerSocket, admin.adminSocket)) {
    faults.push('GRPC_SERVER_SOCKET and ADMIN_SOCKET are the same address; give each its own port');
  }
  if (pipeline.queueBytes < pipeline.bufferBytes) {
    faults.push(
      `QUEUE_BYTES (${formatByteSize(pipeline.queueBytes)}) is smaller than BUFFER_BYTES (${formatByteSize(pipeline.bufferBytes)}): no full batch would ever fit`,
    );
  }
  if (pipeline.queueBytes < grpc.maxRequestBytes) {
    faults.push(
      `QUEUE_BYTES (${formatByteSize(pipeline.queueBytes)}) is smaller than MAX_REQUEST_BYTES (${formatByteSize(grpc.maxRequestBytes)}): the largest request would never fit`,
    );
  }
  if (ingest.ratePerSecondBytes === 0 && ingest.rateBurstBytes > 0) {
    faults.push('RATE_BURST is set without RATE_PER_SECOND; set the rate too, or drop the burst');
  }
  return faults;
}

function overlaps(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const isEveryHost = (host: string): boolean => host === '' || host === '::' || host === '0.0.0.0';
  return (
    isEveryHost(a.host) || isEveryHost(b.host) || bindHosts(a).some((host) => bindHosts(b).includes(host))
  );
}
