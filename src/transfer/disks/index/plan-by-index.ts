/**
 * Contents of disks that this machine lacks, of pieces: from other disks that are here, and of the chunks' blobs only what is nowhere. It takes an index
 * that refers to the image, and a disk to look in, or contents that are nearly all zeros, whose blobs are mostly these. Nothing of it is relied upon:
 * contents that come out wrong come whole.
 */
import type { ChunkPieces } from "../../../codec/disk-index/chunk-pieces.ts";
import type { LocalPlaces } from "../../../store/local-sources/types.ts";
import { HeldSources } from "../../../store/local-sources/local-sources.ts";
import { heldDisks } from "../../../store/local-sources/held-disks.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { DiskContents } from "../../../plan/disk-contents.ts";
import { planDiskPieces } from "../../../plan/disk-pieces.ts";
import type { Plan } from "../../../plan/plan.ts";
import type { Rates } from "../../../plan/choose.ts";
import type { BlobSource } from "../../../registry/blob-source.ts";
import type { TransferContext } from "../../context.ts";
import type { Fallback } from "../../pull-result.ts";
import { Tally } from "../../tally.ts";
import { fetchIndexes, type ContentIndexes } from "./fetch-indexes.ts";
import { findIndex, messageOf, type IndexedImage } from "./find-index.ts";
import { JoinedPieces } from "./piece-tables.ts";

export interface PlanByIndexOptions {
  readonly image: IndexedImage;
  /** Numbers of the contents that would have to be fetched. */
  readonly missing: readonly number[];
  /** Of the image's repository. */
  readonly blobs: BlobSource;
  /** What was measured of the registry. Default: what is common. */
  readonly rates?: Rates;
  /** Requests at once. Default 4. */
  readonly concurrency?: number;
  /** Writes nothing to the store: for plans. Default false. */
  readonly readOnly?: boolean;
  readonly signal: AbortSignal;
}

/** Holds what its plans name; dispose of it when they were carried out. */
export interface IndexPlans extends AsyncDisposable {
  /** Undefined for a content that comes whole. */
  get(content: number): Plan | undefined;
  /** What finding out cost: the list of referrers, the indexes. */
  readonly network: number;
  readonly requests: number;
  readonly fallbacks: readonly Fallback[];
  /** The content was made by its plan, and nothing of it was wrong: so its index is right. */
  proved(content: number): void;
  /**
   * To be called when the disks are whole, so that the next pull need not read them to know their pieces: those whose indexes were proved. Never rejects.
   * @param keys of the disks, in the order in which the contents were made of them
   */
  remember(keys: readonly Digest[]): Promise<void>;
}

const FROM = "chunk index";
/** A content is nearly all zeros when its blob has less than that share of its bytes: LZ4 makes a 238th of them at best. */
const SPARSE_SHARE = 1 / 100;
/** Bytes of such blobs that are worth asking for an index. */
const LEAST_SPARSE_BYTES = 256 << 10;

/** @returns undefined when no content can be better so. @throws the signal's reason; VarveError `IO`, `PERMISSION`, as the store */
export async function planByIndex(
  context: TransferContext,
  contents: DiskContents,
  options: PlanByIndexOptions,
): Promise<IndexPlans | undefined> {
  const { store, onProgress } = context;
  const { image, signal, concurrency = 4, readOnly = false } = options;
  const isAnything = (await heldDisks(store)).length > 0;
  const missing = isAnything ? options.missing : sparse(contents, options.missing);
  if (missing.length === 0) return undefined;
  const own = new Tally();
  const fallbacks: Fallback[] = [];
  const fallBack = (digest: Digest, reason: string): void => {
    fallbacks.push({ from: FROM, reason });
    onProgress({ type: "fallback", digest, from: FROM, reason });
  };
  const found = await findIndex({ ...context, signal }, image, own, (reason) => fallBack(image.digest, reason));
  const indexes: ContentIndexes =
    found === undefined
      ? new Map()
      : await fetchIndexes(contents, missing, found, {
          blobs: own.counting(options.blobs),
          concurrency,
          signal,
          onFallback: (chunk, error) => fallBack(chunk, messageOf(error)),
        });
  await using opened = new AsyncDisposableStack();
  const sources = opened.use(new HeldSources({ store, readOnly, listHeld: () => heldDisks(store) }));
  const plans = await planAll(contents, indexes, sources, opened, options);
  const proved = new Map<number, ChunkPieces>();
  const held = opened.move();
  return {
    get: (content) => plans.get(content),
    network: own.network,
    requests: own.requests,
    fallbacks,
    proved: (content) => {
      const pieces = indexes.get(content);
      if (pieces !== undefined) proved.set(content, pieces);
    },
    remember: async (keys) => {
      for (const [disk, key] of keys.entries()) {
        const pieces = piecesOf(contents, proved, disk);
        if (pieces.length > 0) await sources.record(key, pieces).catch(() => undefined);
      }
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function planAll(
  contents: DiskContents,
  indexes: ContentIndexes,
  sources: HeldSources,
  opened: AsyncDisposableStack,
  { rates, signal }: PlanByIndexOptions,
): Promise<Map<number, Plan>> {
  const plans = new Map<number, Plan>();
  if (indexes.size === 0) return plans;
  const named = [...indexes].map(([content, pieces]) => ({ pieces, name: nameAt(contents.places(content)[0]!) }));
  const table = new JoinedPieces(named);
  const places: LocalPlaces = opened.use(await sources.locate(table, { signal }));
  for (const [part, [content, pieces]] of [...indexes].entries()) {
    const first = table.first(part);
    const here = { get: (piece: number) => places.get(first + piece) };
    const plan = planDiskPieces(contents.chunk(content), pieces, here, rates);
    if (!("refused" in plan)) plans.set(content, plan);
  }
  return plans;
}

/** Of the contents those that are nearly all zeros; none where they are not worth it. */
function sparse(contents: DiskContents, missing: readonly number[]): readonly number[] {
  const found = missing.filter((content) => {
    const { blob, size } = contents.chunk(content);
    return blob.size < size * SPARSE_SHARE;
  });
  const bytes = found.reduce((sum, content) => sum + contents.chunk(content).blob.size, 0);
  return bytes < LEAST_SPARSE_BYTES ? [] : found;
}

/** What is known of a disk by the indexes of its contents. */
function piecesOf(contents: DiskContents, indexes: ContentIndexes, disk: number): JoinedPieces {
  const parts = [...indexes].flatMap(([content, pieces]) =>
    contents
      .places(content)
      .filter((place) => place.disk === disk)
      .map((place) => ({ pieces, name: nameAt(place) })),
  );
  return new JoinedPieces(parts);
}

/** As the contents of disks are named among what is held: an earlier version most likely lies in the same place of another disk. */
function nameAt({ offset }: { readonly offset: number }): string {
  return String(offset);
}
