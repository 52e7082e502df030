/**
 * Tables of contents that lie, through the whole of a pull. What the image's config promises is what is unpacked, from the whole blob if need be, and
 * that is told; or the pull ends with a coded error. Nothing is taken from outside of the layer, and memory stays bounded.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testClient } from "../../../test/kit/http/test-client.ts";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import type { KitLayer } from "../../../test/kit/images/build-layer.ts";
import {
  disguisedLayer,
  hiddenAt,
  pack,
  type Disguise,
  type PackedDocument,
} from "../../../test/kit/images/disguised-layer.ts";
import { estargzFooter, estargzLayer, type EstargzOptions } from "../../../test/kit/images/estargz.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import type { ChunkedMember, TocRecord } from "../../../test/kit/images/tar-members.ts";
import {
  frame,
  zstdChunkedLayer,
  type ChunkedLayerFixture,
  type TocDocument,
  type ZstdChunkedOptions,
} from "../../../test/kit/images/zstd-chunked.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { encodeTarEntry, TAR_END } from "../../codec/tar/header.ts";
import { inProcess } from "../../layer/in-process.ts";
import { digestOf } from "../../oci/digest.ts";
import { StoreLayout } from "../../store/layout.ts";
import { openStore } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { pull as pullImage } from "../pull.ts";
import type { PullResult } from "../pull-result.ts";
import { openSnapshots } from "../snapshotter.ts";

const rng = createRng(31);
/** Of which this machine holds an older version, and so has most of what the layers are made of. */
const LARGE = rng.bytes(700_000);
const SMALL = Array.from({ length: 8 }, () => rng.bytes(5000));
const CHANGED = rng.bytes(80_000);
const MIB = 1 << 20;

const [DRIVER = "copy"] = await usableDrivers();

const cleanup = new AsyncDisposableStack();
let registry: KitRegistry;
let context: TransferContext;
let pullFrom: (name: string) => Promise<PullResult>;
beforeAll(async () => {
  registry = await startRegistry();
  cleanup.defer(() => registry.close());
  const { path } = cleanup.use(await tempDir());
  const store = cleanup.adopt(await openStore(join(path, "store"), { sync: false }), (open) => open.close());
  const client = cleanup.use(testClient());
  const { signal } = new AbortController();
  context = { store, registry: client, threads: inProcess, signal, onProgress: () => undefined };
  const snapshots = await openSnapshots(store, DRIVER, { sync: false });
  const snapshotter = { choice: DRIVER, open: () => Promise.resolve({ snapshots }) };
  pullFrom = (name) => pullImage({ ...context, snapshotter }, name);
  await pull("before", zstdChunkedLayer(members("before", SMALL[0])));
});
afterAll(() => cleanup.disposeAsync());

/** @param own in no other layer, so that no two are the same */
function members(own: string, changed: Buffer = CHANGED): ChunkedMember[] {
  return [
    { type: "directory", name: "app/" },
    { type: "file", name: "app/large", content: LARGE },
    ...SMALL.map((content, at) => ({ type: "file", name: `app/f${at}`, content }) as const),
    { type: "file", name: "app/changed", content: Buffer.concat([changed, Buffer.from(own)]) },
    { type: "symlink", name: "app/link", linkName: "large" },
  ];
}

async function pull(what: string, layer: KitLayer | ChunkedLayerFixture): Promise<PullResult> {
  const tag = what.replaceAll(/[^a-z]/g, "-").slice(0, 100);
  const whole = "blob" in layer ? { ...layer, bytes: layer.blob } : layer;
  await pushImage(registry.host, "app", tag, await buildImage({ layers: [whole] }));
  return pullFrom(`${registry.host}/app:${tag}`);
}

/** It comes whole and as it is, for that reason, and nothing is left of what was tried. */
async function expectWhole(what: string, layer: KitLayer | ChunkedLayerFixture, reason: RegExp): Promise<void> {
  const { layers } = await pull(what, layer);
  expect(layers).toMatchObject([
    { how: "full", unpack: "unpacked", fallbacks: [{ reason: expect.stringMatching(reason) as string }] },
  ]);
  const layout = new StoreLayout(context.store.root);
  expect(await readdir(layout.ingests)).toEqual([]);
  if (DRIVER !== "erofs") return;
  expect((await readFile(join(layout.layer(layer.diffId), "layer.tar"))).equals(layer.tar)).toBe(true);
}

