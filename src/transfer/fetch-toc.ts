/**
 * Gets the table of contents of a layer, and what goes with it, from the layer's blob (formats "zstd-chunked" §2, "estargz" §2): with one request where
 * it lies in one place, and judged by its digest before it is decompressed where that is the digest given.
 */
import type { EstargzAnnotations } from "../codec/estargz/annotations.ts";
import { readMemberToc } from "../codec/estargz/member-toc.ts";
import type { PlacedPieces } from "../codec/piece-table.ts";
import type { DocumentPlace, NerdctlAnnotations, PodmanAnnotations } from "../codec/zstd-chunked/annotations.ts";
import type { TocReadOptions } from "../codec/zstd-chunked/toc-growth.ts";
import { readChunkedToc, type ChunkedToc } from "../codec/zstd-chunked/toc.ts";
import { SKIPPABLE_HEADER_BYTES } from "../codec/zstd-chunked/footer.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm, Digester, digestOf, type Digest } from "../oci/digest.ts";
import type { Rates } from "../plan/choose.ts";
import type { HeldPieces, PieceSource, Refusal } from "../plan/piece-segments.ts";
import type { Plan } from "../plan/plan.ts";
import { planZstdChunked, type ChunkedLayer } from "../plan/zstd-chunked.ts";
import type { BlobSource } from "../registry/blob-source.ts";
import { fetchEstargzToc } from "./fetch-estargz-toc.ts";
import { PackedDocument } from "./packed-document.ts";
import { planAhead } from "./plan-ahead.ts";
import { readRange } from "./read-range.ts";
import type { TocAnnotations } from "./toc-annotations.ts";
import { inTocRoom, type TocRoom } from "./toc-room.ts";

export interface FetchTocOptions {
  /** Of the layer's repository. */
  readonly blobs: BlobSource;
  readonly signal: AbortSignal;
}

/** A layer's table of contents, and the planner that goes with it. */
export interface FetchedToc {
  /** What may be held here already: ask where, then plan. */
  readonly pieces: PlacedPieces;
  /**
   * A recipe for the layer's tar, or why this table gives none. Fetches what has to be known for that of the blob, at most 16 MiB, and only
   * of layers without a tar-split.
   * @param mustSave as `ChunkedPlanOptions` has it; without a tar-split it is a must
   * @throws the signal's reason; `REGISTRY_*`, `RANGE_UNSUPPORTED`, `BLOB_UNKNOWN`
   */
  plan(held: HeldPieces, rates?: Rates, mustSave?: boolean): Promise<Plan | Refusal>;
}

/** Bytes of a table of contents or a tar-split as it lies in the blob, which is in memory: enough for half a million files. */
const MAX_PACKED_BYTES = 32 << 20;
/** Bytes of a table of contents: half a million entries of half a kilobyte. It is never whole in memory. */
const MAX_TOC_BYTES = 256 << 20;
/** Bytes of a tar-split: half a million headers of 1.5 KiB, in base64. It is never whole in memory either. */
const MAX_TAR_SPLIT_BYTES = 1 << 30;
/** Two documents with no more between them come with one request. */
const NEAR_BYTES = 64 * 1024;

/**
 * @param annotations what the layer's manifest says, of `readTocAnnotations`
 * @throws TOC_INVALID, TOC_LIMIT, DIGEST_MISMATCH, COMPRESSION_INVALID; RANGE_UNSUPPORTED, BLOB_UNKNOWN, REGISTRY_*
 */
export async function fetchToc(
  layer: ChunkedLayer,
  annotations: TocAnnotations,
  options: FetchTocOptions,
): Promise<FetchedToc> {
  return inTocRoom(bytesOf(annotations), (room) => fetchAs(layer, annotations, { ...options, room }));
}

/** What comes of the blob, as far as that is said before. */
function bytesOf(annotations: TocAnnotations): number {
  if (annotations.dialect === "estargz") return 0;
  const tarSplit = annotations.dialect === "podman" ? (annotations.tarSplit?.compressed ?? 0) : 0;
  return annotations.toc.compressed + tarSplit;
}

interface InRoom extends FetchTocOptions {
  readonly room: TocRoom;
}

function fetchAs(layer: ChunkedLayer, annotations: TocAnnotations, options: InRoom): Promise<FetchedToc> {
  switch (annotations.dialect) {
    case "podman":
      return fetchPodman(layer, annotations, options);
    case "nerdctl":
      return fetchNerdctl(layer, annotations, options);
    case "estargz":
      return fetchEstargz(layer, annotations, options);
  }
}

async function fetchEstargz(
  layer: ChunkedLayer,
  annotations: EstargzAnnotations,
  options: InRoom,
): Promise<FetchedToc> {
  const { toc, tail } = await fetchEstargzToc(layer.blob, annotations, options, options.room);
  const source = { blob: layer.blob, codec: "gzip" as const, pieces: toc.pieces };
  return aheadOf(layer, source, { dataEnd: toc.dataEnd, tail }, options);
}

