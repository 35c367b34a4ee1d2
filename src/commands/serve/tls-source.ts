/**
 * The files of TLS as the daemon lives with them: read and judged at the start, where a fault ends the start, and looked
 * at every second from then on. Certificate and key change one after the other, so a pair that does not fit is
 * taken for a change half made for SETTLE_MS; after that there is one line in the log. The pair in force stays.
 *
 *   fresh ──a change that does not fit for long, a file that cannot be read──▶ stale: the last good pair holds
 *     ▲  └──a change that fits: one line in the log──┐                  │
 *     └──────────────────────────────────────────────┴──a good pair─────┘
 *
 * Invariant: of the key nothing is ever logged or shown.
 */
import { stat } from 'node:fs/promises';
import type { Clock, Timer } from '../../base/clock.ts';
import { errorMessage, SinkError } from '../../base/errors.ts';
import { readSmallFile, WatchedFile } from '../../base/watched-file.ts';
import type { GrpcConfig } from '../../grpc/config.ts';
import {
  judgeMaterial,
  MAX_PEM_BYTES,
  type MaterialJudgement,
  type TlsMaterial,
} from '../../grpc/tls/material.ts';
import type { TlsState } from '../../observe/daemon-state.ts';
import type { Logger } from '../../observe/logger.ts';

const DAY_MS = 24 * 3_600_000;
/** Certificates that live shorter than this are renewed by a program, which needs no reminder. */
const EXPIRES_SOON_MS = 7 * DAY_MS;

/** Longer than it takes to notice both halves of a change (LOOK_INTERVAL_MS each). */
const SETTLE_MS = 3000;

/** What each file is called in messages. */
const FILES = { certificate: 'TLS_CERT', key: 'TLS_KEY', clientAuthority: 'TLS_CLIENT_CA' } as const;
type Part = keyof typeof FILES;
type Good = Extract<MaterialJudgement, { ok: true }>;

export type TlsPaths = Pick<GrpcConfig, 'tlsCertificate' | 'tlsKey' | 'tlsClientAuthority'>;

export interface TlsSourceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  onMaterial(material: TlsMaterial): void;
}

/** The files that are set; undefined where TLS is off. */
function pathsOf({
  tlsCertificate,
  tlsKey,
  tlsClientAuthority,
}: TlsPaths): readonly [Part, string][] | undefined {
  if (tlsCertificate === '') return undefined;
  return [
    ['certificate', tlsCertificate],
    ['key', tlsKey],
    ...(tlsClientAuthority === '' ? [] : [['clientAuthority', tlsClientAuthority] as [Part, string]]),
  ];
}

/** Everything that is wrong with the files, one sentence each; none where TLS is off or fine. */
export async function tlsFaults(paths: TlsPaths): Promise<readonly string[]> {
  const read = await readAll(paths);
  if (read === undefined) return [];
  if (read.faults.length > 0) return read.faults;
  const judged = judgeMaterial(materialOf(read.texts));
  return judged.ok ? [] : judged.faults.map(naming);
}

async function readAll(
  paths: TlsPaths,
): Promise<{ readonly texts: Map<Part, string>; readonly faults: string[] } | undefined> {
  const files = pathsOf(paths);
  if (files === undefined) return undefined;
  const texts = new Map<Part, string>();
  const faults: string[] = [];
  for (const [part, path] of files) {
    try {
      texts.set(part, await readSmallFile(path, MAX_PEM_BYTES));
    } catch (error) {
      faults.push(`${FILES[part]}=${path}: ${errorMessage(error)}`);
    }
  }
  return { texts, faults };
}

function materialOf(texts: ReadonlyMap<Part, string>): TlsMaterial {
  return {
    certificate: texts.get('certificate')!,
    key: texts.get('key')!,
    clientAuthority: texts.get('clientAuthority'),
  };
}

function naming(fault: string): string {
  const option = fault.startsWith('the key')
    ? 'TLS_KEY'
    : fault.startsWith('the cert')
      ? 'TLS_CERT'
      : 'TLS_CLIENT_CA';
  return `${option}: ${fault}`;
}

export class TlsSource {
  readonly #deps: TlsSourceDeps;
  readonly #files: readonly WatchedFile[];
  readonly #texts: Map<Part, string>;
  /** Files that cannot be read now. */
  readonly #unreadable = new Map<Part, string>();
  #material: TlsMaterial;
  #good: Good;
  #loadedAtMs: number;
  #fault: string | undefined;
  #settling: Timer | undefined;

