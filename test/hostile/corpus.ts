/** Every attack that the daemon has to stand. A new one goes into one of the two lists. */
import type { Attack } from './attack.ts';
import { frameAttacks } from './frame-attacks.ts';
import { requestAttacks } from './request-attacks.ts';

export const CORPUS: readonly Attack[] = [...frameAttacks, ...requestAttacks];
