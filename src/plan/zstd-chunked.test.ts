/** Whatever is held, the plan makes exactly the layer's tar; what disagrees is refused. */
import { randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inChunks } from "../../test/codec/tar-splits.ts";
import { allKinds, someMembers } from "../../test/kit/images/chunked-members.ts";
import type { ChunkedMember } from "../../test/kit/images/tar-members.ts";
import {
  zstdChunkedLayer,
  type ChunkedLayerFixture,
  type TocDocument,
  type ZstdChunkedOptions,
} from "../../test/kit/images/zstd-chunked.ts";
import { carryOut } from "../../test/kit/recipe/carry-out.ts";
import { holding } from "../../test/kit/recipe/held-pieces.ts";
import { parseZstdChunkedAnnotations } from "../codec/zstd-chunked/annotations.ts";
import { readChunkedToc } from "../codec/zstd-chunked/toc.ts";
import { digestOf } from "../oci/digest.ts";
import type { Segment } from "../recipe/segment.ts";
import { costOf, type Plan } from "./plan.ts";
import type { PieceTable } from "../codec/piece-table.ts";
import type { LocalPlace } from "../store/local-sources/types.ts";
import type { HeldPieces, Refusal } from "./piece-segments.ts";
import { planZstdChunked, type ChunkedPlanOptions } from "./zstd-chunked.ts";

interface Planned {
  readonly plan: Plan | Refusal;
  readonly files: ReadonlyMap<string, Buffer>;
}

async function planFor(
  layer: ChunkedLayerFixture,
  held: readonly Uint8Array[],
  options?: ChunkedPlanOptions,
): Promise<Planned> {
  let contents = holding({ length: 0, size: () => 0, digest: () => undefined, name: () => "" }, held);
  const plan = await planLayer(layer, (pieces) => (contents = holding(pieces, held)), options);
  return { plan, files: contents.files };
}

async function planLayer(
  { blob, descriptor, diffId, toc }: ChunkedLayerFixture,
  holdingOf: (pieces: PieceTable) => HeldPieces,
  options?: ChunkedPlanOptions,
): Promise<Plan | Refusal> {
  const annotations = parseZstdChunkedAnnotations(descriptor.annotations, blob.length);
  if (annotations?.dialect !== "podman" || annotations.tarSplit === undefined) throw new Error("no tar-split");
  const { offset, compressed } = annotations.tarSplit;
  const split = zstdDecompressSync(blob.subarray(offset, offset + compressed));
  const table = await readChunkedToc(inChunks(toc), annotations.toc.offset - 8);
  return planZstdChunked(
    { blob: descriptor, diffId },
    table,
    { open: () => inChunks(split, 700) },
    holdingOf(table.pieces),
    options,
  );
}

function planned({ plan }: Planned): Plan {
  if ("refused" in plan) throw new Error(`refused: ${plan.refused}`);
  return plan;
}

const content = randomBytes(300_000);
/** What a machine holds that has everything of `allKinds` but the two largest files. */
const everything = allKinds();
const others = everything.flatMap(({ content: bytes }) =>
  bytes === undefined || bytes.length > 100_000 ? [] : [bytes],
);

