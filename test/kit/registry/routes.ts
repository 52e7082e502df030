/** Which endpoint a path names: distribution-spec "Endpoints". Names and tags that break the grammar are refused here. */
import { isDigest, type Digest } from "../../../src/oci/digest.ts";
import { RegistryError } from "./registry-error.ts";

export type Route =
  | { readonly kind: "base" }
  | { readonly kind: "manifest"; readonly name: string; readonly reference: Digest | string }
  | { readonly kind: "blob"; readonly name: string; readonly digest: Digest }
  | { readonly kind: "uploads"; readonly name: string }
  | { readonly kind: "upload"; readonly name: string; readonly id: string }
  | { readonly kind: "tags"; readonly name: string }
  | { readonly kind: "referrers"; readonly name: string; readonly digest: Digest };

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const ENDPOINT = /^\/v2\/(.+)\/(manifests|blobs|referrers|tags)\/(uploads\/?[^/]*|[^/]+)$/;

/** @throws RegistryError 400 or 404, as registries answer */
export function parseRoute(path: string): Route {
  if (path === "/v2/" || path === "/v2") return { kind: "base" };
  const match = ENDPOINT.exec(decode(path));
  if (match === null) throw new RegistryError(404, "UNSUPPORTED", `no such endpoint: ${path}`);
  const [, name = "", kind = "", rest = ""] = match;
  if (!NAME.test(name) || name.length > 255) throw new RegistryError(400, "NAME_INVALID", `invalid name: ${name}`);
  switch (kind) {
    case "manifests":
      if (rest.includes(":")) return { kind: "manifest", name, reference: asDigest(rest) };
      if (TAG.test(rest)) return { kind: "manifest", name, reference: rest };
      throw new RegistryError(404, "MANIFEST_INVALID", `neither a tag nor a digest: ${rest}`);
    case "blobs":
      if (rest.startsWith("uploads")) return uploadRoute(name, rest.slice("uploads".length));
      return { kind: "blob", name, digest: asDigest(rest) };
    case "referrers":
      return { kind: "referrers", name, digest: asDigest(rest) };
    default:
      if (rest !== "list") throw new RegistryError(404, "UNSUPPORTED", `no such endpoint: ${path}`);
      return { kind: "tags", name };
  }
}

/** @throws RegistryError 400 DIGEST_INVALID */
export function asDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new RegistryError(400, "DIGEST_INVALID", `not a digest: ${text}`);
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new RegistryError(400, "NAME_INVALID", `not a path: ${path}`);
  }
}

function uploadRoute(name: string, rest: string): Route {
  if (rest === "" || rest === "/") return { kind: "uploads", name };
  const id = rest.slice(1);
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", `no such upload: ${id}`);
  return { kind: "upload", name, id };
}
