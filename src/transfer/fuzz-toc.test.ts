/**
 * Whatever becomes of the bytes of a chunked layer's documents and frames, it is made as it should be, or not at all: with a refusal or a coded error. What
 * is changed has the right digests again, as whoever makes an image can have them.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync, zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { estargzLayer } from "../../test/kit/images/estargz.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { headerOf, type ChunkedMember } from "../../test/kit/images/tar-members.ts";
import { frame, skippable, zstdChunkedLayer, type ChunkedLayerFixture } from "../../test/kit/images/zstd-chunked.ts";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { TAR_END, tarPadding } from "../codec/tar/header.ts";
import { VarveError } from "../errors/varve-error.ts";
import { digestOf } from "../oci/digest.ts";
import { assemble } from "../recipe/assembler.ts";
import type { LocalPlace } from "../store/local-sources/types.ts";
import { fetchToc } from "./fetch-toc.ts";
import { readTocAnnotations } from "./toc-annotations.ts";

const CHUNK = 4096;
/** Of each kind; more by hand: `FUZZ_RUNS=10000 npx vitest run FILE --testTimeout 0`. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 25);
/** Larger tars are only planned. */
const MOST_BYTES = 4 << 20;
const rng = createRng(77);
const LARGE = rng.bytes(20 * CHUNK + 9);
const HELD = [LARGE.subarray(0, CHUNK), LARGE.subarray(5 * CHUNK, 6 * CHUNK), rng.bytes(300), LARGE];
const MEMBERS: ChunkedMember[] = [
  { type: "directory", name: "d/" },
  { type: "file", name: "d/held", content: HELD[2]! },
  { type: "file", name: "d/large", content: Buffer.concat([LARGE, Buffer.alloc(3 * CHUNK)]) },
  { type: "file", name: "d/other", content: rng.bytes(1000) },
  { type: "symlink", name: "d/link", linkName: "large" },
  { type: "file", name: "d/last", content: LARGE },
];

let dir: TempDir;
let ingests = 0;
const paths = new Map<string, string>();
beforeAll(async () => {
  dir = await tempDir();
  for (const [at, bytes] of HELD.entries()) {
    const path = join(dir.path, `held-${at}`);
    await writeFile(path, bytes);
    paths.set(digestOf(bytes), path);
  }
});
afterAll(() => dir[Symbol.asyncDispose]());

type Change = readonly [at: number, what: "set" | "cut" | "copy" | "number" | "text", value: number];

const NUMBERS = ["0", "1", "511", "4096", "2147483648", "9007199254740991", "9007199254740993", "-1", "1e400", "0.5"];
const TEXTS = ["", "null", "[]", "{}", '"', "\\", "chunk", "reg", "zeros", "..", "\0", "\n", "x".repeat(9000)];

/** Digits and texts are changed as a whole: those are what reaches the deeper parts. */
function changed(bytes: Buffer, changes: readonly Change[]): Buffer {
  let now = bytes;
  for (const [where, what, value] of changes) {
    if (now.length === 0) return now;
    const at = where % now.length;
    const end = Math.min(now.length, at + 1 + (value % 200));
    const put = (from: number, to: number, text: string | Buffer): Buffer =>
      Buffer.concat([now.subarray(0, from), Buffer.from(text), now.subarray(to)]);
    if (what === "set") now = put(at, at + 1, Buffer.from([value]));
    else if (what === "cut") now = put(at, end, "");
    else if (what === "copy") now = put(value % now.length, value % now.length, now.subarray(at, end));
    else if (what === "text") now = put(at, at, TEXTS[value % TEXTS.length]!);
    else {
      const [number] = /:[0-9]+/.exec(now.toString("latin1", at, at + 300)) ?? [];
      const found = number === undefined ? -1 : now.indexOf(number, at, "latin1");
      if (number !== undefined && found >= 0)
        now = put(found + 1, found + number.length, NUMBERS[value % NUMBERS.length]!);
    }
  }
  return now;
}

const changes = fc.array(
  fc.tuple(
    fc.nat(1 << 20),
    fc.constantFrom<Change[1]>("set", "cut", "copy", "number", "number", "text"),
    fc.nat(1 << 20),
  ),
  { minLength: 1, maxLength: 4 },
);

type Document = "toc" | "tarSplit" | "frames" | "packed" | "footer";

const FORMATS: Readonly<Record<string, (document: Document, by: readonly Change[]) => ChunkedLayerFixture>> = {
  podman: (document, by) =>
    podman(zstdChunkedLayer(MEMBERS, { chunkBytes: CHUNK, tarSplit: "undigested" }), document, by),
  "podman without a tar-split": (document, by) =>
    podman(zstdChunkedLayer(MEMBERS, { chunkBytes: CHUNK, tarSplit: "none" }), document, by),
  nerdctl: (document, by) => podman(estargzLayer(MEMBERS, { chunkBytes: CHUNK, codec: "zstd" }), document, by),
  estargz: (document, by) => estargz(estargzLayer(MEMBERS, { chunkBytes: CHUNK }), document, by),
};

