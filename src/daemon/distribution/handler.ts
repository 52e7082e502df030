/**
 * A registry on node:http: OCI distribution-spec 1.1, pull, push, content discovery and content management. It takes a request and its response
 * and nothing else of a server, so whatever speaks HTTP can mount it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { toVarveError } from "../../errors/from-system.ts";
import { handleBlob } from "./blobs.ts";
import { allowMethods, answer, writeHead, type Exchange } from "./exchange.ts";
import { handleReferrers, handleTags } from "./listings.ts";
import { handleManifest } from "./manifests.ts";
import { neededAccess, type RegistryOptions } from "./options.ts";
import { fromVarveError, RegistryError } from "./registry-error.ts";
import { parseRoute, type Route } from "./routes.ts";
import type { Asked } from "./types.ts";
import { handleUpload, handleUploads } from "./upload-routes.ts";

export type RegistryHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** @returns what answers requests below `/v2`; it never rejects, and settles when the answer is sent or cannot be */
export function registryHandler(options: RegistryOptions): RegistryHandler {
  return async (request, response) => {
    const gone = new AbortController();
    const leave = (): void => gone.abort();
    response.once("close", leave);
    options.signal?.addEventListener("abort", leave, { once: true });
    if (options.signal?.aborted === true) leave();
    // Until the route is known, so that what is wrong with it can be answered as well.
    let exchange = exchangeOf(request, response, { kind: "base" }, options, gone.signal);
    try {
      const { path } = splitUrl(request.url);
      response.setHeader("docker-distribution-api-version", "registry/2.0");
      exchange = exchangeOf(request, response, parseRoute(path), options, gone.signal);
      const { asked, route, query } = exchange;
      if (query.has("ns") && asked.namespace === undefined) {
        // Else another registry than the one that is meant would answer.
        throw new RegistryError(400, "NAME_INVALID", "ns is no registry's name");
      }
      await options.authorize?.(request, neededAccess(route, exchange.method));
      if ((await options.hooks?.before?.(exchange)) === true) return;
      await dispatch(exchange);
    } catch (error) {
      answerError(exchange, error);
    } finally {
      response.off("close", leave);
      options.signal?.removeEventListener("abort", leave);
    }
  };
}

function dispatch(exchange: Exchange): Promise<void> | void {
  const { route } = exchange;
  switch (route.kind) {
    case "base":
      allowMethods(exchange, "GET", "HEAD");
      return answer(exchange, 200, { "content-type": "application/json" }, "{}");
    case "manifest":
      return handleManifest(exchange, route.name, route.reference);
    case "blob":
      return handleBlob(exchange, route.name, route.digest);
    case "uploads":
      return handleUploads(exchange, route.name);
    case "upload":
      return handleUpload(exchange, route.name, route.id);
    case "tags":
      return handleTags(exchange, route.name);
    case "referrers":
      return handleReferrers(exchange, route.name, route.digest);
  }
}

function exchangeOf(
  request: IncomingMessage,
  response: ServerResponse,
  route: Route,
  options: RegistryOptions,
  signal: AbortSignal,
): Exchange {
  const query = new URLSearchParams(splitUrl(request.url).query);
  const ns = query.get("ns") ?? "";
  const namespace = NAMESPACE.test(ns) ? ns : undefined;
  const { authorization, via } = request.headers;
  const asked: Asked = {
    signal,
    ...(namespace !== undefined && { namespace }),
    ...(authorization !== undefined && { authorization }),
    ...(via !== undefined && { via }),
  };
  return { request, response, method: request.method ?? "GET", route, query, asked, options };
}

/** What may be a registry's name, and can be sent back in a header. */
const NAMESPACE = /^[a-zA-Z0-9.:[\]-]{1,255}$/;

function splitUrl(url: string | undefined): { readonly path: string; readonly query: string } {
  const text = url ?? "/";
  const mark = text.indexOf("?");
  return mark < 0 ? { path: text, query: "" } : { path: text.slice(0, mark), query: text.slice(mark + 1) };
}

const MOST_UNREAD = 16 * 1024 * 1024;

function answerError(exchange: Exchange, error: unknown): void {
  const { request, response, method, asked, options } = exchange;
  if (response.headersSent || response.destroyed) {
    // A body that breaks off must not look as if it were whole.
    if (!response.writableEnded) response.destroy();
    return;
  }
  const refusal = error instanceof RegistryError ? error : fromVarveError(toVarveError(error));
  if (refusal.status >= 500 && !asked.signal.aborted) {
    options.log?.error({ method, url: request.url, error: String(error) }, "a request of /v2/ failed");
  }
  const body = Buffer.from(refusal.body);
  writeHead(exchange, refusal.status, {
    "content-type": "application/json",
    "content-length": body.length,
    // A little is read to its end, so that the client comes to read the refusal; a layer is not.
    ...(Number(request.headers["content-length"] ?? 0) > MOST_UNREAD && { connection: "close" }),
    ...refusal.headers,
  });
  response.end(method === "HEAD" ? undefined : body);
}
