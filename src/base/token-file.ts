/**
 * A file of bearer tokens, as TOKENS_FILE and ADMIN_TOKEN_FILE name one:
 *
 *   # comment; blank lines are ignored
 *   boiler-house   kq3VZ0o1c2mB9yTt8sWfXw
 *   gateway-7      sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08   rate=1MiB burst=4MiB
 *
 * A name may stand on several lines: while a token is exchanged both are good. Of an admin file each line is a
 * token alone, with or without a name before it, so that one Secret serves the daemon and a scraper.
 *
 * Invariants:
 * 1. Secrets do not leave this file: what is returned holds digests, and a fault names the line, not what is in it.
 * 2. It is all or nothing: a file with one faulty line has no tokens.
 */
import { createHash } from 'node:crypto';
import { MiB, parseByteSize } from './byte-size.ts';
import type { ClientQuota } from './client.ts';

/** Room for 10,000 hashed tokens; a larger file is a mistake. */
export const MAX_TOKEN_FILE_BYTES = MiB;
export const MAX_TOKENS = 10_000;
/** 16 characters of base64 are 96 bits: nobody guesses them over a network. */
const MIN_TOKEN_CHARS = 16;
const MAX_TOKEN_CHARS = 512;
/** Beside the terabyte that RATE_PER_SECOND allows. */
const MAX_QUOTA_BYTES = 1024 * 1024 * MiB;

/** Names become labels of metrics and words of messages. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** The b64token of RFC 6750: what may stand behind `Bearer `. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
const HASHED = /^sha256:([0-9a-fA-F]{64})$/;

export interface TokenEntry {
  readonly name: string;
  /** SHA-256 of the token, lowercase hexadecimal. */
  readonly digest: string;
  readonly quota: ClientQuota | undefined;
}

export type TokenFile =
  | { readonly ok: true; readonly entries: readonly TokenEntry[] }
  | { readonly ok: false; readonly reason: string };

export function parseTokenFile(text: string, names: 'required' | 'optional'): TokenFile {
  if (Buffer.byteLength(text) > MAX_TOKEN_FILE_BYTES) {
    return fault(`it has more than ${MAX_TOKEN_FILE_BYTES} bytes`);
  }
  const entries: TokenEntry[] = [];
  const nameOf = new Map<string, string>();
  const quotaOf = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line.trim().split(/[ \t]+/);
    if (words[0] === '' || words[0]!.startsWith('#')) continue;
    const entry = parseLine(words, names);
    if (typeof entry === 'string') return fault(`line ${index + 1}: ${entry}`);
    const { name, digest, quota } = entry;
    const other = nameOf.get(digest);
    if (other !== undefined && other !== name) {
      return fault(`line ${index + 1}: the same token as that of ${other}`);
    }
    const limits = JSON.stringify(quota ?? null);
    if ((quotaOf.get(name) ?? limits) !== limits) {
      return fault(`line ${index + 1}: another rate or burst than ${name} has above`);
    }
    nameOf.set(digest, name);
    quotaOf.set(name, limits);
    entries.push(entry);
    if (entries.length > MAX_TOKENS) return fault(`it has more than ${MAX_TOKENS} tokens`);
  }
  // Most likely it is being written: nobody means to lock everybody out.
  return entries.length === 0 ? fault('there is no token in it') : { ok: true, entries };
}

export function tokenDigest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The entry, or what is wrong with the line. */
function parseLine(words: readonly string[], names: 'required' | 'optional'): TokenEntry | string {
  const isBare = names === 'optional' && words.length === 1;
  const [name, token, ...settings] = isBare ? ['admin', ...words] : words;
  if (!NAME.test(name!)) {
    return 'the name takes letters, digits, ".", "_" and "-", begins with a letter or digit and has at most 63 characters';
  }
  if (token === undefined) return 'a name without a token; write: name token';
  const digest = digestOf(token);
  if (digest === undefined) {
    return token.startsWith('sha256:')
      ? 'sha256: is followed by the 64 hexadecimal digits of the digest of a token'
      : `a token has ${MIN_TOKEN_CHARS} to ${MAX_TOKEN_CHARS} characters: letters, digits, "-._~+/" and "=" at its end`;
  }
  const quota = parseQuota(settings);
  return typeof quota === 'string' ? quota : { name: name!, digest, quota };
}

function digestOf(token: string): string | undefined {
  const hashed = HASHED.exec(token);
  if (hashed !== null) return hashed[1]!.toLowerCase();
  const isToken = TOKEN.test(token) && token.length >= MIN_TOKEN_CHARS && token.length <= MAX_TOKEN_CHARS;
  return isToken ? tokenDigest(token) : undefined;
}

function parseQuota(settings: readonly string[]): ClientQuota | undefined | string {
  if (settings.length === 0) return undefined;
  const bytes = { rate: -1, burst: 0 };
  for (const setting of settings) {
    const match = /^(rate|burst)=(.*)$/.exec(setting);
    const value = match === null ? undefined : parseByteSize(match[2]!);
    if (match === null || value === undefined || value > MAX_QUOTA_BYTES) {
      return 'after the token come only rate=SIZE and burst=SIZE, as in rate=1MiB';
    }
    bytes[match[1] as 'rate' | 'burst'] = value;
  }
  if (bytes.rate < 0) return 'burst= without rate=';
  return { ratePerSecondBytes: bytes.rate, burstBytes: bytes.burst };
}

function fault(reason: string): TokenFile {
  return { ok: false, reason };
}
