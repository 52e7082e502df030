/** The quirks as hooks of the daemon's own handler: what it is kept from doing, what is answered in its place, and what its heads become. */
import type { IncomingMessage } from "node:http";
import { answer, type Exchange, type Headers } from "../../../src/daemon/distribution/exchange.ts";
import type { Head, RegistryHooks } from "../../../src/daemon/distribution/options.ts";
import { RegistryError } from "../../../src/daemon/distribution/registry-error.ts";
import type { Upload } from "../../../src/daemon/distribution/upload.ts";
import type { Uploads } from "../../../src/daemon/distribution/uploads.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { BlobOrigin } from "./blob-origin.ts";
import { putAnything } from "./credulous.ts";
import type { RegistryDisk } from "./disk.ts";
import type { RegistryQuirks } from "./quirks.ts";

export interface OddRegistry {
  readonly disk: RegistryDisk;
  readonly uploads: Pick<Uploads, "find">;
  /** As they are now. */
  readonly quirks: () => RegistryQuirks;
  readonly scheme: string;
  readonly blobOrigin: () => BlobOrigin | undefined;
  /** `http://host:port` of the second origin for uploads. */
  readonly uploadOrigin: () => string;
}

/** The upload that a request is about, for the head of its answer. */
const uploadsOf = new WeakMap<IncomingMessage, Upload>();

/** Where the last chunk of uploads that go on began, for registries that demand a least length of all but the last. */
const chunkStarts = new WeakMap<Upload, number>();

export function oddities(odd: OddRegistry): Required<RegistryHooks> {
  return {
    before: (exchange) => before(odd, exchange),
    head: (exchange, head) => headOf(odd, exchange, head),
    receiving({ request }) {
      const { uploadTroubles, keepsPartial } = odd.quirks();
      const cut = request.headers["content-length"] === "0" ? undefined : uploadTroubles?.nextCut();
      return { keeps: keepsPartial !== false, ...(cut !== undefined && { cut }) };
    },
  };
}

async function before(odd: OddRegistry, exchange: Exchange): Promise<boolean> {
  const { method, query, request, route } = exchange;
  const quirks = odd.quirks();
  if (quirks.etag !== true) for (const name of ["if-none-match", "if-match"]) delete request.headers[name];
  switch (route.kind) {
    case "manifest":
      if (method === "HEAD" && quirks.manifestHead !== undefined) return answered(exchange, quirks.manifestHead);
      if (method !== "PUT" || quirks.credulous !== true || quirks.push === false) return false;
      await putAnything(exchange, odd.disk, route.name, route.reference);
      return true;
    case "blob":
      return beforeBlob(odd, exchange, route.name, route.digest);
    case "referrers":
      if (quirks.referrers === false) throw new RegistryError(404, "UNSUPPORTED", "no referrers API");
      if (typeof quirks.referrers === "number") throw new RegistryError(quirks.referrers, "UNKNOWN", "not today");
      if (quirks.referrersFilter === false) query.delete("artifactType");
      return false;
    case "uploads":
      if (quirks.push !== false) refuseLong(quirks, request);
      if (quirks.mount === false) query.delete("mount");
      if (quirks.monolithicPost === false) query.delete("digest");
      return false;
    case "upload":
      return quirks.push !== false && beforeUpload(odd, exchange, route.name, route.id);
    case "base":
    case "tags":
      return false;
  }
}

function answered(exchange: Exchange, status: number, headers: Headers = {}): true {
  answer(exchange, status, headers);
  return true;
}

async function beforeBlob(odd: OddRegistry, exchange: Exchange, name: string, digest: Digest): Promise<boolean> {
  const { method, request, response } = exchange;
  const quirks = odd.quirks();
  if (method === "HEAD" && quirks.blobHead !== undefined) return answered(exchange, quirks.blobHead);
  if (method !== "GET" || (await odd.disk.statBlob(name, digest)) === undefined) return false;
  const origin = quirks.blobRedirect === undefined ? undefined : odd.blobOrigin();
  if (origin !== undefined) return answered(exchange, 307, { location: origin.sign(digest) });
  return quirks.egress?.refuses(response) === true || beforeRanges(quirks, exchange, request);
}

/** @returns true when they were refused */
export function beforeRanges(quirks: RegistryQuirks, exchange: Exchange, request: IncomingMessage): boolean {
  if (quirks.etag !== true) delete request.headers["if-none-match"];
  const isSeveral = request.headers.range?.includes(",") === true;
  if (isSeveral && typeof quirks.multiRange === "number") return answered(exchange, quirks.multiRange);
  if (quirks.ranges === "ignore" || (isSeveral && quirks.multiRange === "whole")) delete request.headers.range;
  return false;
}

