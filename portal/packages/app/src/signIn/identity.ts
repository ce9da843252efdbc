import {
  BackstageUserIdentity,
  DiscoveryApi,
  IdentityApi,
  ProfileInfo,
} from '@backstage/core-plugin-api';
import { ServiceUnavailableError } from '@backstage/errors';
import { forgetToken, onAnnouncedToken, storeToken } from './session';

const PROVIDER = 'ml-platform';
const HEADER = 'x-ml-platform-token';
const EARLY_SECONDS = 60;

/** Why a sign-in did not work, in words for whoever tries. */
export class SignInFailed extends Error {
  readonly name = 'SignInFailed';
}

interface Session {
  profile: ProfileInfo;
  backstageIdentity: {
    token: string;
    expiresInSeconds?: number;
    identity: BackstageUserIdentity;
  };
}

/**
 * An identity that exchanges the platform's token for Backstage's own, and again before that ends.
 *
 * When the platform does not take its token any more and the same person signs in in another tab, it goes on with the token of
 * that one: the page in this tab keeps what was typed.
 */
export class PlatformIdentity implements IdentityApi {
  private session?: Session;
  private fresh = 0;
  private asked?: Promise<Session>;

  constructor(private token: string, private readonly discovery: DiscoveryApi) {
    onAnnouncedToken(announced => {
      // Whoever signed in there may be anybody, or gone again: this tab then stays as it is.
      this.take(announced).catch(() => {});
    });
  }

  async getProfileInfo(): Promise<ProfileInfo> {
    return (await this.current()).profile;
  }

  async getBackstageIdentity(): Promise<BackstageUserIdentity> {
    return (await this.current()).backstageIdentity.identity;
  }

  async getCredentials(): Promise<{ token?: string }> {
    return { token: (await this.current()).backstageIdentity.token };
  }

  async signOut(): Promise<void> {
    forgetToken();
    window.location.href = '/';
  }

  /**
   * Returns a session that is good for a while.
   *
   * @throws {@link SignInFailed} the platform does not take the token any more.
   */
  async current(): Promise<Session> {
    if (this.session && Date.now() < this.fresh) {
      return this.session;
    }
    this.asked ??= this.exchange().finally(() => {
      this.asked = undefined;
    });
    return this.asked;
  }

  /** Goes on with the token of another tab, if it is the same person's. */
  private async take(token: string): Promise<void> {
    const mine = this.session?.backstageIdentity.identity.userEntityRef;
    if (token === this.token || !mine) {
      return;
    }
    const theirs = await ask(token, this.discovery);
    if (theirs.backstageIdentity.identity.userEntityRef === mine) {
      this.token = token;
      storeToken(token);
      this.keep(theirs);
    }
  }

  private async exchange(): Promise<Session> {
    try {
      return this.keep(await ask(this.token, this.discovery));
    } catch (error) {
      if (error instanceof SignInFailed) {
        forgetToken();
      }
      throw error;
    }
  }

  private keep(session: Session): Session {
    const seconds = session.backstageIdentity.expiresInSeconds ?? 3600;
    this.session = session;
    this.fresh = Date.now() + (seconds - EARLY_SECONDS) * 1000;
    return session;
  }
}

async function ask(token: string, discovery: DiscoveryApi): Promise<Session> {
  const base = await discovery.getBaseUrl('auth');
  const answer = await fetch(`${base}/${PROVIDER}/refresh`, {
    headers: { [HEADER]: token, 'x-requested-with': 'XMLHttpRequest' },
    credentials: 'include',
  });
  if (answer.status === 401) {
    throw new SignInFailed('The session has ended. Sign in again.');
  }
  if (!answer.ok) {
    throw new ServiceUnavailableError(
      'Backstage could not check the sign-in: is the ML platform up?',
    );
  }
  return (await answer.json()) as Session;
}

/**
 * Gets a token from the platform's embedded issuer.
 *
 * @throws {@link SignInFailed} the secret or the user is not the right one.
 */
export async function tokenFor(
  user: string,
  secret: string,
  discovery: DiscoveryApi,
): Promise<string> {
  const base = await discovery.getBaseUrl('ml-platform');
  let answer: Response;
  try {
    answer = await fetch(`${base}/identity/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, secret }),
    });
  } catch {
    throw new SignInFailed(
      'The ML platform does not answer. Start it with `platform up`.',
    );
  }
  const body = (await answer.json()) as {
    accessToken?: string;
    detail?: string;
    fix?: string;
  };
  const token = body.accessToken;
  if (!answer.ok || !token) {
    throw new SignInFailed([body.detail, body.fix].filter(Boolean).join('. '));
  }
  return token;
}
