/** What is running: version and commit from package.json, which every form of delivery carries. */
import { readFileSync } from 'node:fs';

export interface BuildInfo {
  readonly version: string;
  /** `gitHead` of package.json, which publishing and the image build set; `unknown` in a work tree. */
  readonly commit: string;
  readonly node: string;
}

export function readBuildInfo(): BuildInfo {
  // Two levels up from here in the sources and in the built package alike.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version, gitHead } = JSON.parse(text) as { version: string; gitHead?: string };
  return { version, commit: gitHead ?? 'unknown', node: process.versions.node };
}
