/** The thread beside the writer: run-control.ts says what it does. */
import { workerData } from 'node:worker_threads';
import { realFileSystem } from '../../journal/file-system.ts';
import { type SharedRuns, serveRuns } from '../../journal/run-control.ts';

serveRuns(workerData as SharedRuns, realFileSystem);
