/** The token that the daemon wants, for as long as the tab is open; and who must know that it is wanted. */

const KEY = "varve-token";
const listeners = new Set<() => void>();

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

export function setToken(text: string): void {
  sessionStorage.setItem(KEY, text);
}

/** Calls back when the daemon has refused a request for want of a token; returns the way to stop that. */
export function onTokenWanted(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function wantToken(): void {
  for (const listener of listeners) listener();
}
