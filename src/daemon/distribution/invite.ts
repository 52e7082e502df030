/**
 * `Expect: 100-continue` (RFC 9110 §10.1.1): clients that have a layer to send ask first whether it is wanted. node:http says yes before anybody has
 * looked at the request, unless its server listens for `checkContinue`; who does that holds the answer back here until the body is wanted.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

const held = new WeakMap<IncomingMessage, ServerResponse>();

/** To be called for each request of `checkContinue`, before it is handled as any other. */
export function holdInvitation(request: IncomingMessage, response: ServerResponse): void {
  held.set(request, response);
}

/** Whoever reads a body says so before. A request whose client does not wait is left as it is. */
export function invite(request: IncomingMessage): void {
  const response = held.get(request);
  held.delete(request);
  if (response !== undefined && !response.headersSent && !response.destroyed) response.writeContinue();
}
