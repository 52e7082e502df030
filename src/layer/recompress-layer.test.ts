/** What becomes of layers that are compressed another way, however they arrive, whatever is in them. */
import { execFileSync } from "node:child_process";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { archivesOf, makeTree, type PeerArchive } from "../../test/codec/archives.ts";
import { cat } from "../../test/codec/tar-blocks.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { device, directory, fifo, file, hardlink, symlink } from "../../test/kit/trees/tree-node.ts";
import { LAYER_COMPRESSIONS, type LayerCompressionKind } from "../codec/layer-compressions.ts";
import { encodeTarEntry, TAR_END } from "../codec/tar/header.ts";
import { digestOf } from "../oci/digest.ts";
import { recompressFile, type RecompressedLayer } from "./recompress-layer.ts";
import type { FrontFile } from "./threads.ts";
import { wholeFile } from "./whole-file.ts";

const { signal } = new AbortController();
const rng = createRng(5);

/** Long names, PAX and GNU records, links, devices, attributes, files of one chunk and of many, zeros. */
const TAR = packTree([
  directory("d", { xattrs: { "user.note": Buffer.from("yes") } }),
  file(`d/${"long/".repeat(60)}name`, "x"),
  file("d/text", rng.text(200_000)),
  file("d/random", rng.bytes(200_000)),
  file("d/zeros", new Uint8Array(100_000)),
  file("d/empty", ""),
  hardlink("d/same", "d/text"),
  symlink("d/link", "text"),
  fifo("d/fifo"),
  device("d/null", "char", 1, 3),
]);

interface Done {
  readonly layer: RecompressedLayer;
  readonly blob: Buffer;
}

/** @param steps bytes by which the file grows, over and over. Default: it is whole */
async function recompress(
  bytes: Uint8Array,
  compression: LayerCompressionKind,
  steps: readonly number[] = [],
): Promise<Done> {
  await using dir = await tempDir();
  const [input, output] = [join(dir.path, "in"), join(dir.path, "out")];
  await writeFile(input, bytes);
  const size = bytes.length;
  const source = steps.length === 0 ? wholeFile({ path: input, size }) : growing(input, size, steps);
  await using handle = await open(output, "w");
  const layer = await recompressFile(source, handle.fd, { compression, level: 3, signal });
  return { layer, blob: await readFile(output) };
}

function growing(path: string, size: number, steps: readonly number[]): FrontFile {
  let front = 0;
  let step = 0;
  return {
    path,
    size,
    get front() {
      return front;
    },
    waitFront(position) {
      while (front <= position) front = Math.min(size, front + steps[step++ % steps.length]!);
      return Promise.resolve();
    },
  };
}

function decompressed(compression: LayerCompressionKind, input: Uint8Array): Buffer {
  const program = compression === "gzip" ? "gzip" : "zstd";
  return execFileSync(program, ["-d", "-c", "-q"], { input, maxBuffer: 1 << 28 });
}

const hasPeers = findPeer("gzip") !== undefined && findPeer("zstd") !== undefined;

let archives: readonly PeerArchive[];
beforeAll(async () => {
  await using dir = await tempDir();
  await makeTree(dir.path);
  archives = archivesOf(dir.path);
});

describe.each(LAYER_COMPRESSIONS)("a layer that becomes %s", (compression) => {
  it("is the same however it arrives, in whatever compression", async () => {
    const forms = [TAR, gzipSync(TAR, { level: 1 }), gzipSync(TAR), zstdCompressSync(TAR)];
    const { layer, blob } = await recompress(TAR, compression);
    expect(layer).toMatchObject({ diffId: digestOf(TAR), digest: digestOf(blob), uncompressedSize: TAR.length });
    const steps = fc.array(fc.oneof(fc.integer({ min: 500, max: 5000 }), fc.integer({ min: 5000, max: 300_000 })), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...forms), steps, async (form, sizes) => {
        const again = await recompress(form, compression, sizes);
        expect(again.layer).toEqual(layer);
        expect(again.blob.equals(blob)).toBe(true);
      }),
      { numRuns: 8 },
    );
  });

  it.skipIf(!hasPeers)("gives other people's tools the exact tar, of other people's tars", async () => {
    for (const { bytes, sparse } of archives) {
      const { layer, blob } = await recompress(bytes, compression);
      expect(decompressed(compression, blob).equals(bytes)).toBe(true);
      expect(layer.diffId).toBe(digestOf(bytes));
      // Sparse members have no place in a table of contents.
      if (sparse && compression === "zstd:chunked") expect(layer.refused?.message).toBeDefined();
      if (compression !== "zstd:chunked") expect(layer).toMatchObject({ annotations: undefined, refused: undefined });
    }
  });

  it.skipIf(!hasPeers).each([
    ["no members", Buffer.alloc(10_240), 0],
    ["tars behind it", cat(TAR, TAR), 10],
    ["garbage behind it", cat(TAR, rng.bytes(70_000)), 10],
    ["a member twice", packTree([file("a", "1"), file("b", "x"), file("a", "2")]), 3],
  ])("with %s keeps each byte", async (_, tar, entries) => {
    const { layer, blob } = await recompress(tar, compression);
    expect(layer).toMatchObject({ diffId: digestOf(tar), uncompressedSize: tar.length, entries });
    expect(decompressed(compression, blob).equals(tar)).toBe(true);
  });

  it.each([1, 511, 520, 1100, 5000, TAR.length - 10_240 - 600])("cut after %d bytes is refused", async (length) => {
    // With its compression whole: what is cut is the tar.
    const cut = gzipSync(TAR.subarray(0, length), { level: 1 });
    await expect(recompress(cut, compression)).rejects.toMatchObject({ code: "LAYER_INVALID" });
  });
});

describe("a disk in a layer", () => {
  it("that is sparse, of 10 GiB, costs what is stored of it", async () => {
    const page = rng.bytes(512);
    const sparse = [{ offset: 9 * 2 ** 30, length: 512 }];
    const header = encodeTarEntry({ type: "file", name: "disk", size: 10 * 2 ** 30, storedSize: 512, sparse });
    const tar = cat(header, page, TAR_END);
    const { layer, blob } = await recompress(tar, "zstd:chunked");
    expect(layer).toMatchObject({ annotations: undefined, refused: { reason: "sparse", name: "disk" } });
    expect(zstdDecompressSync(blob).equals(tar)).toBe(true);
  });

  it("that is all zeros becomes next to nothing", async () => {
    const tar = packTree([file("disk", new Uint8Array(96 << 20)), file("behind", "x")]);
    const { layer, blob } = await recompress(tar, "zstd:chunked");
    expect(layer).toMatchObject({ diffId: digestOf(tar), refused: undefined });
    expect(blob.length).toBeLessThan(20_000);
    expect(digestOf(zstdDecompressSync(blob))).toBe(layer.diffId);
  });
});
