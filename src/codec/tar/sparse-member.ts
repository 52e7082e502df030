/**
 * Finds out whether a member is sparse and gathers its map, which may need further blocks of the archive: extension
 * headers (old GNU) or the first blocks of its payload (PAX 1.0).
 */
import type { TarDialect } from "./block.ts";
import { BLOCK } from "./block.ts";
import { invalid } from "./fault.ts";
import { FLAG } from "./member-type.ts";
import type { PaxRecords } from "./pax.ts";
import type { Draft } from "./read-header.ts";
import {
  addOldGnuBlock,
  addPaxMap,
  oldGnuRealSize,
  paxRealSize,
  paxSparseFormat,
  PayloadMapReader,
  SparseMap,
} from "./sparse.ts";

/** A map that is not complete yet. */
export interface SparseMember {
  /** Takes one more block; true when the map is complete and written into the draft. */
  takeBlock(bytes: Buffer, at: number): boolean;
}

export interface SparseContext {
  readonly dialect: TarDialect;
  readonly pax: PaxRecords | undefined;
  /** How many pairs a map may have. */
  readonly limit: number;
  /** Where the member's header is in the archive, for messages. */
  readonly offset: number;
}

/**
 * Completes the draft when the member is sparse, with the header block at `at`. Returns a reader when more blocks are
 * needed. @throws LAYER_INVALID, LAYER_LIMIT
 */
export function beginSparse(draft: Draft, context: SparseContext, bytes: Buffer, at: number): SparseMember | undefined {
  if (draft.typeFlag === FLAG.gnuSparse) return beginOldGnu(draft, context, bytes, at);
  const { pax, limit, offset } = context;
  const format = pax === undefined ? undefined : paxSparseFormat(pax);
  if (pax === undefined || format === undefined) return undefined;
  if (draft.type !== "file") throw invalid("a sparse map belongs to no file", offset);
  draft.name = pax.values.get("GNU.sparse.name") || draft.name;
  draft.size = paxRealSize(pax) ?? draft.size;
  const map = new SparseMap(limit, offset);
  if (format === "payload") return awaitPayloadMap(draft, map, offset);
  addPaxMap(map, pax, offset);
  draft.sparse = map.finish(draft.size, draft.storedSize);
  return undefined;
}

function beginOldGnu(draft: Draft, context: SparseContext, bytes: Buffer, at: number): SparseMember | undefined {
  const { dialect, limit, offset } = context;
  if (dialect !== "gnu") throw invalid("a sparse member is not in the GNU format", offset);
  const map = new SparseMap(limit, offset);
  draft.size = oldGnuRealSize(bytes, at);
  const take = (block: Buffer, from: number, isHeader: boolean): boolean => {
    if (addOldGnuBlock(map, block, from, isHeader)) return false;
    draft.sparse = map.finish(draft.size, draft.storedSize);
    return true;
  };
  return take(bytes, at, true) ? undefined : { takeBlock: (block, from) => take(block, from, false) };
}

function awaitPayloadMap(draft: Draft, map: SparseMap, offset: number): SparseMember {
  const reader = new PayloadMapReader(map, offset);
  const expectBlock = (): void => {
    if (draft.storedSize < BLOCK) throw invalid("a sparse map is cut short", offset);
  };
  expectBlock();
  return {
    takeBlock: (block, from) => {
      draft.storedSize -= BLOCK;
      if (reader.addBlock(block, from)) {
        draft.sparse = map.finish(draft.size, draft.storedSize);
        return true;
      }
      expectBlock();
      return false;
    },
  };
}
