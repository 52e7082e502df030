/** A machine that holds some contents, for planners that ask where pieces are. */
import type { PieceTable } from "../../../src/codec/piece-table.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import type { LocalPlace } from "../../../src/store/local-sources/types.ts";

export interface HeldContents {
  /** By path. */
  readonly files: ReadonlyMap<string, Buffer>;
  get(piece: number): LocalPlace | undefined;
}

/** Each content is held in the middle of a file of its own. */
export function holding(pieces: PieceTable, contents: readonly Uint8Array[]): HeldContents {
  const before = Buffer.alloc(7, 0xee);
  const files = new Map(contents.map((each) => [`/held/${digestOf(each)}`, Buffer.concat([before, each, before])]));
  return {
    files,
    get(piece) {
      const path = `/held/${pieces.digest(piece)}`;
      return files.has(path) ? { path, start: before.length } : undefined;
    },
  };
}
