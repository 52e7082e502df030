/** What planners ask of this machine: where does it hold these bytes already? (docs/architecture.md, "What this machine holds".) */
import type { PieceTable, PlacedPieces } from "../../codec/piece-table.ts";
import type { Digest } from "../../oci/digest.ts";

/** Bytes from `start` on of a file: a layer's tar, a file of a tree, a blob. For `LocalSegment`. */
export interface LocalPlace {
  /** Absolute. */
  readonly path: string;
  readonly start: number;
}

/**
 * Where wanted pieces are. What is named here is kept from being collected until this is disposed of, so dispose of it when the recipe has
 * been carried out. It says what was there when it was looked at: whoever uses a place hashes the bytes anew.
 */
export interface LocalPlaces extends AsyncDisposable {
  /** Of the piece with this number in the table that was asked for; undefined when it is not held. */
  get(piece: number): LocalPlace | undefined;
  /** Pieces that have a place, and their bytes. */
  readonly found: { readonly pieces: number; readonly bytes: number };
}

export interface LocateOptions {
  readonly signal?: AbortSignal;
  /**
   * Bytes that may be read and hashed to find out what is held. Default: 8 times the bytes that are
   * wanted and of which no digest was known, since a disk is so much faster than a network; 64 MiB at least. What was hashed is remembered.
   */
  readonly hashBytes?: number;
}

export interface LocalSources extends AsyncDisposable {
  /**
   * Looks for pieces in all that is held: layers that are unpacked, whoever they came from, and blobs. Beside a pull that needs nothing of
   * this it costs nothing; the index of each layer is built when it is first asked.
   * @throws the signal's reason; VarveError `IO`, `PERMISSION`
   */
  locate(wanted: PieceTable, options?: LocateOptions): Promise<LocalPlaces>;
  /**
   * Remembers what the table of contents of a layer says that is held now, so that none of it need be hashed. Its digests are not checked:
   * where they are wrong they cost a fetch. A layer that is not held is none; a store that is only read remembers nothing beyond this.
   */
  record(diffId: Digest, pieces: PlacedPieces): Promise<void>;
  /** A place turned out not to hold what was said of it: it is not named again for that. */
  forget(place: LocalPlace): Promise<void>;
}
