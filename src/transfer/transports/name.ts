/**
 * Names of images with their transports, as skopeo writes them (containers-transports(5)): `oci:DIR[:TAG]`,
 * `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REFERENCE]`; anything else is a reference. A path ends at the first colon;
 * `:@N` chooses the Nth image of a layout or archive, from 0.
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { formatReference, parseReference, type Reference } from "../../oci/reference.ts";

export type FileTransport = "oci" | "oci-archive" | "docker-archive";

export interface FileImageName {
  readonly transport: FileTransport;
  readonly path: string;
  /**
   * The image in it: for oci forms the annotation `org.opencontainers.image.ref.name`, for docker-archive a full reference with
   * tag, `docker.io/library/debian:12`.
   */
  readonly tag?: string;
  /** The image's place in it, from 0; never beside `tag`. */
  readonly position?: number;
}

export interface RegistryImageName {
  readonly transport: "registry";
  readonly reference: Reference;
  /** Whether it said `docker://`, and so cannot mean an image of the store. */
  readonly explicit: boolean;
}

export type ImageName = FileImageName | RegistryImageName;

const FILE_TRANSPORTS: readonly FileTransport[] = ["oci", "oci-archive", "docker-archive"];
/** Of containers-transports(5), but not of varve. */
const FOREIGN_TRANSPORTS = ["containers-storage", "dir", "docker-daemon", "ostree", "sif", "tarball"];
/** What skopeo allows as the name of an image in a layout. */
const LAYOUT_TAG = /^[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:\/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*$/;
const MAX_TAG_LENGTH = 512;

/** @throws VarveError `REFERENCE_INVALID` */
export function parseImageName(text: string): ImageName {
  const transport = FILE_TRANSPORTS.find((name) => text.startsWith(`${name}:`));
  if (transport !== undefined) return parseFileName(transport, text.slice(transport.length + 1));
  try {
    return { transport: "registry", reference: parseReference(text), explicit: text.startsWith("docker://") };
  } catch (error) {
    const foreign = FOREIGN_TRANSPORTS.find((name) => text.startsWith(`${name}:`));
    if (foreign === undefined || !isVarveError(error)) throw error;
    throw new VarveError("REFERENCE_INVALID", `varve has no transport ${foreign}:`, {
      hint: "it has docker://, oci:, oci-archive: and docker-archive:",
      cause: error,
    });
  }
}

/** The inverse of {@link parseImageName}, with references in full. */
export function formatImageName(name: ImageName): string {
  if (name.transport === "registry") return `${name.explicit ? "docker://" : ""}${formatReference(name.reference)}`;
  const image = name.position === undefined ? name.tag : `@${name.position}`;
  return `${name.transport}:${name.path}${image === undefined ? "" : `:${image}`}`;
}

function parseFileName(transport: FileTransport, rest: string): FileImageName {
  const colon = rest.indexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const image = colon < 0 ? "" : rest.slice(colon + 1);
  if (path === "" || path.includes("\0")) {
    throw new VarveError("REFERENCE_INVALID", `${transport}: is followed by no path`, { hint: hintFor(transport) });
  }
  if (image === "") return { transport, path };
  if (image.startsWith("@")) return { transport, path, position: parsePosition(transport, image.slice(1)) };
  return {
    transport,
    path,
    tag: transport === "docker-archive" ? parseArchiveTag(image) : parseLayoutTag(transport, image),
  };
}

function parsePosition(transport: FileTransport, text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new VarveError("REFERENCE_INVALID", `not the place of an image: ${shown(`@${text}`)}`, {
    hint: hintFor(transport),
  });
}

function parseLayoutTag(transport: FileTransport, text: string): string {
  // The length comes first: the grammar is checked in time linear in it, but it goes into file names and messages.
  if (text.length <= MAX_TAG_LENGTH && LAYOUT_TAG.test(text)) return text;
  throw new VarveError("REFERENCE_INVALID", `not a name for an image in a layout: ${shown(text)}`, {
    hint: `${hintFor(transport)}; the path has no colon`,
  });
}

function parseArchiveTag(text: string): string {
  const reference = parseReference(text);
  if (reference.tag === undefined || reference.digest !== undefined) {
    throw new VarveError("REFERENCE_INVALID", `an image in a docker-archive has a tag and no digest: ${shown(text)}`, {
      hint: hintFor("docker-archive"),
    });
  }
  return formatReference(reference);
}

function hintFor(transport: FileTransport): string {
  const path = transport === "oci" ? "DIR" : "FILE";
  return `write it as ${transport}:${path}, ${transport}:${path}:${transport === "docker-archive" ? "NAME:" : ""}TAG or ${transport}:${path}:@N`;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 160));
}
