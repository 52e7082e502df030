/** Whatever is held, the plans of all contents make exactly the disk; nothing is fetched twice, and no zeros are. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appleLz4, tartImage, type TartImage } from "../../test/kit/disk/tart-image.ts";
import { carryOut } from "../../test/kit/recipe/carry-out.ts";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { ChunkedDisk } from "../codec/tart/disk-image.ts";
import { readDiskImage } from "../codec/tart/read-disk-image.ts";
import { zeroContents } from "../codec/tart/zero-digests.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { assemble } from "../recipe/assembler.ts";
import type { Segment } from "../recipe/segment.ts";
import { planContent } from "./disk-content.ts";
import { DiskContents, type DiskPlace } from "./disk-contents.ts";
import type { HeldPieces } from "./piece-segments.ts";
import type { Cost, Plan } from "./plan.ts";

const disksOf = ({ manifest }: TartImage): ChunkedDisk[] =>
  (readDiskImage(manifest)?.disks ?? []).filter((disk) => disk.kind === "chunks");

/** A file that has the contents behind each other, behind 7 other bytes. */
function holding(contents: DiskContents, held: readonly Uint8Array[]): HeldPieces & { files: Map<string, Buffer> } {
  const file = Buffer.concat([randomBytes(7), ...held]);
  const places = new Map<Digest, number>();
  let at = 7;
  for (const bytes of held) {
    places.set(digestOf(bytes), at);
    at += bytes.length;
  }
  return {
    files: new Map([["/held", file]]),
    get: (piece) => {
      const start = places.get(contents.digest(piece));
      return start === undefined ? undefined : { path: "/held", start };
    },
  };
}

interface DisksPlan {
  readonly contents: readonly {
    readonly plan: Plan;
    readonly first: DiskPlace;
    readonly copies: readonly DiskPlace[];
  }[];
  readonly cost: Cost;
  /** Of `cost.local`. */
  readonly copied: number;
}

function planDisks(contents: DiskContents, held: HeldPieces): DisksPlan {
  const cost = { network: 0, local: 0, data: 0, zero: contents.zeroBytes, requests: 0 };
  let copied = 0;
  const plans = Array.from({ length: contents.length }, (_, piece) => {
    const plan = planContent(contents.chunk(piece), { place: held.get(piece) });
    const [first, ...copies] = contents.places(piece);
    copied += copies.length * contents.size(piece);
    for (const kind of ["network", "local", "requests"] as const) cost[kind] += plan.cost[kind];
    return { plan, first: first!, copies };
  });
  return { contents: plans, cost: { ...cost, local: cost.local + copied }, copied };
}

async function planFor(image: TartImage, held: readonly Uint8Array[]): Promise<{ plan: DisksPlan; made: Buffer }> {
  const disks = disksOf(image);
  const contents = new DiskContents(disks, await zeroContents(disks.flatMap(({ chunks }) => chunks)));
  const places = holding(contents, held);
  const plan = planDisks(contents, places);
  const made = Buffer.alloc(image.disk.length);
  for (const { plan: one, first, copies } of plan.contents) {
    const [segment] = one.recipe.segments as Segment[];
    const blob = segment !== undefined && "blob" in segment ? image.blobs.get(segment.blob.digest)! : Buffer.alloc(0);
    const bytes = await carryOut(one.recipe, blob, places.files);
    for (const { offset } of [first, ...copies]) bytes.copy(made, offset);
  }
  return { plan, made };
}

const CHUNK = 5000;
/** A disk of few contents: 0 is zeros. */
const diskOf = (kinds: readonly number[], tail = 0): Buffer =>
  Buffer.concat([
    ...kinds.map((kind) => Buffer.alloc(CHUNK, kind === 0 ? "\0" : `content ${kind}`)),
    Buffer.alloc(tail, 9),
  ]);

