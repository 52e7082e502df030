/** Tables of contents of every dialect, from the blob to a plan that makes the layer's tar; broken ones to coded errors. */
import { randomBytes } from "node:crypto";
import { constants, gunzipSync, zstdCompressSync } from "node:zlib";
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { heldByBuffers } from "../../test/kit/memory/held-by-buffers.ts";
import { allKinds } from "../../test/kit/images/chunked-members.ts";
import { estargzLayer } from "../../test/kit/images/estargz.ts";
import type { ChunkedMember } from "../../test/kit/images/tar-members.ts";
import { frame, zstdChunkedLayer, type ChunkedLayerFixture } from "../../test/kit/images/zstd-chunked.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { carryOut } from "../../test/kit/recipe/carry-out.ts";
import { holding } from "../../test/kit/recipe/held-pieces.ts";
import { MemoryBlobs, type MemoryBlobsOptions } from "../../test/kit/recipe/memory-blobs.ts";
import { digestOf } from "../oci/digest.ts";
import { costOf, type Plan } from "../plan/plan.ts";
import type { Refusal } from "../plan/piece-segments.ts";
import type { Segment } from "../recipe/segment.ts";
import { fetchToc, type FetchedToc } from "./fetch-toc.ts";
import { readTocAnnotations } from "./toc-annotations.ts";

const CHUNK = 65_536;

interface Fetched {
  readonly toc: FetchedToc;
  readonly blobs: MemoryBlobs;
}

async function fetch(layer: ChunkedLayerFixture, options: MemoryBlobsOptions = {}): Promise<Fetched> {
  const blobs = new MemoryBlobs(options);
  blobs.add(layer.blob, layer.descriptor.digest);
  const annotations = readTocAnnotations(layer.descriptor);
  if (annotations === undefined) throw new Error("not a chunked layer");
  const target = { blob: layer.descriptor, diffId: layer.diffId };
  return { blobs, toc: await fetchToc(target, annotations, { blobs, signal: new AbortController().signal }) };
}

/** Plans with these contents held, and checks what the plan makes. */
async function plan(
  layer: ChunkedLayerFixture,
  { toc }: Fetched,
  held: readonly Uint8Array[],
): Promise<Plan | Refusal> {
  const contents = holding(toc.pieces, held);
  const planned = await toc.plan(contents);
  if ("refused" in planned) return planned;
  const { recipe, cost } = planned;
  expect(recipe.target).toEqual({ digest: layer.diffId, size: layer.tar.length });
  expect((await carryOut(recipe, layer.blob, contents.files)).equals(layer.tar)).toBe(true);
  expect(cost).toEqual(costOf(await Array.fromAsync<Segment>(recipe.segments), recipe.gapBytes));
  return planned;
}

const big = randomBytes(40 * CHUNK + 100);
const chunks = Array.from({ length: 41 }, (_, at) => big.subarray(at * CHUNK, (at + 1) * CHUNK));
const few: ChunkedMember[] = [
  { type: "directory", name: "models/" },
  { type: "file", name: "models/readme", content: Buffer.from("read me") },
  { type: "file", name: "models/big", content: big },
  { type: "symlink", name: "models/link", linkName: "big" },
];
const replace = (layer: ChunkedLayerFixture, key: string, value: string | undefined): ChunkedLayerFixture => {
  const annotations: Record<string, string> = { ...layer.descriptor.annotations };
  if (value === undefined) delete annotations[key];
  else annotations[key] = value;
  return { ...layer, descriptor: { ...layer.descriptor, annotations } };
};

const CHECKSUM = "io.github.containers.zstd-chunked.manifest-checksum";
const POSITION = "io.github.containers.zstd-chunked.manifest-position";
const SPLIT_POSITION = "io.github.containers.zstd-chunked.tarsplit-position";

