/**
 * A file of tokens as the daemon lives with it: read at the start, where a fault ends the start, and looked at every
 * second from then on, where a fault leaves the last good tokens in force.
 *
 *   fresh ──the file is faulty or cannot be read: one line in the log──▶ stale: the last good tokens hold
 *     ▲  └──another good file: one line in the log──┐                      │
 *     └─────────────────────────────────────────────┴──a good file─────────┘
 *
 * Invariant: of the file's content nothing is ever logged or shown but names, counts and line numbers.
 */
import type { Clock } from '../../base/clock.ts';
import { errorMessage, SinkError } from '../../base/errors.ts';
import { MAX_TOKEN_FILE_BYTES, parseTokenFile, type TokenEntry } from '../../base/token-file.ts';
import { readSmallFile, WatchedFile } from '../../base/watched-file.ts';
import type { TokensState } from '../../observe/daemon-state.ts';
import type { Logger } from '../../observe/logger.ts';

export interface TokenSourceSettings {
  /** The option that names the file, for messages. */
  readonly option: 'TOKENS_FILE' | 'ADMIN_TOKEN_FILE';
  readonly path: string;
  readonly names: 'required' | 'optional';
}

export interface TokenSourceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  onTokens(tokens: readonly TokenEntry[]): void;
}

export class TokenSource {
  readonly #settings: TokenSourceSettings;
  readonly #deps: TokenSourceDeps;
  readonly #file: WatchedFile;
  #tokens: readonly TokenEntry[];
  #loadedAtMs: number;
  #fault: string | undefined;

  private constructor(
    settings: TokenSourceSettings,
    deps: TokenSourceDeps,
    text: string,
    tokens: readonly TokenEntry[],
  ) {
    this.#settings = settings;
    this.#deps = deps;
    this.#tokens = tokens;
    this.#loadedAtMs = deps.clock.nowMs();
    this.#file = new WatchedFile(settings.path, MAX_TOKEN_FILE_BYTES, text, deps.clock, {
      onContent: (changed) => this.#onContent(changed),
      onFault: (reason) => this.#onFault(reason),
    });
  }

  /** Throws SinkError CONFIG_INVALID for a file that cannot be read or is faulty. */
  static async open(settings: TokenSourceSettings, deps: TokenSourceDeps): Promise<TokenSource> {
    const { option, path, names } = settings;
    let text: string;
    try {
      text = await readSmallFile(path, MAX_TOKEN_FILE_BYTES);
    } catch (error) {
      throw new SinkError('CONFIG_INVALID', `${option}=${path}: ${errorMessage(error)}`, { cause: error });
    }
    const parsed = parseTokenFile(text, names);
    if (!parsed.ok) throw new SinkError('CONFIG_INVALID', `${option}=${path}: ${parsed.reason}`);
    return new TokenSource(settings, deps, text, parsed.entries);
  }

  get tokens(): readonly TokenEntry[] {
    return this.#tokens;
  }

  get state(): TokensState {
    return {
      option: this.#settings.option,
      tokens: this.#tokens.length,
      loadedAtMs: this.#loadedAtMs,
      fault: this.#fault,
    };
  }

  close(): void {
    this.#file.close();
  }

  #onContent(text: string): void {
    const { option, path, names } = this.#settings;
    const parsed = parseTokenFile(text, names);
    if (!parsed.ok) {
      this.#onFault(parsed.reason);
      return;
    }
    this.#fault = undefined;
    this.#tokens = parsed.entries;
    this.#loadedAtMs = this.#deps.clock.nowMs();
    this.#deps.logger.info(
      { tokens: parsed.entries.length },
      `${option}=${path}: read again, ${parsed.entries.length} tokens are good now`,
    );
    this.#deps.onTokens(parsed.entries);
  }

  #onFault(reason: string): void {
    // Looked at every second; the same fault is worth one line.
    if (reason === this.#fault) return;
    this.#fault = reason;
    const { option, path } = this.#settings;
    this.#deps.logger.error(`${option}=${path}: ${reason}; the tokens read before stay good`);
  }
}