/** Puts a layer with documents in skippable frames together again. */
function podman(layer: ChunkedLayerFixture, document: Document, by: readonly Change[]): ChunkedLayerFixture {
  const annotations: Record<string, string> = { ...layer.descriptor.annotations };
  const keyOf = (end: string): string | undefined => Object.keys(annotations).find((key) => key.endsWith(end));
  const numbers = (key: string): number[] => annotations[key]!.split(":").map(Number);
  const position = keyOf("manifest-position")!;
  const [tocAt = 0] = numbers(position);
  const splitKey = keyOf("tarsplit-position");
  const [splitAt = 0, splitBytes = 0] = splitKey === undefined ? [] : numbers(splitKey);
  const frames = layer.blob.subarray(0, tocAt - 8);
  const toc = document === "toc" ? changed(layer.toc, by) : layer.toc;
  const packedToc = document === "packed" ? changed(frame(toc), by) : frame(toc);
  const old =
    splitKey === undefined ? Buffer.alloc(0) : zstdDecompressSync(layer.blob.subarray(splitAt, splitAt + splitBytes));
  const split = document === "tarSplit" ? changed(old, by) : old;
  const data = document === "frames" ? changed(frames, by) : frames;
  const blob = Buffer.concat([data, skippable(packedToc), skippable(frame(split))]);
  const at = data.length + 8;
  annotations[position] = `${at}:${packedToc.length}:${toc.length}:1`;
  annotations[keyOf("manifest-checksum")!] = digestOf(packedToc);
  const plain = keyOf("toc.digest");
  if (plain !== undefined) annotations[plain] = digestOf(toc);
  if (splitKey !== undefined)
    annotations[splitKey] = `${at + packedToc.length + 8}:${frame(split).length}:${split.length}`;
  if (document === "footer" && by.length > 0)
    annotations[position] = changed(Buffer.from(annotations[position]), by).toString("latin1");
  return {
    ...layer,
    blob,
    descriptor: { ...layer.descriptor, digest: digestOf(blob), size: blob.length, annotations },
  };
}

/** The same for one whose documents are its last members. */
function estargz(layer: ChunkedLayerFixture, document: Document, by: readonly Change[]): ChunkedLayerFixture {
  const tocAt = Number.parseInt(layer.blob.toString("latin1", layer.blob.length - 35, layer.blob.length - 19), 16);
  const toc = document === "toc" ? changed(layer.toc, by) : layer.toc;
  const frames = layer.blob.subarray(0, tocAt);
  const data = document === "frames" ? changed(frames, by) : frames;
  const header = headerOf({ type: "file", name: "stargz.index.json", content: toc });
  const member = Buffer.concat([header, toc, tarPadding(toc.length), TAR_END]);
  const end = gzipSync(document === "tarSplit" ? changed(member, by) : member);
  const footer = Buffer.from(layer.blob.subarray(-51));
  footer.write(data.length.toString(16).padStart(16, "0"), 16, "latin1");
  const blob = Buffer.concat([
    data,
    document === "packed" ? changed(end, by) : end,
    document === "footer" ? changed(footer, by) : footer,
  ]);
  const before = layer.tar.subarray(0, layer.tar.length - gunzipSync(layer.blob.subarray(tocAt)).length);
  const tar = Buffer.concat([before, member]);
  const annotations = { "containerd.io/snapshot/stargz/toc.digest": digestOf(toc) };
  const descriptor = { ...layer.descriptor, digest: digestOf(blob), size: blob.length, annotations };
  return { ...layer, blob, tar, diffId: digestOf(tar), descriptor };
}

/** What comes of a layer: how it went, in a word. */
async function outcomeOf({ blob, tar, diffId, descriptor }: ChunkedLayerFixture): Promise<string> {
  try {
    const annotations = readTocAnnotations(descriptor);
    if (annotations === undefined) return "plain";
    const blobs = new MemoryBlobs();
    blobs.add(blob, descriptor.digest);
    const { signal } = new AbortController();
    const toc = await fetchToc({ blob: descriptor, diffId }, annotations, { blobs, signal });
    const get = (piece: number): LocalPlace | undefined => {
      const path = paths.get(toc.pieces.digest(piece) ?? "");
      return path === undefined ? undefined : { path, start: 0 };
    };
    // A line on which the least that is saved is worth it.
    const plan = await toc.plan({ get }, { network: 1e6, request: 0 });
    if ("refused" in plan) return "refused";
    const { size } = plan.recipe.target;
    if (size > MOST_BYTES) return "large";
    const path = join(dir.path, `ingest-${ingests++ % 4}`);
    await using ingest = await FileIngest.open({ path, digest: diffId, size });
    await assemble(plan.recipe, { ingest, blobs, memoryBytes: 1 << 20 });
    expect((await readFile(path)).equals(tar)).toBe(true);
    return "made";
  } catch (error) {
    if (!(error instanceof VarveError) || error.code === "INTERNAL") throw error;
    return error.code;
  }
}

describe.each(Object.keys(FORMATS))("a layer of %s", (format) => {
  const make = FORMATS[format]!;

  it("is made where nothing of it is changed", async () => {
    expect(await outcomeOf(make("footer", []))).toBe("made");
  });

  it.each<Document>(["toc", "tarSplit", "frames", "packed", "footer"])(
    "is made as it should be or not at all, whatever is changed in its %s",
    async (document) => {
      await fc.assert(
        fc.asyncProperty(changes, async (by) => {
          expect(await outcomeOf(make(document, by))).toMatch(/^[a-z]+$|^[A-Z_]+$/);
        }),
        { numRuns: RUNS },
      );
    },
  );
});
