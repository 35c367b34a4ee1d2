/** Which call site of src/ a file-system call comes from, told from the stack at that moment. */
import { join } from 'node:path';
import type { CallSite } from '../../scripts/file-system-calls.ts';
import { DOOR_FILE, siteLabel } from '../../scripts/file-system-calls.ts';

const root = join(import.meta.dirname, '..', '..');
const FRAME =
  /^\s+at (?:(?<name>.+) \()?(?:async )?(?:file:\/\/)?(?<path>\/[^()]+):(?<line>\d+):(?<column>\d+)\)?$/;

Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 40);

export class CallSites {
  readonly #byFile = new Map<string, CallSite[]>();

  constructor(sites: readonly CallSite[]) {
    for (const site of sites) {
      const file = this.#byFile.get(site.file);
      if (file === undefined) this.#byFile.set(site.file, [site]);
      else file.push(site);
    }
  }

  /** The site's label; throws when the call comes from a place that the reading of the sources has missed. */
  labelNow(method: string): string {
    const { stack } = new Error();
    for (const text of stack!.split('\n')) {
      const frame = FRAME.exec(text)?.groups;
      if (frame === undefined) continue;
      const file = frame.path!.startsWith(`${root}/`) ? frame.path!.slice(root.length + 1) : '';
      if (!file.startsWith('src/') || file === DOOR_FILE) continue;
      const line = Number(frame.line);
      const near = (this.#byFile.get(file) ?? []).filter(
        (site) => site.methods.includes(method) && site.line <= line && line <= site.endLine,
      );
      const exact = near.find((site) => site.line === line && site.column === Number(frame.column));
      const found = exact ?? near[0];
      if (found === undefined) throw new Error(`${method} is called from an unknown place: ${text.trim()}`);
      return siteLabel(found);
    }
    throw new Error(`${method} is called from nowhere in src:\n${stack}`);
  }
}
