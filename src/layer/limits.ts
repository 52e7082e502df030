/** Bounds on what a hostile layer may cost. Upstream engines have none of them (containerd's threat model, STORE-003). */
import { VarveError } from "../errors/varve-error.ts";

export interface ApplyLimits {
  /** Members of all layers together. Default 10,000,000. */
  readonly entries?: number;
  /** Bytes of payload of all layers together. Default 1 TiB. */
  readonly bytes?: number;
  /** Directories on the way to a file. Default 512. */
  readonly depth?: number;
  /** Bytes of one extended attribute's value. Default 64 KiB, Linux' own limit. */
  readonly xattrBytes?: number;
  /** Extended attributes of one member. Default 1000. */
  readonly xattrs?: number;
  /**
   * Directories, and names written into directories of lower layers, that one layer makes us remember. Measured: 360 bytes
   * for a directory, 90 for a name. Default 2,000,000.
   */
  readonly remembered?: number;
  /**
   * Bytes of memory, about, that the index of one layer may take: 300 for a file, 600 for a directory, more for long names and extended
   * attributes.
   * Default 1 GiB.
   */
  readonly indexBytes?: number;
  /** Names that the tree of all layers together may have in memory. Default 5,000,000. */
  readonly indexNames?: number;
}

export const DEFAULT_LIMITS: Required<ApplyLimits> = {
  entries: 10_000_000,
  bytes: 2 ** 40,
  depth: 512,
  xattrBytes: 65_536,
  xattrs: 1000,
  remembered: 2_000_000,
  indexBytes: 2 ** 30,
  indexNames: 5_000_000,
};

export function overLimit(what: string, limit: number): VarveError {
  return new VarveError("LAYER_LIMIT", `the layer passes the limit of ${limit} ${what}`, { detail: { what, limit } });
}
