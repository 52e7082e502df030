/** A forward proxy as companies have them: CONNECT for everything, with or without a password, and a note of where to. */
import { createServer } from "node:http";
import { connect } from "node:net";
import { listen } from "../kit/net/listen.ts";

export interface ForwardProxyOptions {
  /** `user:password` that clients have to give. Default: none. */
  readonly account?: string;
  /** Where the names that only the proxy knows really are. */
  readonly names: Readonly<Record<string, string>>;
}

export interface ForwardProxy extends AsyncDisposable {
  readonly host: string;
  /** `host:port` of each tunnel and each plain request, in order. */
  readonly targets: readonly string[];
}

export async function startForwardProxy({ account, names }: ForwardProxyOptions): Promise<ForwardProxy> {
  const targets: string[] = [];
  const wanted = account === undefined ? undefined : `Basic ${Buffer.from(account).toString("base64")}`;
  const server = createServer();
  server.on("connect", (request, client, head) => {
    const target = request.url ?? "";
    const [hostname = "", port] = (names[target] ?? target).split(":");
    if (wanted !== undefined && request.headers["proxy-authorization"] !== wanted) {
      client.end("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n");
      return;
    }
    targets.push(target);
    const upstream = connect(Number(port), hostname, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    const end = (): void => {
      upstream.destroy();
      client.destroy();
    };
    upstream.on("error", end).on("close", end);
    client.on("error", end).on("close", end);
  });
  const listening = await listen(server);
  return { host: listening.host, targets, [Symbol.asyncDispose]: () => listening.close() };
}
