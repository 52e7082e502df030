/** What the files of a layer hold, told by digests: taken from the tar as it passes, and from the disk afterwards. */
import { createHash, type Hash } from "node:crypto";
import { constants, readSync } from "node:fs";
import type { IndexNode } from "../codec/erofs/tree.ts";
import type { SparseExtent, TarEntry } from "../codec/tar/entry.ts";
import type { AtCalls } from "../sys/at.ts";
import { must } from "../sys/errno.ts";

const CHUNK = 1024 * 1024;

interface Content {
  readonly digest: string;
  /** Of a sparse file: only what is stored of it is compared. */
  readonly extents: readonly SparseExtent[] | undefined;
}

export class FileContents {
  readonly #contents = new Map<IndexNode, Content>();
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #node: IndexNode | undefined;
  #hash: Hash | undefined;
  #extents: Content["extents"];

  /** The payload that comes is the node's. */
  begin(node: IndexNode, { sparse }: TarEntry): void {
    this.#node = node;
    this.#extents = sparse;
    this.#hash = createHash("sha256");
  }

  data(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
  }

  end(): void {
    if (this.#node !== undefined && this.#hash !== undefined) {
      this.#contents.set(this.#node, { digest: this.#hash.digest("latin1"), extents: this.#extents });
    }
    this.#node = undefined;
    this.#hash = undefined;
  }

  /**
   * Whether the file holds what the tar has of the node; its size is known to be right.
   * @throws NodeJS.ErrnoException, the signal's reason
   */
  async isIn(at: AtCalls, directory: number, name: string, node: IndexNode, signal: AbortSignal): Promise<boolean> {
    const content = this.#contents.get(node);
    if (content === undefined) return false;
    const fd = openToRead(at, directory, name);
    try {
      const hash = createHash("sha256");
      for (const { offset, length } of content.extents ?? [{ offset: 0, length: node.size }]) {
        for (let done = 0; done < length;) {
          const read = readSync(fd, this.#buffer, 0, Math.min(CHUNK, length - done), offset + done);
          if (read === 0) return false;
          hash.update(this.#buffer.subarray(0, read));
          done += read;
          if (read === CHUNK) await pause(signal);
        }
      }
      return hash.digest("latin1") === content.digest;
    } finally {
      at.close(fd);
    }
  }
}

/** Others may have their turn. */
export async function pause(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

/** Without changing its access time, where that is allowed. */
function openToRead(at: AtCalls, directory: number, name: string): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = at.open(directory, name, flags | constants.O_NOATIME, 0);
  return fd >= 0 ? fd : must(at.open(directory, name, flags, 0), "openat", name);
}
