/** Pushing blobs, distribution-spec "Pushing blobs": POST alone, POST and PUT, chunks, streams, mounts, status, cancel. */
import { createHash } from "node:crypto";
import { closeSync, createReadStream, ftruncateSync, openSync, writeSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { finished, pipeline } from "node:stream/promises";
import { digestAlgorithm, digestHex, type Digest } from "../../../src/oci/digest.ts";
import { allowMethods, answer, type Exchange, type Headers } from "./exchange.ts";
import { RegistryError } from "./registry-error.ts";
import { asDigest } from "./routes.ts";

/** POST of a repository's `blobs/uploads/`. */
export async function handleUploads(exchange: Exchange, name: string): Promise<void> {
  allowMethods(exchange, "POST");
  const { disk, query, quirks } = exchange;
  refusePush(exchange);
  refuseLong(exchange);
  const mount = query.get("mount");
  if (mount !== null && (await mountBlob(exchange, name, asDigest(mount)))) return;
  const digest = query.get("digest");
  const wanted = digest === null ? undefined : asDigest(digest);
  const id = await disk.newUpload(name);
  if (wanted !== undefined && quirks.monolithicPost !== false) {
    await append(exchange, name, id);
    return finish(exchange, name, id, wanted);
  }
  exchange.request.resume();
  const chunk = quirks.chunkMinLength === undefined ? {} : { "oci-chunk-min-length": quirks.chunkMinLength };
  answer(exchange, 202, { ...uploadHeaders(exchange, name, id, 0), ...chunk });
}

/** PATCH, PUT, GET and DELETE of one upload. */
export async function handleUpload(exchange: Exchange, name: string, id: string): Promise<void> {
  allowMethods(exchange, "PATCH", "PUT", "GET", "DELETE");
  const { disk, method, query, quirks } = exchange;
  refusePush(exchange);
  refuseLong(exchange);
  if (cutsLong(exchange)) return;
  if (method === "PATCH" && quirks.patchRefused !== undefined) {
    throw new RegistryError(quirks.patchRefused, "UNSUPPORTED", "no chunks");
  }
  const size = disk.uploadSize(name, id);
  const isLost = size !== undefined && (quirks.uploadTroubles?.loses(size) === true || isStale(exchange, id, size));
  if (isLost) await disk.deleteUpload(name, id);
  const isUnknown = quirks.uploadLocation === "query" && !(query.get("_state") ?? "").startsWith(stateOf(id));
  if (size === undefined || isLost || isUnknown) {
    throw new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", `no such upload: ${id}`);
  }
  switch (method) {
    case "GET":
      return answer(exchange, 204, uploadHeaders(exchange, name, id, size));
    case "DELETE":
      await disk.deleteUpload(name, id);
      return answer(exchange, 204);
    case "PATCH": {
      const now = await append(exchange, name, id);
      return answer(exchange, quirks.patchStatus ?? 202, uploadHeaders(exchange, name, id, now));
    }
    default: {
      const digest = asDigest(query.get("digest") ?? "");
      if ((await append(exchange, name, id)) === size && size > 0 && quirks.emptyPut === false) {
        throw new RegistryError(400, "BLOB_UPLOAD_INVALID", "the last part has no bytes");
      }
      return finish(exchange, name, id, digest);
    }
  }
}

function refusePush({ quirks }: Exchange): void {
  if (quirks.push === false) throw new RegistryError(405, "UNSUPPORTED", "this registry is read-only");
}

/** Without reading what it refuses, as proxies do. */
function refuseLong({ quirks, request }: Exchange): void {
  const length = Number(request.headers["content-length"] ?? 0);
  if (length > (quirks.bodyLimit ?? Infinity)) throw new RegistryError(413, "SIZE_INVALID", `${length} bytes at once`);
}

/** After some of the body, for a client that writes more to be told by the reset alone. */
function cutsLong({ quirks, request }: Exchange): boolean {
  const length = Number(request.headers["content-length"] ?? 0);
  if (length <= (quirks.bodyReset ?? Infinity)) return false;
  request.once("data", () => request.socket.resetAndDestroy());
  return true;
}

/** The Location that was asked at is not that of the last answer. */
function isStale({ quirks, query }: Exchange, id: string, size: number): boolean {
  if (quirks.uploadLocation !== "query" || quirks.staleLocationEnds !== true) return false;
  return query.get("_state") !== `${stateOf(id)}.${size}`;
}

/** True when the blob was mounted and the answer sent; otherwise the upload goes on as if no mount was asked for. */
async function mountBlob(exchange: Exchange, name: string, digest: Digest): Promise<boolean> {
  const { disk, query, quirks } = exchange;
  const from = query.get("from") ?? undefined;
  if (quirks.mount === false || (from !== undefined && !exchange.mayPull(from))) return false;
  if ((await disk.statBlob(from, digest)) === undefined) return false;
  await disk.linkBlob(name, digest);
  answer(exchange, 201, { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest });
  return true;
}

/** Bytes of the last chunk of uploads that go on, for registries that demand a least length of all but the last. */
const lastChunk = new Map<string, number>();

/** Appends the request's body, of which whatever arrived stays when the client goes away. Returns the new size. */
async function append(exchange: Exchange, name: string, id: string): Promise<number> {
  const { disk, request, quirks } = exchange;
  const before = disk.uploadSize(name, id) ?? 0;
  checkContentRange(exchange, name, id, before);
  const least = quirks.chunkMinLength ?? 0;
  if (exchange.method === "PATCH" && (lastChunk.get(id) ?? least) < least) {
    throw new RegistryError(416, "BLOB_UPLOAD_INVALID", `the chunk before was smaller than ${least} bytes`);
  }
  const cut = request.headers["content-length"] === "0" ? undefined : quirks.uploadTroubles?.nextCut();
  await receive(request, disk.uploadPath(name, id), before, { cut, keeps: quirks.keepsPartial !== false });
  const after = disk.uploadSize(name, id) ?? 0;
  if (least > 0) lastChunk.set(id, after - before);
  return after;
}

/**
 * Writes a body into a file as it comes. Synchronously, and from the turn in which the request came, so that every byte
 * that arrived before a connection broke is there: streams drop what they still hold.
 */
async function receive(
  request: IncomingMessage,
  path: string,
  start: number,
  { cut = Infinity, keeps }: { readonly cut: number | undefined; readonly keeps: boolean },
): Promise<void> {
  const file = openSync(path, "r+");
  try {
    let position = start;
    const write = (chunk: Buffer): void => {
      for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at, chunk.length - at, position + at);
      position += chunk.length;
    };
    request.on("data", (chunk: Buffer) => {
      if (position - start > cut) return;
      write(chunk.subarray(0, start + cut - position));
      if (position - start === cut) request.socket.resetAndDestroy();
    });
    await finished(request);
    if (position - start >= cut) throw new Error("cut off, though all of it was here");
  } catch (error) {
    if (!keeps) ftruncateSync(file, start);
    throw error;
  } finally {
    closeSync(file);
  }
}

