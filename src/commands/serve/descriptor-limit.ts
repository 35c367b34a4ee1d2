/**
 * Sensors must not take the file descriptors that the journal needs: where connections use them up, no
 * segment can be begun and no folder synced, and every request is refused until sensors leave.
 */
import { readFileSync } from 'node:fs';

/** Admin connections (64 on each loopback), and what the daemon itself has open: 41 idle, 38 more while it archives. */
const RESERVED_DESCRIPTORS = 2 * 64 + 81;
/** Two listeners, an event loop: 8 measured. */
const DESCRIPTORS_PER_INGEST_THREAD = 10;

/** What connections must leave free. */
export function reservedDescriptors(ingestThreads: number): number {
  return RESERVED_DESCRIPTORS + DESCRIPTORS_PER_INGEST_THREAD * ingestThreads;
}

/** How many files this process may open; undefined where the system does not say. Node.js has raised it to the hard limit. */
export function openFilesLimit(): number | undefined {
  try {
    return parseOpenFilesLimit(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return undefined; // Not Linux.
  }
}

export function parseOpenFilesLimit(limits: string): number | undefined {
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** MAX_CONNECTIONS, or as many as the descriptors leave room for. */
export function connectionsWithin(
  maxConnections: number,
  openFiles: number | undefined,
  ingestThreads: number,
): number {
  if (openFiles === undefined) return maxConnections;
  return Math.max(1, Math.min(maxConnections, openFiles - reservedDescriptors(ingestThreads)));
}