async function beforeUpload(odd: OddRegistry, exchange: Exchange, name: string, id: string): Promise<boolean> {
  const { method, query, request } = exchange;
  const quirks = odd.quirks();
  refuseLong(quirks, request);
  if (cutsLong(quirks, request)) return true;
  if (method === "PATCH" && quirks.patchRefused !== undefined) {
    throw new RegistryError(quirks.patchRefused, "UNSUPPORTED", "no chunks");
  }
  const upload = await odd.uploads.find(name, id);
  if (upload === undefined) return false;
  uploadsOf.set(request, upload);
  const { size } = upload;
  if (quirks.uploadTroubles?.loses(size) === true || isStale(quirks, query, upload)) await upload.discard();
  const isUnknown = quirks.uploadLocation === "query" && !(query.get("_state") ?? "").startsWith(stateOf(id));
  if (isUnknown) throw new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", `no such upload: ${id}`);
  if (method === "PATCH") refuseShort(quirks, upload);
  const isEmpty = request.headers["content-length"] === "0" || request.headers["transfer-encoding"] === undefined;
  const hasBody = Number(request.headers["content-length"] ?? 0) > 0 || !isEmpty;
  if (method === "PUT" && quirks.emptyPut === false && size > 0 && !hasBody) {
    throw new RegistryError(400, "BLOB_UPLOAD_INVALID", "the last part has no bytes");
  }
  return false;
}

/** Without reading what it refuses, as proxies do. */
function refuseLong(quirks: RegistryQuirks, request: IncomingMessage): void {
  const length = Number(request.headers["content-length"] ?? 0);
  if (length > (quirks.bodyLimit ?? Infinity)) throw new RegistryError(413, "SIZE_INVALID", `${length} bytes at once`);
}

/** After some of the body, for a client that writes more to be told by the reset alone. */
function cutsLong(quirks: RegistryQuirks, request: IncomingMessage): boolean {
  const length = Number(request.headers["content-length"] ?? 0);
  if (length <= (quirks.bodyReset ?? Infinity)) return false;
  request.once("data", () => request.socket.resetAndDestroy());
  return true;
}

/** The Location that was asked at is not that of the last answer. */
function isStale(quirks: RegistryQuirks, query: URLSearchParams, { id, size }: Upload): boolean {
  if (quirks.uploadLocation !== "query" || quirks.staleLocationEnds !== true) return false;
  return query.get("_state") !== `${stateOf(id)}.${size}`;
}

function refuseShort({ chunkMinLength = 0 }: RegistryQuirks, upload: Upload): void {
  const added = upload.size - (chunkStarts.get(upload) ?? 0);
  if (added > 0 && added < chunkMinLength) {
    throw new RegistryError(416, "BLOB_UPLOAD_INVALID", `the chunk before was smaller than ${chunkMinLength} bytes`);
  }
  chunkStarts.set(upload, upload.size);
}

function headOf(odd: OddRegistry, exchange: Exchange, { status, headers }: Head): Head {
  const { method, request, route } = exchange;
  const quirks = odd.quirks();
  const changed: Record<string, Headers[string]> = { ...headers };
  const { location } = headers;
  if (quirks.digestHeader === false) delete changed["docker-content-digest"];
  if (quirks.etag !== true) delete changed["etag"];
  if (quirks.referrers === false) delete changed["oci-subject"];
  if (route.kind === "manifest" && status === 200 && quirks.contentTypeParameters === true) {
    changed["content-type"] = `${String(headers["content-type"])}; charset=utf-8`;
  }
  if (route.kind === "blob") {
    if (quirks.ranges === "ignore") delete changed["accept-ranges"];
    if (quirks.blobsWithoutLength === true && status === 200 && method === "GET") delete changed["content-length"];
  }
  if (route.kind === "uploads" && status === 202 && quirks.chunkMinLength !== undefined) {
    changed["oci-chunk-min-length"] = quirks.chunkMinLength;
  }
  if (typeof location === "string" && location.includes("/uploads/")) {
    const size = uploadsOf.get(request)?.size ?? 0;
    changed["location"] = placeOf(odd, request, location, size);
    if (quirks.uploadRange === false) delete changed["range"];
    else if (quirks.uploadRange !== undefined) changed["range"] = quirks.uploadRange;
  }
  return { status: statusOf(quirks, exchange, status), headers: changed };
}

function statusOf({ patchStatus, putStatus }: RegistryQuirks, { method, route }: Exchange, status: number): number {
  if (route.kind !== "upload") return status;
  if (method === "PATCH" && status === 202) return patchStatus ?? 202;
  return method === "PUT" && status === 201 ? (putStatus ?? 201) : status;
}

function placeOf(odd: OddRegistry, request: IncomingMessage, path: string, size: number): string {
  const id = path.slice(path.lastIndexOf("/") + 1);
  return {
    path,
    absolute: `${odd.scheme}://${request.headers.host ?? ""}${path}`,
    query: `${path}?_state=${stateOf(id)}.${size}&x=a%2Fb`,
    elsewhere: `${odd.uploadOrigin()}${path}`,
  }[odd.quirks().uploadLocation ?? "path"];
}

/** Stands for the signed state that distribution keeps in the Location; the client must send it back unchanged. */
function stateOf(id: string): string {
  return Buffer.from(id).toString("base64url");
}
