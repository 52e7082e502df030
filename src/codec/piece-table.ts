/**
 * What a chunked layer's table of contents says of its content, without an object for each piece: whole files, and chunks of files
 * (formats zstd-chunked 1.3, estargz "TOC"). A file that has chunks has a piece for itself and one for each chunk, all under its name.
 */
import type { Digest } from "../oci/digest.ts";

export interface PieceTable {
  readonly length: number;
  /** Bytes of the piece, decompressed. */
  size(piece: number): number;
  /** Of these bytes; undefined where it is not known, and then nobody can look for the piece. */
  digest(piece: number): Digest | undefined;
  /** The path of the file that it is (part) of, as the tar has it or normalised, as a surrogateescape string. */
  name(piece: number): string;
}

/** Pieces of a layer that is held. */
export interface PlacedPieces extends PieceTable {
  /** Where the piece begins in the file of its name; 0 for a whole file. */
  start(piece: number): number;
}
