/** Pushing blobs, distribution-spec "Pushing blobs": POST alone, POST and PUT, chunks, streams, mounts, status, cancel. */
import { digestAlgorithm, type Digest, type DigestAlgorithm } from "../../oci/digest.ts";
import { allowMethods, answer, type Exchange, type Headers } from "./exchange.ts";
import type { HostedContent } from "./hosted-content.ts";
import { RegistryError } from "./registry-error.ts";
import { asDigest, isName } from "./routes.ts";
import type { Upload } from "./upload.ts";
import { writing } from "./writing.ts";

/** POST of a repository's `blobs/uploads/`. */
export async function handleUploads(exchange: Exchange, name: string): Promise<void> {
  allowMethods(exchange, "POST");
  const { query, asked } = exchange;
  const { repositories, uploads } = await writing(exchange, "push", name);
  const mount = query.get("mount");
  if (mount !== null && (await mountBlob(exchange, repositories, name, asDigest(mount)))) return;
  const digest = query.get("digest");
  const wanted = digest === null ? undefined : asDigest(digest);
  const upload = await uploads.start(name, wanted === undefined ? algorithmIn(query) : digestAlgorithm(wanted));
  if (wanted === undefined) {
    exchange.request.resume();
    return answer(exchange, 202, uploadHeaders(upload));
  }
  try {
    await upload.turn(asked.signal, async (signal) => {
      await receive(exchange, upload, signal);
      await finish(exchange, repositories, upload, wanted, signal);
    });
  } finally {
    // Nobody was told its name.
    if (!upload.hasEnded) await upload.discard();
  }
}

/** PATCH, PUT, GET and DELETE of one upload. */
export async function handleUpload(exchange: Exchange, name: string, id: string): Promise<void> {
  allowMethods(exchange, "PATCH", "PUT", "GET", "DELETE");
  const { method, query, asked } = exchange;
  const { repositories, uploads } = await writing(exchange, "push", name);
  const upload = await uploads.find(name, id);
  if (upload === undefined) throw gone(id);
  if (method === "GET") return answer(exchange, 204, uploadHeaders(upload));
  // Before anything is read: what is nonsense needs no body.
  const digest = method === "PUT" ? asDigest(query.get("digest") ?? "") : undefined;
  await upload.turn(asked.signal, async (signal) => {
    if (upload.hasEnded) throw gone(id);
    if (method === "DELETE") {
      await upload.discard();
      return answer(exchange, 204);
    }
    await receive(exchange, upload, signal);
    if (digest !== undefined) return finish(exchange, repositories, upload, digest, signal);
    answer(exchange, 202, uploadHeaders(upload));
  });
}

/** True when the blob was mounted and the answer sent; otherwise the upload goes on as if no mount was asked for. */
async function mountBlob(
  exchange: Exchange,
  repositories: HostedContent,
  name: string,
  digest: Digest,
): Promise<boolean> {
  const from = exchange.query.get("from") ?? undefined;
  if (from !== undefined && !(isName(from, false) && (await mayPull(exchange, from)))) return false;
  if (!(await repositories.mountBlob(name, digest, from))) return false;
  exchange.request.resume();
  answer(exchange, 201, { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest });
  return true;
}

async function mayPull({ options, request }: Exchange, name: string): Promise<boolean> {
  try {
    await options.authorize?.(request, { name, actions: ["pull"] });
    return true;
  } catch {
    return false;
  }
}

/** @throws RegistryError 400 */
function algorithmIn(query: URLSearchParams): DigestAlgorithm {
  const algorithm = query.get("digest-algorithm") ?? "sha256";
  if (algorithm === "sha256" || algorithm === "sha512") return algorithm;
  throw new RegistryError(400, "DIGEST_INVALID", `no algorithm that is known here: ${algorithm.slice(0, 160)}`);
}

async function receive(exchange: Exchange, upload: Upload, signal: AbortSignal): Promise<void> {
  checkContentRange(exchange, upload);
  await upload.receive(exchange.request, { signal, ...exchange.options.hooks?.receiving?.(exchange) });
}

/** A chunk says where it goes (`first-last`); it has to be the next one. */
function checkContentRange({ request }: Exchange, upload: Upload): void {
  const header = request.headers["content-range"];
  if (header === undefined) return;
  const match = /^(?:bytes )?(\d{1,16})-(\d{1,16})(?:\/.*)?$/.exec(header);
  if (match === null) throw new RegistryError(400, "BLOB_UPLOAD_INVALID", "Content-Range is not FIRST-LAST");
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (first !== upload.size) {
    const why = `expected a chunk from ${upload.size}, not ${first}`;
    throw new RegistryError(416, "BLOB_UPLOAD_INVALID", why, uploadHeaders(upload));
  }
  const length = request.headers["content-length"];
  if (last < first || (length !== undefined && Number(length) !== last - first + 1)) {
    throw new RegistryError(400, "SIZE_INVALID", `Content-Range ${header} does not fit Content-Length ${length}`);
  }
}

/** The bytes are the digest's before anybody can see them under it. */
async function finish(
  exchange: Exchange,
  repositories: HostedContent,
  upload: Upload,
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const actual = await upload.digest(digestAlgorithm(digest), signal);
  if (actual !== digest) {
    await upload.discard();
    throw new RegistryError(400, "DIGEST_INVALID", `the bytes have digest ${actual}, not ${digest}`);
  }
  await repositories.adoptBlob(upload.name, digest, upload.path, signal);
  await upload.discard();
  answer(exchange, 201, { location: `/v2/${upload.name}/blobs/${digest}`, "docker-content-digest": digest });
}

function uploadHeaders({ name, id, size }: Upload): Record<string, string> {
  return {
    location: `/v2/${name}/blobs/uploads/${id}`,
    range: `0-${Math.max(0, size - 1)}`,
    "docker-upload-uuid": id,
  } satisfies Headers;
}

function gone(id: string): RegistryError {
  return new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", `no such upload: ${id}`);
}
