/**
 * Where each member of a tar lies in a file, found in one pass that skips the payloads. Names are an attacker's: they are
 * keys to look up here and never become paths of the file system.
 */
import type { FileHandle } from "node:fs/promises";
import { posix } from "node:path";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { SparseExtent, TarEntry, TarHandler } from "../../codec/tar/entry.ts";
import { TarParser } from "../../codec/tar/parser.ts";

/** Far beyond any image, and small enough to hold: a layout has a few members for each layer. */
const MAX_MEMBERS = 200_000;
const MAX_NAME_BYTES = 1024;
const MAX_LINKS = 16;
const READ_BYTES = 64 * 1024;

export interface ArchiveMember {
  /** Of the payload in the tar. */
  readonly offset: number;
  readonly storedSize: number;
  readonly size: number;
  readonly sparse: readonly SparseExtent[] | undefined;
}

interface ArchiveLink {
  /** The name that it leads to. */
  readonly target: string;
}

export class ArchiveIndex {
  readonly #members: ReadonlyMap<string, ArchiveMember | ArchiveLink>;
  readonly #repeated: ReadonlySet<string>;

  private constructor(collector: Collector) {
    this.#members = collector.members;
    this.#repeated = collector.repeated;
  }

  /** @throws VarveError `ARCHIVE_INVALID`; the signal's reason */
  static async read(file: FileHandle, size: number, where: string, signal?: AbortSignal): Promise<ArchiveIndex> {
    const collector = new Collector(size);
    try {
      await parse(file, collector, signal);
    } catch (error) {
      if (!isVarveError(error) || (error.code !== "LAYER_INVALID" && error.code !== "LAYER_LIMIT")) throw error;
      throw new VarveError("ARCHIVE_INVALID", `${where} is not a tar that can be read: ${error.message}`, {
        cause: error,
      });
    }
    return new ArchiveIndex(collector);
  }

  /** The file of that name, through links; undefined when there is none, or it leads nowhere. */
  find(name: string): ArchiveMember | undefined {
    let key = keyOf(name);
    for (let links = 0; links <= MAX_LINKS; links++) {
      const member = this.#members.get(key);
      if (member === undefined || "offset" in member) return member;
      key = member.target;
    }
    return undefined;
  }

  /** Whether the archive has it several times, so that readers may differ in which one they take. */
  isRepeated(name: string): boolean {
    return this.#repeated.has(keyOf(name));
  }
}

/** `./a//b` and `/a/b` are `a/b`; what leads out of the archive stays apart by its `..`. */
function keyOf(name: string): string {
  return posix.normalize(name).replace(/^\/+/, "").replace(/\/$/, "");
}

class Collector implements TarHandler {
  readonly members = new Map<string, ArchiveMember | ArchiveLink>();
  readonly repeated = new Set<string>();
  readonly #fileSize: number;
  /** End of the current payload in the file. */
  payloadEnd = 0;
  parser: TarParser | undefined;

  constructor(fileSize: number) {
    this.#fileSize = fileSize;
  }

  entry(entry: TarEntry): void {
    const offset = this.parser?.offset ?? 0;
    this.payloadEnd = offset + entry.storedSize;
    if (this.payloadEnd > this.#fileSize) {
      throw new VarveError("ARCHIVE_INVALID", `the archive ends inside ${JSON.stringify(entry.name.slice(0, 160))}`);
    }
    const key = keyOf(entry.name);
    const member = memberOf(entry, offset, key);
    if (member === undefined) return;
    if (this.members.has(key)) this.repeated.add(key);
    this.members.set(key, member);
  }

  data(): void {}

  endEntry(): void {}
}

function memberOf(entry: TarEntry, offset: number, key: string): ArchiveMember | ArchiveLink | undefined {
  const { storedSize, size, sparse } = entry;
  switch (entry.type) {
    case "file":
      return { offset, storedSize, size, sparse };
    case "link":
      return { target: keyOf(entry.linkName) };
    case "symlink":
      return { target: keyOf(posix.resolve("/", posix.dirname(key), entry.linkName)) };
    case "directory":
    case "char":
    case "block":
    case "fifo":
      return undefined;
  }
}

/** Feeds the parser with the headers as they are, and with zeros for payloads, which it only counts. */
async function parse(file: FileHandle, collector: Collector, signal: AbortSignal | undefined): Promise<void> {
  const parser = new TarParser(collector, { entries: MAX_MEMBERS, nameBytes: MAX_NAME_BYTES });
  collector.parser = parser;
  const buffer = Buffer.alloc(READ_BYTES);
  const zeros = Buffer.alloc(READ_BYTES);
  for (let at = 0; ;) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, at);
    if (bytesRead === 0) break;
    parser.write(buffer.subarray(0, bytesRead));
    at += bytesRead;
    for (; at < collector.payloadEnd; at += Math.min(READ_BYTES, collector.payloadEnd - at)) {
      parser.write(zeros.subarray(0, Math.min(READ_BYTES, collector.payloadEnd - at)));
    }
  }
  parser.end();
}
