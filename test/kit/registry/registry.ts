/**
 * An OCI registry for tests: distribution-spec 1.1, pull and push, on loopback, in this process, keeping everything in
 * a directory and streaming it, so that images of any size go through. Real clients can use it; `quirks` make it odd.
 */
import { mkdir } from "node:fs/promises";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { listen } from "../net/listen.ts";
import { tempDir } from "../temp-dir.ts";
import { authorize, type Access, type RegistryAuth } from "./access.ts";
import { startBlobOrigin, type BlobOrigin } from "./blob-origin.ts";
import { handleBlob } from "./blobs.ts";
import { RegistryDisk } from "./disk.ts";
import { answer, type Exchange } from "./exchange.ts";
import { handleReferrers, handleTags } from "./listings.ts";
import { handleManifest } from "./manifests.ts";
import type { RegistryQuirks } from "./quirks.ts";
import { RegistryError } from "./registry-error.ts";
import { logRequest, type LoggedRequest } from "./request-log.ts";
import { parseRoute, type Route } from "./routes.ts";
import { startUploadOrigin, type UploadOrigin } from "./upload-origin.ts";
import { handleUpload, handleUploads } from "./uploads.ts";

export interface RegistryOptions {
  /** Where content is kept. Default: a temporary directory, removed on close. */
  readonly dir?: string;
  /** Default: everybody may do everything. */
  readonly auth?: RegistryAuth;
  readonly quirks?: RegistryQuirks;
  /** Serves HTTPS with this certificate (PEM). Default: plain HTTP. */
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    /** Clients have to show a certificate that this one (PEM) vouches for. */
    readonly clientCa?: string;
  };
  /** Port to listen on, for a registry that comes back after `close()`. Default: any free one. */
  readonly port?: number;
}

export interface KitRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:PORT` or `https://...` */
  readonly url: string;
  readonly dir: string;
  /** Every request, in order of arrival. */
  readonly requests: readonly LoggedRequest[];
  /** The second origin, under `quirks.blobRedirect`. */
  readonly blobOrigin: BlobOrigin | undefined;
  /** The second origin, where `quirks.uploadLocation` is `elsewhere`. */
  readonly uploadOrigin: UploadOrigin;
  /** Changes the quirks from the next request on. */
  setQuirks(quirks: RegistryQuirks): void;
  /** Forgets the logged requests. */
  clearRequests(): void;
  close(): Promise<void>;
}

export async function startRegistry(options: RegistryOptions = {}): Promise<KitRegistry> {
  await using starting = new AsyncDisposableStack();
  const dir = options.dir ?? starting.use(await tempDir("varve-registry-")).path;
  await mkdir(dir, { recursive: true });
  const disk = new RegistryDisk(dir);
  let quirks = options.quirks ?? {};
  const blobOrigin = quirks.blobRedirect === undefined ? undefined : starting.use(await startBlobOrigin(disk, quirks));
  const scheme = options.tls === undefined ? "http" : "https";
  const requests: LoggedRequest[] = [];

  const serveWith = (request: IncomingMessage, response: ServerResponse, auth: RegistryAuth | undefined): void => {
    const url = new URL(request.url ?? "/", "http://registry");
    const method = request.method ?? "GET";
    for (const [name, value] of Object.entries(quirks.headers ?? {})) response.setHeader(name, value);
    response.setHeader("docker-distribution-api-version", "registry/2.0");
    const serve = async () => {
      const route = parseRoute(url.pathname);
      const { mayPull } = authorize(auth, request, neededAccess(route, method));
      const origin = `${scheme}://${request.headers.host ?? ""}`;
      const query = url.searchParams;
      const redirected = quirks.blobRedirect === undefined ? undefined : blobOrigin;
      const others = { blobOrigin: redirected, uploadOrigin: `http://${uploadOrigin.host}` };
      return dispatch({ request, response, method, query, origin, disk, quirks, ...others, mayPull }, route);
    };
    serve().catch((error: unknown) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else if (error instanceof RegistryError) {
        const headers = { ...error.headers, "content-type": "application/json" };
        response.writeHead(error.status, { ...headers, "content-length": Buffer.byteLength(error.body) });
        response.end(method === "HEAD" ? undefined : error.body);
      } else {
        response.writeHead(500, { "content-type": "text/plain" }).end(String(error));
      }
    });
  };
  const uploadOrigin = starting.use(
    await startUploadOrigin((request, response) => serveWith(request, response, undefined)),
  );
  const server = createServer(options.tls, (request, response) => {
    logRequest(requests, request, response);
    serveWith(request, response, options.auth);
  });
  server.requestTimeout = 0;
  const listening = await listen(server, options.port);
  starting.defer(() => listening.close());
  const stack = starting.move();
  const { host, port } = listening;
  return {
    host,
    port,
    url: `${scheme}://${host}`,
    dir,
    requests,
    blobOrigin,
    uploadOrigin,
    setQuirks: (changed) => {
      quirks = changed;
    },
    clearRequests: () => {
      requests.length = 0;
    },
    close: () => stack.disposeAsync(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function createServer(tls: RegistryOptions["tls"], listener: RequestListener): Server {
  if (tls === undefined) return createHttpServer(listener);
  const { key, cert, clientCa } = tls;
  const mutual = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  return createHttpsServer({ key, cert, ...mutual }, listener);
}

function dispatch(exchange: Exchange, route: Route): Promise<void> | void {
  switch (route.kind) {
    case "base":
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

function neededAccess(route: Route, method: string): Access[] {
  if (route.kind === "base") return [];
  const reading = method === "GET" || method === "HEAD";
  if (route.kind === "uploads" || route.kind === "upload") return [{ name: route.name, actions: ["pull", "push"] }];
  if (reading) return [{ name: route.name, actions: ["pull"] }];
  return [{ name: route.name, actions: method === "DELETE" ? ["delete"] : ["pull", "push"] }];
}
