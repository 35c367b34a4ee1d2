/**
 * The real file system with faults on order: a rule looks at every call before it is made and says
 * whether it fails, and how. Calls are numbered from 1, so that a test can fail each one in turn.
 */
import type { FileSystem } from '../../src/journal/file-system.ts';
import { realFileSystem } from '../../src/journal/file-system.ts';

export type FileSystemMethod = keyof FileSystem;

export interface FileSystemCall {
  readonly index: number;
  readonly method: FileSystemMethod;
  /** Of the file the call works on, also where it is given a descriptor. */
  readonly path: string;
}

/**
 * error: nothing happens, the call fails. short: half of the bytes are written, no error.
 * partial: half of the bytes are written, then the call fails all the same.
 * late: the call is carried out, and fails all the same (except opening, which then opens nothing).
 * slow: the call waits for `until`, then is carried out; only for those that return a promise.
 */
export interface Fault {
  readonly kind: 'error' | 'short' | 'partial' | 'late' | 'slow';
  readonly code: string;
  readonly until?: Promise<unknown>;
}

export type FaultRule = (call: FileSystemCall) => Fault | undefined;

export interface FaultyFileSystem extends FileSystem {
  rule: FaultRule | undefined;
  readonly calls: FileSystemCall[];
  /** Descriptors opened and not yet closed. */
  readonly openDescriptors: ReadonlyMap<number, string>;
}

const WRITES: ReadonlySet<string> = new Set(['writevSync', 'write']);
const RETURNS_PROMISE: ReadonlySet<string> = new Set(
  Object.keys(realFileSystem).filter((method) => !method.endsWith('Sync')),
);

export function isWrite(method: FileSystemMethod): boolean {
  return WRITES.has(method);
}

export function faultyFileSystem(rule?: FaultRule): FaultyFileSystem {
  const calls: FileSystemCall[] = [];
  const descriptors = new Map<number, string>();
  const state = { rule, calls, openDescriptors: descriptors } as unknown as FaultyFileSystem;

  for (const method of Object.keys(realFileSystem) as FileSystemMethod[]) {
    const real = realFileSystem[method] as (...args: unknown[]) => unknown;
    const perform = (...args: unknown[]): unknown => {
      const path = typeof args[0] === 'number' ? (descriptors.get(args[0]) ?? '?') : String(args[0]);
      const call: FileSystemCall = { index: calls.length + 1, method, path };
      calls.push(call);
      const fault = state.rule?.(call);
      // A failed close has closed the descriptor all the same, as on Linux.
      if (method === 'close' || method === 'closeSync') descriptors.delete(args[0] as number);
      if (fault === undefined) return real(...args);
      if (fault.kind === 'slow') return fault.until!.then(() => real(...args));
      const error = Object.assign(new Error(`${fault.code}: injected, ${method} '${path}'`), {
        code: fault.code,
      });
      if (fault.kind === 'short') return real(...halved(method, args));
      if (fault.kind === 'partial') return after(real(...halved(method, args)), error);
      if (
        (fault.kind === 'late' && !method.startsWith('open')) ||
        method === 'close' ||
        method === 'closeSync'
      )
        return after(real(...args), error);
      throw error;
    };
    Object.defineProperty(state, method, {
      enumerable: true,
      value: (...args: unknown[]): unknown => {
        if (!RETURNS_PROMISE.has(method)) {
          const result = perform(...args);
          if (method === 'openSync') descriptors.set(result as number, String(args[0]));
          return result;
        }
        return (async () => {
          const result = await perform(...args);
          if (method === 'open') descriptors.set(result as number, String(args[0]));
          return result;
        })();
      },
    });
  }
  return state;
}

/** The arguments of a read or write with the second half of its bytes (but at most all but one) left out. */
function halved(method: FileSystemMethod, args: readonly unknown[]): unknown[] {
  if (method === 'read') {
    const target = args[1] as Uint8Array;
    return [args[0], target.subarray(0, Math.max(1, target.length >> 1)), args[2]];
  }
  if (!WRITES.has(method)) throw new Error(`only reads and writes can be short, not ${method}`);
  const parts = (method === 'writevSync' ? args[1] : [args[1]]) as Uint8Array[];
  // One part stays where it lies: a direct write asks for aligned memory.
  const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  const half = bytes.subarray(0, Math.max(1, bytes.length >> 1));
  return [args[0], method === 'writevSync' ? [half] : half, args[2]];
}

function after(result: unknown, error: Error): unknown {
  if (result instanceof Promise) return result.then(() => Promise.reject(error));
  throw error;
}
