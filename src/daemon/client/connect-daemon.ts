/** The daemon's client for programs on Node: over its Unix socket, or over TCP. */
import { Agent, fetch } from "undici";
import { openClient, type Client } from "./client.ts";

export type ConnectOptions =
  | {
      /** Absolute path of the daemon's Unix socket. */
      readonly socketPath: string;
    }
  | {
      /** `http://HOST:PORT` or `https://HOST:PORT`. */
      readonly url: string;
      /** One of the daemon's tokens. */
      readonly token?: string;
      /** PEM of who vouches for the daemon's certificate. Default: those of Node. */
      readonly ca?: string;
    };

/** Dispose of it when done. */
export type DaemonClient = Client & AsyncDisposable;

/**
 * @example
 * await using daemon = connectDaemon({ socketPath: "/run/varve/varve.sock" });
 * const { images } = await daemon.images.list();
 */
export function connectDaemon(options: ConnectOptions): DaemonClient {
  const isLocal = "socketPath" in options;
  const dispatcher = new Agent({
    connect: isLocal ? { socketPath: options.socketPath } : { ...(options.ca !== undefined && { ca: options.ca }) },
    // Imports and exports answer when they are done, and events come when there are any.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const client = openClient({
    // On a socket the name is nobody's.
    url: isLocal ? "http://localhost" : options.url,
    token: isLocal ? undefined : options.token,
    fetch: async (url, init) => fetch(url, { ...(init as object), dispatcher }),
  });
  return { ...client, [Symbol.asyncDispose]: () => dispatcher.destroy() };
}
