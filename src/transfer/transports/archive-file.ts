/**
 * A tar of an image, opened for random access: plain ones where they are, compressed ones and those that come through a pipe
 * from a temporary copy. As in skopeo; bzip2 and xz, which it also reads, are refused by name.
 */
import { open, type FileHandle } from "node:fs/promises";
import { decompress } from "../../codec/decompress.ts";
import { sniffCompression } from "../../codec/sniff.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { ArchiveIndex, type ArchiveMember } from "./archive-index.ts";
import { readRange } from "./plain-file.ts";
import { dropUntil } from "./restartable-blob.ts";
import { openSpool, writeStream } from "./spool.ts";
import { collect } from "./verified.ts";

export class ArchiveFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #index: ArchiveIndex;

  private constructor(path: string, file: FileHandle, index: ArchiveIndex) {
    this.path = path;
    this.#file = file;
    this.#index = index;
  }

  /** @throws VarveError `FILE_NOT_FOUND`, `ARCHIVE_INVALID`, `NO_SPACE` (for the temporary copy) */
  static async open(path: string, signal?: AbortSignal): Promise<ArchiveFile> {
    let file: FileHandle | undefined;
    try {
      file = await open(path, "r");
      file = await plainTar(file, path, signal);
      const { size } = await file.stat();
      return new ArchiveFile(path, file, await ArchiveIndex.read(file, size, path, signal));
    } catch (error) {
      await file?.close();
      throw toVarveError(error, `reading ${path}`);
    }
  }

  find(name: string): ArchiveMember | undefined {
    return this.#index.find(name);
  }

  /** The member's content; holes of sparse members come as zeros. */
  async *read(member: ArchiveMember, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const { offset, storedSize, size, sparse } = member;
    if (sparse === undefined) {
      yield* readRange(this.#file, offset, offset + storedSize, signal);
      return;
    }
    let at = 0;
    let stored = offset;
    for (const extent of sparse) {
      yield* zeros(extent.offset - at, signal);
      yield* readRange(this.#file, stored, stored + extent.length, signal);
      stored += extent.length;
      at = extent.offset + extent.length;
    }
    yield* zeros(size - at, signal);
  }

  /** The member's content from a byte on, without reading what comes before where it lies in one piece. */
  readFrom(member: ArchiveMember, start: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const { offset, storedSize, size, sparse } = member;
    if (sparse !== undefined) return dropUntil(start, this.read(member, signal));
    const skipped = Math.min(start, storedSize);
    return this.read(
      { offset: offset + skipped, storedSize: storedSize - skipped, size: size - skipped, sparse: undefined },
      signal,
    );
  }

  /** A small member that no digest vouches for; undefined when there is none. @throws VarveError `ARCHIVE_INVALID` */
  async readSmall(name: string, limit: number): Promise<Buffer | undefined> {
    const member = this.find(name);
    if (member === undefined) return undefined;
    if (this.#index.isRepeated(name)) throw new VarveError("ARCHIVE_INVALID", `${this.path} has ${name} several times`);
    if (member.size > limit) {
      throw new VarveError("ARCHIVE_INVALID", `${name} in ${this.path} has ${member.size} bytes, more than ${limit}`);
    }
    return collect(this.read(member), limit, name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

/** The file itself, or a temporary one in its place, the former then being closed. */
async function plainTar(file: FileHandle, path: string, signal: AbortSignal | undefined): Promise<FileHandle> {
  const stat = await file.stat();
  if (stat.isDirectory()) {
    throw new VarveError("ARCHIVE_INVALID", `${path} is a directory`, { hint: "read an image layout with oci:DIR" });
  }
  if (stat.isFile() && sniffCompression(await readHead(file)) === "none") {
    refuseOtherCompression(await readHead(file), path);
    return file;
  }
  const spool = await openSpool();
  try {
    const bytes = stat.isFile() ? readRange(file, 0, stat.size, signal) : readPipe(file);
    await writeStream(spool, decompress(bytes, signal === undefined ? {} : { signal }), 0);
    refuseOtherCompression(await readHead(spool), path);
  } catch (error) {
    await spool.close();
    if (!isVarveError(error, "COMPRESSION_INVALID")) throw error;
    throw new VarveError("ARCHIVE_INVALID", `${path} cannot be decompressed: ${error.message}`, { cause: error });
  }
  await file.close();
  return spool;
}

function readPipe(file: FileHandle): AsyncIterable<Uint8Array> {
  return file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 });
}

const HEAD_BYTES = 6;

async function readHead(file: FileHandle): Promise<Uint8Array> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

const OTHER_MAGIC: readonly (readonly [program: string, hex: string])[] = [
  ["bzip2", "425a68"],
  ["xz", "fd377a585a00"],
];

function refuseOtherCompression(head: Uint8Array, path: string): void {
  const hex = Buffer.from(head).toString("hex");
  const program = OTHER_MAGIC.find(([, magic]) => hex.startsWith(magic))?.[0];
  if (program === undefined) return;
  throw new VarveError("ARCHIVE_INVALID", `${path} is compressed with ${program}`, {
    hint: `decompress it first: ${program} -d ${path}`,
  });
}

const ZEROS = new Uint8Array(64 * 1024);

/** A hole. The chunks are copies, as they belong to the consumer. */
function* zeros(length: number, signal: AbortSignal | undefined): Generator<Uint8Array, void, undefined> {
  for (let left = length; left > 0; left -= Math.min(left, ZEROS.length)) {
    signal?.throwIfAborted();
    yield ZEROS.slice(0, Math.min(left, ZEROS.length));
  }
}
