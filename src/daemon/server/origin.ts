/**
 * Keeps pages of other sites from using a daemon that their reader's browser can reach: by a name of theirs that they make point here
 * (DNS rebinding, shown by the Host header), or by sending forms and fetches across (shown by Sec-Fetch-Site and Origin).
 */
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { VarveError } from "../../errors/varve-error.ts";
import { isReading, type Entrance } from "./visit.ts";

/** @throws VarveError `DENIED` */
export function checkOrigin(request: IncomingMessage, entrance: Entrance): void {
  const { headers } = request;
  // On an open entrance a browser needs no key, so that the name is all that tells whose page it is.
  if (entrance.kind === "tcp" && entrance.isOpen && !isLoopbackName(headers.host)) {
    throw denied(`the request is for ${shown(headers.host)}, and this daemon is only for this machine`);
  }
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none")
    throw denied("the request comes from another site");
  const { origin } = headers;
  if (origin === undefined || isReading(request.method)) return;
  // Only the host: who ends TLS in front of the daemon passes HTTP on.
  if (/^https?:\/\/(.*)$/.exec(origin)?.[1] !== headers.host?.toLowerCase()) {
    throw denied(`the request comes from a page of ${shown(origin)}`);
  }
}

/** `localhost`, `app.localhost` (RFC 6761 §6.3), 127.0.0.0/8 and `[::1]`, each with any port. */
export function isLoopbackName(host: string | undefined): boolean {
  const [, name = ""] = /^(\[[0-9a-f:.]+\]|[^:[\]]*)(?::\d{1,5})?$/i.exec(host ?? "") ?? [];
  const lower = name.toLowerCase();
  if (lower === "localhost" || lower.endsWith(".localhost") || lower === "[::1]") return true;
  return isIPv4(lower) && lower.startsWith("127.");
}

function shown(text: string | undefined): string {
  return JSON.stringify((text ?? "").slice(0, 160));
}

function denied(message: string): VarveError {
  return new VarveError("DENIED", message, { hint: "open the daemon's own page at the address that it listens on" });
}
