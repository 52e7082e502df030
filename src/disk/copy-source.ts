/**
 * The file that is copied: where it says that it has data, whether that is to be believed, and whether it stays what it is meanwhile
 * (sparse-files, 1, 2 and 4).
 */
import type { BigIntStats } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Extent } from "../sys/sparse.ts";
import type { CopyCalls } from "./copy-calls.ts";

/**
 * File systems whose word on holes is not taken, by statfs(2)'s number: ZFS has told of holes over data that was just written; of FUSE, NFS,
 * CIFS, 9p and shared folders it depends on who serves them.
 */
const DISTRUSTED: ReadonlySet<number> = new Set([
  0x2fc12fc1, 0x65735546, 0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x786f4256,
]);
/** What a sync says where there is nothing to be synced. */
const UNSYNCABLE: ReadonlySet<string> = new Set(["EINVAL", "EROFS", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);
/** Runs that are remembered, some 5 MB at most: two questions are saved for each of them. */
const KEPT = 100_000;
/** Smaller than that no file is worth a thought. */
const BLOCK = 4096;

export class CopySource implements AsyncDisposable {
  readonly path: string;
  /** Bytes from beginning to end. */
  readonly size: number;
  readonly stats: BigIntStats;
  /** False when all of it has to be read to know where its zeros are. */
  readonly tellsHoles: boolean;
  readonly #handle: FileHandle;
  readonly #calls: CopyCalls;
  #runs: readonly Extent[] | undefined;

  private constructor(path: string, handle: FileHandle, given: [BigIntStats, boolean], calls: CopyCalls) {
    this.path = path;
    this.#handle = handle;
    [this.stats, this.tellsHoles] = given;
    this.size = Number(this.stats.size);
    this.#calls = calls;
  }

  /** @throws VarveError `FILE_NOT_FOUND`, `PATH_INVALID` when it is no regular file, `PERMISSION`, `IO` */
  static async open(path: string, calls: CopyCalls): Promise<CopySource> {
    await using stack = new AsyncDisposableStack();
    try {
      const handle = stack.use(await open(path, "r"));
      if (!(await handle.stat()).isFile()) {
        throw new VarveError("PATH_INVALID", `${path} is no regular file`, { hint: "name a disk image, a plain file" });
      }
      // What was written and not synced is where some file systems are wrong about holes.
      await calls.sync(handle.fd).catch((error: unknown) => {
        if (!UNSYNCABLE.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      });
      const stats = await handle.stat({ bigint: true });
      const source = new CopySource(path, handle, [stats, await believes(handle.fd, path, stats, calls)], calls);
      stack.move();
      return source;
    } catch (error) {
      throw toVarveError(error, `opening ${path}`);
    }
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  get allocatedBytes(): number {
    return Number(this.stats.blocks) * 512;
  }

  /** Its runs of data; one of everything where it does not tell. Asked for once, unless they are very many. */
  extents(): Iterable<Extent> {
    if (!this.tellsHoles || this.size === 0) return this.whole();
    return this.#runs ?? this.#ask();
  }

  *#ask(): Generator<Extent, void> {
    const runs: Extent[] = [];
    for (const run of this.#calls.dataExtents(this.descriptor, this.size)) {
      if (runs.length <= KEPT) runs.push(run);
      yield run;
    }
    if (runs.length <= KEPT) this.#runs = runs;
  }

  /** All of it as one run. */
  whole(): readonly Extent[] {
    return this.size === 0 ? [] : [{ offset: 0, length: this.size }];
  }

  /** @throws VarveError `SOURCE_CHANGED` when it is not what it was when it was opened, as far as its size and times tell */
  async assertUnchanged(): Promise<void> {
    const { stats } = this;
    const now = await this.#handle.stat({ bigint: true });
    if (now.size === stats.size && now.mtimeNs === stats.mtimeNs && now.ctimeNs === stats.ctimeNs) return;
    throw changed(this.path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }
}

/** The error for a source that was written to meanwhile. */
export function changed(path: string): VarveError {
  return new VarveError("SOURCE_CHANGED", `${path} changed while it was copied`, {
    hint: "stop what writes to it, or copy a snapshot of it",
    detail: { path },
  });
}

async function believes(file: number, path: string, stats: BigIntStats, calls: CopyCalls): Promise<boolean> {
  if (!calls.tellsHoles(file) || DISTRUSTED.has(await calls.fileSystem(path))) return false;
  const size = Number(stats.size);
  if (Number(stats.blocks) * 512 >= size - BLOCK) return true;
  // It takes less than it has: then it has holes, or is compressed. A map of no holes is that of a file system that knows none.
  for (const { offset, length } of calls.dataExtents(file, size)) return offset > 0 || length < size;
  return true;
}
