/**
 * An HTTP proxy in front of any registry that breaks things by script. It stands at the registry's place: clients talk
 * to it as to the registry, with the Host header passed on, so that registries make their URLs from the proxy's address.
 */
import { Agent, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { listen, type Listening } from "../net/listen.ts";
import { logRequest, type LoggedRequest } from "../registry/request-log.ts";
import { answerInstead } from "./answer-instead.ts";
import { findFault, isOwnAnswer } from "./fault.ts";
import { FaultScript, type FaultRule, type Strike } from "./fault-script.ts";
import { forward } from "./forward.ts";

export interface FaultProxyOptions {
  /** The registry: `127.0.0.1:PORT`, plain HTTP. */
  readonly target: string;
  /** Default: none, a proxy that only counts. */
  readonly rules?: readonly FaultRule[];
  /** For rules with a probability. Default 1. */
  readonly seed?: number;
}

export interface FaultProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  /** Every request; `sent` are the body bytes that went to the client. */
  readonly requests: readonly LoggedRequest[];
  /** The faults that struck: `request` is the position in {@link requests}. */
  readonly strikes: readonly (Strike & { readonly request: number })[];
  /** Body bytes sent to clients for paths that match. */
  bytesFor(path: RegExp): number;
  /** Another script from the next request on; counts begin anew. */
  setRules(rules: readonly FaultRule[], seed?: number): void;
  /** Connections are refused (and open ones broken) until {@link accept}: a registry that is down. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  /** The script and what it did, for the report of a failed test. */
  describe(): string;
  close(): Promise<void>;
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { target } = options;
  const requests: LoggedRequest[] = [];
  const strikes: (Strike & { readonly request: number })[] = [];
  const agent = new Agent({ keepAlive: true });
  let script = new FaultScript(options.rules ?? [], options.seed ?? 1);

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const index = requests.length;
    logRequest(requests, request, response);
    const { method = "GET", url = "/", headers } = request;
    const path = url.split("?", 1)[0] ?? url;
    const struck = script.strikes({ method, path, range: headers.range });
    for (const strike of struck) strikes.push({ ...strike, request: index });
    const faults = struck.map(({ fault }) => fault);
    const latency = findFault(faults, "latency");
    if (latency !== undefined) await delay(latency.ms, undefined, { ref: false });
    const own = faults.find(isOwnAnswer);
    if (own === undefined) await forward(request, response, { target, agent, faults });
    else answerInstead(request, response, own);
  };

  const open = async (port: number): Promise<Listening> => {
    const server = createServer((request, response) => {
      // What goes wrong here beyond the script is the client's leaving or the registry's dying: both end the connection.
      serve(request, response).catch(() => response.destroy());
    });
    server.requestTimeout = 0;
    return listen(server, port);
  };

  let listening: Listening | undefined = await open(0);
  const { host, port } = listening;
  const refuse = async () => {
    await listening?.close();
    listening = undefined;
  };
  const close = async () => {
    await refuse();
    agent.destroy();
  };
  return {
    host,
    url: `http://${host}`,
    requests,
    strikes,
    bytesFor: (pattern) =>
      requests.filter(({ path }) => path.search(pattern) >= 0).reduce((sum, { sent }) => sum + sent, 0),
    setRules: (rules, seed = 1) => {
      script = new FaultScript(rules, seed);
    },
    refuse,
    accept: async () => {
      listening ??= await open(port);
    },
    describe: () => [String(script), ...strikes.map((strike) => describeStrike(strike, requests))].join("\n"),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function describeStrike(strike: Strike & { request: number }, requests: readonly LoggedRequest[]): string {
  const request = requests[strike.request];
  const range = request?.headers.range === undefined ? "" : ` ${request.headers.range}`;
  return `  request ${strike.request} ${request?.method} ${request?.path}${range}: rule ${strike.rule} ${strike.fault.kind}`;
}