const fileIn = ({ entries }: TocDocument, name: string): TocRecord =>
  entries.find((entry) => entry.name === name && entry.type === "reg")!;
const chunkIn = ({ entries }: TocDocument): TocRecord => entries.find(({ type }) => type === "chunk")!;

describe("a table of contents of podman's that lies", () => {
  it("stands beside honest ones, which are made of what is here", async () => {
    const { layers } = await pull("honest", zstdChunkedLayer(members("honest")));
    expect(layers).toMatchObject([{ how: "zstd-chunked", unpack: "unpacked", fallbacks: [] }]);
  });

  const edits: [string, ZstdChunkedOptions, RegExp][] = [
    [
      "about overlapping frames",
      { edit: (toc) => (fileIn(toc, "app/f3")["offset"] = fileIn(toc, "app/f2")["offset"]) },
      /TOC_INVALID/,
    ],
    ["about frames beyond the blob", { edit: (toc) => (fileIn(toc, "app/f7")["endOffset"] = 1e12) }, /TOC_INVALID/],
    [
      "about frames in its own place",
      {
        edit: (toc) =>
          (fileIn(toc, "app/changed")["endOffset"] = Number(fileIn(toc, "app/changed")["endOffset"]) + 500),
      },
      /TOC_INVALID|MISMATCH/,
    ],
    ["about frames that are another's", { edit: swapPlaces }, /TOC_INVALID|MISMATCH|COMPRESSION/],
    [
      "about the digest of a file",
      { edit: (toc) => (fileIn(toc, "app/f1")["digest"] = digestOf("x")) },
      /DIGEST_MISMATCH/,
    ],
    [
      "about the digest of a file, which is that of another one here",
      { edit: (toc) => (fileIn(toc, "app/f1")["digest"] = digestOf(SMALL[2]!)) },
      /DIGEST_MISMATCH/,
    ],
    [
      "about the digest of a chunk",
      {
        edit: (toc) => (
          (chunkIn(toc)["chunkDigest"] = digestOf("x")),
          (fileIn(toc, "app/large")["digest"] = digestOf("y"))
        ),
      },
      /DIGEST_MISMATCH/,
    ],
    ["about the size of a file", { edit: (toc) => (fileIn(toc, "app/changed")["size"] = 80_007) }, /gap before it/],
    [
      "about a name that leads out",
      { edit: (toc) => Object.assign(fileIn(toc, "app/f4"), { name: "../../../../etc/passwd" }) },
      /disagree/,
    ],
    ["about a link that leads out", { edit: (toc) => (toc.entries.at(-1)!["linkName"] = "/etc/passwd") }, /disagree/],
    [
      "about a member that links to itself",
      { edit: ({ entries }) => entries.push({ type: "hardlink", name: "app/x", linkName: "app/x" }) },
      /lacks/,
    ],
    [
      "about a name that is there twice",
      { edit: ({ entries }) => entries.push({ type: "dir", name: "app/" }) },
      /TOC_INVALID/,
    ],
    ["about its tar-split", { edit: (toc) => (toc.tarSplitDigest = digestOf("x")) }, /DIGEST_MISMATCH/],
    ["about its version", { edit: (toc) => (toc.version = 7) }, /TOC_INVALID/],
    [
      "about content that is nothing but zeros",
      { edit: (toc) => (fileIn(toc, "app/f5")["chunkType"] = "zeros") },
      /DIGEST_MISMATCH/,
    ],
    [
      "with a tar-split of other headers",
      { editTarSplit: (lines) => lines.replace(/"payload":"[^"]{4}/, '"payload":"AAAA') },
      /checksum/,
    ],
    [
      "with a tar-split that is cut",
      { editTarSplit: (lines) => lines.slice(0, lines.length >> 1) },
      /tar-split|lacks|ends/,
    ],
    ["with a tar-split that has a member twice", { editTarSplit: twice }, /disagree|order/],
    [
      "with a tar-split of another order",
      { editTarSplit: (lines) => lines.split("\n").toReversed().join("\n") },
      /order|disagree|tar/,
    ],
  ];
  it.each(edits)("%s is not believed", async (what, options, reason) => {
    await expectWhole(what, zstdChunkedLayer(members(what), options), reason);
  });

  /** Two files change places in the blob, and say that they are what they are not. */
  function swapPlaces(toc: TocDocument): void {
    const [a, b] = [fileIn(toc, "app/f6"), fileIn(toc, "app/changed")];
    const { offset, endOffset } = a;
    Object.assign(a, { offset: b["offset"], endOffset: b["endOffset"], digest: digestOf("z") });
    Object.assign(b, { offset, endOffset });
  }

  function twice(lines: string): string {
    const all = lines.split("\n");
    const file = all.find((line) => line.includes("app/f2"))!;
    return [...all.slice(0, -1), file.replace(/"position":\d+/, '"position":9999'), ""].join("\n");
  }

  const lines = (text: string, times = 1): PackedDocument => {
    const part = Buffer.from(text);
    return {
      packed: Buffer.concat(Array.from({ length: times }, () => zstdCompressSync(part))),
      size: times * part.length,
    };
  };

  it.each<[string, (tar: Buffer) => Disguise, RegExp]>([
    ["no end of nesting", () => ({ toc: pack(`{"version":1,"entries":[{"x":${"[".repeat(200_000)}`) }), /TOC_INVALID/],
    ["no JSON", () => ({ toc: pack("\0".repeat(1000)) }), /TOC_INVALID/],
    ["nothing", () => ({ toc: pack("") }), /TOC_INVALID/],
    ["a bomb of a table", () => ({ toc: { packed: frame(Buffer.alloc(64 * MIB)), size: 1000 } }), /TOC_INVALID/],
    ["a table that says it is a bomb", () => ({ toc: { packed: frame(Buffer.alloc(9)), size: 2 ** 40 } }), /TOC_LIMIT/],
    [
      "a bomb of a tar-split",
      (tar) => ({ ...lie(tar), tarSplit: { ...lines("\n".repeat(MIB), 64), size: 5000 } }),
      /more than/,
    ],
    ["a tar-split of nothing", (tar) => ({ ...lie(tar), tarSplit: lines("\n".repeat(MIB), 64) }), /limit/],
    ["a line without end", (tar) => ({ ...lie(tar), tarSplit: lines("a".repeat(MIB), 20) }), /limit/],
    [
      "a tar-split that says it is a bomb",
      (tar) => ({ ...lie(tar), tarSplit: { packed: frame(Buffer.alloc(9)), size: 2 ** 40 } }),
      /TOC_LIMIT/,
    ],
    ["a file that is a bomb", (tar) => lie(tar, 1000, frame(Buffer.alloc(128 * MIB))), /MISMATCH|COMPRESSION/],
    ["a file that is none", (tar) => lie(tar, 1000, Buffer.alloc(1000, 1)), /COMPRESSION/],
    ["a file larger than any disk", (tar) => lie(tar, 2 ** 50), /./],
    ["a file larger than most disks", (tar) => lie(tar, 2 ** 43), /./],
  ])("with %s is not believed", async (what, disguise, reason) => {
    const { tar } = zstdChunkedLayer(members(what));
    await expectWhole(what, disguisedLayer(tar, disguise(tar)), reason);
  });

  /** Two files: one that is here, and one that is what is hidden in the blob. */
  function lie(
    tar: Buffer,
    size = 1000,
    hidden = frame(Buffer.alloc(1000)),
  ): Disguise & { readonly toc: PackedDocument } {
    const offset = hiddenAt(tar);
    const places = [
      { name: "a", size: LARGE.length, digest: digestOf(LARGE), offset: 1, endOffset: offset - 8 },
      { name: "b", size, offset, endOffset: offset + hidden.length },
    ];
    const header = (name: string, bytes: number): Uint8Array =>
      encodeTarEntry({ type: "file", name, size: bytes, storedSize: bytes });
    const padding = (bytes: number): Uint8Array => new Uint8Array((512 - (bytes % 512)) % 512);
    const base64 = (...parts: Uint8Array[]): string => Buffer.concat(parts).toString("base64");
    const file = { type: 1, payload: "AAAAAAAAAAA=" };
    const split = [
      { type: 2, payload: base64(header("a", LARGE.length)) },
      { ...file, name: "a", size: LARGE.length },
      { type: 2, payload: base64(padding(LARGE.length), header("b", size)) },
      { ...file, name: "b", size },
      { type: 2, payload: base64(padding(size), TAR_END) },
    ];
    const entries = places.map((place) => Object.assign({ type: "reg", mode: 0o644 }, place));
    return {
      toc: pack(JSON.stringify({ version: 1, entries })),
      tarSplit: pack(split.map((line, position) => `${JSON.stringify({ ...line, position })}\n`).join("")),
      hidden,
    };
  }
});

