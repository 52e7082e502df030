/**
 * Images out of an archive of `docker save` or skopeo. It has no manifest and no digests, so an OCI manifest is made: the config
 * as it is, so that the image ID stays, and the layers as the plain tars whose digests are the config's diff IDs. The content
 * is held to them as it is read. Old archives have layers as links to others; newer ones may have them compressed.
 */
import { decompress } from "../../codec/decompress.ts";
import { sniffCompression, SNIFF_BYTES } from "../../codec/sniff.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { parseImageConfig, type ImageConfig } from "../../oci/config.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { Digester, digestAlgorithm, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { ArchiveFile } from "./archive-file.ts";
import type { ArchiveMember } from "./archive-index.ts";
import { chooseSavedImage, parseSavedImages, type SavedImage } from "./docker-save.ts";
import { MAX_INDEX_BYTES } from "./layout-index.ts";
import type { OpenArchiveOptions } from "./oci-archive.ts";
import { dropUntil } from "./restartable-blob.ts";
import type { ImageSource } from "./types.ts";
import { verified } from "./verified.ts";

interface SavedLayer {
  readonly descriptor: Descriptor;
  readonly member: ArchiveMember;
  readonly isCompressed: boolean;
}

export class DockerArchiveSource implements ImageSource {
  readonly #archive: ArchiveFile;
  readonly #config: ImageConfig;
  readonly #layers: ReadonlyMap<Digest, SavedLayer>;
  readonly #manifest: Manifest | Index;

  private constructor(archive: ArchiveFile, config: ImageConfig, layers: readonly SavedLayer[]) {
    this.#archive = archive;
    this.#config = config;
    this.#layers = new Map(layers.map((layer) => [layer.descriptor.digest, layer]));
    this.#manifest = manifestOf(config, layers);
  }

  /**
   * Finds the members of the archive; compressed layers are read once to learn their size.
   *
   * @throws VarveError `FILE_NOT_FOUND`, `ARCHIVE_INVALID`, `CONFIG_INVALID`, `DIFFID_MISMATCH`, `MANIFEST_UNKNOWN`, or
   * `REFERENCE_INVALID` when it has several images and none was chosen
   */
  static async open(path: string, options: OpenArchiveOptions = {}): Promise<DockerArchiveSource> {
    const archive = await ArchiveFile.open(path, options.signal);
    try {
      const image = await readSavedImage(archive, options);
      const config = await readConfig(archive, image);
      const layers: SavedLayer[] = [];
      for (const [at, diffId] of config.rootfs.diffIds.entries()) {
        layers.push(await openLayer(archive, image.layers[at] ?? "", diffId, options.signal));
      }
      return new DockerArchiveSource(archive, config, layers);
    } catch (error) {
      await archive[Symbol.asyncDispose]();
      throw error;
    }
  }

  async root(): Promise<Manifest | Index> {
    return this.#manifest;
  }

  async document(descriptor: Descriptor): Promise<Manifest | Index> {
    if (descriptor.digest === this.#manifest.digest) return this.#manifest;
    throw this.#unknown(descriptor);
  }

  async *blob(descriptor: Descriptor, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    if (descriptor.digest === this.#config.digest) {
      yield Buffer.from(this.#config.bytes);
      return;
    }
    const layer = this.#layers.get(descriptor.digest);
    if (layer === undefined) throw this.#unknown(descriptor);
    const bytes = readLayer(this.#archive, layer.member, signal);
    yield* verified(bytes, descriptor, { signal, code: "DIFFID_MISMATCH" });
  }

  /** Read from there where the layer lies in the archive as it is, else from its beginning. */
  blobFrom(descriptor: Descriptor, start: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const layer = this.#layers.get(descriptor.digest);
    if (layer === undefined || layer.isCompressed) {
      return dropUntil(start, this.blob(descriptor, signal));
    }
    return this.#archive.readFrom(layer.member, start, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#archive[Symbol.asyncDispose]();
  }

  #unknown({ digest }: Descriptor): VarveError {
    return new VarveError("BLOB_UNKNOWN", `${this.#archive.path} has nothing with the digest ${digest}`);
  }
}

async function readSavedImage(archive: ArchiveFile, options: OpenArchiveOptions): Promise<SavedImage> {
  const bytes = await archive.readSmall("manifest.json", MAX_INDEX_BYTES);
  if (bytes !== undefined) return chooseSavedImage(parseSavedImages(bytes, archive.path), options, archive.path);
  const isLayout = archive.find("index.json") !== undefined;
  throw new VarveError("ARCHIVE_INVALID", `${archive.path} has no manifest.json, so it is not of docker save`, {
    hint: isLayout
      ? `it is of an image layout: name it oci-archive:${archive.path}`
      : "save it again with Docker 1.10 or later",
  });
}

async function readConfig(archive: ArchiveFile, image: SavedImage): Promise<ImageConfig> {
  const bytes = await archive.readSmall(image.config, MAX_DOCUMENT_BYTES);
  if (bytes === undefined) throw missing(archive, image.config);
  const config = parseImageConfig(bytes);
  const { length } = config.rootfs.diffIds;
  if (image.layers.length === length) return config;
  throw new VarveError(
    "ARCHIVE_INVALID",
    `${archive.path} has ${image.layers.length} layers, but the image's config has ${length} diff_ids`,
  );
}

async function openLayer(
  archive: ArchiveFile,
  name: string,
  diffId: Digest,
  signal: AbortSignal | undefined,
): Promise<SavedLayer> {
  const member = archive.find(name);
  if (member === undefined) throw missing(archive, name);
  const isPacked = await isCompressed(archive, member);
  const size = isPacked ? await measure(archive, member, diffId, signal) : member.size;
  return { member, descriptor: { mediaType: MEDIA_TYPES.ociLayer, digest: diffId, size }, isCompressed: isPacked };
}

async function isCompressed(archive: ArchiveFile, member: ArchiveMember): Promise<boolean> {
  const head = archive.read({ ...member, sparse: undefined, storedSize: Math.min(member.storedSize, SNIFF_BYTES) });
  for await (const bytes of head) return sniffCompression(bytes) !== "none";
  return false;
}

/** The size of a compressed layer's tar, which is not believed before its digest is right. */
async function measure(
  archive: ArchiveFile,
  member: ArchiveMember,
  diffId: Digest,
  signal: AbortSignal | undefined,
): Promise<number> {
  const digester = new Digester(digestAlgorithm(diffId));
  for await (const chunk of readLayer(archive, member, signal)) digester.update(chunk);
  const digest = digester.digest();
  if (digest === diffId) return digester.size;
  throw new VarveError("DIFFID_MISMATCH", `layer ${diffId} in ${archive.path} is ${digest}`);
}

function readLayer(
  archive: ArchiveFile,
  member: ArchiveMember,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  return decompress(archive.read(member, signal), signal === undefined ? {} : { signal });
}

function manifestOf(config: ImageConfig, layers: readonly SavedLayer[]): Manifest | Index {
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: config.digest, size: config.bytes.length },
    layers: layers.map(({ descriptor }) => descriptor),
  };
  return parseManifest(Buffer.from(JSON.stringify(document)));
}

function missing(archive: ArchiveFile, name: string): VarveError {
  const message = `${archive.path} names ${JSON.stringify(name.slice(0, 160))}, but does not have it`;
  return new VarveError("ARCHIVE_INVALID", message);
}
