/**
 * The entry file of a worker thread, a neighbour of the module at `moduleUrl` (its import.meta.url); `name` has no ending,
 * which is .ts in a checkout and .js when built.
 */
export function workerEntry(name: string, moduleUrl: string): URL {
  return new URL(`./${name}${moduleUrl.endsWith('.ts') ? '.ts' : '.js'}`, moduleUrl);
}