async function fetchPodman(layer: ChunkedLayer, annotations: PodmanAnnotations, options: InRoom): Promise<FetchedToc> {
  const { toc: place, tarSplit: splitPlace } = annotations;
  const [bytes, splitBytes] = await fetchDocuments(layer.blob, place, splitPlace, options);
  checkDigest("table of contents", bytes, annotations.tocDigest);
  const packed = new PackedDocument("table of contents", bytes, place.uncompressed);
  const dataEnd = place.offset - SKIPPABLE_HEADER_BYTES;
  const toc = await readChunkedToc(packed.open(options.signal), dataEnd, growingIn(options));
  if (splitPlace === undefined || splitBytes === undefined) {
    if (toc.tarSplitDigest !== undefined)
      throw new VarveError("TOC_INVALID", "the manifest does not say where the layer's tar-split is");
    return withoutTarSplit(layer, toc, options);
  }
  const split = new PackedDocument("tar-split", splitBytes, splitPlace.uncompressed);
  // Without a digest nothing vouches for it, as for all else that a plan goes by: the DiffID decides.
  if (toc.tarSplitDigest !== undefined) checkDigest("tar-split", split.bytes, toc.tarSplitDigest);
  return {
    pieces: toc.pieces,
    plan: (held, rates, mustSave = true) =>
      planZstdChunked(layer, toc, { open: () => split.open(options.signal) }, held, {
        signal: options.signal,
        mustSave,
        ...(rates && { rates }),
      }),
  };
}

/** Both as they lie in the blob; each has memory of its own, for one is kept much longer than the other. */
async function fetchDocuments(
  blob: Descriptor,
  toc: DocumentPlace,
  tarSplit: DocumentPlace | undefined,
  options: FetchTocOptions,
): Promise<[toc: Uint8Array, tarSplit: Uint8Array | undefined]> {
  check("table of contents", toc.uncompressed, MAX_TOC_BYTES);
  check("table of contents", toc.compressed, MAX_PACKED_BYTES);
  const read = ({ offset, compressed }: DocumentPlace): Promise<Uint8Array> =>
    readRange(options, blob, offset, offset + compressed);
  if (tarSplit === undefined) return [await read(toc), undefined];
  check("tar-split", tarSplit.uncompressed, MAX_TAR_SPLIT_BYTES);
  check("tar-split", tarSplit.compressed, MAX_PACKED_BYTES);
  const start = Math.min(toc.offset, tarSplit.offset);
  const end = Math.max(toc.offset + toc.compressed, tarSplit.offset + tarSplit.compressed);
  if (end - start > toc.compressed + tarSplit.compressed + NEAR_BYTES) return [await read(toc), await read(tarSplit)];
  const both = await readRange(options, blob, start, end);
  const cut = ({ offset, compressed }: DocumentPlace): Uint8Array =>
    Uint8Array.from(both.subarray(offset - start, offset - start + compressed));
  return [cut(toc), cut(tarSplit)];
}

function withoutTarSplit(layer: ChunkedLayer, { pieces, dataEnd }: ChunkedToc, options: InRoom): FetchedToc {
  return aheadOf(layer, { blob: layer.blob, codec: "zstd", pieces }, { dataEnd }, options);
}

async function fetchNerdctl(
  layer: ChunkedLayer,
  { toc: place, tocDigest, plainTocDigest }: NerdctlAnnotations,
  options: InRoom,
): Promise<FetchedToc> {
  check("table of contents", place.uncompressed, MAX_TOC_BYTES);
  check("table of contents", place.compressed, MAX_PACKED_BYTES);
  const bytes = await readRange(options, layer.blob, place.offset, place.offset + place.compressed);
  checkDigest("table of contents", bytes, tocDigest);
  const packed = new PackedDocument("table of contents", bytes, place.uncompressed);
  const dataEnd = place.offset - SKIPPABLE_HEADER_BYTES;
  const digester = plainTocDigest && new Digester(digestAlgorithm(plainTocDigest));
  const toc = await readMemberToc(digesting(packed.open(options.signal), digester), dataEnd, growingIn(options));
  if (digester !== undefined && digester.digest() !== plainTocDigest)
    throw mismatch("table of contents", plainTocDigest);
  return aheadOf(layer, { blob: layer.blob, codec: "zstd", pieces: toc.pieces }, { dataEnd }, options);
}

/** For layers of which nobody says how large what lies between their pieces is: it is fetched first. */
function aheadOf(
  layer: ChunkedLayer,
  source: Omit<PieceSource, "held">,
  frames: { readonly dataEnd: number; readonly tail?: Uint8Array },
  options: InRoom,
): FetchedToc {
  const fetched = new Map<string, Uint8Array>();
  return {
    pieces: source.pieces,
    plan: (held, rates) => planAhead(layer, { ...source, held }, { ...frames, fetched }, { ...options, rates }),
  };
}

function growingIn({ room }: InRoom): TocReadOptions {
  return { onGrow: (bytes) => room.take(bytes) };
}

async function* digesting(
  source: AsyncIterable<Uint8Array>,
  digester: Digester | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    digester?.update(chunk);
    yield chunk;
  }
}

function check(what: string, bytes: number, limit: number): void {
  if (bytes > limit)
    throw new VarveError("TOC_LIMIT", `the layer's ${what} has ${bytes} bytes, and ${limit} are allowed`);
}

function checkDigest(what: string, bytes: Uint8Array, expected: Digest): void {
  if (digestOf(bytes, digestAlgorithm(expected)) !== expected) throw mismatch(what, expected);
}

function mismatch(what: string, expected: Digest | undefined): VarveError {
  return new VarveError("DIGEST_MISMATCH", `the layer's ${what} is not what its digest says`, { detail: { expected } });
}