describe("the contents of disks", () => {
  it("makes exactly the disk, whatever of it is held", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 20 }),
        fc.nat({ max: 3000 }),
        fc.subarray([1, 2, 3, 4, 5]),
        async (kinds, tail, held) => {
          const image = tartImage(diskOf(kinds, tail), { chunkSizes: [CHUNK] });
          const here = held.map((kind) => diskOf([kind]));
          const { plan, made } = await planFor(image, here);
          expect(made.equals(image.disk)).toBe(true);
          const distinct = new Set(kinds.filter((kind) => kind !== 0));
          const fetched = [...distinct].filter((kind) => !held.includes(kind));
          const zeros = kinds.filter((kind) => kind === 0).length;
          expect(plan.contents).toHaveLength(distinct.size + (tail > 0 ? 1 : 0));
          expect(plan.cost.requests).toBe(fetched.length + (tail > 0 ? 1 : 0));
          expect(plan.cost.zero).toBe(zeros * CHUNK);
          expect(plan.copied).toBe((kinds.length - zeros - distinct.size) * CHUNK);
          expect(plan.cost.local - plan.copied).toBe((distinct.size - fetched.length) * CHUNK);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("takes chunks of any size, and asks for nothing where all is here or zeros", async () => {
    const disk = Buffer.concat([randomBytes(70_000), Buffer.alloc(100_000), randomBytes(3)]);
    const image = tartImage(disk, { chunkSizes: [70_000, 33_000, 67_000, 3] });
    expect((await planFor(image, [])).made.equals(disk)).toBe(true);
    const { plan, made } = await planFor(image, [disk.subarray(0, 70_000), disk.subarray(-3)]);
    expect(made.equals(disk)).toBe(true);
    expect(plan.cost).toEqual({ network: 0, local: 70_003, data: 0, zero: 100_000, requests: 0 });
    expect(plan.contents.map(({ plan: { how } }) => how)).toEqual(["disk", "disk"]);
  });

  it("moves what the blobs of the missing contents have", async () => {
    const image = tartImage(diskOf([1, 2, 3, 2]), { chunkSizes: [CHUNK] });
    const { plan } = await planFor(image, [diskOf([1])]);
    const [disk] = disksOf(image);
    const sizes = [1, 2].map((chunk) => disk!.chunks[chunk]!.blob.size);
    expect(plan.cost.network).toBe(sizes[0]! + sizes[1]!);
    expect(plan.contents.map(({ first, copies }) => [first, copies])).toEqual([
      [{ disk: 0, offset: 0 }, []],
      [{ disk: 0, offset: CHUNK }, [{ disk: 0, offset: 3 * CHUNK }]],
      [{ disk: 0, offset: 2 * CHUNK }, []],
    ]);
  });

  it("finds contents that several disks have", () => {
    const [disk] = disksOf(tartImage(diskOf([1, 2]), { chunkSizes: [CHUNK] }));
    const contents = new DiskContents([disk!, { ...disk!, name: "other.img" }], new Set());
    expect([contents.length, contents.name(1), contents.places(1)]).toEqual([
      2,
      "disk.img",
      [
        { disk: 0, offset: CHUNK },
        { disk: 1, offset: CHUNK },
      ],
    ]);
  });

  it("fetches parts that are not compressed as they are, and gzip by its members", () => {
    const [disk] = disksOf(tartImage(diskOf([1, 2]), { chunkSizes: [CHUNK] }));
    const [first, second] = disk!.chunks;
    const chunks = [
      { ...first!, coding: "stored" as const },
      { ...second!, coding: "gzip" as const },
    ];
    const contents = new DiskContents([{ ...disk!, chunks }], new Set());
    const { contents: plans } = planDisks(contents, { get: () => undefined });
    const segments = plans.flatMap(({ plan }) => plan.recipe.segments as Segment[]);
    expect(segments).toMatchObject([
      { kind: "remote", length: CHUNK },
      { kind: "frames", codec: "gzip", size: CHUNK, length: chunks[1]!.blob.size },
    ]);
  });

  it("gives recipes that the assembler carries out, and whose blobs must be what the manifest says", async () => {
    await using dir = await tempDir();
    const image = tartImage(Buffer.concat([diskOf([1, 0, 1]), randomBytes(300_000)]), {
      chunkSizes: [CHUNK * 3, 150_000],
    });
    const contents = new DiskContents(disksOf(image), new Set());
    const { contents: plans } = planDisks(contents, { get: () => undefined });
    const good = new MemoryBlobs();
    for (const bytes of image.blobs.values()) good.add(bytes);
    // Each blob holds what another should.
    const bad = new MemoryBlobs();
    for (const { blob } of disksOf(image)[0]!.chunks) bad.add(appleLz4(Buffer.alloc(150_000)), blob.digest);
    for (const [at, { plan, first }] of plans.entries()) {
      const { recipe } = plan;
      await using ingest = await FileIngest.open({ path: join(dir.path, `good-${at}`), ...recipe.target });
      expect(await assemble(recipe, { ingest, blobs: good })).toMatchObject({ bytes: { network: plan.cost.network } });
      const { offset } = first;
      expect((await readFile(ingest.path)).equals(image.disk.subarray(offset, offset + recipe.target.size))).toBe(true);
      await using other = await FileIngest.open({ path: join(dir.path, `bad-${at}`), ...recipe.target });
      await expect(assemble(recipe, { ingest: other, blobs: bad })).rejects.toMatchObject({
        code: expect.stringMatching(/_MISMATCH$|^COMPRESSION_INVALID$/) as string,
      });
    }
  });
});
