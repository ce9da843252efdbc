import {
  createApiRef,
  DiscoveryApi,
  IdentityApi,
} from '@backstage/frontend-plugin-api';
import { EventSource } from 'eventsource';

import { Refusal } from './types';

/** An answer of the platform that is no success (RFC 9457). */
export class Problem extends Error {
  readonly name = 'Problem';

  /**
   * @param status - the HTTP status; 0 if there was no answer at all
   * @param detail - the cause, in a sentence
   * @param fix - what can be done about it
   * @param access - the decision of the policies, if they refused it
   */
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly fix?: string,
    readonly access?: Refusal,
  ) {
    super(detail);
  }

  /** Whether asking again later may help. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Handlers of a stream of server-sent events, by event name; each gets the event's data. */
export type Handlers = Record<string, (data: any) => void>;

/** The platform's backend. */
export interface PlatformApi {
  /** Asks for something; `path` is relative to the plugin's base URL. */
  get<T>(path: string): Promise<T>;
  /** Asks for a file. */
  download(path: string): Promise<Blob>;
  /** Changes something; the same `key` twice changes it once. */
  post<T>(path: string, body: unknown, key?: string): Promise<T>;
  /**
   * Follows a stream of events. It reconnects by itself and goes on after the last event seen.
   *
   * @returns a function that ends it
   */
  follow(
    path: string,
    handlers: Handlers,
    onLost?: (lost: boolean) => void,
  ): () => void;
}

/** @public */
export const platformApiRef = createApiRef<PlatformApi>({
  id: 'plugin.ml-platform.client',
});

/** How many answers are kept to be asked about again by their ETag. */
const KEPT = 300;

/** Calls the platform with the signed-in user's Backstage token. */
export class PlatformClient implements PlatformApi {
  private readonly kept = new Map<string, { etag: string; body: unknown }>();

  constructor(
    private readonly discovery: DiscoveryApi,
    private readonly identity: IdentityApi,
  ) {}

  async get<T>(path: string): Promise<T> {
    const before = this.kept.get(path);
    const answer = await this.ask(path, {
      headers: before ? { 'if-none-match': before.etag } : {},
    });
    // What has not changed is not sent again, and is the same object, so that nothing is drawn again either.
    if (answer.status === 304 && before) {
      return before.body as T;
    }
    const body = (await answer.json()) as T;
    const etag = answer.headers.get('etag');
    this.kept.delete(path);
    if (etag) {
      this.kept.set(path, { etag, body });
      if (this.kept.size > KEPT) {
        this.kept.delete(this.kept.keys().next().value!);
      }
    }
    return body;
  }

  async download(path: string): Promise<Blob> {
    return (await this.ask(path, {})).blob();
  }

  async post<T>(path: string, body: unknown, key?: string): Promise<T> {
    const answer = await this.ask(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: {
        'content-type': 'application/json',
        ...(key ? { 'idempotency-key': key } : {}),
      },
    });
    return (await answer.json()) as T;
  }

  follow(
    path: string,
    handlers: Handlers,
    onLost: (lost: boolean) => void = () => {},
  ): () => void {
    let source: EventSource | undefined;
    let ended = false;
    void this.discovery.getBaseUrl('ml-platform').then(base => {
      if (ended) {
        return;
      }
      source = new EventSource(`${base}${path}`, {
        fetch: async (url, init) =>
          fetch(url, {
            ...init,
            headers: { ...init.headers, ...(await this.authorization()) },
          }),
      });
      source.addEventListener('open', () => onLost(false));
      source.addEventListener('error', () => onLost(true));
      for (const [name, handle] of Object.entries(handlers)) {
        source.addEventListener(name, event => {
          handle(JSON.parse((event as MessageEvent<string>).data));
        });
      }
      source.addEventListener('end', () => source?.close());
    });
    return () => {
      ended = true;
      source?.close();
    };
  }

  private async ask(path: string, init: RequestInit): Promise<Response> {
    const base = await this.discovery.getBaseUrl('ml-platform');
    const authorization = await this.authorization();
    let answer: Response;
    try {
      answer = await fetch(`${base}${path}`, {
        ...init,
        headers: { ...init.headers, ...authorization },
      });
    } catch {
      throw new Problem(
        0,
        'The ML platform does not answer.',
        'This page asks again by itself.',
      );
    }
    if (!answer.ok && answer.status !== 304) {
      throw await asProblem(answer);
    }
    return answer;
  }

  private async authorization(): Promise<Record<string, string>> {
    let token: string | undefined;
    try {
      ({ token } = await this.identity.getCredentials());
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      // Where nobody could be asked, the session may still be good.
      throw new Problem(unanswered(error) ? 0 : 401, said);
    }
    return token ? { authorization: `Bearer ${token}` } : {};
  }
}

function unanswered(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    (error instanceof Error && error.name === 'ServiceUnavailableError')
  );
}

async function asProblem(answer: Response): Promise<Problem> {
  try {
    const { title, detail, fix, access } = await answer.json();
    return new Problem(
      answer.status,
      detail ?? title ?? answer.statusText,
      fix,
      access,
    );
  } catch {
    return new Problem(
      answer.status,
      `The ML platform answered ${answer.status} ${answer.statusText}.`,
    );
  }
}
