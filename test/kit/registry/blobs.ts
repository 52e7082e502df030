/** Blobs of a repository: HEAD, GET (also by redirect), DELETE. distribution-spec "Pulling blobs", "Deleting Blobs". */
import type { Digest } from "../../../src/oci/digest.ts";
import { allowMethods, answer, type Exchange } from "./exchange.ts";
import { RegistryError } from "./registry-error.ts";
import { sendBlob } from "./send-blob.ts";

export async function handleBlob(exchange: Exchange, name: string, digest: Digest): Promise<void> {
  allowMethods(exchange, "GET", "HEAD", "DELETE");
  const { disk, quirks, request, response } = exchange;
  if (exchange.method === "DELETE") return deleteBlob(exchange, name, digest);
  if (exchange.method === "HEAD" && quirks.blobHead !== undefined) return answer(exchange, quirks.blobHead);
  const size = await disk.statBlob(name, digest);
  if (size === undefined) throw new RegistryError(404, "BLOB_UNKNOWN", `${name} has no blob ${digest}`);
  if (exchange.blobOrigin !== undefined && exchange.method === "GET") {
    return answer(exchange, 307, { location: exchange.blobOrigin.sign(digest) });
  }
  if (exchange.method === "GET" && quirks.egress?.refuses(response) === true) return;
  const headers: Record<string, string> = quirks.digestHeader === false ? {} : { "docker-content-digest": digest };
  return sendBlob(request, response, { path: disk.contentPath(digest), size, etag: `"${digest}"`, headers }, quirks);
}

async function deleteBlob(exchange: Exchange, name: string, digest: Digest): Promise<void> {
  if (exchange.quirks.delete === false) throw new RegistryError(405, "UNSUPPORTED", "deletion is disabled");
  if (!(await exchange.disk.deleteBlob(name, digest))) {
    throw new RegistryError(404, "BLOB_UNKNOWN", `${name} has no blob ${digest}`);
  }
  answer(exchange, 202);
}
