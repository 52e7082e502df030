/** Indexes that lie, or are of something else: the pull goes on with whole chunks, and what comes out is what the manifest says. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { indexedMachines, type IndexedMachines } from "../../../../test/kit/disk/indexed-machines.ts";
import type { KitImage } from "../../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../../test/kit/images/push-image.ts";
import { noise } from "../../../../test/kit/recipe/random-recipe.ts";
import { transferContext } from "../../../../test/kit/store/transfer-context.ts";
import { readChunkIndex, writeChunkIndex, type ChunkIndex } from "../../../codec/disk-index/chunk-index.ts";
import { ChunkPieces } from "../../../codec/disk-index/chunk-pieces.ts";
import { EMPTY_CONFIG, readIndexManifest, writeIndexManifest } from "../../../codec/disk-index/index-manifest.ts";
import { readDiskImage } from "../../../codec/tart/read-disk-image.ts";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../../oci/manifest.ts";
import { fallbackTag } from "../../../registry/referrers.ts";
import { listedReferrers } from "../../transports/store-referrers.ts";

const CHUNK = 1 << 20;
const first = Buffer.concat([noise(CHUNK, "one"), noise(CHUNK, "two")]);
const next = Buffer.from(first);
for (const at of [100_000, 700_000, CHUNK + 300_000]) next[at]! ^= 1;

type Lie = (index: ChunkIndex, all: readonly ChunkIndex[], number: number) => Uint8Array;

/** Pieces with one changed, which are otherwise as they were. */
function changed(
  { pieces, ...index }: ChunkIndex,
  change: (piece: number) => { readonly blobBytes?: number; readonly digest?: Uint8Array },
): Uint8Array {
  const other = new ChunkPieces();
  for (let piece = 0; piece < pieces.length; piece++) {
    const { blobBytes = pieces.end(piece) - pieces.offset(piece), digest = pieces.digestBytes(piece) } = change(piece);
    other.push(pieces.size(piece), blobBytes, digest);
  }
  return writeChunkIndex({ ...index, pieces: other });
}

/** The number of the piece that the byte, which is another than before, is in. */
function pieceAt({ pieces }: ChunkIndex, position: number): number {
  let piece = 0;
  while (pieces.start(piece) + pieces.size(piece) <= position) piece++;
  return piece;
}

const CHANGED = [100_000, 300_000];

const LIES: Readonly<Record<string, Lie>> = {
  "a digest that nothing has": (index, _all, number) =>
    changed(index, (piece) => (piece === pieceAt(index, CHANGED[number]!) ? { digest: noise(32, "none") } : {})),
  // The piece before the byte that changed is here; said to be what is nowhere, it would be fetched, and be wrong.
  "digests that stand in each other's place": (index, _all, number) => {
    const wanted = pieceAt(index, CHANGED[number]!);
    const digests = [wanted, wanted - 1].map((piece) => Uint8Array.from(index.pieces.digestBytes(piece)!));
    return changed(index, (piece) => {
      const digest = piece === wanted ? digests[1] : piece === wanted - 1 ? digests[0] : undefined;
      return digest === undefined ? {} : { digest };
    });
  },
  "blocks that begin elsewhere": (index, _all, number) => {
    const wanted = pieceAt(index, CHANGED[number]!);
    const size = (piece: number): number => index.pieces.end(piece) - index.pieces.offset(piece);
    return changed(index, (piece) => {
      if (piece === wanted) return { blobBytes: size(wanted) - 7 };
      return piece === wanted + 1 ? { blobBytes: size(wanted + 1) + 7 } : {};
    });
  },
  // What changed is taken for what it was: all of it is here, and all of it verifies, and the whole is another.
  "the pieces of the version before": (index, _all, number) => {
    const before = first.subarray(number * CHUNK, (number + 1) * CHUNK);
    const { pieces } = index;
    return changed(index, (piece) => {
      const bytes = before.subarray(pieces.start(piece), pieces.start(piece) + pieces.size(piece));
      return { digest: Buffer.from(digestOf(bytes).slice("sha256:".length), "hex") };
    });
  },
  "the index of another chunk": (_index, all, number) => writeChunkIndex(all[1 - number]!),
  "an index that is cut short": (index) => writeChunkIndex(index).subarray(0, -1),
  "no index at all": () => Buffer.from("hello"),
};

