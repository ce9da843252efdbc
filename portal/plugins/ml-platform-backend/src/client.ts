import {
  AuthService,
  BackstageCredentials,
  DiscoveryService,
} from '@backstage/backend-plugin-api';

/** Id under which the platform's backend is found: see `discovery.endpoints`. */
export const PLUGIN_ID = 'ml-platform';

/** An answer of the platform that is no success; the message names the cause and the fix (RFC 9457). */
export class PlatformError extends Error {
  readonly name = 'PlatformError';

  constructor(readonly status: number, message: string) {
    super(message);
  }
}

interface Call {
  method?: 'GET' | 'POST' | 'DELETE';
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Calls the platform's backend as a plugin of this Backstage, for somebody or for the plugin itself. */
export class PlatformClient {
  constructor(
    private readonly auth: AuthService,
    private readonly discovery: DiscoveryService,
  ) {}

  /**
   * Calls the platform and returns its answer, if it is a success.
   *
   * @throws {@link PlatformError} the platform refused, or could not be reached (status 0).
   */
  async call(
    path: string,
    credentials?: BackstageCredentials,
    { method = 'GET', body, headers = {}, signal }: Call = {},
  ): Promise<Response> {
    const onBehalfOf =
      credentials ?? (await this.auth.getOwnServiceCredentials());
    const { token } = await this.auth.getPluginRequestToken({
      onBehalfOf,
      targetPluginId: PLUGIN_ID,
    });
    const base = await this.discovery.getBaseUrl(PLUGIN_ID);
    let answer: Response;
    try {
      answer = await fetch(`${base}${path}`, {
        method,
        signal,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (signal?.aborted) {
        throw error;
      }
      throw new PlatformError(0, 'the ML platform does not answer');
    }
    if (!answer.ok && answer.status !== 304) {
      throw await asError(answer);
    }
    return answer;
  }

  /** Calls the platform and returns the JSON it answers. */
  async json<T>(
    path: string,
    credentials?: BackstageCredentials,
    call: Call = {},
  ): Promise<T> {
    return (await this.call(path, credentials, call)).json() as Promise<T>;
  }
}

async function asError(answer: Response): Promise<PlatformError> {
  try {
    const problem = (await answer.json()) as {
      title?: string;
      detail?: string;
      fix?: string;
    };
    const said = [problem.detail ?? problem.title, problem.fix];
    return new PlatformError(
      answer.status,
      said.filter(Boolean).join(' ') || answer.statusText,
    );
  } catch {
    return new PlatformError(
      answer.status,
      `the ML platform answered ${answer.status} ${answer.statusText}`,
    );
  }
}
