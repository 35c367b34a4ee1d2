/** Options of the daemon's own log. */
import { GiB, KiB } from '../base/byte-size.ts';
import { type GroupValues, optionGroup } from '../base/option.ts';

export const observeOptions = optionGroup({
  title: 'Log of the daemon',
  options: {
    minLogLevel: {
      env: 'LOGGER_MIN_LOG_LEVEL',
      type: 'enum',
      values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      // zap's dpanic and panic lie between error and fatal: no plain error line may pass them.
      aliases: { warning: 'warn', dpanic: 'fatal', panic: 'fatal' },
      default: 'info',
      help: 'Least severe level that is logged; the level names of zap are understood too',
    },
    logFormat: {
      env: 'LOG_FORMAT',
      type: 'enum',
      values: ['auto', 'json', 'pretty'],
      default: 'auto',
      help: 'json: one object per line; pretty: for eyes; auto: pretty on a terminal, else json',
    },
    logFile: {
      env: 'LOG_FILE',
      type: 'path',
      default: '',
      help: 'Log to this file instead of standard output; a number is put before its extension',
    },
    logFileRotateBytes: {
      env: 'LOG_FILE_ROTATE_BYTES',
      type: 'bytes',
      min: 0,
      max: 16 * GiB,
      default: '64MiB',
      zero: 'off',
      help: 'Begin a new log file at this size',
    },
    logFileRotateEvery: {
      env: 'LOG_FILE_ROTATE_EVERY',
      type: 'enum',
      values: ['never', 'hourly', 'daily'],
      default: 'never',
      help: 'Also begin a new log file at the turn of the hour or day, local time',
    },
    logFileKeep: {
      env: 'LOG_FILE_KEEP',
      type: 'integer',
      min: 0,
      max: 10_000,
      default: '10',
      unit: 'files',
      zero: 'all',
      help: 'Keep so many log files, the one being written included',
    },
  },
  check: (values) =>
    values.logFileRotateBytes > 0 && values.logFileRotateBytes < 4 * KiB
      ? ['LOG_FILE_ROTATE_BYTES must be 0 or at least 4KiB: a few lines would fill a smaller file']
      : [],
});

export type ObserveConfig = GroupValues<typeof observeOptions>;