/** What the builder's store has for an image. */
async function indexesOf({ builder, name }: IndexedMachines, tag: string, digest: Digest): Promise<ChunkIndex[]> {
  const { content } = builder.store;
  const manifest = parseManifest(await content.readBytes(digest, 1 << 20)) as Manifest;
  const [listed] = await listedReferrers(builder.store, name(tag), digest);
  const indexes = readIndexManifest(
    parseManifest(await content.readBytes(listed!.digest, 1 << 20)) as Manifest,
    digest,
  );
  const [disk] = readDiskImage(manifest)!.disks;
  if (disk?.kind !== "chunks") throw new Error("is no disk");
  return Promise.all(
    disk.chunks.map(async ({ blob, digest: raw, size }) => {
      const raws = { digest: raw!, size };
      const bytes = await content.readBytes(indexes.get(blob.digest)!.digest, 1 << 20);
      return { blob, content: raws, pieces: await readChunkIndex([bytes], { blob, content: raws }) };
    }),
  );
}

/** Puts a referrer to the registry. */
async function putIndex(
  { registry }: IndexedMachines,
  subject: Digest,
  documents: readonly { readonly chunk: Digest; readonly bytes: Uint8Array }[],
  tag = "index",
): Promise<Uint8Array> {
  const described = (bytes: Uint8Array): { digest: Digest; bytes: Buffer; size: number } => ({
    digest: digestOf(bytes),
    bytes: Buffer.from(bytes),
    size: bytes.length,
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const indexes = documents.map(({ chunk, bytes }) => ({ chunk, index: described(bytes) }));
  const bytes = writeIndexManifest({ mediaType, digest: subject, size: 1000 }, indexes);
  const blobs = [...documents.map((document) => described(document.bytes)), described(EMPTY_CONFIG)];
  const image = { kind: "image", ...described(bytes), descriptor: { mediaType }, blobs };
  await pushImage(registry.host, "vm", tag, image as unknown as KitImage);
  return bytes;
}

async function prepared(): Promise<{ machines: IndexedMachines; digest: Digest; indexes: ChunkIndex[] }> {
  const machines = await indexedMachines(CHUNK);
  await machines.publish("v1", first);
  const digest = await machines.publish("v2", next, { chunkIndex: false });
  return { machines, digest, indexes: await indexesOf(machines, "v2", digest) };
}

describe("an index that says", () => {
  it.each(Object.entries(LIES))("%s", async (_what, lie) => {
    const { machines, digest, indexes } = await prepared();
    const documents = indexes.map((index, number) => ({
      chunk: index.blob.digest,
      bytes: lie(index, indexes, number),
    }));
    await putIndex(machines, digest, documents);
    const context = await transferContext();
    await machines.pull(context, "v1");
    const { disks } = await machines.pull(context, "v2");
    expect((await readFile(disks![0]!.path!)).equals(next)).toBe(true);
    expect(context.events.filter(({ type }) => type === "fallback").length).toBeGreaterThanOrEqual(2);
    // And it was of no harm for the version after that.
    const last = Buffer.from(next);
    last[200_000]! ^= 1;
    await machines.publish("v3", last);
    const pulled = await machines.pull(context, "v3");
    expect((await readFile(pulled.disks![0]!.path!)).equals(last)).toBe(true);
  });

  it.each([500, 403])("nothing, for the registry answers %i when it is asked, is gone without", async (status) => {
    const { machines } = await prepared();
    machines.registry.setQuirks({ referrers: status });
    const context = await transferContext();
    await machines.pull(context, "v1");
    const { disks } = await machines.pull(context, "v2");
    expect((await readFile(disks![0]!.path!)).equals(next)).toBe(true);
    const fallbacks = context.events.filter((event) => event.type === "fallback");
    expect(fallbacks).toMatchObject([{ from: "chunk index", reason: expect.stringMatching(/^[A-Z_]+: /) as string }]);
  });

  it("that it is of another image is left aside, and one that nobody can read is told of", async () => {
    const { machines, digest, indexes } = await prepared();
    const documents = indexes.map((index) => ({ chunk: index.blob.digest, bytes: writeChunkIndex(index) }));
    const bytes = await putIndex(machines, digestOf("another image"), documents, "other");
    // Registries that keep no lists have what somebody put under the tag.
    machines.registry.setQuirks({ referrers: false });
    const entry = {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: digestOf(bytes),
      size: bytes.length,
      artifactType: "application/vnd.varve.disk.index.v1",
    };
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [entry] }));
    const image = { kind: "image", digest: digestOf(list), bytes: list, descriptor: { mediaType }, blobs: [] };
    await pushImage(machines.registry.host, "vm", fallbackTag(digest), image as unknown as KitImage);
    const context = await transferContext();
    await machines.pull(context, "v1");
    const { disks } = await machines.pull(context, "v2");
    expect((await readFile(disks![0]!.path!)).equals(next)).toBe(true);
    const fallbacks = context.events.filter((event) => event.type === "fallback");
    expect(fallbacks).toMatchObject([
      { from: "chunk index", reason: expect.stringMatching(/does not refer/) as string },
    ]);
  });
});
