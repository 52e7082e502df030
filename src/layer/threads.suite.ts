/** What every `LayerThreads` must do, with threads or without. */
import { appendFile, open, readFile, rm, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { onTestFinished, describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { directory, file } from "../../test/kit/trees/tree-node.ts";
import { LAYER_COMPRESSIONS, type LayerCompressionKind } from "../codec/layer-compressions.ts";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { digestOf } from "../oci/digest.ts";
import { Rising } from "../workers/rising.ts";
import type { LayerTarget } from "./layer-target.ts";
import type { RecompressLayerOptions } from "./recompress-layer.ts";
import type { FrontFile, LayerThreads } from "./threads.ts";

const rng = createRng(1);
const TAR = packTree([directory("d"), file("d/random", rng.bytes(3_000_000)), file("d/text", rng.text(2_000_000))]);
const COMPRESSED = { none: TAR, gzip: gzipSync(TAR, { level: 1 }), zstd: zstdCompressSync(TAR) } as const;
const FACTS = { diffId: digestOf(TAR), size: TAR.length, entries: 3 };
const NEVER = { signal: new AbortController().signal };

interface Target {
  readonly target: LayerTarget;
  /** What it says of the layer's tar. */
  readonly tar: () => Promise<Buffer>;
}

interface Blob {
  readonly path: string;
  readonly size: number;
}

async function blobOf(bytes: Uint8Array): Promise<Blob> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const path = join(dir.path, "blob");
  await writeFile(path, bytes);
  return { path, size: bytes.length };
}

const whole = (blob: Blob): FrontFile => ({ ...blob, front: blob.size, waitFront: () => Promise.resolve() });

/** A file that the test lets grow, and may let fail. */
async function growing(
  size: number,
): Promise<FrontFile & { grow(bytes: Uint8Array): Promise<void>; fail(e: Error): void }> {
  const { path } = await blobOf(Buffer.alloc(0));
  const front = new Rising();
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  return {
    path,
    size,
    get front() {
      return front.value;
    },
    waitFront: (position, signal = NEVER.signal) => Promise.race([front.passed(position, signal), broken.promise]),
    async grow(bytes) {
      await appendFile(path, bytes);
      front.raise(front.value + bytes.length);
    },
    fail: broken.reject,
  };
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it succeeded",
    (error: unknown) => toVarveError(error).code,
  );

/** @param make makes one; the suite disposes of it */
export function describeLayerThreads(name: string, make: () => LayerThreads): void {
  const threads = (): LayerThreads => {
    const made = make();
    onTestFinished(() => made[Symbol.asyncDispose]());
    return made;
  };

  describe(`${name}: check`, () => {
    it.each(["none", "gzip", "zstd"] as const)("tells DiffID, size and members of a layer as %s", async (kind) => {
      const blob = await blobOf(COMPRESSED[kind]);
      expect(await threads().check(whole(blob), NEVER)).toEqual(FACTS);
    });

    it("hashes with the algorithm that is asked for", async () => {
      const options = { algorithm: "sha512", ...NEVER } as const;
      const { diffId } = await threads().check(whole(await blobOf(COMPRESSED.gzip)), options);
      expect(diffId).toBe(digestOf(TAR, "sha512"));
    });

    it("follows a file that grows, to its end and not further", async () => {
      const bytes = COMPRESSED.gzip;
      const blob = await growing(bytes.length);
      let ended = false;
      const checking = threads()
        .check(blob, NEVER)
        .finally(() => {
          ended = true;
        });
      for (let at = 0; at < bytes.length; at += 700_001) {
        expect(ended).toBe(false);
        await blob.grow(bytes.subarray(at, at + 700_001));
      }
      expect(await checking).toEqual(FACTS);
    });

    it("takes a layer without a byte", async () => {
      const empty = { diffId: digestOf(Buffer.alloc(0)), size: 0, entries: 0 };
      expect(await threads().check(whole(await blobOf(Buffer.alloc(0))), NEVER)).toEqual(empty);
    });

    it("fails as the file does that stops growing", async () => {
      const blob = await growing(1000);
      const checking = threads().check(blob, NEVER);
      blob.fail(new VarveError("NO_SPACE", "the disk is full", { hint: "buy one", detail: { disk: 1 } }));
      await expect(checking).rejects.toMatchObject({ code: "NO_SPACE", hint: "buy one", detail: { disk: 1 } });
    });

    it.each([
      ["COMPRESSION_INVALID", COMPRESSED.gzip.subarray(0, -1000)],
      ["COMPRESSION_INVALID", COMPRESSED.zstd.subarray(0, -1000)],
      ["LAYER_INVALID", TAR.subarray(0, 2_000_000)],
      ["LAYER_INVALID", gzipSync(Buffer.alloc(3000, "no tar "))],
    ])("is %s when the layer is broken", async (code, bytes) => {
      const blob = await blobOf(bytes);
      await expect(threads().check(whole(blob), NEVER)).rejects.toMatchObject({ code, hint: expect.any(String) });
    });

    it("says so when the file is not there", async () => {
      const checking = threads().check(whole({ path: "/nonexistent/blob", size: 5 }), NEVER);
      expect(await codeOf(checking)).toBe("FILE_NOT_FOUND");
    });

    it("is interrupted before it begins, and while it waits", async () => {
      const one = threads();
      const blob = await growing(COMPRESSED.gzip.length);
      expect(await codeOf(one.check(blob, { signal: AbortSignal.abort() }))).toBe("INTERRUPTED");
      const abort = new AbortController();
      await blob.grow(COMPRESSED.gzip.subarray(0, 100_000));
      const checking = one.check(blob, abort);
      abort.abort();
      expect(await codeOf(checking)).toBe("INTERRUPTED");
      expect(await one.check(whole(await blobOf(COMPRESSED.zstd)), NEVER)).toEqual(FACTS);
    });

    it("holds none up for another that waits", async () => {
      const one = threads();
      const bytes = COMPRESSED.gzip;
      const files = await Promise.all([1, 2, 3, 4, 5].map(() => growing(bytes.length)));
      const checks = files.map((blob) => one.check(blob, NEVER));
      for (const [index, blob] of files.toReversed().entries()) {
        await blob.grow(bytes);
        expect(await checks.at(-1 - index)).toEqual(FACTS);
      }
    });
  });

  describe(`${name}: recompress`, () => {
    const output = async (): Promise<{ file: FileHandle; path: string }> => {
      const path = await blobOf(Buffer.alloc(0)).then((blob) => blob.path);
      const file = await open(path, "r+");
      onTestFinished(() => file.close());
      return { file, path };
    };
    const asked = (compression: LayerCompressionKind): RecompressLayerOptions => ({ compression, level: 3, ...NEVER });

    it.each(LAYER_COMPRESSIONS)("makes a layer of the same tar as %s, the same every time", async (compression) => {
      const one = threads();
      const made = await Promise.all(
        (["none", "gzip", "zstd"] as const).map(async (kind) => {
          const { file, path } = await output();
          const told: number[] = [];
          const options = { ...asked(compression), onProgress: (done: number) => void told.push(done) };
          const layer = await one.recompress(whole(await blobOf(COMPRESSED[kind])), file.fd, options);
          expect(told.at(-1)).toBe(TAR.length);
          return { layer, blob: await readFile(path) };
        }),
      );
      for (const { layer, blob } of made) {
        expect(layer).toEqual(made[0]!.layer);
        expect(layer).toMatchObject({ diffId: FACTS.diffId, uncompressedSize: FACTS.size, entries: FACTS.entries });
        expect(layer).toMatchObject({ digest: digestOf(blob), size: blob.length, refused: undefined });
        expect(layer.annotations === undefined).toBe(compression !== "zstd:chunked");
        const tar = compression === "gzip" ? gunzipSync(blob) : zstdDecompressSync(blob);
        expect(tar.equals(TAR)).toBe(true);
      }
    });

    it("follows a file that grows, and is interrupted while it waits", async () => {
      const one = threads();
      const bytes = COMPRESSED.gzip;
      const blob = await growing(bytes.length);
      const { file } = await output();
      const working = one.recompress(blob, file.fd, asked("zstd:chunked"));
      for (let at = 0; at < bytes.length; at += 700_001) await blob.grow(bytes.subarray(at, at + 700_001));
      expect(await working).toMatchObject({ diffId: FACTS.diffId });
      const abort = new AbortController();
      const waiting = one.recompress(await growing(1000), file.fd, { ...asked("zstd"), signal: abort.signal });
      abort.abort();
      expect(await codeOf(waiting)).toBe("INTERRUPTED");
    });

    it.each(LAYER_COMPRESSIONS)(
      "refuses as %s what is no layer, and tells when there is no room",
      async (compression) => {
        const one = threads();
        const { file } = await output();
        const broken = whole(await blobOf(gzipSync(Buffer.alloc(3000, "no tar "))));
        expect(await codeOf(one.recompress(broken, file.fd, asked(compression)))).toBe("LAYER_INVALID");
        const cut = whole(await blobOf(COMPRESSED.zstd.subarray(0, -1000)));
        expect(await codeOf(one.recompress(cut, file.fd, asked(compression)))).toBe("COMPRESSION_INVALID");
        const full = await open("/dev/full", "w");
        onTestFinished(() => full.close());
        const layer = whole(await blobOf(TAR));
        expect(await codeOf(one.recompress(layer, full.fd, asked(compression)))).toBe("NO_SPACE");
      },
    );
  });

  describe(`${name}: unpack`, () => {
    const erofs = async (): Promise<Target> => {
      const dir = await tempDir();
      onTestFinished(() => dir[Symbol.asyncDispose]());
      const directory = join(dir.path, "layer");
      return { target: { form: "erofs", directory }, tar: () => readFile(join(directory, "layer.tar")) };
    };

    it.each(["none", "gzip", "zstd"] as const)("unpacks a layer as %s, and tells what it was", async (kind) => {
      const { target, tar } = await erofs();
      const told: number[] = [];
      const options = { ...NEVER, onProgress: (done: number) => void told.push(done) };
      const { report, ...unpacked } = await threads().unpack(whole(await blobOf(COMPRESSED[kind])), target, options);
      expect(unpacked).toMatchObject({ diffId: FACTS.diffId, size: FACTS.size, open: { implied: [""] } });
      expect(report).toMatchObject({ entries: 3, files: 2, directories: 1 });
      expect((await tar()).equals(TAR)).toBe(true);
      expect(told.at(-1)).toBe(TAR.length);
      expect(told).toEqual(told.toSorted((a, b) => a - b));
    });

    it("hashes with the algorithm that is asked for", async () => {
      const { target } = await erofs();
      const options = { algorithm: "sha512", ...NEVER } as const;
      const { diffId } = await threads().unpack(whole(await blobOf(COMPRESSED.gzip)), target, options);
      expect(diffId).toBe(digestOf(TAR, "sha512"));
    });

    it("takes a layer without a byte", async () => {
      const { target } = await erofs();
      const unpacked = await threads().unpack(whole(await blobOf(Buffer.alloc(0))), target, NEVER);
      expect(unpacked).toMatchObject({ diffId: digestOf(Buffer.alloc(0)), size: 0, report: { entries: 0 } });
    });

    it("follows files that grow, more of them than there are places, and holds none up for another that waits", async () => {
      const one = threads();
      const bytes = COMPRESSED.gzip;
      const files = await Promise.all([1, 2, 3, 4, 5].map(() => growing(bytes.length)));
      const targets = await Promise.all(files.map(erofs));
      const jobs = files.map((blob, at) => one.unpack(blob, targets[at]!.target, NEVER));
      for (let at = 0; at < bytes.length; at += 900_001) {
        for (const blob of files) await blob.grow(bytes.subarray(at, at + 900_001));
      }
      for (const job of jobs) expect(await job).toMatchObject({ diffId: FACTS.diffId });
      const late = await Promise.all([1, 2, 3].map(() => growing(bytes.length)));
      const more = await Promise.all(late.map(erofs));
      const waiting = late.map((blob, at) => one.unpack(blob, more[at]!.target, NEVER));
      for (const [index, blob] of late.toReversed().entries()) {
        await blob.grow(bytes);
        expect(await waiting.at(-1 - index)).toMatchObject({ diffId: FACTS.diffId });
      }
    });

    it("fails as the file does that stops growing, and goes on with the next", async () => {
      const one = threads();
      const { target, tar } = await erofs();
      const blob = await growing(COMPRESSED.gzip.length);
      await blob.grow(COMPRESSED.gzip.subarray(0, 600_000));
      const unpacking = one.unpack(blob, target, NEVER);
      blob.fail(new VarveError("NO_SPACE", "the disk is full", { hint: "buy one", detail: { disk: 1 } }));
      await expect(unpacking).rejects.toMatchObject({ code: "NO_SPACE", hint: "buy one", detail: { disk: 1 } });
      await one.unpack(whole(await blobOf(COMPRESSED.gzip)), target, NEVER);
      expect((await tar()).equals(TAR)).toBe(true);
    });

    it.each([
      ["COMPRESSION_INVALID", COMPRESSED.gzip.subarray(0, -1000)],
      ["COMPRESSION_INVALID", Buffer.concat([COMPRESSED.gzip, Buffer.from("junk")])],
      ["LAYER_INVALID", TAR.subarray(0, 2_000_000)],
    ])("is %s when the layer is broken", async (code, bytes) => {
      const { target } = await erofs();
      const unpacking = threads().unpack(whole(await blobOf(bytes)), target, NEVER);
      await expect(unpacking).rejects.toMatchObject({ code, hint: expect.any(String) });
    });

    it("is interrupted before it begins, while it waits, and has let go of the target then", async () => {
      const one = threads();
      const { target } = await erofs();
      const blob = await growing(COMPRESSED.gzip.length);
      expect(await codeOf(one.unpack(blob, target, { signal: AbortSignal.abort() }))).toBe("INTERRUPTED");
      const unbegun = new AbortController();
      const never = one.unpack(blob, target, unbegun);
      unbegun.abort();
      expect(await codeOf(never)).toBe("INTERRUPTED");
      const abort = new AbortController();
      await blob.grow(COMPRESSED.gzip.subarray(0, 600_000));
      const unpacking = one.unpack(blob, target, abort);
      abort.abort();
      expect(await codeOf(unpacking)).toBe("INTERRUPTED");
      await rm(target.directory, { recursive: true, force: true });
      const again = await one.unpack(whole(await blobOf(COMPRESSED.zstd)), target, NEVER);
      expect(again).toMatchObject({ diffId: FACTS.diffId });
    });

    it("says so when the place to unpack to cannot be", async () => {
      const file = await blobOf(Buffer.from("a file"));
      const target = { form: "erofs", directory: join(file.path, "below") } as const;
      const unpacking = threads().unpack(whole(await blobOf(COMPRESSED.zstd)), target, NEVER);
      expect(["PATH_INVALID", "IO", "FILE_NOT_FOUND"]).toContain(await codeOf(unpacking));
    });

    it("says so when a program that is to inflate is not there", async () => {
      const { target } = await erofs();
      const path = process.env["PATH"];
      process.env["PATH"] = "";
      onTestFinished(() => void (process.env["PATH"] = path));
      const blob = whole(await blobOf(COMPRESSED.gzip));
      const unpacking = threads().unpack(blob, target, { ...NEVER, decompressor: "rapidgzip" });
      await expect(unpacking).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    });
  });

  describe(`${name}: open`, () => {
    it.each(["none", "gzip", "zstd"] as const)("gives the tar of a layer as %s, and then its DiffID", async (kind) => {
      const stream = threads().open(await blobOf(COMPRESSED[kind]), NEVER);
      expect(() => stream.diffId).toThrow("has not ended");
      expect((await collect(stream)).equals(TAR)).toBe(true);
      expect(stream.diffId).toBe(FACTS.diffId);
    });

    it("lends each chunk until the next is asked for", async () => {
      const tar = threads().open(await blobOf(COMPRESSED.gzip), NEVER);
      const stream = tar[Symbol.asyncIterator]();
      const first = (await stream.next()).value as Uint8Array;
      expect(Buffer.from(first).equals(TAR.subarray(0, first.length))).toBe(true);
      await stream.next();
      expect(first.byteLength).toBe(0);
      await stream.return?.();
    });

    it("may be left at any time", async () => {
      const one = threads();
      const blob = await blobOf(COMPRESSED.gzip);
      for (let round = 0; round < 5; round++) {
        for await (const chunk of one.open(blob, NEVER)) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
      }
      expect((await collect(one.open(blob, NEVER))).length).toBe(TAR.length);
    });

    it("reads a tar as it is that begins like something else", async () => {
      const odd = gzipSync("a tar whose first file has such a name");
      const blob = await blobOf(odd);
      const stream = threads().open(blob, { ...NEVER, isTar: true });
      expect(await collect(stream)).toEqual(odd);
      expect(stream.diffId).toBe(digestOf(odd));
    });

    it("hashes nothing that somebody else holds to its digest", async () => {
      const stream = threads().open(await blobOf(TAR), { ...NEVER, isTar: true, vouched: digestOf("vouched") });
      expect(await collect(stream)).toEqual(TAR);
      expect(stream.diffId).toBe(digestOf("vouched"));
    });

    it("is interrupted between two chunks", async () => {
      const abort = new AbortController();
      const stream = threads().open(await blobOf(gzipSync(Buffer.alloc(40 << 20))), abort);
      const reading = (async () => {
        for await (const chunk of stream) {
          expect(chunk.length).toBeGreaterThan(0);
          abort.abort();
        }
      })();
      expect(await codeOf(reading)).toBe("INTERRUPTED");
    });

    it("gives what is good of a broken layer, and then the error", async () => {
      const stream = threads().open(await blobOf(COMPRESSED.gzip.subarray(0, -1000)), NEVER);
      let seen = 0;
      const reading = (async () => {
        for await (const chunk of stream) seen += chunk.length;
      })();
      await expect(reading).rejects.toMatchObject({ code: "COMPRESSION_INVALID" });
      expect(seen).toBeGreaterThan(TAR.length / 2);
      expect(() => stream.diffId).toThrow("has not ended");
    });

    it("does many at once, each at its own pace", async () => {
      const one = threads();
      const blob = await blobOf(COMPRESSED.gzip);
      const streams = [1, 2, 3, 4, 5].map(() => one.open(blob, NEVER)[Symbol.asyncIterator]());
      for (const stream of streams) await stream.next();
      const [slow, ...others] = streams;
      for (const stream of others) while ((await stream.next()).done !== true);
      while ((await slow?.next())?.done === false);
    });
  });
}
