/** What an earlier process left of a partial blob: its journal's claims, still to be checked, or a fresh start. */
import { constants } from "node:fs";
import { chmod, open, type FileHandle } from "node:fs/promises";
import { crediblePieces } from "./claims.ts";
import type { IngestFolder } from "./ingest-folder.ts";
import type { Piece } from "./journal-format.ts";
import { Journal } from "./journal.ts";
import { newPieceKey } from "./piece-sum.ts";

/** From this size on the journal's space is taken before the data can fill the disk. */
const EARLY_JOURNAL_BYTES = 1024 * 1024;

export interface ResumeOptions {
  readonly folder: IngestFolder;
  readonly size: number;
  readonly sync: boolean;
}

export interface Resumed {
  /** Sized to the blob; what was never written reads as zeros, before {@link touchedEnd} as anything. */
  readonly file: FileHandle;
  readonly key: Uint8Array;
  readonly journal: Journal | undefined;
  /** What the journal claims. */
  readonly pieces: readonly Piece[];
  readonly touchedEnd: number;
}

/** Opens the folder's data, new or as far as an earlier process got. */
export async function resume(options: ResumeOptions): Promise<Resumed> {
  const { folder, size } = options;
  await folder.make();
  const file = await openData(folder.data);
  try {
    const old = await Journal.read(folder.journal);
    const usable = old?.header.digest === folder.digest && old.header.size === size;
    const found = usable ? (await file.stat()).size : 0;
    if (!usable) await file.truncate(0);
    await file.truncate(size);
    const key = usable ? old.header.key : newPieceKey();
    const pieces = usable ? crediblePieces(old.pieces, size) : [];
    return { file, key, journal: await startJournal(options, key, pieces), pieces, touchedEnd: Math.min(found, size) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Written anew with what it claims: without a torn tail, and never longer than it has to be. */
async function startJournal(
  options: ResumeOptions,
  key: Uint8Array,
  pieces: readonly Piece[],
): Promise<Journal | undefined> {
  const { folder, size, sync } = options;
  if (pieces.length === 0 && size < EARLY_JOURNAL_BYTES) return undefined;
  return Journal.create(folder.journal, { digest: folder.digest, size, key }, pieces, sync);
}

async function openData(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  try {
    return await open(path, flags, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    // A process died in its commit, between making the file read-only and moving it.
    await chmod(path, 0o600);
    return open(path, flags, 0o600);
  }
}
