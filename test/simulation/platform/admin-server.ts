/** In place of src/admin/http-server.ts: nobody listens, and the oracle looks at what would be shown. */
import type { openAdminServer as original } from '../../../src/admin/http-server.ts';
import { world } from '../world.ts';

export const openAdminServer: typeof original = async (address, deps) => {
  world().onStatus(deps.status);
  return { port: address.port, addresses: ['simulated'], missing: [], close: async () => {} };
};
