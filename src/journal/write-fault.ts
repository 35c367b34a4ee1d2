/** How the writer says what happened to a batch, and what stood in its way. */
import { errorMessage, systemErrorCode } from '../base/errors.ts';

export type AppendResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly message: string };

export type AppendDone = (result: AppendResult) => void;

export interface WriteFault {
  /** A system error's code (ENOSPC, EIO, EROFS ...) or one of ours: SEGMENT_REMOVED, FOLDER_MISSING, FOLDER_REPLACED, VOLUME_MISSING, LOCK_LOST, CLOSED. */
  readonly code: string;
  /** One line for logs and clients, without a stack. */
  readonly message: string;
}

export function writeFault(operation: string, error: unknown): WriteFault {
  return { code: systemErrorCode(error), message: `cannot ${operation}: ${errorMessage(error)}` };
}