describe("planZstdChunked", () => {
  it("makes the tar of headers, what is held, zeros and frames, any number of times over", async () => {
    const layer = zstdChunkedLayer(everything);
    const result = await planFor(layer, others);
    const { recipe, cost, how } = planned(result);
    expect(how).toBe("zstd-chunked");
    expect(recipe.target).toEqual({ digest: layer.diffId, size: layer.tar.length });
    for (let time = 0; time < 2; time++) {
      expect((await carryOut(recipe, layer.blob, result.files)).equals(layer.tar)).toBe(true);
    }
    const segments = await Array.fromAsync<Segment>(recipe.segments);
    expect(new Set(segments.map(({ kind }) => kind))).toEqual(new Set(["data", "local", "zero", "frames"]));
    expect(cost).toEqual(costOf(segments, recipe.gapBytes));
    expect(cost.local).toBe(others.reduce((sum, { length }) => sum + length, 0));
    // All of `hole` but the chunk that has something in it.
    expect(cost.zero).toBe(200_010);
  });

  it("tells the chunks of a file one by one, however many there are", async () => {
    const bytes = randomBytes(4000);
    const layer = zstdChunkedLayer([{ type: "file", name: "many", content: bytes }], { chunkBytes: 2 });
    let asked = 0;
    const get = (piece: number): LocalPlace | undefined => {
      asked++;
      return piece === 1 ? { path: "/held", start: 0 } : undefined;
    };
    const plan = planned({ plan: await planLayer(layer, () => ({ get })), files: new Map() });
    asked = 0;
    let told = 0;
    for await (const { kind } of plan.recipe.segments) {
      if (kind === "frames" && ++told === 3) break;
    }
    expect(asked).toBeLessThan(10);
  });

  it("makes exactly the tar of any layer, whatever of it is held", async () => {
    await fc.assert(
      fc.asyncProperty(
        someMembers(3000),
        fc.array(fc.boolean(), { minLength: 20 }),
        fc.boolean(),
        async (members, isHeld, chunks) => {
          const layer = zstdChunkedLayer(members, {
            chunkBytes: 3000,
            trailer: Buffer.alloc(isHeld[0] === true ? 0 : 5000),
          });
          const pieces = members.flatMap(({ content: bytes = Buffer.alloc(0) }) =>
            chunks ? [bytes.subarray(0, 3000), bytes.subarray(3000, 6000), bytes.subarray(6000)] : [bytes],
          );
          const result = await planFor(
            layer,
            pieces.filter((bytes, at) => bytes.length > 0 && isHeld[at % 20] === true),
          );
          if ("refused" in result.plan) {
            expect(result.plan.refused).toBe("nothing of it is here");
            return;
          }
          const { recipe, cost } = result.plan;
          expect((await carryOut(recipe, layer.blob, result.files)).equals(layer.tar)).toBe(true);
          expect(cost).toEqual(costOf(await Array.fromAsync<Segment>(recipe.segments), recipe.gapBytes));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("takes chunks of a file that changed in one place", async () => {
    const layer = zstdChunkedLayer([{ type: "file", name: "big", content }]);
    const held = [0, 1, 3, 4].map((at) => content.subarray(at * 65_536, (at + 1) * 65_536));
    const { cost } = planned(await planFor(layer, held));
    expect(cost.local).toBe(300_000 - 65_536);
    expect(cost.network).toBeGreaterThan(65_536);
    expect(cost.network).toBeLessThan(66_000);
    expect(cost.requests).toBe(1);
  });

  it("is not made when nothing is held", async () => {
    const layer = zstdChunkedLayer([{ type: "file", name: "big", content }]);
    expect((await planFor(layer, [])).plan).toEqual({ refused: "nothing of it is here" });
    // Unless some of what it makes is here already.
    expect(planned(await planFor(layer, [], { mustSave: false })).cost).toMatchObject({ local: 0, requests: 1 });
  });
});

const held = [Buffer.from("held")];
const base = (): ChunkedMember[] => [
  { type: "file", name: "held", content: held[0]!, modifiedAt: { seconds: 1000, nanoseconds: 0 } },
  { type: "symlink", name: "link", linkName: "held", uid: 5, gid: 6 },
  { type: "char", name: "null", deviceMajor: 1, deviceMinor: 3, xattrs: new Map([["user.a", Buffer.from("b")]]) },
];
const editing = (edit: (entries: TocDocument["entries"]) => void): ZstdChunkedOptions => ({
  edit: ({ entries }) => edit(entries),
});
const set = (at: number, field: string, value: unknown): ZstdChunkedOptions =>
  editing((entries) => void (entries[at] = { ...entries[at]!, [field]: value }));

describe("a table of contents that differs from the tar", () => {
  it("does not, when only the spelling is another", async () => {
    const spelled = zstdChunkedLayer(base(), {
      edit({ entries }) {
        entries[0]!["modtime"] = "1970-01-01T01:16:40+01:00";
        entries[1]!["modtime"] = "1970-01-01T00:00:00Z";
        entries[2]!["modtime"] = "0001-01-01T00:00:00Z";
        entries[0]!["mode"] = 0o100644;
        entries.reverse();
      },
    });
    expect(planned(await planFor(spelled, held)).recipe.target.size).toBe(spelled.tar.length);
  });

  it.each<[string, ZstdChunkedOptions]>([
    ["type", set(1, "type", "hardlink")],
    ["name", set(1, "name", "other")],
    ["link name", set(1, "linkName", "other")],
    ["mode", set(0, "mode", 0o755)],
    ["size", editing((entries) => void (entries[0] = { ...entries[0]!, size: 5 }))],
    ["owner", set(1, "uid", 6)],
    ["group", set(1, "gid", 5)],
    ["time", set(0, "modtime", "1970-01-01T00:16:41Z")],
    ["fraction of a time", set(0, "modtime", "1970-01-01T00:16:40.5Z")],
    ["time of access", set(0, "accesstime", "1970-01-01T00:16:41Z")],
    ["time of change", set(0, "changetime", "1970-01-01T00:16:41Z")],
    ["device", set(2, "devMinor", 4)],
    ["attributes", set(2, "xattrs", { "user.a": "" })],
    ["members: it lacks one", editing((entries) => void entries.pop())],
    ["members: it has one more", editing((entries) => void entries.push({ type: "dir", name: "more" }))],
    ["size in the tar-split", { editTarSplit: (lines) => lines.replace('"size":4', '"size":5') }],
    ["name in the tar-split", { editTarSplit: (lines) => lines.replace('"name":"link"', '"name":"null"') }],
    [
      "member that the tar-split says nothing of",
      { editTarSplit: (lines) => lines.replace(/.*"name":"link".*\n/, "") },
    ],
    [
      "end of the tar-split",
      { editTarSplit: (lines) => lines.slice(0, lines.indexOf('"name":"held"')).replace(/[^\n]*$/, "") },
    ],
    ["form of the tar-split", { editTarSplit: (lines) => `${lines}x` }],
    ["headers in the tar-split", { editTarSplit: (lines) => lines.replace('"payload":"', '"payload":"AAAA') }],
  ])("is refused: %s", async (_, options) => {
    const result = await planFor(zstdChunkedLayer(base(), options), held);
    expect(result.plan).toEqual({ refused: expect.any(String) as string });
  });

  it("is refused, or gives a plan that is held to the DiffID, whatever is broken in the tar-split", async () => {
    const members = base();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 32, max: 126 })), { minLength: 1, maxLength: 3 }),
        async (mutations) => {
          const editTarSplit = (lines: string): string => {
            const bytes = Buffer.from(lines);
            for (const [at, value] of mutations) bytes[at % bytes.length] = value;
            return bytes.toString("latin1");
          };
          const layer = zstdChunkedLayer(members, { editTarSplit });
          const { plan, files } = await planFor(layer, held);
          if ("refused" in plan) return;
          expect(plan.recipe.target.digest).toBe(layer.diffId);
          const made = await carryOut(plan.recipe, layer.blob, files);
          expect(made.length).toBe(plan.recipe.target.size);
          if (made.equals(layer.tar)) expect(digestOf(made)).toBe(layer.diffId);
        },
      ),
      { numRuns: 150 },
    );
  });
});
