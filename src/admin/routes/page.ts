/** /: the status page. It is constant; what it shows it fetches from /api/v1/status. */
import { statusPage } from '../page.ts';
import type { Route } from '../route.ts';

export function pageRoute(): Route {
  const { html, contentSecurityPolicy } = statusPage();
  return {
    path: '/',
    isOpen: true,
    help: 'status page for people',
    respond: () => ({
      status: 200,
      contentType: 'text/html; charset=utf-8',
      body: html,
      headers: { 'content-security-policy': contentSecurityPolicy, 'referrer-policy': 'no-referrer' },
    }),
  };
}
