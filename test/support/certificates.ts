/**
 * An authority of the test's own, and what it signs: servers, clients, and certificates that are not good any more.
 * Made anew in each run, so that no key lies in the repository and nothing expires with it. Written by hand (RFC 5280)
 * because the libraries that can do it bring twenty packages for sixty lines.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  bits,
  boolean,
  implicit,
  integer,
  objectId,
  octets,
  sequence,
  set,
  tagged,
  time,
  utf8,
} from './der.ts';

const DAY_MS = 24 * 3_600_000;
const ECDSA_WITH_SHA256 = sequence(objectId('1.2.840.10045.4.3.2'));
const COMMON_NAME = objectId('2.5.4.3');
const BASIC_CONSTRAINTS = objectId('2.5.29.19');
const KEY_USAGE = objectId('2.5.29.15');
const SUBJECT_ALTERNATIVE_NAME = objectId('2.5.29.17');

const nameOf = (commonName: string): Buffer =>
  commonName === '' ? sequence() : sequence(set(sequence(COMMON_NAME, utf8(commonName))));
const extension = (id: Buffer, isCritical: boolean, value: Buffer): Buffer =>
  isCritical ? sequence(id, boolean(true), octets(value)) : sequence(id, octets(value));

/** keyCertSign and cRLSign, bits 5 and 6. */
const AUTHORITY_EXTENSIONS = sequence(
  extension(BASIC_CONSTRAINTS, true, sequence(boolean(true))),
  extension(KEY_USAGE, true, bits(Buffer.from([0b0000_0110]), 1)),
);
const HOST_EXTENSIONS = sequence(
  extension(
    SUBJECT_ALTERNATIVE_NAME,
    false,
    sequence(implicit(2, Buffer.from('localhost')), implicit(7, Buffer.from([127, 0, 0, 1]))),
  ),
);

interface Wish {
  readonly serial: number;
  readonly subject: string;
  readonly issuer: string;
  readonly expiresAtMs: number;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: Buffer;
}

function certify(wish: Wish): string {
  const toBeSigned = sequence(
    tagged(0, integer(2)),
    integer(wish.serial),
    ECDSA_WITH_SHA256,
    nameOf(wish.issuer),
    sequence(time(wish.expiresAtMs - 400 * DAY_MS), time(wish.expiresAtMs)),
    nameOf(wish.subject),
    wish.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, wish.extensions),
  );
  const signed = sequence(toBeSigned, ECDSA_WITH_SHA256, bits(sign('sha256', toBeSigned, wish.signingKey)));
  const lines = signed.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export class Authority {
  readonly certificate: string;
  readonly #name: string;
  readonly #keys = newKeys();
  #serial = 1;

  constructor(name = 'Test Authority') {
    this.#name = name;
    this.certificate = certify({
      serial: 1,
      subject: name,
      issuer: name,
      expiresAtMs: Date.now() + 300 * DAY_MS,
      publicKey: this.#keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: AUTHORITY_EXTENSIONS,
    });
  }

  /** For localhost and 127.0.0.1 besides its name; with `days` below 0 it has expired. */
  issue(subject: string, days = 300): Issued {
    const { publicKey, privateKey } = newKeys();
    const certificate = certify({
      serial: ++this.#serial,
      subject,
      issuer: this.#name,
      expiresAtMs: Date.now() + days * DAY_MS,
      publicKey,
      signingKey: this.#keys.privateKey,
      extensions: HOST_EXTENSIONS,
    });
    return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
  }
}

/** A folder that goes away with the test, with an authority's certificate and a server's files in it. */
export async function tlsHome(t: { after(clean: () => Promise<void>): void }) {
  const folder = await mkdtemp(join(tmpdir(), 'telemetry-sink-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const authority = new Authority();
  const files = {
    certificate: join(folder, 'tls.crt'),
    key: join(folder, 'tls.key'),
    authority: join(folder, 'ca.crt'),
  };
  const write = async ({ certificate, key }: Issued): Promise<void> => {
    await writeFile(files.certificate, certificate);
    await writeFile(files.key, key, { mode: 0o600 });
  };
  await writeFile(files.authority, authority.certificate);
  await write(authority.issue('sink'));
  return { folder, authority, files, write };
}
