/**
 * What TLS is served with, as text: certificate, key, and the authority whose clients are let in. Judged here, once at
 * the start and again at every change of the files, so that a pair that does not fit is never put in force.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { errorMessage } from '../../base/errors.ts';

/** Much more than any chain; a wrong path to something large must not fill memory. */
export const MAX_PEM_BYTES = 1024 * 1024;

export type TlsMinVersion = 'TLSv1.2' | 'TLSv1.3';

/** PEM. */
export interface TlsMaterial {
  readonly certificate: string;
  readonly key: string;
  /** Undefined: clients need no certificate. */
  readonly clientAuthority: string | undefined;
}

export type MaterialJudgement =
  | {
      readonly ok: true;
      readonly subject: string;
      readonly validFromMs: number;
      readonly expiresAtMs: number;
    }
  /** One sentence each, beginning with the part that is at fault. */
  | { readonly ok: false; readonly faults: readonly string[] };

export function judgeMaterial({ certificate, key, clientAuthority }: TlsMaterial): MaterialJudgement {
  const faults: string[] = [];
  const leaf = attempt(
    faults,
    'the certificate is not a PEM certificate',
    () => new X509Certificate(certificate),
  );
  attempt(faults, 'the key is not an unencrypted PEM private key', () => createSecureContext({ key }));
  if (clientAuthority !== undefined) {
    attempt(
      faults,
      "the clients' authority is not a PEM certificate",
      () => new X509Certificate(clientAuthority),
    );
  }
  if (faults.length === 0) {
    attempt(faults, 'the key does not belong to the certificate', () =>
      createSecureContext({ cert: certificate, key }),
    );
  }
  if (leaf === undefined || faults.length > 0) return { ok: false, faults };
  return {
    ok: true,
    subject: leaf.subject.replaceAll('\n', ', '),
    validFromMs: Date.parse(leaf.validFrom),
    expiresAtMs: Date.parse(leaf.validTo),
  };
}

function attempt<T>(faults: string[], what: string, make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    faults.push(`${what} (${errorMessage(error)})`);
    return undefined;
  }
}
