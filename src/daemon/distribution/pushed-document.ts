/**
 * What a registry reads of a manifest that is pushed: what it refers to, and what it says it is. Not more, because artifacts bring fields and
 * types that nobody here knows; what would mean one thing to one reader and another to the next is refused.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { MEDIA_TYPES, stripParameters } from "../../oci/media-types.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../oci/strict-json.ts";
import { RegistryError } from "./registry-error.ts";

/** Something that a manifest needs. */
export interface NeededContent {
  /** As it stands there; perhaps of an algorithm that nobody here knows. */
  readonly digest: string;
  /** Fetched from elsewhere by those who want it (image-spec "Non-Distributable Layers"). */
  readonly isForeign: boolean;
}

export interface PushedDocument {
  readonly mediaType: string;
  /** Config and layers. */
  readonly blobs: readonly NeededContent[];
  /** Of an index. */
  readonly manifests: readonly NeededContent[];
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Types that no browser takes for a page, whatever was pushed. */
const TYPE = /^application\/(?:vnd\.[a-z0-9!#$&^_.+-]+|json|octet-stream)$/;
const MAX_TYPE_LENGTH = 255;

/** @throws RegistryError 400 MANIFEST_INVALID */
export function readPushed(bytes: Uint8Array, contentType: string | undefined): PushedDocument {
  const value = parsed(bytes);
  if (!isObject(value)) throw invalid("it is no JSON object");
  if (value["manifests"] != null && (value["layers"] != null || value["config"] != null)) {
    // GHSA-5j5w-g665-5m35: one digest that is an index to one reader and a manifest to another.
    throw invalid("manifests stands beside layers or config");
  }
  const mediaType = typeOf(value, contentType);
  const subject = value["subject"] == null ? undefined : digestIn(value["subject"], "subject");
  if (subject !== undefined && !isDigest(subject)) throw invalid(`subject has no digest that is known here`);
  const artifactType = value["artifactType"];
  const config = value["config"] == null ? [] : [neededIn(value["config"], "config")];
  return {
    mediaType,
    blobs: [...config, ...listIn(value, "layers"), ...listIn(value, "blobs")],
    manifests: listIn(value, "manifests"),
    ...(subject !== undefined && { subject }),
    ...(typeof artifactType === "string" && artifactType !== "" ? { artifactType } : configType(value)),
    ...(isStringMap(value["annotations"]) && { annotations: value["annotations"] }),
  };
}

/** By which it is listed among the referrers of its subject; of an index nothing stands in for the type that it does not name. */
export function entryOf(document: PushedDocument, digest: Digest, size: number): Descriptor {
  const { mediaType, artifactType, annotations } = document;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
}

function typeOf(value: JsonObject, contentType: string | undefined): string {
  const own = value["mediaType"];
  if (own != null && typeof own !== "string") throw invalid("mediaType is no string");
  const stated = contentType === undefined ? undefined : stripParameters(contentType);
  if (own != null && stated !== undefined && own !== stated) {
    throw invalid(`it was sent as ${shown(stated)}, and its mediaType is ${shown(own)}`);
  }
  const shape = value["manifests"] == null ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.ociIndex;
  const type = stated ?? own ?? shape;
  if (type.length > MAX_TYPE_LENGTH || !TYPE.test(type)) throw invalid(`${shown(type)} is no type of a manifest`);
  return type;
}

function configType(value: JsonObject): { readonly artifactType?: string } {
  const config = value["config"];
  const type = isObject(config) ? config["mediaType"] : undefined;
  return typeof type === "string" ? { artifactType: type } : {};
}

function listIn(value: JsonObject, name: string): NeededContent[] {
  const list = value[name] ?? [];
  if (!Array.isArray(list)) throw invalid(`${name} is no list`);
  return list.map((entry) => neededIn(entry, name));
}

function neededIn(value: JsonValue, name: string): NeededContent {
  const urls = isObject(value) ? value["urls"] : undefined;
  const type = isObject(value) ? value["mediaType"] : undefined;
  const isForeign =
    (Array.isArray(urls) && urls.length > 0) || (typeof type === "string" && /nondistributable|foreign/.test(type));
  return { digest: digestIn(value, name), isForeign };
}

function digestIn(value: JsonValue | undefined, name: string): string {
  const digest = isObject(value) ? value["digest"] : undefined;
  if (typeof digest === "string") return digest;
  throw invalid(`${name} has no digest`);
}

function parsed(bytes: Uint8Array): JsonValue {
  try {
    return parseJson(bytes, "the manifest");
  } catch (error) {
    if (isVarveError(error)) throw invalid(error.message);
    throw error;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStringMap(value: JsonValue | undefined): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((entry) => typeof entry === "string");
}

function invalid(why: string): RegistryError {
  return new RegistryError(400, "MANIFEST_INVALID", why);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 160));
}
