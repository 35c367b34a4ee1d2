/** Why a TLS handshake came to nothing, in the few words that a metric may have, and for the log in a sentence. */
import { systemErrorCode } from '../../base/errors.ts';

export const HANDSHAKE_FAULTS = {
  plaintext: 'it speaks plaintext: it has to be told to use TLS',
  version: 'it offers no TLS version that TLS_MIN_VERSION allows',
  no_http2: 'it does not offer HTTP/2 (ALPN h2)',
  no_client_certificate: 'it shows no client certificate, and TLS_CLIENT_CA asks for one',
  client_certificate: 'its certificate is not good for TLS_CLIENT_CA',
  distrust: 'it does not trust our certificate',
  timeout: 'it did not finish in time',
  hung_up: 'it hung up',
  other: 'the handshake failed',
} as const satisfies Readonly<Record<string, string>>;

export type HandshakeFault = keyof typeof HANDSHAKE_FAULTS;

const BY_CODE: Readonly<Record<string, HandshakeFault>> = {
  ERR_SSL_HTTP_REQUEST: 'plaintext',
  ERR_SSL_HTTPS_PROXY_REQUEST: 'plaintext',
  // The first bytes are no TLS record; PRI of an HTTP/2 preface is read as a version.
  ERR_SSL_WRONG_VERSION_NUMBER: 'plaintext',
  ERR_SSL_BAD_RECORD_TYPE: 'plaintext',
  ERR_SSL_UNKNOWN_PROTOCOL: 'plaintext',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'version',
  ERR_SSL_VERSION_TOO_LOW: 'version',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'no_http2',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'distrust',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'distrust',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'distrust',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'distrust',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'timeout',
  ECONNRESET: 'hung_up',
  EPIPE: 'hung_up',
};

export function handshakeFault(error: unknown): HandshakeFault {
  const code = systemErrorCode(error) ?? '';
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  return /ALERT.*(CERTIFICATE|UNKNOWN_CA)/.test(code) ? 'distrust' : 'other';
}
