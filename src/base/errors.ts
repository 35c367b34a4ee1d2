/**
 * The catalogue of faults that end a command: each has a stable code, an exit status and one clear
 * line. Faults that end a single request live in outcome.ts instead.
 *
 * Exit statuses: 1 = it ran and failed, 2 = it could not start as told (options, port, folder).
 */

const EXIT_STATUS = {
  CONFIG_INVALID: 2, // one or more options are wrong; the message lists them all
  USAGE: 2, // the command line itself is wrong
  ADDRESS_IN_USE: 2, // somebody else listens there
  ADDRESS_UNAVAILABLE: 2, // the host is not ours or not resolvable, or the port needs privileges
  FOLDER_NOT_WRITABLE: 2, // the journal folder cannot be created or written
  FOLDER_LOCKED: 2, // another daemon owns the journal folder
  FOLDER_MISSING: 2, // a reader was pointed at a folder that is not there
  JOURNAL_UNREADABLE: 1, // the journal folder is there but cannot be understood
  DRAIN_INCOMPLETE: 1, // DRAIN_TIMEOUT ran out with work left
  STOPPED_BY_SECOND_SIGNAL: 1,
  INVARIANT_BROKEN: 1,
  WORKER_DIED: 1,
  VERIFY_FAILED: 1, // verify found faults
  SEND_FAILED: 1, // send could not deliver everything
  OUTPUT_FAILED: 1, // a result could not be written: a full disk, a folder that is not writable
  UNHEALTHY: 1, // the health probe did not answer SERVING
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

/** A fault with a message that needs no stack: main prints it as one line and exits with `exitStatus`. */
export class SinkError extends Error {
  override readonly name = 'SinkError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

/** The `code` of a Node system error (`ENOSPC`), or the error's name. */
export function systemErrorCode(error: unknown): string {
  if (error instanceof Error) return (error as NodeJS.ErrnoException).code ?? error.name;
  return 'UNKNOWN';
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
