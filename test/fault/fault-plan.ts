/**
 * Which faults each method of the file system is put through, and for how long. The table in
 * docs/faults.md is made of this and of the call sites, so what is listed is what is run.
 */
import type { FileSystemMethod } from '../support/faulty-file-system.ts';

export interface PlannedFault {
  readonly kind: 'error' | 'short' | 'partial' | 'late' | 'slow';
  readonly code: string;
}

/**
 * once: this one call. thrice: it and the next two from the same place. lasting: every call from there until
 * the fault is lifted. disk: from there on every call that would change something fails, whoever makes it.
 */
export const DURATIONS = ['once', 'thrice', 'lasting', 'disk'] as const;
export type Duration = (typeof DURATIONS)[number];

const errors = (...codes: string[]): PlannedFault[] => codes.map((code) => ({ kind: 'error', code }));
const OPEN = errors('ENOSPC', 'EIO', 'EDQUOT', 'EROFS', 'EMFILE');
const CHANGE: PlannedFault[] = [...errors('ENOSPC', 'EIO', 'EDQUOT', 'EROFS'), { kind: 'late', code: 'EIO' }];
const WRITE: PlannedFault[] = [
  ...errors('ENOSPC', 'EIO', 'EDQUOT', 'EROFS'),
  { kind: 'short', code: 'ENOSPC' },
  { kind: 'partial', code: 'ENOSPC' },
];
const SYNC: PlannedFault[] = [
  ...errors('EIO', 'ENOSPC', 'EDQUOT'),
  { kind: 'late', code: 'EIO' },
  { kind: 'slow', code: '' },
];
const ASK = errors('EIO', 'ESTALE', 'EACCES');

export const FAULTS_OF: Readonly<Record<FileSystemMethod, readonly PlannedFault[]>> = {
  openSync: OPEN,
  open: OPEN,
  closeSync: errors('EIO', 'ENOSPC'),
  close: errors('EIO', 'ENOSPC'),
  writevSync: WRITE,
  write: WRITE,
  read: [...errors('EIO', 'ESTALE'), { kind: 'short', code: '' }],
  truncateSync: CHANGE,
  truncate: CHANGE,
  unlinkSync: CHANGE,
  unlink: CHANGE,
  rename: CHANGE,
  makeFolder: CHANGE,
  syncData: SYNC,
  sync: SYNC,
  syncFolder: [...SYNC, ...errors('EMFILE')],
  statusSync: ASK,
  status: ASK,
  statSync: ASK,
  stat: ASK,
  space: ASK,
  list: [...ASK, ...errors('EMFILE')],
};

/** Calls that change what is on the disk, or hold it to be there: what a dead disk refuses. */
export function changesDisk(method: FileSystemMethod): boolean {
  return /^(?:writevSync|write|truncate|unlink|rename|makeFolder|sync)/.test(method);
}

/** Not every pair makes sense: a short or slow call does no lasting harm, and a disk has no moods per call. */
export function durationsOf(fault: PlannedFault, method: FileSystemMethod): readonly Duration[] {
  if (fault.kind === 'short') return ['once', 'lasting'];
  if (fault.kind === 'slow') return ['once'];
  if (fault.kind === 'late') return ['once', 'thrice'];
  return changesDisk(method) ? DURATIONS : ['once', 'thrice', 'lasting'];
}

export function faultText(fault: PlannedFault): string {
  return fault.kind === 'error' ? fault.code : `${fault.kind}${fault.code === '' ? '' : ` ${fault.code}`}`;
}
