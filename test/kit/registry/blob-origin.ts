/**
 * The second origin that a registry redirects blobs to, as an object store behind a CDN: it knows nothing of the
 * registry's credentials, only signed URLs, and like S3 it answers 400 when an Authorization header comes along.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { parseDigest, type Digest } from "../../../src/oci/digest.ts";
import { listen } from "../net/listen.ts";
import type { RegistryDisk } from "./disk.ts";
import type { RegistryQuirks } from "./quirks.ts";
import { logRequest, type LoggedRequest } from "./request-log.ts";
import { sendBlob } from "./send-blob.ts";

export interface BlobOrigin extends AsyncDisposable {
  readonly host: string;
  readonly requests: readonly LoggedRequest[];
  /** A URL that serves this blob until it expires. */
  sign(digest: Digest): string;
  /** Makes every URL that was signed so far answer 403, as after its time. */
  expireAll(): void;
}

export async function startBlobOrigin(disk: RegistryDisk, quirks: RegistryQuirks): Promise<BlobOrigin> {
  const ttlMs = quirks.blobRedirect?.ttlMs ?? 3_600_000;
  const requests: LoggedRequest[] = [];
  let key = randomBytes(32);
  const signature = (digest: string, expires: string) =>
    createHmac("sha256", key).update(`${digest}\n${expires}`).digest("hex");

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
      void serve(parseDigest(digest)).catch((error: unknown) => response.destroy(error as Error));
    }
    async function serve(digest: Digest): Promise<void> {
      const size = await disk.statBlob(undefined, digest);
      if (size === undefined) response.writeHead(404).end();
      else {
        const blob = { path: disk.contentPath(digest), size, etag: `"${digest}"`, headers: {} };
        await sendBlob(request, response, blob, quirks);
      }
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