  private constructor(paths: TlsPaths, deps: TlsSourceDeps, texts: Map<Part, string>, good: Good) {
    this.#deps = deps;
    this.#texts = texts;
    this.#material = materialOf(texts);
    this.#good = good;
    this.#loadedAtMs = deps.clock.nowMs();
    this.#files = pathsOf(paths)!.map(
      ([part, path]) =>
        new WatchedFile(path, MAX_PEM_BYTES, texts.get(part)!, deps.clock, {
          onContent: (text) => this.#onContent(part, text),
          onFault: (reason) => this.#onUnreadable(part, `${FILES[part]}=${path}: ${reason}`),
        }),
    );
  }

  /** Undefined where TLS is off. Throws SinkError CONFIG_INVALID with everything that is wrong. */
  static async open(paths: TlsPaths, deps: TlsSourceDeps): Promise<TlsSource | undefined> {
    const read = await readAll(paths);
    if (read === undefined) return undefined;
    const judged = read.faults.length > 0 ? undefined : judgeMaterial(materialOf(read.texts));
    if (judged?.ok !== true) {
      const faults = judged === undefined ? read.faults : judged.faults.map(naming);
      throw new SinkError('CONFIG_INVALID', faults.join('\n'));
    }
    const source = new TlsSource(paths, deps, read.texts, judged);
    source.#warnOfTime();
    await warnOfMode(paths.tlsKey, deps.logger);
    return source;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  get state(): TlsState {
    const { subject, expiresAtMs } = this.#good;
    return { subject, expiresAtMs, loadedAtMs: this.#loadedAtMs, fault: this.#fault };
  }

  close(): void {
    this.#settling?.cancel();
    for (const file of this.#files) file.close();
  }

  #onContent(part: Part, text: string): void {
    this.#texts.set(part, text);
    this.#unreadable.delete(part);
    if (this.#unreadable.size > 0) return;
    const material = materialOf(this.#texts);
    const judged = judgeMaterial(material);
    this.#settling?.cancel();
    if (!judged.ok) {
      const fault = judged.faults.map(naming).join('; ');
      this.#settling = this.#deps.clock.setTimer(SETTLE_MS, () => this.#onFault(fault));
      return;
    }
    this.#fault = undefined;
    this.#material = material;
    this.#good = judged;
    this.#loadedAtMs = this.#deps.clock.nowMs();
    this.#deps.logger.info(
      { subject: judged.subject, expires: new Date(judged.expiresAtMs).toISOString() },
      'TLS files read again: new connections get this certificate',
    );
    this.#warnOfTime();
    this.#deps.onMaterial(material);
  }

  #onUnreadable(part: Part, fault: string): void {
    this.#unreadable.set(part, fault);
    this.#onFault(fault);
  }

  #onFault(fault: string): void {
    // Looked at every second; the same fault is worth one line.
    if (fault === this.#fault) return;
    this.#fault = fault;
    this.#deps.logger.error(`${fault}; the certificate read before stays in force`);
  }

  /** A warning, not a fault: a gateway without a clock must still start, and its clients decide what they accept. */
  #warnOfTime(): void {
    const nowMs = this.#deps.clock.nowMs();
    const { validFromMs, expiresAtMs } = this.#good;
    const { logger } = this.#deps;
    if (nowMs > expiresAtMs) {
      logger.error(`TLS_CERT expired at ${new Date(expiresAtMs).toISOString()}: clients will refuse it`);
    } else if (nowMs < validFromMs) {
      logger.error(
        `TLS_CERT is good only from ${new Date(validFromMs).toISOString()}: clients will refuse it`,
      );
    } else if (expiresAtMs - nowMs < EXPIRES_SOON_MS && expiresAtMs - validFromMs > 2 * EXPIRES_SOON_MS) {
      logger.warn(`TLS_CERT expires at ${new Date(expiresAtMs).toISOString()}: renew it`);
    }
  }
}

async function warnOfMode(path: string, logger: Logger): Promise<void> {
  if (process.platform === 'win32') return;
  const { mode } = await stat(path);
  if ((mode & 0o004) !== 0)
    logger.warn(`TLS_KEY=${path} can be read by everybody on this machine: chmod o= it`);
}
