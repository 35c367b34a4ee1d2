/** Options of the admin server. */
import { isLoopback } from '../base/listen-address.ts';
import { type GroupValues, optionGroup } from '../base/option.ts';

export const adminOptions = optionGroup({
  title: 'Admin server',
  options: {
    adminSocket: {
      env: 'ADMIN_SOCKET',
      type: 'address',
      default: 'localhost:9464',
      help: 'Where metrics, health, status API and status page are served over HTTP; beyond loopback with ADMIN_TOKEN_FILE',
    },
    adminTokenFile: {
      env: 'ADMIN_TOKEN_FILE',
      type: 'path',
      default: '',
      help: 'File of bearer tokens, one a line; with it /metrics and /api ask for one, the health paths never do',
    },
    allowOpenAdmin: {
      env: 'ALLOW_OPEN_ADMIN',
      type: 'boolean',
      default: 'false',
      help: 'Serve metrics and status beyond loopback to everybody; say true only where the network itself is trusted',
    },
  },
  check: (values) =>
    values.adminTokenFile === '' && !values.allowOpenAdmin && !isLoopback(values.adminSocket)
      ? [
          'ADMIN_SOCKET listens beyond loopback and asks for no token: set ADMIN_TOKEN_FILE, or ALLOW_OPEN_ADMIN=true if the network is trusted, or listen on localhost',
        ]
      : [],
});

export type AdminConfig = GroupValues<typeof adminOptions>;
