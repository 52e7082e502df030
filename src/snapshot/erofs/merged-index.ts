/**
 * The index over all layers of a chain, beside the snapshot that it shows: `index.erofs`, and `index.json`, which says what it must be and
 * which files its devices are. The same layers always give the same bytes, so several processes may write it at once.
 */
import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { encodeErofs } from "../../codec/erofs/writer.ts";
import type { IndexTree } from "../../codec/erofs/tree.ts";
import { FILES, indexUuid } from "../../layer/index-facts.ts";
import { digestAlgorithm, digestOf, Digester, isDigest, type Digest } from "../../oci/digest.ts";
import { replaceFile } from "../../store/durable.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { releaseOwn } from "../../sys/release-buffer.ts";

/** One device, in the order of the index's slots: a file in the folder of a layer. */
export interface LayerFile {
  readonly diffId: Digest;
  readonly file: string;
}

export interface IndexDescription {
  readonly size: number;
  readonly digest: Digest;
  readonly devices: readonly LayerFile[];
}

const INDEX = "index.erofs";
const DESCRIPTION = "index.json";
const FILE_NAMES: ReadonlySet<unknown> = new Set([FILES.tar, FILES.extra]);
/** What is read of the description: 16,000 devices have less. */
const MAX_DESCRIPTION_BYTES = 4 << 20;

export function indexPath(folder: string): string {
  return join(folder, INDEX);
}

export interface WriteIndexOptions {
  /** Of the layers, the lowest first. */
  readonly diffIds: readonly Digest[];
  readonly devices: readonly LayerFile[];
  /** Whether what is there after a power cut is whole, if it is there at all. */
  readonly sync: boolean;
}

/**
 * The index comes last: without it nothing is wrong, it is then made anew.
 * @throws INDEX_INVALID, LAYER_LIMIT as `encodeErofs`; NodeJS.ErrnoException
 */
export async function writeIndex(folder: string, tree: IndexTree, options: WriteIndexOptions): Promise<void> {
  const { diffIds, devices, sync } = options;
  const path = indexPath(folder);
  const temporary = `${path}.${process.pid}-${unique++}`;
  const digester = new Digester("sha256");
  let size = 0;
  // A power cut may have taken the folder of a snapshot that has nothing of its own in it.
  await makeDirectory(folder, { mode: 0o700 });
  try {
    await using file = await open(temporary, "wx", 0o444);
    for (const bytes of encodeErofs(tree, { uuid: indexUuid(diffIds) })) {
      digester.update(bytes);
      size += bytes.byteLength;
      await file.writeFile(bytes);
      releaseOwn(bytes);
    }
    if (sync) await file.sync();
    const description = JSON.stringify({ version: 1, size, digest: digester.digest(), devices });
    const place = join(folder, DESCRIPTION);
    const rest = { mode: 0o444, ...(sync && { syncIn: folder }) };
    await replaceFile(place, `${place}.${process.pid}-${unique++}`, description, rest);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

let unique = 0;

/** Undefined when there is none, or what is there is not what was written: it is then made anew. */
export async function readIndex(
  folder: string,
): Promise<{ readonly bytes: Uint8Array; readonly description: IndexDescription } | undefined> {
  try {
    const description = describe(JSON.parse(await readText(join(folder, DESCRIPTION))) as object | null);
    if (description === undefined) return undefined;
    const bytes = await readFile(indexPath(folder));
    const isIntact =
      bytes.byteLength === description.size &&
      digestOf(bytes, digestAlgorithm(description.digest)) === description.digest;
    return isIntact ? { bytes, description } : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  return bytes.subarray(0, MAX_DESCRIPTION_BYTES).toString("utf8");
}

function describe(
  value: { [name in keyof IndexDescription | "version"]?: unknown } | null,
): IndexDescription | undefined {
  const { version, size, digest, devices } = value ?? {};
  const isKnown = version === 1 && typeof size === "number" && typeof digest === "string" && isDigest(digest);
  if (!isKnown || !Array.isArray(devices) || !devices.every(isLayerFile)) return undefined;
  return { size, digest, devices };
}

function isLayerFile(value: { [name in keyof LayerFile]?: unknown } | null): value is LayerFile {
  return typeof value?.diffId === "string" && isDigest(value.diffId) && FILE_NAMES.has(value.file);
}
