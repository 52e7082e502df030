/**
 * Node's own HTTP client, for documents: HEAD, manifests, configs, tokens. It is there in a few milliseconds where undici, which is
 * twice as fast with blobs, takes 60 to load; a pull that finds everything in the store never needs that one. No proxies.
 * What goes wrong bears the codes that undici gives it, so that it is told the same way.
 */
import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Settings } from "../options.ts";
import { builtinHttp, builtinHttps } from "./builtin.ts";
import { guardedLookup } from "./guarded-lookup.ts";
import { secureContextOf, tlsIdentity } from "./trust.ts";
import type { Wire, WireAnswer, WireRequest } from "./wire.ts";

/** A connection that lies idle for longer may be closed by the server just when it is used again. As undici has it. */
const KEEP_MS = 4000;

export class LightClient implements Wire {
  readonly #settings: Settings;
  readonly #agents = new Map<string, Agent>();
  #closed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async request(request: WireRequest): Promise<WireAnswer> {
    try {
      return await this.#send(request);
    } catch (error) {
      throw this.#closed ? coded("the client was closed", "UND_ERR_CLOSED", error) : error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  #send(request: WireRequest): Promise<WireAnswer> {
    const { url, method, headers, signal, body } = request;
    const { idleBodyMs } = this.#settings.timeouts;
    const { headersMs = this.#settings.timeouts.headersMs } = request;
    const { request: open } = url.protocol === "https:" ? builtinHttps() : builtinHttp();
    const sent = open(url, {
      method,
      headers,
      agent: this.#agent(request),
      ...(signal !== undefined && { signal }),
    });
    const { promise: answer, resolve, reject } = Promise.withResolvers<WireAnswer>();
    const watch = watchHead(sent, request, headersMs);
    sent.once("error", (error) => {
      watch.end();
      reject(error);
    });
    sent.once("response", (message: IncomingMessage) => {
      watch.end();
      sent.on("error", (error) => message.destroy(error));
      sent.setTimeout(idleBodyMs, () => {
        // A reader that takes its time is no server that does.
        if (message.readableLength === 0) message.destroy(coded("the body stalled", "UND_ERR_BODY_TIMEOUT"));
      });
      const answered = (): void => resolve(toAnswer(message));
      if (method !== "HEAD") return answered();
      // Only when its connection is free for the next request, which is made at once and would else open another.
      const { socket } = message;
      const isFree = (): void => {
        socket.off("free", isFree).off("close", isFree);
        answered();
      };
      socket.on("free", isFree).on("close", isFree);
      message.on("error", () => undefined).resume();
    });
    sent.end(body);
    return answer;
  }

  /** Connections are kept for the next document, apart for each identity. */
  #agent({ url, tls }: WireRequest): Agent {
    const secure = url.protocol === "https:";
    const key = secure ? tlsIdentity(tls) : "";
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const { connectionsPerHost: maxSockets, allowAddress } = this.#settings;
      const lookup = allowAddress && { lookup: guardedLookup(allowAddress) };
      const options = { keepAlive: true, timeout: KEEP_MS, maxSockets, ...lookup };
      agent = secure
        ? new (builtinHttps().Agent)({
            ...options,
            secureContext: secureContextOf(tls),
            rejectUnauthorized: tls.verify,
          })
        : new (builtinHttp().Agent)(options);
      this.#agents.set(key, agent);
    }
    return agent;
  }
}

/** Bounds first the time until the connection stands, then that until the answer's headers are there. */
function watchHead(sent: ClientRequest, { url, connectMs }: WireRequest, headersMs: number): { end(): void } {
  let timer: NodeJS.Timeout | undefined;
  const bound = (milliseconds: number, code: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => sent.destroy(coded("no answer in time", code)), milliseconds);
  };
  sent.once("socket", (socket: Socket) => {
    const awaitHeaders = (): void => bound(headersMs, "UND_ERR_HEADERS_TIMEOUT");
    if (sent.reusedSocket) return awaitHeaders();
    bound(connectMs, "UND_ERR_CONNECT_TIMEOUT");
    socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => {
      if (!sent.destroyed) awaitHeaders();
    });
  });
  sent.once("close", () => clearTimeout(timer));
  return { end: () => clearTimeout(timer) };
}

function toAnswer(message: IncomingMessage): WireAnswer {
  const entries = Object.entries(message.headersDistinct).map(([name, values = []]) => [
    name,
    values.length === 1 ? values[0] : values,
  ]);
  const headers = Object.fromEntries(entries) as IncomingHttpHeaders;
  return { status: message.statusCode ?? 0, reason: message.statusMessage ?? "", headers, body: message };
}

function coded(message: string, code: string, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? {} : { cause }), { code });
}
