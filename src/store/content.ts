/**
 * The content store: whole, verified blobs under their digests, and the one way in (see types.ts for the life of a blob).
 * A digest's lock is held while its blob is made or removed, so any number of processes may work on one store.
 */
import { lstat, readdir, rm, unlink } from "node:fs/promises";
import { toVarveError } from "../errors/from-system.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { digestAlgorithm, digestOf, isDigest, type Digest } from "../oci/digest.ts";
import type { FileLock } from "../sys/flock.ts";
import { hashBlob, readBlob, statBlob } from "./blob-file.ts";
import type { IngestFolder } from "./ingest-folder.ts";
import type { StepHook } from "./ingest-place.ts";
import type * as Ingests from "./ingests.ts";
import { ALGORITHMS, type StoreLayout } from "./layout.ts";
import type { LockWaitOptions, StoreLocks } from "./locks.ts";
import type { PartialBlob } from "./partial-blob.ts";
import type { ByteRange, ContentInfo, Ingest, ReadOptions } from "./types.ts";

export interface ContentStoreOptions {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly readOnly: boolean;
  /** Whether data is made durable before it is called stored. */
  readonly sync: boolean;
  readonly isLeased: (digest: Digest) => Promise<boolean>;
  /** Whether a repository of `/v2/` has it, which may be the only place that does. Default: none has anything. */
  readonly isServed?: (digest: Digest) => Promise<boolean>;
  readonly step: StepHook;
  /** As in {@link CheckpointerOptions}. */
  readonly checkpointBytes?: number;
}

export interface IngestOptions extends LockWaitOptions {
  /** When what an earlier try left is checked: before this settles (the default), or when {@link Ingest.checkClaims} is called. */
  readonly check?: "first" | "later";
}

export interface RemoveOptions {
  /** Asked last, under the digest's lock and after the leases: a yes keeps it. */
  readonly unless?: () => Promise<boolean>;
}

export class ContentStore {
  readonly #options: ContentStoreOptions;
  readonly #layout: StoreLayout;

  constructor(options: ContentStoreOptions) {
    this.#options = options;
    this.#layout = options.layout;
  }

