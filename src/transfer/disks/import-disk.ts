/**
 * The use case "disk import": a virtual machine's disk becomes an image as Tart pushes them (formats "tart" §1 and §2), and a disk of the store. What is
 * imported is copied first, or shared, so that it may go on being used; holes are never read.
 */
import { TART_TYPES } from "../../codec/tart/names.ts";
import { TART_CHUNK_BYTES } from "../../codec/tart/write-tart.ts";
import { zeroContents } from "../../codec/tart/zero-digests.ts";
import { COPY_CALLS } from "../../disk/copy-calls.ts";
import { CopySource } from "../../disk/copy-source.ts";
import { checkChunkSize } from "../../disk/import/chunk-plan.ts";
import type { DiskFormat } from "../../disk/import/disk-format.ts";
import { encodersHere } from "../../disk/import/encoders.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { formatReference, parseReference } from "../../oci/reference.ts";
import type { DiskContent, DiskInfo } from "../../store/disks/types.ts";
import type { TransferContext } from "../context.ts";
import { recordFound, takeBlobBack } from "../given-up.ts";
import type { ImportBase } from "./import-base.ts";
import { importChunks, type ImportedChunk } from "./import-chunks.ts";
import { checkCapacity, checkLabels, putDocuments, type MadeDocuments } from "./import-documents.ts";
import { ImportHold } from "./import-hold.ts";
import { readMachine, type Machine, type MachineOptions } from "./import-machine.ts";
import { stageDisk, type Staged } from "./import-stage.ts";

export interface ImportOptions extends MachineOptions {
  /** Default `auto`: by the first bytes of the file. */
  readonly format?: DiskFormat | "auto";
  /** Bytes of the disk in each chunk, a multiple of 64 KiB from 1 MiB to 1 GiB. Default 512 MiB, as Tart cuts them. */
  readonly chunkSize?: number;
  /** Of the image's config, beside the one that says of what format the disk is. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * An image of the store that the disk was made from: chunks that are in it unchanged keep its blobs, so that a push sends only the others, whoever encoded that
   * image. Default: all chunks are encoded.
   */
  readonly base?: string;
  /** Keep the disk and not the blobs, which are made of it again when they are wanted. Default false. */
  readonly discardBlobs?: boolean;
  /**
   * Whether an index of the pieces of each chunk is made, which refers to the image: pulls that find it fetch only pieces that they lack. Tart passes over it.
   * Default true.
   */
  readonly chunkIndex?: boolean;
  /** Seconds since 1970: the image's upload time. Default: now. */
  readonly sourceDateEpoch?: number;
}

export interface ImportResult {
  /** What was imported. */
  readonly source: string;
  /** In full. */
  readonly image: string;
  readonly digest: Digest;
  readonly imageId: Digest;
  /** What kind of image the file was. */
  readonly format: DiskFormat;
  readonly os: string;
  readonly architecture: string;
  readonly disk: {
    readonly key: Digest;
    readonly path: string;
    readonly size: number;
    readonly allocatedBytes: number;
  };
  readonly chunks: {
    /** Bytes of the disk in each but the last. */
    readonly size: number;
    readonly count: number;
    /** Different ones. */
    readonly distinct: number;
    /** Nothing but holes. */
    readonly holes: number;
    /** Those of the base. */
    readonly reused: number;
    /** Bytes of the different ones' blobs. */
    readonly blobBytes: number;
    readonly how: "kept" | "discarded";
  };
  /** The manifest of the chunk index, which refers to the image; null where none was made. */
  readonly chunkIndex: Digest | null;
  readonly durationMs: number;
  readonly peakRssBytes: number;
  readonly warnings: readonly string[];
}

/**
 * @param path a directory with `config.json`, `disk.img` and `nvram.bin`, or a disk alone
 * @param name what the image is called; what it stood for before loses it
 * @throws VarveError `USAGE`, `REFERENCE_INVALID`, `FILE_NOT_FOUND`, `PATH_INVALID`, `CONFIG_INVALID`, `DISK_UNREADABLE`, `MANIFEST_TOO_LARGE`,
 * `SOURCE_CHANGED`, `NO_SPACE` ...; nothing stays in the store then
 */
export async function importDisk(
  context: TransferContext,
  path: string,
  name: string,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const startedAt = performance.now();
  const { chunkSize = TART_CHUNK_BYTES, format = "auto", labels = {} } = options;
  const { discardBlobs = false, chunkIndex = true } = options;
  const image = imageName(name);
  checkChunkSize(chunkSize);
  checkLabels(labels);
  const machine = await readMachine(path, machineOptions(options));
  const { store, signal } = context;
  await using hold = await ImportHold.begin(store);
  await using base = options.base === undefined ? undefined : await openBase(context, options.base);
  const checkSize = (bytes: number): void => checkCapacity(bytes, chunkSize);
  await using staged = await stageDisk(context, machine, { format, checkSize });
  await using disk = await CopySource.open(staged.disk.path, COPY_CALLS);
  const chunks = await importChunks(context, disk, {
    chunkSize,
    encoders: (await context.encoders?.()) ?? encodersHere,
    encoding: chunkIndex ? "indexed" : "plain",
    hold,
    base,
    keep: !discardBlobs,
    name: image,
  });
  const made = await putDocuments(store, hold, { machine, chunks, labels, uploadTime: uploadTime(options) });
  await hold.add(made.key);
  const info = await staged.disk.publish(made.key, await contentsOf(chunks, signal), { signal });
  await recordChunks(context, made, chunks, discardBlobs);
  const { os, architecture } = machine;
  // Before the image has its name: what fails is then as if nothing had been.
  const index = chunkIndex ? await indexChunks(context, image, made.manifest, chunks, hold) : NO_INDEX;
  await store.images.put({
    name: image,
    descriptor: made.descriptor,
    manifest: { ...made.descriptor, platform: { os, architecture } },
    configDigest: made.manifest.config.digest,
  });
  hold.keep();
  return report({ index, path, image, machine, staged, chunks, chunkSize, discardBlobs, made, info, startedAt });
}

