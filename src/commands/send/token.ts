/** The bearer token of `send`: read from a file, so that it stands neither in the process list nor in a shell's history. */
import { readFileSync } from 'node:fs';
import { errorMessage, SinkError } from '../../base/errors.ts';

/** Throws SinkError USAGE; what is in the file is never shown. */
export function readToken(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new SinkError('USAGE', `--token-file ${path}: ${errorMessage(error)}`, { cause: error });
  }
  const token = text.trim();
  if (!/^[A-Za-z0-9\-._~+/]{1,512}=*$/.test(token)) {
    throw new SinkError('USAGE', `--token-file ${path}: it holds one token and nothing else`);
  }
  return token;
}
