/**
 * TLS on the side of those who call: `send` and `health`. Without a word of TLS they speak plaintext. The files are read
 * once; a certificate that changes needs a new run.
 */
import { readFileSync } from 'node:fs';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { errorMessage, SinkError } from '../base/errors.ts';

export interface TlsWish {
  /** Trust what this machine trusts, unless `authority` says whom. */
  readonly isOn: boolean;
  /** Paths; undefined where not given. */
  readonly authority: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** The name to expect in the server's certificate, where it is not the one that is dialled. */
  readonly serverName: string | undefined;
}

export const NO_TLS: TlsWish = {
  isOn: false,
  authority: undefined,
  certificate: undefined,
  key: undefined,
  serverName: undefined,
};

/** Throws SinkError USAGE naming the flag whose file is at fault. */
export function channelCredentials({ isOn, authority, certificate, key }: TlsWish): ChannelCredentials {
  if (!isOn) return credentials.createInsecure();
  const [root, privateKey, chain] = [
    read('--tls-ca', authority),
    read('--tls-key', key),
    read('--tls-cert', certificate),
  ];
  try {
    return credentials.createSsl(root, privateKey, chain);
  } catch (error) {
    throw new SinkError('USAGE', `--tls-ca, --tls-cert or --tls-key: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** Channel options beside the credentials. */
export function channelNames({ serverName }: TlsWish): Readonly<Record<string, string>> {
  return serverName === undefined
    ? {}
    : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName };
}

function read(flag: string, path: string | undefined): Buffer | null {
  if (path === undefined) return null;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SinkError('USAGE', `${flag} ${path}: ${errorMessage(error)}`, { cause: error });
  }
}

/**
 * What the words of a failed connection mean for somebody who has just typed the command; undefined where they
 * have nothing to do with TLS.
 */
export function securityHint(details: string, isOn: boolean): string | undefined {
  if (
    /self.signed certificate|unable to (get|verify)|UNABLE_TO|DEPTH_ZERO|issuer certificate/i.test(details)
  ) {
    return 'the certificate of the daemon is not trusted here: name its authority with --tls-ca';
  }
  if (/Hostname\/IP does not match|altnames/i.test(details)) {
    return 'the certificate of the daemon is for another name: dial that name, or give it with --tls-server-name';
  }
  if (/certificate has expired|CERT_HAS_EXPIRED/i.test(details))
    return 'the certificate of the daemon has expired';
  if (/wrong version number|packet length too long|WRONG_VERSION/i.test(details)) {
    return 'the daemon does not speak TLS there: leave --tls out';
  }
  if (/alert|certificate required/i.test(details)) {
    return 'the daemon refused the TLS handshake: it may ask for a client certificate (--tls-cert and --tls-key)';
  }
  // "Failed to connect" without a reason: TCP did, and then somebody closed it.
  if (/ECONNRESET|socket hang up|Connection dropped|before secure TLS|Failed to connect \(/i.test(details)) {
    return isOn
      ? 'the daemon hung up: it may ask for a client certificate of its authority (--tls-cert and --tls-key), or speak no TLS'
      : 'the daemon hung up: it may speak TLS (--tls, --tls-ca)';
  }
  return undefined;
}
