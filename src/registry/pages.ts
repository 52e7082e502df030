/** Lists that come in pages: follows `Link`, within the same registry and within bounds. */
import type { Caller } from "./attempts.ts";
import type { Endpoint } from "./endpoint.ts";
import { nextLink } from "./link-header.ts";
import type { Ask, Session, SessionAnswer } from "./session.ts";
import { RegistryFailure } from "./transport/failure.ts";

const MOST_PAGES = 10_000;

/**
 * The path of the next page relative to the repository, from a `Link` of this answer; undefined at the end.
 *
 * @throws VarveError `REGISTRY_PROTOCOL` when it leads out of the repository, where credentials must not go
 */
export function nextPage(answer: SessionAnswer, endpoint: Endpoint, subject: string): string | undefined {
  const link = nextLink(answer.headers["link"]);
  if (link === undefined) return undefined;
  const url = URL.canParse(link, answer.url) ? new URL(link, answer.url) : undefined;
  const base = `${endpoint.prefix}/${endpoint.repository}/`;
  if (url?.host !== answer.url.host || !url.pathname.startsWith(base)) {
    throw new RegistryFailure(
      "REGISTRY_PROTOCOL",
      `${subject}: ${endpoint.host} sends the next page to another place`,
      {
        detail: { host: endpoint.host },
      },
    );
  }
  // The session adds its own.
  url.searchParams.delete("ns");
  return url.pathname.slice(base.length - 1) + url.search;
}

/** Asks for page after page until `read` gives no path for another. */
export async function eachPage(
  session: Session,
  endpoint: Endpoint,
  ask: Omit<Ask, "path" | "method">,
  first: string,
  caller: Caller,
  read: (answer: SessionAnswer) => Promise<string | undefined>,
): Promise<void> {
  const seen = new Set<string>();
  for (let path: string | undefined = first; path !== undefined;) {
    if (seen.has(path) || seen.size === MOST_PAGES) {
      const message = `${ask.subject}: the pages of ${endpoint.host} do not end`;
      throw new RegistryFailure("REGISTRY_PROTOCOL", message, { detail: { host: endpoint.host } });
    }
    seen.add(path);
    path = await read(await session.send(endpoint, { ...ask, ...caller, method: "GET", path }));
  }
}
