/** Where the reader is, as the address has it after `#`: `#/images/NAME`. The daemon sees one path only, and the way back works. */
import { useEffect, useState } from "preact/hooks";

export const VIEWS = ["images", "pulls", "updates", "deltas", "disk", "jobs"] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  readonly view: View;
  /** An image's name, a job's ID. */
  readonly subject: string | undefined;
}

export function parseRoute(hash: string): Route {
  const [, view = "", subject = ""] = /^#\/([a-z]*)(?:\/(.*))?$/.exec(hash) ?? [];
  const known = VIEWS.find((name) => name === view);
  return { view: known ?? "images", subject: known === undefined || subject === "" ? undefined : decoded(subject) };
}

export function href(view: View, subject?: string): string {
  return `#/${view}${subject === undefined ? "" : `/${encodeURIComponent(subject)}`}`;
}

/** Somebody may have typed it. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const changed = (): void => setRoute(parseRoute(location.hash));
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return route;
}
