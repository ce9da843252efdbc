const KEY = 'ml-platform-token';
const FRAGMENT = '#sign-in=';

/**
 * Returns the platform's token that this tab signs in with, if there is one.
 *
 * A link printed by `platform portal` carries it in the fragment, which no browser sends to a server; it is taken off the address at
 * once. It is kept for this tab only.
 */
export function storedToken(): string | undefined {
  if (window.location.hash.startsWith(FRAGMENT)) {
    const token = window.location.hash.slice(FRAGMENT.length);
    window.sessionStorage.setItem(KEY, token);
    window.history.replaceState(
      null,
      '',
      window.location.pathname + window.location.search,
    );
  }
  return window.sessionStorage.getItem(KEY) ?? undefined;
}

/** Keeps a token for this tab. */
export function storeToken(token: string): void {
  window.sessionStorage.setItem(KEY, token);
}

/** Tells the other tabs of this browser of a token that somebody has just signed in with. */
export function announceToken(token: string): void {
  const channel = new BroadcastChannel(KEY);
  channel.postMessage(token);
  channel.close();
}

/** Calls back with each token that another tab was signed in with. */
export function onAnnouncedToken(take: (token: string) => void): void {
  new BroadcastChannel(KEY).onmessage = event => take(event.data);
}

/** Forgets the token. */
export function forgetToken(): void {
  window.sessionStorage.removeItem(KEY);
}
