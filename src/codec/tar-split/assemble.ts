/**
 * Rebuilds the exact tar from a tar-split and the files of the layer. Sizes and CRCs are checked on the way, but the
 * proof is the digest of the whole against the layer's DiffID, which is the caller's to take.
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { quoted } from "../tar/fault.ts";
import { Crc64 } from "./crc64.ts";
import type { TarSplitEntry, TarSplitFileEntry } from "./entry.ts";

/** One file of the layer's tree, open. */
export interface TarSplitFile extends AsyncDisposable {
  /** Bytes, as the file system says. */
  readonly size: number;
  /** The content from its start; each chunk is lent until the next is asked for. */
  read(): AsyncIterable<Uint8Array>;
}

/** Opens a file by its name in the tar, below the layer's root and without following any symlink. */
export type OpenTarSplitFile = (name: string) => Promise<TarSplitFile>;

/** What the file system says when the tree is not the one that the tar-split was taken of. */
const TREE_ERRORS = new Set(["ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENXIO"]);

/**
 * The bytes of the tar, in pieces that are lent until the next one is asked for. One file is open at a time.
 * @throws TAR_SPLIT_INVALID when a file is missing, or has another size or content than it had
 */
export async function* assembleTar(
  entries: AsyncIterable<TarSplitEntry> | Iterable<TarSplitEntry>,
  openFile: OpenTarSplitFile,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const entry of entries) {
    if (entry.type === "segment") {
      if (entry.bytes.length > 0) yield entry.bytes;
    } else if (entry.size > 0) yield* fileContent(entry, openFile);
  }
}

async function* fileContent(
  entry: TarSplitFileEntry,
  openFile: OpenTarSplitFile,
): AsyncGenerator<Uint8Array, void, undefined> {
  await using file = await open(entry, openFile);
  if (file.size !== entry.size) throw mismatch(entry, `has ${file.size} bytes instead of ${entry.size}`);
  const crc = new Crc64();
  let missing = entry.size;
  for await (const chunk of file.read()) {
    missing -= chunk.length;
    if (missing < 0) throw mismatch(entry, "grew while it was read");
    crc.update(chunk);
    yield chunk;
  }
  if (missing > 0) throw mismatch(entry, "shrank while it was read");
  if (entry.crc === undefined || !crc.digest().equals(entry.crc)) throw mismatch(entry, "has another content");
}

async function open(entry: TarSplitFileEntry, openFile: OpenTarSplitFile): Promise<TarSplitFile> {
  try {
    return await openFile(entry.name);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code;
    if (isVarveError(error, "FILE_NOT_FOUND") || (code !== undefined && TREE_ERRORS.has(code))) {
      throw mismatch(entry, "is not there", error);
    }
    throw error;
  }
}

function mismatch(entry: TarSplitFileEntry, what: string, cause?: unknown): VarveError {
  const message = `the file ${quoted(entry.name)}, needed to rebuild its layer's tar, ${what}`;
  return new VarveError("TAR_SPLIT_INVALID", message, { cause, detail: { name: entry.name } });
}
