/** The shape of a route, and the two bodies that all routes share: JSON, and the one form of an error. */

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly path: string;
  readonly help: string;
  /** Answers everybody: probes carry no token, and the page is the same for all. */
  readonly isOpen?: boolean;
  respond(query: URLSearchParams): AdminResponse | Promise<AdminResponse>;
}

export function json(
  status: number,
  value: unknown,
  headers?: Readonly<Record<string, string>>,
): AdminResponse {
  return {
    status,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify(value)}\n`,
    ...(headers === undefined ? {} : { headers }),
  };
}

export type AdminErrorCode =
  | 'BAD_REQUEST'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN_HOST'
  | 'FORBIDDEN_ORIGIN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'REQUEST_TIMEOUT'
  | 'HEADERS_TOO_LARGE'
  | 'NOT_HEALTHY'
  | 'NOT_READY'
  | 'INTERNAL';

/** `{"error":{"code":"...","message":"..."}}`, further keys beside it. */
export function errorResponse(
  status: number,
  code: AdminErrorCode,
  message: string,
  extra: { readonly headers?: Readonly<Record<string, string>>; readonly body?: object } = {},
): AdminResponse {
  return json(status, { error: { code, message }, ...extra.body }, extra.headers);
}