describe("podman's zstd:chunked", () => {
  it("is planned from what comes with one request", async () => {
    const layer = zstdChunkedLayer(allKinds());
    const fetched = await fetch(layer);
    expect(fetched.blobs.requests).toHaveLength(1);
    const planned = await plan(layer, fetched, [Buffer.from("hello")]);
    expect(planned).toMatchObject({ how: "zstd-chunked", cost: { local: 5 } });
    expect(fetched.blobs.requests).toHaveLength(1);
  });

  it("is planned with a tar-split that nobody vouches for, too, and held to the DiffID", async () => {
    const layer = zstdChunkedLayer(few, { tarSplit: "undigested" });
    expect(await plan(layer, await fetch(layer), [big])).toMatchObject({
      how: "zstd-chunked",
      cost: { local: big.length },
    });
  });

  it("is planned without a tar-split, by fetching what lies between the files", async () => {
    const layer = zstdChunkedLayer(few, { tarSplit: "none" });
    const fetched = await fetch(layer);
    const planned = await plan(layer, fetched, chunks.slice(0, 30));
    expect(planned).toMatchObject({ how: "zstd-chunked", cost: { local: 30 * CHUNK } });
    const before = fetched.blobs.requests.length;
    expect(before).toBe(3);
    // To plan anew with less fetches nothing that is here.
    await plan(layer, fetched, chunks.slice(0, 30));
    expect(fetched.blobs.requests).toHaveLength(before);
    expect(fetched.blobs.served).toBeLessThan(10_000);
  });

  it("is refused without a tar-split where nothing is held, or too much lies between", async () => {
    const layer = zstdChunkedLayer(few, { tarSplit: "none" });
    expect(await plan(layer, await fetch(layer), [])).toEqual({
      refused: expect.stringContaining("is here") as string,
    });
    const many = Array.from(
      { length: 600 },
      (_, at) => ({ type: "file", name: `f${at}`, content: Buffer.from(`${at}`) }) as const,
    );
    const held = many.map(({ content }) => content);
    const scattered = zstdChunkedLayer(many, { tarSplit: "none" });
    expect(await plan(scattered, await fetch(scattered), held)).toEqual({
      refused: expect.stringContaining("scattered") as string,
    });
  });

  const good = zstdChunkedLayer(few);
  it.each([
    ["a wrong digest of the table", replace(good, CHECKSUM, digestOf("x")), "DIGEST_MISMATCH"],
    [
      "a wrong digest of the tar-split",
      zstdChunkedLayer(few, { edit: (toc) => void (toc.tarSplitDigest = digestOf("x")) }),
      "DIGEST_MISMATCH",
    ],
    ["a tar-split that nobody can find", replace(good, SPLIT_POSITION, undefined), "TOC_INVALID"],
    ["a table that is larger than any", replace(good, POSITION, `100:100:${2 ** 40}:1`), "TOC_LIMIT"],
    ["a tar-split that is larger than any", replace(good, SPLIT_POSITION, `100:100:${2 ** 40}`), "TOC_LIMIT"],
    [
      "another size than it says",
      replace(good, POSITION, good.descriptor.annotations![POSITION]!.replace(/:\d+:1$/, ":77:1")),
      "TOC_INVALID",
    ],
    ["a place that is none", replace(good, POSITION, "100:5:77:1"), "DIGEST_MISMATCH"],
  ])("is not read with %s", async (_, layer, code) => {
    await expect(fetch(layer)).rejects.toMatchObject({ code });
  });

  it("does not decompress more than it says, though the digest is right", async () => {
    const bomb = frame(Buffer.alloc(200 << 20));
    const blob = Buffer.concat([Buffer.alloc(8), bomb]);
    const annotations = { [CHECKSUM]: digestOf(bomb), [POSITION]: `8:${bomb.length}:1000:1` };
    const descriptor = { ...good.descriptor, digest: digestOf(blob), size: blob.length, annotations };
    await expect(fetch({ ...good, blob, descriptor })).rejects.toMatchObject({ code: "TOC_INVALID" });
  });

  it("gives a decoder of documents no more memory than podman's need", async () => {
    const layer = (windowLog: number): ChunkedLayerFixture => {
      const toc = Buffer.concat([
        Buffer.from('{"version":1,"entries":[]'),
        Buffer.alloc(1 << 20, " "),
        Buffer.from("}"),
      ]);
      const packed = zstdCompressSync(toc, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } });
      // The frame's window descriptor (RFC 8878 §3.1.1.1.2).
      packed[5] = (windowLog - 10) << 3;
      const blob = Buffer.concat([Buffer.alloc(8), packed]);
      const annotations = { [CHECKSUM]: digestOf(packed), [POSITION]: `8:${packed.length}:${toc.length}:1` };
      return {
        ...good,
        blob,
        descriptor: { ...good.descriptor, digest: digestOf(blob), size: blob.length, annotations },
      };
    };
    expect((await fetch(layer(25))).toc.pieces.length).toBe(0);
    await expect(fetch(layer(26))).rejects.toMatchObject({ code: "COMPRESSION_INVALID" });
  });

  it("is refused where a line of its tar-split is longer than any", async () => {
    const most = Buffer.alloc(5 << 20).toString("base64");
    const layer = zstdChunkedLayer(few, {
      editTarSplit: (lines) => `${lines}{"type":2,"payload":"${most}","position":99}\n`,
    });
    expect(await (await fetch(layer)).toc.plan(holding((await fetch(layer)).toc.pieces, [big]))).toEqual({
      refused: expect.stringContaining("limit") as string,
    });
  });

  it("keeps of what was fetched only what is needed later", async () => {
    // A table of contents that cannot be compressed, and says little.
    const noise = (): string => randomBytes(250_000).toString("hex");
    const layer = zstdChunkedLayer(few, {
      edit: ({ entries }) => entries.forEach((entry) => Object.assign(entry, { nobodyKnows: noise() })),
    });
    expect(layer.blob.length).toBeGreaterThan(10e6);
    const blobs = await fetch(layer);
    const before = await heldByBuffers();
    const again = await fetch(layer);
    expect((await heldByBuffers()) - before).toBeLessThan(6e6);
    expect([blobs, again].map(({ toc }) => toc.pieces.length)).toEqual([43, 43]);
  });

  it("passes on that ranges are refused", async () => {
    await expect(fetch(good, { ranges: false })).rejects.toMatchObject({ code: "RANGE_UNSUPPORTED" });
  });

  const zstd = findPeer("zstd");
  it.skipIf(zstd === undefined)("is made by the kit as zstd(1) reads it", () => {
    for (const layer of [good, estargzLayer(few, { codec: "zstd" })]) {
      const tar = execFileSync(zstd ?? "", ["-d", "-c"], { input: layer.blob, maxBuffer: 1e8 });
      expect(digestOf(tar)).toBe(layer.diffId);
    }
  });
});