describe.each(["gzip", "zstd"] as const)(
  "a table of contents of the stargz snapshotter's that lies, of %s",
  (codec) => {
    it("stands beside honest ones, which are made of what is here", async () => {
      const { layers } = await pull(`honest ${codec}`, estargzLayer(members(codec), { codec }));
      expect(layers).toMatchObject([{ how: codec === "gzip" ? "estargz" : "zstd-chunked", fallbacks: [] }]);
    });

    it.each<[string, NonNullable<EstargzOptions["edit"]>, RegExp]>([
      ["about members beyond itself", (toc) => (fileIn(toc, "app/changed")["offset"] = 1e12), /TOC_INVALID/],
      ["about members that overlap", (toc) => (chunkIn(toc)["offset"] = 1), /TOC_INVALID/],
      ["about members in others", (toc) => (chunkIn(toc)["innerOffset"] = 5), /./],
      ["about the digests of chunks", lieOfChunks, /DIGEST_MISMATCH/],
      ["about the size of chunks", (toc) => (chunkIn(toc)["chunkOffset"] = 77), /TOC_INVALID/],
      ["about the size of a file", (toc) => (fileIn(toc, "app/large")["size"] = 2 ** 50), /./],
      [
        "about its own name",
        (toc) => Object.assign(fileIn(toc, "app/f1"), { name: "stargz.index.json" }),
        /TOC_INVALID/,
      ],
      ["about content without a digest", (toc) => delete fileIn(toc, "app/f1")["chunkDigest"], /TOC_INVALID|./],
    ])("%s is not believed", async (what, edit, reason) => {
      const layer = estargzLayer(members(`${what} ${codec}`), { codec, edit });
      const { layers } = await pull(`${what} ${codec}`, layer);
      expect(layers).toMatchObject([{ unpack: "unpacked" }]);
      if (layers[0]!.how === "full")
        expect(layers[0]!.fallbacks).toMatchObject([{ reason: expect.stringMatching(reason) as string }]);
    });

    /** Chunks that are not here are said to be others that are. */
    function lieOfChunks(toc: TocDocument): void {
      const large = toc.entries.filter(({ name }) => name === "app/large");
      Object.assign(large[1]!, { chunkDigest: large[2]!["chunkDigest"] });
      Object.assign(large[0]!, { digest: digestOf("x") });
    }
  },
);