/** A chunk says where it goes (`first-last`); it has to be the next one. */
function checkContentRange(exchange: Exchange, name: string, id: string, size: number): void {
  const { request } = exchange;
  const header = request.headers["content-range"];
  if (header === undefined) return;
  const match = /^(\d+)-(\d+)$/.exec(header);
  if (match === null) throw new RegistryError(400, "BLOB_UPLOAD_INVALID", `not a Content-Range: ${header}`);
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (first !== size) {
    const headers = uploadHeaders(exchange, name, id, size) as Record<string, string>;
    throw new RegistryError(416, "BLOB_UPLOAD_INVALID", `expected a chunk from ${size}, not ${first}`, headers);
  }
  const length = request.headers["content-length"];
  if (last < first || (length !== undefined && Number(length) !== last - first + 1)) {
    throw new RegistryError(400, "SIZE_INVALID", `Content-Range ${header} does not fit Content-Length ${length}`);
  }
}

async function finish(exchange: Exchange, name: string, id: string, digest: Digest): Promise<void> {
  const { disk, quirks } = exchange;
  const path = disk.uploadPath(name, id);
  lastChunk.delete(id);
  if (quirks.credulous !== true) {
    const hash = createHash(digestAlgorithm(digest));
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
    const actual = hash.digest("hex");
    if (actual !== digestHex(digest)) {
      await disk.deleteUpload(name, id);
      throw new RegistryError(400, "DIGEST_INVALID", `the bytes have digest ${actual}, not ${digest}`);
    }
  }
  await disk.adoptBlob(name, digest, path);
  const digestHeader: Headers = quirks.digestHeader === false ? {} : { "docker-content-digest": digest };
  const headers = { location: `/v2/${name}/blobs/${digest}`, ...digestHeader };
  answer(exchange, exchange.method === "PUT" ? (quirks.putStatus ?? 201) : 201, headers);
}

function uploadHeaders(exchange: Exchange, name: string, id: string, size: number): Headers {
  const path = `/v2/${name}/blobs/uploads/${id}`;
  const { uploadLocation = "path", uploadRange = `0-${Math.max(0, size - 1)}` } = exchange.quirks;
  const location = {
    path,
    absolute: `${exchange.origin}${path}`,
    query: `${path}?_state=${stateOf(id)}.${size}&x=a%2Fb`,
    elsewhere: `${exchange.uploadOrigin}${path}`,
  }[uploadLocation];
  return { location, ...(uploadRange !== false && { range: uploadRange }), "docker-upload-uuid": id };
}

/** Stands for the signed state that distribution keeps in the Location; the client must send it back unchanged. */
function stateOf(id: string): string {
  return Buffer.from(id).toString("base64url");
}
