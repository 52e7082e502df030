/** Which endpoint a path names: distribution-spec "Endpoints". Names and tags that break the grammar are refused here. */
import { isDigest, type Digest } from "../../oci/digest.ts";
import { isTag } from "../../oci/reference.ts";
import { RegistryError } from "./registry-error.ts";

export type Route =
  | { readonly kind: "base" }
  | { readonly kind: "manifest"; readonly name: string; readonly reference: Digest | string }
  | { readonly kind: "blob"; readonly name: string; readonly digest: Digest }
  | { readonly kind: "uploads"; readonly name: string }
  | { readonly kind: "upload"; readonly name: string; readonly id: string }
  | { readonly kind: "tags"; readonly name: string }
  | { readonly kind: "referrers"; readonly name: string; readonly digest: Digest };

const MAX_NAME_LENGTH = 255;
/** Twice the longest that can be right, were all of it escaped. */
const MAX_PATH_LENGTH = 4096;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
/** A registry in front of a name, for who asks for what is mirrored: `docker.io`, `localhost:5000`, `[::1]:5000`. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;
const ENDPOINT = /^\/v2\/(.+)\/(manifests|blobs|referrers|tags)\/(uploads(?:\/[^/]*)?|[^/]+)$/;
const UPLOAD_ID = /^[0-9a-f-]{36}$/;

/** @throws RegistryError 400 or 404, as registries answer */
export function parseRoute(path: string): Route {
  if (path === "/v2/" || path === "/v2") return { kind: "base" };
  const match = path.length > MAX_PATH_LENGTH ? null : ENDPOINT.exec(decode(path));
  if (match === null) throw new RegistryError(404, "UNSUPPORTED", `no such endpoint: ${shown(path)}`);
  const [, name = "", kind = "", rest = ""] = match;
  if (!isName(name, true)) throw new RegistryError(400, "NAME_INVALID", `invalid name: ${shown(name)}`);
  switch (kind) {
    case "manifests":
      if (rest.includes(":")) return { kind: "manifest", name, reference: asDigest(rest) };
      if (isTag(rest)) return { kind: "manifest", name, reference: rest };
      throw new RegistryError(404, "MANIFEST_INVALID", `neither a tag nor a digest: ${shown(rest)}`);
    case "blobs":
      if (rest === "uploads" || rest === "uploads/") return { kind: "uploads", name };
      if (rest.startsWith("uploads/")) return { kind: "upload", name, id: asUploadId(rest.slice("uploads/".length)) };
      return { kind: "blob", name, digest: asDigest(rest) };
    case "referrers":
      return { kind: "referrers", name, digest: asDigest(rest) };
    default:
      if (rest !== "list") throw new RegistryError(404, "UNSUPPORTED", `no such endpoint: ${shown(path)}`);
      return { kind: "tags", name };
  }
}

/** Whether a repository may be called so; with `host`, also one of another registry. */
export function isName(name: string, host: boolean): boolean {
  if (name.length > MAX_NAME_LENGTH) return false;
  const [first = "", ...rest] = name.split("/");
  const isFirst = COMPONENT.test(first) || (host && rest.length > 0 && HOST.test(first));
  return isFirst && rest.every((part) => COMPONENT.test(part));
}

/** @throws RegistryError 400 DIGEST_INVALID */
export function asDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new RegistryError(400, "DIGEST_INVALID", `not a digest: ${shown(text)}`);
}

function asUploadId(text: string): string {
  if (UPLOAD_ID.test(text)) return text;
  throw new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", `no such upload: ${shown(text)}`);
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new RegistryError(400, "NAME_INVALID", `not a path: ${shown(path)}`);
  }
}

/** In an error, in JSON: not longer than anybody reads. */
function shown(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}...` : text;
}
