/**
 * The daemon's own log: pino, one JSON object per line in a pipe or file, coloured lines on a terminal.
 * Nothing is logged per reading or per request; repeated faults go through FaultLog.
 */
import { isatty } from 'node:tty';
import { type DestinationStream, type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import type { ObserveConfig } from './config.ts';
import { type LogDestination, openDescriptor, openRollingFile } from './log-destination.ts';
import { shownLines, shownText } from './shown-text.ts';

export type { Logger } from 'pino';

export interface DaemonLog {
  readonly logger: Logger;
  /** The last line is out. Later lines still appear: on the same descriptor, or on standard error. */
  closeLogger(): Promise<void>;
  /** Lines that could not be written. */
  droppedLines(): number;
}

export interface LogTarget {
  readonly fd: number;
  readonly isTerminal: boolean;
  readonly isColour: boolean;
}

export function standardOutput(env: Readonly<Record<string, string | undefined>> = process.env): LogTarget {
  const isTerminal = isatty(1);
  return { fd: 1, isTerminal, isColour: isTerminal && !env.NO_COLOR && env.TERM !== 'dumb' };
}

const MAX_MESSAGE_LENGTH = 2000;

/** Only what a reader of logs needs of an error, and nothing that could steer his terminal. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return shownText(String(error), MAX_MESSAGE_LENGTH);
  const code = (error as NodeJS.ErrnoException).code;
  return {
    type: error.name,
    message: shownText(error.message, MAX_MESSAGE_LENGTH),
    ...(code === undefined ? {} : { code }),
    // A SinkError is a plain message to the operator; where it was thrown is of no use to him.
    ...(error instanceof SinkError ? {} : { stack: shownLines(error.stack ?? '') }),
  };
}

const pinoOptions: LoggerOptions = {
  base: null,
  timestamp: stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
  serializers: { err: describeError },
  depthLimit: 5,
  edgeLimit: 100,
};

function prettyStream(destination: LogDestination, isColour: boolean): DestinationStream {
  const format = prettyFactory({
    colorize: isColour,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    // JSON escapes control characters; decoded for a terminal they would come to life again.
    messageFormat: (record, messageKey) => shownText(String(record[messageKey] ?? ''), MAX_MESSAGE_LENGTH),
  });
  return { write: (line) => destination.write(format(line)) };
}

export function createLogger(
  config: ObserveConfig,
  destination: LogDestination,
  look: { readonly isPretty: boolean; readonly isColour: boolean },
): DaemonLog {
  const stream = look.isPretty ? prettyStream(destination, look.isColour) : destination;
  return {
    logger: pino({ ...pinoOptions, level: config.minLogLevel }, stream),
    closeLogger: () => destination.close(),
    droppedLines: () => destination.droppedLines,
  };
}

/** Throws SinkError CONFIG_INVALID when LOG_FILE cannot be opened. */
export async function openLogger(
  config: ObserveConfig,
  target: LogTarget = standardOutput(),
): Promise<DaemonLog> {
  if (config.logFile === '') {
    const isPretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && target.isTerminal);
    return createLogger(config, openDescriptor(target.fd), {
      isPretty,
      isColour: target.isColour,
    });
  }
  let destination: LogDestination;
  try {
    destination = await openRollingFile(config);
  } catch (error) {
    throw new SinkError(
      'CONFIG_INVALID',
      `LOG_FILE=${shownText(config.logFile)}: cannot be opened for writing (${systemErrorCode(error)}: ${errorMessage(error)}); name a file in a folder that this user may write`,
      { cause: error },
    );
  }
  return createLogger(config, destination, { isPretty: config.logFormat === 'pretty', isColour: false });
}
