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
import type { Exchange } from "../../../src/daemon/distribution/exchange.ts";
import type { HostedContent, PushedManifest } from "../../../src/daemon/distribution/hosted-content.ts";
import { registryHandler, type RegistryHandler } from "../../../src/daemon/distribution/handler.ts";
import { RegistryError } from "../../../src/daemon/distribution/registry-error.ts";
import { Uploads } from "../../../src/daemon/distribution/uploads.ts";
import { authorize, type RegistryAuth } from "./access.ts";
import { startBlobOrigin, type BlobOrigin } from "./blob-origin.ts";
import { believing } from "./credulous.ts";
import { RegistryDisk } from "./disk.ts";
import { beforeRanges, oddities } from "./oddities.ts";
import type { RegistryQuirks } from "./quirks.ts";
import { logRequest, type LoggedRequest } from "./request-log.ts";
import { startUploadOrigin, type UploadOrigin } from "./upload-origin.ts";

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
  const uploads = new Uploads({ directory: disk.uploads });
  let quirks = options.quirks ?? {};
  const scheme = options.tls === undefined ? "http" : "https";
  const requests: LoggedRequest[] = [];
  const hooks = oddities({
    disk,
    uploads,
    quirks: () => quirks,
    scheme,
    blobOrigin: () => blobOrigin,
    uploadOrigin: () => `http://${uploadOrigin.host}`,
  });
  const before = (exchange: Exchange): boolean => beforeRanges(quirks, exchange, exchange.request);
  const blobOrigin =
    quirks.blobRedirect === undefined
      ? undefined
      : starting.use(await startBlobOrigin(disk, { ...hooks, before }, quirks.blobRedirect.ttlMs));

  /** For one request: what it may, and what befalls it, is that of the moment. */
  const handlerFor = (request: IncomingMessage, auth: RegistryAuth | undefined): RegistryHandler =>
    registryHandler({
      source: disk,
      repositories: quirks.subjects === false ? withoutSubjects(disk) : disk,
      uploads: quirks.credulous === true ? believing(uploads, () => claimedBy(request)) : uploads,
      allows: (action) => (action === "push" ? quirks.push : quirks.delete) !== false,
      authorize: (asking, { name, actions }) => authorize(auth, asking, name === undefined ? [] : [{ name, actions }]),
      sparseIndexes: false,
      limits: {
        ...(quirks.manifestLimit !== undefined && { manifestBytes: quirks.manifestLimit }),
        ...(quirks.tagsPage !== undefined && { tagsPage: quirks.tagsPage }),
        ...(quirks.referrersPage !== undefined && { referrersPage: quirks.referrersPage }),
      },
      hooks,
    });
  const serveWith = (request: IncomingMessage, response: ServerResponse, auth: RegistryAuth | undefined): void => {
    for (const [name, value] of Object.entries(quirks.headers ?? {})) response.setHeader(name, value);
    void handlerFor(request, auth)(request, response);
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

/** What a push says that its bytes are. */
function claimedBy(request: IncomingMessage): string | null {
  return new URL(request.url ?? "/", "http://registry").searchParams.get("digest");
}

/** Registries that know no artifacts refuse what refers to others. */
function withoutSubjects(disk: RegistryDisk): HostedContent {
  const methods: HostedContent = disk;
  return new Proxy(methods, {
    get(target, name) {
      if (name === "putManifest") {
        return async (repository: string, pushed: PushedManifest): Promise<boolean> => {
          if (pushed.referrer === undefined) return target.putManifest(repository, pushed);
          throw new RegistryError(400, "MANIFEST_INVALID", "subject is no field of a manifest");
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
