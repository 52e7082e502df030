/** How an image's documents can say what is not so. Push such images to a registry with the quirk `credulous`. */
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { KitBlob } from "./build-image.ts";
import type { KitLayer } from "./build-layer.ts";

export interface BlobLies {
  /** The descriptor says this size. */
  readonly size?: number;
  /** The descriptor says this digest, and the honest bytes are stored under it. */
  readonly digest?: Digest;
  readonly mediaType?: string;
  /** The blob is not pushed. */
  readonly absent?: true;
  /** One bit in the middle of what is stored is flipped; descriptor, size and digest stay. */
  readonly corrupt?: true;
}

export interface ImageLies {
  /** By position from the lowest layer. */
  readonly layers?: Readonly<
    Record<number, BlobLies & { /** The config says this DiffID. */ readonly diffId?: Digest }>
  >;
  readonly config?: BlobLies;
  /** The manifest lists these after its layers; the config knows nothing of them. */
  readonly extraLayers?: readonly Descriptor[];
  /** The config lists these after its DiffIDs; the manifest knows nothing of them. */
  readonly extraDiffIds?: readonly Digest[];
  /** Fields laid over the manifest. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Fields laid over the config. */
  readonly configDocument?: Readonly<Record<string, unknown>>;
  /** The manifest is padded to exactly this many bytes, when it is smaller. */
  readonly manifestBytes?: number;
}

interface Told {
  readonly descriptor: Descriptor;
  readonly blob: KitBlob | undefined;
}

export function layerLie(layer: KitLayer, lies: BlobLies = {}): Told {
  return told(layer.bytes, layer.descriptor, lies);
}

export function configLie(bytes: Buffer, descriptor: Descriptor, lies: BlobLies = {}): Told {
  return told(bytes, descriptor, lies);
}

/** The document's JSON with white space behind it, which JSON allows. */
export function padTo(length: number, document: unknown): Buffer {
  return Buffer.from(JSON.stringify(document).padEnd(length, " "));
}

function told(bytes: Buffer, honest: Descriptor, lies: BlobLies): Told {
  const { absent, corrupt, ...said } = lies;
  const { mediaType = honest.mediaType, digest = honest.digest, size = honest.size } = said;
  const descriptor = { ...honest, mediaType, digest, size };
  if (absent === true) return { descriptor, blob: undefined };
  return { descriptor, blob: { digest, bytes: corrupt === true ? flipMiddleBit(bytes) : bytes } };
}

function flipMiddleBit(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
