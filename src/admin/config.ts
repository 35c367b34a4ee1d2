/** Options of the admin server. */
import { type GroupValues, optionGroup } from '../base/option.ts';

export const adminOptions = optionGroup({
  title: 'Admin server',
  options: {
    adminSocket: {
      env: 'ADMIN_SOCKET',
      type: 'address',
      default: 'localhost:9464',
      help: 'Where metrics, health, status API and status page are served over HTTP; not for untrusted networks',
    },
  },
});

export type AdminConfig = GroupValues<typeof adminOptions>;
