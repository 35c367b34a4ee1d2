/** The two files of tokens that the daemon may have: of those who send, and of those who look. */
import { isLoopback } from '../../base/listen-address.ts';
import type { TokenEntry } from '../../base/token-file.ts';
import type { TokensState } from '../../observe/daemon-state.ts';
import type { DaemonConfig } from '../option-groups.ts';
import { TokenSource, type TokenSourceDeps } from './token-source.ts';

export class TokenFiles {
  #senders: TokenSource | undefined;
  #admin: TokenSource | undefined;

  /** Throws SinkError CONFIG_INVALID for a file that cannot be read or is faulty. */
  async open({ grpc, ingest, admin }: DaemonConfig, deps: TokenSourceDeps): Promise<void> {
    if (ingest.tokensFile !== '') {
      const settings = { option: 'TOKENS_FILE', path: ingest.tokensFile, names: 'required' } as const;
      this.#senders = await TokenSource.open(settings, deps);
      if (grpc.tlsCertificate === '' && !isLoopback(grpc.grpcServerSocket)) {
        deps.logger.warn(
          'TOKENS_FILE without TLS: tokens travel in clear, and whoever listens on the way can use them',
        );
      }
    }
    if (admin.adminTokenFile !== '') {
      const settings = { option: 'ADMIN_TOKEN_FILE', path: admin.adminTokenFile, names: 'optional' } as const;
      this.#admin = await TokenSource.open(settings, { ...deps, onTokens: () => {} });
    }
  }

  /** Undefined: none is asked for. */
  get senders(): readonly TokenEntry[] | undefined {
    return this.#senders?.tokens;
  }
  get admin(): readonly TokenEntry[] | undefined {
    return this.#admin?.tokens;
  }
  get states(): readonly TokensState[] {
    return [this.#senders, this.#admin].filter((source) => source !== undefined).map(({ state }) => state);
  }

  close(): void {
    this.#senders?.close();
    this.#admin?.close();
  }
}