describe("the footer of an eStargz layer that lies", () => {
  it.each<[string, (offset: number) => Buffer, RegExp]>([
    ["points at the start", () => footer(0), /LAYER_INVALID|TOC_INVALID/],
    [
      "points into the middle of something",
      (offset) => footer(offset - 1000),
      /COMPRESSION_INVALID|TOC_INVALID|LAYER_INVALID/,
    ],
    ["points beyond the blob", () => footer(2 ** 40), /TOC_INVALID/],
    ["points at itself", (offset) => footer(offset + 1e9), /TOC_INVALID/],
    ["is none", () => Buffer.alloc(51), /TOC_INVALID/],
    ["says that the table is elsewhere", () => estargzFooter("SG\x11\0STARGZEXTERNALTOC"), /another image/],
  ])("%s is not believed", async (what, make, reason) => {
    const { blob, tar, descriptor, diffId } = estargzLayer(members(what));
    const tocAt = Number.parseInt(blob.toString("latin1", blob.length - 35, blob.length - 19), 16);
    const bytes = Buffer.concat([blob.subarray(0, -51), make(tocAt)]);
    const lying = { ...descriptor, digest: digestOf(bytes), size: bytes.length };
    await expectWhole(what, { bytes, tar, diffId, descriptor: lying }, reason);
  });

  const footer = (offset: number): Buffer => estargzFooter(`SG\x16\0${offset.toString(16).padStart(16, "0")}STARGZ`);
});
