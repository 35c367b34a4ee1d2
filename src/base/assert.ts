/** A broken invariant: a fault of ours, never of the input. It stops intake, drains and exits non-zero. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
