/** The configuration as the status API shows it: exact values, and never a secret. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminOptions } from '../../src/admin/config.ts';
import { shownConfig } from '../../src/admin/shown-config.ts';
import { optionGroup } from '../../src/base/option.ts';
import { observeOptions } from '../../src/observe/config.ts';

test('secrets are hidden whatever their type, and it shows whether they are set', () => {
  const group = optionGroup({
    title: 'Secrets',
    options: {
      token: { env: 'TOKEN', type: 'string', default: '', help: 'Token', secret: true },
      pin: { env: 'PIN', type: 'integer', min: 0, max: 9999, default: '0', help: 'Pin', secret: true },
      names: { env: 'NAMES', type: 'list', default: '', help: 'Names', secret: true },
      unset: { env: 'UNSET', type: 'string', default: '', help: 'Unset', secret: true },
    },
  });
  const shown = shownConfig([[group, { token: 'hunter2', pin: 1234, names: ['a', 'b'], unset: '' }]]);
  assert.deepEqual(shown, { TOKEN: '(hidden)', PIN: '(hidden)', NAMES: '(hidden)', UNSET: '' });
});

test('values are shown as people write them, and exactly', () => {
  const shown = shownConfig([
    [
      adminOptions,
      {
        adminSocket: { host: '::1', port: 9464 },
        adminTokenFile: '/etc/tokens/admin',
        allowOpenAdmin: false,
      },
    ],
    [
      observeOptions,
      {
        minLogLevel: 'info',
        logFormat: 'auto',
        logFile: '',
        logFileRotateBytes: 67_108_864,
        logFileRotateEvery: 'never',
        logFileKeep: 0,
      },
    ],
  ]);
  assert.deepEqual(shown, {
    ADMIN_SOCKET: '[::1]:9464',
    ADMIN_TOKEN_FILE: '/etc/tokens/admin',
    ALLOW_OPEN_ADMIN: 'false',
    LOGGER_MIN_LOG_LEVEL: 'info',
    LOG_FORMAT: 'auto',
    LOG_FILE: '',
    LOG_FILE_ROTATE_BYTES: '64MiB',
    LOG_FILE_ROTATE_EVERY: 'never',
    LOG_FILE_KEEP: 'all',
  });
  const bytes = optionGroup({
    title: 'Bytes',
    options: {
      odd: { env: 'ODD', type: 'bytes', min: 0, max: 1e12, default: '0', help: 'Odd' },
      off: { env: 'OFF', type: 'bytes', min: 0, max: 1e12, default: '0', help: 'Off', zero: 'off' },
      wait: { env: 'WAIT', type: 'duration', min: 0, max: 1e12, default: '0', help: 'Wait' },
    },
  });
  assert.deepEqual(shownConfig([[bytes, { odd: 67_108_865, off: 0, wait: 90_000 }]]), {
    ODD: '67108865B',
    OFF: 'off',
    WAIT: '1m30s',
  });
});
