/**
 * One undici agent for each way of connecting: direct or through a proxy, with these authorities and this client
 * certificate. HTTP/1.1 only: several connections beat one of h2 for bulk bytes.
 */
import { Agent, ProxyAgent, type Dispatcher } from "undici";
import type { Settings } from "../options.ts";
import { proxyFor } from "./environment-proxy.ts";
import { secureContextOf, type TlsSettings } from "./trust.ts";

export class Dispatchers implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #byKey = new Map<string, Dispatcher>();
  readonly #idOf = new WeakMap<TlsSettings, string>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** The agent for a URL. `connectMs` bounds the time until the connection stands. */
  for(url: URL, tls: TlsSettings, connectMs: number): Dispatcher {
    const secure = url.protocol === "https:";
    const proxy = proxyFor(url, this.#settings.env);
    const identity = secure || proxy?.protocol === "https:" ? this.#identity(tls) : "";
    const key = `${connectMs} ${proxy?.href ?? ""} ${secure ? "tls" : "plain"} ${identity}`;
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
      const connect: object = { timeout, allowH2: false, ...own };
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

  #identity(tls: TlsSettings): string {
    let id = this.#idOf.get(tls);
    if (id === undefined) {
      id = JSON.stringify([tls.verify, tls.authorities, tls.client.map((pair) => [pair.cert, pair.key])]);
      this.#idOf.set(tls, id);
    }
    return id;
  }
}

/** Untyped because undici's own type is a union with options of plain sockets, of which none has these fields. */
function connectionOptions(tls: TlsSettings): object {
  return { secureContext: secureContextOf(tls), rejectUnauthorized: tls.verify };
}