  /** @returns undefined when the store lacks the blob */
  stat(digest: Digest): Promise<ContentInfo | undefined> {
    return statBlob(this.#layout.blob(digest), digest);
  }

  /**
   * The blob's bytes, or a range of them, in chunks of at most 1 MiB that belong to the consumer.
   * @throws VarveError `BLOB_UNKNOWN`, `SIZE_MISMATCH` (range beyond the blob), `STORE_CORRUPT`, `INTERRUPTED`
   */
  read(digest: Digest, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    return readBlob(this.#layout.blob(digest), digest, options);
  }

  /**
   * A small blob as a whole, checked against its digest.
   * @throws VarveError `BLOB_UNKNOWN`, `MANIFEST_TOO_LARGE` above `limit` bytes, `DIGEST_MISMATCH` when the file went bad
   */
  async readBytes(digest: Digest, limit: number): Promise<Uint8Array> {
    const info = await this.stat(digest);
    if (info !== undefined && info.size > limit) {
      throw new VarveError("MANIFEST_TOO_LARGE", `blob ${digest} has ${info.size} bytes; at most ${limit} are read`);
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.read(digest)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (digestOf(bytes, digestAlgorithm(digest)) === digest) return bytes;
    throw new VarveError("DIGEST_MISMATCH", `the store's blob ${digest} is damaged`, { hint: "pull the image again" });
  }

  /**
   * Locks the digest and opens its partial data, new or resumed. When the blob is there already, perhaps because the process
   * that was waited for finished it, the answer is its {@link ContentInfo}.
   *
   * @throws VarveError `STORE_BUSY` with `wait: false`; `STORE_READ_ONLY`, `NO_SPACE`, `PERMISSION`, `IO`, `INTERRUPTED`;
   * `SIZE_MISMATCH` when the whole blob is here and the descriptor's size is wrong
   */
  async ingest(
    descriptor: { readonly digest: Digest; readonly size: number },
    options: IngestOptions = {},
  ): Promise<Ingest | ContentInfo> {
    const { digest, size } = descriptor;
    this.#mustBeWritable();
    const lock = await this.#options.locks.digest(digest, options);
    let kept = false;
    try {
      const folder = await this.#folder(digest);
      const present = await this.#present(digest, size, options.signal);
      if (present !== undefined) {
        await folder.remove();
        return present;
      }
      const partial = await this.#open(folder, size, lock);
      kept = true;
      if (options.check !== "later") await checkOrClose(partial, options.signal);
      return partial;
    } finally {
      if (!kept) lock.unlock({ remove: true });
    }
  }

  /**
   * Stores a small document that is in memory, durably; a damaged one in its place is replaced.
   * @throws VarveError `DIGEST_MISMATCH` when the bytes are not the digest's, otherwise as {@link ingest}
   */
  async writeBytes(digest: Digest, bytes: Uint8Array): Promise<ContentInfo> {
    const computed = { digest: digestOf(bytes, digestAlgorithm(digest)), size: bytes.length };
    if (computed.digest !== digest) {
      throw new VarveError("DIGEST_MISMATCH", `the bytes for ${digest} have the digest ${computed.digest}`);
    }
    this.#mustBeWritable();
    const lock = await this.#options.locks.digest(digest);
    let kept = false;
    try {
      const present = await this.stat(digest);
      if (present?.size === bytes.length && (await hashBlob(present.path, digest)) === digest) return present;
      await using partial = await this.#open(await this.#folder(digest), bytes.length, lock);
      kept = true;
      await partial.write(0, bytes);
      return await partial.commit(computed);
    } finally {
      if (!kept) lock.unlock({ remove: true });
    }
  }

  /**
   * Takes over a whole file of the store's file system as a blob, durably; it replaces one that is there.
   * @param file what lies there is the caller's, who has computed the digest over it and writes to it no more
   * @param work done before anybody can remove the blob, for who records that it is needed
   * @throws VarveError `NO_SPACE`, `IO` ...; the file may be where it was then
   */
  async adopt(
    digest: Digest,
    file: string,
    work: (info: ContentInfo) => Promise<unknown>,
    options: LockWaitOptions = {},
  ): Promise<ContentInfo> {
    this.#mustBeWritable();
    const lock = await this.#options.locks.digest(digest, options);
    try {
      const { adoptFile } = await import("./adopt.ts");
      const size = await adoptFile(this.#layout, digest, file, this.#options);
      const info = { digest, size, path: this.#layout.blob(digest) };
      await work(info);
      await (await this.#folder(digest)).remove();
      return info;
    } catch (error) {
      throw toVarveError(error, `storing the blob ${digest}`);
    } finally {
      lock.unlock({ remove: true });
    }
  }

  /**
   * Does `work` while nobody can remove the blob, for who records that it is needed.
   * @returns undefined, with nothing done, when the store lacks it
   */
  async whileThere<T>(
    digest: Digest,
    work: (info: ContentInfo) => T | Promise<T>,
    options: LockWaitOptions = {},
  ): Promise<T | undefined> {
    // Nobody is waited for who is only fetching it.
    if ((await this.stat(digest)) === undefined) return undefined;
    const lock = await this.#options.locks.digest(digest, options);
    try {
      const info = await this.stat(digest);
      return info && (await work(info));
    } finally {
      lock.unlock({ remove: true });
    }
  }

  /**
   * Removes a blob unless someone is at work on it or holds a lease, or a repository has it. Who needs to know that no image wants it
   * asks the store to do this instead.
   * @returns whether it was removed
   */
  async remove(digest: Digest, options: RemoveOptions = {}): Promise<boolean> {
    const unless = async (): Promise<boolean> =>
      (await this.#options.isServed?.(digest)) === true || (await options.unless?.()) === true;
    return this.#removing(digest, { unless }, async () => {
      await unlink(this.#layout.blob(digest));
      this.#options.step("unlinked");
    });
  }

  /**
   * Removes a blob whose bytes are not the digest's, though images or leases name it: as long as it lies there, nobody fetches the
   * right one. Waits for whoever is at work on the digest.
   * @returns whether it was damaged, and is gone
   */
  async removeDamaged(digest: Digest, options: LockWaitOptions = {}): Promise<boolean> {
    this.#mustBeWritable();
    const lock = await this.#options.locks.digest(digest, options);
    try {
      const path = this.#layout.blob(digest);
      const found = await lstat(path).catch(() => undefined);
      if (found === undefined) return false;
      if (found.isFile() && (await hashBlob(path, digest, options.signal)) === digest) return false;
      await rm(path, { recursive: true });
      return true;
    } catch (error) {
      throw toVarveError(error, `removing the damaged ${digest}`);
    } finally {
      lock.unlock({ remove: true });
    }
  }

  /**
   * Whether the blob is there, for who has just leased it: what is being removed at this moment is not. A blob that someone is at
   * work on counts as not there; `ingest` waits for him.
   */
  async holds({ digest, size }: { readonly digest: Digest; readonly size: number }): Promise<boolean> {
    if ((await this.stat(digest))?.size !== size) return false;
    const lock = this.#options.locks.tryDigest(digest);
    if (lock === undefined) return false;
    try {
      return (await this.stat(digest))?.size === size;
    } finally {
      lock.unlock({ remove: true });
    }
  }

  /**
   * All whole blobs, in no order.
   * @param options.odd what to do when a digest names something else than a file. Default: `STORE_CORRUPT`
   */
  async *list(options: { readonly odd?: "skip" | "throw" } = {}): AsyncGenerator<ContentInfo> {
    const { odd = "throw" } = options;
    for await (const digest of this.digests()) {
      const info = await this.stat(digest).catch((error: unknown) => {
        if (odd === "skip" && isVarveError(error, "STORE_CORRUPT")) return undefined;
        throw error;
      });
      if (info !== undefined) yield info;
    }
  }

  /** All names of blobs, whatever lies under them. */
  async *digests(): AsyncGenerator<Digest> {
    for (const algorithm of ALGORITHMS) {
      for (const name of await namesIn(this.#layout.blobDirectory(algorithm))) {
        const digest = `${algorithm}:${name}`;
        if (isDigest(digest)) yield digest;
      }
    }
  }

  /** Where the blob lies if it is there. */
  pathOf(digest: Digest): string {
    return this.#layout.blob(digest);
  }

  /** What the store has of a blob that is not whole, as far as its journal says; for plans. */
  async partial(digest: Digest): Promise<ByteRange[]> {
    const { claimedRanges } = await ingests();
    return claimedRanges(this.#layout, digest);
  }

  /** About how many bytes of a blob are here, whoever is at work on it: for telling how far it is. */
  async arrived({ digest, size }: { readonly digest: Digest; readonly size: number }): Promise<number> {
    if ((await this.stat(digest)) !== undefined) return size;
    const { arrivedBytes } = await ingests();
    return Math.min(size, await arrivedBytes(this.#layout, digest));
  }

  /** Disk space that it will still take to have the blob whole, in bytes; nothing when it is. */
  async missingSpace({ digest, size }: { readonly digest: Digest; readonly size: number }): Promise<number> {
    if ((await this.stat(digest))?.size === size) return 0;
    const { allocatedBytes } = await ingests();
    return Math.max(0, size - (await allocatedBytes(this.#layout, digest)));
  }

  /** All partial blobs, in no order. */
  async *ingests(): AsyncGenerator<Ingests.IngestInfo> {
    const { listIngests } = await ingests();
    yield* listIngests(this.#layout);
  }

  /**
   * Drops the partial data of a blob unless someone is at work on it or holds a lease.
   * @returns whether it was dropped
   */
  async removeIngest(digest: Digest, options: RemoveOptions = {}): Promise<boolean> {
    return this.#removing(digest, options, async () => (await this.#folder(digest)).discard(this.#options.step));
  }

  async #removing(digest: Digest, { unless }: RemoveOptions, work: () => Promise<void>): Promise<boolean> {
    this.#mustBeWritable();
    const lock = this.#options.locks.tryDigest(digest);
    if (lock === undefined) return false;
    try {
      // Asked under the lock: who leases a digest and then locks it either sees the blob gone or has it kept.
      if (await this.#options.isLeased(digest)) return false;
      if ((await unless?.()) === true) return false;
      await work();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw toVarveError(error, `removing ${digest}`);
    } finally {
      lock.unlock({ remove: true });
    }
  }

  async #folder(digest: Digest): Promise<IngestFolder> {
    const { IngestFolder } = await import("./ingest-folder.ts");
    return new IngestFolder(this.#layout, digest);
  }

  async #open(folder: IngestFolder, size: number, lock: FileLock): Promise<PartialBlob> {
    const { PartialBlob } = await import("./partial-blob.ts");
    return PartialBlob.open({ ...this.#options, folder, size, lock });
  }

  /** The blob if it is whole. One of another size is either damaged, and then made anew, or the descriptor is wrong. */
  async #present(digest: Digest, size: number, signal: AbortSignal | undefined): Promise<ContentInfo | undefined> {
    const info = await this.stat(digest);
    if (info === undefined || info.size === size) return info;
    if ((await hashBlob(info.path, digest, signal)) !== digest) return undefined;
    throw new VarveError("SIZE_MISMATCH", `blob ${digest} has ${info.size} bytes, but its descriptor says ${size}`);
  }

  #mustBeWritable(): void {
    if (this.#options.readOnly)
      throw new VarveError("STORE_READ_ONLY", `the store at ${this.#layout.root} is open for reading only`);
  }
}

/** Loaded when there is partial data to look at: who only reads pays for none of it. */
function ingests(): Promise<typeof Ingests> {
  return import("./ingests.ts");
}

async function checkOrClose(partial: PartialBlob, signal: AbortSignal | undefined): Promise<void> {
  try {
    await partial.checkClaims(signal === undefined ? {} : { signal });
  } catch (error) {
    await partial[Symbol.asyncDispose]();
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw toVarveError(error, "listing the store's content");
  }
}
