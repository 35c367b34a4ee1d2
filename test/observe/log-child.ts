/** A process that logs and exits at once, started by logger.test.ts: argv[2] is the configuration, argv[3] the end. */
import type { ObserveConfig } from '../../src/observe/config.ts';
import { openLogger } from '../../src/observe/logger.ts';

const config = JSON.parse(process.argv[2]!) as ObserveConfig;
const { logger, closeLogger } = await openLogger(config);
const lines = Number(process.argv[4] ?? 100);
for (let index = 1; index <= lines; index++) logger.info({ index }, 'line');
if (process.argv[3] === 'close') await closeLogger();
if (process.argv[3] === 'throw') throw new Error('after the last line');
if (process.argv[3] === 'kill') process.kill(process.pid, 'SIGKILL');
process.exit(0);
