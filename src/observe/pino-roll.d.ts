/** pino-roll ships no types; this is the part of it that we use. */
declare module 'pino-roll' {
  import type { EventEmitter } from 'node:events';

  export interface RollingFile extends EventEmitter {
    readonly file: string | null;
    write(line: string): boolean;
    end(): void;
  }

  export interface RollOptions {
    readonly file: string;
    readonly size?: string;
    readonly frequency?: 'hourly' | 'daily';
    readonly dateFormat?: string;
    readonly limit?: { readonly count: number; readonly removeOtherLogFiles: boolean };
    readonly mkdir: boolean;
    readonly sync: boolean;
    readonly maxLength: number;
  }

  export default function pinoRoll(options: RollOptions): Promise<RollingFile>;
}
