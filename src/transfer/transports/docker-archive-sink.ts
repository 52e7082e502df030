/**
 * Images into an archive that `docker load` and skopeo read. It holds plain tars named by their diff IDs, so layers are
 * decompressed and manifests dropped: layer digests do not survive it, the config and with it the image ID do.
 */
import { stat } from "node:fs/promises";
import { decompress } from "../../codec/decompress.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { parseImageConfig } from "../../oci/config.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { Digester, digestHex, digestOf, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, type Index, type Manifest } from "../../oci/manifest.ts";
import { isConfigType, isLayerType } from "../../oci/media-types.ts";
import { formatReference, parseReference } from "../../oci/reference.ts";
import { ArchiveWriter, oneBlockHeader, TAR_BLOCK } from "./archive-writer.ts";
import { formatSavedImages, type SavedImage } from "./docker-save.ts";
import type { ImageSink, PutDocumentOptions } from "./types.ts";
import { collect, verified } from "./verified.ts";

export class DockerArchiveSink implements ImageSink {
  readonly #writer: ArchiveWriter;
  readonly #tag: string | undefined;
  /** Of each layer's blob, the digest of its tar. */
  readonly #diffIds = new Map<Digest, Digest>();
  readonly #written = new Set<string>();
  readonly #configs = new Map<Digest, Buffer>();
  readonly #images: SavedImage[] = [];

  private constructor(writer: ArchiveWriter, tag: string | undefined) {
    this.#writer = writer;
    this.#tag = tag;
  }

  /** @throws VarveError `TARGET_NOT_EMPTY` when the file has something in it, as it may be other images */
  static async open(path: string, options: { readonly tag?: string } = {}): Promise<DockerArchiveSink> {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === true && found.size > 0) {
      throw new VarveError(
        "TARGET_NOT_EMPTY",
        `${path} is there already, and images cannot be added to such an archive`,
        {
          hint: "remove it first, or choose another name",
        },
      );
    }
    return new DockerArchiveSink(await ArchiveWriter.open(path), options.tag);
  }

  /** Never: each archive is new. What it has no room for is said before anything is read for it. */
  async standsFor(root: Manifest | Index): Promise<boolean> {
    if (root.kind === "index") throw holdsNoIndex(root);
    const unknown = [root.config].filter(({ mediaType }) => !isConfigType(mediaType));
    const [part] = [...unknown, ...root.layers.filter(({ mediaType }) => !isLayerType(mediaType))];
    if (part !== undefined) throw unsupported(part);
    return false;
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    return this.#diffIds.has(descriptor.digest) || this.#configs.has(descriptor.digest);
  }

  async putBlob(descriptor: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const checked = verified(bytes, descriptor);
    if (isLayerType(descriptor.mediaType)) {
      await this.#putLayer(descriptor.digest, checked);
      return;
    }
    // Checked first, as what is not a layer is held in memory.
    if (!isConfigType(descriptor.mediaType)) throw unsupported(descriptor);
    const bytesOfConfig = await collect(checked, MAX_DOCUMENT_BYTES, `config ${descriptor.digest}`);
    this.#configs.set(descriptor.digest, bytesOfConfig);
  }

  async putDocument(document: Manifest | Index, options: PutDocumentOptions): Promise<void> {
    if (!options.root) return;
    if (document.kind === "index") throw holdsNoIndex(document);
    const name = options.name ?? this.#tag;
    const config = await this.#writeConfig(document);
    const layers = document.layers.map((layer) => layerName(this.#diffIdOf(layer)));
    this.#images.push({ config, layers, tags: name === undefined ? [] : [formatReference(parseReference(name))] });
  }

  async commit(): Promise<void> {
    await this.#writer.addBytes("manifest.json", Buffer.from(formatSavedImages(this.#images)));
    await this.#writer.commit();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#writer[Symbol.asyncDispose]();
  }

  #putLayer(digest: Digest, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const digester = new Digester();
    return this.#writer.addStream(hashed(decompress(bytes), digester), TAR_BLOCK, (size) => {
      const diffId = digester.digest();
      this.#diffIds.set(digest, diffId);
      const name = layerName(diffId);
      if (this.#written.has(name)) return undefined;
      this.#written.add(name);
      return oneBlockHeader(name, size);
    });
  }

  async #writeConfig({ config, layers, digest }: Manifest): Promise<string> {
    const bytes = this.#configs.get(config.digest);
    if (bytes === undefined) throw unsupported(config);
    const { diffIds } = parseImageConfig(bytes).rootfs;
    const computed = layers.map((layer) => this.#diffIdOf(layer));
    if (diffIds.length !== computed.length || !diffIds.every((diffId, at) => diffId === computed[at])) {
      throw new VarveError("DIFFID_MISMATCH", `the layers of ${digest} are not those of its config ${config.digest}`);
    }
    const name = `${digestHex(digestOf(bytes))}.json`;
    if (!this.#written.has(name)) await this.#writer.addBytes(name, bytes);
    this.#written.add(name);
    return name;
  }

  #diffIdOf(layer: Descriptor): Digest {
    const diffId = this.#diffIds.get(layer.digest);
    if (diffId === undefined) throw unsupported(layer);
    return diffId;
  }
}

function holdsNoIndex({ digest }: Index): VarveError {
  return new VarveError("USAGE", `${digest} is an index, and a docker-archive has images of one platform only`, {
    hint: "choose one with --platform, or copy to oci-archive: instead",
  });
}

function unsupported({ digest, mediaType }: Descriptor): VarveError {
  return new VarveError("MEDIA_TYPE_UNSUPPORTED", `a docker-archive cannot hold ${digest}: it is ${mediaType}`, {
    hint: "copy it to oci-archive: instead",
  });
}

function layerName(diffId: Digest): string {
  return `${digestHex(diffId)}.tar`;
}

async function* hashed(
  bytes: AsyncIterable<Uint8Array>,
  digester: Digester,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    digester.update(chunk);
    yield chunk;
  }
}
