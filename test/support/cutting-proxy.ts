/** Between a client and a server: passes on what both say, and cuts each connection when so many bytes went either way. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class CuttingProxy {
  /** Bytes that the next connection may pass on to the server, and back, until it is cut. */
  limits = { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY };
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: string) {
    const port = Number(target.split(':').at(-1));
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      const cut = (): void => {
        near.destroy();
        far.destroy();
      };
      const { up, down } = this.limits;
      this.#pass(near, far, up, cut);
      this.#pass(far, near, down, cut);
    });
  }

  static async start(target: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get target(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #pass(from: Socket, to: Socket, limit: number, cut: () => void): void {
    let left = limit;
    this.#sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, Math.min(chunk.length, left));
      left -= part.length;
      if (left > 0) {
        to.write(part);
        return;
      }
      // What came until the cut arrives: the cut is at that byte, not somewhere before it.
      from.pause();
      to.write(part, () => {
        this.cuts++;
        cut();
      });
      left = 0;
    });
    from.on('error', cut);
    from.on('close', () => {
      this.#sockets.delete(from);
      cut();
    });
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