describe.each([
  ["eStargz", "gzip", "estargz"],
  ["nerdctl's zstd:chunked", "zstd", "zstd-chunked"],
] as const)("%s", (_, codec, how) => {
  it("saves the chunks of large files that are held, by chunk or as a whole", async () => {
    const layer = estargzLayer(few, { codec });
    for (const held of [[big], chunks]) {
      const fetched = await fetch(layer);
      const planned = await plan(layer, fetched, held);
      // The last chunk comes with the headers behind it.
      expect(planned).toMatchObject({ how, cost: { local: 40 * CHUNK, network: 0 } });
      expect(fetched.blobs.served).toBeLessThan(80_000);
    }
  });

  it("fetches the chunks that are not held when the plan is carried out", async () => {
    const layer = estargzLayer(few, { codec });
    const planned = await plan(
      layer,
      await fetch(layer),
      chunks.filter((__, at) => at < 3 || at > 10),
    );
    if ("refused" in planned) throw new Error(planned.refused);
    expect(planned.cost).toMatchObject({ local: 32 * CHUNK, requests: 1 });
    expect(planned.cost.network).toBeGreaterThan(8 * CHUNK);
  });

  it.each([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])(
    "is right about a file of %s bytes",
    async (size) => {
      const content = randomBytes(size);
      const layer = estargzLayer(
        [
          { type: "file", name: "a", content },
          { type: "file", name: "b", content: big },
        ],
        { codec },
      );
      expect(await plan(layer, await fetch(layer), [content, content.subarray(0, CHUNK), ...chunks])).toMatchObject({
        how,
      });
    },
  );

  it("reads frames of several files, and landmarks as files", async () => {
    const members = [...allKinds(), ...few];
    for (const minFrameBytes of [0, 1000, CHUNK + 1]) {
      const layer = estargzLayer(members, { codec, minFrameBytes, landmark: ".prefetch.landmark" });
      const planned = await plan(layer, await fetch(layer), [big]);
      if (minFrameBytes <= CHUNK) expect(planned).toMatchObject({ how });
      // Each chunk then shares its frame with the one before it.
      else expect(planned).toHaveProperty("refused");
    }
  });

  it("is refused when nothing is held that could be left out", async () => {
    const layer = estargzLayer(few, { codec });
    expect(await plan(layer, await fetch(layer), [Buffer.from("read me")])).toEqual({
      refused: expect.any(String) as string,
    });
  });

  it.each([
    ["content without a digest", (entry: Record<string, unknown>) => delete entry["chunkDigest"], "TOC_INVALID"],
    ["an offset beyond the table", (entry: Record<string, unknown>) => (entry["offset"] = 1e12), "TOC_INVALID"],
    ["offsets that overlap", (entry: Record<string, unknown>) => (entry["offset"] = 1), "TOC_INVALID"],
    ["a chunk of another size", (entry: Record<string, unknown>) => (entry["chunkOffset"] = 5), "TOC_INVALID"],
    [
      "the table's own name",
      (entry: Record<string, unknown>) => Object.assign(entry, { name: "stargz.index.json", type: "reg" }),
      "TOC_INVALID",
    ],
    ["a digest that is none", (entry: Record<string, unknown>) => (entry["chunkDigest"] = "md5:1"), "TOC_INVALID"],
  ])("is not read with %s", async (__, edit, code) => {
    const layer = estargzLayer(few, {
      codec,
      edit: ({ entries }) => void edit(entries.find(({ type }) => type === "chunk")!),
    });
    await expect(fetch(layer)).rejects.toMatchObject({ code });
  });

  it("is not read with another digest of the table", async () => {
    const layer = replace(estargzLayer(few, { codec }), "containerd.io/snapshot/stargz/toc.digest", digestOf("x"));
    await expect(fetch(layer)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
  });
});

describe("eStargz", () => {
  it("is an ordinary gzip of the tar, and ends in its table of contents", async () => {
    const layer = estargzLayer(few);
    expect(digestOf(gunzipSync(layer.blob))).toBe(layer.diffId);
    const gzip = findPeer("gzip");
    if (gzip === undefined) return;
    expect(digestOf(execFileSync(gzip, ["-d", "-c"], { input: layer.blob, maxBuffer: 1e8 }))).toBe(layer.diffId);
  });

  it("is read with the old footer, and with a table larger than what is fetched at first", async () => {
    const old = estargzLayer(few, { footer: "stargz" });
    expect(await plan(old, await fetch(old), [big])).toMatchObject({ how: "estargz" });
    const names = Array.from(
      { length: 3000 },
      (_, at) => ({ type: "symlink", name: `${randomBytes(20).toString("hex")}${at}`, linkName: "x" }) as const,
    );
    const large = estargzLayer([...few, ...names]);
    const fetched = await fetch(large);
    expect(fetched.blobs.requests).toHaveLength(2);
    expect(await plan(large, fetched, [big])).toMatchObject({ how: "estargz" });
  });

  it("is not read when its table is elsewhere, its footer is missing, or points anywhere", async () => {
    await expect(fetch(estargzLayer(few, { footer: "external" }))).rejects.toMatchObject({ code: "TOC_INVALID" });
    const layer = estargzLayer(few);
    const cut = (blob: Buffer): ChunkedLayerFixture => ({
      ...layer,
      blob,
      descriptor: { ...layer.descriptor, digest: digestOf(blob), size: blob.length },
    });
    await expect(fetch(cut(layer.blob.subarray(0, -1)))).rejects.toMatchObject({ code: "TOC_INVALID" });
    for (const offset of ["0000000000000000", "0000000000000100", "00000000ffffffff"]) {
      const blob = Buffer.from(layer.blob);
      blob.write(offset, blob.length - 35, "latin1");
      await expect(fetch(cut(blob))).rejects.toMatchObject({
        code: expect.stringMatching(/TOC_INVALID|COMPRESSION_INVALID|LAYER_INVALID|DIGEST_MISMATCH/) as string,
      });
    }
  });
});
