/**
 * What a test needs beyond Node: a program on the PATH, or something the machine allows. On a developer's machine
 * the test is skipped with one loud line; with REQUIRE_ALL=1, as .ci/run sets it, the missing thing is a failure,
 * so that no test is ever skipped there unnoticed.
 *
 *   test('reflection serves grpcurl', { skip: requirement('grpcurl') }, () => { ... });
 *   test('a full disk', { skip: requirement('a tmpfs mount', canMountTmpfs) }, () => { ... });
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** False when `name` is there; otherwise the reason to skip. Throws instead when REQUIRE_ALL=1. */
export function requirement(name: string, isPresent: () => boolean = () => isOnPath(name)): string | false {
  if (isPresent()) return false;
  const reason = `needs ${name}, which this machine does not have`;
  if (process.env.REQUIRE_ALL === '1') throw new Error(`${reason}; REQUIRE_ALL=1 forbids to skip`);
  process.stderr.write(`SKIPPED: ${reason}\n`);
  return reason;
}

/** Whether `program` is an executable file in one of the folders of PATH. */
export function isOnPath(program: string): boolean {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder === '') continue;
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return true;
    } catch {
      // Not in this folder.
    }
  }
  return false;
}
