/**
 * Room on the disk: what a pull will need is known from its manifest, so that it fails before the first byte rather than after the
 * last that fits. What is here already, whole or in part, needs no more room. How large a layer is unpacked is known only of those that
 * were here before; of others it counts as no larger than its blob, so that no pull is refused that may fit.
 */
import { formatBytes } from "../errors/amounts.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Store } from "../store/store.ts";
import { freeSpace } from "../sys/free-space.ts";
import type { TransferContext } from "./context.ts";
import { LAYERS_AHEAD } from "./get-layers.ts";
import { isWanted } from "./given-up.ts";
import type { LayerTask } from "./present-layer.ts";
import type { ResolvedImage } from "./resolve-image.ts";
import { isHeld, type SnapshotterChoice } from "./snapshotter.ts";

/** What a blob takes beside its bytes: its journal and that one's successor, a folder, a lock, the rest of its last block. */
const BYTES_BESIDE_BLOB = 64 * 1024;
/** For documents, for the database and its log. */
const BYTES_BESIDE_IMAGE = 256 * 1024;

const HINT = "make room with varve gc or varve prune, or choose another place with --root";

export interface Wanted {
  /** Of the image, for messages. */
  readonly name: string;
  readonly blobs: readonly Descriptor[];
  /** Bytes that the layers will take which are to be unpacked. Default 0. */
  readonly unpackedBytes?: number;
  /** Bytes that the disks of a machine will take at least. Default 0. */
  readonly diskBytes?: number;
  /** Blobs that are here at once, when each goes as soon as it is unpacked. Default: all stay. */
  readonly atOnce?: number;
}

export interface RoomOptions {
  /** Where layers are to be unpacked; undefined: nowhere. */
  readonly unpacksInto: SnapshotterChoice | undefined;
  readonly concurrency: number;
  readonly discardBlobs: boolean;
  /** Whether all layers are made as tars, so that one which is its own blob is one file for the blob and for EROFS. Default false. */
  readonly areMade?: boolean;
}

/** What an image will take. */
export async function roomFor(
  context: TransferContext,
  { name, manifest, config }: ResolvedImage,
  tasks: readonly LayerTask[],
  { unpacksInto, concurrency, discardBlobs, areMade = false }: RoomOptions,
): Promise<Wanted> {
  const { store } = context;
  const diffIds = unpacksInto === undefined ? [] : (config?.rootfs.diffIds ?? []);
  const chain = chainIds(diffIds);
  const blobs: Descriptor[] = [manifest.config];
  let unpackedBytes = 0;
  for (const task of tasks) {
    const { blob, diffId } = task;
    const chainId = diffId && chain[diffIds.indexOf(diffId)];
    const held = unpacksInto && chainId && (await isHeld(store, unpacksInto, { chainId, diffId }));
    if (held === true && !(await isWanted(context, task, discardBlobs))) continue;
    blobs.push(blob);
    if (held !== false) continue;
    if (areMade && blob.digest === diffId && (unpacksInto === "erofs" || unpacksInto === "auto")) continue;
    const known = await store.layers.get(blob.digest);
    unpackedBytes += known?.diffId === diffId ? (known?.uncompressedSize ?? 0) : blob.size;
  }
  return { name, blobs, unpackedBytes, ...(discardBlobs && { atOnce: concurrency + LAYERS_AHEAD }) };
}

interface Room {
  /** Bytes that are to be stored still. */
  readonly missing: number;
  /** The same and what goes with them. */
  readonly needed: number;
  /** Undefined where nobody knows. */
  readonly free: number | undefined;
}

/** @throws VarveError `NO_SPACE` when the image cannot fit */
export async function ensureRoom(store: Store, wanted: Wanted): Promise<void> {
  const { missing, needed, free } = await measure(store, wanted);
  const isAllHere = missing + (wanted.unpackedBytes ?? 0) === 0;
  if (isAllHere || free === undefined || free >= needed) return;
  const figures = `${formatBytes(needed)} are needed, ${formatBytes(free)} are free, ${formatBytes(needed - free)} are missing`;
  throw new VarveError("NO_SPACE", `${wanted.name} does not fit into ${store.root}: ${figures}`, {
    hint: HINT,
    detail: { needed, free, missing: needed - free },
  });
}

/** Adds to an error of a disk that became full what is still to come; other errors stay as they are. */
export async function explainNoRoom(store: Store, wanted: Wanted, error: unknown): Promise<unknown> {
  if (!isVarveError(error, "NO_SPACE") || "needed" in error.detail) return error;
  const { missing, needed, free } = await measure(store, wanted);
  const left = free === undefined ? "" : `, ${formatBytes(free)} are free`;
  const message = `${error.message}; ${formatBytes(missing)} of ${wanted.name} are still to come${left}; what came is kept`;
  return new VarveError("NO_SPACE", message, {
    hint: `${HINT}; the same command then goes on where it stopped`,
    cause: error,
    detail: { ...error.detail, needed, ...(free !== undefined && { free }) },
  });
}

async function measure({ root, content }: Store, wanted: Wanted): Promise<Room> {
  const { blobs, unpackedBytes = 0, diskBytes = 0, atOnce = Infinity } = wanted;
  const missing: number[] = [];
  for (const blob of new Map(blobs.map((each) => [each.digest, each])).values()) {
    const bytes = await content.missingSpace(blob);
    if (bytes > 0) missing.push(bytes);
  }
  const sum = (sizes: readonly number[]): number => sizes.reduce((total, bytes) => total + bytes, 0);
  const largest = missing.toSorted((a, b) => b - a).slice(0, atOnce);
  const needed = BYTES_BESIDE_IMAGE + sum(largest) + largest.length * BYTES_BESIDE_BLOB + unpackedBytes + diskBytes;
  return { missing: sum(missing) + diskBytes, needed, free: await freeSpace(root).catch(() => undefined) };
}
