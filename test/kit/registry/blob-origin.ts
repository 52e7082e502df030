/**
 * The second origin that a registry redirects blobs to, as an object store behind a CDN: it knows nothing of the
 * registry's credentials, only signed URLs, and like S3 it answers 400 when an Authorization header comes along.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { Head, RegistryHooks } from "../../../src/daemon/distribution/options.ts";
import { registryHandler } from "../../../src/daemon/distribution/handler.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import { listen } from "../net/listen.ts";
import type { RegistryDisk } from "./disk.ts";
import { logRequest, type LoggedRequest } from "./request-log.ts";

export interface BlobOrigin extends AsyncDisposable {
  readonly host: string;
  readonly requests: readonly LoggedRequest[];
  /** A URL that serves this blob until it expires. */
  sign(digest: Digest): string;
  /** Makes every URL that was signed so far answer 403, as after its time. */
  expireAll(): void;
}

/** @param hooks how ranges and headers are treated */
export async function startBlobOrigin(
  disk: RegistryDisk,
  hooks: Required<Pick<RegistryHooks, "before" | "head">>,
  ttlMs = 3_600_000,
): Promise<BlobOrigin> {
  const requests: LoggedRequest[] = [];
  let key = randomBytes(32);
  const signature = (digest: string, expires: string) =>
    createHmac("sha256", key).update(`${digest}\n${expires}`).digest("hex");
  const serve = registryHandler({
    source: {
      manifest: async () => undefined,
      blob: (_, digest) => disk.blob(undefined, digest),
      tags: async () => undefined,
      referrers: async () => [],
    },
    hooks: { before: hooks.before, head: (exchange, head) => withoutRegistry(hooks.head(exchange, head)) },
  });

  const server = createServer((request, response) => {
    logRequest(requests, request, response);
    const url = new URL(request.url ?? "/", "http://origin");
    const digest = url.pathname.slice(1);
    const expires = url.searchParams.get("expires") ?? "";
    const given = Buffer.from(url.searchParams.get("signature") ?? "");
    const wanted = Buffer.from(signature(digest, expires));
    if (request.headers.authorization !== undefined) {
      response.writeHead(400).end("Only one auth mechanism allowed");
    } else if (given.length !== wanted.length || !timingSafeEqual(given, wanted) || Number(expires) < Date.now()) {
      response.writeHead(403).end("Request has expired");
    } else {
      request.url = `/v2/origin/blobs/${digest}`;
      void serve(request, response);
    }
  });
  const listening = await listen(server);
  return {
    host: listening.host,
    requests,
    sign: (digest) => {
      const expires = String(Date.now() + ttlMs);
      return `http://${listening.host}/${digest}?expires=${expires}&signature=${signature(digest, expires)}`;
    },
    expireAll: () => {
      key = randomBytes(32);
    },
    [Symbol.asyncDispose]: () => listening.close(),
  };
}

/** An object store knows its objects by other names. */
function withoutRegistry({ status, headers }: Head): Head {
  const { "docker-content-digest": _, ...rest } = headers;
  return { status, headers: rest };
}