async function openBase(context: TransferContext, name: string): Promise<ImportBase> {
  const { ImportBase } = await import("./import-base.ts");
  return ImportBase.open(context, name);
}

function imageName(text: string): string {
  const reference = parseReference(text);
  if (reference.digest === undefined) return formatReference(reference);
  throw new VarveError("REFERENCE_INVALID", `a digest is no name to give: ${text}`, { hint: "give NAME:TAG" });
}

function machineOptions({ os, architecture, cpuCount, memorySize }: ImportOptions): MachineOptions {
  return {
    ...(os !== undefined && { os }),
    ...(architecture !== undefined && { architecture }),
    ...(cpuCount !== undefined && { cpuCount }),
    ...(memorySize !== undefined && { memorySize }),
  };
}

function uploadTime({ sourceDateEpoch }: ImportOptions): Date {
  return sourceDateEpoch === undefined ? new Date() : new Date(sourceDateEpoch * 1000);
}

async function contentsOf(chunks: readonly ImportedChunk[], signal: AbortSignal): Promise<DiskContent[]> {
  const data = chunks.filter(({ isHole }) => !isHole);
  // Zeros that were written are no content either.
  const zeros = await zeroContents(
    data.map(({ digest, size, content, offset }) => ({
      blob: { mediaType: TART_TYPES.disk, digest, size },
      coding: "apple-lz4" as const,
      ...content,
      offset,
    })),
    { signal },
  );
  return data.flatMap(({ content, offset }) => (zeros.has(content.digest) ? [] : [{ ...content, offset }]));
}

/** Blobs that are kept may have been given up by an earlier import of the same disk. */
async function recordChunks(
  { store }: TransferContext,
  { chunks: parsed }: MadeDocuments,
  chunks: readonly ImportedChunk[],
  discards: boolean,
): Promise<void> {
  const reused = new Set(chunks.filter(({ isReused }) => isReused).map(({ digest }) => digest));
  for (const { blob, digest, size } of new Map(parsed.map((chunk) => [chunk.blob.digest, chunk])).values()) {
    if (reused.has(blob.digest)) continue;
    if (!discards) await takeBlobBack(store, blob.digest);
    else if (digest !== undefined) await recordFound(store, blob, { diffId: digest, size });
  }
}

interface MadeIndex {
  readonly digest: Digest | null;
  readonly warnings: readonly string[];
}

const NO_INDEX: MadeIndex = { digest: null, warnings: [] };

async function indexChunks(
  { store, signal }: TransferContext,
  name: string,
  manifest: Manifest,
  chunks: readonly ImportedChunk[],
  lease: ImportHold,
): Promise<MadeIndex> {
  const { publishChunkIndex } = await import("./index/publish.ts");
  const indexes = new Map(chunks.flatMap(({ digest, index }) => (index === undefined ? [] : [[digest, index]])));
  try {
    const referrer = await publishChunkIndex(store, { name, manifest, indexes, lease, signal });
    return { digest: referrer?.digest ?? null, warnings: [] };
  } catch (error) {
    // More chunks than an index can name: the image is as good without.
    if (!isVarveError(error, "MANIFEST_TOO_LARGE")) throw error;
    return { digest: null, warnings: [`the image has no chunk index: ${error.message}`] };
  }
}

interface Facts {
  readonly index: MadeIndex;
  readonly path: string;
  readonly image: string;
  readonly machine: Machine;
  readonly staged: Staged;
  readonly chunks: readonly ImportedChunk[];
  readonly chunkSize: number;
  readonly discardBlobs: boolean;
  readonly made: MadeDocuments;
  readonly info: DiskInfo;
  readonly startedAt: number;
}

function report({ path, image, machine, staged, chunks, made, info, index, ...facts }: Facts): ImportResult {
  const blobs = new Map(chunks.map(({ digest, size }) => [digest, size]));
  return {
    source: path,
    image,
    digest: made.descriptor.digest,
    imageId: made.manifest.config.digest,
    format: staged.format,
    os: machine.os,
    architecture: machine.architecture,
    disk: { key: info.key, path: info.path, size: info.size, allocatedBytes: info.allocatedBytes },
    chunks: {
      size: facts.chunkSize,
      count: chunks.length,
      distinct: blobs.size,
      holes: chunks.filter(({ isHole }) => isHole).length,
      reused: chunks.filter(({ isReused }) => isReused).length,
      blobBytes: [...blobs.values()].reduce((sum, size) => sum + size, 0),
      how: facts.discardBlobs ? "discarded" : "kept",
    },
    chunkIndex: index.digest,
    durationMs: Math.round(performance.now() - facts.startedAt),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    warnings: [...machine.warnings, ...staged.warnings, ...index.warnings],
  };
}
