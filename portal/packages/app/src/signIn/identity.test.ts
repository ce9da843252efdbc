import { PlatformIdentity } from './identity';

const discovery = { getBaseUrl: async () => 'http://backstage' };
const KEY = 'ml-platform-token';

let tabs: { onmessage?: (event: { data: string }) => void }[] = [];

/** Backstage, which knows whose token is whose; a token that is not there has expired. */
function knows(people: Record<string, string>) {
  global.fetch = jest.fn(async (_: unknown, init: RequestInit) => {
    const token = new Headers(init.headers).get('x-ml-platform-token')!;
    const who = people[token];
    return {
      status: who ? 200 : 401,
      ok: Boolean(who),
      json: async () => ({
        backstageIdentity: {
          token: `backstage-${token}`,
          expiresInSeconds: 60,
          identity: { userEntityRef: who },
        },
      }),
    };
  }) as never;
}

async function announce(token: string) {
  tabs.forEach(tab => tab.onmessage?.({ data: token }));
  await new Promise(resolve => setTimeout(resolve));
}

describe('PlatformIdentity', () => {
  beforeEach(() => {
    tabs = [];
    window.sessionStorage.clear();
    global.BroadcastChannel = class {
      constructor() {
        tabs.push(this as never);
      }
    } as never;
  });

  it('goes on with the token that the same person signed in with elsewhere', async () => {
    knows({ old: 'user:default/ada' });
    const identity = new PlatformIdentity('old', discovery);
    await identity.current();
    knows({ new: 'user:default/ada' });
    await expect(identity.getCredentials()).rejects.toThrow(
      'The session has ended. Sign in again.',
    );
    await announce('new');
    expect(await identity.getCredentials()).toEqual({ token: 'backstage-new' });
    expect(window.sessionStorage.getItem(KEY)).toBe('new');
  });

  it('never becomes somebody else', async () => {
    knows({ old: 'user:default/ada', other: 'user:default/grace' });
    const identity = new PlatformIdentity('old', discovery);
    await identity.current();
    await announce('other');
    expect(await identity.getCredentials()).toEqual({ token: 'backstage-old' });
    await announce('unknown');
    expect(await identity.getCredentials()).toEqual({ token: 'backstage-old' });
    expect(window.sessionStorage.getItem(KEY)).toBeNull();
  });

  it('keeps the token when Backstage does not answer', async () => {
    window.sessionStorage.setItem(KEY, 'old');
    global.fetch = jest.fn(async () => ({ status: 503, ok: false })) as never;
    const identity = new PlatformIdentity('old', discovery);
    await expect(identity.current()).rejects.toMatchObject({
      name: 'ServiceUnavailableError',
    });
    expect(window.sessionStorage.getItem(KEY)).toBe('old');
  });
});
