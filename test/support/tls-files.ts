/**
 * Writes certificates to try TLS with, for programs that are not tests of Node: an authority, a server for localhost,
 * and a client.
 *
 *   node test/support/tls-files.ts <folder>      ca.crt, tls.crt and tls.key, client.crt and client.key
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority } from './certificates.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: tls-files.ts <folder>');
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const authority = new Authority();
const [server, client] = [authority.issue('sink'), authority.issue('device-1')];
const files: Record<string, string> = {
  'ca.crt': authority.certificate,
  'tls.crt': server.certificate,
  'tls.key': server.key,
  'client.crt': client.certificate,
  'client.key': client.key,
};
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
