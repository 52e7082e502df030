/**
 * Room on the disk: what a pull will need is known from its manifest, so that it fails before the first byte rather than after the
 * last that fits. What is here already, whole or in part, needs no more room.
 */
import { formatBytes } from "../errors/amounts.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Store } from "../store/store.ts";
import { freeSpace } from "../sys/free-space.ts";

/** What a blob takes beside its bytes: its journal and that one's successor, a folder, a lock, the rest of its last block. */
const BYTES_BESIDE_BLOB = 64 * 1024;
/** For documents, for the database and its log. */
const BYTES_BESIDE_IMAGE = 256 * 1024;

const HINT = "make room with varve gc or varve prune, or choose another place with --root";

export interface Wanted {
  /** Of the image, for messages. */
  readonly name: string;
  readonly blobs: readonly Descriptor[];
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
  if (missing === 0 || free === undefined || free >= needed) return;
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

async function measure({ root, content }: Store, { blobs }: Wanted): Promise<Room> {
  let missing = 0;
  let needed = BYTES_BESIDE_IMAGE;
  for (const blob of new Map(blobs.map((each) => [each.digest, each])).values()) {
    const bytes = await content.missingSpace(blob);
    missing += bytes;
    if (bytes > 0) needed += bytes + BYTES_BESIDE_BLOB;
  }
  return { missing, needed, free: await freeSpace(root).catch(() => undefined) };
}
