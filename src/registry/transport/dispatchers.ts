/**
 * The HTTP client for blobs, and for all that goes through a proxy: one undici agent for each way of connecting, direct or through a
 * proxy, with these authorities and this client certificate. HTTP/1.1 only: several connections beat one of h2 for bulk bytes.
 */
import { Agent, ProxyAgent, type Dispatcher } from "undici";
import type { Settings } from "../options.ts";
import { proxyFor } from "./environment-proxy.ts";
import { guardedLookup } from "./guarded-lookup.ts";
import { secureContextOf, tlsIdentity, type TlsSettings } from "./trust.ts";
import type { Wire, WireAnswer, WireRequest } from "./wire.ts";

export class Dispatchers implements Wire {
  readonly #settings: Settings;
  readonly #byKey = new Map<string, Dispatcher>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async request(request: WireRequest): Promise<WireAnswer> {
    const { url, method, headers, body = request.stream, signal, headersMs } = request;
    const { statusCode, statusText, ...answer } = await this.#for(request).request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers,
      // A consumer that hashes and writes in between does not stop the socket for it.
      highWaterMark: 1024 * 1024,
      ...(body === undefined ? {} : { body: body as Uint8Array }),
      ...(headersMs === undefined ? {} : { headersTimeout: headersMs }),
      ...(signal === undefined ? {} : { signal }),
    });
    return { status: statusCode, reason: statusText, headers: answer.headers, body: answer.body };
  }

  #for({ url, tls, connectMs, stream }: WireRequest): Dispatcher {
    const secure = url.protocol === "https:";
    const proxy = proxyFor(url, this.#settings.env);
    const identity = secure || proxy?.protocol === "https:" ? tlsIdentity(tls) : "";
    // What is sent may come from the same host: of one pool, those who send could take all connections while they wait for their bytes.
    const direction = stream === undefined ? "down" : "up";
    const key = `${direction} ${connectMs} ${proxy?.href ?? ""} ${secure ? "tls" : "plain"} ${identity}`;
    let dispatcher = this.#byKey.get(key);
    if (dispatcher === undefined) {
      dispatcher = this.#create(proxy, secure, tls, connectMs);
      this.#byKey.set(key, dispatcher);
    }
    return dispatcher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#byKey.values()];
    this.#byKey.clear();
    await Promise.all(all.map((dispatcher) => dispatcher.destroy()));
  }

  #create(proxy: URL | undefined, secure: boolean, tls: TlsSettings, timeout: number): Dispatcher {
    const own = secure ? connectionOptions(tls) : {};
    const options = {
      connections: this.#settings.connectionsPerHost,
      pipelining: 1,
      allowH2: false,
      headersTimeout: this.#settings.timeouts.headersMs,
      bodyTimeout: this.#settings.timeouts.idleBodyMs,
    };
    if (proxy === undefined) {
      const { allowAddress } = this.#settings;
      const lookup = allowAddress && { lookup: guardedLookup(allowAddress) };
      const connect: object = { timeout, allowH2: false, ...own, ...lookup };
      return new Agent({ ...options, connect });
    }
    return new ProxyAgent({
      ...options,
      uri: proxy.href,
      connectTimeout: timeout,
      requestTls: { allowH2: false, timeout, ...own },
      // The proxy is another host: it sees no client certificate, and is always verified.
      proxyTls: {
        allowH2: false,
        timeout,
        ...(proxy.protocol === "https:" ? connectionOptions({ ...tls, client: [], verify: true }) : {}),
      },
    });
  }
}

/** Untyped because undici's own type is a union with options of plain sockets, of which none has these fields. */
function connectionOptions(tls: TlsSettings): object {
  return { secureContext: secureContextOf(tls), rejectUnauthorized: tls.verify };
}
