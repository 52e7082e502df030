/**
 * The exact tar of a stored layer, read in any order: what a DiffID is the digest of, whatever form the layer is held in. Deltas copy from it.
 */
export interface SeekableTar extends AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  /** Fills all of `into` with the bytes from `position` on, which the tar has. Reads may overlap. @throws VarveError `SOURCE_CHANGED`, `IO` */
  read(into: Uint8Array, position: number): Promise<void>;
  /** Where the bytes `[start, start + length)`, which the tar has, lie: in order, without gaps. The files stay as long as this is open. */
  parts(start: number, length: number): Iterable<TarPart>;
}

/** Bytes `[start, start + length)` of a file, or bytes that lie in no file as they are (headers of a tar that is held as a tree). */
export type TarPart =
  | { readonly kind: "file"; readonly path: string; readonly start: number; readonly length: number }
  | { readonly kind: "data"; readonly bytes: Uint8Array };
