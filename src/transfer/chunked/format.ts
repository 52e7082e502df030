/** What a pull asks of a format of chunked layers, whichever it is; `formatOf` in formats.ts tells which one a layer has. */
import type { PieceTable, PlacedPieces } from "../../codec/piece-table.ts";
import type { Rates } from "../../plan/choose.ts";
import type { Refusal } from "../../plan/piece-segments.ts";
import type { Plan } from "../../plan/plan.ts";
import type { BlobSource } from "../../registry/blob-source.ts";
import type { LocalPlaces } from "../../store/local-sources/types.ts";
import type { UnpackTask } from "../present-layer.ts";

export interface ChunkedFormat {
  readonly how: "zstd-chunked" | "estargz";
  /** What has to be fetched before anything can be planned: the table of contents and what goes with it. */
  readonly tocBytes: number;
  /**
   * Fetches it.
   * @throws VarveError `TOC_INVALID`, `DIGEST_MISMATCH`, `RANGE_UNSUPPORTED`, `REGISTRY_*` ...
   */
  open(
    task: UnpackTask,
    options: { readonly blobs: BlobSource; readonly signal: AbortSignal },
  ): Promise<TableOfContents>;
}

export interface TocPlanOptions {
  readonly rates: Rates;
  readonly signal: AbortSignal;
  /** Whether a plan that takes nothing from here is of no use. Default true. */
  readonly mustSave?: boolean;
}

export interface TableOfContents {
  /** What may be held here already. */
  readonly pieces: PieceTable;
  /** A recipe for the layer's tar, or why this table gives none. */
  plan(held: Pick<LocalPlaces, "get">, options: TocPlanOptions): Promise<Plan | Refusal>;
  /** The same pieces, for who finds them in the layer once it is held. */
  readonly placed?: PlacedPieces;
}
