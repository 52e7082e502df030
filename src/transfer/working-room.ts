/**
 * Room for files that only lie there while something is made of them: layers inflated to copy from, deltas as they come out of their blobs. What makes
 * them may be somebody's who would like the disk to be full, so some of it is always left to others.
 */
import { formatBytes } from "../errors/amounts.ts";
import { VarveError } from "../errors/varve-error.ts";
import { freeSpace } from "../sys/free-space.ts";

/** Bytes that are left, or an eighth of what is to come where that is less: small disks have small layers. */
const SPARE_BYTES = 64 << 20;
const SPARE_SHARE = 8;
/** Bytes after which the room is looked at again where nobody knows how much will come. */
const LOOK_BYTES = 64 << 20;

/** What is left to others of so many bytes. */
export function spareOf(bytes: number): number {
  return Math.min(SPARE_BYTES, Math.ceil(bytes / SPARE_SHARE));
}

/** @param bytes that are to come @param what for the message, as "the tar of layer ..." @throws VarveError `NO_SPACE` */
export async function ensureWorkingRoom(directory: string, bytes: number, what: string): Promise<void> {
  await ensure(directory, bytes, spareOf(bytes), what);
}

/** Looks at the room now and then while a file of unknown size grows. */
export class RoomWatch {
  readonly #directory: string;
  readonly #what: string;
  #looked: number;

  /** @param expected bytes for which there was room at the beginning. Default 0 */
  constructor(directory: string, what: string, expected = 0) {
    this.#directory = directory;
    this.#what = what;
    this.#looked = expected;
  }

  /** Before the next piece. @param size of the file so far @throws VarveError `NO_SPACE` */
  async grown(size: number): Promise<void> {
    if (size - this.#looked < LOOK_BYTES) return;
    this.#looked = size;
    await ensure(this.#directory, 0, SPARE_BYTES, this.#what);
  }
}

async function ensure(directory: string, bytes: number, spare: number, what: string): Promise<void> {
  const needed = bytes + spare;
  // Where nobody knows, the disk says so itself when it is full.
  const free = await freeSpace(directory).catch(() => undefined);
  if (free === undefined || free >= needed) return;
  const figures = `${formatBytes(needed)} are needed, ${formatBytes(free)} are free`;
  throw new VarveError("NO_SPACE", `${what} does not fit into ${directory}: ${figures}`, {
    detail: { needed, free, missing: needed - free },
  });
}
