/** What an earlier process left of a partial blob: its journal's claims, still to be checked, or a fresh start. */
import { crediblePieces } from "./claims.ts";
import type { DataFile } from "./data-file.ts";
import type { IngestPlace } from "./ingest-place.ts";
import type { Piece } from "./journal-format.ts";
import { Journal } from "./journal.ts";
import { newPieceKey } from "./piece-sum.ts";

export interface ResumeOptions {
  readonly folder: IngestPlace;
  readonly size: number;
  readonly sync: boolean;
}

export interface Resumed {
  readonly file: DataFile;
  readonly key: Uint8Array;
  readonly journal: Journal | undefined;
  /** What the journal claims. */
  readonly pieces: readonly Piece[];
}

/** Opens the folder's data, new or as far as an earlier process got. */
export async function resume(options: ResumeOptions): Promise<Resumed> {
  const { folder, size } = options;
  const old = await Journal.read(folder.journal);
  const usable = old?.header.digest === folder.digest && old.header.size === size;
  const file = await folder.open(size, usable);
  try {
    const key = usable ? old.header.key : newPieceKey();
    const pieces = usable ? crediblePieces(old.pieces, size) : [];
    return { file, key, journal: await startJournal(options, key, pieces), pieces };
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
  if (pieces.length === 0 && size < folder.earlyJournal) return undefined;
  await folder.make();
  return Journal.create(folder.journal, { digest: folder.digest, size, key }, pieces, sync);
}
